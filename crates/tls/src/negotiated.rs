//! What a handshake came to.
use portcullis_wire::{CipherId, GroupId, KeyExchange, SchemeId};

/// A TLS version we speak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// The class of a server's authentication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Authentication {
    /// The handshake signature and every signature in the chain sent are ML-DSA.
    Pq,
    /// Anything else.
    Classical,
    /// It cannot be seen.
    Unknown,
}

/// The class of a client's authentication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientAuthentication {
    /// A chain of ML-DSA signatures throughout.
    Pq,
    /// Another certificate.
    Classical,
    /// No certificate.
    None,
}

/// What a connection is worth against recording and forging.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Safety {
    /// Key exchange and authentication are quantum-safe.
    Full,
    /// The key exchange is.
    Confidential,
    /// Neither is.
    None,
    /// The certificate is hidden from us.
    Unknown,
    /// No TLS.
    Plain,
}

/// The client certificate that a handshake proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// Subject, RFC 4514 order as people write it: `CN=agent-7,O=Corp`.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// Serial number in lower-case hex.
    pub serial: String,
}

/// What a handshake came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Protocol version.
    pub version: Version,
    /// Key-exchange group; None when a TLS 1.2 session was resumed.
    pub group: Option<GroupId>,
    /// A HelloRetryRequest was needed.
    pub retry: bool,
    /// Cipher suite.
    pub cipher: CipherId,
    /// The server's signature; None when resumed.
    pub signature: Option<SchemeId>,
    /// Class of the server's authentication (of the original handshake when resumed).
    pub authentication: Authentication,
    /// Class of the client's authentication.
    pub client_authentication: ClientAuthentication,
    /// The client's certificate.
    pub client: Option<Box<ClientCertificate>>,
    /// The session was resumed.
    pub resumed: bool,
    /// The application protocol.
    pub alpn: Option<Vec<u8>>,
}

impl Version {
    /// `1.2` or `1.3`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl Authentication {
    /// `pq`, `classical` or `unknown`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl ClientAuthentication {
    /// `pq`, `classical` or `none`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl Safety {
    /// `full`, `confidential`, `none`, `unknown` or `plain`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl Negotiated {
    /// The class of the key exchange.
    pub fn key_exchange(&self) -> KeyExchange {
        todo!()
    }
    /// What it is worth.
    pub fn safety(&self) -> Safety {
        todo!()
    }
}
