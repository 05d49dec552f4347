//! What was counted and is not yet written: a bounded table for each core, and one for what could not be written.
use super::entry::{Entry, Origin};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Entries of one core between two flushes. At some 600 bytes with their names, 5 MB.
pub(super) const ENTRIES: usize = 8192;
/// And what may wait while the file cannot be written, of all cores together.
pub(super) const WAITING: usize = 4 * ENTRIES;
/// Beyond, connections lose their names; entries without names are few (sites times terms), but sites may be many.
const UNNAMED: usize = 4096;
/// Servers and terms towards them.
const ORIGINS: usize = 4096;

/// A table, by keyed digests of what makes connections alike: at 200,000 entries two differ with a chance of one in
/// a thousand million.
pub(super) struct Table {
    capacity: usize,
    named: Digests<Entry>,
    unnamed: Digests<Entry>,
    origins: Digests<Origin>,
    /// Connections whose names were not kept.
    nameless: u64,
    /// Connections that were not kept at all.
    lost: u64,
}

type Digests<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// A digest needs no hash of its own.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }
    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

impl Table {
    pub(super) fn new(capacity: usize) -> Table {
        Table {
            capacity,
            named: HashMap::default(),
            unnamed: HashMap::default(),
            origins: HashMap::default(),
            nameless: 0,
            lost: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_empty() && self.origins.is_empty()
    }

    /// So full that it should be emptied before its time.
    pub(super) fn is_filling(&self) -> bool {
        self.named.len() >= self.capacity / 2
    }

    pub(super) fn len(&self) -> usize {
        self.named.len() + self.unnamed.len() + self.origins.len()
    }

    /// The entry of a digest, if it is there.
    pub(super) fn known(&mut self, digest: u64) -> Option<&mut Entry> {
        self.named.get_mut(&digest)
    }

    /// Adds an entry; where there is no room for its name it is added without, under the other digest.
    pub(super) fn add(&mut self, (digest, unnamed): (u64, u64), entry: Entry) {
        let room = self.named.len() < self.capacity;
        if let Some(known) = self.named.get_mut(&digest) {
            known.add(entry);
        } else if room {
            self.named.insert(digest, entry);
        } else if let Some(known) = self.unnamed.get_mut(&unnamed) {
            self.nameless += entry.sums.connections;
            known.add(entry.unnamed());
        } else if self.unnamed.len() < UNNAMED {
            self.nameless += entry.sums.connections;
            self.unnamed.insert(unnamed, entry.unnamed());
        } else {
            self.lost += entry.sums.connections;
        }
    }

    /// Adds a connection to a server.
    pub(super) fn add_origin(&mut self, digest: u64, origin: Origin) {
        if let Some(known) = self.origins.get_mut(&digest) {
            known.connections += origin.connections;
            known.first_seen = known.first_seen.min(origin.first_seen);
            known.last_seen = known.last_seen.max(origin.last_seen);
        } else if self.origins.len() < ORIGINS {
            self.origins.insert(digest, origin);
        } else {
            self.lost += origin.connections;
        }
    }

    /// Takes in all of another, whose digests have the same key; `unnamed` makes the digest of what has no name.
    pub(super) fn absorb(&mut self, other: Table, unnamed: impl Fn(&Entry) -> u64) {
        self.nameless += other.nameless;
        self.lost += other.lost;
        for (digest, entry) in other.named.into_iter().chain(other.unnamed) {
            self.add((digest, unnamed(&entry)), entry);
        }
        for (digest, origin) in other.origins {
            self.add_origin(digest, origin);
        }
    }

    /// Connections in it.
    pub(super) fn connections(&self) -> u64 {
        self.entries().map(|entry| entry.sums.connections).sum()
    }

    /// Connections without their names, and those that are lost, since this was last asked.
    pub(super) fn drops(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.nameless), std::mem::take(&mut self.lost))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.named.values().chain(self.unnamed.values())
    }

    pub(super) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.values()
    }
}
