//! A ClientHello, read whole from any split into records and packets.
use crate::registry::{CipherId, GroupId, SchemeId};

/// The longest ClientHello we read, header included.
pub const MAX_HELLO: usize = 16 * 1024;
/// The most records one hello may come in.
pub const MAX_RECORDS: usize = 64;

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
    /// The first record is no handshake record, or the first message no ClientHello.
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

impl HelloError {
    /// The alert to answer with.
    pub fn alert(self) -> crate::alert::Alert {
        todo!()
    }
}

/// How far a buffer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The hello is whole.
    Complete(Box<Hello>),
}

/// Reads a hello from TLS records as they came from a socket. Bytes after the hello are not looked at.
pub fn from_records(_buffer: &[u8]) -> Result<Progress, HelloError> {
    todo!()
}
/// Reads a hello from a stream of handshake messages without record headers, as QUIC carries it.
pub fn from_handshake(_buffer: &[u8]) -> Result<Progress, HelloError> {
    todo!()
}

impl Hello {
    /// TLS 1.3 is among the versions.
    pub fn offers_tls13(&self) -> bool {
        todo!()
    }
    /// A share came for this group.
    pub fn has_share(&self, _group: GroupId) -> bool {
        todo!()
    }
    /// The group is listed.
    pub fn lists(&self, _group: GroupId) -> bool {
        todo!()
    }
}
