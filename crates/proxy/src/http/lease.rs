//! A way to a server for one request: a connection of its own, or a place on one that many requests share.
use super::{asking::Forward, exchange::Broken, multiplex::Seat, origin::Origin};
use crate::{
    core::Core,
    failure::{Failure, Stage},
    plan::UpstreamHttp,
    upstream::{Alpn, Pick, Stream},
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::Asked;
use std::{rc::Rc, time::Duration};
use tokio::time::Instant;

/// What a request is sent over.
pub(crate) enum Lease {
    Own(Own),
    Shared(Seat),
}

/// A connection in use by one request.
pub(crate) struct Own {
    pub(crate) stream: Stream,
    pub(crate) terms: Terms,
}

/// Whose it is, and what becomes of it.
pub(crate) struct Terms {
    /// The server counts as busy as long as this lives.
    pub(crate) pick: Pick,
    /// It carried a request before.
    pub(crate) is_used: bool,
    /// How long it may rest; None: for ever.
    pub(crate) rest: Option<Duration>,
}

/// What a server may be spoken to in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Versions {
    Http1,
    /// Its TLS decides.
    ByAlpn,
    Http2,
}

/// How a request has fared among its servers.
#[derive(Default)]
pub(crate) struct Tries {
    pub(crate) tried: Vec<usize>,
    repeats: usize,
    last: Option<Broken>,
}

impl Tries {
    /// Whether another try is allowed, where it is safe.
    pub(crate) fn may_repeat(&self, forward: &Forward) -> bool {
        self.repeats < forward.upstream.plan.repeats()
    }

    /// One failed, and another follows.
    pub(crate) fn failed(&mut self, core: &Core, origin: &Origin, broken: Broken) {
        self.repeats += 1;
        // who refused a connection before this one was answered may take one by now
        self.tried.clear();
        let terms = origin.terms();
        let server = &terms.pick.server;
        if terms.is_used && broken.status != 504 {
            // a server that restarts ends all that rest at once, and the next would be one of them
            core.pool.forget(server);
        } else if !origin.is_refused() {
            server.rest();
            self.tried.push(server.place());
        }
        self.last = Some(broken);
    }

    /// No server is left: how the last that was asked failed tells more than that.
    pub(crate) fn ended(self, failure: Failure) -> Broken {
        self.last.unwrap_or(Broken { failure, status: 502 })
    }
}

impl Lease {
    /// On what terms.
    pub(crate) fn terms(&self) -> &Terms {
        match self {
            Lease::Own(own) => &own.terms,
            Lease::Shared(seat) => &seat.terms,
        }
    }
}

impl Forward {
    /// A way to a server that was not tried.
    pub(crate) async fn lease(&self, core: &Rc<Core>, tried: &mut Vec<usize>) -> Result<Lease, Failure> {
        let mut problem = None;
        while let Some(pick) = self.upstream.pick_besides(self.key(), tried) {
            let place = pick.server.place();
            self.stick_to(&pick.server);
            let terms = Terms {
                pick,
                is_used: false,
                rest: self.upstream.plan.http.idle,
            };
            match self.lease_of(core, terms).await {
                Ok(lease) => return Ok(lease),
                Err(failure) => problem = Some(failure),
            }
            tried.push(place);
        }
        Err(problem.unwrap_or_else(|| failed("upstream has no server that was not tried")))
    }

    async fn lease_of(&self, core: &Rc<Core>, mut terms: Terms) -> Result<Lease, Failure> {
        let versions = self.versions();
        if versions != Versions::Http1
            && let Some(place) = core.pool.lanes.of(&terms.pick.server).place()
        {
            terms.is_used = true;
            return Ok(Lease::Shared(place.taken(terms)));
        }
        if versions != Versions::Http2 {
            let (mut kept, server) = (None, &terms.pick.server);
            core.scratch(&mut |scratch| kept = core.pool.take(server, scratch));
            if let Some(stream) = kept.filter(|stream| server.is_current(stream)) {
                terms.is_used = true;
                return Ok(Lease::Own(Own { stream, terms }));
            }
        }
        match versions {
            Versions::Http1 => {
                let stream = Box::pin(self.connect(core, &terms)).await?;
                Ok(Lease::Own(Own { stream, terms }))
            }
            Versions::ByAlpn | Versions::Http2 => Box::pin(self.multiplexed(core, terms)).await,
        }
    }

    /// Nobody connects where a connection that is being made will do.
    async fn multiplexed(&self, core: &Rc<Core>, mut terms: Terms) -> Result<Lease, Failure> {
        let lane = core.pool.lanes.of(&terms.pick.server);
        let turn = lane.turn().await?;
        if let Some(place) = lane.place() {
            terms.is_used = true;
            return Ok(Lease::Shared(place.taken(terms)));
        }
        // a server that speaks HTTP/1.1 is connected to by all at once
        let turn = turn.filter(|_| !lane.speaks_one());
        let made = match self.connect(core, &terms).await {
            Ok(stream) => self.made(core, (stream, terms)).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &made {
            lane.note(failure);
        }
        drop(turn);
        made
    }

    /// What was agreed upon with the server decides.
    async fn made(&self, core: &Rc<Core>, (stream, terms): (Stream, Terms)) -> Result<Lease, Failure> {
        let lane = core.pool.lanes.of(&terms.pick.server);
        let agreed = stream.negotiated().and_then(|facts| facts.alpn.as_deref());
        let is_two = agreed == Some(b"h2") || (stream.negotiated().is_none() && self.versions() == Versions::Http2);
        let server = terms.pick.server.clone();
        if is_two {
            let deadline = Instant::now() + self.upstream.plan.connect_timeout;
            let opened = core.wheel.within(Some(deadline), lane.open(core, stream, terms)).await;
            let timed_out = || Err(failed("HTTP/2: no SETTINGS in timeouts.connect"));
            let opened = opened.unwrap_or_else(timed_out);
            if opened.is_err() {
                server.rest();
            }
            return opened.map(Lease::Shared);
        }
        if self.versions() == Versions::Http2 {
            server.rest();
            let error = format!("{}: it did not agree to HTTP/2 (ALPN)", server.name);
            return Err(Failure::failed(Stage::Connect, Fault::Upstream, error));
        }
        lane.found_one();
        Ok(Lease::Own(Own { stream, terms }))
    }

    async fn connect(&self, core: &Rc<Core>, terms: &Terms) -> Result<Stream, Failure> {
        let alpn = match (self.versions(), self.upstream.plan.http.http) {
            (Versions::Http1, UpstreamHttp::Auto) => Alpn::Http1,
            _ => Alpn::AsPlanned,
        };
        let deadline = Instant::now() + self.upstream.plan.connect_timeout;
        terms.pick.server.connect_for(core, (deadline, alpn), &[]).await
    }

    fn versions(&self) -> Versions {
        let plan = &self.upstream.plan;
        match (plan.http.http, &plan.tls) {
            (UpstreamHttp::Http1, _) | (UpstreamHttp::Auto, None) => Versions::Http1,
            // only HTTP/1.1 goes on in another protocol
            (UpstreamHttp::Auto, Some(_)) if self.asked == Asked::Upgrade => Versions::Http1,
            (UpstreamHttp::Auto, Some(_)) => Versions::ByAlpn,
            (UpstreamHttp::Http2 | UpstreamHttp::H2c, _) => Versions::Http2,
        }
    }
}

fn failed(what: &'static str) -> Failure {
    Failure::failed(Stage::Connect, Fault::Upstream, what)
}
