//! The one judge, for what is enforced, what is only reported, and what would be if it were required.
use super::{
    Client, Demand, Policy, RuleName, Stance,
    demand::{Force, Reach, Refuse, Shown},
};
use crate::negotiated::{Authentication, ClientAuthentication, Negotiated};

/// What a hello can come to by our offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Able {
    /// A quantum-safe group: the one that the offer of `require` would get from it, by a retry too.
    pub key_exchange: bool,
    /// It can verify one of our ML-DSA chains, if only by what it says.
    pub authentication: bool,
}

/// What is judged: a connection, or a request on one.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Which of both.
    pub scope: Scope,
    /// What its hello can come to.
    pub able: Able,
    /// What it came to; None before the handshake has ended.
    pub negotiated: Option<&'a Negotiated>,
    /// Who asks.
    pub client: Client<'a>,
    /// Seconds since 1970; the end of a day does not need a better clock.
    pub now: i64,
}

/// What a demand is judged on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// A connection: what a listener and a site demand.
    Connection,
    /// A request: what a route demands of the connection it came by.
    Request,
}

/// What one rule says of a connection or request, the heaviest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// It meets what is demanded.
    Admitted,
    /// It does not, and is let off; before the handshake: may be.
    Exempt,
    /// It does not, and nobody acts on it yet.
    WouldRefuse,
    /// It ends here.
    Refused,
}

/// What would become of a client if something were required.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Prospect {
    /// It would be admitted.
    Holds,
    /// It says that it can, and did not show it.
    Unproven,
    /// It would be refused.
    Fails,
}

/// What would become of a client if its site required everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Outlook {
    /// For its key exchange.
    pub key_exchange: Prospect,
    /// For authentication.
    pub authentication: Prospect,
}

/// What is decided on a connection or request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// On its key exchange.
    pub key_exchange: Verdict,
    /// On its authentication.
    pub authentication: Verdict,
    /// On the client's certificate.
    pub client_authentication: Verdict,
    /// How the client is told, if it is refused.
    pub refuse: Refuse,
    /// And if everything were required.
    pub outlook: Outlook,
}

/// The one judge: before the handshake on what the hello can come to, afterwards on what was negotiated.
pub fn decide(case: &Case<'_>, demands: &[Demand]) -> Decision {
    let heaviest = |rule| demands.iter().map(|demand| verdict(case, rule, demand)).max();
    let on = |rule| heaviest(rule).unwrap_or(Verdict::Admitted);
    let refuses = |demand: &&Demand| {
        let mut rules = RuleName::ALL.into_iter();
        rules.any(|rule| verdict(case, rule, demand) == Verdict::Refused)
    };
    let mut refusing = demands.iter().filter(refuses);
    Decision {
        key_exchange: on(RuleName::KeyExchange),
        authentication: on(RuleName::Authentication),
        client_authentication: on(RuleName::ClientAuthentication),
        refuse: match refusing.next().is_some_and(|first| first.refuse == Refuse::Page)
            && refusing.all(|other| other.refuse == Refuse::Page)
        {
            true => Refuse::Page,
            false => Refuse::Alert,
        },
        outlook: outlook(case),
    }
}

/// What-if: the same judge with the stance raised to `require`, and nobody let off.
fn outlook(case: &Case<'_>) -> Outlook {
    let everything = Demand {
        force: Force::ReportOnly,
        ..Demand::from(Policy {
            key_exchange: Stance::Require,
            authentication: Stance::Require,
            client_authentication: Stance::Require,
        })
    };
    let prospect = |rule| match verdict(case, rule, &everything) {
        Verdict::Admitted => Prospect::Holds,
        Verdict::Exempt | Verdict::WouldRefuse | Verdict::Refused => Prospect::Fails,
    };
    let is_proven = case
        .negotiated
        .is_some_and(|facts| facts.authentication == Authentication::Pq);
    Outlook {
        key_exchange: prospect(RuleName::KeyExchange),
        authentication: match prospect(RuleName::Authentication) {
            // a client that offers ML-DSA need not trust our root
            Prospect::Holds if !is_proven => Prospect::Unproven,
            prospect => prospect,
        },
    }
}

