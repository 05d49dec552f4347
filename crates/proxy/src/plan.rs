//! What a configuration means: typed, comparable, and without any I/O.
use ipnet::IpNet;
use portcullis_tls::{
    client_identity::Lists,
    policy::{Demand, Demands, Policy, Stance},
    profile::{Profile, Settings},
    server::{ClientAuthMode, ExpiredLists},
};
use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

mod http;

pub use http::{
    AccessPlan, ActionPlan, ConditionPlan, EditsPlan, FieldPlan, ForwardPlan, HeadersPlan, HostPlan, HttpLimits,
    HttpListenerPlan, HttpPlan, PathPlan, Piece, RatePer, RatePlan, RedirectPlan, RespondPlan, RewritePlan, RoutePlan,
    ServicePlan, UpstreamHttp, UpstreamHttpPlan,
};

/// Everything a configuration says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Event loops; None: one per core.
    pub workers: Option<usize>,
    /// Where lines go and which.
    pub log: LogPlan,
    /// File for the secrets of every connection, reopened on SIGUSR1; None: they stay secret.
    pub key_log: Option<PathBuf>,
    /// The admin listener; None: off.
    pub admin: Option<AdminPlan>,
    /// The metrics listener.
    pub metrics: MetricsPlan,
    /// Who negotiated what.
    pub ledger: LedgerPlan,
    /// Traces for OpenTelemetry; None: off.
    pub traces: Option<TracesPlan>,
    /// How it ends.
    pub shutdown: ShutdownPlan,
    /// Reload when the configuration's file changes; what it names is always watched.
    pub watch: bool,
    /// Listeners in file order.
    pub listeners: Vec<ListenerPlan>,
    /// Sites in file order.
    pub sites: Vec<SitePlan>,
    /// Upstreams in file order.
    pub upstreams: Vec<UpstreamPlan>,
}

/// Severity of a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// We failed.
    Error,
    /// The operator should act.
    Warn,
    /// Lifecycle and access.
    Info,
    /// A connection's story.
    Debug,
}

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// A line for each request and none for connections, as Apache's `common`; events are for people.
    Common,
    /// The same with referrer and user agent.
    Combined,
}

/// What of a query access lines tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogQuery {
    /// All of it.
    Keep,
    /// The names of its parameters.
    Names,
    /// Nothing, not even that there was one.
    Drop,
}

/// Where access lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// A file, reopened on SIGUSR1.
    File(PathBuf),
}

/// Logging.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogPlan {
    /// Least severe level written.
    pub level: LogLevel,
    /// Form of the lines.
    pub format: LogFormat,
    /// What they tell of queries.
    pub query: LogQuery,
    /// Access lines.
    pub access: AccessLog,
}

/// An address to listen on or to connect to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// IP and port.
    Ip(SocketAddr),
    /// A host name and port, resolved by the control thread (targets only).
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The admin listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminPlan {
    /// Where.
    pub listen: Address,
    /// File with the bearer token, needed on an address, not on a Unix socket.
    pub token_file: Option<PathBuf>,
    /// Nobody named it: it may be missing.
    pub is_default: bool,
}

/// Metrics: how many site names become labels, and a listener of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricsPlan {
    /// Where; None: only on the admin listener.
    pub listen: Option<SocketAddr>,
    /// Sites beyond this number share the label `other`.
    pub sites: usize,
}

/// The record of who negotiated what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LedgerPlan {
    /// Its file; None: it is kept in memory, and smaller.
    pub path: Option<PathBuf>,
    /// How long buckets of it are kept; None: as long as it has room.
    pub keep: Option<Duration>,
    /// What it keeps of clients' addresses.
    pub addresses: LedgerAddresses,
}

/// What the ledger keeps of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LedgerAddresses {
    /// Its network, /24 or /48.
    #[default]
    Prefix,
    /// A hash under a key that stands in the ledger; of IPv6, of its /64.
    Hash,
    /// All of it.
    Full,
    /// Nothing.
    None,
}

impl LedgerAddresses {
    /// Each of them, by its number.
    pub const ALL: [LedgerAddresses; 4] = [
        LedgerAddresses::Prefix,
        LedgerAddresses::Hash,
        LedgerAddresses::Full,
        LedgerAddresses::None,
    ];
}

