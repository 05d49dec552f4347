//! Session ticket keys that rotate, and stores, each bound to a context.
//!
//! What a ticket resumes has the class its context has (DESIGN: "Ticket keys and session stores belong to a
//! context"): rustls itself compares only suite, extended master secret and name.
//!
//! A secret is random, lives in this process alone and is replaced after each period, which is as long as a ticket
//! lives. The one before is kept for a period more, so that a ticket from just before the change still opens; a
//! ticket also carries the moment it was made, sealed, and is refused once it is older than its lifetime. Old
//! secrets cannot be computed from new ones, and [`Tickets::rotate`] drops them even where nobody connects.
//!
//! Processes that are given the same [`SharedSecret`] open each other's tickets: the key of a period is derived from
//! it and from the period's number on the wall clock. There a period's key can be computed for as long as the secret
//! exists, so only TLS 1.3 uses it, where a ticket's key says nothing about the traffic of its connections. Keys of
//! the period before and of the period after are taken too: clocks differ.
pub use crate::provider::Signer;
use crate::provider::{Digest, SealingKey, Secret};
use arc_swap::ArcSwapOption;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// RFC 8446 4.6.1: no ticket lives longer than seven days.
pub const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A shared secret shorter than the keys made of it would be the weakest part.
const SHORTEST_SECRET: usize = 32;

/// How the sessions of a site are resumed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resumption {
    /// TLS 1.3 tickets after a handshake; none, and nothing is resumed.
    pub tickets: usize,
    /// How long a session may be resumed; zero: never.
    pub lifetime: Duration,
    /// Sessions kept here, of those that are not in tickets.
    pub cache: usize,
    /// What other processes know too, so that they open our tickets and we theirs.
    pub secret: Option<Arc<SharedSecret>>,
}

impl Resumption {
    /// Tickets per handshake. They are used once (RFC 8446 C.4), and a browser opens its next connections in pairs;
    /// each more costs every handshake some 200 bytes and a microsecond.
    pub const TICKETS: usize = 2;
    /// Sessions kept for one context with client certificates. Each holds the client's chain: about 16 kB with
    /// ML-DSA-65 and an intermediate, so 16 MB for a busy site.
    pub const CACHE: usize = 1024;

    /// The usual, for so long.
    pub fn living(lifetime: Duration) -> Resumption {
        Resumption {
            tickets: Resumption::TICKETS,
            lifetime,
            cache: Resumption::CACHE,
            secret: None,
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.tickets == 0 || self.lifetime.as_secs() == 0
    }
}

/// A secret of several processes.
pub struct SharedSecret {
    secret: Secret,
    /// Tells it from others.
    id: [u8; 32],
}

/// A shared secret is too short.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a shared ticket secret has {found} bytes, {SHORTEST_SECRET} at least are needed")]
pub struct SecretTooShort {
    /// What there is.
    pub found: usize,
}

impl SharedSecret {
    /// Of at least 32 bytes that nobody can guess.
    pub fn new(content: &[u8]) -> Result<SharedSecret, SecretTooShort> {
        let too_short = SecretTooShort { found: content.len() };
        if content.len() < SHORTEST_SECRET {
            return Err(too_short);
        }
        let secret = Secret::of(content).ok_or(too_short)?;
        let id = Digest::new().part(b"ticket secret").part(content).finish();
        Ok(SharedSecret { secret, id })
    }

    /// What signs cookies that all who share it know.
    fn signer(&self) -> Option<Signer> {
        Signer::of(&self.secret)
    }

    fn key(&self, context: &[u8; 32], period: u64) -> Option<SealingKey> {
        let purpose = Digest::new().part(context).part(&period.to_be_bytes()).finish();
        self.secret.derive(&purpose)
    }

    fn keys(&self, context: &[u8; 32], period: u64) -> Option<Keys> {
        let neighbour = |period: Option<u64>| period.and_then(|period| self.key(context, period));
        Some(Keys {
            period,
            current: self.key(context, period)?,
            previous: neighbour(period.checked_sub(1)),
            next: neighbour(period.checked_add(1)),
        })
    }
}

impl PartialEq for SharedSecret {
    fn eq(&self, other: &SharedSecret) -> bool {
        self.id == other.id
    }
}

impl Eq for SharedSecret {}

impl fmt::Debug for SharedSecret {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret").finish_non_exhaustive()
    }
}

/// Time since some fixed moment. It must not go backwards, as a wall clock does.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// The process's ticket secrets and session stores; outlives every configuration.
pub struct Tickets {
    clock: Arc<Clock>,
    /// Since 1970: what processes agree on.
    wall: Arc<Clock>,
    rooms: Mutex<Rooms>,
    /// Signs cookies where no secret is shared.
    signer: Option<Arc<Signer>>,
}

/// Weak, so that what no configuration uses any more is forgotten. A reload builds the new configuration before it
/// lets go of the old one, and so finds its contexts alive.
#[derive(Default)]
struct Rooms {
    rotors: HashMap<Duration, Arc<Rotor>>,
    sealers: HashMap<[u8; 32], Weak<Sealer>>,
    stores: HashMap<[u8; 32], Weak<Store>>,
}

