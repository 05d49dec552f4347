//! Which version and group a hello gets.
use super::Stance;
use crate::{negotiated::Version, profile::group_fits};
use portcullis_wire::{GroupId, Hello};

/// What we can offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offering {
    /// The versions we speak.
    pub versions: Vec<Version>,
    /// Our groups, in our order.
    pub groups: Vec<GroupId>,
    /// A retry may be asked for to gain a quantum-safe group.
    pub retry: bool,
}

/// The group a hello gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupChoice {
    /// The group.
    pub group: GroupId,
    /// It takes a HelloRetryRequest (TLS 1.3 only).
    pub retry: bool,
}

/// The version a hello gets: the newest that both sides speak.
pub fn choose_version(hello: &Hello, versions: &[Version]) -> Option<Version> {
    [Version::Tls13, Version::Tls12]
        .into_iter()
        .find(|v| versions.contains(v) && hello.versions.contains(&v.number()))
}

/// SPEC 5.4: the group this hello gets under a stance on the key exchange; None when there is none in common.
///
/// A group counts only if `supported_groups` names it, share or not: RFC 8446 4.2.8 wants it there, and rustls
/// looks nowhere else. So a TLS 1.2 hello without that extension gets none.
pub fn choose_group(hello: &Hello, offering: &Offering, stance: Stance) -> Option<GroupChoice> {
    let classical_only = |group: GroupId| group_fits(group, Version::Tls12);
    match (choose_version(hello, &offering.versions)?, stance) {
        (Version::Tls12, Stance::Require) => None,
        (Version::Tls12, Stance::Prefer) => ours(hello, offering)
            .find(|group| classical_only(*group))
            .map(GroupChoice::direct),
        (Version::Tls12, Stance::Observe) => theirs(hello, offering, classical_only).map(GroupChoice::direct),
        (Version::Tls13, Stance::Observe) => theirs(hello, offering, |group| hello.has_share(group))
            .map(GroupChoice::direct)
            .or_else(|| theirs(hello, offering, |_| true).map(GroupChoice::by_retry)),
        (Version::Tls13, Stance::Prefer) => quantum_safe(hello, offering).or_else(|| classical(hello, offering)),
        (Version::Tls13, Stance::Require) => quantum_safe(hello, offering),
    }
}

impl GroupChoice {
    fn direct(group: GroupId) -> GroupChoice {
        GroupChoice { group, retry: false }
    }

    fn by_retry(group: GroupId) -> GroupChoice {
        GroupChoice { group, retry: true }
    }
}

/// Groups in common, in our order.
fn ours<'a>(hello: &'a Hello, offering: &'a Offering) -> impl Iterator<Item = GroupId> + 'a {
    let listed = |group: &GroupId| hello.lists(*group);
    offering.groups.iter().copied().filter(listed)
}

/// The first group of the client's order that we have and that fits. Our few groups are looked for in its list, not
/// its list in ours: a hostile list is thousands long, and so may be the shares that `fits` looks through.
fn theirs(hello: &Hello, offering: &Offering, fits: impl Fn(GroupId) -> bool) -> Option<GroupId> {
    let place = |group: GroupId| hello.groups.iter().position(|listed| *listed == group);
    let fitting = offering.groups.iter().copied().filter(|group| fits(*group));
    fitting
        .filter_map(|group| Some((place(group)?, group)))
        .min()
        .map(|(_, group)| group)
}

fn quantum_safe(hello: &Hello, offering: &Offering) -> Option<GroupChoice> {
    let common = || ours(hello, offering).filter(|group| is_quantum_safe(*group));
    let with_share = common().find(|group| hello.has_share(*group));
    let by_retry = || common().next().filter(|_| offering.retry);
    with_share
        .map(GroupChoice::direct)
        .or_else(|| by_retry().map(GroupChoice::by_retry))
}

/// `retry` has no say here: without it nothing would be gained, the connection would be lost.
fn classical(hello: &Hello, offering: &Offering) -> Option<GroupChoice> {
    let common = || ours(hello, offering).filter(|group| !is_quantum_safe(*group));
    let with_share = common().find(|group| hello.has_share(*group));
    with_share
        .map(GroupChoice::direct)
        .or_else(|| common().next().map(GroupChoice::by_retry))
}

