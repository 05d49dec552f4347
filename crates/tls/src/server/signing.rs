//! The key a configuration signs with.
use crate::identity::Identity;
use portcullis_wire::SchemeId;
use rustls::{
    SignatureAlgorithm, SignatureScheme,
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer},
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
};
use std::sync::Arc;

/// The identity's key, kept to these schemes. The identity's own, where they take nothing away from it: a copy
/// would hold the chain a second time.
pub(super) fn narrowed(identity: &Identity, allowed: &[SchemeId]) -> Arc<CertifiedKey> {
    if identity.schemes().iter().all(|scheme| allowed.contains(scheme)) {
        return Arc::clone(&identity.certified);
    }
    let key = Narrowed {
        key: Arc::clone(&identity.certified.key),
        allowed: allowed.iter().map(|scheme| scheme.0.into()).collect(),
    };
    let chain = identity.certified.cert.clone();
    Arc::new(CertifiedKey::new(chain, Arc::new(key)))
}

/// The key alone, where rustls expects a chain (RFC 7250): its SubjectPublicKeyInfo.
pub(super) fn bare(certified: &CertifiedKey) -> Arc<CertifiedKey> {
    let key = Arc::clone(&certified.key);
    let public = key.public_key().map(|public| CertificateDer::from(public.to_vec()));
    Arc::new(CertifiedKey::new(public.into_iter().collect(), key))
}

#[derive(Debug)]
struct Narrowed {
    key: Arc<dyn SigningKey>,
    allowed: Vec<SignatureScheme>,
}

impl SigningKey for Narrowed {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let allowed = |scheme: &SignatureScheme| self.allowed.contains(scheme);
        let offered: Vec<_> = offered.iter().copied().filter(allowed).collect();
        self.key.choose_scheme(&offered)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

/// Stands in a template until a certificate takes its place.
#[derive(Debug)]
pub(super) struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}