/// Traces: where spans go, and of how many requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracesPlan {
    /// Host and port of the collector, which speaks OTLP over plain HTTP.
    pub authority: String,
    /// Where on it.
    pub path: String,
    /// Of a million requests that belong to no trace yet, so many begin one.
    pub per_million: u32,
    /// `service.name`
    pub service: String,
}

impl fmt::Display for TracesPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// How it ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShutdownPlan {
    /// /readyz fails, accepting goes on.
    pub delay: Duration,
    /// What runs may finish.
    pub grace: Duration,
}

/// What a listener does with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Terminates TLS and relays bytes.
    Tcp,
    /// Terminates TLS and serves requests.
    Http,
}

impl Mode {
    /// `tcp`
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        }
    }
}

/// A listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerPlan {
    /// Its name, for logs and labels.
    pub name: String,
    /// Its addresses.
    pub listen: Vec<Address>,
    /// The mode of its sites that say none.
    pub mode: Mode,
    /// What concerns its http sites.
    pub http: HttpListenerPlan,
    /// No TLS in.
    pub plain: bool,
    /// Its limits.
    pub limits: Limits,
    /// Who is turned away at accept.
    pub deny: Vec<IpNet>,
    /// Who begins with a PROXY protocol header.
    pub proxy_protocol: Vec<IpNet>,
    /// What it demands, whatever its sites do.
    pub policy: Option<Demand>,
}

/// A listener's limits; 0 and None are off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections open at once; None: half the file limit.
    pub connections: Option<usize>,
    /// Connections per address (/64 for IPv6); 0: off.
    pub per_ip: usize,
    /// New handshakes a second; 0: off.
    pub handshakes_per_second: usize,
    /// From accept until the hello is whole.
    pub hello: Option<Duration>,
    /// From accept until the handshake ends.
    pub handshake: Option<Duration>,
    /// A tcp connection without a byte either way ends; None: never.
    pub idle: Option<Duration>,
}

/// What a tcp site's clients speak before TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// Nothing: TLS at once.
    #[default]
    Any,
    /// PostgreSQL's request for TLS in the clear, or TLS at once.
    Postgres,
}

impl Protocol {
    /// `any` or `postgres`
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Any => "any",
            Protocol::Postgres => "postgres",
        }
    }
}

/// A site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SitePlan {
    /// Its name, for logs and labels.
    pub name: String,
    /// What its data is, for the ledger and its report; empty: nothing was said.
    pub label: String,
    /// SNI names, lower case: exact or `*.rest`; empty: the default site.
    pub names: Vec<String>,
    /// Indices of its listeners.
    pub listeners: Vec<usize>,
    /// Its certificates, in the operator's order.
    pub certificates: Certificates,
    /// To whom each of them is offered, in the same order; no networks: to everyone.
    pub audiences: Vec<Vec<IpNet>>,
    /// The profile's word, for people.
    pub profile: Profile,
    /// TLS settings.
    pub tls: Settings,
    /// Application protocols (ALPN), most wanted first; empty: what clients offer is ignored.
    pub alpn: Vec<String>,
    /// What comes before TLS.
    pub protocol: Protocol,
    /// How sessions are resumed.
    pub resumption: ResumptionPlan,
    /// Client certificates; None: not asked for.
    pub client_auth: Option<ClientAuthPlan>,
    /// What it demands itself.
    pub policy: Demand,
    /// What is behind it.
    pub service: ServicePlan,
}

impl SitePlan {
    /// All that is demanded of its connections on a listener.
    pub fn demands_on(&self, listener: &ListenerPlan) -> Demands {
        let each = listener.policy.iter().chain(Some(&self.policy));
        Demands {
            each: each.cloned().collect(),
            routes_require: self
                .service
                .demands()
                .any(|route| route.policy.key_exchange == Stance::Require),
        }
    }
}

/// Resumption of a site's sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResumptionPlan {
    /// TLS 1.3 tickets after a handshake; none turns resumption off.
    pub tickets: usize,
    /// How long a session may be resumed.
    pub lifetime: Duration,
    /// Sessions kept in this process, of those that are not in tickets.
    pub cache: usize,
    /// File with the secret that other instances know too.
    pub secret_file: Option<PathBuf>,
}

