//! HTTP/1.1 responses: where they end, and what is refused.
use portcullis_wire::http1::{Asked, Bad, Framing, MAX_FIELDS, NO_FIELD, ResponseHead, Version, response};

/// What becomes of the body, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

fn body(framing: &Framing) -> Body {
    match framing {
        Framing::Empty => Body::Empty,
        Framing::Length(length) => Body::Length(*length),
        Framing::Chunked(_) => Body::Chunked,
        Framing::UntilClose => Body::UntilClose,
    }
}

fn with_head<T>(bytes: &[u8], asked: Asked, ask: impl FnOnce(ResponseHead<'_>) -> T) -> Result<Option<T>, Bad> {
    let mut fields = [NO_FIELD; MAX_FIELDS];
    Ok(response(bytes, &mut fields, asked)?.map(ask))
}

const LENGTH: &str = "Content-Length: 5\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn a_response_ends_where_its_status_and_its_request_say() {
    let cases = [
        (Asked::Other, "HTTP/1.1 200 OK", LENGTH, Body::Length(5), true),
        (
            Asked::Other,
            "HTTP/1.1 200 OK",
            "Content-Length: 0\r\n",
            Body::Length(0),
            true,
        ),
        (Asked::Other, "HTTP/1.1 200 OK", CHUNKED, Body::Chunked, true),
        (Asked::Other, "HTTP/1.1 200 OK", "", Body::UntilClose, false),
        (
            Asked::Other,
            "HTTP/1.1 200 OK",
            "Connection: keep-alive\r\n",
            Body::UntilClose,
            false,
        ),
        (Asked::Other, "HTTP/1.1 500 No", LENGTH, Body::Length(5), true),
        (Asked::Other, "HTTP/1.1 999 No", LENGTH, Body::Length(5), true),
        (Asked::Other, "HTTP/1.0 200 OK", LENGTH, Body::Length(5), false),
        (
            Asked::Other,
            "HTTP/1.0 200 OK",
            "Content-Length: 5\r\nConnection: keep-alive\r\n",
            Body::Length(5),
            true,
        ),
        (Asked::Other, "HTTP/1.0 200 OK", "", Body::UntilClose, false),
        (Asked::Other, "HTTP/1.1 204 No", "", Body::Empty, true),
        (
            Asked::Other,
            "HTTP/1.1 204 No",
            "Content-Length: 0\r\n",
            Body::Empty,
            true,
        ),
        (Asked::Other, "HTTP/1.1 204 No", LENGTH, Body::Empty, false),
        (Asked::Other, "HTTP/1.1 204 No", CHUNKED, Body::Empty, false),
        (Asked::Other, "HTTP/1.1 304 No", LENGTH, Body::Empty, true),
        (Asked::Other, "HTTP/1.1 304 No", "", Body::Empty, true),
        (Asked::Other, "HTTP/1.1 205 No", "", Body::UntilClose, false),
        (Asked::Other, "HTTP/1.1 100 Continue", "", Body::Empty, true),
        (
            Asked::Other,
            "HTTP/1.1 103 Early Hints",
            "Link: </a>\r\n",
            Body::Empty,
            true,
        ),
        (Asked::Head, "HTTP/1.1 200 OK", LENGTH, Body::Empty, true),
        (Asked::Head, "HTTP/1.1 200 OK", CHUNKED, Body::Empty, true),
        (Asked::Head, "HTTP/1.1 200 OK", "", Body::Empty, true),
        (Asked::Head, "HTTP/1.1 404 No", LENGTH, Body::Empty, true),
        (
            Asked::Head,
            "HTTP/1.1 200 OK",
            "Connection: close\r\n",
            Body::Empty,
            false,
        ),
        (
            Asked::Upgrade,
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket\r\n",
            Body::UntilClose,
            false,
        ),
        (Asked::Upgrade, "HTTP/1.1 200 OK", LENGTH, Body::Length(5), true),
        (Asked::Connect, "HTTP/1.1 200 OK", LENGTH, Body::UntilClose, false),
        (Asked::Connect, "HTTP/1.1 403 No", LENGTH, Body::Length(5), true),
    ];
    for (asked, line, fields, expected, persists) in cases {
        let text = format!("{line}\r\n{fields}\r\n");
        let found = with_head(text.as_bytes(), asked, |head| (body(&head.framing), head.persists));
        assert_eq!(found, Ok(Some((expected, persists))), "{asked:?}: {text}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let cases = [
        ("HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: 5, 5\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: +5\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: 05\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: 0x5\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: \r\n"),
        ("HTTP/1.1 200 OK", "Content-Length: 99999999999999999999\r\n"),
        ("HTTP/1.1 200 OK", "Content-Length : 5\r\n"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked\r\n"),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: identity\r\n"),
        (
            "HTTP/1.1 200 OK",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n"),
        ("HTTP/1.1 200 OK", "X-A: b\r\n c\r\n"),
        ("HTTP/1.1 200 OK", "X-A: b\nX-C: d\r\n"),
        ("HTTP/1.1 200 OK", "X-A: b\rX-C: d\r\n"),
        ("HTTP/1.1 200 OK", "X-A: b\0\r\n"),
        ("HTTP/1.1 200 OK", "X A: b\r\n"),
        ("HTTP/1.1 200 OK", "Connection: content-length\r\nContent-Length: 5\r\n"),
        ("HTTP/1.1 100 Continue", "Content-Length: 5\r\n"),
        ("HTTP/1.1 103 Early Hints", "Transfer-Encoding: chunked\r\n"),
        ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket\r\n"),
        ("HTTP/1.1 20 OK", ""),
        ("HTTP/1.1 2000 OK", ""),
        ("HTTP/1.1 099 OK", ""),
        ("HTTP/1.1 2x0 OK", ""),
        ("HTTP/1.1 +20 OK", ""),
        ("HTTP/1.1 200OK", ""),
        ("HTTP/1.1 200\tOK", ""),
        ("HTTP/1.1  200 OK", ""),
        ("HTTP/1.1 OK", ""),
        ("HTTP/1.1", ""),
        ("HTTP/1.1 200 O\0K", ""),
        ("HTTP/1.1 200 O\rK", ""),
        ("HTTP/1.1 200 OK\r", ""),
        ("http/1.1 200 OK", ""),
        ("HTTP/1.2 200 OK", ""),
        ("HTTP/2.0 200 OK", ""),
        ("HTTP/0.9 200 OK", ""),
        ("HTTP/1.10 200 OK", ""),
        ("HTTPS/1.1 200 OK", ""),
        ("ICY 200 OK", ""),
        (" HTTP/1.1 200 OK", ""),
        ("\r\nHTTP/1.1 200 OK", ""),
        ("GET / HTTP/1.1", "Host: a\r\n"),
    ];
    for (line, fields) in cases {
        let text = format!("{line}\r\n{fields}\r\n");
        let found = with_head(text.as_bytes(), Asked::Other, |head| format!("{head:?}"));
        assert!(found.is_err(), "{text:?} became {found:?}");
    }
}

#[test]
fn lengths_that_contradict_are_refused_even_where_no_body_follows() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    for asked in [Asked::Head, Asked::Connect, Asked::Upgrade, Asked::Other] {
        assert!(with_head(text, asked, |_| ()).is_err(), "{asked:?}");
    }
}

#[test]
fn a_reason_may_be_anything_or_missing() {
    let cases: [(&[u8], &str); 7] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", "OK"),
        (b"HTTP/1.1 200\r\n\r\n", ""),
        (b"HTTP/1.1 200 \r\n\r\n", ""),
        (b"HTTP/1.1 200 all is well\r\n\r\n", "all is well"),
        (b"HTTP/1.1 200 a\tb\r\n\r\n", "a\tb"),
        (b"HTTP/1.1 200 \xc3\xa4\r\n\r\n", ""),
        (b"HTTP/1.1 200 \xff\r\n\r\n", ""),
    ];
    for (bytes, reason) in cases {
        assert_eq!(
            with_head(bytes, Asked::Other, |head| head.reason.to_owned()),
            Ok(Some(reason.to_owned()))
        );
    }
}

