//! One server of an upstream: where it is, how it fares, and a connection to it.
use super::{
    balance::{Standing, hash},
    stream::{Handshake, Open, Stream, TlsStream},
};
use crate::{
    core::Core,
    failure::{Failure, Stage, describe},
    listener::bind::{keepalive, spare_pacing},
    metrics::{Label, Metrics},
    plan::{Address, ServerPlan, UpstreamPlan},
    socket::Socket,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use portcullis_tls::{
    client::Client,
    failure::Fault,
    negotiated::Negotiated,
    policy::{RuleName, Stance, Verdict},
    rustls::pki_types::ServerName,
};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};
use tokio::{
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};

/// Who connects: a core, or the control thread for a check; each has timers and a scratch of its own.
#[derive(Clone, Copy)]
pub(super) enum Dialler<'a> {
    Core(&'a Core, Alpn),
    Check(&'a RefCell<Vec<u8>>),
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alpn {
    /// Whatever its upstream's plan offers.
    AsPlanned,
    /// Something that only HTTP/1.1 can do, where the plan offers both.
    Http1,
}

/// A server whose connect failed is tried last for so long: a dead one then costs one connection in a
/// while its time-out, not every one.
const REST: Duration = Duration::from_secs(5);

/// A server. Cores share it; pools of connections are kept by its [`Server::number`].
pub(crate) struct Server {
    /// Its address as it was written, for logs.
    pub(crate) name: Arc<str>,
    /// The same in every process and after every reload: for a cookie.
    pub(crate) id: Box<str>,
    /// The same as a number.
    pub(crate) number: u64,
    place: usize,
    pub(super) weight: u32,
    is_backup: bool,
    upstream: Label,
    target: Target,
    /// Connections or requests that it is busy with.
    in_flight: AtomicUsize,
    made: Instant,
    /// Milliseconds after `made` until which it rests.
    rests_until: AtomicU64,
    healthy: AtomicBool,
    tls: Option<Tls>,
    counts: Counts,
}

/// TLS towards it: replaced as a whole when files change.
struct Tls {
    upstream: Label,
    /// What its policy requires.
    required: Vec<RuleName>,
    name: ServerName<'static>,
    client: ArcSwapOption<Client>,
    /// The same for health checks, which prove the server anew each time.
    checker: ArcSwapOption<Client>,
    /// How often it was replaced.
    dressed: AtomicU64,
}

struct Counts {
    open: Gauge,
    failures: Counter,
}

enum Target {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// Resolved by the control thread, so that data cores never wait for a resolver.
    Name {
        host: String,
        port: u16,
        found: ArcSwap<Vec<SocketAddr>>,
        /// The address whose turn it is.
        next: AtomicUsize,
        /// The last look-up failed, and that was told.
        lost: AtomicBool,
    },
}

impl Server {
    pub(super) fn new(upstream: &UpstreamPlan, place: usize, metrics: &Metrics) -> Server {
        let ServerPlan {
            address,
            weight,
            is_backup,
        } = &upstream.servers[place];
        let name = address.to_string();
        let number = hash(name.as_bytes());
        let label = Label::from(upstream.name.as_str());
        Server {
            id: format!("{number:016x}").into(),
            number,
            place,
            weight: u32::from(*weight),
            is_backup: *is_backup,
            target: Target::new(address),
            in_flight: AtomicUsize::new(0),
            made: Instant::now(),
            rests_until: AtomicU64::new(0),
            healthy: AtomicBool::new(true),
            tls: Tls::of(upstream, address),
            counts: Counts {
                open: metrics.upstream_open(&label),
                failures: metrics.upstream_failures(&label),
            },
            upstream: label,
            name: name.into(),
        }
    }

    /// A connection to it by the deadline, with its TLS handshake done and judged. A failure makes it rest. What stands
    /// in `opening` goes out first of all, before TLS.
    pub(crate) async fn connect(&self, core: &Core, deadline: Instant, opening: &[u8]) -> Result<Stream, Failure> {
        self.connect_for(core, (deadline, Alpn::AsPlanned), opening).await
    }

    /// The same for something that not every protocol can do.
    pub(crate) async fn connect_for(
        &self,
        core: &Core,
        (deadline, alpn): (Instant, Alpn),
        opening: &[u8],
    ) -> Result<Stream, Failure> {
        match self.dial(Dialler::Core(core, alpn), deadline, opening).await {
            Ok(stream) => {
                self.rests_until.store(0, Relaxed);
                let facts = stream.negotiated();
                if let Some(facts) = facts {
                    core.books().metrics.upstream_handshake(&self.upstream, facts);
                }
                core.books()
                    .ledger
                    .origin(core.index, (&self.upstream, &self.name), facts);
                Ok(stream)
            }
            Err(error) => {
                self.counts.failures.inc();
                self.rest();
                tracing::debug!(
                    upstream = &*self.upstream.0,
                    server = &*self.name,
                    error,
                    "connect failed"
                );
                let error = format!("{}: {error}", self.name);
                Err(Failure::failed(Stage::Connect, Fault::Upstream, error))
            }
        }
    }

    /// Its place in the upstream's list.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Tries others first for a while.
    pub(crate) fn rest(&self) {
        let until = self.made.elapsed() + REST;
        self.rests_until.store(until.as_millis() as u64, Relaxed);
    }

    /// Whether a connection that was kept is what a new one would be: its TLS has not been replaced since.
    pub(crate) fn is_current(&self, stream: &Stream) -> bool {
        self.is_dressed_as(stream.made_as)
    }

    /// Its TLS has not been replaced since.
    pub(crate) fn is_dressed_as(&self, made_as: u64) -> bool {
        made_as == self.dressed()
    }

    pub(super) fn standing(&self) -> Standing {
        let rests_until = self.rests_until.load(Relaxed);
        if !self.healthy.load(Relaxed) {
            Standing::Unhealthy
        } else if rests_until > 0 && rests_until > self.made.elapsed().as_millis() as u64 {
            Standing::Resting
        } else if self.is_backup {
            Standing::Backup
        } else {
            Standing::Fit
        }
    }

    /// Has less to do for its weight.
    pub(super) fn is_less_busy_than(&self, other: &Server) -> bool {
        // what each would have with one more
        let load = |server: &Server| server.in_flight.load(Relaxed) as u64 + 1;
        load(self) * u64::from(other.weight) < load(other) * u64::from(self.weight)
    }

    /// What its checks say; true when that is new.
    pub(super) fn found(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Relaxed) != healthy
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// The name that it goes by in HTTP, with its port.
    pub(super) fn authority(&self) -> String {
        let Some(tls) = &self.tls else {
            return match &self.target {
                Target::Unix(_) => "localhost".into(),
                Target::Ip(_) | Target::Name { .. } => self.name.to_string(),
            };
        };
        tls.name.to_str().into_owned()
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Takes over what was learned of the same server under another configuration.
    pub(super) fn inherit(&self, before: &Server) {
        self.healthy.store(before.healthy.load(Relaxed), Relaxed);
        if let (Target::Name { found, .. }, Target::Name { found: before, .. }) = (&self.target, &before.target) {
            found.store(before.load_full());
        }
    }

    /// Connects by this client from now on, with no session of before.
    pub(super) fn dress(&self, client: &Client) {
        if let Some(tls) = &self.tls {
            tls.client.store(Some(Arc::new(client.sibling())));
            tls.checker.store(Some(Arc::new(client.checker())));
            tls.dressed.fetch_add(1, Relaxed);
        }
    }

    fn dressed(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.dressed.load(Relaxed))
    }

    /// Its name is looked up again; what cannot be resolved keeps what it had.
    pub(super) fn resolve(&self) {
        let Target::Name {
            host,
            port,
            found,
            lost,
            ..
        } = &self.target
        else {
            return;
        };
        let looked_up = (host.as_str(), *port).to_socket_addrs().map(Vec::from_iter);
        let (upstream, server) = (&*self.upstream.0, &*self.name);
        match looked_up {
            Ok(addresses) if !addresses.is_empty() => {
                if lost.swap(false, Relaxed) {
                    tracing::info!(upstream, server, "name resolved again");
                }
                if **found.load() != addresses {
                    tracing::debug!(upstream, server, addresses = ?addresses, "name resolved");
                    found.store(Arc::new(addresses));
                }
            }
            // told once, not at every look
            Ok(_) | Err(_) if lost.swap(true, Relaxed) => {}
            Ok(_) => tracing::warn!(upstream, server, error = "no address", "name not resolved"),
            Err(error) => tracing::warn!(upstream, server, error = %error, "name not resolved"),
        }
    }

    /// It is a name, and without an address so far.
    pub(super) fn lacks_address(&self) -> bool {
        matches!(&self.target, Target::Name { found, .. } if found.load().is_empty())
    }

    pub(super) fn is_name(&self) -> bool {
        matches!(self.target, Target::Name { .. })
    }

    /// A connection by the deadline, or why there is none.
    pub(super) async fn dial(&self, dialler: Dialler<'_>, deadline: Instant, opening: &[u8]) -> Result<Stream, String> {
        let dialled = self.dial_until(dialler, deadline, opening);
        let dialled = dialler.within(deadline, dialled).await;
        dialled.unwrap_or_else(|| Err("timed out".into()))
    }

    async fn dial_until(&self, dialler: Dialler<'_>, deadline: Instant, opening: &[u8]) -> Result<Stream, String> {
        let socket = self.target.connect(dialler, deadline).await;
        let mut socket = socket.map_err(|error| describe(&error).into_owned())?;
        let mut said = 0;
        while said < opening.len() {
            let more = poll_fn(|cx| socket.poll_write(cx, &opening[said..])).await;
            said += more.map_err(|error| describe(&error).into_owned())?;
        }
        let open = Open::new(&self.counts.open);
        let Some(tls) = &self.tls else {
            return Ok(Stream::plain(socket, open));
        };
        let made_as = self.dressed();
        let client = match dialler {
            Dialler::Core(_, Alpn::AsPlanned) => tls.client.load_full(),
            Dialler::Core(_, Alpn::Http1) | Dialler::Check(_) => tls.checker.load_full(),
        };
        let client = client.ok_or("tls is not ready")?;
        let stream = tls.handshake(dialler, &client, socket).await?;
        Ok(Stream::tls(stream, made_as, open))
    }
}

impl Dialler<'_> {
    async fn within<T>(self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        match self {
            Dialler::Core(core, _) => core.wheel.within(Some(deadline), future).await,
            Dialler::Check(_) => timeout_at(deadline, future).await.ok(),
        }
    }

    fn scratch(self, read: &mut dyn FnMut(&mut [u8])) {
        match self {
            Dialler::Core(core, _) => core.scratch(read),
            Dialler::Check(scratch) => read(&mut scratch.borrow_mut()),
        }
    }
}

impl Target {
    fn new(address: &Address) -> Target {
        match address {
            Address::Ip(ip) => Target::Ip(*ip),
            Address::Unix(path) => Target::Unix(path.clone()),
            Address::Name(host, port) => Target::Name {
                host: host.clone(),
                port: *port,
                found: ArcSwap::default(),
                next: AtomicUsize::new(0),
                lost: AtomicBool::new(false),
            },
        }
    }

    async fn connect(&self, dialler: Dialler<'_>, deadline: Instant) -> io::Result<Socket> {
        let (found, next) = match self {
            Target::Ip(address) => return tcp(*address).await,
            Target::Unix(path) => return UnixStream::connect(path).await.map(Socket::Unix),
            Target::Name { found, next, .. } => (found.load_full(), next.fetch_add(1, Relaxed)),
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "name not resolved");
        for tried in 0..found.len() {
            let address = found[next.wrapping_add(tried) % found.len()];
            // one that does not answer leaves time for the others
            let left = deadline.saturating_duration_since(Instant::now());
            let share = Instant::now() + left / (found.len() - tried) as u32;
            match dialler.within(share, tcp(address)).await {
                Some(Ok(socket)) => return Ok(socket),
                Some(Err(error)) => last = error,
                None => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

impl Tls {
    fn of(upstream: &UpstreamPlan, address: &Address) -> Option<Tls> {
        let plan = upstream.tls.as_ref()?;
        let name = match (&plan.server_name, address) {
            (Some(name), _) => name.clone(),
            (None, Address::Ip(address)) => address.ip().to_string(),
            (None, Address::Name(host, _)) => host.clone(),
            // refused where the configuration is read
            (None, Address::Unix(_)) => String::new(),
        };
        let is_required = |rule: &RuleName| plan.policy.stance(*rule) == Stance::Require;
        Some(Tls {
            upstream: Label::from(upstream.name.as_str()),
            required: RuleName::ALL.into_iter().filter(is_required).collect(),
            name: ServerName::try_from(name).ok()?,
            client: ArcSwapOption::empty(),
            checker: ArcSwapOption::empty(),
            dressed: AtomicU64::new(0),
        })
    }

    async fn handshake(&self, dialler: Dialler<'_>, client: &Client, socket: Socket) -> Result<TlsStream, String> {
        let connection = client.connect(self.name.clone()).map_err(|error| error.to_string())?;
        let mut handshake = Box::new(Handshake::new(socket, connection));
        let shaken = poll_fn(|cx| {
            let mut result = Poll::Pending;
            dialler.scratch(&mut |buffer| result = handshake.poll(cx, buffer));
            result
        });
        if let Err(error) = shaken.await {
            let lacks = handshake.connection.lacked_certificate();
            let hint = match lacks {
                true => "; it asked for a client certificate, and tls has none that it can verify",
                false => "",
            };
            return Err(format!("tls: {}{hint}", describe(&error)));
        }
        let chain = handshake.connection.peer_chain();
        let stream = handshake.finish().ok_or("tls: the handshake is not over")?;
        let broken = client.unmet(stream.negotiated(), &chain);
        // a check is no connection
        if let Dialler::Core(core, _) = dialler {
            for rule in self.required.iter().copied() {
                let verdict = match broken {
                    Some(broken) if broken == rule => Verdict::Refused,
                    _ => Verdict::Admitted,
                };
                core.books().metrics.upstream_policy(&self.upstream, (rule, verdict));
            }
        }
        match broken {
            None => Ok(stream),
            Some(rule) => Err(unmet(rule, stream.negotiated())),
        }
    }
}

fn unmet(rule: RuleName, facts: &Negotiated) -> String {
    let what = match rule {
        RuleName::KeyExchange => format!("the key exchange is {}", facts.key_exchange().as_str()),
        RuleName::Authentication | RuleName::ClientAuthentication => {
            format!("the server's authentication is {}", facts.authentication.as_str())
        }
    };
    format!(
        "policy requires {rule} to be quantum-safe, and {what}",
        rule = rule.as_str()
    )
}

async fn tcp(address: SocketAddr) -> io::Result<Socket> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    if address.ip().is_loopback() {
        // a peer on this machine cannot vanish without a word, which saves four system calls of keep-alive
        spare_pacing(&socket, address.ip());
    } else {
        socket.set_tcp_keepalive(&keepalive())?;
    }
    Ok(Socket::Tcp(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Balance, Opening, UpstreamHttpPlan};

    #[test]
    fn a_name_that_vanishes_keeps_its_last_addresses() {
        let plan = UpstreamPlan {
            name: "up".into(),
            // RFC 6761: no resolver may ever find it
            servers: vec![ServerPlan {
                address: Address::Name("vanished.invalid".into(), 1),
                weight: 1,
                is_backup: false,
            }],
            balance: Balance::RoundRobin,
            tls: None,
            health: None,
            opening: Opening::None,
            connect_timeout: Duration::from_secs(1),
            http: UpstreamHttpPlan::default(),
            retries: None,
        };
        let server = Server::new(&plan, 0, &Metrics::new());
        assert!(server.lacks_address());
        let Target::Name { found, lost, .. } = &server.target else {
            panic!("it is a name")
        };
        let last: Vec<SocketAddr> = vec!["192.0.2.1:1".parse().unwrap()];
        found.store(Arc::new(last.clone()));
        server.resolve();
        assert_eq!((&**found.load_full(), lost.load(Relaxed)), (&*last, true));
        // and another configuration begins with them
        let next = Server::new(&plan, 0, &Metrics::new());
        next.inherit(&server);
        assert!(!next.lacks_address());
    }
}