/// Where a site's certificates come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Certificates {
    /// Files, in order.
    Files(Vec<CertificateFiles>),
    /// Made in memory at start: ML-DSA-65 and ECDSA P-256.
    SelfSigned,
    /// A plain listener's site needs none.
    None,
}

/// A chain and its key; both may be one file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// A file with the passphrase of an encrypted key.
    pub passphrase: Option<PathBuf>,
}

/// Client certificates of a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientAuthPlan {
    /// Whether one must come.
    pub mode: ClientAuthMode,
    /// File of trusted certificates.
    pub ca: PathBuf,
    /// Files of revocation lists.
    pub crl: Vec<PathBuf>,
    /// What an expired one means.
    pub crl_expired: ExpiredLists,
    /// Who of those that the CA vouches for may enter.
    pub lists: Lists,
    /// `optional` admits who shows no certificate even where only some are allowed.
    pub anonymous: bool,
    /// What the upstreams of an http site are told of it.
    pub forward: ForwardPlan,
}

/// An upstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamPlan {
    /// Its name.
    pub name: String,
    /// Its servers; a failed connect tries another.
    pub servers: Vec<ServerPlan>,
    /// How they take turns.
    pub balance: Balance,
    /// TLS towards them; None: bytes go in the clear.
    pub tls: Option<OriginTls>,
    /// How their health is asked for; None: only connects tell.
    pub health: Option<HealthPlan>,
    /// What servers are told of the connection before its bytes.
    pub opening: Opening,
    /// For one connect, the TLS handshake included.
    pub connect_timeout: Duration,
    /// What requests to it are like.
    pub http: UpstreamHttpPlan,
    /// Other servers tried when a connect fails, and how often a request that is safe to repeat is sent again; None:
    /// all servers, and [`UpstreamPlan::REPEATS`].
    pub retries: Option<usize>,
}

impl UpstreamPlan {
    /// One for a connection that went stale, one for a server that just died.
    pub const REPEATS: usize = 2;

    /// Whether HTTP/1.1 may be spoken with it, which alone goes on in another protocol.
    pub fn takes_upgrades(&self) -> bool {
        matches!(self.http.http, UpstreamHttp::Auto | UpstreamHttp::Http1)
    }

    /// How often a request that is safe to repeat is sent again.
    pub fn repeats(&self) -> usize {
        self.retries.unwrap_or(UpstreamPlan::REPEATS)
    }
}

/// What a server is told before the first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Nothing.
    None,
    /// A PROXY protocol header of version 2.
    ProxyV2,
}

/// A server of an upstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerPlan {
    /// Where it is.
    pub address: Address,
    /// Its share of the turns.
    pub weight: u16,
    /// Only for when no other is fit.
    pub is_backup: bool,
}

/// How servers take turns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The less busy of two drawn at random.
    Random,
    /// The least busy for its weight.
    LeastConnections,
    /// The same server for the same key, consistently.
    Hash(HashOn),
    /// The server that a signed cookie names; without one, in turn.
    StickyCookie,
}

/// What a hash is taken of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HashOn {
    /// The client's address.
    Source,
    /// A header of the request.
    Header(String),
    /// A cookie of the request.
    Cookie(String),
    /// The path and query of the request.
    Uri,
}

/// TLS towards an upstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OriginTls {
    /// The name to ask for and to check; None: the host of each server's address.
    pub server_name: Option<String>,
    /// File of trusted certificates; None: the system's.
    pub ca: Option<PathBuf>,
    /// What to show a server that asks, in order.
    pub certificates: Vec<CertificateFiles>,
    /// Versions, groups, suites, signatures.
    pub settings: Settings,
    /// What a server must come to.
    pub policy: Policy,
    /// Application protocols, most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// Sessions kept of each server; 0: none is resumed.
    pub sessions: usize,
}

/// How the health of servers is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HealthPlan {
    /// What to get by HTTP; None: a connection, with its TLS handshake, is enough.
    pub path: Option<String>,
    /// From one check to the next.
    pub interval: Duration,
    /// For one check.
    pub timeout: Duration,
    /// Good checks in a row that make a server healthy again.
    pub healthy: usize,
    /// Bad checks in a row that make it unhealthy.
    pub unhealthy: usize,
    /// The status codes of a good answer; empty: 200 to 399.
    pub status: Vec<u16>,
}
