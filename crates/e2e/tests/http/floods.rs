//! HTTP/2 frames as no honest client sends them: what they cost is bounded, and others are served meanwhile.
use crate::{Lines, SIDE, Stage, origin::Origin};
use std::io::{Read, Write};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// RFC 9113 4.1.
fn frame((kind, flags): (u8, u8), stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET http://localhost/` by RFC 7541's static table.
fn get() -> Vec<u8> {
    [&[0x82, 0x86, 0x84, 0x41, 9], &b"localhost"[..]].concat()
}

/// Sends a flood without reading, as far as it is taken, and reads what was said to it.
fn flood(stage: &Stage, frames: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut talk = stage.side();
    let socket = &mut talk.stream;
    let patient = std::time::Duration::from_secs(3);
    socket
        .set_write_timeout(Some(patient))
        .expect("an open socket takes options");
    socket
        .set_read_timeout(Some(patient))
        .expect("an open socket takes options");
    let _ = socket.write_all(&[PREFACE, &frame((SETTINGS, 0), 0, &[])].concat());
    for frame in frames {
        if socket.write_all(&frame).is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    // it may be reset
    let _ = socket.read_to_end(&mut said);
    said
}

#[test]
fn a_flood_of_frames_ends_and_others_are_served_meanwhile() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            top: "workers = 1",
            more: SIDE,
            ..Lines::default()
        },
    );
    let one = flood(&stage, std::iter::once(frame((HEADERS, 5), 1, &get())));
    assert!(
        one.windows(5).any(|said| said == b"GET /"),
        "these frames are a request: {one:02x?}"
    );
    let streams = || (0..20_000_u32).map(|n| 2 * n + 1);
    let resets = streams().map(|id| {
        [
            frame((HEADERS, 5), id, &get()),
            frame((RST_STREAM, 0), id, &[0, 0, 0, 8]),
        ]
        .concat()
    });
    let pings = (0..200_000).map(|_| frame((PING, 0), 0, &[0; 8]));
    let settings = (0..200_000).map(|_| frame((SETTINGS, 0), 0, &[0, 3, 0, 0, 0, 9]));
    // a head that never ends (CVE-2024-27316)
    let literal = [&[0_u8, 3][..], b"x-a", &[100], &[b'a'; 100][..]].concat().repeat(100);
    let endless = std::iter::once(frame((HEADERS, 1), 1, &get()))
        .chain((0..20_000).map(move |_| frame((CONTINUATION, 0), 1, &literal)));
    let floods: [Box<dyn Iterator<Item = Vec<u8>> + Send>; 4] =
        [Box::new(resets), Box::new(pings), Box::new(settings), Box::new(endless)];
    std::thread::scope(|scope| {
        let floods = floods.map(|frames| scope.spawn(|| flood(&stage, frames)));
        let mut other = stage.talk();
        for n in 0..100 {
            let answer = other.ask(format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            assert_eq!(answer.text(), format!("GET /{n}"));
        }
        for flood in floods {
            flood.join().expect("no panic");
        }
    });
    let reached = stage
        .origin
        .asked()
        .iter()
        .filter(|asked| asked.line() == "GET /")
        .count();
    assert!(
        reached < 5000,
        "{reached} requests that nobody waits for reached the server"
    );
    stage
        .proxy
        .record_where(|line| line["outcome"] == "failed" && line["stage"] == "request");
    stage.proxy.connections_become(0);
}
