//! The straight line: from an accepted socket to a relay that is over.
use crate::{
    clock,
    core::Core,
    downstream::{TlsStream, tls_failure},
    failure::{Failure, Outcome, Stage},
    farewell,
    http::{self, limits, visit::Visit},
    listener::{
        Listener,
        accept::{Accepted, Attachable, Handshaking},
        introduction::introduce,
    },
    peek::{self, NoHello, Peeked},
    plan::{HttpListenerPlan, Protocol},
    recall::Recall,
    record::{AskedForClients, Record},
    relay::{Downstream, Idle, relay},
    site::{Service, Site},
    socket::Socket,
    upstream::Upstream,
};
use portcullis_tls::{
    failure::Fault,
    negotiated::{Authentication, Negotiated},
    policy::{Decision, Refuse, RuleName, Stance},
    rustls::ServerConnection,
    server::{Asking, Choice, Refusal, Server, Unfit},
};
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
    down: Downstream,
    site: Arc<Site>,
    idle: Option<Duration>,
    http: Arc<HttpListenerPlan>,
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
    let speaks = |site: &&Arc<Site>| site.tls.is_some() && (asked_in == Protocol::Any || asked_in == site.protocol);
    let Some(site) = found.filter(speaks) else {
        let what = match found {
            Some(_) => "the site of that name does not speak the protocol in which TLS was asked for",
            None => "no site of that name",
        };
        let failure = Failure::refused(Stage::Route, Fault::Client, what);
        return Err(turn_away(core, &mut socket, failure, Alert::UNRECOGNIZED_NAME).await);
    };
    let (site, idle, http) = (site.clone(), limits.idle, listener.http.clone());
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
    let stream = handshake(core, (socket, hello, bytes), &site, (for_all, record))
        .await
        .map_err(NoHello::Failed)?;
    let down = Downstream::Tls(stream);
    Ok(Admitted { down, site, idle, http })
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
            if let Refusal::Policy(_) = refusal {
                reason(server, (&hello, None), record);
                record.decided(server.decide(&hello, None, &asking), asked(server));
            }
            return Err(refuse(&mut socket, (core, site), &hello, refusal).await);
        }
    };
    let mut tls = ServerConnection::new(choice.config.clone()).map_err(|e| tls_failure(Stage::Handshake, &e))?;
    tls.set_buffer_limit(None);
    let mut stream = Box::new(TlsStream::new(socket, tls));
    let shaken = core
        .wheel
        .within(deadline, stream.handshake(bytes, |read| core.scratch(read)))
        .await;
    record.handshake_bytes = stream.wire;
    match shaken {
        None => return Err(slow(Stage::Handshake)),
        Some(Err(failure)) => {
            let failure = noted(&choice, failure, record);
            let words = stream.last_words();
            farewell::say(&core.wheel, &mut stream.socket, &words).await;
            let decision = server.decide(&hello, None, &asking);
            return Err(told_by(&choice, failure, (decision, record)));
        }
        Some(Ok(())) => {}
    }
    let facts = server
        .negotiated(&hello, &choice, &stream.tls)
        .map_err(|unfit| unfitting(unfit, record));
    let decision = facts.map(|facts| {
        reason(server, (&hello, Some(&facts)), record);
        let decision = server.decide(&hello, Some(&facts), &asking);
        record.negotiated_as(facts);
        decision
    });
    match decision.and_then(|decision| judge(site, decision, record)) {
        Ok(()) => Ok(stream),
        Err(failure) => {
            let (mut socket, words) = stream.parting(failure.alert_out);
            farewell::say(&core.wheel, &mut socket, &words).await;
            Err(failure)
        }
    }
}

fn asked(server: &Server) -> AskedForClients {
    match server.clients() {
        Some(_) => AskedForClients::Yes,
        None => AskedForClients::No,
    }
}

/// A client that offers ML-DSA need not trust the root of our chain: who refused what must be told (SPEC 5.3).
fn noted(choice: &Choice, failure: Failure, record: &mut Record) -> Failure {
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

/// What the policy makes of what was negotiated. A page is for the requests to tell.
fn judge(site: &Site, decision: Decision, record: &mut Record) -> Result<(), Failure> {
    record.reach(Stage::Policy);
    record.decided(decision, site.tls.as_ref().map_or(AskedForClients::No, asked));
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

/// Why it is not quantum-safe, for the ledger.
fn reason(server: &Server, (hello, facts): (&Hello, Option<&Negotiated>), record: &mut Record) {
    let (key_exchange, authentication) = server.reasons(hello, facts);
    record.judgement.reason = key_exchange;
    record.judgement.authentication_reason = authentication;
}

/// A difference between rustls' facts and our reading is our fault; a client whose certificate has run out is not.
fn unfitting(unfit: Unfit, record: &mut Record) -> Failure {
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
fn told_by(choice: &Choice, failure: Failure, (decision, record): (Decision, &mut Record)) -> Failure {
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

/// After admission: what the site does.
async fn serve(core: &Rc<Core>, admitted: Admitted, record: &mut Record) -> Result<(), Failure> {
    let Admitted { down, site, idle, http } = admitted;
    match &site.service {
        Service::Tcp(_) if record.is_turned_away() => Err(Failure::too_many_connections()),
        Service::Tcp(upstream) => tcp(core, (down, idle), (&site, upstream), record).await,
        Service::Http(_) => {
            let recall = Recall::of(core, &down, &site, record);
            let visit = Visit::new(core, (http, Some(site)), (record, &down));
            requests((down, recall), visit, record).await
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
    let recall = Recall::of(core, &down, site, record);
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
async fn requests(
    (down, recall): (Downstream, Option<Recall>),
    visit: Visit,
    record: &mut Record,
) -> Result<(), Failure> {
    record.reach(Stage::Request);
    let limit = record.is_turned_away().then(|| Instant::now() + limits::TURNED_AWAY);
    let visit = Rc::new(visit);
    let _told = Telling {
        visit: visit.clone(),
        record,
    };
    let mut serving = pin!(http::serve(down, visit.clone()));
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
        let visit = Visit::new(core, (http, None), (record, &down)).redirecting(redirect);
        return requests((down, None), visit, record).await;
    }
    let site = listener.sites.nameless().cloned();
    let site = site.ok_or_else(|| Failure::refused(Stage::Route, Fault::Operator, "no site on this listener"))?;
    record.routed(&site);
    drop(listener);
    let down = Downstream::Plain(socket);
    serve(core, Admitted { down, site, idle, http }, record).await
}

/// A hello that no configuration fits: the right alert, and the reason in metrics and record.
async fn refuse(socket: &mut Socket, (core, site): (&Core, &Site), hello: &Hello, refusal: Refusal) -> Failure {
    let alert = refusal.alert();
    farewell::say(&core.wheel, socket, &alert.fatal_record()).await;
    let failure = match refusal {
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
    };
    failure.answering(alert)
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
