//! Paths in their normal form, which bytes may stand where, and what is written.
use std::borrow::Cow;

use portcullis_wire::http1::{
    Bad, Field, Framing, MAX_FIELDS, NO_FIELD, is_field_name, is_field_value, is_hop_by_hop, is_host, is_method,
    is_same_to_a_gateway, is_token, path, request, write,
};

#[test]
fn a_path_has_one_normal_form() {
    let cases = [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/./b/.", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/b/../../..", "/"),
        ("/..", "/"),
        ("/../..//a", "//a"),
        ("//../a", "/a"),
        ("/a//../b", "/a/b"),
        ("/%2e", "/"),
        ("/%2E%2e/%61", "/a"),
        ("/%41%5a%30%2d%2E%5f%7e", "/AZ0-._~"),
        ("/%c3%a4%3b%2c", "/%C3%A4%3B%2C"),
        ("/a;b=c,d@e:f!$&'()*+", "/a;b=c,d@e:f!$&'()*+"),
        ("/...", "/..."),
        ("/a.b/.c/d.", "/a.b/.c/d."),
    ];
    for (sent, normal) in cases {
        assert_eq!(path::normal(sent).as_deref(), Ok(normal), "{sent}");
        assert_eq!(
            path::normal(normal).as_deref(),
            Ok(normal),
            "{normal} is normal already"
        );
    }
}

#[test]
fn a_path_that_backends_disagree_over_is_refused() {
    let bad = [
        "", "a", "*", "?", "/%", "/%4", "/%4g", "/%g4", "/%2f", "/%2F", "/%5c", "/%5C", "/%00", "/\\", "/a b", "/ä",
        "/\0", "/\n", "/#", "/\u{7f}", "/%é",
    ];
    for path in bad {
        assert_eq!(path::normal(path).map_err(|bad| bad.status()), Err(400), "{path:?}");
    }
}

#[test]
fn a_normal_path_costs_no_allocation() {
    for path in ["/", "/a/b.c/d", "//a", "/%20", "/.well-known/x"] {
        assert!(matches!(path::normal(path), Ok(Cow::Borrowed(_))), "{path}");
    }
}

#[test]
fn slashes_more_than_one_get_past_no_prefix() {
    for (path, merged) in [("/a/b", "/a/b"), ("//a///b//", "/a/b/"), ("/", "/"), ("//", "/")] {
        assert_eq!(path::merged(path), merged);
    }
    let cases = [
        ("/api/x", "/api/", Some("x")),
        ("//api//x", "/api/", Some("x")),
        ("/api///", "/api/", Some("")),
        ("/api/x//y", "/api/", Some("x//y")),
        ("/api", "/api/", None),
        ("/apix", "/api", Some("x")),
        ("/a", "/api", None),
        ("///", "/", Some("")),
        ("/x", "", Some("/x")),
    ];
    for (path, prefix, rest) in cases {
        assert_eq!(path::after(path, prefix), rest, "{path} after {prefix}");
    }
}

#[test]
fn what_is_written_can_be_read_back() {
    let numbers = [
        0,
        1,
        9,
        10,
        99,
        100,
        12_345,
        u64::from(u32::MAX),
        999_999_999_999_999_999,
        u64::MAX,
    ];
    for number in numbers {
        let mut out = b"x".to_vec();
        write::decimal(&mut out, number);
        assert_eq!(String::from_utf8(out), Ok(format!("x{number}")));
    }
    for size in [1, 15, 16, 255, 256, 4095, 65_536, usize::MAX] {
        let mut out = Vec::new();
        write::chunk_size(&mut out, size);
        assert_eq!(String::from_utf8(out), Ok(format!("{size:x}\r\n")));
    }
    let mut out = Vec::new();
    write::status_line(&mut out, 404);
    write::field(&mut out, "server", b"x");
    write::status_line(&mut out, 299);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "HTTP/1.1 404 Not Found\r\nserver: x\r\nHTTP/1.1 299 \r\n"
    );
}

