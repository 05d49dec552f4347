//! The addresses that are listened on: bound before a configuration is switched to, closed after their queues
//! are empty.
use crate::{
    core::{ListenSocket, Order, Shared},
    listener::bind::{Bound, Probe, bind},
    plan::Address,
    snapshot::{Door, Snapshot},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt, io,
    net::SocketAddr,
};
use tokio::sync::oneshot;

/// All open doors.
#[derive(Default)]
pub(crate) struct Doors {
    open: HashMap<Door, Open>,
}

/// An open door: where it really is, and the cores that listen on it.
struct Open {
    listener: String,
    address: Option<SocketAddr>,
    cores: usize,
}

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
pub struct AddressError {
    /// Which.
    pub address: String,
    /// Why.
    pub error: io::Error,
}

/// Doors that are bound but not yet listened on.
pub(crate) struct Fresh(Vec<(Door, String, Bound)>);

impl Doors {
    /// Binds what a snapshot needs and is not open yet: all of it or nothing.
    pub(crate) fn bind(&self, snapshot: &Snapshot, cores: usize) -> Result<Fresh, AddressError> {
        let mut fresh = Vec::new();
        for (door, listener) in snapshot.doors() {
            if self.open.contains_key(door) {
                continue;
            }
            let bound = bind(&door.address, cores, self.probe(door));
            let bound = bound.map_err(|error| AddressError {
                address: door.to_string(),
                error,
            })?;
            fresh.push((door.clone(), listener.name.0.to_string(), bound));
        }
        Ok(Fresh(fresh))
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
        for (door, listener) in snapshot.doors() {
            if let Entry::Occupied(mut open) = self.open.entry(door.clone()) {
                open.get_mut().listener = listener.name.0.to_string();
            }
        }
    }

    /// Closes everything.
    pub(crate) async fn close_all(&mut self, shared: &Shared) {
        let all: Vec<Door> = self.open.keys().cloned().collect();
        for door in all {
            self.close(shared, &door).await;
        }
    }

    /// Starts listening on what was bound.
    pub(crate) fn listen(&mut self, shared: &Shared, fresh: Fresh) {
        for (door, listener, bound) in fresh.0 {
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
        let waits: Vec<_> = (0..open.cores)
            .map(|core| {
                let (done, wait) = oneshot::channel();
                shared.order(core, Order::Unlisten(door.clone(), done));
                wait
            })
            .collect();
        for wait in waits {
            // an error means that the core has ended, and its socket with it
            let _ = wait.await;
        }
        if let Address::Unix(path) = &door.address {
            // it may be gone already, which is as well
            let _ = std::fs::remove_file(path);
        }
        tracing::info!(listener = open.listener, address = %door, "closed");
    }

    /// A port that we hold under another address would not be free for a probe.
    fn probe(&self, door: &Door) -> Probe {
        let port = |address: &Address| {
            if let Address::Ip(ip) = address {
                Some(ip.port())
            } else {
                None
            }
        };
        let ours = self.open.keys().any(|open| port(&open.address) == port(&door.address));
        if ours { Probe::Shared } else { Probe::Alone }
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
