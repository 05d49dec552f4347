//! Raw public keys (RFC 7250) instead of chains, for clients that want them.
use crate::lab::{Algorithm, ED25519, ML_DSA_65, P256, RSA, Unfinished, identity, server, settings, shake, spec};
use portcullis_tls::{
    profile::{Overrides, Profile},
    rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, PeerIncompatible, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key},
        pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    },
    server::{Server, ServerSpec},
};
use std::sync::{Arc, Mutex};

/// Takes any key, and keeps it; the handshake must be signed by it.
#[derive(Debug)]
struct Keys {
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Keys {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert!(rest.is_empty());
        *self.seen.lock().unwrap() = key.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A client that takes nothing but a raw key, with its memory of sessions.
fn client() -> (Arc<ClientConfig>, Arc<Keys>) {
    let provider = aws_lc_rs::default_provider();
    let keys = Arc::new(Keys {
        algorithms: provider.signature_verification_algorithms,
        seen: Mutex::default(),
    });
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap().dangerous();
    let verifier = Arc::clone(&keys);
    let config = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
    (Arc::new(config), keys)
}

fn connect(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

fn offering(algorithm: Algorithm, raw_public_keys: bool) -> Server {
    let overrides = Overrides {
        raw_public_keys: Some(raw_public_keys),
        ..Overrides::default()
    };
    server(ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..spec(&[&identity(algorithm)])
    })
}

#[test]
fn a_client_that_wants_the_key_alone_gets_it_and_resumes() {
    for algorithm in [&P256, &ED25519, &RSA, &ML_DSA_65] {
        let (server, (config, keys)) = (offering(algorithm, true), client());
        let done = shake(&server, &mut connect(&config)).unwrap();
        let key = keys.seen.lock().unwrap().clone();
        let leaf = &server.identities()[0].chain_der()[0];
        assert!(!key.is_empty() && key.len() < leaf.len());
        assert!(
            leaf.windows(key.len()).any(|part| part == key),
            "it is the certificate's"
        );
        assert!(!done.facts.resumed);
        let mut again = connect(&config);
        assert!(shake(&server, &mut again).unwrap().facts.resumed);
        assert_eq!(again.handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn others_get_the_chain_as_ever() {
    let server = offering(&P256, true);
    let mut client = crate::lab::connect(crate::lab::offer());
    shake(&server, &mut client.tls).unwrap();
    let chain = client.tls.peer_certificates().unwrap();
    assert_eq!(chain, server.identities()[0].chain_der());
}

#[test]
fn a_server_without_raw_keys_refuses_who_takes_nothing_else() {
    let refused = shake(&offering(&P256, false), &mut connect(&client().0));
    match refused.map(|done| done.facts) {
        Err(Unfinished::Server(Error::PeerIncompatible(why), alert)) => {
            assert_eq!(why, PeerIncompatible::IncorrectCertificateTypeExtension);
            assert_eq!(alert.map(|alert| alert.0), Some(40));
        }
        other => panic!("{other:?}"),
    }
}
