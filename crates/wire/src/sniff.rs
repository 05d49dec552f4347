//! What a connection's first bytes are.
use crate::record;

/// The protocol that the first bytes belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sniffed {
    /// Too few bytes to tell.
    Unsure,
    /// A TLS handshake record.
    Tls,
    /// An HTTP/1 request line.
    Http1,
    /// The HTTP/2 connection preface.
    Http2,
    /// PostgreSQL's request to begin TLS.
    PostgresTls,
    /// None of these.
    Other,
}

/// Looks at a connection's first bytes. An answer other than [`Sniffed::Unsure`] never changes when more
/// bytes come, and [`MOST_NEEDED`] bytes always give one.
pub fn sniff(first: &[u8]) -> Sniffed {
    match first.first() {
        None => Sniffed::Unsure,
        Some(&record::HANDSHAKE) => match first.get(1) {
            None => Sniffed::Unsure,
            Some(&record::VERSION_MAJOR) => Sniffed::Tls,
            Some(_) => Sniffed::Other,
        },
        Some(0) => literal(first, &POSTGRES_SSL_REQUEST, Sniffed::PostgresTls),
        Some(b'A'..=b'Z') => http(first),
        Some(_) => Sniffed::Other,
    }
}

/// After so many bytes the answer is never [`Sniffed::Unsure`].
pub const MOST_NEEDED: usize = LONGEST_METHOD + 1 + HTTP_SCHEME.len();

/// A message of 8 bytes that asks for 1234.5679, PostgreSQL's number for "TLS, please". (1234.5680 asks for
/// GSSAPI encryption, which we do not speak.)
const POSTGRES_SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// RFC 9113 section 3.4.
/// What a client of HTTP/2 says first (RFC 9113 3.4).
pub const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The registered methods have 3 to 17 letters (`ACL`, `UPDATEREDIRECTREF`); some room for private ones.
const SHORTEST_METHOD: usize = 3;
const LONGEST_METHOD: usize = 24;

/// How an absolute-form target begins (`https` does too).
const HTTP_SCHEME: &[u8] = b"http";

/// `yes` once `first` has all of `whole`, other once it differs.
fn literal(first: &[u8], whole: &[u8], yes: Sniffed) -> Sniffed {
    if first.starts_with(whole) {
        yes
    } else if whole.starts_with(first) {
        Sniffed::Unsure
    } else {
        Sniffed::Other
    }
}

fn http(first: &[u8]) -> Sniffed {
    if first.starts_with(b"PRI ") {
        // The method is reserved for the preface (RFC 9113 section 11.6): nothing else begins so.
        return literal(first, HTTP2_PREFACE, Sniffed::Http2);
    }
    let letters = first
        .iter()
        .take_while(|byte| matches!(byte, b'A'..=b'Z' | b'-'))
        .count();
    if letters > LONGEST_METHOD {
        return Sniffed::Other;
    }
    match first.get(letters) {
        None => Sniffed::Unsure,
        Some(b' ') if letters >= SHORTEST_METHOD => target(&first[..letters], &first[letters + 1..]),
        Some(_) => Sniffed::Other,
    }
}

/// A request target in one of RFC 9112's four forms, so that `EHLO example.com` is no request.
fn target(method: &[u8], target: &[u8]) -> Sniffed {
    match target.first() {
        None => Sniffed::Unsure,
        Some(b'/' | b'*') => Sniffed::Http1,
        Some(b'[' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') if method == b"CONNECT" => Sniffed::Http1,
        Some(_) => {
            let n = target.len().min(HTTP_SCHEME.len());
            let lower = target[..n].to_ascii_lowercase();
            literal(&lower, HTTP_SCHEME, Sniffed::Http1)
        }
    }
}
