//! The straight line: from an accepted socket to a relay that is over.
use crate::{
    clock,
    core::Core,
    downstream::{Shaking, TlsStream, tls_failure},
    failure::{Failure, Stage},
    farewell,
    http::{self, alternative::Alternative, limits, visit::Visit},
    listener::{
        Listener,
        accept::{Accepted, Attachable, Handshaking},
        introduction::introduce,
    },
    passthrough::{self, Greeted},
    peek::{self, NoHello, Peeked},
    plan::{HttpListenerPlan, Protocol},
    recall::Recall,
    record::Record,
    relay::{Downstream, Idle, relay},
    site::{Service, Site},
    socket::Socket,
    upstream::Upstream,
    verdict,
};
use portcullis_tls::{failure::Fault, records::Handshake, server::Asking};
use portcullis_wire::{Hello, alert::Alert, ja4::Transport};
use std::{future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll, time::Duration};
use tokio::time::Instant;

/// Serves an accepted connection to its end.
pub(crate) async fn run(core: Rc<Core>, socket: Attachable, accepted: Accepted) {
    let Accepted {
        listener,
        mut record,
        handshaking,
        kept,
    } = accepted;
    let result = match socket.attach() {
        Ok(socket) => begin(&core, socket, (listener, handshaking), &mut record).await,
        Err(error) => Err(NoHello::Failed(Failure::io(Stage::Accept, Fault::Ours, &error))),
    };
    match result {
        Err(NoHello::Silent) => return record.end_silently(),
        Err(NoHello::Failed(failure)) => record.end(Err(failure)),
        Ok(()) => record.end(Ok(())),
    }
    // the place is given back only now that the record has been told everything
    drop(record);
    drop(kept);
}

/// A client that was let in, and what it needs of its listener from here on.
struct Admitted {
    arrived: Arrived,
    site: Arc<Site>,
    idle: Option<Duration>,
    http: Arc<HttpListenerPlan>,
    alternative: Option<Alternative>,
}

/// How far its TLS is.
enum Arrived {
    /// Over, or there is none.
    Spoken(Downstream),
    /// It is not ours: until when the server must have spoken.
    Passing(Greeted, Option<Instant>),
}

/// From the first byte to the last.
async fn begin(
    core: &Rc<Core>,
    mut socket: Socket,
    (listener, mut handshaking): (Arc<Listener>, Option<Handshaking>),
    record: &mut Record,
) -> Result<(), NoHello> {
    let introduced = introduce(core, &mut socket, &listener, (&mut *record, &mut handshaking));
    // held as long as the connection lives
    let _place = introduced.await?;
    if listener.plan.plain {
        return Ok(plain(core, socket, listener, record).await?);
    }
    // on the heap, so that a connection at rest does not hold the room its handshake took: 5 of 16 kB
    let admitted = Box::pin(admit(core, socket, listener, record)).await?;
    // from here on it is no handshake any more
    drop(handshaking);
    Ok(serve(core, admitted, record).await?)
}

/// Everything before the first application byte: hello, site, handshake, policy.
async fn admit(
    core: &Core,
    mut socket: Socket,
    listener: Arc<Listener>,
    record: &mut Record,
) -> Result<Admitted, NoHello> {
    let limits = &listener.plan.limits;
    let (for_all, for_hello) = (deadline(record, limits.handshake), deadline(record, limits.hello));
    record.reach(Stage::Hello);
    let hello = core
        .wheel
        .within(
            earlier(for_hello, for_all),
            peek::hello((core, &mut socket), listener.sites.protocol()),
        )
        .await;
    let Peeked { hello, bytes, asked_in } = hello.ok_or_else(|| NoHello::Failed(slow(Stage::Hello)))??;
    record.reach(Stage::Route);
    record.offered(&hello, Transport::Tcp);
    let found = listener.sites.find(hello.sni.as_deref());
    let speaks = |site: &&Arc<Site>| site.speaks_tls() && (asked_in == Protocol::Any || asked_in == site.protocol);
    let Some(site) = found.filter(speaks) else {
        let what = match found {
            Some(_) => "the site of that name does not speak the protocol in which TLS was asked for",
            None => "no site of that name",
        };
        let failure = Failure::refused(Stage::Route, Fault::Client, what);
        return Err(turn_away(core, &mut socket, failure, Alert::UNRECOGNIZED_NAME).await);
    };
    let (site, idle, http) = (site.clone(), limits.idle, listener.http.clone());
    let alternative = listener.alternative(&site);
    record.routed(&site);
    record.reach(Stage::Handshake);
    if !listener.gate.handshakes.admits(std::time::Instant::now()) {
        return Err(NoHello::Failed(Failure::refused(
            Stage::Handshake,
            Fault::Operator,
            "more handshakes a second than the limit",
        )));
    }
    // only the site outlives the hello, never the listener with all its sites
    drop(listener);
    if let Service::Passthrough(_) = site.service {
        let arrived = Arrived::Passing(Greeted { socket, hello, bytes }, for_all);
        return Ok(Admitted {
            arrived,
            site,
            idle,
            http,
            alternative: None,
        });
    }
    let stream = handshake(core, (socket, hello, bytes), &site, (for_all, record))
        .await
        .map_err(NoHello::Failed)?;
    let arrived = Arrived::Spoken(Downstream::Tls(stream));
    Ok(Admitted {
        arrived,
        site,
        idle,
        http,
        alternative,
    })
}

