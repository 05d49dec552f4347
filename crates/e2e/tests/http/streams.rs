//! Streams of HTTP/2 that are given up, that end with trailers, and clients of HTTP/1.1 that take their time.
use crate::{
    Go, Lines, Stage,
    origin::{Origin, said},
    talk::Body,
};
use portcullis_e2e::{
    PATIENCE,
    client::{Conversation, Offer},
    frames::{DATA, END_HEADERS, END_STREAM, H2, HEADERS, RST_STREAM, block, frame},
};
use serde_json::Value;
use std::{
    io::Write,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

fn h2(stage: &Stage) -> H2<Conversation> {
    H2::over(stage.connect(Offer::default().speaking(&["h2"])).stream)
}

fn post(path: &str) -> [(&str, &str); 5] {
    [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
    ]
}

#[test]
fn a_server_learns_that_a_stream_was_given_up_and_nothing_is_left_of_it() {
    let (left, was_left) = mpsc::channel();
    let left = Mutex::new(left);
    let origin = Origin::at_heads(move |asked, peer| {
        match asked.line() {
            // the answer has begun, or has not
            "GET /begun" => peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
            "GET /next" => return peer.say(&said("next")),
            _ => Go::On,
        };
        // nothing but its end can come
        let ended = peer.exactly(1);
        assert!(ended.is_err());
        let told = left
            .lock()
            .expect("nothing panics holding it")
            .send(asked.line().to_owned());
        told.expect("the test waits");
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    let mut h2 = h2(&stage);
    h2.get(1, "/waits");
    h2.get(3, "/begun");
    assert_eq!(h2.status(3), "200");
    assert_eq!(h2.bytes(3, 3), b"abc");
    h2.open(5, &post("/body"));
    stage.origin.asked_when(3);
    for stream in [1, 3, 5] {
        h2.send(&frame((RST_STREAM, 0), stream, &[0, 0, 0, 8]));
    }
    let mut told: Vec<String> = (0..3)
        .map(|_| was_left.recv_timeout(PATIENCE).expect("its server is told"))
        .collect();
    told.sort();
    assert_eq!(told, ["GET /begun", "GET /waits", "POST /body"]);
    for (path, status) in [("/waits", 0), ("/begun", 200), ("/body", 0)] {
        let line = stage.line(path);
        let facts = ["status", "outcome", "fault"].map(|name| line[name].clone());
        let wanted: [Value; 3] = [status.into(), "failed".into(), "client".into()];
        assert_eq!(facts, wanted, "{path}");
    }
    crate::eventually("all connections to the server are closed", || {
        stage.proxy.metric("portcullis_upstream_connections_open", &[]) == 0.0
    });
    // the connection goes on
    h2.get(7, "/next");
    assert_eq!((h2.status(7), h2.bytes(7, 4)), ("200".into(), b"next".to_vec()));
}

#[test]
fn a_body_that_its_client_breaks_off_never_looks_complete() {
    let (took, taken) = mpsc::channel();
    let took = Mutex::new(took);
    let origin = Origin::at_heads(move |_, peer| {
        let took = took.lock().expect("nothing panics holding it");
        let chunk = peer.until(b"abc\r\n").expect("the first chunk");
        took.send(chunk).expect("the test waits");
        let mut rest = Vec::new();
        while let Ok(byte) = peer.exactly(1) {
            rest.extend(byte);
        }
        took.send(rest).expect("the test waits");
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    // NO_ERROR and CANCEL too: a client that gives up may say either
    for reason in [0, 2, 8] {
        let mut h2 = h2(&stage);
        let path = format!("/{reason}");
        h2.open(1, &post(&path));
        h2.data(1, b"abc", 0);
        assert!(taken.recv_timeout(PATIENCE).is_ok(), "its server has that");
        h2.send(&frame((RST_STREAM, 0), 1, &[0, 0, 0, reason]));
        let rest = taken.recv_timeout(PATIENCE).expect("its server is told");
        assert_eq!(String::from_utf8_lossy(&rest), "", "{reason}");
        let line = stage.line(&path);
        assert_eq!((&line["outcome"], &line["fault"]), (&"failed".into(), &"client".into()));
    }
}

#[test]
fn interim_answers_come_before_the_answer_on_a_stream() {
    let origin = Origin::start(|_, peer| {
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        peer.say(&[&hints[..], &hints[..], &said("done")[..]].concat())
    });
    let stage = Stage::set(origin, Lines::default());
    let mut h2 = h2(&stage);
    h2.get(1, "/");
    assert_eq!([h2.status(1), h2.status(1), h2.status(1)], ["103", "103", "200"]);
    assert_eq!(h2.bytes(1, 4), b"done");
    let line = stage.line("/");
    assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"ok".into()));
}

#[test]
fn trailers_pass_between_http_2_and_chunks_both_ways() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
    });
    let stage = Stage::set(origin, Lines::default());
    let mut h2 = h2(&stage);
    h2.open(1, &post("/"));
    h2.data(1, b"hello", 0);
    let trailers = [("x-count", "5"), ("content-type", "a/b")];
    h2.send(&frame((HEADERS, END_HEADERS | END_STREAM), 1, &block(&trailers)));
    assert_eq!((h2.status(1), h2.bytes(1, 3)), ("200".into(), b"abc".to_vec()));
    // whether it is compressed or not, it is no empty DATA that ends the stream
    let end = h2.wait_for(|frame| frame.stream == 1 && frame.flags & END_STREAM != 0);
    let end = end.expect("the end");
    assert_eq!(end.kind, HEADERS);
    // `x-sum: 6` as a literal by Huffman's code (RFC 7541 B), and nothing else
    assert_eq!(end.payload, [0, 0x84, 0xf2, 0xb2, 0x2d, 0xa7, 0x81, 0x73]);
    let asked = &stage.origin.asked()[0];
    assert_eq!(
        (&asked.body[..], &*asked.trailers.to_lowercase()),
        (&b"hello"[..], "x-count: 5\r\n")
    );
}

