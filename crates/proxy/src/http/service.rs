//! The service of an http site as it runs: its routes, and what each of them does.
use super::{
    asking::{Forward, View, Way},
    record::RequestId,
    reply::Reply,
    visit::Visit,
};
use crate::{
    metrics::{Label, Requests},
    plan::{ActionPlan, HttpPlan, RoutePlan},
    upstream::Upstream,
};
use portcullis_wire::http1::{Asked, Framing, ResponseHead, is_hop_by_hop, path, write};
use std::sync::Arc;

/// What an http site does.
pub(crate) struct Service {
    /// The site's name.
    pub(crate) name: Label,
    pub(crate) requests: Arc<Requests>,
    pub(crate) routes: Vec<Route>,
}

/// A route, with its upstream at hand.
pub(crate) struct Route {
    pub(crate) plan: RoutePlan,
    pub(crate) upstream: Option<Arc<Upstream>>,
}

impl Service {
    /// What becomes of a request.
    pub(crate) fn decide(self: &Arc<Service>, visit: &Visit, view: &View<'_>, id: RequestId) -> Way {
        let Ok(path) = path::normal(view.path) else {
            return Way::Answer(Reply::error(400));
        };
        let Some(place) = self.find(&path) else {
            return Way::Answer(Reply::error(404));
        };
        let route = &self.routes[place];
        let Some(upstream) = &route.upstream else {
            return Way::Answer(Reply::error(404));
        };
        let mut head = Vec::with_capacity(1024);
        self.request_head(&mut head, view, &path);
        let _ = (visit, id);
        Way::Forward(Box::new(Forward {
            service: self.clone(),
            route: place,
            upstream: upstream.clone(),
            head,
            asked: match (view.upgrade, view.method) {
                (Some(_), _) => Asked::Upgrade,
                (None, "HEAD") => Asked::Head,
                (None, _) => Asked::Other,
            },
            is_idempotent: matches!(view.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"),
        }))
    }

    fn find(&self, _path: &str) -> Option<usize> {
        (!self.routes.is_empty()).then_some(0)
    }

    fn request_head(&self, head: &mut Vec<u8>, view: &View<'_>, path: &str) {
        head.extend_from_slice(view.method.as_bytes());
        head.push(b' ');
        head.extend_from_slice(path.as_bytes());
        if let Some(query) = view.query {
            head.push(b'?');
            head.extend_from_slice(query.as_bytes());
        }
        head.extend_from_slice(b" HTTP/1.1\r\n");
        write::field(head, "host", view.host.as_bytes());
        for field in view.fields {
            let name = field.name;
            if is_hop_by_hop(name) || view.hop.names(name) || name.eq_ignore_ascii_case("host") {
                continue;
            }
            write::field(head, name, field.value);
        }
        match view.framing {
            Framing::Chunked(_) => write::field(head, "transfer-encoding", b"chunked"),
            Framing::Empty | Framing::Length(_) | Framing::UntilClose => {}
        }
        if let Some(protocols) = view.upgrade {
            write::field(head, "connection", b"upgrade");
            write::field(head, "upgrade", protocols);
        }
        head.extend_from_slice(write::CRLF);
    }
}

impl Forward {
    /// The fields of an interim answer, as they go to the client.
    pub(crate) fn interim_fields(&self, head: &ResponseHead<'_>, put: impl FnMut(&str, &[u8])) {
        self.answer_fields(head, put);
    }

    /// The fields of an answer, as they go to the client.
    pub(crate) fn answer_fields(&self, head: &ResponseHead<'_>, mut put: impl FnMut(&str, &[u8])) {
        let is_switch = head.status == 101;
        let is_chunked = matches!(head.framing, Framing::Chunked(_));
        for field in head.fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            let ends_here = is_hop_by_hop(field.name) && !(is_switch && is("upgrade")) || head.hop.names(field.name) && !is("upgrade");
            if ends_here || is_chunked && is("content-length") {
                continue;
            }
            put(field.name, field.value);
        }
    }
}

impl Route {
    /// A route of a plan, whose upstream is one of these.
    pub(crate) fn new(plan: &RoutePlan, upstreams: &[Arc<Upstream>]) -> Route {
        let upstream = match &plan.action {
            ActionPlan::Forward { upstream, .. } => Some(upstreams[*upstream].clone()),
            ActionPlan::Redirect(_) | ActionPlan::Respond(_) => None,
        };
        Route {
            plan: plan.clone(),
            upstream,
        }
    }
}

impl Service {
    pub(crate) fn new(plan: &HttpPlan, name: Label, requests: Arc<Requests>, upstreams: &[Arc<Upstream>]) -> Service {
        let routes = plan.routes.iter().map(|route| Route::new(route, upstreams)).collect();
        Service { name, requests, routes }
    }
}
