//! What we make is taken by those who use it: our own reader, and the verifier that our clients use.
#![allow(clippy::unwrap_used)] // a panic is how a test fails
use portcullis_certs::{Algorithm, Authority, Issued, Name, RootSpec, ServerSpec, self_signed_pair};
use portcullis_tls::{
    identity::{Identity, certificates_from_pem},
    negotiated::Authentication,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{ServerName, UnixTime},
};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn every_algorithm_makes_an_identity() {
    for algorithm in Algorithm::ALL {
        let (_, issued) = issue(algorithm);
        let identity = identity(&issued);
        assert_eq!(identity.leaf().key, Some(algorithm.key_kind()));
        let expected = match algorithm.key_kind().is_ml_dsa() {
            true => Authentication::Pq,
            false => Authentication::Classical,
        };
        assert_eq!(identity.authentication(), expected, "{algorithm}");
        assert!(!identity.schemes().is_empty(), "{algorithm}");
        assert!(
            identity.covers("localhost") && identity.covers("127.0.0.1"),
            "{algorithm}"
        );
        let now = UnixTime::now().as_secs() as i64;
        assert_eq!(format!("{:?}", identity.problems(now)), "[]", "{algorithm}");
    }
}

#[test]
fn every_algorithm_is_verified_up_to_its_root_and_to_no_other() {
    for algorithm in Algorithm::ALL {
        let (authority, issued) = issue(algorithm);
        assert_eq!(verify(authority.certificate_pem(), &issued), Ok(()), "{algorithm}");
        let (other, _) = issue(algorithm);
        assert!(verify(other.certificate_pem(), &issued).is_err(), "{algorithm}");
    }
}

#[test]
fn the_self_signed_pair_is_ml_dsa_and_ecdsa_and_each_its_own_root() {
    let names: Vec<Name> = vec!["localhost".parse().unwrap()];
    let pair = self_signed_pair(&names).unwrap();
    let classes = pair.each_ref().map(|issued| identity(issued).authentication());
    assert_eq!(classes, [Authentication::Pq, Authentication::Classical]);
    for issued in &pair {
        assert_eq!(verify(&issued.chain_pem, issued), Ok(()));
    }
    assert!(verify(&pair[0].chain_pem, &pair[1]).is_err());
}

fn issue(algorithm: Algorithm) -> (Authority, Issued) {
    let authority = Authority::root(&RootSpec {
        algorithm,
        name: format!("{algorithm} root"),
        valid: 90 * DAY,
    })
    .unwrap();
    let issued = authority
        .issue_server(&ServerSpec {
            algorithm,
            names: ["localhost", "127.0.0.1"].map(|name| name.parse().unwrap()).to_vec(),
            valid: 60 * DAY,
        })
        .unwrap();
    (authority, issued)
}

fn identity(issued: &Issued) -> Identity {
    Identity::from_pem(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap()
}

fn verify(root_pem: &str, issued: &Issued) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for (der, _) in certificates_from_pem(root_pem.as_bytes()).unwrap() {
        roots.add(der).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = builder.build().unwrap();
    let chain = identity(issued).chain_der().to_vec();
    let name = ServerName::try_from("localhost").unwrap();
    let verified = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::now());
    verified.map(|_| ())
}
