//! Upstreams: which server is next, and a connection to it.
use crate::{
    failure::{Failure, Stage, describe},
    listener::bind::keepalive,
    metrics::{Label, Metrics},
    plan::{Address, UpstreamPlan},
    socket::Socket,
    wheel::Wheel,
};
use arc_swap::ArcSwap;
use portcullis_tls::failure::Fault;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::net::{TcpStream, UnixStream};

/// A server whose connect failed is tried last for so long: a dead one then costs one connection in a
/// while its time-out, not every one.
const REST: Duration = Duration::from_secs(5);

/// A named set of servers.
pub(crate) struct Upstream {
    pub(crate) name: Label,
    pub(crate) plan: UpstreamPlan,
    servers: Vec<Server>,
    next: AtomicUsize,
    made: Instant,
    open: Gauge,
    failures: Counter,
}

struct Server {
    name: Arc<str>,
    target: Target,
    /// Milliseconds after `Upstream::made` until which it rests.
    rests_until: AtomicU64,
}

enum Target {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// Resolved by the control thread, so that data cores never wait for a resolver.
    Name {
        host: String,
        port: u16,
        found: ArcSwap<Vec<SocketAddr>>,
    },
}

/// A connection to one of the servers.
pub(crate) struct Connected {
    pub(crate) socket: Socket,
    pub(crate) server: Arc<str>,
    pub(crate) open: Open,
}

/// Counts an open upstream connection until it goes.
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Upstream {
    pub(crate) fn new(plan: &UpstreamPlan, metrics: &Metrics) -> Upstream {
        let name = Label::from(plan.name.as_str());
        Upstream {
            servers: plan.servers.iter().map(Server::new).collect(),
            next: AtomicUsize::new(0),
            made: Instant::now(),
            open: metrics.upstream_open(&name),
            failures: metrics.upstream_failures(&name),
            plan: plan.clone(),
            name,
        }
    }

    /// Connects to the next server in turn, or to the first after it that answers.
    pub(crate) async fn connect(&self, wheel: &Rc<Wheel>) -> Result<Connected, Failure> {
        let first = self.next.fetch_add(1, Relaxed);
        let in_turn = || (0..self.servers.len()).map(|i| &self.servers[first.wrapping_add(i) % self.servers.len()]);
        let now = self.made.elapsed().as_millis() as u64;
        let (rested, resting): (Vec<_>, Vec<_>) = in_turn().partition(|s| s.rests_until.load(Relaxed) <= now);
        let mut problem = None;
        for server in rested.into_iter().chain(resting) {
            match server.connect(wheel, self.plan.connect_timeout).await {
                Ok(socket) => {
                    server.rests_until.store(0, Relaxed);
                    self.open.inc();
                    return Ok(Connected {
                        socket,
                        server: server.name.clone(),
                        open: Open(self.open.clone()),
                    });
                }
                Err(error) => {
                    self.failures.inc();
                    server.rests_until.store(now + REST.as_millis() as u64, Relaxed);
                    tracing::debug!(
                        upstream = &*self.name.0,
                        server = &*server.name,
                        error = &*describe(&error),
                        "connect failed"
                    );
                    problem = Some(format!("{}: {}", server.name, describe(&error)));
                }
            }
        }
        let error = problem.unwrap_or_else(|| "upstream has no server".into());
        Err(Failure::failed(Stage::Connect, Fault::Upstream, error))
    }

    /// Looks the names of its servers up again; what cannot be resolved keeps what it had.
    pub(crate) fn resolve(&self) {
        for server in &self.servers {
            let Target::Name { host, port, found } = &server.target else {
                continue;
            };
            match (host.as_str(), *port).to_socket_addrs() {
                Ok(addresses) => found.store(Arc::new(addresses.collect())),
                Err(error) => {
                    tracing::warn!(upstream = &*self.name.0, server = &*server.name, error = %error, "name not resolved");
                }
            }
        }
    }

    /// Some server is a name that needs looking up.
    pub(crate) fn has_names(&self) -> bool {
        self.servers.iter().any(|s| matches!(s.target, Target::Name { .. }))
    }
}

impl Server {
    fn new(address: &Address) -> Server {
        let (name, target) = match address {
            Address::Ip(ip) => (ip.to_string(), Target::Ip(*ip)),
            Address::Unix(path) => (format!("unix:{}", path.display()), Target::Unix(path.clone())),
            Address::Name(host, port) => {
                let found = ArcSwap::from_pointee(Vec::new());
                (
                    format!("{host}:{port}"),
                    Target::Name {
                        host: host.clone(),
                        port: *port,
                        found,
                    },
                )
            }
        };
        Server {
            name: name.into(),
            target,
            rests_until: AtomicU64::new(0),
        }
    }

    async fn connect(&self, wheel: &Rc<Wheel>, limit: Duration) -> io::Result<Socket> {
        match &self.target {
            Target::Ip(address) => tcp(wheel, *address, limit).await,
            Target::Unix(path) => {
                let connected = wheel
                    .within(Some(tokio::time::Instant::now() + limit), UnixStream::connect(path))
                    .await;
                connected
                    .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
                    .map(Socket::Unix)
            }
            Target::Name { found, .. } => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "name not resolved");
                for address in found.load_full().iter() {
                    match tcp(wheel, *address, limit).await {
                        Ok(socket) => return Ok(socket),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

async fn tcp(wheel: &Rc<Wheel>, address: SocketAddr, limit: Duration) -> io::Result<Socket> {
    let connected = wheel
        .within(Some(tokio::time::Instant::now() + limit), TcpStream::connect(address))
        .await;
    let stream = connected.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    // on this machine a peer cannot vanish without a word, and four system calls are saved
    if !address.ip().is_loopback() {
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
    }
    Ok(Socket::Tcp(stream))
}
