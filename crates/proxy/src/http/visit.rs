//! A client's connection as its requests see it: what is the same for all of them.
use super::{
    answer::{Pages, Reader, name_of},
    forwarded::{Spoken, Told},
    limits,
    patience::{self, Patience},
    record::RequestId,
    reply::Reply,
};
use crate::{
    clock,
    core::Core,
    failure::{Failure, Stage},
    metrics::Label,
    plan::{ForwardPlan, HttpListenerPlan},
    record::{Bytes, Record, Requested},
    site::Site,
    upstream::Upstream,
    wheel::Alarm,
};
use portcullis_tls::{
    failure::Fault,
    negotiated::{Authentication, Negotiated},
    policy::{Able, Case, Client, Decision, Demand, Policy, RuleName, Scope, decide},
    rustls::pki_types::CertificateDer,
};
use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
};

/// One connection.
pub(crate) struct Visit {
    pub(crate) core: Rc<Core>,
    pub(crate) listener: Label,
    pub(crate) http: Arc<HttpListenerPlan>,
    /// The site that its handshake was with; none on a plain listener.
    pub(crate) site: Option<Arc<Site>>,
    pub(crate) sni: Option<Box<str>>,
    /// Everything is sent to https, at this port.
    pub(crate) redirect: Option<u16>,
    /// What its handshake came to; None on a plain listener.
    pub(crate) facts: Option<Box<Negotiated>>,
    /// What was decided on it; None on a plain listener.
    decision: Option<Decision>,
    /// Who is at its other end; None: a Unix socket.
    peer: Option<IpAddr>,
    /// What upstreams are told of it.
    pub(crate) told: Rc<Told>,
    /// What its answers say of QUIC.
    pub(crate) alternative: Option<Rc<str>>,
    /// Its listener was full when it came: it is told so, and ends.
    pub(crate) is_turned_away: bool,
    /// The id of its record.
    pub(crate) connection: u64,
    pub(crate) bytes: Cell<Bytes>,
    pub(crate) requests: RefCell<Requested>,
    /// The site of its first request, where no handshake said it.
    pub(crate) led_to: RefCell<Option<Label>>,
    /// Requests under way.
    pub(crate) under_way: Cell<usize>,
    /// Answers of which something waits for the client.
    pub(crate) held: Cell<usize>,
    /// Requests that were answered, or are being.
    pub(crate) answered: Cell<u64>,
    /// Whether it would be served as it is, and how often the world had changed then.
    judged: Cell<Option<(u64, bool)>>,
}

/// Why a request has no site here: 421.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Misdirected;

