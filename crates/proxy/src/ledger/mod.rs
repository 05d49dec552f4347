//! The ledger: who negotiated what, by site, client and time.
//!
//! A record that is dropped adds itself to a table of its core; every few seconds one thread takes the tables and writes
//! them to an SQLite file in one transaction. Whatever happens to the file, connections go on.
use crate::{
    clock,
    metrics::Label,
    plan::{LedgerAddresses, Plan},
};
use portcullis_tls::{fingerprint::Ja4, negotiated::Negotiated};
use portcullis_wire::Hello;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
        mpsc,
    },
};
use tokio::sync::oneshot;

mod entry;
mod error;
mod extract;
mod fold;
mod keeper;
mod names;
mod network;
mod schema;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use error::LedgerError;
pub use extract::{Client, Extract, Moment, Offer, Row, Site, Span, Sums, Terms, UpstreamRow, read};

pub(crate) use entry::{Admission, Agent, Facts, Judgement, Offered, note};
use entry::{Entry, Origin, Who};
use keeper::Order;
pub(crate) use keeper::start;
use table::{ENTRIES, Table};

/// Offers that a core keeps at hand: its clients stand on some hundred libraries.
const OFFERS: usize = 4096;

/// What cores write to.
pub(crate) struct Ledger {
    cores: Vec<Mutex<Shard>>,
    keys: RandomState,
    addresses: AtomicU8,
    orders: mpsc::Sender<Order>,
    /// A table filled up before its time, and the thread was told.
    called: AtomicBool,
}

struct Shard {
    table: Table,
    offers: HashMap<u64, Arc<Offered>>,
}

/// What a record tells of its connection.
pub(crate) struct Told<'a> {
    pub(crate) site: &'a Label,
    /// The subject of its client's certificate.
    pub(crate) identity: Option<&'a str>,
    pub(crate) from: Option<IpAddr>,
    pub(crate) offered: Option<&'a Arc<Offered>>,
    pub(crate) facts: Facts,
    pub(crate) sums: Sums,
    pub(crate) agents: &'a [Agent],
}

impl Ledger {
    /// Tables for so many cores, and what their thread will be told by.
    fn new(cores: usize) -> (Ledger, mpsc::Receiver<Order>) {
        let (orders, inbox) = mpsc::channel();
        let shard = || {
            Mutex::new(Shard {
                table: Table::new(ENTRIES),
                offers: HashMap::new(),
            })
        };
        let ledger = Ledger {
            cores: (0..cores.max(1)).map(|_| shard()).collect(),
            keys: RandomState::new(),
            addresses: AtomicU8::new(0),
            orders,
            called: AtomicBool::new(false),
        };
        (ledger, inbox)
    }

    /// Tables that nobody empties.
    #[cfg(test)]
    pub(crate) fn alone() -> Ledger {
        Ledger::new(1).0
    }

    /// What this client offers, kept once for all alike.
    pub(crate) fn offered(&self, core: usize, (hello, ja4): (&Hello, Ja4)) -> Arc<Offered> {
        let digest = self.digest(|to| {
            // the fingerprint covers suites, extensions and schemes
            ja4.hash(to);
            let (versions, groups, shares) = entry::lists(hello);
            versions.for_each(|version| version.hash(to));
            0xffff_u16.hash(to);
            groups.for_each(|group| group.hash(to));
            0xffff_u16.hash(to);
            shares.for_each(|group| group.hash(to));
        });
        let mut shard = self.shard(core);
        if let Some(known) = shard.offers.get(&digest) {
            return known.clone();
        }
        let offered = Arc::new(Offered::of(hello, ja4, digest));
        if shard.offers.len() < OFFERS {
            shard.offers.insert(digest, offered.clone());
        }
        offered
    }

