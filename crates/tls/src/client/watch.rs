//! Verifiers that keep an eye on one connection.
use portcullis_wire::SchemeId;
use rustls::{
    DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

/// What was seen of a lane's latest full handshake; a session resumed from it is of the same two.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// The scheme plus one; zero for none.
    signature: AtomicU32,
    asked_for_certificate: AtomicBool,
}

impl Note {
    pub(super) fn signature(&self) -> Option<SchemeId> {
        let noted = self.signature.load(Ordering::Relaxed).checked_sub(1)?;
        u16::try_from(noted).ok().map(SchemeId)
    }

    pub(super) fn asked_for_certificate(&self) -> bool {
        self.asked_for_certificate.load(Ordering::Relaxed)
    }
}

/// Another verifier, narrowed to some schemes; notes which one signed.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) schemes: Vec<SignatureScheme>,
    pub(super) note: Arc<Note>,
}

impl Watched {
    /// rustls does not compare a signature's scheme with those we offered.
    fn note(&self, signed: &DigitallySignedStruct) -> Result<(), Error> {
        if !self.schemes.contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let scheme = u32::from(u16::from(signed.scheme));
        self.note.signature.store(scheme + 1, Ordering::Relaxed);
        Ok(())
    }
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let inner = &self.inner;
        inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note(signed)?;
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note(signed)?;
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Takes any chain; the handshake must still be signed by its key.
#[derive(Debug)]
pub(super) struct Anyone(pub(super) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Our certificate, for a server that asks; notes that one did.
#[derive(Debug)]
pub(super) struct AskedFor {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) note: Arc<Note>,
}

impl ResolvesClientCert for AskedFor {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Without a scheme in common rustls sends none.
        self.certified.key.choose_scheme(schemes)?;
        self.note.asked_for_certificate.store(true, Ordering::Relaxed);
        Some(Arc::clone(&self.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
