//! What groups, signatures, resumption and cipher suites cost on this machine, measured in memory.
use crate::memory::{Cost, MemoryError, Pairing, Recipe, RecordCost, Session};
use portcullis_tls::{identity::Identity, negotiated::Version};
use portcullis_wire::{GroupId, SchemeId, registry::KeyKind};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

mod result;
mod selection;

pub use result::{Comparison, HandshakeRow, RecordRow, Results};
pub use selection::{BadSelection, Selection, groups, schemes, with_cipher};

/// The group beside which signatures are measured: what a browser offers first.
pub const USUAL_GROUP: GroupId = GroupId(0x11ec);
/// The classical group it is held against.
pub const CLASSICAL_GROUP: GroupId = GroupId(0x001d);
/// The signature beside which groups are measured: ECDSA on P-256, that of most certificates.
pub const USUAL_SCHEME: SchemeId = SchemeId(0x0403);
/// The post-quantum signature that is held against it.
pub const PQ_SCHEME: SchemeId = SchemeId(0x0905);

/// A certificate for each kind of key.
pub type Identities = HashMap<KeyKind, Arc<Identity>>;

/// Everything is measured in as many rounds, so that what disturbs the machine for a second disturbs all alike.
const ROUNDS: u32 = 5;

/// How far a run is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Slices measured.
    pub done: u64,
    /// Of so many.
    pub all: u64,
    /// What is measured next.
    pub next: String,
}

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// It does not work here.
    #[error("{what}: {error}")]
    Memory {
        /// What was to be measured.
        what: String,
        /// Why it cannot be.
        error: MemoryError,
    },
    /// No certificate was given for it.
    #[error("{what}: no certificate with a key for it")]
    NoIdentity {
        /// What was to be measured.
        what: String,
    },
}

/// Measures for about this time, all that was selected for equally long.
pub fn run(
    selection: &Selection,
    identities: &Identities,
    (time, tell): (Duration, &mut dyn FnMut(Progress)),
) -> Result<Results, BenchError> {
    let started = Instant::now();
    let mut works: Vec<Work> = Vec::new();
    for (kind, recipe) in selection.recipes() {
        works.push(Work::new(kind, recipe, identities)?);
    }
    let all = u64::from(ROUNDS) * works.len() as u64;
    let mut done = 0;
    for _ in 0..ROUNDS {
        for work in &mut works {
            tell(Progress {
                done,
                all,
                next: work.what(),
            });
            // what is left, shared among what is left: making keys and long handshakes take their part of the time
            let left = u32::try_from(all - done).unwrap_or(u32::MAX);
            work.measure(time.saturating_sub(started.elapsed()) / left)?;
            done += 1;
        }
    }
    Ok(Results::of(&works, started.elapsed()))
}

/// What of a recipe is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Handshakes,
    Records,
}

/// One row while it is measured.
struct Work {
    kind: Kind,
    pairing: Pairing,
    handshakes: u32,
    cost: Cost,
    records: RecordCost,
}

impl Work {
    fn new(kind: Kind, recipe: Recipe, identities: &Identities) -> Result<Work, BenchError> {
        let what = name(kind, recipe);
        let key = recipe.scheme.entry().map(|scheme| scheme.key);
        let Some(identity) = key.and_then(|key| identities.get(&key)) else {
            return Err(BenchError::NoIdentity { what });
        };
        let made = Pairing::new(recipe, identity).and_then(|pairing| {
            // the first one fills caches, and shows whether it works at all
            pairing.handshake()?;
            Ok(pairing)
        });
        Ok(Work {
            kind,
            pairing: made.map_err(|error| BenchError::Memory { what, error })?,
            handshakes: 0,
            cost: Cost::default(),
            records: RecordCost::default(),
        })
    }

    fn what(&self) -> String {
        name(self.kind, self.pairing.recipe())
    }

    /// For this long, once at least.
    fn measure(&mut self, time: Duration) -> Result<(), BenchError> {
        let measured = match self.kind {
            Kind::Handshakes => self.measure_handshakes(time),
            Kind::Records => self.measure_records(time),
        };
        measured.map_err(|error| BenchError::Memory {
            what: self.what(),
            error,
        })
    }

    fn measure_handshakes(&mut self, time: Duration) -> Result<(), MemoryError> {
        let started = Instant::now();
        loop {
            let cost = self.pairing.handshake()?.cost;
            self.handshakes += 1;
            self.cost.server += cost.server;
            self.cost.client += cost.client;
            self.cost.bytes_in += cost.bytes_in;
            self.cost.bytes_out += cost.bytes_out;
            if started.elapsed() >= time {
                return Ok(());
            }
        }
    }

    fn measure_records(&mut self, time: Duration) -> Result<(), MemoryError> {
        let started = Instant::now();
        let mut stream = self.pairing.stream()?;
        loop {
            let cost = stream.pass()?;
            self.records.bytes += cost.bytes;
            self.records.encrypt += cost.encrypt;
            self.records.decrypt += cost.decrypt;
            if started.elapsed() >= time {
                return Ok(());
            }
        }
    }
}

fn name(kind: Kind, recipe: Recipe) -> String {
    let Recipe {
        group, scheme, session, ..
    } = recipe;
    match (kind, recipe.cipher, session) {
        (Kind::Records, Some(cipher), _) => cipher.to_string(),
        (_, _, Session::Resumed) => format!("{group}, resumed"),
        (_, _, Session::New) => format!("{group} with {scheme}"),
    }
}

/// A handshake of TLS 1.3 with these.
pub fn tls13(group: GroupId, scheme: SchemeId) -> Recipe {
    Recipe {
        version: Version::Tls13,
        group,
        scheme,
        cipher: None,
        session: Session::New,
    }
}

#[cfg(test)]
mod tests;
