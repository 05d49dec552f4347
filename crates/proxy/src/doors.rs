//! The addresses that are listened on: bound before a configuration is switched to, closed after their queues
//! are empty.
use crate::{
    core::{ListenSocket, Order, Shared},
    listener::bind::{Bound, Probe, bind, bind_both, datagrams},
    plan::Address,
    quic::socket::Group,
    snapshot::{Door, Snapshot},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};
use tokio::sync::oneshot;

/// All open doors.
#[derive(Default)]
pub(crate) struct Doors {
    open: HashMap<Door, Open>,
    /// Those of them that take QUIC, and those that did and have connections still.
    quic: HashMap<Door, Quic>,
}

/// Sockets for QUIC. A connection ends with its socket, so they outlive what the configuration says.
struct Quic {
    listener: String,
    address: SocketAddr,
    group: Arc<Group>,
    cores: usize,
    is_wanted: bool,
}

/// An open door: where it really is, and the cores that listen on it.
struct Open {
    listener: String,
    address: Option<SocketAddr>,
    cores: usize,
}

/// What a door is to have besides connections of streams.
#[derive(Clone, Copy)]
enum Wish {
    Quic,
}

type Unlistened = (Option<Bound>, Option<(Vec<UdpSocket>, SocketAddr)>);

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
pub struct AddressError {
    /// Which.
    pub address: String,
    /// Why.
    pub error: io::Error,
}

/// Doors that are bound but not yet listened on.
pub(crate) struct Fresh(Vec<FreshDoor>);

struct FreshDoor {
    door: Door,
    listener: String,
    bound: Option<Bound>,
    /// Sockets for QUIC, and where they are.
    quic: Option<(Vec<UdpSocket>, SocketAddr)>,
}

impl Doors {
    /// Binds what a snapshot needs and is not open yet: all of it or nothing.
    pub(crate) fn bind(&self, snapshot: &Snapshot, cores: usize) -> Result<Fresh, AddressError> {
        let mut fresh = Vec::new();
        for (door, listener) in snapshot.doors() {
            let wants_quic = listener.quic.is_some() && !self.quic.contains_key(door);
            let bound = self.bind_door(door, cores, wants_quic.then_some(Wish::Quic));
            let (bound, quic) = bound.map_err(|error| AddressError {
                address: door.to_string(),
                error,
            })?;
            fresh.push(FreshDoor {
                door: door.clone(),
                listener: listener.name.0.to_string(),
                bound,
                quic,
            });
        }
        Ok(Fresh(fresh))
    }

    /// What of a door is not open yet.
    fn bind_door(&self, door: &Door, cores: usize, wish: Option<Wish>) -> io::Result<Unlistened> {
        let known = self.open.get(door).map(|open| open.address);
        match (known, &door.address, wish) {
            (Some(Some(really)), _, Some(Wish::Quic)) => {
                let sockets = datagrams(really, cores, self.quic_probe(door))?;
                Ok((None, Some((sockets, really))))
            }
            (Some(_), ..) => Ok((None, None)),
            (None, Address::Ip(address), Some(Wish::Quic)) => {
                let probes = (self.probe(door), self.quic_probe(door));
                let (bound, sockets, really) = bind_both(*address, cores, probes)?;
                Ok((Some(bound), Some((sockets, really))))
            }
            // where QUIC stayed, on a port that the kernel chose
            (None, Address::Ip(_), None) if self.quic.contains_key(door) => {
                let address = Address::Ip(self.quic[door].address);
                Ok((Some(bind(&address, cores, self.probe(door))?), None))
            }
            (None, address, _) => Ok((Some(bind(address, cores, self.probe(door))?), None)),
        }
    }

    /// Closes what a snapshot no longer has, once its queue is empty.
    pub(crate) async fn close_others(&mut self, shared: &Shared, snapshot: &Snapshot) {
        let gone: Vec<Door> = self
            .open
            .keys()
            .filter(|door| snapshot.listener(door).is_none())
            .cloned()
            .collect();
        for door in gone {
            self.close(shared, &door).await;
        }
        for (door, quic) in &mut self.quic {
            quic.is_wanted = snapshot.listener(door).is_some_and(|listener| listener.quic.is_some());
        }
        for (door, listener) in snapshot.doors() {
            if let Entry::Occupied(mut open) = self.open.entry(door.clone()) {
                open.get_mut().listener = listener.name.0.to_string();
            }
        }
    }

    /// Closes what took QUIC and does no longer, once nobody is there.
    pub(crate) async fn close_idle(&mut self, shared: &Shared) {
        let each = self.quic.extract_if(|_, quic| !quic.is_wanted && quic.group.is_idle());
        let gone: Vec<_> = each.collect();
        for (door, quic) in gone {
            everywhere(shared, quic.cores, |done| Order::Unquic(door.clone(), done)).await;
            tracing::info!(listener = quic.listener, address = %quic.address, "closed for QUIC");
        }
    }

