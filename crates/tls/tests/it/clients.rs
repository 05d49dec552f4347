//! What our own client offers, trusts and tells.
use crate::lab::{
    Ca, ML_DSA_65, P256, Pair, RSA, Unfinished, client_params, connect, feed, groups, identity, offer, outgoing, read,
    schemes, server, server_params, settings, shake, spec,
};
use portcullis_tls::{
    client::{Client, ClientSpec, Trust},
    failure::blame,
    identity::certificates_from_pem,
    negotiated::{ClientAuthentication, Version},
    profile::{Overrides, Profile},
    rustls::{
        CertificateError, ClientConfig, ClientConnection, Error, PeerMisbehaved, RootCertStore, ServerConnection,
        SignatureAlgorithm, SignatureScheme,
        crypto::CryptoProvider,
        pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
        sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    },
    server::{ClientAuth, ClientAuthMode, ServerSpec},
};
use portcullis_wire::{GroupId, SchemeId};
use std::sync::Arc;

#[test]
fn the_offer_is_what_was_asked_for() {
    let list = groups(&["secp384r1", "X25519MLKEM768", "MLKEM1024", "X25519"]);
    let wanted = schemes(&["ecdsa_secp256r1_sha256", "mldsa65"]);
    let mut client = connect(ClientSpec {
        versions: vec![Version::Tls13],
        groups: list.clone(),
        schemes: Some(wanted.clone()),
        alpn: vec![b"h2".to_vec()],
        ..offer()
    });
    let hello = read(&outgoing(&mut client.tls));
    assert_eq!(hello.groups, list);
    assert_eq!(hello.key_shares.len(), 1);
    assert_eq!(hello.key_shares[0].0, list[0]);
    assert_eq!(hello.versions, [0x0304]);
    assert_eq!(hello.alpn, [b"h2"]);
    let mut offered = hello.schemes;
    offered.sort();
    assert_eq!(offered, wanted);
    assert!(client.negotiated().is_none());
}

#[test]
fn a_hybrid_brings_its_classical_half_as_a_second_share() {
    for (hybrid, half) in [
        ("X25519MLKEM768", "X25519"),
        ("SecP256r1MLKEM768", "secp256r1"),
        ("SecP384r1MLKEM1024", "secp384r1"),
    ] {
        let list = groups(&[hybrid, half]);
        let mut client = connect(ClientSpec {
            groups: list.clone(),
            ..offer()
        });
        let hello = read(&outgoing(&mut client.tls));
        let shares: Vec<GroupId> = hello.key_shares.iter().map(|share| share.0).collect();
        assert_eq!(shares, list);
        // and a server that knows only the half takes it without a retry
        let overrides = Overrides {
            groups: Some(vec![list[1]]),
            ..Overrides::default()
        };
        let server = server(ServerSpec {
            settings: settings(Profile::Modern, &overrides),
            ..spec(&[&identity(&P256)])
        });
        let mut client = connect(ClientSpec {
            groups: list.clone(),
            ..offer()
        });
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!((done.facts.group, done.facts.retry), (Some(list[1]), false));
        assert_eq!(client.negotiated().unwrap(), done.facts);
    }
}

#[test]
fn an_unknown_group_is_no_offer() {
    let unknown = Client::build(ClientSpec {
        groups: vec![GroupId(0x001d), GroupId(0x0200)],
        ..offer()
    });
    assert!(unknown.is_err());
}

