//! Verifiers that keep an eye on one connection.
use crate::identity::Certificate;
use portcullis_wire::SchemeId;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
    client::{
        ResolvesClientCert, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
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
    /// The place of the certificate that was shown plus one; zero for none.
    shown: AtomicU32,
    asked_in_vain: AtomicBool,
}

impl Note {
    pub(super) fn signature(&self) -> Option<SchemeId> {
        let noted = self.signature.load(Ordering::Relaxed).checked_sub(1)?;
        u16::try_from(noted).ok().map(SchemeId)
    }

    /// The place of our certificate that was shown.
    pub(super) fn shown(&self) -> Option<usize> {
        let noted = self.shown.load(Ordering::Relaxed).checked_sub(1)?;
        usize::try_from(noted).ok()
    }

    pub(super) fn asked_in_vain(&self) -> bool {
        self.asked_in_vain.load(Ordering::Relaxed)
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

/// A verifier of chains for which a leaf that stands among the trusted certificates vouches for itself, as OpenSSL has
/// it: WebPKI takes neither a CA's own certificate for a server's, nor one that nobody issued.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) inner: Arc<WebPkiServerVerifier>,
    pub(super) listed: Vec<CertificateDer<'static>>,
}

impl Listed {
    fn vouches(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        let facts = Certificate::from_der(leaf).map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < facts.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > facts.not_after {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name)
    }
}

impl ServerCertVerifier for Listed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let inner = &self.inner;
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(_) if self.listed.iter().any(|listed| **listed == **end_entity) => self
                .vouches(end_entity, server_name, now)
                .map(|()| ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Our certificates, for a server that asks: the first that it can verify. Notes which.
#[derive(Debug)]
pub(super) struct AskedFor {
    pub(super) certified: Vec<Arc<CertifiedKey>>,
    pub(super) note: Arc<Note>,
}

impl ResolvesClientCert for AskedFor {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // without a scheme in common rustls sends none
        let fits = |certified: &Arc<CertifiedKey>| certified.key.choose_scheme(schemes).is_some();
        let found = self.certified.iter().position(fits);
        let shown = found.and_then(|place| u32::try_from(place + 1).ok()).unwrap_or(0);
        self.note.shown.store(shown, Ordering::Relaxed);
        self.note.asked_in_vain.store(found.is_none(), Ordering::Relaxed);
        found.map(|place| Arc::clone(&self.certified[place]))
    }

    fn has_certs(&self) -> bool {
        !self.certified.is_empty()
    }
}