#[test]
fn a_body_that_trickles_is_given_up_on_either_version() {
    let stage = Stage::plain();
    let at_a_time = Duration::from_secs(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut talk = stage.talk();
            talk.send("POST /one HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
            // 5 bytes a second where 240 are asked, over 20 s
            let took = (0..30).take_while(|_| {
                thread::sleep(at_a_time);
                talk.stream.write_all(&[b'x'; 10]).is_ok()
            });
            assert!(took.count() < 30, "it may go on for ever");
            assert_eq!(talk.answer(Body::Expected).expect("an answer").status, 408);
        });
        scope.spawn(|| {
            let mut h2 = h2(&stage);
            h2.open(1, &post("/two"));
            for _ in 0..30 {
                thread::sleep(at_a_time);
                // it may be answered at any of these, and is not closed on
                if h2.stream.write_all(&frame((DATA, 0), 1, &[b'x'; 10])).is_err() {
                    break;
                }
                if stage.proxy.lines("request").iter().any(|line| line["path"] == "/two") {
                    break;
                }
            }
            assert_eq!(h2.status(1), "408");
        });
    });
    for path in ["/one", "/two"] {
        let line = stage.line(path);
        let facts = ["status", "outcome", "fault"].map(|name| line[name].clone());
        let wanted: [Value; 3] = [408.into(), "failed".into(), "client".into()];
        assert_eq!(facts, wanted, "{path}");
    }
}

#[test]
fn a_client_of_http_1_1_that_takes_nothing_is_given_up() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while peer.say(&[7; 16 * 1024]) == Go::On {}
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    let mut talk = stage.talk();
    talk.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // 20 s without a byte
    let wait = || stage.proxy.lines("request").pop();
    let line = (0..600).find_map(|_| {
        thread::sleep(Duration::from_millis(100));
        wait()
    });
    let line = line.expect("it is over within a minute");
    assert_eq!((&line["outcome"], &line["fault"]), (&"failed".into(), &"client".into()));
    assert_eq!(line["error"], "it takes its answer too slowly");
    assert!(talk.answer(Body::Expected).is_err(), "it does not look complete");
}
