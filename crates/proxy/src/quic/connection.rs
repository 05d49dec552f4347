//! The straight line over QUIC: from a first packet to the last request.
use super::socket::Open;
use crate::{
    clock,
    connection::requests,
    core::Core,
    downstream::tls_failure,
    failure::{Failure, Stage},
    http::{h3, visit::Visit},
    listener::{Listener, accept::Accepted},
    recall::Recall,
    record::{Bytes, Peer, Record},
    site::Site,
    verdict,
};
use portcullis_tls::{
    failure::Fault,
    negotiated::Negotiated,
    policy::{Decision, decide},
    quic::{End, Gate, Outcome, alert_in},
    rustls::pki_types::CertificateDer,
    server::{Asking, Choice, Refusal, Server},
};
use portcullis_wire::{Hello, alert::Alert, ja4::Transport};
use quinn::{Connection, ConnectionError, Incoming, ServerConfig};
use std::{rc::Rc, sync::Arc};
use tokio::time::Instant;

/// Serves a client to its end.
pub(crate) async fn run(core: Rc<Core>, incoming: Incoming, accepted: Accepted, open: Open) {
    let Accepted {
        listener,
        mut record,
        handshaking,
        kept,
    } = accepted;
    let http = listener.http.clone();
    // on the heap, as over TCP: a connection at rest does not hold the room its handshake took
    let admitted = Box::pin(handshake(&core, incoming, listener, &mut record)).await;
    drop(handshaking);
    let result = match admitted {
        Err(failure) => Err(failure),
        Ok((quic, site)) => {
            let chain = chain(&quic);
            let recall = Recall::of(&core, &chain, &site, &record);
            let visit = Visit::new(&core, (http, Some(site)), (&record, &chain));
            requests(recall, visit, &mut record, async |visit| h3::serve(quic, &visit).await).await
        }
    };
    record.end(result);
    // the places are given back only now that the record has been told everything
    drop(record);
    drop((kept, open));
}

/// Everything before the first request: hello, site, handshake, policy.
async fn handshake(
    core: &Core,
    incoming: Incoming,
    listener: Arc<Listener>,
    record: &mut Record,
) -> Result<(Connection, Arc<Site>), Failure> {
    record.reach(Stage::Hello);
    let deadline = listener.plan.limits.handshake.map(|limit| record.began() + limit);
    let peer = record.peer().clone();
    let common = &core.shared.quic;
    let transport = listener.quic.clone().unwrap_or_default();
    let (crypto, handshake) = common.acceptor.begin(Choosing {
        listener: Some(listener),
        peer,
        site: None,
        failure: None,
        refusal: None,
        decision: None,
    });
    let mut config: ServerConfig = common.server.clone();
    (config.crypto, config.transport) = (crypto, transport);
    let shaking = async { incoming.accept_with(Arc::new(config))?.await };
    let shaken = core.wheel.within(deadline.map(Instant::from_std), shaking).await;
    let outcome = handshake
        .take()
        .ok_or_else(|| Failure::failed(Stage::Handshake, Fault::Ours, "a handshake that was taken before"))?;
    settle(core, shaken, outcome, record)
}

