//! Which certificate a hello gets, and why it gets none.
use crate::lab::{
    Ca, ML_DSA_65, ML_DSA_87, P256, P384, Pair, RSA, Unfinished, connect, group, groups, identity, offer, policy,
    schemes, server, server_params, settings, shake, spec,
};
use portcullis_tls::{
    client::ClientSpec,
    identity::Identity,
    negotiated::Version,
    policy::{RuleName, Stance},
    profile::{CipherOrder, Overrides, Profile},
    server::{BuildError, Refusal, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::{CipherId, SchemeId, alert::Alert};
use std::sync::Arc;

/// What a client of this version gets that verifies these schemes.
fn signed(server: &Server, version: Version, verifies: &[&str]) -> Result<String, Refusal> {
    let mut client = connect(ClientSpec {
        versions: vec![version],
        schemes: Some(schemes(verifies)),
        ..offer()
    });
    match shake(server, &mut client.tls) {
        Ok(done) => {
            let seen = client.negotiated().expect("it is finished").signature;
            assert_eq!(done.facts.signature, seen);
            Ok(seen.map(|scheme| scheme.to_string()).unwrap_or_default())
        }
        Err(Unfinished::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

const ALL: &[&str] = &[
    "mldsa65",
    "ecdsa_secp256r1_sha256",
    "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256",
];

#[test]
fn the_first_certificate_that_the_client_can_verify_is_sent() {
    let server = server(spec(&[&identity(&ML_DSA_65), &identity(&P256), &identity(&RSA)]));
    use Version::{Tls12, Tls13};
    let table = [
        (Tls13, ALL, Ok("mldsa65")),
        (Tls12, ALL, Ok("ecdsa_secp256r1_sha256")),
        (
            Tls13,
            &["rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"],
            Ok("ecdsa_secp256r1_sha256"),
        ),
        (Tls13, &["rsa_pss_rsae_sha256"], Ok("rsa_pss_rsae_sha256")),
        // PKCS#1 signs certificates in TLS 1.3, never handshakes
        (Tls13, &["rsa_pkcs1_sha256"], Err(Refusal::NoCertificate)),
        (Tls12, &["rsa_pkcs1_sha256"], Ok("rsa_pkcs1_sha256")),
        (Tls12, &["mldsa65"], Err(Refusal::NoCertificate)),
        (Tls13, &["ed25519"], Err(Refusal::NoCertificate)),
        // rustls wants a P-256 key's own scheme, in TLS 1.2 as well
        (Tls12, &["ecdsa_secp384r1_sha384"], Err(Refusal::NoCertificate)),
    ];
    for (version, verifies, expected) in table {
        let came = signed(&server, version, verifies);
        assert_eq!(came, expected.map(str::to_owned), "{version:?} {verifies:?}");
    }
}

#[test]
fn the_operators_order_decides() {
    let server = server(spec(&[&identity(&P256), &identity(&ML_DSA_65)]));
    assert_eq!(signed(&server, Version::Tls13, ALL).unwrap(), "ecdsa_secp256r1_sha256");
    assert_eq!(signed(&server, Version::Tls13, &["mldsa65"]).unwrap(), "mldsa65");
}

#[test]
fn authentication_moves_or_keeps_ml_dsa() {
    let pair = [identity(&P256), identity(&ML_DSA_65), identity(&P384)];
    let with = |authentication| {
        server(ServerSpec {
            policy: policy(Stance::Observe, authentication),
            ..spec(&[&pair[0], &pair[1], &pair[2]])
        })
    };
    let kept = |server: &Server| -> Vec<usize> {
        let index = |identity: &Arc<Identity>| pair.iter().position(|ours| Arc::ptr_eq(ours, identity));
        server.identities().iter().filter_map(index).collect()
    };
    assert_eq!(kept(&with(Stance::Observe)), [0, 1, 2]);
    assert_eq!(kept(&with(Stance::Prefer)), [1, 0, 2]);
    assert_eq!(kept(&with(Stance::Require)), [1]);

    let require = with(Stance::Require);
    assert_eq!(signed(&require, Version::Tls13, ALL).unwrap(), "mldsa65");
    let refused = Err(Refusal::Policy(RuleName::Authentication));
    assert_eq!(signed(&require, Version::Tls12, ALL), refused);
    assert_eq!(signed(&require, Version::Tls13, &["ecdsa_secp256r1_sha256"]), refused);
    // of another level than ours
    assert_eq!(signed(&require, Version::Tls13, &["mldsa87"]), refused);
    let prefer = with(Stance::Prefer);
    assert_eq!(
        signed(&prefer, Version::Tls13, &ALL[1..]).unwrap(),
        "ecdsa_secp256r1_sha256"
    );
}

#[test]
fn a_profile_filters_chains() {
    let strong = identity(&ML_DSA_87);
    let medium = identity(&ML_DSA_65);
    let classical = identity(&P256);
    let mixed = Ca::new(&ML_DSA_65, "65").issue(&ML_DSA_87, server_params()).identity();
    let weak_key = Ca::new(&ML_DSA_87, "87").issue(&ML_DSA_65, server_params()).identity();
    let all = [&classical, &medium, &mixed, &weak_key, &strong];
    let count = |profile: Profile| {
        let server = server(ServerSpec {
            settings: settings(profile, &Overrides::default()),
            ..spec(&all)
        });
        server.identities().len()
    };
    assert_eq!(count(Profile::Default), 5);
    assert_eq!(count(Profile::PqOnly), 4);
    assert_eq!(count(Profile::Cnsa2), 1);
}

#[test]
fn cnsa2_speaks_only_of_its_own() {
    let server = server(ServerSpec {
        settings: settings(Profile::Cnsa2, &Overrides::default()),
        policy: Profile::Cnsa2.policy().into(),
        ..spec(&[&identity(&ML_DSA_87)])
    });
    let mut client = connect(ClientSpec {
        groups: groups(&["X25519MLKEM768", "SecP384r1MLKEM1024"]),
        ..offer()
    });
    let done = shake(&server, &mut client.tls).unwrap();
    assert_eq!(done.facts.group, Some(group("SecP384r1MLKEM1024")));
    assert_eq!(done.facts.cipher, CipherId(0x1302));
    assert_eq!(done.facts.signature.unwrap().to_string(), "mldsa87");
    let mut client = connect(offer());
    let refused = shake(&server, &mut client.tls).err();
    let expected = Refusal::Policy(RuleName::KeyExchange);
    assert!(matches!(refused, Some(Unfinished::Refused(refusal)) if refusal == expected));
}

#[test]
fn signatures_narrow_what_a_key_signs_with() {
    let narrowed = |names: &[&str]| {
        let overrides = Overrides {
            signatures: Some(schemes(names)),
            ..Overrides::default()
        };
        ServerSpec {
            settings: settings(Profile::Default, &overrides),
            ..spec(&[&identity(&RSA), &identity(&P256)])
        }
    };
    let server = server(narrowed(&["rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"]));
    let pss = &["rsa_pss_rsae_sha512", "rsa_pss_rsae_sha256"];
    assert_eq!(signed(&server, Version::Tls13, pss).unwrap(), "rsa_pss_rsae_sha256");
    assert_eq!(signed(&server, Version::Tls12, pss).unwrap(), "rsa_pss_rsae_sha256");
    let sha512 = &["rsa_pss_rsae_sha512"];
    assert_eq!(signed(&server, Version::Tls13, sha512), Err(Refusal::NoCertificate));

    let only_rsa = crate::lab::server(narrowed(&["rsa_pss_rsae_sha256"]));
    assert_eq!(only_rsa.identities().len(), 1);
    let none = Server::build(narrowed(&["ed25519"]), &Tickets::new());
    assert!(matches!(none, Err(BuildError::NoUsableCertificate)));
}

#[test]
fn a_suite_of_tls_12_fits_the_key() {
    let overrides = Overrides {
        ciphers: Some(vec![CipherId(0x1301), CipherId(0xc02f)]),
        ..Overrides::default()
    };
    let server = server(ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..spec(&[&identity(&P256), &identity(&RSA)])
    });
    assert_eq!(signed(&server, Version::Tls13, ALL).unwrap(), "ecdsa_secp256r1_sha256");
    // only an RSA suite is left in TLS 1.2
    assert_eq!(signed(&server, Version::Tls12, ALL).unwrap(), "rsa_pss_rsae_sha256");
    let ecdsa = &["ecdsa_secp256r1_sha256"];
    assert_eq!(signed(&server, Version::Tls12, ecdsa), Err(Refusal::NoCertificate));
}

#[test]
fn the_order_of_suites_is_the_clients_unless_we_say_so() {
    let identity = identity(&P256);
    let suite = |cipher_order| {
        let overrides = Overrides {
            ciphers: Some(vec![CipherId(0x1303), CipherId(0x1302), CipherId(0x1301)]),
            cipher_order,
            ..Overrides::default()
        };
        let server = server(ServerSpec {
            settings: settings(Profile::Modern, &overrides),
            ..spec(&[&identity])
        });
        shake(&server, &mut connect(offer()).tls).unwrap().facts.cipher
    };
    assert_eq!(suite(None), CipherId(0x1301));
    assert_eq!(suite(Some(CipherOrder::Client)), CipherId(0x1301));
    assert_eq!(suite(Some(CipherOrder::Server)), CipherId(0x1303));
}

#[test]
fn what_is_not_in_common_is_named() {
    let identity = identity(&P256);
    let with = |overrides: Overrides, profile: Profile| {
        server(ServerSpec {
            settings: settings(profile, &overrides),
            ..spec(&[&identity])
        })
    };
    let refusal = |server: &Server, client: ClientSpec| {
        let came = shake(server, &mut connect(client).tls);
        match came.err() {
            Some(Unfinished::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    };
    let tls12 = || ClientSpec {
        versions: vec![Version::Tls12],
        ..offer()
    };
    let modern = with(Overrides::default(), Profile::Modern);
    assert_eq!(refusal(&modern, tls12()), Refusal::NoCommonVersion);
    assert_eq!(Refusal::NoCommonVersion.alert(), Alert::PROTOCOL_VERSION);

    let p384 = Overrides {
        groups: Some(groups(&["secp384r1"])),
        ..Overrides::default()
    };
    let server = with(p384, Profile::Default);
    assert_eq!(refusal(&server, offer()), Refusal::NoCommonGroup);
    assert_eq!(refusal(&server, tls12()), Refusal::NoCommonGroup);

    let server = with(Overrides::default(), Profile::Default);
    let mut hello = shake(&server, &mut connect(offer()).tls).unwrap().hello;
    hello.ciphers = vec![CipherId(0x1304), CipherId(0x1a1a)];
    assert_eq!(server.choose(&hello).unwrap_err(), Refusal::NoCommonCipher);
    hello.ciphers = vec![CipherId(0x1301)];
    assert!(server.choose(&hello).is_ok());
    // TLS 1.2 is in common, no suite of it is
    hello.versions = vec![0x0303];
    assert_eq!(server.choose(&hello).unwrap_err(), Refusal::NoCommonCipher);
    hello.versions = vec![0x0301];
    assert_eq!(server.choose(&hello).unwrap_err(), Refusal::NoCommonVersion);
}

#[test]
fn require_refuses_classical_clients_of_both_versions() {
    let server = server(ServerSpec {
        policy: policy(Stance::Require, Stance::Observe),
        ..spec(&[&identity(&P256)])
    });
    for versions in [vec![Version::Tls13], vec![Version::Tls12]] {
        let mut client = connect(ClientSpec {
            versions,
            groups: groups(&["X25519", "secp256r1"]),
            ..offer()
        });
        let came = shake(&server, &mut client.tls).err();
        let expected = Refusal::Policy(RuleName::KeyExchange);
        assert!(matches!(came, Some(Unfinished::Refused(refusal)) if refusal == expected));
    }
    assert_eq!(server.flight_len(0, group("X25519")), None);
}

#[test]
fn a_server_that_could_serve_nobody_is_not_built() {
    let build = |spec| Server::build(spec, &Tickets::new()).map(|_| ());
    let classical = Overrides {
        groups: Some(groups(&["X25519"])),
        ..Overrides::default()
    };
    let no_group = ServerSpec {
        settings: settings(Profile::Default, &classical),
        policy: policy(Stance::Require, Stance::Observe),
        ..spec(&[&identity(&P256)])
    };
    assert!(matches!(build(no_group), Err(BuildError::NoUsableGroup)));
    assert!(matches!(build(spec(&[])), Err(BuildError::NoUsableCertificate)));
    let no_pq = ServerSpec {
        policy: policy(Stance::Observe, Stance::Require),
        ..spec(&[&identity(&P256)])
    };
    assert!(matches!(build(no_pq), Err(BuildError::NoUsableCertificate)));
    let no_87 = ServerSpec {
        settings: settings(Profile::Cnsa2, &Overrides::default()),
        ..spec(&[&identity(&ML_DSA_65)])
    };
    assert!(matches!(build(no_87), Err(BuildError::NoUsableCertificate)));
}

#[test]
fn a_certificate_is_never_chosen_by_group() {
    let server = server(spec(&[&identity(&P256), &identity(&ML_DSA_65)]));
    for list in [&["X25519MLKEM768"][..], &["X25519"]] {
        let mut client = connect(ClientSpec {
            groups: groups(list),
            ..offer()
        });
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!(done.facts.signature, Some(SchemeId(0x0403)), "{list:?}");
    }
}

#[test]
fn a_chain_with_its_key_in_one_text_serves() {
    let pair = Ca::new(&P256, "root").issue(&P256, server_params());
    let both = pair.chain + &pair.key;
    let pair = Pair {
        chain: both.clone(),
        key: both,
    };
    let server = server(spec(&[&pair.identity()]));
    assert!(shake(&server, &mut connect(offer()).tls).is_ok());
}
