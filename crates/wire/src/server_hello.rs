//! A ServerHello or HelloRetryRequest.
use crate::{
    alert::Alert,
    client_hello::{HelloError, TLS13},
    handshake,
    reader::{Reader, first_twice},
    record,
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
    Alert(Alert),
}

/// Reads it from TLS records. What follows the message is not looked at: a TLS 1.2 server goes on in the same record.
pub fn from_records(buffer: &[u8]) -> Result<Progress, HelloError> {
    if buffer.first() == Some(&record::ALERT) {
        return alert(buffer);
    }
    match handshake::from_records(buffer, SERVER_HELLO)? {
        Some(message) => read(&message.bytes).map(Progress::Complete),
        None => Ok(Progress::Incomplete),
    }
}

/// Reads it from handshake messages without record headers, as QUIC carries them.
pub fn from_handshake(buffer: &[u8]) -> Result<Progress, HelloError> {
    match handshake::from_stream(buffer, SERVER_HELLO)? {
        Some(message) => read(message).map(Progress::Complete),
        None => Ok(Progress::Incomplete),
    }
}

/// The handshake type of a ServerHello.
const SERVER_HELLO: u8 = 2;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// SHA-256 of "HelloRetryRequest": the random that makes a ServerHello one (RFC 8446 section 4.1.3).
const RETRY_RANDOM: [u8; handshake::RANDOM] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A plaintext alert stands alone in its record (RFC 8446 section 5.1).
fn alert(buffer: &[u8]) -> Result<Progress, HelloError> {
    const HEADER_OF_ALERT: [u8; 2] = [0, 2];
    if buffer.get(1).is_some_and(|major| *major != record::VERSION_MAJOR) {
        return Err(HelloError::NotAClientHello);
    }
    let len = buffer.get(3..).unwrap_or_default();
    if len.iter().zip(HEADER_OF_ALERT).any(|(is, must)| *is != must) {
        return Err(HelloError::Decode("alert"));
    }
    match buffer {
        [_, _, _, _, _, 1 | 2, description, ..] => Ok(Progress::Alert(Alert(*description))),
        [_, _, _, _, _, level, ..] if !matches!(level, 1 | 2) => Err(HelloError::Illegal("alert level")),
        _ => Ok(Progress::Incomplete),
    }
}

fn read(message: &[u8]) -> Result<ServerHello, HelloError> {
    let mut reader = Reader::new(message, "server hello");
    reader.take(handshake::HEADER)?;
    let version = reader.u16()?;
    let retry = reader.take(RETRY_RANDOM.len())? == RETRY_RANDOM;
    if reader.vec8()?.rest().len() > handshake::MAX_SESSION_ID {
        return Err(HelloError::Decode("session id"));
    }
    let cipher = CipherId(reader.u16()?);
    if reader.u8()? != 0 {
        return Err(HelloError::Illegal("compression method"));
    }
    let mut hello = ServerHello {
        version,
        cipher,
        group: None,
        retry,
        resumed: false,
    };
    if !reader.is_empty() {
        let list = reader.vec16()?;
        reader.end()?;
        extensions(list.named("extensions"), &mut hello)?;
    }
    if hello.retry && hello.version < TLS13 {
        return Err(HelloError::Illegal("retry without TLS 1.3"));
    }
    Ok(hello)
}

fn extensions(mut list: Reader<'_>, hello: &mut ServerHello) -> Result<(), HelloError> {
    let mut seen = Vec::new();
    while !list.is_empty() {
        let id = list.u16()?;
        let data = list.vec16()?;
        seen.push(id);
        extension(id, data, hello)?;
    }
    match first_twice(seen) {
        Some(id) => Err(HelloError::DuplicateExtension(id)),
        None => Ok(()),
    }
}

fn extension(id: u16, mut data: Reader<'_>, hello: &mut ServerHello) -> Result<(), HelloError> {
    match id {
        SUPPORTED_VERSIONS => hello.version = data.u16()?,
        PRE_SHARED_KEY => {
            data.u16()?;
            hello.resumed = true;
        }
        KEY_SHARE => {
            hello.group = Some(GroupId(data.u16()?));
            if !hello.retry {
                data.vec16()?.not_empty()?;
            }
        }
        _ => return Ok(()),
    }
    data.end()
}
