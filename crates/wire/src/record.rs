//! TLS record headers.
/// The longest record payload TLS 1.3 allows on the wire (2^14 + 256).
pub const MAX_PAYLOAD: usize = 16 * 1024 + 256;
