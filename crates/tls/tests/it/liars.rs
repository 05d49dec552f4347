//! Clients whose certificate is honest and whose proof of it, the CertificateVerify message, is not.
use crate::lab::{
    Algorithm, Ca, ED25519, Finished, ML_DSA_65, P256, Pair, RSA, Unfinished, client_params, deliver, feed, identity,
    key, outgoing, read, server, shake, spec,
};
use portcullis_tls::{
    failure::{Fault, blame},
    identity::certificates_from_pem,
    negotiated::{ClientAuthentication, Version},
    rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConnection, SignatureAlgorithm,
        SignatureScheme as Scheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
        sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
        version,
    },
    server::{ClientAuth, ClientAuthMode, Server, ServerSpec},
};
use portcullis_wire::alert::Alert;
use std::sync::{Arc, Mutex};

/// What is wrong with the proof.
#[derive(Clone, Debug)]
enum Lie {
    None,
    /// Signed by a key that is not the certificate's.
    OtherKey,
    /// Signed honestly, announced as this.
    Announced(Scheme),
    /// Only so many bytes of the signature.
    Cut(usize),
    /// A byte more than the signature has.
    Longer,
    /// One bit turned over.
    Flipped,
    /// The signature of this slot, put there by the handshake that finds it empty.
    Replayed(Arc<Mutex<Option<Vec<u8>>>>),
}

#[derive(Debug)]
struct Liar {
    key: Arc<dyn SigningKey>,
    scheme: Scheme,
    lie: Lie,
}

impl SigningKey for Liar {
    fn choose_scheme(&self, _offered: &[Scheme]) -> Option<Box<dyn Signer>> {
        let (lie, inner) = (self.lie.clone(), self.key.choose_scheme(&[self.scheme])?);
        Some(Box::new(LyingSigner { inner, lie }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

#[derive(Debug)]
struct LyingSigner {
    inner: Box<dyn Signer>,
    lie: Lie,
}

impl Signer for LyingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = self.inner.sign(message)?;
        match &self.lie {
            Lie::None | Lie::OtherKey | Lie::Announced(_) => {}
            Lie::Cut(length) => signature.truncate(*length),
            Lie::Longer => signature.push(0),
            Lie::Flipped => *signature.last_mut().unwrap() ^= 1,
            Lie::Replayed(slot) => signature = slot.lock().unwrap().get_or_insert(signature).clone(),
        }
        Ok(signature)
    }

    fn scheme(&self) -> Scheme {
        match self.lie {
            Lie::Announced(scheme) => scheme,
            _ => self.inner.scheme(),
        }
    }
}

/// Takes every server for the right one: these tests are about the other side.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _proof: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _proof: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<Scheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A kind of client certificate, the scheme it signs with, and one that the server offers and its key cannot make.
struct Kind {
    algorithm: Algorithm,
    scheme: Scheme,
    foreign: Scheme,
}

const KINDS: [Kind; 4] = [
    Kind {
        algorithm: &ML_DSA_65,
        scheme: Scheme::ML_DSA_65,
        foreign: Scheme::ECDSA_NISTP256_SHA256,
    },
    Kind {
        algorithm: &P256,
        scheme: Scheme::ECDSA_NISTP256_SHA256,
        foreign: Scheme::ED25519,
    },
    Kind {
        algorithm: &ED25519,
        scheme: Scheme::ED25519,
        foreign: Scheme::RSA_PSS_SHA256,
    },
    Kind {
        algorithm: &RSA,
        scheme: Scheme::RSA_PSS_SHA256,
        foreign: Scheme::ML_DSA_65,
    },
];

/// A server that wants certificates, and one of the kind that it wants.
struct Stage {
    server: Server,
    pair: Pair,
    provider: Arc<CryptoProvider>,
    kind: &'static Kind,
}

impl Stage {
    fn set(kind: &'static Kind) -> Stage {
        let ca = Ca::new(kind.algorithm, "clients");
        let server = server(ServerSpec {
            client_auth: Some(ClientAuth::new(ClientAuthMode::Required, vec![ca.der()])),
            ..spec(&[&identity(&P256)])
        });
        Stage {
            pair: ca.issue(kind.algorithm, client_params()),
            server,
            provider: Arc::new(aws_lc_rs::default_provider()),
            kind,
        }
    }

    /// TLS 1.2 knows no ML-DSA.
    fn versions(&self) -> &'static [Version] {
        match self.kind.scheme {
            Scheme::ML_DSA_65 => &[Version::Tls13],
            _ => &[Version::Tls13, Version::Tls12],
        }
    }

    fn liar(&self, version: Version, lie: Lie) -> ClientConnection {
        let pem = match lie {
            Lie::OtherKey => key(self.kind.algorithm).serialize_pem(),
            _ => self.pair.key.clone(),
        };
        let private = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let liar = Liar {
            key: self.provider.key_provider.load_private_key(private).unwrap(),
            scheme: self.kind.scheme,
            lie,
        };
        let chain = certificates_from_pem(self.pair.chain.as_bytes()).unwrap();
        let chain = chain.into_iter().map(|(der, _)| der).collect();
        let certified = Arc::new(CertifiedKey::new(chain, Arc::new(liar)));
        let version = if version == Version::Tls13 {
            &version::TLS13
        } else {
            &version::TLS12
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting(Arc::clone(&self.provider))))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
    }

