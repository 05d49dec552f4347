//! What becomes of a handshake by its hello, by what was negotiated, or by how it failed: over TCP and QUIC alike.
use crate::{
    failure::{Failure, Outcome, Stage},
    record::{AskedForClients, Record},
    site::Site,
};
use portcullis_tls::{
    failure::Fault,
    negotiated::{Authentication, Negotiated},
    policy::{Decision, Refuse, RuleName, Stance},
    server::{Asking, Choice, Refusal, Server, Unfit},
};
use portcullis_wire::{Hello, alert::Alert};

/// A hello that no configuration fits: the reason in metrics and record.
pub(crate) fn refused(
    (site, server): (&Site, &Server),
    (hello, refusal): (&Hello, Refusal),
    asking: &Asking<'_>,
    record: &mut Record,
) -> Failure {
    if let Refusal::Policy(_) = refusal {
        reason(server, (hello, None), record);
        record.decided(server.decide(hello, None, asking), asked(server));
    }
    match refusal {
        Refusal::Policy(rule) => {
            let error = format!(
                "policy requires {} to be quantum-safe, {}",
                words(rule),
                lacking(rule, site, hello)
            );
            Failure::refused(Stage::Policy, Fault::Client, error)
        }
        Refusal::NoCertificate => {
            let error = format!("{refusal}: it lacks {}", schemes_of(site));
            Failure::failed(Stage::Handshake, Fault::Client, error)
        }
        refusal => Failure::failed(Stage::Handshake, Fault::Client, refusal.to_string()),
    }
}

/// What the policy makes of what was negotiated. A page is for the requests to tell.
pub(crate) fn judge(site: &Site, decision: Decision) -> Result<(), Failure> {
    let is_told_later = decision.refuse == Refuse::Page && site.service.http().is_some();
    match decision.refused_by().filter(|_| !is_told_later) {
        None => Ok(()),
        Some(rule) => {
            let error = format!("policy requires {} to be quantum-safe", words(rule));
            let failure = Failure::refused(Stage::Policy, Fault::Client, error);
            Err(failure.answering(Alert::ACCESS_DENIED))
        }
    }
}

/// What was negotiated and what was decided on it, in the record.
pub(crate) fn decided(server: &Server, (hello, facts, decision): (&Hello, Negotiated, Decision), record: &mut Record) {
    reason(server, (hello, Some(&facts)), record);
    record.negotiated_as(facts);
    record.reach(Stage::Policy);
    record.decided(decision, asked(server));
}

fn asked(server: &Server) -> AskedForClients {
    match server.clients() {
        Some(_) => AskedForClients::Yes,
        None => AskedForClients::No,
    }
}

/// Why it is not quantum-safe, for the ledger.
fn reason(server: &Server, (hello, facts): (&Hello, Option<&Negotiated>), record: &mut Record) {
    let (key_exchange, authentication) = server.reasons(hello, facts);
    record.judgement.reason = key_exchange;
    record.judgement.authentication_reason = authentication;
}

/// A difference between rustls' facts and our reading is our fault; a client whose certificate has run out is not.
pub(crate) fn unfitting(unfit: Unfit, record: &mut Record) -> Failure {
    match unfit {
        Unfit::Mismatch(mismatch) => Failure::failed(Stage::Handshake, Fault::Ours, mismatch.to_string()),
        // it was good when the session began
        Unfit::Client(refusal) => {
            let failure = Failure::refused(Stage::Handshake, refusal.fault, refusal.to_string());
            record.refused_client(refusal.certificate);
            failure
        }
    }
}

/// A handshake that failed by its client's certificate, or for want of one, was refused, and the record says whose.
pub(crate) fn told_by(choice: &Choice, failure: Failure, (decision, record): (Decision, &mut Record)) -> Failure {
    let alert_out = failure.alert_out;
    let Some(refusal) = choice.client_refusal() else {
        return match alert_out {
            Some(Alert::CERTIFICATE_REQUIRED) => Failure {
                outcome: Outcome::Refused,
                ..failure
            },
            _ => failure,
        };
    };
    record.refused_client(refusal.certificate.clone());
    let stage = match refusal.rule {
        None => Stage::Handshake,
        Some(_) => {
            record.refused_by_policy(decision);
            Stage::Policy
        }
    };
    Failure {
        alert_out,
        ..Failure::refused(stage, refusal.fault, refusal.to_string())
    }
}

/// A client that offers ML-DSA need not trust the root of our chain: who refused what must be told (SPEC 5.3).
pub(crate) fn noted(choice: &Choice, failure: Failure, record: &mut Record) -> Failure {
    let refused = failure.alert_in.is_some_and(is_about_certificates);
    record.judgement.ml_dsa_refused = refused && choice.authentication == Authentication::Pq;
    match record.judgement.ml_dsa_refused {
        true => Failure {
            error: format!("the client refused the ML-DSA chain: {}", failure.error).into(),
            ..failure
        },
        false => failure,
    }
}

/// RFC 8446 6.2: bad, unsupported, revoked, expired, unknown certificate (42 to 46), unknown_ca (48).
fn is_about_certificates(alert: Alert) -> bool {
    matches!(alert.0, 42..=46 | 48)
}

fn words(rule: RuleName) -> &'static str {
    match rule {
        RuleName::KeyExchange => "the key exchange",
        RuleName::Authentication => "authentication",
        RuleName::ClientAuthentication => "client authentication",
    }
}

/// What a client would have needed to meet a rule, and what it has instead.
fn lacking(rule: RuleName, site: &Site, hello: &Hello) -> String {
    match rule {
        RuleName::KeyExchange => {
            let offered = hello.groups.iter().filter(|g| !g.is_grease());
            format!("and the client offers {}", listed(offered))
        }
        RuleName::Authentication if !hello.offers_tls13() => "and the client has nothing newer than TLS 1.2".into(),
        RuleName::Authentication => format!("and the client lacks {}", schemes_of(site)),
        // a hello says nothing of it
        RuleName::ClientAuthentication => "and the client showed nothing that is".into(),
    }
}

/// What a client must verify to take one of a site's certificates under its policy.
fn schemes_of(site: &Site) -> String {
    let identities = site.tls.iter().flat_map(|server| server.identities());
    let mut schemes: Vec<_> = identities.flat_map(|identity| identity.schemes()).collect();
    if site.policy.authentication == Stance::Require {
        schemes.retain(|scheme| scheme.is_ml_dsa());
    }
    schemes.sort();
    schemes.dedup();
    listed(schemes.iter())
}

fn listed<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() {
        "nothing".into()
    } else {
        items.join(",")
    }
}
