//! What is admitted: pure functions over a hello and what was negotiated.
use crate::{
    negotiated::{Authentication, ClientAuthentication, Negotiated, Version},
    profile::group_fits,
};
use portcullis_wire::{GroupId, Hello, SchemeId};

/// How much a rule demands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stance {
    /// Look only.
    Observe,
    /// Take quantum-safe where the client can.
    Prefer,
    /// Admit nothing else.
    Require,
}

/// The policy words of a listener or site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Policy {
    /// For the key exchange.
    pub key_exchange: Stance,
    /// For the server's authentication.
    pub authentication: Stance,
    /// For the client's, where it shows a certificate.
    pub client_authentication: Stance,
}

impl Policy {
    /// The stricter of both, rule by rule.
    pub fn tightened_by(self, other: Policy) -> Policy {
        Policy {
            key_exchange: self.key_exchange.max(other.key_exchange),
            authentication: self.authentication.max(other.authentication),
            client_authentication: self.client_authentication.max(other.client_authentication),
        }
    }
}

/// A policy together with what we can offer under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What is demanded.
    pub policy: Policy,
    /// The versions we speak.
    pub versions: Vec<Version>,
    /// Our groups, in our order.
    pub groups: Vec<GroupId>,
    /// The schemes that our ML-DSA chains sign with.
    pub pq_schemes: Vec<SchemeId>,
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

/// One of the rules of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleName {
    /// `key_exchange`
    KeyExchange,
    /// `authentication`
    Authentication,
    /// `client_authentication`
    ClientAuthentication,
}

/// What one rule says of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It may go on.
    Admitted,
    /// It ends here.
    Refused,
}

/// What a policy says of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Of its key exchange.
    pub key_exchange: Verdict,
    /// Of its authentication.
    pub authentication: Verdict,
    /// Of the client's certificate.
    pub client_authentication: Verdict,
}

impl Decision {
    /// The first rule that refused.
    pub fn refused_by(self) -> Option<RuleName> {
        let refused = |(_, verdict): &(RuleName, Verdict)| *verdict == Verdict::Refused;
        self.rules().into_iter().find(refused).map(|(rule, _)| rule)
    }

    /// Each rule with its verdict.
    pub fn rules(self) -> [(RuleName, Verdict); 3] {
        [
            (RuleName::KeyExchange, self.key_exchange),
            (RuleName::Authentication, self.authentication),
            (RuleName::ClientAuthentication, self.client_authentication),
        ]
    }
}

/// The version a hello gets: the newest that both sides speak.
pub fn choose_version(hello: &Hello, versions: &[Version]) -> Option<Version> {
    [Version::Tls13, Version::Tls12]
        .into_iter()
        .find(|v| versions.contains(v) && hello.versions.contains(&v.number()))
}

/// SPEC 5.4: the group this hello gets under a rule; None when there is none in common.
///
/// A group counts only if `supported_groups` names it, share or not: RFC 8446 4.2.8 wants it there, and rustls
/// looks nowhere else. So a TLS 1.2 hello without that extension gets none.
pub fn choose_group(hello: &Hello, rule: &Rule) -> Option<GroupChoice> {
    let classical_only = |group: GroupId| group_fits(group, Version::Tls12);
    match (choose_version(hello, &rule.versions)?, rule.policy.key_exchange) {
        (Version::Tls12, Stance::Require) => None,
        (Version::Tls12, Stance::Prefer) => ours(hello, rule)
            .find(|group| classical_only(*group))
            .map(GroupChoice::direct),
        (Version::Tls12, Stance::Observe) => theirs(hello, rule, classical_only).map(GroupChoice::direct),
        (Version::Tls13, Stance::Observe) => theirs(hello, rule, |group| hello.has_share(group))
            .map(GroupChoice::direct)
            .or_else(|| theirs(hello, rule, |_| true).map(GroupChoice::by_retry)),
        (Version::Tls13, Stance::Prefer) => quantum_safe(hello, rule).or_else(|| classical(hello, rule)),
        (Version::Tls13, Stance::Require) => quantum_safe(hello, rule),
    }
}