    fn comes(&self, version: Version, lie: Lie) -> Result<Finished, Unfinished> {
        shake(&self.server, &mut self.liar(version, lie))
    }

    /// The client reads this alert, it was foreseen, and the client is to blame.
    fn refuses(&self, version: Version, lie: &Lie, expected: Alert) {
        let what = format!("{:?} {version:?} {lie:?}", self.kind.scheme);
        is_refused(&what, self.comes(version, lie.clone()).map(drop), expected);
    }
}

fn is_refused(what: &str, came: Result<(), Unfinished>, expected: Alert) {
    match came {
        Err(Unfinished::Server(error, alert)) => {
            assert_eq!(alert, Some(expected), "{what}: {error}");
            let blamed = blame(&error);
            assert_eq!((blamed.fault, blamed.alert_out), (Fault::Client, alert), "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// A table of lies for every kind and version.
fn all_refuse(lies: impl Fn(&Kind) -> Vec<Lie>, expected: Alert) {
    for kind in &KINDS {
        let stage = Stage::set(kind);
        for version in stage.versions() {
            for lie in lies(kind) {
                stage.refuses(*version, &lie, expected);
            }
        }
    }
}

// RFC 8446 6.2
const DECRYPT_ERROR: Alert = Alert(51);
const DECODE_ERROR: Alert = Alert(50);

#[test]
fn an_honest_proof_enters() {
    for kind in &KINDS {
        let stage = Stage::set(kind);
        for version in stage.versions() {
            let done = stage.comes(*version, Lie::None).unwrap();
            assert_ne!(done.facts.client_authentication, ClientAuthentication::None);
        }
    }
}

#[test]
fn a_signature_by_another_key_is_refused() {
    all_refuse(|_| vec![Lie::OtherKey], DECRYPT_ERROR);
}

#[test]
fn a_damaged_signature_is_refused() {
    let lies = |_: &Kind| vec![Lie::Cut(0), Lie::Cut(1), Lie::Cut(32), Lie::Longer, Lie::Flipped];
    all_refuse(lies, DECRYPT_ERROR);
}

#[test]
fn a_signature_of_an_earlier_handshake_is_refused() {
    for kind in &KINDS {
        let stage = Stage::set(kind);
        for version in stage.versions() {
            let replayed = Lie::Replayed(Arc::default());
            assert!(
                stage.comes(*version, replayed.clone()).is_ok(),
                "the one it was made for"
            );
            stage.refuses(*version, &replayed, DECRYPT_ERROR);
        }
    }
}

#[test]
fn a_scheme_that_the_key_cannot_make_is_refused() {
    for kind in &KINDS {
        let stage = Stage::set(kind);
        for version in stage.versions() {
            // TLS 1.2 has no ML-DSA to announce.
            let unheard = *version == Version::Tls12 && kind.foreign == Scheme::ML_DSA_65;
            let expected = if unheard {
                Alert::ILLEGAL_PARAMETER
            } else {
                DECRYPT_ERROR
            };
            stage.refuses(*version, &Lie::Announced(kind.foreign), expected);
        }
    }
}

#[test]
fn a_scheme_that_was_not_offered_is_refused() {
    // One that exists, one that nobody knows, and one that SHA-1 makes.
    let schemes = [Scheme::ED448, Scheme::Unknown(0xfafa), Scheme::RSA_PKCS1_SHA1];
    all_refuse(|_| schemes.map(Lie::Announced).to_vec(), Alert::ILLEGAL_PARAMETER);
}

#[test]
fn rsa_of_tls_1_2_is_refused_in_tls_1_3() {
    // RFC 8446 4.2.3: these stand in the offer for certificates alone.
    let stage = Stage::set(&KINDS[3]);
    let announced = Lie::Announced(Scheme::RSA_PKCS1_SHA256);
    stage.refuses(Version::Tls13, &announced, Alert::ILLEGAL_PARAMETER);
}

/// The client's second flight of TLS 1.2, whose proof is still to be read, changed under way.
fn flight(change: impl FnOnce(&mut Vec<u8>, usize)) -> Result<(), Unfinished> {
    let stage = Stage::set(&KINDS[1]);
    let mut client = stage.liar(Version::Tls12, Lie::None);
    let bytes = outgoing(&mut client);
    let choice = stage.server.choose(&read(&bytes)).unwrap();
    let mut tls = ServerConnection::new(choice.config).unwrap();
    feed(&mut tls, &bytes).unwrap();
    feed(&mut client, &outgoing(&mut tls)).unwrap();
    let mut second = outgoing(&mut client);
    let mut at = 0;
    // a record of the handshake that holds a CertificateVerify
    while !(second[at] == 22 && second[at + 5] == 15) {
        at += record_length(&second, at);
    }
    change(&mut second, at);
    deliver(&mut tls, &second, &mut client)
}

fn record_length(bytes: &[u8], at: usize) -> usize {
    5 + usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]))
}

#[test]
fn an_unchanged_flight_is_taken() {
    assert!(flight(|_, _| ()).is_ok());
}

#[test]
fn a_proof_that_is_left_out_is_missed() {
    let came = flight(|bytes, at| drop(bytes.drain(at..at + record_length(bytes, at))));
    is_refused("left out", came, Alert::UNEXPECTED_MESSAGE);
}

#[test]
fn a_malformed_proof_is_refused() {
    // record, type and length of the message, scheme: then the length of the signature
    const LENGTH: usize = 5 + 4 + 2;
    let longer = flight(|bytes, at| bytes[at + LENGTH] = 0xff);
    is_refused("longer than its message", longer, DECODE_ERROR);
    let shorter = flight(|bytes, at| bytes[at + LENGTH + 1] -= 1);
    is_refused("shorter than its message", shorter, DECODE_ERROR);
    let nothing = flight(|bytes, at| {
        let end = at + record_length(bytes, at);
        bytes.splice(at..end, [22, 3, 3, 0, 4, 15, 0, 0, 0]);
    });
    is_refused("nothing", nothing, DECODE_ERROR);
}

#[test]
fn a_proof_that_comes_twice_is_refused() {
    let twice = flight(|bytes, at| {
        let proof = bytes[at..at + record_length(bytes, at)].to_vec();
        bytes.splice(at..at, proof);
    });
    is_refused("twice", twice, Alert::UNEXPECTED_MESSAGE);
}
