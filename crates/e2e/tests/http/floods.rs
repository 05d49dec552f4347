//! Clients of HTTP/2 that ask little and cost much, over TLS: each is cut off, and others are served meanwhile.
use crate::{Go, Lines, Stage, eventually, origin::Origin};
use portcullis_e2e::{
    client::{Conversation, Offer},
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, H2, HEADERS, PING, PRIORITY,
        RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get,
    },
};
use serde_json::Value;
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// What a flood may cost: as many bytes as it sends until it is cut off.
const COST: u64 = 2_000_000;

fn h2(stage: &Stage) -> H2<Conversation> {
    H2::over(stage.connect(Offer::default().speaking(&["h2"])).stream)
}

/// Sends until it is not taken any more, and says what became of it.
fn flood(stage: &Stage, frames: impl Iterator<Item = Vec<u8>>) -> Value {
    let mut h2 = h2(stage);
    let at = h2.stream.local().to_string();
    for frame in frames {
        if h2.stream.write_all(&frame).is_err() {
            break;
        }
    }
    // it may have been reset
    let _ = h2.goaway();
    drop(h2);
    stage.proxy.record_where(|line| line["peer"] == at)
}

fn streams() -> impl Iterator<Item = u32> {
    (0..200_000_u32).map(|n| 2 * n + 1)
}

type Frames = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// A flood, and what the record says of it; ours, and what the library says of those that it ends.
fn floods() -> Vec<(&'static str, &'static str, Frames)> {
    let again = |frame: Vec<u8>| (0..400_000).map(move |_| frame.clone());
    let opened = |flags, follows: Vec<u8>| {
        let first = frame((HEADERS, flags), 1, &get("/never"));
        std::iter::once(first).chain((0..400_000).map(move |_| follows.clone()))
    };
    let ask_and_reset = |id: u32| {
        let ask = frame((HEADERS, END_HEADERS | END_STREAM), id, &get("/never"));
        [ask, frame((RST_STREAM, 0), id, &[0, 0, 0, 8])].concat()
    };
    let literal = [&[0_u8, 3][..], b"x-a", &[100], &[b'a'; 100][..]].concat().repeat(100);
    let window = frame((SETTINGS, 0), 0, &[0, 4, 0, 1, 0, 0]);
    let ours = "ask nothing";
    vec![
        ("pings", ours, Box::new(again(frame((PING, 0), 0, &[0; 8])))),
        ("settings", ours, Box::new(again(window))),
        (
            "windows",
            ours,
            Box::new(again(frame((WINDOW_UPDATE, 0), 0, &[0, 0, 0, 1]))),
        ),
        (
            "priorities",
            ours,
            Box::new(again(frame((PRIORITY, 0), 3, &[0, 0, 0, 0, 9]))),
        ),
        ("unknown", ours, Box::new(again(frame((200, 0), 0, &[0; 16])))),
        (
            "empty data",
            "",
            Box::new(opened(END_HEADERS, frame((DATA, 0), 1, &[]))),
        ),
        (
            "padded data",
            "",
            Box::new(opened(END_HEADERS, frame((DATA, 8), 1, &[0]))),
        ),
        (
            "empty continuations",
            "",
            Box::new(opened(END_STREAM, frame((CONTINUATION, 0), 1, &[]))),
        ),
        (
            "a head without end",
            "",
            Box::new(opened(END_STREAM, frame((CONTINUATION, 0), 1, &literal))),
        ),
        ("resets", "", Box::new(streams().map(ask_and_reset))),
    ]
}

#[test]
fn a_flood_is_cut_off_and_others_are_served_meanwhile() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            top: "workers = 1",
            ..Lines::default()
        },
    );
    thread::scope(|scope| {
        let floods = floods().into_iter();
        let floods: Vec<_> = floods
            .map(|(name, why, frames)| (name, why, scope.spawn(|| flood(&stage, frames))))
            .collect();
        let mut other = stage.talk();
        for n in 0..100 {
            let answer = other.ask(format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            assert_eq!(answer.text(), format!("GET /{n}"));
        }
        for (name, why, flood) in floods {
            let record = flood.join().expect("no panic");
            assert_ne!(record["outcome"], "ok", "{name}: {record:#}");
            assert_eq!(
                (&record["stage"], &record["fault"]),
                (&"request".into(), &"client".into())
            );
            let error = record["error"].as_str().expect("a text");
            assert!(error.contains(why), "{name}: {error}");
            let cost = record["bytes_in"].as_u64().expect("a number");
            assert!(cost < COST, "{name}: {cost} bytes");
        }
    });
    let asked = stage.origin.asked();
    let reached = asked.iter().filter(|asked| asked.line() == "GET /never").count();
    assert!(
        reached < 100,
        "{reached} requests that nobody waits for reached the server"
    );
}