/// The one judge: before the handshake on what the hello can come to, afterwards on what was negotiated.
pub fn decide(hello: &Hello, negotiated: Option<&Negotiated>, rule: &Rule) -> Decision {
    let quantum_safe = || match negotiated {
        Some(facts) => facts.key_exchange().is_quantum_safe(),
        None => choose_group(hello, rule).is_some_and(|choice| is_quantum_safe(choice.group)),
    };
    let pq = || match negotiated {
        Some(facts) => facts.authentication == Authentication::Pq,
        None => can_verify_pq(hello, rule),
    };
    // whether a certificate must come is not the policy's question, and beforehand nobody knows which
    let classical_client =
        || negotiated.is_some_and(|facts| facts.client_authentication == ClientAuthentication::Classical);
    Decision {
        key_exchange: rule.policy.key_exchange.verdict(quantum_safe),
        authentication: rule.policy.authentication.verdict(pq),
        client_authentication: rule.policy.client_authentication.verdict(|| !classical_client()),
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
fn ours<'a>(hello: &'a Hello, rule: &'a Rule) -> impl Iterator<Item = GroupId> + 'a {
    let listed = |group: &GroupId| hello.lists(*group);
    rule.groups.iter().copied().filter(listed)
}

/// The first group of the client's order that we have and that fits. Our few groups are looked for in its list, not
/// its list in ours: a hostile list is thousands long, and so may be the shares that `fits` looks through.
fn theirs(hello: &Hello, rule: &Rule, fits: impl Fn(GroupId) -> bool) -> Option<GroupId> {
    let place = |group: GroupId| hello.groups.iter().position(|listed| *listed == group);
    let fitting = rule.groups.iter().copied().filter(|group| fits(*group));
    fitting
        .filter_map(|group| Some((place(group)?, group)))
        .min()
        .map(|(_, group)| group)
}

fn quantum_safe(hello: &Hello, rule: &Rule) -> Option<GroupChoice> {
    let common = || ours(hello, rule).filter(|group| is_quantum_safe(*group));
    let with_share = common().find(|group| hello.has_share(*group));
    let by_retry = || common().next().filter(|_| rule.retry);
    with_share
        .map(GroupChoice::direct)
        .or_else(|| by_retry().map(GroupChoice::by_retry))
}

/// `retry` has no say here: without it nothing would be gained, the connection would be lost.
fn classical(hello: &Hello, rule: &Rule) -> Option<GroupChoice> {
    let common = || ours(hello, rule).filter(|group| !is_quantum_safe(*group));
    let with_share = common().find(|group| hello.has_share(*group));
    with_share
        .map(GroupChoice::direct)
        .or_else(|| common().next().map(GroupChoice::by_retry))
}

fn is_quantum_safe(group: GroupId) -> bool {
    group.key_exchange().is_some_and(|class| class.is_quantum_safe())
}

/// ML-DSA signs in TLS 1.3 only.
fn can_verify_pq(hello: &Hello, rule: &Rule) -> bool {
    choose_version(hello, &rule.versions) == Some(Version::Tls13)
        && rule.pq_schemes.iter().any(|scheme| hello.schemes.contains(scheme))
}

impl Stance {
    /// `observe`, `prefer` or `require`
    pub fn as_str(self) -> &'static str {
        match self {
            Stance::Observe => "observe",
            Stance::Prefer => "prefer",
            Stance::Require => "require",
        }
    }

    fn verdict(self, holds: impl FnOnce() -> bool) -> Verdict {
        match self {
            Stance::Require if !holds() => Verdict::Refused,
            _ => Verdict::Admitted,
        }
    }
}

impl RuleName {
    /// `key_exchange`, `authentication` or `client_authentication`
    pub fn as_str(self) -> &'static str {
        match self {
            RuleName::KeyExchange => "key_exchange",
            RuleName::Authentication => "authentication",
            RuleName::ClientAuthentication => "client_authentication",
        }
    }
}

impl Verdict {
    /// `admitted` or `refused`
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Admitted => "admitted",
            Verdict::Refused => "refused",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::negotiated::ClientAuthentication;
    use portcullis_wire::CipherId;

