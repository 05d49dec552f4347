//! A certificate chain with its key, and what can be said of it.
use crate::{
    compression::{Compressed, Forms},
    negotiated::Authentication,
    profile::ChainRule,
    provider,
};
use portcullis_wire::{SchemeId, registry::KeyKind};
use rustls::{SignatureScheme, pki_types::CertificateDer, server::ParsedCertificate, sign::CertifiedKey};
use std::{fmt, net::IpAddr, sync::Arc};

mod certificate;
mod key;
mod pem;
mod problem;
mod revocation;

pub use crate::provider::{Locked, decrypt_pkcs8};
pub use certificate::Certificate;
pub(crate) use certificate::class_of;
pub use problem::Problem;
pub use revocation::{RevocationList, revocation_lists};

/// A certificate chain with its key.
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    chain: Vec<Certificate>,
    schemes: Vec<SchemeId>,
    /// Where the leaf stood in the file.
    leaf_at: usize,
    compressed: Compressed,
}

/// Why a chain and key make no identity. Paths are the caller's to add.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate anywhere.
    #[error("no certificate in it")]
    NoCertificate,
    /// No private key anywhere.
    #[error("no private key in it")]
    NoKey,
    /// Something else where a certificate or key belongs.
    #[error("{found} where {wanted} belongs")]
    Misplaced {
        /// What should be there.
        wanted: &'static str,
        /// What is.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// A certificate that cannot be used.
    #[error("certificate {index}: {problem}")]
    BadCertificate {
        /// Which, from 1.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// No revocation list anywhere.
    #[error("no revocation list in it")]
    NoRevocationList,
    /// A revocation list that cannot be used.
    #[error("revocation list {index}: {problem}")]
    BadRevocationList {
        /// Which, from 1.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that cannot be used.
    #[error("key: {problem}")]
    BadKey {
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// Two that do not belong together.
    #[error("the key is not the certificate's")]
    KeyMismatch,
}

impl IdentityError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            IdentityError::Misplaced { hint, .. } | IdentityError::BadKey { hint, .. } => {
                Some(hint).copied().filter(|hint| !hint.is_empty())
            }
            IdentityError::NoRevocationList => Some("PEM sections X509 CRL, or one list in DER"),
            IdentityError::KeyMismatch => Some("the chain must hold the key's own certificate, leaf first"),
            _ => None,
        }
    }
}

