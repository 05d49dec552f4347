//! What a configuration says of requests: routes, what is done with them, and what is set, taken and counted.
use super::{Address, Demand, IpNet, PathBuf};
use std::{collections::BTreeMap, time::Duration};

/// What stands behind a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServicePlan {
    /// Bytes go to one upstream, by its index.
    Tcp(usize),
    /// Requests go by routes.
    Http(Box<HttpPlan>),
}

impl ServicePlan {
    /// Indices of every upstream it leads to, in file order, each as often as it is named.
    pub fn upstreams(&self) -> impl Iterator<Item = usize> {
        let (one, routes) = match self {
            ServicePlan::Tcp(upstream) => (Some(*upstream), [].as_slice()),
            ServicePlan::Http(http) => (None, http.routes.as_slice()),
        };
        one.into_iter().chain(routes.iter().filter_map(RoutePlan::upstream))
    }

    /// The same, to be told anew: every place where an upstream stands.
    pub(crate) fn upstreams_mut(&mut self) -> impl Iterator<Item = &mut usize> {
        let (one, routes) = match self {
            ServicePlan::Tcp(upstream) => (Some(upstream), [].as_mut_slice()),
            ServicePlan::Http(http) => (None, http.routes.as_mut_slice()),
        };
        one.into_iter()
            .chain(routes.iter_mut().filter_map(|route| match &mut route.action {
                ActionPlan::Forward { upstream, .. } => Some(upstream),
                ActionPlan::Redirect(_) | ActionPlan::Respond(_) => None,
            }))
    }

    /// What its routes demand.
    pub fn demands(&self) -> impl Iterator<Item = &Demand> {
        let routes = match self {
            ServicePlan::Tcp(_) => [].as_slice(),
            ServicePlan::Http(http) => http.routes.as_slice(),
        };
        routes.iter().filter_map(|route| route.policy.as_ref())
    }

    /// Files in place of our own pages, by status.
    pub fn pages(&self) -> impl Iterator<Item = (u16, &PathBuf)> {
        let errors = match self {
            ServicePlan::Tcp(_) => None,
            ServicePlan::Http(http) => Some(&http.errors),
        };
        errors.into_iter().flatten().map(|(status, file)| (*status, file))
    }
}

/// The service of an http site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpPlan {
    /// In file order.
    pub routes: Vec<RoutePlan>,
    /// Who may ask for anything here.
    pub access: AccessPlan,
    /// Requests a second for the whole site, counted once whatever the route; None: as many as come.
    pub rate: Option<RatePlan>,
    /// Files in place of our own pages, by status.
    pub errors: BTreeMap<u16, PathBuf>,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoutePlan {
    /// Which requests are its own.
    pub condition: ConditionPlan,
    /// What is done with them.
    pub action: ActionPlan,
    /// What is done to their fields and to those of the answers.
    pub headers: HeadersPlan,
    /// What they must have negotiated beyond what the site demands.
    pub policy: Option<Demand>,
    /// Most bytes of a request's body; None: any.
    pub body: Option<u64>,
    /// Requests a second, beside the site's; None: as many as come.
    pub rate: Option<RatePlan>,
    /// Who may ask, beside the site's lists.
    pub access: AccessPlan,
}

impl RoutePlan {
    /// Index of the upstream it leads to.
    pub fn upstream(&self) -> Option<usize> {
        match self.action {
            ActionPlan::Forward { upstream, .. } => Some(upstream),
            ActionPlan::Redirect(_) | ActionPlan::Respond(_) => None,
        }
    }
}

/// Which requests a route takes: those that meet all of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConditionPlan {
    /// Of the path in its normal form.
    pub path: PathPlan,
    /// Any of these, sorted; empty: every method.
    pub methods: Vec<String>,
    /// All of these, by name.
    pub fields: BTreeMap<String, FieldPlan>,
}

/// A condition on a path.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PathPlan {
    /// Every path; it comes after all others.
    Any,
    /// Exactly this.
    Exact(String),
    /// What begins with it, in whole segments: `/api` takes `/api` and `/api/x`, `/api/` takes `/api/x` alone.
    Prefix(String),
    /// What this expression finds somewhere in it; it is known to compile.
    Regex(String),
}

impl PathPlan {
    /// The prefix, where that is the condition.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            PathPlan::Prefix(prefix) => Some(prefix),
            PathPlan::Any | PathPlan::Exact(_) | PathPlan::Regex(_) => None,
        }
    }
}

/// A condition on a field.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FieldPlan {
    /// There, whatever its value.
    Present,
    /// Not there.
    Absent,
    /// One of its lines is exactly this.
    Is(String),
}

