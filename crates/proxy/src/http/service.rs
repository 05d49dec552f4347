//! The service of an http site as it runs: its routes, and what each of them does.
use super::{
    answer::{self, Answer, Pages, Reader, Upstreams, Visited},
    asking::{Forward, View, Way},
    forbidden::Forbidden,
    forwarded::Request,
    path,
    record::{RequestId, RequestRecord},
    reply::Reply,
    route::Asked as Sought,
    routes::{Route, Routes},
    sticky::Sticky,
    visit::Visit,
};
use crate::{
    failure::{Failure, Stage},
    metrics::{Label, Metrics, Requests},
    plan::{ActionPlan, Balance, ForwardPlan, HashOn, HostPlan, HttpPlan, RespondPlan, RewritePlan, RoutePlan},
    traces::{self, Place},
    upstream::Upstream,
};
use portcullis_tls::{
    failure::Fault,
    policy::{Decision, Policy, RuleName, Scope, Stance, Verdict},
    tickets::Signer,
};
use portcullis_wire::http1::{Asked, Field, Framing, write};
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

/// What an http site does.
pub(crate) struct Service {
    /// The site's name.
    pub(crate) name: Label,
    /// The same for metrics.
    label: Label,
    pub(crate) requests: Arc<Requests>,
    /// What upstreams are told of a client's certificate.
    pub(crate) forward: ForwardPlan,
    routes: Routes,
    /// Those that its routes lead to, by their place in the plan.
    upstreams: BTreeMap<usize, Arc<Upstream>>,
    /// Signs the cookies that hold clients to servers.
    signer: Option<Arc<Signer>>,
}

/// What a service is made of, besides its plan.
pub(crate) struct Ground<'a> {
    pub(crate) name: Label,
    pub(crate) label: &'a Label,
    pub(crate) metrics: &'a Metrics,
    pub(crate) forward: ForwardPlan,
    pub(crate) pages: Pages,
    pub(crate) upstreams: &'a [Arc<Upstream>],
    pub(crate) signer: Option<Arc<Signer>>,
}

/// A request that is refused or answered here.
struct No {
    reply: Reply,
    /// None: it is answered as the operator wanted.
    failure: Option<Failure>,
}

impl Service {
    pub(crate) fn new(plan: &HttpPlan, ground: Ground<'_>) -> Service {
        let led_to = plan.routes.iter().filter_map(RoutePlan::upstream);
        Service {
            name: ground.name,
            label: ground.label.clone(),
            requests: ground.metrics.requests(ground.label),
            forward: ground.forward,
            upstreams: led_to.map(|place| (place, ground.upstreams[place].clone())).collect(),
            routes: Routes::new(plan, ground.pages, Instant::now()),
            signer: ground.signer,
        }
    }

    /// Some of what it leads to goes on in another protocol when asked.
    pub(crate) fn takes_upgrades(&self) -> bool {
        self.upstreams.values().any(|upstream| upstream.plan.takes_upgrades())
    }

    /// What becomes of a request.
    pub(crate) fn decide(self: &Arc<Service>, visit: &Visit, view: &View<'_>, record: &mut RequestRecord) -> Way {
        let asking = Asking {
            service: self,
            visit,
            view,
            id: record.id,
            trace: record.place(),
            decided: Cell::new(None),
        };
        let way = asking.way();
        record.policy = asking.decided.get();
        way.unwrap_or_else(|no| Way::Answer(no.reply, no.failure))
    }

    /// An error of ours, in the form that the client reads.
    pub(crate) fn error(&self, status: u16, accept: &[u8], id: RequestId) -> Answer {
        let request_id = id.to_string();
        let reader = Reader {
            accept,
            request_id: &request_id,
        };
        self.routes.pages.error(status, reader)
    }
}

/// A request in the making of its decision.
struct Asking<'a> {
    service: &'a Arc<Service>,
    visit: &'a Visit,
    view: &'a View<'a>,
    id: RequestId,
    /// What a policy made of it.
    decided: Cell<Option<(Policy, Decision)>>,
    trace: Option<Place>,
}

