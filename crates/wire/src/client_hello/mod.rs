//! A ClientHello, read whole from any split into records and packets.
use std::fmt;

use crate::{
    alert::Alert,
    handshake,
    registry::{CipherId, GroupId, SchemeId},
};

mod body;
mod extensions;
mod host_name;

/// The longest ClientHello we read, header included.
pub const MAX_HELLO: usize = 16 * 1024;
/// The most records one hello may come in.
pub const MAX_RECORDS: usize = 64;
/// The most ALPN protocols, and the most key shares, that one hello may hold. Clients send three or four; 16 KiB of
/// them would take ten times as much memory to keep, before we know who is asking.
pub const MAX_LISTED: usize = 64;

/// What a client offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Bytes of the handshake message, header included.
    pub len: usize,
    /// `legacy_version`.
    pub legacy_version: u16,
    /// Cipher suites as sent.
    pub ciphers: Vec<CipherId>,
    /// Extension ids in the order sent.
    pub extensions: Vec<u16>,
    /// Server name: a DNS host name, lower case, without trailing dot.
    pub sni: Option<String>,
    /// ALPN protocols as sent.
    pub alpn: Vec<Vec<u8>>,
    /// `supported_versions`, or what `legacy_version` implies when it is absent.
    pub versions: Vec<u16>,
    /// Supported groups in the client's order.
    pub groups: Vec<GroupId>,
    /// Key shares: group and length of the key.
    pub key_shares: Vec<(GroupId, usize)>,
    /// `signature_algorithms`.
    pub schemes: Vec<SchemeId>,
    /// `signature_algorithms_cert`, empty when absent.
    pub cert_schemes: Vec<SchemeId>,
    /// The server's public key alone is wanted rather than its certificates (RFC 7250): it comes first in the list.
    pub wants_raw_public_key: bool,
    /// A pre-shared key is offered (a TLS 1.3 resumption).
    pub psk: bool,
    /// Early data is announced.
    pub early_data: bool,
    /// Encrypted ClientHello is offered.
    pub ech: bool,
}

/// What is wrong with a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// A record that is no handshake record, or a message that is not the hello that must come here.
    NotAClientHello,
    /// Longer than [`MAX_HELLO`].
    TooLong,
    /// More than [`MAX_RECORDS`] records.
    TooManyRecords,
    /// An empty handshake record, which carries nothing forward.
    EmptyRecord,
    /// A record longer than TLS allows.
    RecordOverflow,
    /// A length that does not fit what it stands in; where.
    Decode(&'static str),
    /// The same extension twice.
    DuplicateExtension(u16),
    /// The same key share group twice.
    DuplicateKeyShare(GroupId),
    /// A value the RFCs forbid; where.
    Illegal(&'static str),
}

/// How far a buffer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The hello is whole.
    Complete(Box<Hello>),
}

/// Reads a hello from TLS records as they came from a socket. Records after the hello are not looked at.
///
/// Called again each time bytes arrive: what is incomplete costs a walk over record headers, what can no
/// longer become a ClientHello is refused at the first byte that shows it.
pub fn from_records(buffer: &[u8]) -> Result<Progress, HelloError> {
    let Some(message) = handshake::from_records(buffer, CLIENT_HELLO)? else {
        return Ok(Progress::Incomplete);
    };
    if !message.ends_record {
        // A client has nothing to say before the answer, and RFC 8446 section 5.1 wants the record to end here.
        return Err(HelloError::Illegal("bytes after the hello in its record"));
    }
    complete(&message.bytes)
}

/// Reads a hello from a stream of handshake messages without record headers, as QUIC carries it.
pub fn from_handshake(buffer: &[u8]) -> Result<Progress, HelloError> {
    match handshake::from_stream(buffer, CLIENT_HELLO)? {
        Some(message) => complete(message),
        None => Ok(Progress::Incomplete),
    }
}

impl HelloError {
    /// The alert to answer with.
    pub fn alert(self) -> Alert {
        match self {
            HelloError::NotAClientHello | HelloError::EmptyRecord | HelloError::TooManyRecords => {
                Alert::UNEXPECTED_MESSAGE
            }
            HelloError::RecordOverflow => Alert::RECORD_OVERFLOW,
            HelloError::Decode(_) => Alert::DECODE_ERROR,
            HelloError::TooLong
            | HelloError::DuplicateExtension(_)
            | HelloError::DuplicateKeyShare(_)
            | HelloError::Illegal(_) => Alert::ILLEGAL_PARAMETER,
        }
    }
}

impl fmt::Display for HelloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HelloError::NotAClientHello => f.write_str("not the hello of a TLS handshake"),
            HelloError::TooLong => write!(f, "hello longer than {MAX_HELLO} bytes"),
            HelloError::TooManyRecords => write!(f, "hello in more than {MAX_RECORDS} records"),
            HelloError::EmptyRecord => f.write_str("empty handshake record"),
            HelloError::RecordOverflow => f.write_str("record longer than TLS allows"),
            HelloError::Decode(what) => write!(f, "malformed {what}"),
            HelloError::DuplicateExtension(id) => write!(f, "extension {id} twice"),
            HelloError::DuplicateKeyShare(group) => write!(f, "two key shares for {group}"),
            HelloError::Illegal(what) => write!(f, "illegal {what}"),
        }
    }
}

impl std::error::Error for HelloError {}

impl Hello {
    /// TLS 1.3 is among the versions.
    pub fn offers_tls13(&self) -> bool {
        self.versions.contains(&TLS13)
    }

    /// A share came for this group.
    pub fn has_share(&self, group: GroupId) -> bool {
        self.key_shares.iter().any(|(shared, _)| *shared == group)
    }

    /// The group is listed.
    pub fn lists(&self, group: GroupId) -> bool {
        self.groups.contains(&group)
    }
}

/// TLS 1.2 on the wire.
pub(crate) const TLS12: u16 = 0x0303;
/// TLS 1.3 on the wire.
pub(crate) const TLS13: u16 = 0x0304;

/// The handshake type of a ClientHello.
const CLIENT_HELLO: u8 = 1;

fn complete(message: &[u8]) -> Result<Progress, HelloError> {
    body::read(message).map(|hello| Progress::Complete(Box::new(hello)))
}
