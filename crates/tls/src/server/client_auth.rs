//! Client certificates against a CA list.
use super::{BuildError, ClientAuth, ClientAuthMode};
use crate::provider;
use portcullis_wire::SchemeId;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::sync::Arc;

/// DESIGN, "Hostile peers": a chain of more certificates costs more to verify than an honest one ever does.
/// rustls itself ends a chain at 64 KiB.
const MAX_CHAIN: usize = 10;

/// The verifier of a site's client certificates, which may sign with these schemes.
pub(super) fn verifier(auth: &ClientAuth, schemes: &[SchemeId]) -> Result<Arc<dyn ClientCertVerifier>, BuildError> {
    let mut roots = RootCertStore::empty();
    for (root, index) in auth.roots.iter().zip(1..) {
        let added = roots.add(root.clone());
        added.map_err(|error| BuildError::ClientCa(format!("certificate {index}: {error}")))?;
    }
    let provider = Arc::new(provider::key_loader());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match auth.mode {
        ClientAuthMode::Required => builder,
        ClientAuthMode::Optional => builder.allow_unauthenticated(),
    };
    let inner = builder
        .build()
        .map_err(|error| BuildError::ClientCa(error.to_string()))?;
    let allowed = |scheme: &SignatureScheme| schemes.contains(&SchemeId((*scheme).into()));
    let mut schemes = inner.supported_verify_schemes();
    schemes.retain(allowed);
    Ok(Arc::new(Bounded { inner, schemes }))
}

/// WebPKI's rules, within our bounds. A self-signed certificate that stands verbatim in the CA file (SPEC 3) will
/// be let in here, in `verify_client_cert`, before WebPKI is asked.
#[derive(Debug)]
struct Bounded {
    inner: Arc<dyn ClientCertVerifier>,
    schemes: Vec<SignatureScheme>,
}

impl Bounded {
    /// rustls does not compare a signature's scheme with those it asked for.
    fn asked_for(&self, signed: &DigitallySignedStruct) -> Result<(), Error> {
        match self.schemes.contains(&signed.scheme) {
            true => Ok(()),
            false => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
        }
    }
}

impl ClientCertVerifier for Bounded {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if intermediates.len() >= MAX_CHAIN {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        self.inner.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.asked_for(signed)?;
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.asked_for(signed)?;
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