/// What a route does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActionPlan {
    /// Sends the request on.
    Forward {
        /// Index of the upstream.
        upstream: usize,
        /// What becomes of the prefix.
        rewrite: RewritePlan,
    },
    /// Sends the client elsewhere.
    Redirect(RedirectPlan),
    /// Answers by itself.
    Respond(RespondPlan),
}

/// What becomes of the route's prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RewritePlan {
    /// It stays.
    Keep,
    /// It is cut off.
    Strip,
    /// Another takes its place.
    Replace(String),
}

/// A redirect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedirectPlan {
    /// Where to, in pieces.
    pub to: Vec<Piece>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A piece of a redirect's target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// As it is written.
    Text(String),
    /// `{host}`: the name that was asked for, without a port.
    Host,
    /// `{path}`: the path in its normal form.
    Path,
    /// `{query}`: the query with its question mark, or nothing.
    Query,
}

/// An answer of our own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RespondPlan {
    /// How proxy and upstreams are, and what this connection negotiated.
    Health,
    /// The same for everyone.
    Fixed {
        /// 200 to 599.
        status: u16,
        /// May be empty.
        body: String,
        /// Its fields, the content type among them.
        headers: Vec<(String, String)>,
    },
}

/// What is done to fields.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeadersPlan {
    /// Of requests, on their way up.
    pub request: EditsPlan,
    /// Of answers, on their way down.
    pub response: EditsPlan,
    /// Fields that browsers obey are added where the upstream's answer has none of its own.
    pub security: bool,
}

/// Edits of fields, in this order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EditsPlan {
    /// Every line of these names goes.
    pub remove: Vec<String>,
    /// One line in place of all.
    pub set: Vec<(String, String)>,
    /// One more line.
    pub add: Vec<(String, String)>,
}

/// Who may ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccessPlan {
    /// Only these; empty: everyone.
    pub allow: Vec<IpNet>,
    /// Not these, even where they are allowed.
    pub deny: Vec<IpNet>,
}

/// Requests a second.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RatePlan {
    /// Whose requests are counted together.
    pub per: RatePer,
    /// Requests a second in the long run.
    pub rate: u32,
    /// Requests at once.
    pub burst: u32,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RatePer {
    /// Those of an address, /64 for IPv6.
    Ip,
    /// All that come.
    Site,
}

/// What a listener says of its http sites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpListenerPlan {
    /// The same sites over QUIC, on the same addresses.
    pub http3: bool,
    /// The port that the world sees, in redirects and Alt-Svc; None: the one that is listened on.
    pub public_port: Option<u16>,
    /// Plain HTTP here is sent to https.
    pub redirect_from: Vec<Address>,
    /// Whose forwarded fields are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Its limits.
    pub limits: HttpLimits,
}

/// Limits on requests that can be set; `http::limits` has those that cannot, and every default with its reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpLimits {
    /// From a head's first byte to its last.
    pub head: Option<Duration>,
    /// Bytes of a head: request line and fields.
    pub head_size: usize,
    /// Fields of a head.
    pub fields: usize,
    /// Bytes a second that a body must keep up, either way; 0: off.
    pub body_rate: u64,
    /// Requests of one connection at once (HTTP/2).
    pub streams: u32,
    /// A connection between requests ends; None: never.
    pub idle: Option<Duration>,
    /// A WebSocket or another upgrade without a byte either way ends; None: never.
    pub upgrade_idle: Option<Duration>,
}

/// What is sent of a client's certificate to the upstreams of http sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForwardPlan {
    /// `Portcullis-Client`: who it is.
    Identity,
    /// `Client-Cert` (RFC 9440).
    Cert,
    /// `Client-Cert` and `Client-Cert-Chain`.
    Chain,
    /// Nothing.
    None,
}

/// What HTTP is spoken with an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpstreamHttp {
    /// HTTP/2 where TLS negotiates it, else 1.1.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
    /// HTTP/2 in the clear.
    H2c,
}

/// The host that an upstream is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostPlan {
    /// What the client asked for.
    Pass,
    /// The server's own address.
    Upstream,
    /// This one.
    Name(String),
}

/// What requests to an upstream are like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamHttpPlan {
    /// The version.
    pub http: UpstreamHttp,
    /// The host it is asked for.
    pub host: HostPlan,
    /// From a request's last byte to the answer's first; None: for ever.
    pub first_byte: Option<Duration>,
    /// Between two bytes of an answer, and how long a connection is kept for the next request; None: for ever.
    pub idle: Option<Duration>,
}

impl Default for UpstreamHttpPlan {
    /// What is not written.
    fn default() -> UpstreamHttpPlan {
        // reports and exports take longer than a page; past a minute a browser's user has gone (SPEC 4)
        let minute = Some(Duration::from_secs(60));
        UpstreamHttpPlan {
            http: UpstreamHttp::Auto,
            host: HostPlan::Pass,
            first_byte: minute,
            idle: minute,
        }
    }
}
