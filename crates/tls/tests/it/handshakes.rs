//! Groups, signatures and versions in finished handshakes.
use crate::lab::{
    Ca, ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, P256, P384, Pair, RETRY_COLUMNS, RETRY_ROWS, RSA, Unfinished,
    connect, group, groups, identity, offer, policy, scheme, schemes, server, server_params, settings, shake, spec,
};
use portcullis_tls::{
    client::{Client, ClientSpec, Connection},
    compression::CertificateCompression,
    negotiated::{Authentication, Safety, Version},
    policy::{RuleName, Stance},
    profile::{Overrides, Profile},
    rustls::{ServerConnection, pki_types::ServerName},
    server::{Choice, ClientAuth, ClientAuthMode, Refusal, ServerSpec, Unfit},
};
use portcullis_wire::{
    Hello, KeyExchange,
    alert::Alert,
    registry::{Group, Standing},
};
use std::time::Duration;

fn offered() -> impl Iterator<Item = &'static Group> {
    Group::all().iter().filter(|group| group.standing != Standing::Never)
}

#[test]
fn every_group_alone_makes_a_handshake() {
    let identity = identity(&P256);
    for row in offered() {
        let overrides = Overrides {
            groups: Some(vec![row.id]),
            ..Overrides::default()
        };
        let server = server(ServerSpec {
            settings: settings(Profile::Modern, &overrides),
            ..spec(&[&identity])
        });
        let mut client = connect(ClientSpec {
            groups: vec![row.id],
            ..offer()
        });
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!(done.facts.group, Some(row.id), "{}", row.name);
        assert_eq!(done.facts.key_exchange(), row.class);
        assert!(!done.facts.retry);
        assert_eq!(done.hello.key_shares, [(row.id, row.client_share)]);
        let seen = client.negotiated().unwrap();
        assert_eq!(seen, done.facts, "{}", row.name);
    }
}

#[test]
fn every_group_can_be_asked_for_by_retry() {
    let identity = identity(&P256);
    for row in offered() {
        let other = if row.name == "secp256r1" { "X25519" } else { "secp256r1" };
        let overrides = Overrides {
            groups: Some(vec![row.id]),
            ..Overrides::default()
        };
        let server = server(ServerSpec {
            settings: settings(Profile::Modern, &overrides),
            ..spec(&[&identity])
        });
        let mut client = connect(ClientSpec {
            groups: vec![group(other), row.id],
            ..offer()
        });
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!(
            (done.facts.group, done.facts.retry),
            (Some(row.id), true),
            "{}",
            row.name
        );
        assert_eq!(client.negotiated().unwrap(), done.facts);
    }
}

/// A connection that lists these groups in this order and sends its share for `share`: rustls does so after it has
/// met a server that took that one.
fn sharing(list: &[&str], share: &str) -> Connection {
    let client = Client::build(ClientSpec {
        groups: groups(list),
        resumption: 8,
        ..offer()
    })
    .unwrap();
    let localhost = || ServerName::try_from("localhost").unwrap();
    let overrides = Overrides {
        groups: Some(groups(&[share])),
        ..Overrides::default()
    };
    let teacher = server(ServerSpec {
        settings: settings(Profile::Default, &overrides),
        policy: policy(Stance::Observe, Stance::Observe),
        resumption: portcullis_tls::tickets::Resumption::living(Duration::ZERO),
        ..spec(&[&identity(&P256)])
    });
    shake(&teacher, &mut client.connect(localhost()).unwrap().tls).unwrap();
    client.connect(localhost()).unwrap()
}

#[test]
fn the_retry_table_holds() {
    let identity = identity(&P256);
    for (list, share, cells) in RETRY_ROWS {
        for ((stance, retry), expected) in RETRY_COLUMNS.into_iter().zip(cells) {
            let overrides = Overrides {
                retry: Some(retry),
                ..Overrides::default()
            };
            let server = server(ServerSpec {
                settings: settings(Profile::Default, &overrides),
                policy: policy(stance, Stance::Observe),
                ..spec(&[&identity])
            });
            let mut client = sharing(list, share);
            let case = format!("{list:?} with {share}, {stance:?}, retry {retry}");
            match (shake(&server, &mut client.tls), expected) {
                (Ok(done), Some((name, retried))) => {
                    assert_eq!(done.hello.key_shares[0].0, group(share), "{case}");
                    assert_eq!(done.facts.group, Some(group(name)), "{case}");
                    assert_eq!(done.facts.retry, retried, "{case}");
                    assert_eq!(client.negotiated().unwrap(), done.facts, "{case}");
                }
                (Err(Unfinished::Refused(refusal)), None) => {
                    assert_eq!(refusal, Refusal::Policy(RuleName::KeyExchange), "{case}");
                    assert_eq!(refusal.alert(), Alert::INSUFFICIENT_SECURITY);
                }
                (other, expected) => {
                    let came = other.map(|done| done.facts);
                    panic!("{case}: expected {expected:?}, came {came:?}");
                }
            }
        }
    }
}