fn is_quantum_safe(group: GroupId) -> bool {
    group.key_exchange().is_some_and(|class| class.is_quantum_safe())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use portcullis_wire::SchemeId;

    pub(crate) const X25519_ML_KEM: GroupId = GroupId(0x11ec);
    const P256_ML_KEM: GroupId = GroupId(0x11eb);
    const ML_KEM_1024: GroupId = GroupId(0x0202);
    pub(crate) const X25519: GroupId = GroupId(0x001d);
    const P256: GroupId = GroupId(0x0017);
    const P521: GroupId = GroupId(0x0019);
    const ML_DSA_65: SchemeId = SchemeId(0x0905);
    const ECDSA_P256: SchemeId = SchemeId(0x0403);

    /// `"*X25519MLKEM768, X25519"`: the client's list, a star where a share came.
    pub(crate) fn hello(offer: &str) -> Hello {
        let mut hello = Hello {
            legacy_version: 0x0303,
            versions: vec![0x0304, 0x0303],
            schemes: vec![ECDSA_P256, ML_DSA_65],
            ..Hello::default()
        };
        for word in offer.split(", ").filter(|word| !word.is_empty()) {
            let group = portcullis_wire::registry::Group::all()
                .iter()
                .find(|row| row.name == word.trim_start_matches('*'))
                .expect("a registered name");
            hello.groups.push(group.id);
            if word.starts_with('*') {
                hello.key_shares.push((group.id, group.client_share));
            }
        }
        hello
    }

    pub(crate) fn old(offer: &str) -> Hello {
        Hello {
            versions: vec![0x0303],
            ..hello(&offer.replace('*', ""))
        }
    }

    pub(crate) fn offering() -> Offering {
        Offering {
            versions: vec![Version::Tls13, Version::Tls12],
            groups: vec![X25519_ML_KEM, P256_ML_KEM, X25519, P256],
            retry: true,
        }
    }

    fn direct(group: GroupId) -> Option<GroupChoice> {
        Some(GroupChoice::direct(group))
    }

    fn retry(group: GroupId) -> Option<GroupChoice> {
        Some(GroupChoice::by_retry(group))
    }

    fn check((offering, stance): (&Offering, Stance), table: &[(&str, Option<GroupChoice>)]) {
        for (offer, expected) in table {
            assert_eq!(choose_group(&hello(offer), offering, stance), *expected, "{offer}");
        }
    }

    #[test]
    fn prefer_gains_a_quantum_safe_group_by_share_or_by_retry() {
        check(
            (&offering(), Stance::Prefer),
            &[
                ("*X25519MLKEM768, X25519", direct(X25519_ML_KEM)),
                ("X25519MLKEM768, *X25519", retry(X25519_ML_KEM)),
                ("*X25519, X25519MLKEM768", retry(X25519_ML_KEM)),
                ("*X25519", direct(X25519)),
                // never a retry between two of a kind
                ("X25519MLKEM768, *SecP256r1MLKEM768", direct(P256_ML_KEM)),
                ("X25519, *secp256r1", direct(P256)),
                // our order counts, not the client's
                ("SecP256r1MLKEM768, X25519MLKEM768", retry(X25519_ML_KEM)),
                ("*SecP256r1MLKEM768, *X25519MLKEM768", direct(X25519_ML_KEM)),
                ("*secp256r1, *X25519", direct(X25519)),
                // classical by retry, where nothing else is left
                ("*secp521r1, secp256r1, X25519", retry(X25519)),
                ("*secp521r1", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn without_retry_a_classical_share_is_taken() {
        let once = Offering {
            retry: false,
            ..offering()
        };
        check(
            (&once, Stance::Prefer),
            &[
                ("*X25519MLKEM768, X25519", direct(X25519_ML_KEM)),
                ("X25519MLKEM768, *X25519", direct(X25519)),
                ("*X25519, X25519MLKEM768", direct(X25519)),
                ("*X25519", direct(X25519)),
                ("*secp521r1, X25519MLKEM768, X25519", retry(X25519)),
            ],
        );
    }

    #[test]
    fn require_takes_quantum_safe_groups_only() {
        check(
            (&offering(), Stance::Require),
            &[
                ("*X25519MLKEM768, X25519", direct(X25519_ML_KEM)),
                ("X25519MLKEM768, *X25519", retry(X25519_ML_KEM)),
                ("*X25519, X25519MLKEM768", retry(X25519_ML_KEM)),
                ("*X25519", None),
                ("*MLKEM1024", None),
            ],
        );
        let pure = Offering {
            groups: vec![ML_KEM_1024, X25519],
            ..offering()
        };
        check(
            (&pure, Stance::Require),
            &[("*X25519, *MLKEM1024", direct(ML_KEM_1024))],
        );
    }

    #[test]
    fn observe_leaves_the_clients_order_alone() {
        check(
            (&offering(), Stance::Observe),
            &[
                ("*X25519MLKEM768, X25519", direct(X25519_ML_KEM)),
                ("X25519MLKEM768, *X25519", direct(X25519)),
                ("*X25519, X25519MLKEM768", direct(X25519)),
                ("*X25519, *X25519MLKEM768", direct(X25519)),
                ("*X25519", direct(X25519)),
                ("*secp521r1, secp256r1, X25519MLKEM768", retry(P256)),
                ("*secp521r1, X25519MLKEM768, secp256r1", retry(X25519_ML_KEM)),
                ("*secp521r1", None),
            ],
        );
    }

    #[test]
    fn tls_12_gets_classical_groups_and_never_a_retry() {
        let offer = "X25519MLKEM768, secp256r1, X25519";
        let table = [
            (Stance::Observe, direct(P256)),
            (Stance::Prefer, direct(X25519)),
            (Stance::Require, None),
        ];
        for (stance, expected) in table {
            assert_eq!(choose_group(&old(offer), &offering(), stance), expected);
        }
        assert_eq!(choose_group(&old(""), &offering(), Stance::Prefer), None);
        let only_13 = Offering {
            versions: vec![Version::Tls13],
            ..offering()
        };
        assert_eq!(choose_group(&old(offer), &only_13, Stance::Prefer), None);
    }

    #[test]
    fn a_share_outside_the_list_does_not_count() {
        let mut hello = hello("*secp521r1");
        hello.key_shares.push((X25519, 32));
        for stance in [Stance::Observe, Stance::Prefer, Stance::Require] {
            assert_eq!(choose_group(&hello, &offering(), stance), None);
        }
        assert!(!hello.lists(X25519) && hello.lists(P521));
    }
}
