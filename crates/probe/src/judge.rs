//! Holds what was seen against what was promised.
use crate::{
    Expectation, Failure, Outcome, Seen,
    promise::{Promise, Terms},
};
use portcullis_tls::{
    negotiated::{Authentication, Negotiated},
    policy::Stance,
};
use portcullis_wire::alert::Alert;

/// Every broken promise as a sentence that names the offers, what was promised and what came.
///
/// Offers that broke the same promise in the same way share a sentence: a server that cannot be reached is one
/// problem and not fifteen.
pub fn judge(seen: &[Seen], expectation: &Expectation) -> Vec<String> {
    let mut broken: Vec<(Vec<String>, String)> = Vec::new();
    for one in seen {
        let Some(sentence) = broken_promise(one, expectation) else {
            continue;
        };
        let offer = format!("{} ({} schemes)", one.offer, one.offer.schemes.as_str());
        match broken.iter_mut().find(|(_, known)| *known == sentence) {
            Some((offers, _)) => offers.push(offer),
            None => broken.push((vec![offer], sentence)),
        }
    }
    broken
        .into_iter()
        .map(
            |(offers, sentence)| match offers.len() == seen.len() && offers.len() > 1 {
                true => format!("every offer: {sentence}"),
                false => format!("offer {}: {sentence}", offers.join(", ")),
            },
        )
        .collect()
}

fn broken_promise(seen: &Seen, expectation: &Expectation) -> Option<String> {
    if let Outcome::Failed(failure @ Failure::Connect(_)) = &seen.outcome {
        return Some(failure.to_string());
    }
    let promise = Promise::of(&seen.offer, &seen.shares, expectation);
    let kept = match (&promise, &seen.outcome) {
        (_, Outcome::Failed(Failure::OtherCertificate)) => false,
        (_, Outcome::Ok(facts)) if is_against_policy(facts, expectation) => false,
        (Promise::Open, _) | (Promise::Refused(_), Outcome::Refused(_)) => true,
        (Promise::Taken(terms), Outcome::Ok(facts)) => terms.are_kept_by(facts),
        (Promise::Refused(_) | Promise::Taken(_), _) => false,
    };
    (!kept).then(|| format!("promised {promise}, came {}", came(&seen.outcome)))
}

/// What `require` forbids is forbidden to every offer, whatever else was promised.
fn is_against_policy(facts: &Negotiated, expectation: &Expectation) -> bool {
    let policy = expectation.policy;
    policy.key_exchange == Stance::Require && !facts.key_exchange().is_quantum_safe()
        || policy.authentication == Stance::Require && facts.authentication != Authentication::Pq
}

