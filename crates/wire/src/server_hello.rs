//! A ServerHello or HelloRetryRequest.
use crate::{
    client_hello::HelloError,
    registry::{CipherId, GroupId},
};

/// What a server chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version: `supported_versions` when present, else `legacy_version`.
    pub version: u16,
    /// The cipher suite.
    pub cipher: CipherId,
    /// The group of the key share; None in TLS 1.2 (it comes in ServerKeyExchange).
    pub group: Option<GroupId>,
    /// This is a HelloRetryRequest.
    pub retry: bool,
    /// A pre-shared key was accepted.
    pub resumed: bool,
}

/// How far a buffer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The message is whole.
    Complete(ServerHello),
    /// The server answered with an alert instead.
    Alert(crate::alert::Alert),
}

/// Reads it from TLS records.
pub fn from_records(_buffer: &[u8]) -> Result<Progress, HelloError> {
    todo!()
}
/// Reads it from handshake messages without record headers, as QUIC carries them.
pub fn from_handshake(_buffer: &[u8]) -> Result<Progress, HelloError> {
    todo!()
}
