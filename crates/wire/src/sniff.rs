//! What a connection's first bytes are.

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

/// Looks at a connection's first bytes.
pub fn sniff(_first: &[u8]) -> Sniffed {
    todo!()
}