#[test]
fn only_trusted_roots_and_covered_names_are_accepted() {
    let ca = Ca::new(&ML_DSA_65, "root");
    let server = server(spec(&[&ca.issue(&ML_DSA_65, server_params()).identity()]));
    let come = |root: &Ca, name: &'static str| {
        let client = Client::build(ClientSpec {
            trust: Trust::Roots(vec![root.der()]),
            ..offer()
        });
        let mut connection = client.unwrap().connect(ServerName::try_from(name).unwrap()).unwrap();
        match shake(&server, &mut connection.tls) {
            Ok(_) => None,
            Err(Unfinished::Client(Error::InvalidCertificate(error))) => Some(error),
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(come(&ca, "localhost"), None);
    assert_eq!(come(&ca, "a.example.com"), None);
    assert_eq!(come(&ca, "127.0.0.1"), None);
    let wrong = come(&ca, "example.com");
    assert!(matches!(wrong, Some(CertificateError::NotValidForNameContext { .. })));
    let stranger = Ca::new(&ML_DSA_65, "stranger");
    assert_eq!(come(&stranger, "localhost"), Some(CertificateError::UnknownIssuer));
}

#[test]
fn a_certificate_is_told_only_where_one_was_asked_for() {
    let ca = Ca::new(&ML_DSA_65, "clients");
    let agent = ca.issue(&ML_DSA_65, client_params()).identity();
    let asking = |signatures: Option<Vec<SchemeId>>| ServerSpec {
        settings: settings(
            Profile::Default,
            &Overrides {
                signatures,
                ..Overrides::default()
            },
        ),
        client_auth: Some(ClientAuth::new(ClientAuthMode::Optional, vec![ca.der()])),
        ..spec(&[&identity(&P256)])
    };
    let classical = schemes(&["ecdsa_secp256r1_sha256"]);
    let table = [
        (server(asking(None)), ClientAuthentication::Pq),
        (server(asking(Some(classical))), ClientAuthentication::None),
        (server(spec(&[&identity(&P256)])), ClientAuthentication::None),
    ];
    for (server, expected) in table {
        let mut client = connect(ClientSpec {
            identity: Some(agent.clone()),
            ..offer()
        });
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!(done.facts.client_authentication, expected);
        assert_eq!(client.negotiated().unwrap().client_authentication, expected);
    }
}

/// A key that signs as it likes, whatever the peer can verify.
#[derive(Debug)]
struct Stubborn {
    key: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
}

impl SigningKey for Stubborn {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.key.choose_scheme(&[self.scheme])
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

fn stubborn(pair: &Pair, provider: &CryptoProvider, scheme: SignatureScheme) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chain = certificates_from_pem(pair.chain.as_bytes()).unwrap();
    let chain = chain.into_iter().map(|(der, _)| der).collect();
    Arc::new(CertifiedKey::new(chain, Arc::new(Stubborn { key, scheme })))
}

#[test]
fn a_server_that_signs_as_nobody_asked_is_refused() {
    let pair = Ca::new(&RSA, "root").issue(&RSA, server_params());
    let server = server(spec(&[&pair.identity()]));
    let wants = |name| ClientSpec {
        schemes: Some(schemes(&[name])),
        ..offer()
    };
    for (name, served) in [("rsa_pss_rsae_sha512", true), ("rsa_pss_rsae_sha256", false)] {
        let mut client = connect(wants(name));
        let bytes = outgoing(&mut client.tls);
        let mut config = (*server.choose(&read(&bytes)).unwrap().config).clone();
        let scheme = SignatureScheme::RSA_PSS_SHA512;
        let certified = stubborn(&pair, config.crypto_provider(), scheme);
        config.cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        feed(&mut tls, &bytes).unwrap();
        let refused = feed(&mut client.tls, &outgoing(&mut tls)).err();
        let lie = PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme;
        assert_eq!(refused, (!served).then_some(Error::PeerMisbehaved(lie)), "{name}");
    }
}

#[test]
fn a_client_that_signs_as_nobody_asked_is_refused() {
    let ca = Ca::new(&RSA, "clients");
    let pair = ca.issue(&RSA, client_params());
    let home = Ca::new(&P256, "root");
    let identity = home.issue(&P256, server_params()).identity();
    for (name, served) in [("rsa_pss_rsae_sha512", true), ("rsa_pss_rsae_sha256", false)] {
        let overrides = Overrides {
            signatures: Some(schemes(&["ecdsa_secp256r1_sha256", name])),
            ..Overrides::default()
        };
        let server = server(ServerSpec {
            settings: settings(Profile::Modern, &overrides),
            client_auth: Some(ClientAuth::new(ClientAuthMode::Required, vec![ca.der()])),
            ..spec(&[&identity])
        });
        let bytes = outgoing(&mut connect(offer()).tls);
        let provider = Arc::clone(server.choose(&read(&bytes)).unwrap().config.crypto_provider());
        let scheme = SignatureScheme::RSA_PSS_SHA512;
        let certified = stubborn(&pair, &provider, scheme);
        let mut roots = RootCertStore::empty();
        roots.add(home.der()).unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        match shake(&server, &mut client) {
            Ok(_) => assert!(served),
            Err(Unfinished::Server(error, alert)) => {
                let lie = PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme;
                assert_eq!(error, Error::PeerMisbehaved(lie));
                assert_eq!(alert, blame(&error).alert_out);
                assert!(!served && alert.is_some());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