#[test]
fn a_head_in_pieces_waits_for_its_last_byte() {
    let bytes = b"HTTP/1.0 404 Not Found\r\nServer: x\r\nX-High: \xe4\r\n\r\nbody";
    let length = bytes.len() - 4;
    for cut in 0..length {
        assert_eq!(with_head(&bytes[..cut], Asked::Other, |_| ()), Ok(None), "at {cut}");
    }
    for cut in length..=bytes.len() {
        with_head(&bytes[..cut], Asked::Other, |head| {
            assert_eq!((head.status, head.version, head.length), (404, Version::Http10, length));
            assert_eq!((head.fields[1].name, head.fields[1].value), ("X-High", &b"\xe4"[..]));
            assert!(!head.is_interim());
        })
        .unwrap()
        .unwrap();
    }
}

#[test]
fn only_what_another_response_follows_is_interim() {
    for (status, asked, is_interim) in [
        (100, Asked::Other, true),
        (103, Asked::Head, true),
        (101, Asked::Upgrade, false),
        (200, Asked::Other, false),
    ] {
        let text = format!("HTTP/1.1 {status} X\r\n\r\n");
        assert_eq!(
            with_head(text.as_bytes(), asked, |head| head.is_interim()),
            Ok(Some(is_interim)),
            "{status}"
        );
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let long_line = [&b"HTTP/1.1 200 "[..], &[b'a'; 20_000]].concat();
    let long_head = [&b"HTTP/1.1 200 OK\r\nX-A: "[..], &[b'a'; 40_000]].concat();
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101)).into_bytes();
    for bytes in [long_line, long_head, many_fields] {
        assert_eq!(
            with_head(&bytes, Asked::Other, |_| ()).map_err(|bad| bad.status()),
            Err(431)
        );
    }
}

#[test]
fn a_close_ends_only_what_lasts_until_then() {
    let chunked = || {
        with_head(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Asked::Other,
            |head| head.framing,
        )
    };
    let mut framings = [
        (Framing::Empty, true),
        (Framing::Length(0), true),
        (Framing::Length(1), false),
        (Framing::UntilClose, true),
        (chunked().unwrap().unwrap(), false),
    ];
    for (framing, is_end) in &mut framings {
        assert_eq!(framing.ended().is_ok(), *is_end, "{framing:?}");
        assert_eq!(framing.is_done(), *is_end, "{framing:?}");
    }
    let mut chunks = chunked().unwrap().unwrap();
    assert_eq!(chunks.step(b"0\r\n\r\nnext").unwrap().consumed, 5);
    assert!(chunks.ended().is_ok());
}

#[test]
fn a_body_until_the_close_takes_all_there_is() {
    let mut framing = Framing::UntilClose;
    let step = framing.step(b"all").unwrap();
    assert_eq!((step.consumed, step.data), (3, 0..3));
    assert!(!framing.is_done());
}
