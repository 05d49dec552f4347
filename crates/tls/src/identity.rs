//! A certificate chain with its key, and what can be said of it.
use crate::negotiated::Authentication;
use portcullis_wire::{SchemeId, registry::KeyKind};
use std::{net::IpAddr, sync::Arc};

/// A certificate chain with its key.
pub struct Identity {
    pub(crate) certified: Arc<rustls::sign::CertifiedKey>,
    chain: Vec<Certificate>,
}

/// What can be read from one certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// lower-case hex
    pub serial: String,
    /// seconds since 1970
    pub not_before: i64,
    pub not_after: i64,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub uris: Vec<String>,
    pub key: Option<KeyKind>,
    pub key_bits: usize,
    /// The algorithm of its signature, for people: `ML-DSA-65`.
    pub signature: String,
    pub signature_is_pq: bool,
    pub is_ca: bool,
    pub der_len: usize,
}

/// Why a chain and key make no identity. Paths are the caller's to add.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("no certificate in it")]
    NoCertificate,
    #[error("no private key in it")]
    NoKey,
    #[error("certificate {index}: {problem}")]
    BadCertificate { index: usize, problem: String },
    #[error("key: {problem}")]
    BadKey { problem: String, hint: &'static str },
    #[error("the key is not the certificate's")]
    KeyMismatch,
}

impl Identity {
    /// Reads a chain (leaf first) and its key from PEM; one text may hold both.
    pub fn from_pem(_chain: &[u8], _key: &[u8]) -> Result<Identity, IdentityError> {
        todo!()
    }
    /// The leaf.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }
    /// The chain as sent, leaf first.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }
    /// pq when the key and every signature in the chain are ML-DSA.
    pub fn authentication(&self) -> Authentication {
        todo!()
    }
    /// The schemes its key can sign with.
    pub fn schemes(&self) -> Vec<SchemeId> {
        todo!()
    }
    /// A certificate name covers this host (wildcards of one label).
    pub fn covers(&self, _name: &str) -> bool {
        todo!()
    }
}
/// Reads certificates from PEM (a CA file, a chain) for people and for trust.
pub fn certificates_from_pem(
    _pem: &[u8],
) -> Result<Vec<(rustls::pki_types::CertificateDer<'static>, Certificate)>, IdentityError> {
    todo!()
}