fn verdict(case: &Case<'_>, rule: RuleName, demand: &Demand) -> Verdict {
    if demand.policy.stance(rule) != Stance::Require || is_met(case, rule, demand.force) {
        return Verdict::Admitted;
    }
    let shown = match case.negotiated.map(|facts| facts.client.as_deref()) {
        None => Shown::NotYet,
        Some(None) => Shown::Nothing,
        Some(Some(certificate)) => Shown::Certificate(certificate),
    };
    match (demand.lets_off(&case.client, shown, case.now), demand.force) {
        (Reach::Yes | Reach::Perhaps, _) => Verdict::Exempt,
        (Reach::No, Force::ReportOnly) => Verdict::WouldRefuse,
        (Reach::No, Force::Enforced) => Verdict::Refused,
    }
}

/// What was negotiated stands where it was negotiated under the demand, and for a request in any case. Otherwise it
/// counts what the demand would have made of the same hello.
fn is_met(case: &Case<'_>, rule: RuleName, force: Force) -> bool {
    let facts = case.negotiated;
    let stands = force == Force::Enforced || case.scope == Scope::Request;
    let of = |able: bool, negotiated: Option<bool>| match negotiated {
        Some(negotiated) if stands => negotiated,
        negotiated => able || negotiated == Some(true),
    };
    let client = facts.map_or(ClientAuthentication::None, |facts| facts.client_authentication);
    match rule {
        RuleName::KeyExchange => of(
            case.able.key_exchange,
            facts.map(|facts| facts.key_exchange().is_quantum_safe()),
        ),
        RuleName::Authentication => of(
            case.able.authentication,
            facts.map(|facts| facts.authentication == Authentication::Pq),
        ),
        RuleName::ClientAuthentication => match case.scope {
            // whether a certificate must come is `client_auth.mode`'s question, and beforehand nobody knows which
            Scope::Connection => client != ClientAuthentication::Classical,
            // a route has no other word for it
            Scope::Request => client == ClientAuthentication::Pq,
        },
    }
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

    /// The heaviest of all.
    pub fn heaviest(self) -> Verdict {
        self.key_exchange
            .max(self.authentication)
            .max(self.client_authentication)
    }
}

impl Verdict {
    /// `admitted`, `exempt`, `would_refuse` or `refused`
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Admitted => "admitted",
            Verdict::Exempt => "exempt",
            Verdict::WouldRefuse => "would_refuse",
            Verdict::Refused => "refused",
        }
    }
}

impl Prospect {
    /// `holds`, `unproven` or `fails`
    pub fn as_str(self) -> &'static str {
        match self {
            Prospect::Holds => "holds",
            Prospect::Unproven => "unproven",
            Prospect::Fails => "fails",
        }
    }
}

impl Scope {
    /// `connection` or `request`
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Connection => "connection",
            Scope::Request => "request",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{
        super::{
            Exemption, Offering,
            choice::{
                choose_group, choose_version,
                tests::{X25519, X25519_ML_KEM, hello, offering, old},
            },
        },
        *,
    };
    use crate::{
        client_identity::Pattern,
        negotiated::{ClientCertificate, Version},
    };
    use portcullis_wire::{CipherId, Hello, SchemeId};

    const ML_DSA_65: SchemeId = SchemeId(0x0905);
    const ECDSA_P256: SchemeId = SchemeId(0x0403);
    const NOON: i64 = 1_790_000_000;

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

    fn require(rules: &[RuleName]) -> Demand {
        let stance = |rule| match rules.contains(&rule) {
            true => Stance::Require,
            false => Stance::Observe,
        };
        Demand::from(Policy {
            key_exchange: stance(RuleName::KeyExchange),
            authentication: stance(RuleName::Authentication),
            client_authentication: stance(RuleName::ClientAuthentication),
        })
    }

    fn reporting(demand: Demand) -> Demand {
        Demand {
            force: Force::ReportOnly,
            ..demand
        }
    }

    fn exempting(demand: Demand, exemption: Exemption) -> Demand {
        Demand {
            exempt: vec![exemption],
            ..demand
        }
    }

    /// For everyone, until a moment after noon.
    fn exemption() -> Exemption {
        Exemption {
            networks: Vec::new(),
            identities: Vec::new(),
            names: Vec::new(),
            until: NOON + 1,
            last_day: "2026-09-21".into(),
            reason: "old meters".into(),
        }
    }

    fn able(hello: &Hello, offering: &Offering) -> Able {
        let is_new = choose_version(hello, &offering.versions) == Some(Version::Tls13);
        Able {
            key_exchange: choose_group(hello, offering, Stance::Require).is_some(),
            authentication: is_new && hello.schemes.contains(&ML_DSA_65),
        }
    }