impl Visit {
    pub(crate) fn new(
        core: &Rc<Core>,
        (http, site): (Arc<HttpListenerPlan>, Option<Arc<Site>>),
        (record, chain): (&Record, &[CertificateDer<'static>]),
    ) -> Visit {
        let facts = record.negotiated();
        let chain: Vec<&[u8]> = chain.iter().map(|der| &der[..]).collect();
        let service = site.as_ref().and_then(|site| site.service.http());
        let told = Told::new(&Spoken {
            peer: record.peer().address(),
            trusted: &http.trusted_proxies,
            facts,
            chain: &chain,
            forward: service.map_or(ForwardPlan::None, |service| service.forward),
        });
        Visit {
            redirect: None,
            alternative: None,
            is_turned_away: record.is_turned_away(),
            facts: facts.map(|facts| Box::new(facts.clone())),
            decision: record.decision(),
            peer: record.peer().address(),
            told: Rc::new(told),
            core: core.clone(),
            listener: record.listener.clone(),
            http,
            site,
            sni: record.sni().map(Box::from),
            connection: record.id(),
            bytes: Cell::default(),
            requests: RefCell::default(),
            led_to: RefCell::default(),
            under_way: Cell::default(),
            held: Cell::default(),
            answered: Cell::default(),
            judged: Cell::default(),
        }
    }

    /// The site that a host leads to: with TLS, the one of the handshake or none.
    pub(crate) fn site(&self, host: &str) -> Result<Arc<Site>, Misdirected> {
        let name = name_of(host);
        match &self.site {
            Some(site) if self.is_sni(name) => Ok(site.clone()),
            Some(site) => self
                .find(name)
                .filter(|found| Arc::ptr_eq(found, site))
                .ok_or(Misdirected),
            None => self.find(name).ok_or(Misdirected),
        }
    }

    fn is_sni(&self, name: &str) -> bool {
        self.sni.as_deref().is_some_and(|sni| sni.eq_ignore_ascii_case(name))
    }

    /// By the configuration as it is now.
    fn find(&self, name: &str) -> Option<Arc<Site>> {
        let snapshot = self.core.shared.live.load();
        let here = snapshot
            .listeners
            .iter()
            .find(|listener| listener.name == self.listener)?;
        let name = name.to_ascii_lowercase();
        here.sites.find(Some(&name)).cloned()
    }

    /// The rule by which all its requests are refused, and what was decided.
    pub(crate) fn refused_by(&self) -> Option<(RuleName, Policy, Decision)> {
        let decision = self.decision?;
        let policy = self.site.as_ref()?.policy;
        Some((decision.refused_by()?, policy, decision))
    }

    /// How its connection ends where its requests were refused by a page.
    pub(crate) fn refused_connection(&self) -> Option<Failure> {
        let (rule, ..) = self.refused_by()?;
        let error = format!("policy requires {rule} to be quantum-safe; requests were answered by a page");
        Some(Failure::refused(Stage::Policy, Fault::Client, error))
    }

    /// What a route's demand comes to for it; None where there is no TLS to judge.
    pub(crate) fn judge(&self, demand: &Demand) -> Option<Decision> {
        let facts = self.facts.as_deref()?;
        let case = Case {
            scope: Scope::Request,
            able: Able {
                key_exchange: facts.key_exchange().is_quantum_safe(),
                authentication: facts.authentication == Authentication::Pq,
            },
            negotiated: Some(facts),
            client: Client {
                address: self.peer,
                sni: self.sni.as_deref(),
            },
            now: clock::unix_now(),
        };
        Some(decide(&case, std::slice::from_ref(demand)))
    }

    /// What would meet a rule here: groups, or signatures.
    pub(crate) fn needs(&self, rule: RuleName) -> Vec<String> {
        let Some(tls) = self.site.as_ref().and_then(|site| site.tls.as_ref()) else {
            return Vec::new();
        };
        match rule {
            RuleName::KeyExchange => tls.quantum_safe_groups().map(|group| group.to_string()).collect(),
            RuleName::Authentication => tls.pq_schemes().map(|scheme| scheme.to_string()).collect(),
            RuleName::ClientAuthentication => Vec::new(),
        }
    }

    /// The proxy runs on, and would still serve this connection as it does.
    pub(crate) fn is_wanted(&self) -> bool {
        if self.is_turned_away && self.answered.get() > 0 {
            return false;
        }
        let changes = self.core.quiet.changes();
        match self.judged.get() {
            Some((then, judged)) if then == changes => judged,
            _ => {
                let judged = self.would_be_served();
                self.judged.set(Some((changes, judged)));
                judged
            }
        }
    }

    fn would_be_served(&self) -> bool {
        if self.core.quiet.is_ending() {
            return false;
        }
        let snapshot = self.core.shared.live.load();
        let mut listeners = snapshot.listeners.iter();
        let here = listeners.find(|listener| listener.name == self.listener);
        let Some(here) = here.filter(|here| Arc::ptr_eq(&here.http, &self.http)) else {
            return false;
        };
        // without TLS each request is led by its host, by the configuration as it is then
        self.site.as_ref().is_none_or(|site| {
            here.sites
                .find(self.sni.as_deref())
                .is_some_and(|now| Arc::ptr_eq(now, site))
        })
    }

    /// Some request on this connection may go on in another protocol.
    pub(crate) fn takes_upgrades(&self) -> bool {
        let takes = |site: &Arc<Site>| site.service.http().is_some_and(|service| service.takes_upgrades());
        if let Some(site) = &self.site {
            return takes(site);
        }
        let snapshot = self.core.shared.live.load();
        let mut listeners = snapshot.listeners.iter();
        let here = listeners.find(|listener| listener.name == self.listener);
        here.is_some_and(|listener| listener.sites.all().any(takes))
    }

    /// How long an exchange with this upstream waits for whom; with an alarm that is there already, or its own.
    pub(crate) fn patience(&self, upstream: &Upstream, alarm: Option<Alarm>) -> Patience {
        let rate = self.http.limits.body_rate;
        let limits = patience::Limits {
            client: limits::BODY_RATE_OVER,
            least: rate * limits::BODY_RATE_OVER.as_secs(),
            first_byte: upstream.plan.http.first_byte,
            server: upstream.plan.http.idle,
        };
        Patience::new(limits, (&self.core.wheel, alarm))
    }

    /// The same, on a listener that sends everything to https.
    pub(crate) fn redirecting(self, redirect: Option<u16>) -> Visit {
        Visit { redirect, ..self }
    }

    /// The same, on a listener that is to be had over QUIC too, or was.
    pub(crate) fn announcing(self, alternative: Option<Rc<str>>) -> Visit {
        Visit { alternative, ..self }
    }

    /// An error of ours where no site is known whose pages it could be.
    pub(crate) fn error(&self, status: u16, id: RequestId) -> Reply {
        let request_id = id.to_string();
        let reader = Reader {
            accept: b"",
            request_id: &request_id,
        };
        Pages::default().error(status, reader).into()
    }
}