impl Asking<'_> {
    fn way(&self) -> Result<Way, No> {
        self.let_in()?;
        let view = self.view;
        let path = match view.path {
            "*" => Cow::Borrowed("*"),
            path => path::normal(path).map_err(|fault| self.no(400, Fault::Client, fault.to_string()))?,
        };
        let trusted = &self.visit.http.trusted_proxies;
        let client = self.visit.told.client(view.fields.iter().copied(), trusted);
        let route = self.admit(&path, client)?;
        self.satisfy(route)?;
        let visited = Visited {
            host: view.host,
            path: &path,
            query: view.query,
        };
        match &route.action {
            ActionPlan::Forward { upstream, rewrite } => {
                let path = rewritten(&path, route, rewrite);
                self.forward((route, &self.service.upstreams[upstream]), &path, client)
            }
            ActionPlan::Redirect(redirect) => {
                let location = answer::location(&redirect.to, visited);
                Ok(self.answer(route, Answer::redirect(redirect.status, location).into()))
            }
            ActionPlan::Respond(respond) => Ok(self.answer(route, self.respond(respond))),
        }
    }

    /// Lists, rates, and the route.
    fn admit(&self, path: &str, client: Option<IpAddr>) -> Result<&Arc<Route>, No> {
        let asked = Sought {
            method: self.view.method,
            path,
            fields: || self.view.fields.iter().copied(),
        };
        self.service
            .routes
            .admit(&asked, client, Instant::now)
            .map_err(|refusal| {
                let request_id = self.id.to_string();
                let reader = Reader {
                    accept: self.accept(),
                    request_id: &request_id,
                };
                No {
                    reply: refusal.answer(&self.service.routes.pages, reader).into(),
                    failure: Some(Failure::refused(Stage::Request, Fault::Client, refusal.why())),
                }
            })
    }

    /// Who came by a connection that is refused gets no further, whatever he asks for.
    fn let_in(&self) -> Result<(), No> {
        let Some((rule, policy, decision)) = self.visit.refused_by() else {
            return Ok(());
        };
        self.decided.set(Some((policy, decision)));
        Err(self.forbidden(rule, format!("policy requires {rule} to be quantum-safe")))
    }

    /// What the connection must have negotiated for a route.
    fn satisfy(&self, route: &Route) -> Result<(), No> {
        let Some(demand) = &route.policy else {
            return Ok(());
        };
        let required = |rule: &RuleName| demand.policy.stance(*rule) == Stance::Require;
        let Some(decision) = self.visit.judge(demand) else {
            let first = RuleName::ALL.into_iter().find(required);
            let refuse = |rule| Err(self.forbidden(rule, "the route's policy is about TLS, and there is none"));
            return first.map_or(Ok(()), refuse);
        };
        self.decided.set(Some((demand.policy, decision)));
        let metrics = &self.visit.core.books().metrics;
        for (rule, verdict) in decision.rules().into_iter().filter(|(rule, _)| required(rule)) {
            metrics.policy(&self.service.label, Scope::Request, (rule, verdict));
        }
        {
            let mut requests = self.visit.requests.borrow_mut();
            match decision.heaviest() {
                Verdict::Refused => requests.refused += 1,
                Verdict::WouldRefuse => requests.would_refuse += 1,
                Verdict::Admitted | Verdict::Exempt => {}
            }
        }
        match decision.refused_by() {
            None => Ok(()),
            Some(rule) => Err(self.forbidden(rule, format!("the route's policy requires {rule} to be quantum-safe"))),
        }
    }

    fn forbidden(&self, rule: RuleName, error: impl Into<Cow<'static, str>>) -> No {
        let request_id = self.id.to_string();
        let reader = Reader {
            accept: self.accept(),
            request_id: &request_id,
        };
        let forbidden = Forbidden {
            rule,
            needs: &self.visit.needs(rule),
            facts: self.visit.facts.as_deref(),
        };
        No {
            reply: forbidden.answer(&self.service.routes.pages, reader).into(),
            failure: Some(Failure::refused(Stage::Policy, Fault::Client, error)),
        }
    }

    fn respond(&self, respond: &RespondPlan) -> Reply {
        match respond {
            RespondPlan::Health => {
                let health = match self.service.upstreams.values().all(|upstream| upstream.is_reachable()) {
                    true => Upstreams::Ok,
                    false => Upstreams::Failed,
                };
                answer::health(health, self.visit.facts.as_deref()).into()
            }
            RespondPlan::Fixed { status, body, headers } => Reply {
                status: *status,
                fields: headers
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
                    .collect(),
                body: body.clone().into(),
            },
        }
    }

    /// An answer as the operator wanted it, with what the route adds.
    fn answer(&self, route: &Route, mut reply: Reply) -> Way {
        let names: Vec<String> = reply.fields.iter().map(|(name, _)| name.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut added = Vec::new();
        route.rules.own_response(&names, &self.visit.told, |name, value| {
            added.push((name.into(), value.into()))
        });
        reply
            .fields
            .retain(|(name, _)| !route.rules.removes_from_response(name));
        reply.fields.extend(added);
        Way::Answer(reply, None)
    }

    fn forward(
        &self,
        (route, upstream): (&Arc<Route>, &Arc<Upstream>),
        path: &str,
        client: Option<IpAddr>,
    ) -> Result<Way, No> {
        let view = self.view;
        if matches!(view.framing, Framing::Length(length) if *length > route.most_body()) {
            return Err(self.no(413, Fault::Client, "body longer than limits.body"));
        }
        let mut head = Vec::with_capacity(1024);
        let sticky = self.sticky(upstream);
        let host_ends = self.head(&mut head, (route, upstream), (path, client));
        Ok(Way::Forward(Box::new(Forward {
            service: self.service.clone(),
            told: self.visit.told.clone(),
            route: route.clone(),
            upstream: upstream.clone(),
            key: match &sticky {
                Some(sticky) => sticky.held(view.fields.iter().copied()),
                None => self.key(upstream),
            },
            sticky,
            set_cookie: RefCell::default(),
            client,
            alternative: self.visit.alternative.clone(),
            head,
            host_ends,
            accept: self.accept().to_vec(),
            asked: match (view.upgrade, view.method) {
                (_, "HEAD") => Asked::Head,
                (Some(_), _) => Asked::Upgrade,
                (None, _) => Asked::Other,
            },
            takes_trailers: self.takes_trailers(),
            is_idempotent: matches!(view.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"),
        })))
    }

    /// The request's head as it goes to a server of HTTP/1.1; where its host ends, if the server's own belongs there.
    fn head(
        &self,
        head: &mut Vec<u8>,
        (route, upstream): (&Route, &Upstream),
        (path, client): (&str, Option<IpAddr>),
    ) -> Option<usize> {
        let view = self.view;
        let host = &upstream.plan.http.host;
        head.extend_from_slice(view.method.as_bytes());
        head.push(b' ');
        head.extend_from_slice(path.as_bytes());
        if let Some(query) = view.query {
            head.push(b'?');
            head.extend_from_slice(query.as_bytes());
        }
        head.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        let host_ends = match host {
            HostPlan::Pass => {
                head.extend_from_slice(view.host.as_bytes());
                None
            }
            HostPlan::Name(name) => {
                head.extend_from_slice(name.as_bytes());
                None
            }
            HostPlan::Upstream => Some(head.len()),
        };
        head.extend_from_slice(write::CRLF);
        let request = Request {
            fields: || view.fields.iter().copied(),
            host: view.host,
            client,
        };
        let mut text = Vec::with_capacity(256);
        let put = |name: &str, value: &[u8]| {
            if !self.trace.is_some_and(|trace| trace.replaces(name)) {
                write::field(head, name, value);
            }
        };
        route
            .rules
            .request((&request, &view.hop), &self.visit.told, &mut text, put);
        if let Some(trace) = self.trace {
            write::field(head, traces::PARENT, trace.context.to_string().as_bytes());
        }
        match view.framing {
            Framing::Chunked(_) => write::field(head, "transfer-encoding", b"chunked"),
            Framing::Length(length) => {
                head.extend_from_slice(b"content-length: ");
                write::decimal(head, *length);
                head.extend_from_slice(write::CRLF);
            }
            Framing::Empty | Framing::UntilClose => {}
        }
        // the answer to HEAD has no body, and so no other protocol behind it
        if let Some(protocols) = view.upgrade.filter(|_| view.method != "HEAD") {
            write::field(head, "connection", b"upgrade");
            write::field(head, "upgrade", protocols);
        }
        head.extend_from_slice(write::CRLF);
        host_ends
    }

    /// What holds this client to a server, where its upstream wants that.
    fn sticky(&self, upstream: &Upstream) -> Option<Sticky> {
        let signer = self.service.signer.as_ref();
        let signer = signer.filter(|_| upstream.plan.balance == Balance::StickyCookie)?;
        Some(Sticky::new(upstream, self.visit.told.scheme(), signer))
    }

    /// RFC 9110 10.1.4.
    fn takes_trailers(&self) -> bool {
        let fields = self
            .view
            .fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("te"));
        let mut words = fields.flat_map(|field| field.value.split(|byte| *byte == b','));
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    }

    /// What tells this request from others, where its upstream balances by that.
    fn key(&self, upstream: &Upstream) -> Option<Box<[u8]>> {
        let Balance::Hash(on) = &upstream.plan.balance else {
            return None;
        };
        match on {
            HashOn::Source => None,
            HashOn::Header(name) => self.field(name).map(Box::from),
            HashOn::Cookie(name) => self.cookie(name).map(Box::from),
            HashOn::Uri => {
                let mut uri = self.view.path.as_bytes().to_vec();
                uri.extend_from_slice(self.view.query.unwrap_or_default().as_bytes());
                Some(uri.into())
            }
        }
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self
            .view
            .fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value)
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let is_cookie = |field: &&Field<'_>| field.name.eq_ignore_ascii_case("cookie");
        let mut pairs = self
            .view
            .fields
            .iter()
            .filter(is_cookie)
            .flat_map(|field| field.value.split(|byte| *byte == b';'));
        pairs.find_map(|pair| {
            pair.trim_ascii_start()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")
        })
    }

    /// What the client would rather read.
    fn accept(&self) -> &[u8] {
        self.field("accept").unwrap_or_default()
    }

    fn no(&self, status: u16, fault: Fault, why: impl Into<Cow<'static, str>>) -> No {
        No {
            reply: self.service.error(status, self.accept(), self.id).into(),
            failure: Some(Failure::refused(Stage::Request, fault, why)),
        }
    }
}

fn rewritten<'p>(path: &'p str, route: &Route, rewrite: &RewritePlan) -> Cow<'p, str> {
    match (rewrite, &route.prefix) {
        (RewritePlan::Keep, _) | (_, None) => Cow::Borrowed(path),
        (RewritePlan::Strip, Some(prefix)) => path::replaced(path, prefix, ""),
        (RewritePlan::Replace(with), Some(prefix)) => path::replaced(path, prefix, with),
    }
}