    fn case<'a>(hello: &'a Hello, negotiated: Option<&'a Negotiated>) -> Case<'a> {
        Case {
            scope: Scope::Connection,
            able: able(hello, &offering()),
            negotiated,
            client: Client {
                address: "192.0.2.7".parse().ok(),
                sni: Some("a.shop.test"),
            },
            now: NOON,
        }
    }

    /// What our offer under `prefer` makes of a hello.
    fn preferred(hello: &Hello, offering: &Offering) -> Negotiated {
        let chosen = choose_group(hello, offering, Stance::Prefer).expect("a group in common");
        Negotiated {
            version: choose_version(hello, &offering.versions).expect("a version in common"),
            group: Some(chosen.group),
            retry: chosen.retry,
            ..facts()
        }
    }

    fn crowd() -> Vec<Hello> {
        let tls13 = [
            "*X25519MLKEM768, X25519",
            "X25519MLKEM768, *X25519",
            "*X25519, X25519MLKEM768",
            "*X25519",
            "*secp256r1, X25519",
            "SecP256r1MLKEM768, *X25519",
        ];
        let mut crowd: Vec<Hello> = tls13.into_iter().map(hello).collect();
        crowd.push(old("X25519MLKEM768, X25519"));
        crowd
    }

    #[test]
    fn what_is_reported_is_what_is_then_refused() {
        let rules = [RuleName::KeyExchange];
        for retry in [true, false] {
            let offering = Offering { retry, ..offering() };
            let mut met = Vec::new();
            for hello in crowd() {
                let facts = preferred(&hello, &offering);
                let case = Case {
                    able: able(&hello, &offering),
                    ..case(&hello, None)
                };
                let before = decide(&case, &[require(&rules)]).key_exchange;
                let case = Case {
                    negotiated: Some(&facts),
                    ..case
                };
                let reported = decide(&case, &[reporting(require(&rules))]).key_exchange;
                let then = decide(&case, &[require(&rules)]).key_exchange;
                let what_if = decide(&case, &[]).outlook.key_exchange;
                assert_eq!(before, then, "retry {retry} {:?}", hello.groups);
                assert_eq!(
                    reported == Verdict::WouldRefuse,
                    then == Verdict::Refused,
                    "{:?}",
                    hello.groups
                );
                assert_eq!(
                    what_if == Prospect::Fails,
                    then == Verdict::Refused,
                    "{:?}",
                    hello.groups
                );
                met.push(then == Verdict::Admitted);
            }
            assert_eq!(met, [true, retry, retry, false, false, retry, false]);
        }
    }

    #[test]
    fn whom_a_retry_would_have_moved_is_not_counted_as_broken() {
        // under `observe` the client's order stands, and it put the hybrid last
        let hello = hello("*X25519, X25519MLKEM768");
        let facts = Negotiated {
            group: Some(X25519),
            ..facts()
        };
        let decision = decide(&case(&hello, Some(&facts)), &[]);
        assert_eq!(decision.outlook.key_exchange, Prospect::Holds);
        // but a request cannot have it back
        let case = Case {
            scope: Scope::Request,
            ..case(&hello, Some(&facts))
        };
        let demand = reporting(require(&[RuleName::KeyExchange]));
        assert_eq!(decide(&case, &[demand]).key_exchange, Verdict::WouldRefuse);
    }

    #[test]
    fn before_the_handshake_a_hello_is_judged_by_what_it_can_come_to() {
        use Verdict::{Admitted, Refused};
        let table = [
            (hello("*X25519MLKEM768, X25519"), Admitted, Admitted),
            (hello("*X25519, X25519MLKEM768"), Admitted, Admitted),
            (hello("*X25519"), Refused, Admitted),
            (old("X25519"), Refused, Refused),
        ];
        let demand = [require(&[RuleName::KeyExchange, RuleName::Authentication])];
        for (hello, key_exchange, authentication) in table {
            let decision = decide(&case(&hello, None), &demand);
            let found = (decision.key_exchange, decision.authentication);
            assert_eq!(found, (key_exchange, authentication), "{:?}", hello.groups);
            assert_eq!(decide(&case(&hello, None), &[]).heaviest(), Admitted);
        }
        let classical = Hello {
            schemes: vec![ECDSA_P256],
            ..hello("*X25519MLKEM768")
        };
        assert_eq!(decide(&case(&classical, None), &demand).authentication, Refused);
    }