#[test]
fn every_algorithm_signs_in_the_versions_it_knows() {
    let table = [
        (&ML_DSA_44, "mldsa44", None),
        (&ML_DSA_65, "mldsa65", None),
        (&ML_DSA_87, "mldsa87", None),
        (&P256, "ecdsa_secp256r1_sha256", Some("ecdsa_secp256r1_sha256")),
        (&P384, "ecdsa_secp384r1_sha384", Some("ecdsa_secp384r1_sha384")),
        (&ED25519, "ed25519", Some("ed25519")),
        (&RSA, "rsa_pss_rsae_sha512", Some("rsa_pss_rsae_sha512")),
    ];
    for (algorithm, in_13, in_12) in table {
        let identity = identity(algorithm);
        let server = server(spec(&[&identity]));
        for (version, expected) in [(Version::Tls13, Some(in_13)), (Version::Tls12, in_12)] {
            let mut client = connect(ClientSpec {
                versions: vec![version],
                ..offer()
            });
            match (shake(&server, &mut client.tls), expected) {
                (Ok(done), Some(name)) => {
                    assert_eq!(done.facts.version, version);
                    assert_eq!(done.facts.signature, Some(scheme(name)));
                    assert_eq!(client.negotiated().unwrap(), done.facts, "{name} {version:?}");
                }
                (Err(Unfinished::Refused(refusal)), None) => {
                    assert_eq!(refusal, Refusal::NoCertificate, "{in_13}");
                }
                (other, _) => panic!("{in_13} {version:?}: {:?}", other.map(|done| done.facts)),
            }
        }
    }
}

#[test]
fn a_chain_is_pq_only_if_every_signature_is() {
    let pq = Ca::new(&ML_DSA_65, "pq root");
    let classical = Ca::new(&P256, "classical root");
    let table = [
        (pq.issue(&ML_DSA_65, server_params()), Authentication::Pq, Safety::Full),
        (
            classical.issue(&ML_DSA_65, server_params()),
            Authentication::Classical,
            Safety::Confidential,
        ),
        (
            pq.issue(&P256, server_params()),
            Authentication::Classical,
            Safety::Confidential,
        ),
    ];
    for (pair, authentication, safety) in table {
        let server = server(spec(&[&pair.identity()]));
        let mut client = connect(offer());
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!(done.facts.authentication, authentication);
        assert_eq!(done.facts.safety(), safety);
        assert_eq!(client.negotiated().unwrap().authentication, authentication);
    }
    // the intermediate's own signature counts as well
    let crossed = classical.intermediate(&ML_DSA_65, "crossed");
    let leaf = crossed.issue(&ML_DSA_65, server_params());
    let pair = Pair {
        chain: leaf.chain + &crossed.pem(),
        key: leaf.key,
    };
    assert_eq!(pair.identity().authentication(), Authentication::Classical);
}

#[test]
fn tls_12_is_classical_however_the_client_prefers() {
    let server = server(spec(&[&identity(&ML_DSA_65), &identity(&P256)]));
    let mut client = connect(ClientSpec {
        versions: vec![Version::Tls12],
        groups: groups(&["secp256r1", "X25519"]),
        ..offer()
    });
    let done = shake(&server, &mut client.tls).unwrap();
    assert_eq!(done.facts.version, Version::Tls12);
    assert_eq!(done.facts.group, Some(group("X25519")));
    assert_eq!(done.facts.key_exchange(), KeyExchange::Classical);
    assert_eq!(done.facts.safety(), Safety::None);
    assert!(!done.facts.retry);
}

#[test]
fn a_name_and_a_protocol_are_part_of_the_facts() {
    let protocols = |list: &[&str]| -> Vec<Vec<u8>> { list.iter().map(|name| name.as_bytes().to_vec()).collect() };
    // ours, theirs, agreed
    let table = [
        (&["h2", "http/1.1"][..], &["http/1.1", "h2"][..], Some("h2")),
        (&["h2"], &[], None),
        (&[], &["h2"], None),
    ];
    for (ours, theirs, agreed) in table {
        let server = server(ServerSpec {
            alpn: protocols(ours),
            ..spec(&[&identity(&P256)])
        });
        let mut client = connect(ClientSpec {
            alpn: protocols(theirs),
            ..offer()
        });
        let done = shake(&server, &mut client.tls).unwrap();
        assert_eq!(done.hello.sni.as_deref(), Some("localhost"));
        assert_eq!(done.facts.alpn.as_deref(), agreed.map(str::as_bytes));
        assert_eq!(client.negotiated().unwrap().alpn, done.facts.alpn);
    }
}

