//! What a client of PostgreSQL says before TLS (the manual's "Message Formats": SSLRequest, GSSENCRequest,
//! CancelRequest, StartupMessage).

/// The meaning of a connection's first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Too few bytes to tell.
    Unsure,
    /// TLS at once (`sslnegotiation=direct`).
    Tls,
    /// "TLS, please": answered with one byte.
    SslRequest,
    /// "GSSAPI encryption, please": likewise.
    GssRequest,
    /// A wish to cancel a query of another connection, in the clear.
    Cancel,
    /// A session in the clear.
    Startup,
    /// Nothing that a client of PostgreSQL says.
    Other,
}

/// The application protocol of PostgreSQL (its server refuses direct TLS without it, and so does libpq).
pub const ALPN: &str = "postgresql";

/// A request for TLS or GSSAPI is so long, and nothing may follow it before the answer: what came with it would be
/// taken for what was encrypted (CVE-2021-23214).
pub const REQUEST_LEN: usize = 8;

/// "Here is TLS."
pub const YES: &[u8] = b"S";

/// "No, but go on."
pub const NO: &[u8] = b"N";

/// Looks at a connection's first bytes. An answer other than [`Opening::Unsure`] never changes when more bytes come,
/// and [`REQUEST_LEN`] bytes always give one.
pub fn opening(first: &[u8]) -> Opening {
    let Some((head, _)) = first.split_first_chunk::<REQUEST_LEN>() else {
        return match first.first() {
            Some(&crate::record::HANDSHAKE) => Opening::Tls,
            None | Some(0) => Opening::Unsure,
            Some(_) => Opening::Other,
        };
    };
    let [a, b, c, d, code @ ..] = *head;
    match (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(code)) {
        (8, SSL) => Opening::SslRequest,
        (8, GSS) => Opening::GssRequest,
        (16..=LONGEST, CANCEL) => Opening::Cancel,
        (8..=LONGEST, version) if version >> 16 == 3 => Opening::Startup,
        _ if a == crate::record::HANDSHAKE => Opening::Tls,
        _ => Opening::Other,
    }
}

/// A fatal error as PostgreSQL's server would send it: a code of five letters, and what a person reads.
pub fn fatal(code: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)] {
        fields.push(kind);
        fields.extend_from_slice(text.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let len = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    [&b"E"[..], &len.to_be_bytes(), &fields].concat()
}

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// PostgreSQL's own limit for a first packet.
const LONGEST: u32 = 10_000;