    #[test]
    fn afterwards_what_was_negotiated_counts() {
        use Verdict::{Admitted, Refused};
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
            let demand = require(&[RuleName::KeyExchange, RuleName::Authentication]);
            let decision = decide(&case(&hello, Some(&facts)), &[demand]);
            assert_eq!(
                (decision.key_exchange, decision.authentication),
                (key_exchange, authentication)
            );
            assert_eq!(decision.refused_by(), by);
        }
    }

    #[test]
    fn authentication_is_proven_by_a_handshake_and_by_nothing_else() {
        let table = [
            (hello("*X25519"), Authentication::Pq, Prospect::Holds),
            (hello("*X25519"), Authentication::Classical, Prospect::Unproven),
            (old("X25519"), Authentication::Classical, Prospect::Fails),
        ];
        for (hello, authentication, expected) in table {
            let facts = Negotiated {
                authentication,
                ..facts()
            };
            let decision = decide(&case(&hello, Some(&facts)), &[]);
            assert_eq!(decision.outlook.authentication, expected, "{authentication:?}");
        }
        let unproven = decide(&case(&hello("*X25519"), None), &[]).outlook.authentication;
        assert_eq!(unproven, Prospect::Unproven);
    }

    #[test]
    fn a_classical_client_certificate_is_refused_where_it_is_required() {
        use ClientAuthentication::{Classical, None as Nothing, Pq};
        let hello = hello("*X25519MLKEM768");
        let demand = require(&[RuleName::ClientAuthentication]);
        let seen = |scope, client_authentication| {
            let facts = Negotiated {
                client_authentication,
                ..facts()
            };
            let case = Case {
                scope,
                ..case(&hello, Some(&facts))
            };
            decide(&case, std::slice::from_ref(&demand)).client_authentication
        };
        use Verdict::{Admitted, Refused};
        let each = |scope| [Classical, Nothing, Pq].map(|class| seen(scope, class));
        assert_eq!(each(Scope::Connection), [Refused, Admitted, Admitted]);
        assert_eq!(each(Scope::Request), [Refused, Refused, Admitted]);
        assert_eq!(decide(&case(&hello, None), &[demand]).refused_by(), None);
    }

    #[test]
    fn an_exemption_needs_all_that_it_names_and_ends_with_its_day() {
        use Verdict::{Exempt, Refused};
        let networks = |text: &str| vec![text.parse().expect("a network")];
        let identities = |text: &str| vec![Pattern::parse(text).expect("a pattern")];
        let names = |text: &str| vec![text.to_owned()];
        let of = |change: fn(&mut Exemption)| {
            let mut exemption = exemption();
            change(&mut exemption);
            exemption
        };
        let mut table = vec![
            (exemption(), Exempt),
            (of(|it| it.until = NOON), Refused),
            (of(|it| it.until = NOON + 1), Exempt),
        ];
        for (network, expected) in [("192.0.2.0/24", Exempt), ("198.51.100.0/24", Refused)] {
            table.push((
                Exemption {
                    networks: networks(network),
                    ..exemption()
                },
                expected,
            ));
        }
        for (name, expected) in [
            ("a.shop.test", Exempt),
            ("*.shop.test", Exempt),
            ("*.test", Refused),
            ("shop.test", Refused),
        ] {
            table.push((
                Exemption {
                    names: names(name),
                    ..exemption()
                },
                expected,
            ));
        }
        for (pattern, expected) in [("DNS:meter-*", Exempt), ("CN=meter-8", Refused), ("CN=meter-7", Exempt)] {
            table.push((
                Exemption {
                    identities: identities(pattern),
                    ..exemption()
                },
                expected,
            ));
        }
        for (network, expected) in [("192.0.2.0/24", Exempt), ("198.51.100.0/24", Refused)] {
            let both = Exemption {
                networks: networks(network),
                identities: identities("DNS:meter-*"),
                names: names("a.shop.test"),
                ..exemption()
            };
            table.push((both, expected));
        }
        let hello = hello("*X25519");
        let facts = Negotiated {
            group: Some(X25519),
            client: Some(Box::new(ClientCertificate {
                subject: "CN=meter-7".into(),
                dns_names: vec!["meter-7".into()],
                ..ClientCertificate::default()
            })),
            ..facts()
        };
        for (exemption, expected) in table {
            let demand = exempting(require(&[RuleName::KeyExchange]), exemption.clone());
            let decision = decide(&case(&hello, Some(&facts)), &[demand]);
            assert_eq!(decision.key_exchange, expected, "{exemption}");
            // who is let off would still be refused if nobody were
            assert_eq!(decision.outlook.key_exchange, Prospect::Fails);
        }
    }

    #[test]
    fn an_identity_may_let_off_before_it_is_seen_and_not_when_nothing_was_shown() {
        let hello = hello("*X25519");
        let exemption = Exemption {
            identities: vec![Pattern::parse("DNS:meter-*").expect("a pattern")],
            ..exemption()
        };
        let demand = [exempting(require(&[RuleName::KeyExchange]), exemption)];
        assert_eq!(decide(&case(&hello, None), &demand).key_exchange, Verdict::Exempt);
        let nobody = Negotiated {
            group: Some(X25519),
            ..facts()
        };
        let decision = decide(&case(&hello, Some(&nobody)), &demand);
        assert_eq!(decision.key_exchange, Verdict::Refused);
    }

    #[test]
    fn of_several_demands_the_heaviest_verdict_stands() {
        let hello = hello("*X25519");
        let classical = Negotiated {
            group: Some(X25519),
            ..facts()
        };
        let strict = require(&[RuleName::KeyExchange]);
        let page = Demand {
            refuse: Refuse::Page,
            ..strict.clone()
        };
        let report = reporting(strict.clone());
        let lenient = exempting(strict.clone(), exemption());
        let table = [
            (vec![], Verdict::Admitted, Refuse::Alert),
            (vec![lenient.clone()], Verdict::Exempt, Refuse::Alert),
            (
                vec![lenient.clone(), report.clone()],
                Verdict::WouldRefuse,
                Refuse::Alert,
            ),
            (vec![report.clone(), page.clone()], Verdict::Refused, Refuse::Page),
            (vec![page.clone(), lenient], Verdict::Refused, Refuse::Page),
            (vec![page, strict], Verdict::Refused, Refuse::Alert),
        ];
        for (demands, verdict, refuse) in table {
            let decision = decide(&case(&hello, Some(&classical)), &demands);
            assert_eq!(
                (decision.key_exchange, decision.refuse),
                (verdict, refuse),
                "{demands:?}"
            );
        }
    }

    #[test]
    fn the_offer_is_narrow_only_where_nobody_can_be_let_in() {
        use Stance::{Observe, Prefer, Require};
        let both = require(&[RuleName::KeyExchange, RuleName::Authentication]);
        let with = |exemption| exempting(both.clone(), exemption);
        let page = Demand {
            refuse: Refuse::Page,
            ..both.clone()
        };
        let elsewhere = Exemption {
            networks: vec!["198.51.100.0/24".parse().expect("a network")],
            ..exemption()
        };
        let known = Exemption {
            identities: vec![Pattern::parse("DNS:meter-*").expect("a pattern")],
            ..exemption()
        };
        let over = Exemption {
            until: NOON,
            ..exemption()
        };
        let table = [
            (both.clone(), Require, Require),
            (reporting(both.clone()), Prefer, Observe),
            (page, Prefer, Prefer),
            (with(exemption()), Prefer, Observe),
            (with(known), Prefer, Prefer),
            (with(elsewhere), Require, Require),
            (with(over), Require, Require),
        ];
        let hello = hello("*X25519");
        let client = case(&hello, None).client;
        for (demand, key_exchange, authentication) in table {
            let demands = super::super::Demands {
                each: vec![demand],
                routes_require: false,
            };
            let posture = demands.posture(&client, NOON);
            assert_eq!(
                (posture.key_exchange, posture.authentication),
                (key_exchange, authentication),
                "{demands:?}"
            );
        }
        let mut demands = super::super::Demands::from(Policy::OBSERVE);
        demands.routes_require = true;
        assert_eq!(demands.posture(&client, NOON).key_exchange, Prefer);
    }

    #[test]
    fn the_stricter_word_wins_rule_by_rule() {
        let [listener, site, both] = [
            [Stance::Require, Stance::Observe],
            [Stance::Observe, Stance::Prefer],
            [Stance::Require, Stance::Prefer],
        ]
        .map(|[key_exchange, authentication]| Policy {
            key_exchange,
            authentication,
            client_authentication: Stance::Observe,
        });
        assert_eq!(listener.tightened_by(site), both);
        assert_eq!(site.tightened_by(listener), both);
    }
}