    /// Notes a connection that is over.
    pub(crate) fn connection(&self, core: usize, told: Told<'_>) {
        let now = clock::unix_now();
        let rule = self.addresses();
        let from = told.from.map(|address| network::told_apart(address, rule));
        let hour = now.div_euclid(3600);
        let nobody = told.identity.is_none() && told.offered.is_none();
        let digest = self.digest(|to| {
            (hour, address_of(&told.site.0), told.facts).hash(to);
            match (told.identity, nobody) {
                (Some(identity), _) => identity.hash(to),
                (None, true) => {}
                (None, false) => (from, rule as u8).hash(to),
            }
            told.offered.map_or(0, |offered| offered.digest).hash(to);
        });
        let mut shard = self.shard(core);
        if let Some(known) = shard.table.known(digest) {
            known.sums += told.sums;
            known.last_seen = now;
            for agent in told.agents {
                note(&mut known.agents, &agent.name, agent.requests);
            }
            return;
        }
        let entry = Entry {
            hour,
            site: told.site.clone(),
            who: match told.identity {
                Some(identity) => Who::Identity(identity.into()),
                None if nobody => Who::Nobody,
                None => Who::Print,
            },
            from: from.filter(|_| !nobody),
            rule,
            offered: told.offered.cloned(),
            facts: told.facts,
            sums: told.sums,
            first_seen: now,
            last_seen: now,
            agents: told.agents.to_vec(),
        };
        let unnamed = self.unnamed(&entry);
        shard.table.add((digest, unnamed), entry);
        let filling = shard.table.is_filling();
        drop(shard);
        if filling && !self.called.swap(true, Relaxed) {
            // without its thread the ledger has ended
            let _ = self.orders.send(Order::Flush);
        }
    }

    /// Notes a connection to a server; without facts it has no TLS.
    pub(crate) fn origin(&self, core: usize, (upstream, server): (&Label, &Arc<str>), facts: Option<&Negotiated>) {
        let facts = match facts {
            Some(facts) => Facts::of(facts, "tcp"),
            None => Facts::without(
                Admission::Admitted,
                Some(portcullis_tls::negotiated::Safety::Plain),
                "tcp",
            ),
        };
        let now = clock::unix_now();
        let hour = now.div_euclid(3600);
        let digest = self.digest(|to| (hour, address_of(&upstream.0), address_of(server), facts).hash(to));
        let origin = Origin {
            hour,
            upstream: upstream.clone(),
            server: server.clone(),
            facts,
            connections: 1,
            first_seen: now,
            last_seen: now,
        };
        self.shard(core).table.add_origin(digest, origin);
    }

    /// What it says of a span, everything included that is over by now.
    pub(crate) fn extract(&self, span: Span) -> oneshot::Receiver<Result<Extract, LedgerError>> {
        let (answer, wait) = oneshot::channel();
        // without its thread the answer is dropped, which says so
        let _ = self.orders.send(Order::Read(span, answer));
        wait
    }

    /// Switches to what another configuration says.
    pub(crate) fn switch(&self, plan: &Plan) {
        // at once: what is counted from now on goes to the new file by the new rule, what was before to the old one
        self.addresses.store(plan.ledger.addresses as u8, Relaxed);
        let _ = self.orders.send(Order::To(keeper::Wish::of(plan), self.take()));
    }

    /// Ends its thread after a last flush.
    pub(crate) fn end(&self) {
        let _ = self.orders.send(Order::End);
    }

    fn addresses(&self) -> LedgerAddresses {
        LedgerAddresses::ALL[usize::from(self.addresses.load(Relaxed))]
    }

    /// The digest of an entry that has no name.
    fn unnamed(&self, entry: &Entry) -> u64 {
        self.digest(|to| (entry.hour, address_of(&entry.site.0), entry.facts, "unnamed").hash(to))
    }

    fn digest(&self, write: impl FnOnce(&mut std::hash::DefaultHasher)) -> u64 {
        use std::hash::Hasher;
        let mut hasher = self.keys.build_hasher();
        write(&mut hasher);
        hasher.finish()
    }

    /// A core's own; its thread takes the table every few seconds and holds it for as long as that takes.
    fn shard(&self, core: usize) -> MutexGuard<'_, Shard> {
        let shard = &self.cores[core % self.cores.len()];
        // whoever panicked with it had not begun to change it
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything counted so far, and empty tables in its place.
    fn take(&self) -> Vec<Table> {
        self.called.store(false, Relaxed);
        let take = |core| {
            let mut shard = self.shard(core);
            let table = std::mem::replace(&mut shard.table, Table::new(ENTRIES));
            if shard.offers.len() >= OFFERS / 2 {
                // those of open connections and of entries stay
                shard.offers.retain(|_, offered| Arc::strong_count(offered) > 1);
            }
            table
        };
        (0..self.cores.len()).map(take).collect()
    }
}

/// What tells configured names apart, as long as whoever compares holds one of them.
fn address_of(name: &Arc<str>) -> usize {
    Arc::as_ptr(name).cast::<u8>() as usize
}