#[test]
fn chunks_that_were_written_hold_what_went_in() {
    let mut out = Vec::new();
    for piece in [&b"a"[..], &[b'\r'; 300], b"0\r\n\r\n"] {
        write::chunk_size(&mut out, piece.len());
        out.extend_from_slice(piece);
        out.extend_from_slice(write::CRLF);
    }
    let trailers = [
        Field {
            name: "grpc-status",
            value: b"0",
        },
        Field {
            name: "x",
            value: b"\xe4",
        },
    ];
    write::last_chunk(&mut out, trailers.into_iter());
    let (mut framing, mut data, mut rest) = (chunked(), Vec::new(), &out[..]);
    while !framing.is_done() {
        assert_eq!(framing.trailers().map(|chunks| chunks.trailers().count()), None);
        let step = framing.step(rest).unwrap();
        assert!(step.consumed > 0);
        data.extend_from_slice(&rest[step.data]);
        rest = &rest[step.consumed..];
    }
    assert_eq!(rest, b"");
    assert_eq!(data, [&b"a"[..], &[b'\r'; 300], b"0\r\n\r\n"].concat());
    assert_eq!(framing.trailers().unwrap().trailers().collect::<Vec<_>>(), trailers);
}

#[test]
fn one_step_goes_up_to_the_next_payload() {
    let mut framing = chunked();
    let input = b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\nGET";
    let first = framing.step(input).unwrap();
    assert_eq!((first.consumed, first.data), (13, 3..6));
    let second = framing.step(&input[13..]).unwrap();
    assert_eq!((second.consumed, second.data), (9, 0..2));
    assert!(framing.is_done());
    let after = framing.step(&input[22..]).unwrap();
    assert_eq!((after.consumed, after.data), (0, 0..0));
    assert_eq!(&input[22..], b"GET");
}

#[test]
fn which_bytes_may_stand_where_is_a_table() {
    for byte in 0..=255u8 {
        let is_mark = b"!#$%&'*+-.^_`|~".contains(&byte);
        assert_eq!(
            is_token(&[b'a', byte]),
            byte.is_ascii_alphanumeric() || is_mark,
            "{byte:#x}"
        );
        assert_eq!(is_field_name(&[byte]), is_token(&[byte]), "{byte:#x}");
        let is_value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        assert_eq!(is_field_value(&[b'a', byte, b'b']), is_value, "{byte:#x}");
        assert_eq!(
            is_method(&[byte]),
            byte.is_ascii_alphanumeric() || b"-_".contains(&byte),
            "{byte:#x}"
        );
    }
    assert!(!is_token(b"") && !is_method(b"") && is_field_value(b""));
    assert!(is_host(b"a") && is_host(b"[::1]:1") && !is_host(b"") && !is_host(b"[::1]1"));
}

#[test]
fn names_are_compared_as_they_are_read() {
    for name in [
        "Connection",
        "TE",
        "keep-alive",
        "Upgrade",
        "transfer-encoding",
        "Proxy-Connection",
        "HTTP2-Settings",
    ] {
        assert!(is_hop_by_hop(name), "{name}");
    }
    for name in ["Host", "Trailer", "Content-Length", "X-Connection", "TE2", ""] {
        assert!(!is_hop_by_hop(name), "{name}");
    }
    assert!(is_same_to_a_gateway("X_Forwarded-for", "x-forwarded-For"));
    assert!(!is_same_to_a_gateway("X-Forwarded-For", "X.Forwarded.For"));
    assert!(!is_same_to_a_gateway("X-Forwarded", "X-Forwarded-For"));
}

#[test]
fn what_was_wrong_is_said_without_what_the_peer_sent() {
    let mut fields = [NO_FIELD; MAX_FIELDS];
    let bad = request(b"GET / HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n", &mut fields).unwrap_err();
    assert_eq!(
        (bad.status(), bad.to_string().as_str()),
        (400, "a field's value holds a control byte")
    );
    let _: &dyn std::error::Error = &bad;
    assert_eq!(bad, Bad::clone(&bad));
}

fn chunked() -> Framing {
    let mut fields = [NO_FIELD; MAX_FIELDS];
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    request(head, &mut fields).expect("accepted").expect("whole").framing
}
