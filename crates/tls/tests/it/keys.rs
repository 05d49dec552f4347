//! Chains and keys in every form that people bring along.
use crate::lab::{
    Ca, ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, P256, P384, P521, Pair, RSA, authority, client_params, connect,
    offer, scheme, server, server_params, shake, spec,
};
use portcullis_tls::{
    identity::{Certificate, Identity, IdentityError, Problem, certificates_from_pem},
    negotiated::Authentication,
};
use portcullis_wire::registry::KeyKind;
use std::sync::Arc;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/", $name)).as_slice()
    };
}

fn refused(chain: &[u8], key: &[u8]) -> IdentityError {
    Identity::from_pem(chain, key).expect_err("this is of no use")
}

#[test]
fn keys_of_every_form_serve() {
    let table = [
        (fixture!("mldsa65.pem"), fixture!("mldsa65-seed.key"), "mldsa65"),
        (fixture!("mldsa65.pem"), fixture!("mldsa65-expanded.key"), "mldsa65"),
        (fixture!("mldsa65.pem"), fixture!("mldsa65-both.key"), "mldsa65"),
        (fixture!("mldsa44.pem"), fixture!("mldsa44-expanded.key"), "mldsa44"),
        (fixture!("mldsa87.pem"), fixture!("mldsa87-seed.key"), "mldsa87"),
        (
            fixture!("p256.pem"),
            fixture!("p256-sec1.key"),
            "ecdsa_secp256r1_sha256",
        ),
        (
            fixture!("rsa2048.pem"),
            fixture!("rsa2048-pkcs1.key"),
            "rsa_pss_rsae_sha512",
        ),
    ];
    for (chain, key, name) in table {
        let identity = Arc::new(Identity::from_pem(chain, key).unwrap());
        let server = server(spec(&[&identity]));
        let done = shake(&server, &mut connect(offer()).tls).unwrap();
        assert_eq!(done.facts.signature, Some(scheme(name)));
    }
}

#[test]
fn a_key_knows_its_schemes_best_first() {
    let rsa = [
        "rsa_pss_rsae_sha512",
        "rsa_pss_rsae_sha384",
        "rsa_pss_rsae_sha256",
        "rsa_pkcs1_sha512",
        "rsa_pkcs1_sha384",
        "rsa_pkcs1_sha256",
    ];
    let table: [(_, &[&str], _, usize); 8] = [
        (&ML_DSA_44, &["mldsa44"], KeyKind::MlDsa44, 1312 * 8),
        (&ML_DSA_65, &["mldsa65"], KeyKind::MlDsa65, 1952 * 8),
        (&ML_DSA_87, &["mldsa87"], KeyKind::MlDsa87, 2592 * 8),
        (&P256, &["ecdsa_secp256r1_sha256"], KeyKind::EcdsaP256, 256),
        (&P384, &["ecdsa_secp384r1_sha384"], KeyKind::EcdsaP384, 384),
        (&P521, &["ecdsa_secp521r1_sha512"], KeyKind::EcdsaP521, 521),
        (&ED25519, &["ed25519"], KeyKind::Ed25519, 256),
        (&RSA, &rsa, KeyKind::Rsa, 2048),
    ];
    for (algorithm, names, kind, bits) in table {
        let identity = crate::lab::identity(algorithm);
        let schemes: Vec<String> = identity.schemes().iter().map(ToString::to_string).collect();
        assert_eq!(schemes, names);
        assert_eq!(identity.leaf().key, Some(kind));
        assert_eq!(identity.leaf().key_bits, bits, "{names:?}");
        assert_eq!(identity.leaf().signature_is_pq, kind.is_ml_dsa());
    }
}

