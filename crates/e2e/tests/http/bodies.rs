//! Bodies: large ones, early answers, limits.
use crate::{
    Go, Lines, Stage,
    origin::{Origin, said},
    pattern,
    talk::{Body, Talk},
};
use std::{io::Write, thread, time::Duration};

/// Larger than all buffers on the way together.
const LARGE: usize = 100 * 1024 * 1024;

fn sum(bytes: &[u8]) -> String {
    // FNV-1a: a body that differs in a byte or in its order differs here
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x} {}", bytes.len())
}

#[test]
fn a_hundred_megabytes_arrive_unchanged_both_ways() {
    let origin = Origin::start(|asked, peer| {
        if asked.line().starts_with("POST") {
            return peer.say(&said(&sum(&asked.body)));
        }
        let body = pattern(LARGE);
        if asked.line() == "GET /length" {
            peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
            return peer.say(&body);
        }
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(70_001) {
            peer.say(format!("{:x}\r\n", piece.len()).as_bytes());
            peer.say(piece);
            peer.say(b"\r\n");
        }
        peer.say(b"0\r\n\r\n")
    });
    let stage = Stage::set(origin, Lines::default());
    let (body, mut talk) = (pattern(LARGE), stage.talk());
    let wanted = sum(&body);
    talk.send(format!(
        "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE}\r\n\r\n"
    ));
    talk.send(&body);
    assert_eq!(talk.answer(Body::Expected).expect("an answer").text(), wanted);
    talk.send("POST /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(1_000_003) {
        talk.send(format!("{:x}\r\n", piece.len()));
        talk.send(piece);
        talk.send("\r\n");
    }
    talk.send("0\r\n\r\n");
    assert_eq!(talk.answer(Body::Expected).expect("an answer").text(), wanted);
    for path in ["/length", "/chunks"] {
        let answer = talk.ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(sum(&answer.body), wanted, "{path}");
    }
    assert_eq!(stage.line("/length")["bytes_in"], LARGE);
}

#[test]
fn a_server_that_answers_before_it_took_the_body_is_not_asked_again_on_that_connection() {
    let origin = Origin::at_heads(|asked, peer| peer.say(&said(asked.line())));
    let stage = Stage::set(origin, Lines::default());
    let mut talk = stage.talk();
    let early = talk.ask("POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc");
    assert_eq!(early.text(), "POST /early");
    let mut next = stage.talk();
    assert_eq!(
        next.ask("GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n").text(),
        "GET /next"
    );
    let asked = stage.origin.asked();
    assert_eq!(asked.len(), 2);
    assert_ne!(
        asked[0].connection, asked[1].connection,
        "the first still waits for its body"
    );
}

#[test]
fn an_early_refusal_reaches_a_client_that_still_sends() {
    let origin = Origin::at_heads(|_, peer| {
        peer.say(b"HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch");
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    let Talk { stream, .. } = stage.talk();
    let mut talk = Talk::tls(stream);
    talk.send("POST /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n");
    let piece = pattern(1 << 16);
    // it may be closed on at any of these
    let _ = (0..40).try_for_each(|_| talk.stream.write_all(&piece));
    let answer = talk.answer(Body::Expected).expect("the answer");
    assert_eq!((answer.status, answer.text()), (413, "much".into()));
}

#[test]
fn a_body_beyond_its_limit_is_refused_by_its_length_at_once_and_in_chunks_as_soon_as_it_is() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site: "upstream = 'back'\nlimits = { body = '10B' }",
            ..Lines::default()
        },
    );
    let length = |n: usize| {
        format!(
            "POST /{n} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n}\r\n\r\n{}",
            "x".repeat(n)
        )
    };
    let chunks = |n: usize| {
        let body = "1\r\nx\r\n".repeat(n);
        format!("POST /{n} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n")
    };
    for (request, status) in [
        (length(10), 200),
        (length(11), 413),
        (chunks(10), 200),
        (chunks(11), 413),
    ] {
        let mut talk = stage.talk();
        assert_eq!(talk.ask(&request).status, status, "{request}");
        assert_eq!(
            talk.ask("GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n").text(),
            "GET /next"
        );
    }
    let posts = stage
        .origin
        .asked()
        .iter()
        .filter(|asked| asked.line().starts_with("POST"))
        .count();
    assert_eq!(posts, 2);
    let line = stage.line("/11");
    let facts = ["status", "outcome", "stage", "fault"].map(|field| line[field].clone());
    let wanted: [serde_json::Value; 4] = [413.into(), "refused".into(), "request".into(), "client".into()];
    assert_eq!(facts, wanted);
}

#[test]
fn what_a_failed_server_left_of_a_body_is_never_taken_for_a_request() {
    // it takes nothing, so that the body waits in the proxy, and then gives up
    let origin = Origin::at_heads(|asked, peer| {
        if asked.line().starts_with("POST") {
            thread::sleep(Duration::from_millis(500));
            return Go::Reset;
        }
        peer.say(&said(asked.line()))
    });
    let stage = Stage::set(origin, Lines::default());
    let inner = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // what the sockets on the way hold is about 2.5 MB: of one of these the end waits in the proxy
    thread::scope(|scope| {
        for size in (1_000_000_usize..5_000_000).step_by(200_000) {
            let (stage, body) = (&stage, inner.repeat(size / inner.len()));
            scope.spawn(move || {
                let mut talk = stage.talk();
                let length = body.len();
                talk.send(format!(
                    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
                ));
                // it may be closed on at any time
                let _ = talk.stream.write_all(body.as_bytes());
                if talk.answer(Body::Expected).is_ok_and(|answer| answer.status == 502)
                    && talk
                        .stream
                        .write_all(b"GET /last HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        .is_ok()
                    && let Ok(next) = talk.answer(Body::Expected)
                {
                    assert_eq!(next.text(), "GET /last");
                }
            });
        }
    });
    let asked = stage.origin.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line()).collect();
    assert!(!lines.contains(&"GET /smuggled"), "{lines:?}");
}