#[test]
fn a_client_that_asks_nothing_is_told_to_calm_down() {
    let stage = Stage::plain();
    let mut h2 = h2(&stage);
    let pings = frame((PING, 0), 0, &[7; 8]).repeat(100);
    let told = (0..1000).find_map(|_| {
        // what was said before it was closed on is read all the same
        let _ = h2.stream.write_all(&pings);
        let frames = (0..100).map_while(|_| h2.wait_for(|frame| matches!(frame.kind, PING | GOAWAY)).ok());
        frames.into_iter().find(|frame| frame.kind == GOAWAY)
    });
    let told = told.map(|frame| frame.payload[4..8].to_vec());
    assert_eq!(told, Some(ENHANCE_YOUR_CALM.to_be_bytes().to_vec()));
}

#[test]
fn requests_that_are_given_up_one_by_one_end_too() {
    let stage = Stage::set(
        Origin::at_heads(|_, peer| {
            // it never answers, until it is closed on
            let _ = peer.exactly(1);
            Go::Close
        }),
        Lines::default(),
    );
    let mut h2 = h2(&stage);
    let at = h2.stream.local().to_string();
    let given_up = streams().take(5000).position(|id| {
        let ask = frame((HEADERS, END_HEADERS | END_STREAM), id, &get("/never"));
        let asked = h2.stream.write_all(&[ask, frame((PING, 0), 0, &[0; 8])].concat());
        // its answer says that the request was taken
        let taken = asked.and_then(|()| h2.wait(PING, 0));
        let reset = taken.and_then(|_| h2.stream.write_all(&frame((RST_STREAM, 0), id, &[0, 0, 0, 8])));
        reset.is_err()
    });
    assert!(given_up.is_some_and(|count| count < 2000), "{given_up:?}");
    let record = stage.proxy.record_where(|line| line["peer"] == at);
    assert_eq!(record["outcome"], "refused", "{record:#}");
}

#[test]
fn a_head_that_unpacks_to_much_is_refused_and_reaches_nobody() {
    let stage = Stage::plain();
    // one long field goes into the table, and is named again and again by a byte (RFC 7541 6.1)
    let long = [&[0x40, 1, b'x', 0x7f, 0x81, 0x1e][..], &[b'a'; 4000]].concat();
    let head = [get("/bomb"), long, vec![0xbe; 12_000]].concat();
    let (first, second) = head.split_at(16_000);
    let mut h2 = h2(&stage);
    h2.send(&frame((HEADERS, END_STREAM), 1, first));
    h2.send(&frame((CONTINUATION, END_HEADERS), 1, second));
    // refused with its stream, or with its connection
    let refused = h2.wait_for(|frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY));
    if refused.is_ok_and(|frame| frame.kind == HEADERS) {
        h2.get(3, "/next");
        assert_eq!(h2.status(3), "200");
    }
    assert!(stage.origin.asked().iter().all(|asked| asked.line() == "GET /next"));
}

#[test]
fn a_client_that_never_gives_a_window_is_cut_off_and_holds_little_meanwhile() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let stage = Stage::set(
        Origin::at_heads(move |_, peer| {
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes());
            let piece = [7; 16 * 1024];
            while peer.say(&piece) == Go::On {
                count.fetch_add(piece.len(), Relaxed);
            }
            Go::Close
        }),
        Lines::default(),
    );
    let offer = Offer::default().speaking(&["h2"]);
    let settings = [(4, 0)];
    let mut h2 = H2::with(stage.connect(offer).stream, &settings);
    let at = h2.stream.local().to_string();
    for id in streams().take(10) {
        h2.get(id, "/big");
        assert_eq!(h2.status(id), "200");
    }
    let mut last = 0;
    eventually("the server can send no more", || {
        thread::sleep(Duration::from_millis(300));
        let now = sent.load(Relaxed);
        std::mem::replace(&mut last, now) == now
    });
    // per stream a read of ours, and what two sockets hold
    assert!(last < 10 * 8 * 1024 * 1024, "{last} bytes are kept somewhere");
    // two looks, 20 s apart: each wait of ours is 30 s at most
    assert!((0..3).any(|_| h2.wait(GOAWAY, 0).is_ok()), "it is told why");
    let record = stage.proxy.record_where(|line| line["peer"] == at);
    assert_eq!(
        (&record["outcome"], &record["fault"]),
        (&"failed".into(), &"client".into())
    );
    assert!(
        record["error"]
            .as_str()
            .is_some_and(|error| error.contains("too slowly")),
        "{record:#}"
    );
    stage.proxy.connections_become(0);
}
