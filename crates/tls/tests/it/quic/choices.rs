//! Which site, group and certificate a hello gets over QUIC.
use super::{Door, h3, listing, meet, over_quic, remembering};
use crate::lab::{
    ML_DSA_65, ML_DSA_87, P256, RETRY_COLUMNS, RETRY_ROWS, group, groups, identity, offer, policy, scheme, settings,
    spec,
};
use portcullis_tls::{
    client::{Client, ClientSpec},
    negotiated::{Authentication, Version},
    policy::{RuleName, Stance},
    profile::{Overrides, Profile},
    quic::End,
    rustls,
    server::{BuildError, Refusal, ServerSpec},
    tickets::Resumption,
};
use portcullis_wire::{
    CipherId,
    alert::Alert,
    registry::{Group, Standing},
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn the_name_decides_which_site_answers() {
    let shop = over_quic(spec(&[&identity(&P256)]));
    let api = over_quic(spec(&[&identity(&ML_DSA_65)]));
    let door = || Door {
        sites: vec![("shop.example", Arc::clone(&shop)), ("api.example", Arc::clone(&api))],
        nameless: None,
        ..Door::of(&shop)
    };
    for (name, scheme) in [("shop.example", "ecdsa_secp256r1_sha256"), ("api.example", "mldsa65")] {
        let met = meet(door(), &h3(offer()), name).await;
        assert_eq!(
            met.facts().signature.map(|scheme| scheme.to_string()).as_deref(),
            Some(scheme)
        );
        assert_eq!(met.outcome.hello.as_ref().unwrap().sni.as_deref(), Some(name));
        assert_eq!(met.facts().alpn.as_deref(), Some(&b"h3"[..]));
    }
    for name in ["other.example", "127.0.0.1"] {
        let met = meet(door(), &h3(offer()), name).await;
        assert_eq!(met.alert(), Alert::UNRECOGNIZED_NAME);
        assert_eq!(met.outcome.end, End::TurnedAway);
        assert!(met.outcome.choice.is_none() && met.outcome.hello.is_some());
    }
    let met = meet(Door::of(&shop), &h3(offer()), "127.0.0.1").await;
    met.facts();
    assert_eq!(met.outcome.hello.unwrap().sni, None);
}

#[tokio::test]
async fn every_group_alone_makes_a_handshake_with_a_share_and_by_retry() {
    let identity = identity(&P256);
    for row in Group::all().iter().filter(|row| row.standing != Standing::Never) {
        let only = over_quic(ServerSpec {
            settings: settings(Profile::Modern, &listing(&[row.name])),
            ..spec(&[&identity])
        });
        let other = if row.name == "secp256r1" { "X25519" } else { "secp256r1" };
        for list in [vec![row.id], vec![group(other), row.id]] {
            let asking = h3(ClientSpec {
                groups: list.clone(),
                ..offer()
            });
            let met = meet(Door::of(&only), &asking, "localhost").await;
            assert_eq!(met.facts().group, Some(row.id), "{}", row.name);
            assert_eq!(met.facts().retry, list.len() == 2, "{}", row.name);
            let hello = met.outcome.hello.as_ref().unwrap();
            assert_eq!(hello.key_shares[0].0, list[0]);
        }
    }
}

/// A client that lists these groups in this order and sends its share for `share`: rustls does so after it has met a
/// server that took that one.
async fn sharing(list: &[&str], share: &str) -> Client {
    let client = remembering(ClientSpec {
        groups: groups(list),
        ..offer()
    });
    let teacher = over_quic(ServerSpec {
        settings: settings(Profile::Default, &listing(&[share])),
        policy: policy(Stance::Observe, Stance::Observe),
        resumption: Resumption::living(Duration::ZERO),
        ..spec(&[&identity(&P256)])
    });
    meet(Door::of(&teacher), &client, "localhost").await.facts();
    client
}

#[tokio::test]
async fn the_retry_table_holds() {
    let identity = identity(&P256);
    for (list, share, cells) in RETRY_ROWS {
        for ((stance, retry), expected) in RETRY_COLUMNS.into_iter().zip(cells) {
            let overrides = Overrides {
                retry: Some(retry),
                ..Overrides::default()
            };
            let site = over_quic(ServerSpec {
                settings: settings(Profile::Default, &overrides),
                policy: policy(stance, Stance::Observe),
                ..spec(&[&identity])
            });
            let met = meet(Door::of(&site), &sharing(list, share).await, "localhost").await;
            let case = format!("{list:?} with {share}, {stance:?}, retry {retry}");
            assert_eq!(
                met.outcome.hello.as_ref().unwrap().key_shares[0].0,
                group(share),
                "{case}"
            );
            match expected {
                Some((name, retried)) => {
                    assert_eq!(
                        (met.facts().group, met.facts().retry),
                        (Some(group(name)), retried),
                        "{case}"
                    );
                }
                None => {
                    assert_eq!(met.alert(), Alert::INSUFFICIENT_SECURITY, "{case}");
                    let refusal = Some(Refusal::Policy(RuleName::KeyExchange));
                    assert_eq!(met.outcome.gate.refusal, refusal, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_first_certificate_that_the_client_can_verify_is_sent() {
    let site = over_quic(spec(&[&identity(&ML_DSA_65), &identity(&P256)]));
    let table = [
        (None, Some(("mldsa65", Authentication::Pq))),
        (Some("mldsa65"), Some(("mldsa65", Authentication::Pq))),
        (
            Some("ecdsa_secp256r1_sha256"),
            Some(("ecdsa_secp256r1_sha256", Authentication::Classical)),
        ),
        (Some("ed25519"), None),
    ];
    for (verifies, expected) in table {
        let asking = h3(ClientSpec {
            schemes: verifies.map(|name| vec![scheme(name)]),
            ..offer()
        });
        let met = meet(Door::of(&site), &asking, "localhost").await;
        let Some((signed, class)) = expected else {
            assert_eq!(met.alert(), Alert::HANDSHAKE_FAILURE);
            assert_eq!(met.outcome.gate.refusal, Some(Refusal::NoCertificate));
            continue;
        };
        assert_eq!(met.facts().signature, Some(scheme(signed)));
        assert_eq!(met.facts().authentication, class);
    }
}

#[tokio::test]
async fn every_profile_that_has_tls_13_serves() {
    let medium = identity(&ML_DSA_65);
    let strong = identity(&ML_DSA_87);
    let asking = h3(ClientSpec {
        groups: groups(&["X25519MLKEM768", "SecP384r1MLKEM1024"]),
        ..offer()
    });
    let table = [
        (Profile::Default, "X25519MLKEM768", "mldsa65"),
        (Profile::Modern, "X25519MLKEM768", "mldsa65"),
        (Profile::PqOnly, "X25519MLKEM768", "mldsa65"),
        // AES-256 alone: the first packets have their keys all the same
        (Profile::Cnsa2, "SecP384r1MLKEM1024", "mldsa87"),
    ];
    for (profile, named, signed) in table {
        let site = over_quic(ServerSpec {
            settings: settings(profile, &Overrides::default()),
            policy: profile.policy().into(),
            ..spec(&[&medium, &strong])
        });
        let met = meet(Door::of(&site), &asking, "localhost").await;
        assert_eq!(met.facts().group, Some(group(named)), "{profile:?}");
        assert_eq!(met.facts().signature, Some(scheme(signed)), "{profile:?}");
        if profile == Profile::Cnsa2 {
            assert_eq!(met.facts().cipher, CipherId(0x1302));
        }
    }
}

#[test]
fn a_site_of_tls_12_alone_has_no_quic() {
    let overrides = Overrides {
        versions: Some(vec![Version::Tls12]),
        ..Overrides::default()
    };
    let old = ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..spec(&[&identity(&P256)])
    };
    assert!(matches!(old.over_quic(), Err(BuildError::NoTls13)));
}

#[tokio::test]
async fn without_a_group_or_a_protocol_in_common_the_right_alert_goes_out() {
    let overrides = listing(&["secp384r1"]);
    let site = over_quic(ServerSpec {
        settings: settings(Profile::Modern, &overrides),
        ..spec(&[&identity(&P256)])
    });
    let met = meet(Door::of(&site), &h3(offer()), "localhost").await;
    assert_eq!(met.alert(), Alert::HANDSHAKE_FAILURE);
    assert_eq!(met.outcome.gate.refusal, Some(Refusal::NoCommonGroup));

    let site = over_quic(spec(&[&identity(&P256)]));
    for alpn in [vec![], vec![b"hq-interop".to_vec()], vec![b"h2".to_vec()]] {
        let asking = Client::build(ClientSpec { alpn, ..offer() }).unwrap();
        let met = meet(Door::of(&site), &asking, "localhost").await;
        assert_eq!(met.alert(), Alert(120));
        assert_eq!(met.outcome.end, End::Failed(rustls::Error::NoApplicationProtocol));
    }
}
