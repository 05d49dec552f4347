//! The straight line over QUIC: from a first packet to the last request.
use super::socket::Open;
use crate::{
    clock,
    connection::requests,
    core::Core,
    downstream::tls_failure,
    failure::{Failure, Stage},
    http::{h3, visit::Visit},
    listener::{
        Listener,
        accept::{Accepted, Handshaking},
    },
    recall::Recall,
    record::{Bytes, Peer, Record},
    site::Site,
    verdict,
};
use portcullis_tls::{
    failure::Fault,
    negotiated::Negotiated,
    policy::Decision,
    quic::{End, Gate, Outcome, alert_in},
    rustls::pki_types::CertificateDer,
    server::{Asking, Choice, Refusal, Server},
};
use portcullis_wire::{Hello, alert::Alert, ja4::Transport};
use quinn::{Connection, ConnectionError, Incoming, ServerConfig, VarInt};
use std::{pin::pin, rc::Rc, sync::Arc};
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
    let admitted = Box::pin(handshake(&core, incoming, (listener, handshaking), &mut record)).await;
    let result = match admitted {
        Err(failure) => Err(failure),
        Ok((quic, site)) => {
            let chain = chain(&quic);
            let recall = Recall::of(&core, &chain, &site, &record);
            let visit = Visit::new(&core, (http, Some(site)), (&record, &chain));
            let served = requests(recall, visit, &mut record, async |visit| h3::serve(quic, &visit).await);
            // on the heap too: who has sent no more than a first packet has no room for requests yet
            Box::pin(served).await
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
    (listener, handshaking): (Arc<Listener>, Option<Handshaking>),
    record: &mut Record,
) -> Result<(Connection, Arc<Site>), Failure> {
    record.reach(Stage::Hello);
    let limits = &listener.plan.limits;
    let [for_hello, for_all] =
        [limits.hello, limits.handshake].map(|limit| limit.map(|limit| Instant::from_std(record.began() + limit)));
    let peer = record.peer().clone();
    let common = &core.shared.quic;
    let transport = listener.quic.clone().unwrap_or_default();
    let streams = VarInt::from_u32(listener.plan.http.limits.streams);
    let (crypto, handshake) = common
        .acceptor
        .begin_holding(Choosing::new(listener, peer), handshaking);
    let mut config: ServerConfig = common.server.clone();
    (config.crypto, config.transport) = (crypto, transport);
    let mut shaking = pin!(async {
        let connection = incoming.accept_with(Arc::new(config))?.await?;
        connection.set_max_concurrent_bi_streams(streams);
        Ok(connection)
    });
    let first = [for_hello, for_all].into_iter().flatten().min();
    let shaken = match core.wheel.within(first, shaking.as_mut()).await {
        None if handshake.has_hello() => core.wheel.within(for_all, shaking).await,
        shaken => shaken,
    };
    let outcome = handshake
        .take()
        .ok_or_else(|| Failure::failed(Stage::Handshake, Fault::Ours, "a handshake that was taken before"))?;
    let settled = settle(shaken, outcome, record);
    if settled.is_ok() {
        // one that failed costs memory, and so keeps its places, until quinn is done with it
        handshake.release();
    }
    settled
}

/// What came of it, in the record's words.
fn settle(
    shaken: Option<Result<Connection, ConnectionError>>,
    outcome: Outcome<Choosing>,
    record: &mut Record,
) -> Result<(Connection, Arc<Site>), Failure> {
    record.handshake_bytes = Bytes {
        inward: outcome.bytes_in,
        outward: outcome.bytes_out,
    };
    let alert_out = outcome.alert_out;
    let answered = |failure| Failure { alert_out, ..failure };
    let Some(hello) = outcome.hello else {
        return Err(answered(match outcome.end {
            End::NoHello(error) => Failure::failed(Stage::Hello, Fault::Client, error.to_string()),
            _ => broken(Stage::Hello, &shaken),
        }));
    };
    record.offered(&hello, Transport::Quic);
    record.reach(Stage::Route);
    let Some((site, server)) = outcome.gate.found else {
        return Err(answered(outcome.gate.nowhere()));
    };
    record.routed(&site);
    record.reach(Stage::Handshake);
    match (outcome.end, outcome.gate.decision) {
        (End::Refused(facts) | End::Negotiated(facts), Some(decision)) => {
            verdict::decided(&server, (&hello, facts, decision), record);
            verdict::judge(&site, decision).map_err(answered)?;
            match shaken {
                Some(Ok(connection)) => Ok((connection, site)),
                shaken => Err(broken(Stage::Policy, &shaken)),
            }
        }
        (end, _) => {
            let failed = Failed {
                end,
                choice: outcome.choice,
                refusal: outcome.gate.refusal,
                lost: broken(Stage::Handshake, &shaken),
            };
            Err(answered(failed.told(&hello, (&site, &server), record)))
        }
    }
}

/// A handshake that came to nothing, once its site was known.
struct Failed {
    end: End,
    choice: Option<Choice>,
    refusal: Option<Refusal>,
    /// What it was if TLS found no fault.
    lost: Failure,
}

impl Failed {
    fn told(self, hello: &Hello, (site, server): (&Site, &Server), record: &mut Record) -> Failure {
        let peer = record.peer().clone();
        let asking = Asking {
            may_see: &|place| site.shows(place, &peer),
            address: peer.address(),
            now: clock::unix_now(),
        };
        let failure = match (self.end, self.refusal) {
            (_, Some(refusal)) => return verdict::refused((site, server), (hello, refusal), &asking, record),
            (End::Failed(error), _) => tls_failure(Stage::Handshake, &error),
            (End::Unfit(unfit), _) => return verdict::unfitting(unfit, record),
            _ => self.lost,
        };
        let Some(choice) = &self.choice else { return failure };
        let failure = verdict::noted(choice, failure, record);
        verdict::told_by(choice, failure, (server.decide(hello, None, &asking), record))
    }
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
    found: Option<(Arc<Site>, Arc<Server>)>,
    /// There is a site of that name, and it is for others.
    is_elsewhere: bool,
    refusal: Option<Refusal>,
    decision: Option<Decision>,
}

impl Choosing {
    fn new(listener: Arc<Listener>, peer: Peer) -> Choosing {
        Choosing {
            listener: Some(listener),
            peer,
            found: None,
            is_elsewhere: false,
            refusal: None,
            decision: None,
        }
    }

    fn nowhere(&self) -> Failure {
        let what = match self.is_elsewhere {
            true => "the site of that name is not served over QUIC",
            false => "no site of that name",
        };
        Failure::refused(Stage::Route, Fault::Client, what)
    }
}

impl Gate for Choosing {
    fn choose(&mut self, hello: &Hello) -> Result<(Arc<Server>, Choice), Alert> {
        let listener = self.listener.take().ok_or(Alert::INTERNAL_ERROR)?;
        let site = listener.sites.find(hello.sni.as_deref());
        self.is_elsewhere = site.is_some();
        let found = site.and_then(|site| Some((site.clone(), site.quic.clone()?)));
        let (site, server) = self.found.insert(found.ok_or(Alert::UNRECOGNIZED_NAME)?);
        let asking = Asking {
            may_see: &|place| site.shows(place, &self.peer),
            address: self.peer.address(),
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
        let (site, server) = self.found.as_ref().ok_or(Alert::INTERNAL_ERROR)?;
        let asking = Asking {
            may_see: &|place| site.shows(place, &self.peer),
            address: self.peer.address(),
            now: clock::unix_now(),
        };
        let decision = server.decide(hello, Some(facts), &asking);
        self.decision = Some(decision);
        verdict::judge(site, decision).map_err(|_| Alert::ACCESS_DENIED)
    }
}