#[test]
fn a_difference_to_our_own_reading_is_told() {
    let server = server(ServerSpec {
        alpn: vec![b"h2".to_vec()],
        ..spec(&[&identity(&P256)])
    });
    let mut client = connect(ClientSpec {
        alpn: vec![b"h2".to_vec()],
        ..offer()
    });
    let done = shake(&server, &mut client.tls).unwrap();
    let differs = |hello: &Hello, choice: &Choice| {
        let judged = server.negotiated(hello, choice, &done.tls);
        judged.map(|_| ()).map_err(what)
    };
    let choice = || server.choose(&done.hello).unwrap();
    assert_eq!(differs(&done.hello, &choice()), Ok(()));

    let other_name = Hello {
        sni: Some("other.example".into()),
        ..done.hello.clone()
    };
    assert_eq!(differs(&other_name, &choice()), Err("sni"));
    let other_protocol = Hello {
        alpn: vec![b"h3".to_vec()],
        ..done.hello.clone()
    };
    assert_eq!(differs(&other_protocol, &choice()), Err("alpn"));
    let mut other = choice();
    other.group = group("X25519");
    assert_eq!(differs(&done.hello, &other), Err("group"));
    let mut version = choice();
    version.version = Version::Tls12;
    assert_eq!(differs(&done.hello, &version), Err("version"));
    let mut retry = choice();
    retry.retry = true;
    assert_eq!(differs(&done.hello, &retry), Err("retry"));

    let unfinished = ServerConnection::new(choice().config).unwrap();
    let judged = server.negotiated(&done.hello, &choice(), &unfinished);
    assert_eq!(judged.map_err(what).unwrap_err(), "handshake");
}

#[test]
fn the_flight_is_as_long_as_a_client_gets_it() {
    let root = Ca::new(&ML_DSA_65, "root");
    let intermediate = root.intermediate(&ML_DSA_65, "intermediate");
    let leaf = intermediate.issue(&ML_DSA_65, server_params());
    let chained = Pair {
        chain: leaf.chain + &intermediate.pem(),
        key: leaf.key,
    };
    let server = server(spec(&[&chained.identity(), &identity(&P256)]));
    let hybrid = group("X25519MLKEM768");
    let computed = |index| server.flight_len(index, hybrid).unwrap();
    let compressed = |index, one| server.compressed_flight_len(index, (hybrid, one)).unwrap();
    for (index, schemes) in [(0, None), (1, Some(schemes(&["ecdsa_secp256r1_sha256"])))] {
        let gets = |compressions: &[CertificateCompression], expected: usize| {
            let schemes = schemes.clone();
            let client = Client::build(ClientSpec { schemes, ..offer() }).unwrap();
            let localhost = ServerName::try_from("localhost").unwrap();
            let mut client = client.offering(compressions).connect(localhost).unwrap();
            let got = shake(&server, &mut client.tls).unwrap().first_flight;
            // an ECDSA signature has 70 to 72 bytes, now and then fewer
            assert!(got.abs_diff(expected) <= 8 * index, "{got} and {expected}");
        };
        gets(&[], computed(index));
        for one in CertificateCompression::all() {
            gets(&[*one], compressed(index, *one));
        }
    }
    // TLS-NOTES: 16.0 KB and, of a leaf alone, less than 2.5 KB
    assert!((15_000..17_000).contains(&computed(0)), "{}", computed(0));
    assert!((1_500..2_500).contains(&computed(1)), "{}", computed(1));
    assert_eq!(server.flight_len(2, hybrid), None);
    assert_eq!(server.flight_len(0, group("MLKEM768")), None);
}

#[test]
fn a_flight_is_known_where_clients_must_show_certificates_and_in_tls_12() {
    let auth = |mode| ServerSpec {
        client_auth: Some(ClientAuth::new(mode, vec![Ca::new(&P256, "clients").der()])),
        ..spec(&[&identity(&ML_DSA_65)])
    };
    let hybrid = group("X25519MLKEM768");
    let plain = server(spec(&[&identity(&ML_DSA_65)])).flight_len(0, hybrid).unwrap();
    for mode in [ClientAuthMode::Required, ClientAuthMode::Optional] {
        let asking = server(auth(mode)).flight_len(0, hybrid).unwrap();
        assert!(asking > plain, "{asking} {plain}");
    }
    let overrides = Overrides {
        versions: Some(vec![Version::Tls12]),
        ..Overrides::default()
    };
    let old = server(ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..spec(&[&identity(&P256)])
    });
    assert!(old.flight_len(0, group("X25519")).is_some());
    assert_eq!(old.flight_len(0, hybrid), None);
}

fn what(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::Mismatch(mismatch) => mismatch.what,
        Unfit::Client(refusal) => panic!("{refusal}"),
    }
}