/// What came of it, in the record's words.
fn settle(
    core: &Core,
    shaken: Option<Result<Connection, ConnectionError>>,
    outcome: Outcome<Choosing>,
    record: &mut Record,
) -> Result<(Connection, Arc<Site>), Failure> {
    record.handshake_bytes = Bytes {
        inward: outcome.bytes_in,
        outward: outcome.bytes_out,
    };
    let Choosing {
        site,
        failure,
        refusal,
        decision,
        ..
    } = outcome.gate;
    if let Some(hello) = &outcome.hello {
        record.offered(hello, Transport::Quic);
        record.reach(Stage::Route);
    }
    if let Some(site) = &site {
        record.routed(site);
        record.reach(Stage::Handshake);
    }
    let (stage, alert_out) = (record.stage(), outcome.alert_out);
    let lost = || broken(stage, &shaken);
    let failure = match outcome.end {
        End::Unfinished => Some(lost()),
        End::NoHello(error) => Some(Failure::failed(Stage::Hello, Fault::Client, error.to_string())),
        End::TurnedAway => failure.or_else(|| {
            let (site, hello) = (site.as_ref()?, outcome.hello.as_ref()?);
            let of_site = (&**site, &**site.quic.as_ref()?);
            Some(verdict::refused(core.books(), of_site, (hello, refusal?), record))
        }),
        End::Failed(error) => Some(tls_failure(Stage::Handshake, &error)),
        End::Unfit(unfit) => Some(verdict::unfitting(unfit, record)),
        End::Refused(facts) | End::Negotiated(facts) => {
            let Some(((site, hello), decision)) = site.zip(outcome.hello).zip(decision) else {
                return Err(Failure::failed(stage, Fault::Ours, "negotiated without a decision"));
            };
            if let Some(server) = &site.quic {
                verdict::decided(core.books(), (&site, server), (&hello, facts, decision), record);
            }
            verdict::judge(decision).map_err(|failure| Failure { alert_out, ..failure })?;
            return match shaken {
                Some(Ok(connection)) => Ok((connection, site)),
                shaken => Err(broken(Stage::Policy, &shaken)),
            };
        }
    };
    let failure = failure.unwrap_or_else(|| Failure::failed(stage, Fault::Ours, "turned away for no reason"));
    let failure = Failure {
        alert_out: alert_out.or(failure.alert_out),
        ..failure
    };
    Err(match (&outcome.choice, &site) {
        (Some(choice), Some(site)) => {
            let failure = verdict::noted(choice, failure, record);
            verdict::told_by(choice, failure, (core.books(), site, record))
        }
        _ => failure,
    })
}

/// A connection that was lost, or took too long.
fn broken(stage: Stage, shaken: &Option<Result<Connection, ConnectionError>>) -> Failure {
    match shaken {
        None | Some(Ok(_)) => Failure::failed(stage, Fault::Client, "deadline passed"),
        Some(Err(error)) => Failure {
            alert_in: alert_in(error),
            ..Failure::failed(stage, Fault::Client, error.to_string())
        },
    }
}

fn chain(connection: &Connection) -> Vec<CertificateDer<'static>> {
    let identity = connection.peer_identity();
    let chain = identity.and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.map_or_else(Vec::new, |chain| *chain)
}

/// Decides over one handshake, and keeps what it found.
struct Choosing {
    /// Until the hello: only the site outlives it, never the listener with all its sites.
    listener: Option<Arc<Listener>>,
    peer: Peer,
    site: Option<Arc<Site>>,
    failure: Option<Failure>,
    refusal: Option<Refusal>,
    decision: Option<Decision>,
}

impl Gate for Choosing {
    fn choose(&mut self, hello: &Hello) -> Result<(Arc<Server>, Choice), Alert> {
        let listener = self.listener.take();
        let found = listener
            .as_ref()
            .and_then(|listener| listener.sites.find(hello.sni.as_deref()));
        let Some((site, server)) = found.and_then(|site| Some((site, site.quic.as_ref()?))) else {
            let what = match found {
                Some(_) => "the site of that name is not served over QUIC",
                None => "no site of that name",
            };
            self.failure = Some(Failure::refused(Stage::Route, Fault::Client, what));
            return Err(Alert::UNRECOGNIZED_NAME);
        };
        self.site = Some(site.clone());
        let asking = Asking {
            may_see: &|place| site.shows(place, &self.peer),
            now: clock::unix_now(),
        };
        match server.choose_for(hello, &asking) {
            Ok(choice) => Ok((server.clone(), choice)),
            Err(refusal) => {
                let alert = refusal.alert();
                self.refusal = Some(refusal);
                Err(alert)
            }
        }
    }

    fn admit(&mut self, hello: &Hello, facts: &Negotiated) -> Result<(), Alert> {
        let site = self.site.as_ref();
        let server = site.and_then(|site| site.quic.as_ref()).ok_or(Alert::INTERNAL_ERROR)?;
        let decision = decide(hello, Some(facts), server.rule());
        self.decision = Some(decision);
        verdict::judge(decision).map_err(|_| Alert::ACCESS_DENIED)
    }
}