    const X25519_ML_KEM: GroupId = GroupId(0x11ec);
    const P256_ML_KEM: GroupId = GroupId(0x11eb);
    const ML_KEM_1024: GroupId = GroupId(0x0202);
    const X25519: GroupId = GroupId(0x001d);
    const P256: GroupId = GroupId(0x0017);
    const P521: GroupId = GroupId(0x0019);
    const ML_DSA_65: SchemeId = SchemeId(0x0905);
    const ECDSA_P256: SchemeId = SchemeId(0x0403);

    /// What a hybrid, classically authenticated TLS 1.3 handshake comes to.
    pub(crate) fn facts() -> Negotiated {
        Negotiated {
            version: Version::Tls13,
            group: Some(X25519_ML_KEM),
            retry: false,
            cipher: CipherId(0x1301),
            signature: Some(ECDSA_P256),
            authentication: Authentication::Classical,
            client_authentication: ClientAuthentication::None,
            client: None,
            resumed: false,
            alpn: None,
        }
    }

    /// `"*X25519MLKEM768, X25519"`: the client's list, a star where a share came.
    fn hello(offer: &str) -> Hello {
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

    fn old(offer: &str) -> Hello {
        Hello {
            versions: vec![0x0303],
            ..hello(&offer.replace('*', ""))
        }
    }

    fn rule(key_exchange: Stance) -> Rule {
        Rule {
            policy: Policy {
                key_exchange,
                authentication: Stance::Observe,
                client_authentication: Stance::Observe,
            },
            versions: vec![Version::Tls13, Version::Tls12],
            groups: vec![X25519_ML_KEM, P256_ML_KEM, X25519, P256],
            pq_schemes: vec![ML_DSA_65],
            retry: true,
        }
    }

    fn direct(group: GroupId) -> Option<GroupChoice> {
        Some(GroupChoice::direct(group))
    }

    fn retry(group: GroupId) -> Option<GroupChoice> {
        Some(GroupChoice::by_retry(group))
    }

    fn check(rule: &Rule, table: &[(&str, Option<GroupChoice>)]) {
        for (offer, expected) in table {
            assert_eq!(choose_group(&hello(offer), rule), *expected, "{offer}");
        }
    }

    #[test]
    fn prefer_gains_a_quantum_safe_group_by_share_or_by_retry() {
        check(
            &rule(Stance::Prefer),
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
        let rule = Rule {
            retry: false,
            ..rule(Stance::Prefer)
        };
        check(
            &rule,
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
            &rule(Stance::Require),
            &[
                ("*X25519MLKEM768, X25519", direct(X25519_ML_KEM)),
                ("X25519MLKEM768, *X25519", retry(X25519_ML_KEM)),
                ("*X25519, X25519MLKEM768", retry(X25519_ML_KEM)),
                ("*X25519", None),
                ("*MLKEM1024", None),
            ],
        );
        let pure = Rule {
            groups: vec![ML_KEM_1024, X25519],
            ..rule(Stance::Require)
        };
        check(&pure, &[("*X25519, *MLKEM1024", direct(ML_KEM_1024))]);
    }

    #[test]
    fn observe_leaves_the_clients_order_alone() {
        check(
            &rule(Stance::Observe),
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
            assert_eq!(choose_group(&old(offer), &rule(stance)), expected);
        }
        let prefer = rule(Stance::Prefer);
        assert_eq!(choose_group(&old(""), &prefer), None);
        let only_13 = Rule {
            versions: vec![Version::Tls13],
            ..prefer
        };
        assert_eq!(choose_group(&old(offer), &only_13), None);
    }

    #[test]
    fn a_share_outside_the_list_does_not_count() {
        let mut hello = hello("*secp521r1");
        hello.key_shares.push((X25519, 32));
        for stance in [Stance::Observe, Stance::Prefer, Stance::Require] {
            assert_eq!(choose_group(&hello, &rule(stance)), None);
        }
        assert!(!hello.lists(X25519) && hello.lists(P521));
    }

    #[test]
    fn a_hello_is_judged_by_what_it_can_come_to() {
        use Verdict::{Admitted, Refused};
        let table = [
            (Stance::Require, hello("*X25519MLKEM768, X25519"), Admitted),
            (Stance::Require, hello("*X25519, X25519MLKEM768"), Admitted),
            (Stance::Require, hello("*X25519"), Refused),
            (Stance::Require, old("X25519"), Refused),
            (Stance::Prefer, hello("*X25519"), Admitted),
            (Stance::Observe, old("X25519"), Admitted),
        ];
        for (stance, hello, expected) in table {
            let decision = decide(&hello, None, &rule(stance));
            assert_eq!(decision.key_exchange, expected, "{stance:?} {:?}", hello.groups);
            assert_eq!(decision.authentication, Admitted);
        }
    }

    #[test]
    fn authentication_is_judged_by_schemes_and_version() {
        use Verdict::{Admitted, Refused};
        let classical = Hello {
            schemes: vec![ECDSA_P256],
            ..hello("*X25519")
        };
        let table = [
            (Stance::Require, hello("*X25519"), Admitted),
            (Stance::Require, old("X25519"), Refused),
            (Stance::Require, classical.clone(), Refused),
            (Stance::Prefer, classical.clone(), Admitted),
            (Stance::Observe, classical, Admitted),
        ];
        for (authentication, hello, expected) in table {
            let mut rule = rule(Stance::Observe);
            rule.policy.authentication = authentication;
            assert_eq!(decide(&hello, None, &rule).authentication, expected);
        }
    }

    #[test]
    fn a_handshake_is_judged_by_what_was_negotiated() {
        use Verdict::{Admitted, Refused};
        let require = Rule {
            policy: Policy {
                key_exchange: Stance::Require,
                authentication: Stance::Require,
                client_authentication: Stance::Observe,
            },
            ..rule(Stance::Require)
        };
        let classical = Negotiated {
            group: Some(X25519),
            ..facts()
        };
        let full = Negotiated {
            authentication: Authentication::Pq,
            ..facts()
        };
        let table = [
            (classical, Refused, Refused, Some(RuleName::KeyExchange)),
            (facts(), Admitted, Refused, Some(RuleName::Authentication)),
            (full, Admitted, Admitted, None),
        ];
        // the hello could come to anything: only the facts count now
        let hello = hello("*X25519MLKEM768, *X25519");
        for (facts, key_exchange, authentication, by) in table {
            let decision = decide(&hello, Some(&facts), &require);
            let expected = Decision {
                key_exchange,
                authentication,
                client_authentication: Admitted,
            };
            assert_eq!(decision, expected);
            assert_eq!(decision.refused_by(), by);
        }
    }

    #[test]
    fn a_classical_client_is_refused_where_client_authentication_is_required() {
        use ClientAuthentication::{Classical, None, Pq};
        let mut rule = rule(Stance::Observe);
        let hello = hello("*X25519MLKEM768");
        let seen = |client_authentication, rule: &Rule| {
            let facts = Negotiated {
                client_authentication,
                ..facts()
            };
            decide(&hello, Some(&facts), rule).refused_by()
        };
        assert_eq!(seen(Classical, &rule), Option::None);
        rule.policy.client_authentication = Stance::Require;
        let by = Some(RuleName::ClientAuthentication);
        assert_eq!(
            [seen(Classical, &rule), seen(Pq, &rule), seen(None, &rule)],
            [by, Option::None, Option::None]
        );
        assert_eq!(decide(&hello, Option::None, &rule).refused_by(), Option::None);
    }

    #[test]
    fn the_stricter_word_wins_rule_by_rule() {
        let listener = Policy {
            key_exchange: Stance::Require,
            authentication: Stance::Observe,
            client_authentication: Stance::Observe,
        };
        let site = Policy {
            key_exchange: Stance::Observe,
            authentication: Stance::Prefer,
            client_authentication: Stance::Observe,
        };
        let both = Policy {
            key_exchange: Stance::Require,
            authentication: Stance::Prefer,
            client_authentication: Stance::Observe,
        };
        assert_eq!(listener.tightened_by(site), both);
        assert_eq!(site.tightened_by(listener), both);
    }
}