impl Tickets {
    /// New secrets, on the clock of the machine.
    pub fn new() -> Arc<Tickets> {
        let start = Instant::now();
        let wall = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Tickets::with_clocks(Arc::new(Box::new(move || start.elapsed())), Arc::new(Box::new(wall)))
    }

    /// New secrets, on a clock of the caller's.
    pub fn with_clock(clock: Clock) -> Arc<Tickets> {
        let clock = Arc::new(clock);
        Tickets::with_clocks(Arc::clone(&clock), clock)
    }

    fn with_clocks(clock: Arc<Clock>, wall: Arc<Clock>) -> Arc<Tickets> {
        Arc::new(Tickets {
            clock,
            wall,
            rooms: Mutex::default(),
            signer: Secret::random().ok().and_then(|own| Signer::of(&own)).map(Arc::new),
        })
    }

    /// What signs cookies: by a shared secret, else by one of this process. None: the machine has no randomness.
    pub fn signer(&self, shared: Option<&SharedSecret>) -> Option<Arc<Signer>> {
        match shared {
            Some(shared) => shared.signer().map(Arc::new),
            None => self.signer.clone(),
        }
    }

    /// Drops secrets that are past their time. Use does the same; this is for hours in which nobody comes.
    pub fn rotate(&self) {
        let now = (self.clock)();
        let mut rooms = lock(&self.rooms);
        rooms.sealers.retain(|_, sealer| sealer.strong_count() > 0);
        rooms.stores.retain(|_, store| store.strong_count() > 0);
        for rotor in rooms.rotors.values() {
            drop(rotor.turn(now));
        }
        for sealer in rooms.sealers.values().filter_map(Weak::upgrade) {
            sealer.forget_old_keys();
        }
    }

    /// Stateless tickets for a context.
    pub(crate) fn sealer(&self, context: [u8; 32], resumption: &Resumption) -> Arc<Sealer> {
        let lifetime = resumption.lifetime.min(MAX_LIFETIME);
        let room = match &resumption.secret {
            None => context,
            Some(secret) => Digest::new().part(&context).part(&secret.id).finish(),
        };
        let mut rooms = lock(&self.rooms);
        if let Some(known) = rooms.sealers.get(&room).and_then(Weak::upgrade) {
            return known;
        }
        let (origin, clock) = match &resumption.secret {
            None => {
                let rotor = rooms.rotors.entry(lifetime);
                let rotor = Arc::clone(rotor.or_insert_with(|| Arc::new(Rotor::new(lifetime))));
                (Origin::Own(rotor), &self.clock)
            }
            Some(secret) => (Origin::Shared(Arc::clone(secret)), &self.wall),
        };
        let sealer = Arc::new(Sealer {
            context,
            origin,
            period: period_of(lifetime),
            clock: Arc::clone(clock),
            keys: ArcSwapOption::empty(),
        });
        rooms.sealers.insert(room, Arc::downgrade(&sealer));
        sealer
    }

    /// Sessions kept here, for a context with client certificates: a ticket would carry the client's whole chain,
    /// through every one of its later hellos. And for what a shared secret must not protect.
    pub(crate) fn store(&self, context: [u8; 32], resumption: &Resumption) -> Arc<Store> {
        let size = resumption.cache;
        let room = Digest::new().part(&context).part(&(size as u64).to_be_bytes()).finish();
        let mut rooms = lock(&self.rooms);
        if let Some(known) = rooms.stores.get(&room).and_then(Weak::upgrade) {
            return known;
        }
        let store = Arc::new(Store {
            lifetime: resumption.lifetime.min(MAX_LIFETIME),
            clock: Arc::clone(&self.clock),
            sessions: ServerSessionMemoryCache::new(size),
        });
        rooms.stores.insert(room, Arc::downgrade(&store));
        store
    }
}

impl fmt::Debug for Tickets {
    /// Never a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// The secrets of all contexts whose tickets live equally long.
struct Rotor {
    period: Duration,
    secrets: Mutex<Option<Secrets>>,
}

struct Secrets {
    /// Number of the period since the clock's beginning.
    period: u64,
    current: Secret,
    previous: Option<Secret>,
}

impl Rotor {
    fn new(period: Duration) -> Rotor {
        Rotor {
            period: period_of(period),
            secrets: Mutex::new(None),
        }
    }

    fn period_at(&self, now: Duration) -> u64 {
        now.as_secs() / self.period.as_secs()
    }

    /// Brings the secrets to the present period; None while there are none yet, or no randomness.
    fn turn(&self, now: Duration) -> MutexGuard<'_, Option<Secrets>> {
        let mut secrets = lock(&self.secrets);
        let period = self.period_at(now);
        *secrets = match secrets.take() {
            Some(kept) if period <= kept.period => Some(kept),
            Some(old) => Secret::random().ok().map(|current| Secrets {
                period,
                current,
                previous: (period == old.period + 1).then_some(old.current),
            }),
            None => None,
        };
        secrets
    }

