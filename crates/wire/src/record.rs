//! TLS record headers.

/// The longest record payload TLS 1.3 allows on the wire (2^14 + 256, RFC 8446 section 5.2).
pub const MAX_PAYLOAD: usize = 16 * 1024 + 256;
/// The longest payload of a record that is not encrypted (2^14, RFC 8446 section 5.1).
pub const MAX_PLAINTEXT: usize = 16 * 1024;
/// Bytes of a record header: type, version, length.
pub const HEADER: usize = 5;
/// The record type of alerts.
pub const ALERT: u8 = 21;
/// The record type of handshake messages.
pub const HANDSHAKE: u8 = 22;
/// The first byte of every version that has this record format; the second says nothing (RFC 8446
/// section 5.1 tells receivers to ignore it).
pub const VERSION_MAJOR: u8 = 3;