    /// Closes everything; what takes QUIC lets nobody in any more, and goes with its core.
    pub(crate) async fn close_all(&mut self, shared: &Shared) {
        let all: Vec<Door> = self.open.keys().cloned().collect();
        for door in all {
            self.close(shared, &door).await;
        }
    }

    /// Starts listening on what was bound.
    pub(crate) fn listen(&mut self, shared: &Shared, fresh: Fresh) {
        for fresh in fresh.0 {
            let FreshDoor {
                door,
                listener,
                bound,
                quic,
            } = fresh;
            if let Some(quic) = quic {
                self.listen_quic(shared, (&door, &listener), quic);
            }
            let Some(bound) = bound else { continue };
            let open = match bound {
                Bound::Tcp(sockets, address) => {
                    tracing::info!(listener, address = %address, "listening");
                    let cores = sockets.len();
                    for (core, socket) in sockets.into_iter().enumerate() {
                        shared.order(core, Order::Listen(door.clone(), ListenSocket::Tcp(socket)));
                    }
                    Open {
                        listener,
                        address: Some(address),
                        cores,
                    }
                }
                Bound::Unix(socket) => {
                    tracing::info!(listener, address = %door, "listening");
                    shared.order(0, Order::Listen(door.clone(), ListenSocket::Unix(socket)));
                    Open {
                        listener,
                        address: None,
                        cores: 1,
                    }
                }
            };
            self.open.insert(door, open);
        }
    }

    fn listen_quic(
        &mut self,
        shared: &Shared,
        (door, listener): (&Door, &str),
        (sockets, address): (Vec<UdpSocket>, SocketAddr),
    ) {
        tracing::info!(listener, address = %address, "listening for QUIC");
        let (cores, dropped) = (sockets.len(), &shared.books.metrics.quic_dropped);
        let group = Group::new(&shared.quic.ids, cores, dropped);
        for (core, socket) in sockets.into_iter().enumerate() {
            shared.order(core, Order::Quic(door.clone(), group.clone(), socket));
        }
        let quic = Quic {
            listener: listener.to_owned(),
            address,
            group,
            cores,
            is_wanted: true,
        };
        self.quic.insert(door.clone(), quic);
    }

    /// Each listener with an address as it really is.
    pub(crate) fn addresses(&self) -> Vec<(String, Address)> {
        let really = |door: &Door, open: &Open| open.address.map_or_else(|| door.address.clone(), Address::Ip);
        let each = self.open.iter();
        let mut all: Vec<_> = each
            .map(|(door, open)| (open.listener.clone(), really(door, open)))
            .collect();
        all.sort_by_cached_key(|(listener, address)| (listener.clone(), address.to_string()));
        all
    }

    /// A listener's first address of the network.
    pub(crate) fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.open
            .values()
            .filter(|open| open.listener == listener)
            .filter_map(|open| open.address)
            .min()
    }

    async fn close(&mut self, shared: &Shared, door: &Door) {
        let Some(open) = self.open.remove(door) else { return };
        everywhere(shared, open.cores, |done| Order::Unlisten(door.clone(), done)).await;
        if let Address::Unix(path) = &door.address {
            // it may be gone already, which is as well
            let _ = std::fs::remove_file(path);
        }
        tracing::info!(listener = open.listener, address = %door, "closed");
    }

    /// A port that we hold under another address would not be free for a probe.
    fn probe(&self, door: &Door) -> Probe {
        probe(self.open.keys(), door)
    }

    /// Of datagrams.
    fn quic_probe(&self, door: &Door) -> Probe {
        probe(self.quic.keys(), door)
    }
}

fn probe<'d>(mut open: impl Iterator<Item = &'d Door>, door: &Door) -> Probe {
    let port = |address: &Address| match address {
        Address::Ip(ip) => Some(ip.port()),
        Address::Name(..) | Address::Unix(_) => None,
    };
    let ours = open.any(|open| port(&open.address) == port(&door.address));
    if ours { Probe::Shared } else { Probe::Alone }
}

/// Tells so many cores, and waits until each has done it.
async fn everywhere(shared: &Shared, cores: usize, order: impl Fn(oneshot::Sender<()>) -> Order) {
    let waits: Vec<_> = (0..cores)
        .map(|core| {
            let (done, wait) = oneshot::channel();
            shared.order(core, order(done));
            wait
        })
        .collect();
    for wait in waits {
        // an error means that the core has ended, and its socket with it
        let _ = wait.await;
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, hint) = match self.error.kind() {
            io::ErrorKind::AddrInUse => ("address in use", "another server, or another portcullis, has it"),
            io::ErrorKind::PermissionDenied => ("permission denied", "ports below 1024 need CAP_NET_BIND_SERVICE"),
            io::ErrorKind::AddrNotAvailable => (
                "no such address on this machine",
                "0.0.0.0 and [::] stand for all it has",
            ),
            _ => return write!(f, "cannot listen on {}: {}", self.address, self.error),
        };
        write!(f, "cannot listen on {}: {what}\n  hint: {hint}", self.address)
    }
}