    /// The keys of a context for the present period, from a secret made now if there was none.
    fn keys(&self, context: &[u8; 32], now: Duration) -> Option<Keys> {
        let mut secrets = self.turn(now);
        if secrets.is_none() {
            *secrets = Some(Secrets {
                period: self.period_at(now),
                current: Secret::random().ok()?,
                previous: None,
            });
        }
        let secrets = secrets.as_ref()?;
        let previous = secrets.previous.as_ref();
        Some(Keys {
            period: secrets.period,
            current: secrets.current.derive(context)?,
            previous: previous.and_then(|secret| secret.derive(context)),
            next: None,
        })
    }
}

/// A period of less than a second would have no number.
fn period_of(lifetime: Duration) -> Duration {
    lifetime.max(Duration::from_secs(1))
}

/// A context's keys of one period, derived once.
struct Keys {
    period: u64,
    current: SealingKey,
    previous: Option<SealingKey>,
    /// Of processes whose clocks are ahead of ours.
    next: Option<SealingKey>,
}

impl Keys {
    fn of_period(&self, period: u64) -> Option<&SealingKey> {
        match period {
            present if present == self.period => Some(&self.current),
            before if before.checked_add(1) == Some(self.period) => self.previous.as_ref(),
            after if self.period.checked_add(1) == Some(after) => self.next.as_ref(),
            _ => None,
        }
    }
}

/// Makes and opens the tickets of one context: period (8 bytes, in clear, bound) | nonce | sealed time and session.
pub(crate) struct Sealer {
    context: [u8; 32],
    origin: Origin,
    period: Duration,
    clock: Arc<Clock>,
    keys: ArcSwapOption<Keys>,
}

/// Where a sealer's keys come from.
enum Origin {
    Own(Arc<Rotor>),
    Shared(Arc<SharedSecret>),
}

impl Sealer {
    fn keys(&self, now: Duration) -> Option<Arc<Keys>> {
        let period = now.as_secs() / self.period.as_secs();
        let still_good = |keys: &Arc<Keys>| match self.origin {
            Origin::Own(_) => period <= keys.period,
            // the wall clock may go back
            Origin::Shared(_) => period == keys.period,
        };
        if let Some(keys) = self.keys.load_full().filter(still_good) {
            return Some(keys);
        }
        let keys = match &self.origin {
            Origin::Own(rotor) => rotor.keys(&self.context, now),
            Origin::Shared(secret) => secret.keys(&self.context, period),
        };
        let keys = Arc::new(keys?);
        self.keys.store(Some(Arc::clone(&keys)));
        Some(keys)
    }

    fn forget_old_keys(&self) {
        let period = (self.clock)().as_secs() / self.period.as_secs();
        if self.keys.load().as_ref().is_some_and(|keys| keys.period < period) {
            self.keys.store(None);
        }
    }
}

impl ProducesTickets for Sealer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        // At most seven days.
        u32::try_from(self.period.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let now = (self.clock)();
        let keys = self.keys(now)?;
        let period = keys.period.to_be_bytes();
        let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(8 + session.len()));
        plain.extend_from_slice(&now.as_secs().to_be_bytes());
        plain.extend_from_slice(session);
        let mut ticket = period.to_vec();
        keys.current.seal(&period, &plain, &mut ticket)?;
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let now = (self.clock)();
        let (period, sealed) = ticket.split_first_chunk()?;
        let keys = self.keys(now)?;
        let key = keys.of_period(u64::from_be_bytes(*period))?;
        let mut plain = key.open(period, sealed)?;
        let made = u64::from_be_bytes(*plain.first_chunk()?);
        if now.as_secs().saturating_sub(made) > self.period.as_secs() {
            return None;
        }
        plain.drain(..8);
        Some(plain)
    }
}

impl fmt::Debug for Sealer {
    /// Never a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

/// Sessions of one context, each with the moment it was put in.
pub(crate) struct Store {
    lifetime: Duration,
    clock: Arc<Clock>,
    sessions: Arc<ServerSessionMemoryCache>,
}

impl Store {
    fn if_fresh(&self, mut session: Vec<u8>) -> Option<Vec<u8>> {
        let made = u64::from_be_bytes(*session.last_chunk()?);
        if (self.clock)().as_secs().saturating_sub(made) > self.lifetime.as_secs() {
            return None;
        }
        session.truncate(session.len() - 8);
        Some(session)
    }
}

impl StoresServerSessions for Store {
    fn put(&self, key: Vec<u8>, mut session: Vec<u8>) -> bool {
        session.extend_from_slice(&(self.clock)().as_secs().to_be_bytes());
        self.sessions.put(key, session)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.if_fresh(self.sessions.get(key)?)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.if_fresh(self.sessions.take(key)?)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Store {
    /// Never a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A thread that panicked while holding one of our locks left nothing half done that matters here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