/// The handshake under a deadline, its facts in the record, and the policy's word on them.
async fn handshake(
    core: &Core,
    (mut socket, hello, bytes): (Socket, Box<Hello>, Vec<u8>),
    site: &Site,
    (deadline, record): (Option<Instant>, &mut Record),
) -> Result<Box<TlsStream>, Failure> {
    let server = site
        .tls
        .as_ref()
        .ok_or_else(|| Failure::failed(Stage::Route, Fault::Ours, "a site without tls"))?;
    let peer = record.peer().clone();
    let asking = Asking {
        may_see: &|place| site.shows(place, &peer),
        address: peer.address(),
        now: clock::unix_now(),
    };
    let choice = match server.choose_for(&hello, &asking) {
        Ok(choice) => choice,
        Err(refusal) => {
            let alert = refusal.alert();
            farewell::say(&core.wheel, &mut socket, &alert.fatal_record()).await;
            let failure = verdict::refused((site, server), (&hello, refusal), &asking, record);
            return Err(failure.answering(alert));
        }
    };
    let tls = Handshake::new(&choice.config).map_err(|e| tls_failure(Stage::Handshake, &e))?;
    let mut shaking = Box::new(Shaking::new(socket, tls));
    let shaken = core
        .wheel
        .within(deadline, shaking.run(bytes, |read| core.scratch(read)))
        .await;
    record.handshake_bytes = shaking.wire;
    match shaken {
        None => return Err(slow(Stage::Handshake)),
        Some(Err(failure)) => {
            let failure = verdict::noted(&choice, failure, record);
            let Shaking { socket, tls, .. } = &mut *shaking;
            farewell::say(&core.wheel, socket, tls.outgoing()).await;
            let decision = server.decide(&hello, None, &asking);
            return Err(verdict::told_by(&choice, failure, (decision, record)));
        }
        Some(Ok(())) => {}
    }
    let judged = server
        .negotiated_by_hand(&hello, &choice, &shaking.tls)
        .map_err(|unfit| verdict::unfitting(unfit, record))
        .and_then(|facts| {
            let decision = server.decide(&hello, Some(&facts), &asking);
            verdict::decided(server, (&hello, facts, decision), record);
            verdict::judge(site, decision)
        });
    let stream = shaking.finish()?;
    match judged {
        Ok(()) => Ok(Box::new(stream)),
        Err(failure) => {
            let (mut socket, words) = stream.parting(failure.alert_out);
            farewell::say(&core.wheel, &mut socket, &words).await;
            Err(failure)
        }
    }
}

/// After admission: what the site does.
async fn serve(core: &Rc<Core>, admitted: Admitted, record: &mut Record) -> Result<(), Failure> {
    let Admitted {
        arrived,
        site,
        idle,
        http,
        alternative,
    } = admitted;
    let down = match (arrived, &site.service) {
        (Arrived::Spoken(down), _) => down,
        (Arrived::Passing(..), _) if record.is_turned_away() => return Err(Failure::too_many_connections()),
        (Arrived::Passing(greeted, deadline), Service::Passthrough(through)) => {
            return passthrough::pass(core, greeted, through, (record, deadline, idle)).await;
        }
        (Arrived::Passing(..), _) => {
            return Err(Failure::failed(
                Stage::Route,
                Fault::Ours,
                "a site that passes nothing through",
            ));
        }
    };
    match &site.service {
        // only what was read as a hello passes through
        Service::Passthrough(_) => Err(Failure::refused(
            Stage::Route,
            Fault::Operator,
            "no TLS to pass through",
        )),
        Service::Tcp(_) if record.is_turned_away() => Err(Failure::too_many_connections()),
        Service::Tcp(upstream) => tcp(core, (down, idle), (&site, upstream), record).await,
        Service::Http(_) => {
            let recall = Recall::of(core, down.chain(), &site, record);
            let port = || down.socket().local_address().map(|address| address.port());
            let alternative = alternative.and_then(|alternative| alternative.value(port));
            let visit = Visit::new(core, (http, Some(site)), (record, down.chain())).announcing(alternative);
            requests(recall, visit, record, async |visit| http::serve(down, visit).await).await
        }
    }
}