impl Identity {
    /// Reads a chain (leaf first) and its key from PEM; one text may hold both.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity, IdentityError> {
        Identity::read(chain, (key, None))
    }

    /// The same where the key is encrypted under a passphrase: PKCS#8 with PBES2.
    pub fn from_encrypted_pem(chain: &[u8], key: &[u8], passphrase: &[u8]) -> Result<Identity, IdentityError> {
        Identity::read(chain, (key, Some(passphrase)))
    }

    fn read(chain: &[u8], (key, passphrase): (&[u8], Option<&[u8]>)) -> Result<Identity, IdentityError> {
        let read = certificates_from_pem(chain)?;
        let key = key::from_pem(key, passphrase)?;
        for (index, (_, facts)) in read.iter().enumerate() {
            facts.refuse_dead_key(index + 1)?;
        }
        let leaf_at = owner(&read, &key).ok_or_else(|| unowned(&read))?;
        let (mut ders, mut chain): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        // The one fault of order that every client would trip over is put right here; `problems` still tells.
        ders[..=leaf_at].rotate_right(1);
        chain[..=leaf_at].rotate_right(1);
        chain[0].refuse_weak_key()?;
        let schemes = signing_order(key.as_ref());
        Ok(Identity {
            certified: Arc::new(CertifiedKey::new(ders, key)),
            chain,
            schemes,
            leaf_at,
            compressed: Compressed::default(),
        })
    }

    /// Whether its leaf is valid at this moment, in seconds since 1970. An expired certificate above it is for clients to
    /// judge: some leave it out and take another way.
    pub fn is_valid_at(&self, now: i64) -> bool {
        let leaf = self.leaf();
        (leaf.not_before..=leaf.not_after).contains(&now)
    }

    /// The leaf.
    pub fn leaf(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The chain as sent, leaf first.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The chain as sent, encoded.
    pub fn chain_der(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// pq when the key and every signature in the chain are ML-DSA.
    pub fn authentication(&self) -> Authentication {
        class_of(&self.chain)
    }

    /// The schemes its key can sign with, most wanted first.
    pub fn schemes(&self) -> Vec<SchemeId> {
        self.schemes.clone()
    }

    /// A certificate name covers this host (wildcards of one label) or address.
    pub fn covers(&self, name: &str) -> bool {
        let leaf = self.leaf();
        match name.parse::<IpAddr>() {
            Ok(address) => leaf.addresses.contains(&address),
            Err(_) => leaf.dns_names.iter().any(|pattern| matches(pattern, name)),
        }
    }

    /// What an operator should know of it, at `now` in seconds since 1970.
    pub fn problems(&self, now: i64) -> Vec<Problem> {
        problem::of_chain(&self.chain, self.leaf_at, now)
    }

    /// Its chain compressed; made when it is first asked for.
    pub(crate) fn compressed_forms(&self) -> &Forms {
        self.compressed.forms(self.chain_der())
    }

    /// The rule lets this chain be sent.
    pub(crate) fn satisfies(&self, rule: ChainRule) -> bool {
        let pq = self.authentication() == Authentication::Pq;
        match rule {
            ChainRule::Any => true,
            ChainRule::MlDsa => pq,
            ChainRule::MlDsa87 => {
                let strongest = |certificate: &Certificate| certificate.signature_level == 5;
                pq && self.leaf().key == Some(KeyKind::MlDsa87) && self.chain.iter().all(strongest)
            }
        }
    }
}

impl fmt::Debug for Identity {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// The SHA-256 of a certificate as it is: its fingerprint.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    provider::sha256(certificate)
}

/// Reads certificates from PEM (a CA file, a chain) for people and for trust.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<(CertificateDer<'static>, Certificate)>, IdentityError> {
    let mut read = Vec::new();
    for section in pem::sections(pem).filter(pem::Section::is_certificate) {
        let bad = |problem: String| IdentityError::BadCertificate {
            index: read.len() + 1,
            problem,
        };
        let der = section.der().map_err(|problem| bad(problem.to_owned()))?;
        let facts = Certificate::from_der(&der).map_err(bad)?;
        read.push((CertificateDer::from(der), facts));
    }
    match read.is_empty() {
        true => Err(pem::instead_of_certificates(pem)),
        false => Ok(read),
    }
}

/// Which certificate the key belongs to.
fn owner(read: &[(CertificateDer<'static>, Certificate)], key: &Arc<dyn rustls::sign::SigningKey>) -> Option<usize> {
    let belongs = |(der, _): &(CertificateDer<'static>, Certificate)| {
        let pair = CertifiedKey::new(vec![der.clone()], Arc::clone(key));
        pair.keys_match().is_ok()
    };
    read.iter().position(belongs)
}

/// Why a key belongs to none of them: rustls compares it with no certificate that it cannot read itself.
fn unowned(read: &[(CertificateDer<'static>, Certificate)]) -> IdentityError {
    let unread = |(der, _): &(CertificateDer<'static>, Certificate)| ParsedCertificate::try_from(der).is_err();
    match read.iter().position(unread) {
        None => IdentityError::KeyMismatch,
        Some(at) => IdentityError::BadCertificate {
            index: at + 1,
            problem: "not one that rustls reads: malformed, or a part of it is longer than 64 KiB".to_owned(),
        },
    }
}

/// Asks the key itself for its schemes, best first, by taking away each that it has chosen.
fn signing_order(key: &dyn rustls::sign::SigningKey) -> Vec<SchemeId> {
    let mut offered: Vec<SignatureScheme> = provider::verifiable();
    let mut order = Vec::new();
    while let Some(signer) = key.choose_scheme(&offered) {
        offered.retain(|scheme| *scheme != signer.scheme());
        order.push(SchemeId(signer.scheme().into()));
    }
    order
}

/// RFC 9525: letter case does not count, a wildcard is the whole leftmost label and stands for one.
fn matches(pattern: &str, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some(rest) = pattern.strip_prefix("*.") else {
        return pattern.eq_ignore_ascii_case(name);
    };
    name.split_once('.')
        .is_some_and(|(label, parent)| !label.is_empty() && parent.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let table = [
            ("example.com", "EXAMPLE.com", true),
            ("example.com", "example.com.", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", ".example.com", false),
            ("a*.example.com", "ab.example.com", false),
            ("*", "com", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
