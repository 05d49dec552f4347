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
        .map(|(offers, sentence)| format!("offer {}: {sentence}", offers.join(", ")))
        .collect()
}

fn broken_promise(seen: &Seen, expectation: &Expectation) -> Option<String> {
    let promise = Promise::of(&seen.offer, &seen.shares, expectation);
    let kept = match (&promise, &seen.outcome) {
        (_, Outcome::Failed(Failure::Connect(_) | Failure::OtherCertificate)) => false,
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
