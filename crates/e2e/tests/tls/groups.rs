//! Which group a hello gets, and by which way.
use crate::{Site, every_group, groups_of, handshake, refused};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    straight::Trouble,
};
use portcullis_tls::{
    policy::{RuleName, Stance},
    profile::Overrides,
    server::Refusal,
};

#[test]
fn openssl_agrees_on_every_group_alone() {
    let straight = Site::default().start();
    for group in every_group() {
        let client = Client::new(Offer::groups(group.name).versions(Versions::Only13));
        let (seen, negotiated) = handshake(&straight, &client);
        assert_eq!(groups_of(&seen), group.name.to_lowercase());
        assert_eq!(negotiated.group, Some(group.id));
        assert_eq!(negotiated.key_exchange(), group.class);
        assert!(!negotiated.retry, "{} needs no retry", group.name);
    }
}

#[test]
fn a_group_that_only_the_client_has_is_refused() {
    for group in every_group() {
        let others = every_group().filter(|g| g.id != group.id);
        let site = Site {
            overrides: Overrides {
                groups: Some(others.map(|g| g.id).collect()),
                ..Overrides::default()
            },
            ..Site::default()
        };
        let straight = site.start();
        let client = Client::new(Offer::groups(group.name).versions(Versions::Only13));
        let (alert, trouble) = refused(&straight, &client);
        assert!(
            matches!(trouble, Trouble::Refused(Refusal::NoCommonGroup)),
            "{}: {trouble:?}",
            group.name
        );
        assert_eq!(alert, Some(Refusal::NoCommonGroup.alert().0));
    }
}

#[test]
fn the_server_takes_its_own_best_group_from_a_mixed_list() {
    let straight = Site::default().start();
    // The client's list (`*`: with a share), the group, whether by a retry.
    let table = [
        ("*X25519:*X25519MLKEM768", "x25519mlkem768", false),
        ("*X25519MLKEM768:*X25519", "x25519mlkem768", false),
        ("*SecP256r1MLKEM768:X25519MLKEM768", "secp256r1mlkem768", false),
        ("*secp256r1:SecP256r1MLKEM768:X25519", "secp256r1mlkem768", true),
        ("*X25519:SecP384r1MLKEM1024:secp384r1", "secp384r1mlkem1024", true),
        ("*X25519:MLKEM1024", "mlkem1024", true),
        ("*secp384r1:*secp256r1", "secp256r1", false),
        ("*secp384r1:X25519", "secp384r1", false),
        ("*ffdhe2048:secp384r1", "secp384r1", true),
        ("*ffdhe2048:X25519:X25519MLKEM768", "x25519mlkem768", true),
    ];
    for (list, group, retry) in table {
        let client = Client::new(Offer::groups(list).versions(Versions::Only13));
        let (seen, _) = handshake(&straight, &client);
        assert_eq!((groups_of(&seen).as_str(), seen.retry), (group, retry), "{list}");
    }
}

#[test]
fn each_row_of_the_retry_table_holds_under_each_policy() {
    const PQ: Option<(&str, bool)> = Some(("x25519mlkem768", false));
    const PQ_RETRY: Option<(&str, bool)> = Some(("x25519mlkem768", true));
    const CLASSICAL: Option<(&str, bool)> = Some(("x25519", false));
    // Observe, prefer, prefer without retry, require.
    let table = [
        ("*X25519MLKEM768:X25519", [PQ, PQ, PQ, PQ]),
        ("X25519MLKEM768:*X25519", [CLASSICAL, PQ_RETRY, CLASSICAL, PQ_RETRY]),
        ("*X25519:X25519MLKEM768", [CLASSICAL, PQ_RETRY, CLASSICAL, PQ_RETRY]),
        ("X25519", [CLASSICAL, CLASSICAL, CLASSICAL, None]),
    ];
    let mut never = Site::under(Stance::Prefer);
    never.overrides.retry = Some(false);
    let sites = [
        Site::under(Stance::Observe),
        Site::under(Stance::Prefer),
        never,
        Site::under(Stance::Require),
    ];
    for (column, site) in sites.iter().enumerate() {
        let straight = site.start();
        for (list, row) in table {
            let client = Client::new(Offer::groups(list).versions(Versions::Only13));
            match row[column] {
                Some(expected) => {
                    let (seen, _) = handshake(&straight, &client);
                    let found = (groups_of(&seen), seen.retry);
                    assert_eq!((found.0.as_str(), found.1), expected, "{list}, column {column}");
                }
                None => {
                    let (alert, trouble) = refused(&straight, &client);
                    let refusal = Refusal::Policy(RuleName::KeyExchange);
                    assert!(matches!(trouble, Trouble::Refused(r) if r == refusal), "{trouble:?}");
                    // insufficient_security: SPEC 5.5
                    assert_eq!(alert, Some(71));
                }
            }
        }
    }
}
