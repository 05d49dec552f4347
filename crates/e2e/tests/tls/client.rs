//! Our client against OpenSSL's server.
use crate::{every_group, identity, root};
use portcullis_e2e::{
    client::Versions,
    pki::{Algorithm, Holder, Pki},
    server::{Server as OpensslServer, Terms},
    straight::originate,
};
use portcullis_tls::{
    client::{Client as OurClient, ClientSpec, Trust},
    negotiated::{Authentication, ClientAuthentication, Version},
};
use portcullis_wire::registry::Group;

fn our_client(group: Option<&Group>, roots: &[Algorithm]) -> ClientSpec {
    ClientSpec {
        versions: vec![Version::Tls13, Version::Tls12],
        groups: match group {
            Some(group) => vec![group.id],
            None => every_group().map(|g| g.id).collect(),
        },
        schemes: None,
        trust: Trust::Roots(roots.iter().map(root).collect()),
        identity: None,
        alpn: Vec::new(),
        resumption: 0,
    }
}

fn openssl_server(pki: &Pki, algorithm: Algorithm) -> Terms {
    Terms {
        groups: String::new(),
        versions: Versions::Both,
        certificates: vec![pki.server(algorithm)],
        client_roots: None,
    }
}

#[test]
fn our_client_agrees_with_openssl_on_every_group_alone() {
    let pki = Pki::new();
    for group in every_group() {
        let terms = Terms {
            groups: group.name.to_owned(),
            ..openssl_server(&pki, Algorithm::EcdsaP256)
        };
        let server = OpensslServer::start(&terms);
        // The server has one group: once offered alone, once among all, by a share or a retry.
        for offered in [Some(group), None] {
            let spec = our_client(offered, &[Algorithm::EcdsaP256]);
            let client = OurClient::build(spec).unwrap();
            let negotiated = originate(&client, server.address(), "localhost").unwrap();
            assert_eq!(negotiated.group, Some(group.id));
            let served = server.served().unwrap();
            let theirs = served.group.unwrap_or_default();
            assert!(theirs.eq_ignore_ascii_case(group.name), "{theirs}");
        }
    }
}

#[test]
fn our_client_verifies_every_certificate_class_and_says_which() {
    let pki = Pki::new();
    for algorithm in Algorithm::ALL {
        let server = OpensslServer::start(&openssl_server(&pki, algorithm));
        let client = OurClient::build(our_client(None, &[algorithm])).unwrap();
        let negotiated = originate(&client, server.address(), "localhost").unwrap();
        let scheme = negotiated.signature.expect("a full handshake").to_string();
        // An RSA key has three schemes, and OpenSSL chooses among them.
        match algorithm {
            Algorithm::Rsa => assert!(scheme.starts_with("rsa_pss_rsae_"), "{scheme}"),
            _ => assert_eq!(scheme, algorithm.scheme()),
        }
        let class = match algorithm.is_ml_dsa() {
            true => Authentication::Pq,
            false => Authentication::Classical,
        };
        assert_eq!(negotiated.authentication, class, "{algorithm:?}");
        let elsewhere = Algorithm::ALL.into_iter().filter(|a| *a != algorithm);
        let elsewhere: Vec<_> = elsewhere.collect();
        let distrusting = OurClient::build(our_client(None, &elsewhere)).unwrap();
        let refused = originate(&distrusting, server.address(), "localhost");
        assert!(refused.is_err(), "{algorithm:?} of a root it does not trust");
        let misnamed = originate(&client, server.address(), "elsewhere.invalid");
        assert!(misnamed.is_err(), "{algorithm:?} of another name");
    }
}

#[test]
fn our_client_presents_a_certificate_of_every_class() {
    let pki = Pki::new();
    for algorithm in Algorithm::ALL {
        let terms = Terms {
            client_roots: Some(pki.client(algorithm).root),
            ..openssl_server(&pki, Algorithm::EcdsaP256)
        };
        let server = OpensslServer::start(&terms);
        let spec = ClientSpec {
            identity: Some(identity(&(algorithm, Holder::Client))),
            ..our_client(None, &[Algorithm::EcdsaP256])
        };
        let client = OurClient::build(spec).unwrap();
        let negotiated = originate(&client, server.address(), "localhost").unwrap();
        let class = match algorithm.is_ml_dsa() {
            true => ClientAuthentication::Pq,
            false => ClientAuthentication::Classical,
        };
        assert_eq!(negotiated.client_authentication, class, "{algorithm:?}");
        assert!(server.served().unwrap().client_certificate);
    }
}

#[test]
fn our_client_resumes_with_openssl_when_it_may_remember() {
    let pki = Pki::new();
    let server = OpensslServer::start(&openssl_server(&pki, Algorithm::MlDsa65));
    for (remembered, resumed) in [(0, false), (8, true)] {
        let spec = ClientSpec {
            resumption: remembered,
            ..our_client(None, &[Algorithm::MlDsa65])
        };
        let client = OurClient::build(spec).unwrap();
        originate(&client, server.address(), "localhost").unwrap();
        assert!(!server.served().unwrap().resumed);
        let negotiated = originate(&client, server.address(), "localhost").unwrap();
        assert_eq!(server.served().unwrap().resumed, resumed);
        assert_eq!(negotiated.resumed, resumed);
        assert_eq!(negotiated.authentication, Authentication::Pq);
    }
}