#[test]
fn unusable_keys_are_named_with_what_to_do() {
    let chain = fixture!("p256.pem");
    let table = [
        (fixture!("p256-encrypted.key"), "encrypted", "passphrase_file"),
        (fixture!("p256-encrypted-sec1.key"), "encrypted", "openssl pkcs8"),
        (fixture!("mldsa65-bare-seed.key"), "bare-seed", "seed-priv"),
        (fixture!("mldsa65-bare-priv.key"), "bare-priv", "seed-priv"),
        (fixture!("mldsa65-oqskeypair.key"), "oqskeypair", "seed-priv"),
        (fixture!("rsa1024.key"), "1024 bits", "2048"),
        (fixture!("secp256k1.key"), "1.3.132.0.10", "P-256"),
        (fixture!("explicit.key"), "explicit", "P-256"),
        (fixture!("ed448.key"), "Ed448", "Ed25519"),
        (fixture!("rsapss.key"), "PSS", "plain RSA"),
    ];
    for (key, names, advises) in table {
        match refused(chain, key) {
            IdentityError::BadKey { problem, hint } => {
                assert!(problem.contains(names), "{problem}");
                assert!(hint.contains(advises), "{hint}");
            }
            other => panic!("{names}: {other:?}"),
        }
    }
    let weak = refused(fixture!("rsa1024.pem"), fixture!("rsa1024.key"));
    assert!(matches!(weak, IdentityError::BadKey { .. }));
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_only() {
    let (chain, key) = (fixture!("p256.pem"), fixture!("p256-encrypted.key"));
    let identity = Identity::from_encrypted_pem(chain, key, b"x").unwrap();
    assert_eq!(identity.leaf().key, Some(KeyKind::EcdsaP256));
    let plain: &[u8] = fixture!("p256-sec1.key");
    let table: [(&[u8], &[u8], &str); 4] = [
        (key, b"y", "the passphrase is not the key's"),
        (key, b"", "the passphrase is not the key's"),
        (plain, b"x", "not encrypted"),
        (fixture!("p256-encrypted-sec1.key"), b"x", "OpenSSL 1.0"),
    ];
    for (key, passphrase, says) in table {
        match Identity::from_encrypted_pem(chain, key, passphrase) {
            Err(IdentityError::BadKey { problem, .. }) => assert!(problem.contains(says), "{problem}"),
            other => panic!("{says}: {other:?}"),
        }
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_named() {
    let (chain, key) = (fixture!("p256.pem"), fixture!("p256-sec1.key"));
    let der = certificates_from_pem(chain).unwrap().remove(0).0;
    let chains = [
        (fixture!("request.pem"), "a certificate request"),
        (fixture!("crl.pem"), "a revocation list"),
        (fixture!("public.pem"), "a public key"),
        (fixture!("trusted.pem"), "an OpenSSL trusted certificate"),
        (fixture!("bundle.p7b"), "a PKCS#7 bundle"),
        (key, "a private key"),
        (&der, "binary DER"),
    ];
    for (text, expected) in chains {
        match refused(text, key) {
            IdentityError::Misplaced { found, .. } => assert_eq!(found, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let keys = [
        (chain, "a certificate"),
        (fixture!("public.pem"), "a public key"),
        (&der, "binary DER"),
    ];
    for (text, expected) in keys {
        match refused(chain, text) {
            IdentityError::Misplaced { found, .. } => assert_eq!(found, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(refused(b"", key), IdentityError::NoCertificate);
    assert_eq!(refused(chain, b""), IdentityError::NoKey);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mismatch = refused(fixture!("p256.pem"), fixture!("rsa2048-pkcs1.key"));
    assert_eq!(mismatch, IdentityError::KeyMismatch);
    let ca = Ca::new(&P256, "root");
    let (one, two) = (ca.issue(&P256, server_params()), ca.issue(&P256, server_params()));
    let mismatch = refused(one.chain.as_bytes(), two.key.as_bytes());
    assert_eq!(mismatch, IdentityError::KeyMismatch);
    assert!(mismatch.hint().is_some());
}

#[test]
fn two_keys_in_one_text_are_refused() {
    let pair = Ca::new(&P256, "root").issue(&P256, server_params());
    let twice = format!("{}{}", pair.key, pair.key);
    let came = refused(pair.chain.as_bytes(), twice.as_bytes());
    assert!(matches!(came, IdentityError::BadKey { .. }));
}

#[test]
fn a_broken_certificate_is_counted() {
    let good = Ca::new(&P256, "root").issue(&P256, server_params());
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let came = refused((good.chain + broken).as_bytes(), good.key.as_bytes());
    assert!(
        matches!(came, IdentityError::BadCertificate { index: 2, .. }),
        "{came:?}"
    );
}

#[test]
fn names_and_addresses_are_covered() {
    let identity = crate::lab::identity(&P256);
    for (name, covered) in [
        ("localhost", true),
        ("a.example.com", true),
        ("a.b.example.com", false),
        ("example.com", false),
        ("127.0.0.1", true),
        ("127.0.0.2", false),
        ("::1", false),
    ] {
        assert_eq!(identity.covers(name), covered, "{name}");
    }
}

#[test]
fn a_certificate_is_read_for_people() {
    let mut params = server_params();
    params.serial_number = Some(rcgen::SerialNumber::from(0xabcd_u64));
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let identity = Ca::new(&ML_DSA_65, "root").issue(&P256, params).identity();
    let leaf = identity.leaf();
    let expected = Certificate {
        is_version_3: true,
        subject: "CN=server,O=Lab".into(),
        issuer: "CN=root,O=Lab".into(),
        serial: "abcd".into(),
        not_before: 1_767_225_600,
        not_after: 1_798_761_600,
        dns_names: vec!["localhost".into(), "*.example.com".into()],
        addresses: vec!["127.0.0.1".parse().unwrap()],
        uris: Vec::new(),
        key: Some(KeyKind::EcdsaP256),
        key_algorithm: "1.2.840.10045.3.1.7".into(),
        key_bits: 256,
        signature: "ML-DSA-65".into(),
        signature_is_pq: true,
        signature_level: 3,
        is_ca: false,
        for_servers: true,
        is_self_issued: false,
        der_len: identity.chain_der()[0].len(),
    };
    assert_eq!(*leaf, expected);
    assert_eq!(leaf.key_label(), "ECDSA P-256");
    assert_eq!(identity.authentication(), Authentication::Classical);
}

/// A moment at which the lab's certificates, which rcgen makes for 1975 to 4096, are valid.
const NOW: i64 = 1_800_000_000;

fn joined(parts: &[&str], key: &str) -> Identity {
    Identity::from_pem(parts.concat().as_bytes(), key.as_bytes()).unwrap()
}

#[test]
fn a_chain_in_order_has_no_problems() {
    let root = Ca::new(&P256, "root");
    let between = root.intermediate(&P256, "between");
    let leaf = between.issue(&P256, server_params());
    let chain = joined(&[&leaf.chain, &between.pem()], &leaf.key);
    assert_eq!(chain.problems(NOW), []);
}

#[test]
fn problems_of_a_chain_are_found() {
    let root = Ca::new(&P256, "root");
    let between = root.intermediate(&P256, "between");
    let leaf = between.issue(&P256, server_params());
    let (one, two, three) = (&*leaf.chain, &*between.pem(), &*root.pem());
    let table = [
        (vec![one, two, three], vec![Problem::RootIncluded { index: 3 }]),
        (vec![two, one], vec![Problem::LeafNotFirst]),
        (
            vec![one, three, two],
            vec![
                Problem::RootIncluded { index: 2 },
                Problem::ChainOutOfOrder { index: 2 },
                Problem::ChainOutOfOrder { index: 3 },
            ],
        ),
        (vec![one, one], vec![Problem::ChainOutOfOrder { index: 2 }]),
    ];
    for (parts, expected) in table {
        let chain = joined(&parts, &leaf.key);
        assert_eq!(chain.leaf().subject, "CN=server,O=Lab");
        assert_eq!(chain.problems(NOW), expected);
        assert!(!expected[0].to_string().is_empty());
    }
}

#[test]
fn problems_of_a_leaf_are_found() {
    let root = Ca::new(&P256, "root");
    let mut params = server_params();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let (from, to) = (1_767_225_600, 1_798_761_600);
    let dated = root.issue(&P256, params).identity();
    let early = Problem::NotYetValid {
        index: 1,
        not_before: from,
    };
    let late = Problem::Expired {
        index: 1,
        not_after: to,
    };
    let table = [
        (from - 1, vec![early]),
        (from, vec![]),
        (to, vec![]),
        (to + 1, vec![late]),
    ];
    for (now, expected) in table {
        assert_eq!(dated.problems(now), expected);
    }
    let client = root.issue(&P256, client_params()).identity();
    assert_eq!(client.problems(NOW), [Problem::NotForServers]);
    let ca = root.issue(&P256, authority("a CA")).identity();
    assert_eq!(ca.problems(NOW), [Problem::NoSan, Problem::LeafIsCa]);
}

#[test]
fn a_leaf_that_is_not_first_is_sent_first() {
    let root = Ca::new(&P256, "root");
    let leaf = root.issue(&P256, server_params());
    let pair = Pair {
        chain: root.pem() + &leaf.chain,
        key: leaf.key,
    };
    let server = server(spec(&[&pair.identity()]));
    let mut client = connect(offer());
    shake(&server, &mut client.tls).unwrap();
    let subjects: Vec<String> = client.peer_chain().into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, ["CN=server,O=Lab", "CN=root,O=Lab"]);
}

#[test]
fn keys_never_show_in_debug() {
    let pair = Ca::new(&ML_DSA_65, "root").issue(&ML_DSA_65, server_params());
    let shown = format!("{:?}", pair.identity());
    assert!(shown.contains("CN=server"));
    assert!(!shown.to_lowercase().contains("key: pqdsa") && !shown.contains("certified"));
}

#[test]
fn a_text_with_anything_around_its_sections_is_read() {
    let pair = Ca::new(&P256, "root").issue(&P256, server_params());
    let chain = format!("Bag Attributes\r\n  friendlyName: x\r\n{}\r\ntrailing", pair.chain);
    let key = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
        pair.key
    );
    assert!(Identity::from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
    let windows = |text: &str| text.replace('\n', "\r\n");
    let read = Identity::from_pem(windows(&pair.chain).as_bytes(), windows(&pair.key).as_bytes());
    assert!(read.is_ok());
}