/// Connects, tells who asked, relays.
async fn tcp(
    core: &Core,
    (down, idle): (Downstream, Option<Duration>),
    (site, upstream): (&Site, &Upstream),
    record: &mut Record,
) -> Result<(), Failure> {
    record.reach(Stage::Connect);
    let recall = Recall::of(core, down.chain(), site, record);
    // on the heap, as the handshake before it, and the pick is held until the relay is over
    let told = record.told(down.socket().local_address());
    let (up, pick) = Box::pin(upstream.connect(core, &told)).await?;
    record.connected(&upstream.name, &pick.server.name, up.negotiated());
    core.admitted(up.socket(), record);
    record.reach(Stage::Relay);
    let idle = idle.map(|limit| Idle::new(limit, &core.wheel));
    relay((down, up), (idle, recall), &mut record.bytes, |read| core.scratch(read)).await
}

/// Request after request, as long as its client is admitted.
pub(crate) async fn requests(
    recall: Option<Recall>,
    visit: Visit,
    record: &mut Record,
    serve: impl AsyncFnOnce(Rc<Visit>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    record.reach(Stage::Request);
    let limit = record.is_turned_away().then(|| Instant::now() + limits::TURNED_AWAY);
    let visit = Rc::new(visit);
    let _told = Telling {
        visit: visit.clone(),
        record,
    };
    let mut serving = pin!(serve(visit.clone()));
    let ended = poll_fn(|cx| match recall.as_ref().map_or(Ok(()), |recall| recall.poll(cx)) {
        Ok(()) => serving.as_mut().poll(cx),
        // what is under way is cut with it, and must not look complete
        Err(failure) => Poll::Ready(Err(failure)),
    });
    let ended = visit.core.wheel.within(limit, ended).await;
    match limit {
        Some(_) => Err(Failure::too_many_connections()),
        None => visit.refused_connection().map_or(ended.unwrap_or(Ok(())), Err),
    }
}

/// Tells a record of its requests, however they end.
struct Telling<'a> {
    visit: Rc<Visit>,
    record: &'a mut Record,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.record.bytes = self.visit.bytes.get();
        self.record.requests = self.visit.requests.take();
        if let Some(site) = self.visit.led_to.take() {
            self.record.belongs_to(site);
        }
    }
}

/// A listener without TLS: its one site at once, or requests by their hosts.
async fn plain(core: &Rc<Core>, socket: Socket, listener: Arc<Listener>, record: &mut Record) -> Result<(), Failure> {
    record.reach(Stage::Route);
    let (idle, http) = (listener.plan.limits.idle, listener.http.clone());
    if listener.redirect.is_some() || listener.sites.serve_requests() {
        let redirect = listener.redirect;
        drop(listener);
        let down = Downstream::Plain(socket);
        let visit = Visit::new(core, (http, None), (record, &[])).redirecting(redirect);
        return requests(None, visit, record, async |visit| http::serve(down, visit).await).await;
    }
    let site = listener.sites.nameless().cloned();
    let site = site.ok_or_else(|| Failure::refused(Stage::Route, Fault::Operator, "no site on this listener"))?;
    record.routed(&site);
    drop(listener);
    let down = Downstream::Plain(socket);
    let admitted = Admitted {
        arrived: Arrived::Spoken(down),
        site,
        idle,
        http,
        alternative: None,
    };
    serve(core, admitted, record).await
}

async fn turn_away(core: &Core, socket: &mut Socket, failure: Failure, alert: Alert) -> NoHello {
    farewell::say(&core.wheel, socket, &alert.fatal_record()).await;
    NoHello::Failed(failure.answering(alert))
}

fn slow(stage: Stage) -> Failure {
    Failure::failed(stage, Fault::Client, "deadline passed")
}

fn deadline(record: &Record, limit: Option<Duration>) -> Option<Instant> {
    limit.map(|limit| Instant::from_std(record.began() + limit))
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl From<Failure> for NoHello {
    fn from(failure: Failure) -> NoHello {
        NoHello::Failed(failure)
    }
}