fn came(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(facts) => Terms::of(facts).to_string(),
        Outcome::Refused(Alert::CERTIFICATE_REQUIRED) => {
            "certificate_required: give the self-test a client certificate".to_owned()
        }
        Outcome::Refused(alert) => format!("the alert {alert}"),
        Outcome::Failed(failure) => format!("no answer: {failure}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Held, Offer, Question, Schemes, Site};
    use portcullis_tls::{
        negotiated::{ClientAuthentication, Version},
        policy::Policy,
    };
    use portcullis_wire::{CipherId, GroupId, SchemeId, registry::Group};
    use std::time::Duration;

    const KEPT: bool = true;
    const BROKEN: bool = false;

    /// What came: `"X25519MLKEM768 mldsa"`, `"X25519 classical retry"`, `"refused"`, `"closed"`, `"other"`.
    fn outcome(words: &str) -> Outcome {
        match words {
            "refused" => return Outcome::Refused(Alert::HANDSHAKE_FAILURE),
            "closed" => return Outcome::Failed(Failure::Closed("end of stream".to_owned())),
            "other" => return Outcome::Failed(Failure::OtherCertificate),
            "unreachable" => return Outcome::Failed(Failure::Connect("no route".to_owned())),
            _ => {}
        }
        let mut words = words.split(' ');
        let group = Group::by_name(words.next().unwrap()).unwrap().id;
        let rest: Vec<&str> = words.collect();
        let is_ml_dsa = rest.contains(&"mldsa");
        Outcome::Ok(Box::new(Negotiated {
            version: match rest.contains(&"1.2") {
                true => Version::Tls12,
                false => Version::Tls13,
            },
            group: Some(group),
            retry: rest.contains(&"retry"),
            cipher: CipherId(0x1301),
            signature: Some(SchemeId(if is_ml_dsa { 0x0905 } else { 0x0403 })),
            authentication: match is_ml_dsa && !rest.contains(&"mixed") {
                true => Authentication::Pq,
                false => Authentication::Classical,
            },
            client_authentication: ClientAuthentication::None,
            client: None,
            resumed: false,
            alpn: None,
        }))
    }

    /// An offer by its name in the report, with its schemes: `"default mldsa"`.
    fn offer(words: &str, expectation: &Expectation) -> Offer {
        let (name, schemes) = words.split_once(' ').unwrap_or((words, ""));
        let listed = expectation.site.as_ref().map(|site| &*site.groups);
        let fits =
            |offer: &Offer| offer.to_string() == name && (schemes.is_empty() || offer.schemes.as_str() == schemes);
        let found = Offer::all(listed).into_iter().find(fits);
        found.unwrap_or_else(|| panic!("no offer {words}"))
    }

    /// As the library sends them: for the first group, and the classical half of a hybrid that is listed too.
    fn shares(offer: &Offer) -> Vec<GroupId> {
        let x25519 = ids(&["X25519"]);
        match offer.question {
            Question::Modern => [ids(&["X25519MLKEM768"]), x25519].concat(),
            _ => offer.groups[..1].to_vec(),
        }
    }

    fn seen(offer_words: &str, came: &str, expectation: &Expectation) -> Seen {
        let offer = offer(offer_words, expectation);
        Seen {
            shares: shares(&offer),
            offer,
            outcome: outcome(came),
            bytes_in: 0,
            bytes_out: 0,
            took: Duration::ZERO,
        }
    }

    fn check(expectation: &Expectation, table: &[(&str, &str, bool)]) {
        for (offer, came, kept) in table {
            let problems = judge(&[seen(offer, came, expectation)], expectation);
            assert_eq!(problems.is_empty(), *kept, "{offer} -> {came}: {problems:?}");
        }
    }

    fn ids(names: &[&str]) -> Vec<GroupId> {
        let id = |name: &&str| Group::by_name(name).unwrap().id;
        names.iter().map(id).collect()
    }

    const CLASSICAL: Held = Held {
        key_is_ml_dsa: false,
        authentication: Authentication::Classical,
    };
    const ML_DSA: Held = Held {
        key_is_ml_dsa: true,
        authentication: Authentication::Pq,
    };
    /// An ML-DSA key under a classical root.
    const MIXED: Held = Held {
        key_is_ml_dsa: true,
        authentication: Authentication::Classical,
    };

    fn expectation(key_exchange: Stance, authentication: Stance) -> Expectation {
        Expectation {
            policy: Policy {
                key_exchange,
                authentication,
                client_authentication: Stance::Observe,
            },
            site: Some(Site {
                versions: vec![Version::Tls13, Version::Tls12],
                groups: ids(&["X25519MLKEM768", "SecP256r1MLKEM768", "X25519", "secp256r1"]),
                retry: true,
                certificates: vec![CLASSICAL, ML_DSA],
            }),
        }
    }

    fn with(mut expectation: Expectation, change: impl FnOnce(&mut Site)) -> Expectation {
        change(expectation.site.as_mut().unwrap());
        expectation
    }

    #[test]
    fn prefer_gives_everyone_the_best_they_can() {
        let prefer = expectation(Stance::Prefer, Stance::Observe);
        check(
            &prefer,
            &[
                ("default all", "X25519MLKEM768 classical", KEPT),
                ("default all", "X25519 classical", BROKEN),
                ("default all", "X25519MLKEM768 classical retry", BROKEN),
                ("default all", "X25519MLKEM768 mldsa", BROKEN),
                ("default all", "refused", BROKEN),
                ("default mldsa", "X25519MLKEM768 mldsa", KEPT),
                ("default mldsa", "X25519MLKEM768 classical", BROKEN),
                ("default mldsa", "refused", BROKEN),
                ("default classical", "X25519MLKEM768 classical", KEPT),
                ("X25519,X25519MLKEM768", "X25519MLKEM768 classical retry", KEPT),
                ("X25519,X25519MLKEM768", "X25519 classical", BROKEN),
                ("classical", "X25519 classical", KEPT),
                ("classical", "refused", BROKEN),
                ("tls1.2", "X25519 classical 1.2", KEPT),
                ("tls1.2", "refused", BROKEN),
                ("classical", "X25519 classical 1.2", BROKEN),
            ],
        );
    }

    #[test]
    fn each_listed_group_is_taken_by_itself_and_no_other() {
        check(
            &expectation(Stance::Prefer, Stance::Observe),
            &[
                ("X25519MLKEM768", "X25519MLKEM768 classical", KEPT),
                ("SecP256r1MLKEM768", "SecP256r1MLKEM768 classical", KEPT),
                ("SecP256r1MLKEM768", "refused", BROKEN),
                ("X25519", "X25519 classical", KEPT),
                ("secp256r1", "refused", BROKEN),
                ("MLKEM1024", "refused", KEPT),
                ("MLKEM1024", "MLKEM1024 classical", BROKEN),
                ("secp384r1", "closed", BROKEN),
            ],
        );
    }

    #[test]
    fn require_refuses_what_is_classical() {
        check(
            &expectation(Stance::Require, Stance::Observe),
            &[
                ("default all", "X25519MLKEM768 classical", KEPT),
                ("X25519", "refused", KEPT),
                ("X25519", "X25519 classical", BROKEN),
                ("X25519", "closed", BROKEN),
                ("classical", "refused", KEPT),
                ("classical", "X25519 classical", BROKEN),
                ("tls1.2", "refused", KEPT),
                ("tls1.2", "X25519 classical 1.2", BROKEN),
                ("X25519,X25519MLKEM768", "X25519MLKEM768 classical retry", KEPT),
                ("X25519,X25519MLKEM768", "refused", BROKEN),
            ],
        );
        check(
            &expectation(Stance::Observe, Stance::Require),
            &[
                ("default all", "X25519MLKEM768 mldsa", KEPT),
                ("default all", "X25519MLKEM768 classical", BROKEN),
                ("default all", "X25519MLKEM768 mldsa mixed", BROKEN),
                ("default classical", "refused", KEPT),
                ("default classical", "X25519MLKEM768 classical", BROKEN),
                ("classical", "refused", KEPT),
            ],
        );
    }

    #[test]
    fn observe_leaves_the_clients_order_alone() {
        let observe = expectation(Stance::Observe, Stance::Observe);
        check(
            &observe,
            &[
                ("default all", "X25519MLKEM768 classical", KEPT),
                ("default all", "X25519 classical", BROKEN),
                ("X25519,X25519MLKEM768", "X25519 classical", KEPT),
                ("X25519,X25519MLKEM768", "X25519MLKEM768 classical retry", BROKEN),
            ],
        );
        let without_the_first = with(observe, |site| site.groups = ids(&["SecP256r1MLKEM768", "X25519"]));
        check(
            &without_the_first,
            &[
                ("default all", "X25519 classical", KEPT),
                ("default all", "SecP256r1MLKEM768 classical retry", BROKEN),
            ],
        );
    }

    #[test]
    fn without_retry_a_classical_share_stands() {
        let table = [
            ("X25519,X25519MLKEM768", "X25519 classical", KEPT),
            ("X25519,X25519MLKEM768", "X25519MLKEM768 classical retry", BROKEN),
            ("default all", "X25519MLKEM768 classical", KEPT),
        ];
        let prefer = expectation(Stance::Prefer, Stance::Observe);
        check(&with(prefer, |site| site.retry = false), &table);
        // nobody said what comes here, but never a classical group
        let require = expectation(Stance::Require, Stance::Observe);
        check(
            &with(require, |site| site.retry = false),
            &[
                ("X25519,X25519MLKEM768", "refused", KEPT),
                ("X25519,X25519MLKEM768", "X25519MLKEM768 classical retry", KEPT),
                ("X25519,X25519MLKEM768", "X25519 classical", BROKEN),
            ],
        );
    }

    #[test]
    fn the_certificate_follows_the_order_and_the_policy() {
        let prefer = expectation(Stance::Prefer, Stance::Prefer);
        check(
            &prefer,
            &[
                ("default all", "X25519MLKEM768 mldsa", KEPT),
                ("default all", "X25519MLKEM768 classical", BROKEN),
                ("default classical", "X25519MLKEM768 classical", KEPT),
            ],
        );
        let fleet = with(expectation(Stance::Prefer, Stance::Observe), |site| {
            site.certificates.reverse();
        });
        check(
            &fleet,
            &[
                ("default all", "X25519MLKEM768 mldsa", KEPT),
                ("default all", "X25519MLKEM768 classical", BROKEN),
                ("classical", "X25519 classical", KEPT),
            ],
        );
        let mixed = with(prefer.clone(), |site| site.certificates = vec![MIXED]);
        check(
            &mixed,
            &[
                ("default all", "X25519MLKEM768 mldsa mixed", KEPT),
                ("default all", "X25519MLKEM768 mldsa", BROKEN),
                ("classical", "refused", KEPT),
                ("classical", "X25519 classical", BROKEN),
            ],
        );
        let classical_only = with(prefer, |site| site.certificates = vec![CLASSICAL]);
        check(
            &classical_only,
            &[
                ("default all", "X25519MLKEM768 classical", KEPT),
                ("default mldsa", "refused", KEPT),
                ("default mldsa", "X25519MLKEM768 mldsa", BROKEN),
            ],
        );
    }

    #[test]
    fn a_version_that_is_off_is_refused() {
        let modern = with(expectation(Stance::Prefer, Stance::Observe), |site| {
            site.versions = vec![Version::Tls13];
        });
        check(
            &modern,
            &[
                ("tls1.2", "refused", KEPT),
                ("tls1.2", "X25519 classical 1.2", BROKEN),
                ("classical", "X25519 classical", KEPT),
            ],
        );
    }

    #[test]
    fn of_an_unknown_server_only_the_policy_is_expected() {
        let table = [
            ("default all", "X25519MLKEM768 classical", KEPT),
            ("default all", "X25519MLKEM768 mldsa", KEPT),
            ("default all", "X25519 classical", BROKEN),
            ("default all", "unreachable", BROKEN),
            ("default mldsa", "refused", KEPT),
            ("MLKEM768", "refused", KEPT),
            ("MLKEM768", "unreachable", BROKEN),
            ("X25519,X25519MLKEM768", "X25519MLKEM768 classical retry", KEPT),
            ("X25519,X25519MLKEM768", "X25519 classical", BROKEN),
            ("classical", "X25519 classical", KEPT),
            ("classical", "refused", BROKEN),
            ("tls1.2", "refused", KEPT),
        ];
        check(&Expectation::of_key_exchange(Stance::Prefer), &table);
        let table = [
            ("default all", "X25519 classical", BROKEN),
            ("X25519", "X25519 classical", BROKEN),
            ("X25519", "refused", KEPT),
            ("MLKEM768", "refused", KEPT),
            ("classical", "refused", KEPT),
            ("classical", "X25519 classical", BROKEN),
            ("tls1.2", "X25519 classical 1.2", BROKEN),
        ];
        check(&Expectation::of_key_exchange(Stance::Require), &table);
        let table = [
            ("default all", "X25519 classical", KEPT),
            ("default all", "refused", BROKEN),
            ("X25519,X25519MLKEM768", "X25519 classical", KEPT),
            ("classical", "X25519 classical", KEPT),
            ("classical", "refused", BROKEN),
        ];
        check(&Expectation::of_key_exchange(Stance::Observe), &table);
    }

    #[test]
    fn another_certificate_than_the_sites_own_breaks_every_promise() {
        let prefer = expectation(Stance::Prefer, Stance::Observe);
        check(&prefer, &[("default all", "other", BROKEN)]);
    }

    #[test]
    fn a_broken_promise_names_the_offer_what_was_promised_and_what_came() {
        let prefer = expectation(Stance::Prefer, Stance::Observe);
        let problems = judge(&[seen("default all", "X25519 classical", &prefer)], &prefer);
        let expected = "offer default (all schemes): promised a quantum-safe key exchange without a retry, \
                        classical authentication signed classically, TLS 1.3, came X25519 without a retry, \
                        classical authentication signed classically, TLS 1.3";
        assert_eq!(problems, [expected]);
    }

    #[test]
    fn offers_that_share_a_fate_share_a_sentence() {
        let require = Expectation::of_key_exchange(Stance::Require);
        let table = [("X25519", "closed"), ("secp256r1", "closed"), ("MLKEM768", "refused")];
        let seen = table.map(|(offer, came)| seen(offer, came, &require));
        let sentence = "promised to be refused (the policy requires a quantum-safe key exchange), \
                        came no answer: the connection ended without an alert: end of stream";
        let two = format!("offer X25519 (all schemes), secp256r1 (all schemes): {sentence}");
        assert_eq!(judge(&seen, &require), [two]);
        let every = format!("every offer: {sentence}");
        assert_eq!(judge(&seen[..2], &require), [every]);
    }

    #[test]
    fn schemes_are_named_in_the_offer() {
        let all = [Schemes::All, Schemes::MlDsa, Schemes::Classical];
        assert_eq!(all.map(Schemes::as_str), ["all", "mldsa", "classical"]);
    }
}
