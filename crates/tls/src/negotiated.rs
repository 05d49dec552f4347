//! What a handshake came to.
use crate::identity::Certificate;
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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientCertificate {
    /// Subject, RFC 4514 order as people write it: `CN=agent-7,O=Corp`.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// Serial number in lower-case hex.
    pub serial: Box<str>,
    /// DNS names among its alternative names.
    pub dns_names: Vec<String>,
    /// URIs among them.
    pub uris: Vec<String>,
}

impl ClientCertificate {
    /// What it is called: its subject, else its first URI or DNS name (SPIFFE, RFC 5280 4.1.2.6).
    pub fn identity(&self) -> Option<&str> {
        let alternatives = self.uris.iter().chain(&self.dns_names);
        let mut names = std::iter::once(&self.subject).chain(alternatives);
        names.find(|name| !name.is_empty()).map(String::as_str)
    }
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

impl From<&Certificate> for ClientCertificate {
    fn from(leaf: &Certificate) -> ClientCertificate {
        ClientCertificate {
            subject: leaf.subject.clone(),
            issuer: leaf.issuer.clone(),
            serial: leaf.serial.as_str().into(),
            dns_names: leaf.dns_names.clone(),
            uris: leaf.uris.clone(),
        }
    }
}

impl Version {
    /// `1.2` or `1.3`
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }

    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Version::Tls12 => 0x0303,
            Version::Tls13 => 0x0304,
        }
    }

    pub(crate) fn from_rustls(version: rustls::ProtocolVersion) -> Option<Version> {
        [Version::Tls12, Version::Tls13]
            .into_iter()
            .find(|ours| ours.number() == u16::from(version))
    }

    pub(crate) fn to_rustls(self) -> &'static rustls::SupportedProtocolVersion {
        match self {
            Version::Tls12 => &rustls::version::TLS12,
            Version::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl Authentication {
    /// `pq`, `classical` or `unknown`
    pub fn as_str(self) -> &'static str {
        match self {
            Authentication::Pq => "pq",
            Authentication::Classical => "classical",
            Authentication::Unknown => "unknown",
        }
    }
}

impl ClientAuthentication {
    /// `pq`, `classical` or `none`
    pub fn as_str(self) -> &'static str {
        match self {
            ClientAuthentication::Pq => "pq",
            ClientAuthentication::Classical => "classical",
            ClientAuthentication::None => "none",
        }
    }
}

impl Safety {
    /// `full`, `confidential`, `none`, `unknown` or `plain`
    pub fn as_str(self) -> &'static str {
        match self {
            Safety::Full => "full",
            Safety::Confidential => "confidential",
            Safety::None => "none",
            Safety::Unknown => "unknown",
            Safety::Plain => "plain",
        }
    }

    /// SPEC 1: what a key exchange and an authentication are worth together.
    pub fn of(key_exchange: KeyExchange, authentication: Authentication) -> Safety {
        match (key_exchange.is_quantum_safe(), authentication) {
            (false, _) => Safety::None,
            (true, Authentication::Pq) => Safety::Full,
            (true, Authentication::Classical) => Safety::Confidential,
            (true, Authentication::Unknown) => Safety::Unknown,
        }
    }
}

impl Negotiated {
    /// The class of the key exchange: a fact of the group's id. Without a group (a resumed TLS 1.2 session)
    /// and for a group we do not know it is classical, never guessed upwards.
    pub fn key_exchange(&self) -> KeyExchange {
        self.group
            .and_then(GroupId::key_exchange)
            .unwrap_or(KeyExchange::Classical)
    }

    /// What it is worth.
    pub fn safety(&self) -> Safety {
        Safety::of(self.key_exchange(), self.authentication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_follows_key_exchange_first() {
        use Authentication::{Classical, Pq, Unknown};
        let table = [
            (KeyExchange::Hybrid, Pq, Safety::Full),
            (KeyExchange::Pq, Pq, Safety::Full),
            (KeyExchange::Hybrid, Classical, Safety::Confidential),
            (KeyExchange::Hybrid, Unknown, Safety::Unknown),
            (KeyExchange::Classical, Pq, Safety::None),
            (KeyExchange::Classical, Unknown, Safety::None),
        ];
        for (key_exchange, authentication, safety) in table {
            assert_eq!(Safety::of(key_exchange, authentication), safety);
        }
    }

    #[test]
    fn no_group_and_an_unknown_group_are_classical() {
        for group in [None, Some(GroupId(0xfefe)), Some(GroupId(0x001d))] {
            let facts = Negotiated {
                group,
                ..crate::policy::facts()
            };
            assert_eq!(facts.key_exchange(), KeyExchange::Classical, "{group:?}");
        }
    }
}
