use portcullis_wire::sniff::{MOST_NEEDED, Sniffed, sniff};

use crate::forge::Random;

const POSTGRES: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// First bytes, what they are, and from how many bytes on that is known.
const TABLE: &[(&[u8], Sniffed, usize)] = &[
    (&[22, 3, 1, 2, 0], Sniffed::Tls, 2),
    (&[22, 3, 3, 0, 5], Sniffed::Tls, 2),
    (&[22, 2, 0, 0, 0], Sniffed::Other, 2),
    (&[21, 3, 1, 0, 2], Sniffed::Other, 1),
    (&[0x80, 0x2e, 1, 3, 1], Sniffed::Other, 1),
    (b"GET / HTTP/1.1\r\n", Sniffed::Http1, 5),
    (b"OPTIONS * HTTP/1.1\r\n", Sniffed::Http1, 9),
    (b"M-SEARCH * HTTP/1.1\r\n", Sniffed::Http1, 10),
    (b"GET http://shop.example.com/ HTTP/1.1\r\n", Sniffed::Http1, 8),
    (b"GET HTTPS://shop.example.com/ HTTP/1.1\r\n", Sniffed::Http1, 8),
    (b"CONNECT shop.example.com:443 HTTP/1.1\r\n", Sniffed::Http1, 9),
    (b"CONNECT [::1]:443 HTTP/1.1\r\n", Sniffed::Http1, 9),
    (b"PRINT / HTTP/1.1\r\n", Sniffed::Http1, 7),
    (PREFACE, Sniffed::Http2, 24),
    (b"PRI * HTTP/2.0\r\n\r\nXX", Sniffed::Other, 19),
    (b"PRI / HTTP/1.1\r\n", Sniffed::Other, 5),
    (POSTGRES, Sniffed::PostgresTls, 8),
    (&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30], Sniffed::Other, 8),
    (&[0, 0, 0, 84, 0, 3, 0, 0], Sniffed::Other, 4),
    (b"get / HTTP/1.1\r\n", Sniffed::Other, 1),
    (b"SSH-2.0-OpenSSH_9.2\r\n", Sniffed::Other, 5),
    (b"EHLO mail.example.com\r\n", Sniffed::Other, 6),
    (b"HELO host\r\n", Sniffed::Other, 7),
    (b"A / HTTP/1.1\r\n", Sniffed::Other, 2),
    (b"GET\t/ HTTP/1.1\r\n", Sniffed::Other, 4),
    (b"PROXY TCP4 192.0.2.1", Sniffed::Other, 7),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", Sniffed::Other, 25),
    (b"\r\nGET / HTTP/1.1\r\n", Sniffed::Other, 1),
    (b"{\"a\":1}", Sniffed::Other, 1),
];

#[test]
fn each_protocol_is_known_from_as_few_bytes_as_tell_it() {
    for (bytes, what, from) in TABLE {
        for n in 0..=bytes.len() {
            let expected = if n < *from { Sniffed::Unsure } else { *what };
            assert_eq!(sniff(&bytes[..n]), expected, "{:?}", &bytes[..n]);
        }
    }
}

#[test]
fn an_answer_never_changes_and_comes_in_time() {
    let mut random = Random::new(2);
    for round in 0..20_000 {
        let mut bytes = random.bytes(MOST_NEEDED);
        let (start, ..) = TABLE[round % TABLE.len()];
        let kept = random.below(start.len().min(MOST_NEEDED) + 1);
        bytes[..kept].copy_from_slice(&start[..kept]);
        let last = sniff(&bytes);
        assert_ne!(last, Sniffed::Unsure, "{bytes:?}");
        for n in 0..bytes.len() {
            let earlier = sniff(&bytes[..n]);
            assert!(
                earlier == Sniffed::Unsure || earlier == last,
                "{:?} then {last:?}",
                &bytes[..n]
            );
        }
    }
}

#[test]
fn random_bytes_are_other() {
    let mut random = Random::new(3);
    let known = (0..100_000)
        .filter(|_| sniff(&random.bytes(MOST_NEEDED)) != Sniffed::Other)
        .count();
    // TLS needs two bytes right: one or two of these are to be expected, HTTP and PostgreSQL never.
    assert!(known < 10, "{known}");
}
