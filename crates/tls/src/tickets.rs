//! Session ticket keys that rotate, and stores, each bound to a context.
//!
//! What a ticket resumes has the class its context has (DESIGN: "Ticket keys and session stores belong to a
//! context"): rustls itself compares only suite, extended master secret and name.
//!
//! A secret is random, lives in this process alone and is replaced after each period, which is as long as a ticket
//! lives. The one before is kept for a period more, so that a ticket from just before the change still opens; a
//! ticket also carries the moment it was made, sealed, and is refused once it is older than its lifetime. Old
//! secrets cannot be computed from new ones, and [`Tickets::rotate`] drops them even where nobody connects.
use crate::provider::{SealingKey, Secret};
use arc_swap::ArcSwapOption;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

/// RFC 8446 4.6.1: no ticket lives longer than seven days.
pub const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Sessions kept for one context with client certificates. Each holds the client's chain: about 16 kB with
/// ML-DSA-65 and an intermediate, so 16 MB for a busy site.
const STORED_SESSIONS: usize = 1024;

/// Time since some fixed moment. It must not go backwards, as a wall clock does.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// The process's ticket secrets and session stores; outlives every configuration.
pub struct Tickets {
    clock: Arc<Clock>,
    rooms: Mutex<Rooms>,
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
        Tickets::with_clock(Box::new(move || start.elapsed()))
    }

    /// New secrets, on a clock of the caller's.
    pub fn with_clock(clock: Clock) -> Arc<Tickets> {
        Arc::new(Tickets {
            clock: Arc::new(clock),
            rooms: Mutex::default(),
        })
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
            sealer.forget_keys_before(now);
        }
    }

    /// Stateless tickets for a context.
    pub(crate) fn sealer(&self, context: [u8; 32], lifetime: Duration) -> Arc<Sealer> {
        let lifetime = lifetime.min(MAX_LIFETIME);
        let mut rooms = lock(&self.rooms);
        if let Some(known) = rooms.sealers.get(&context).and_then(Weak::upgrade) {
            return known;
        }
        let rotor = rooms.rotors.entry(lifetime);
        let rotor = Arc::clone(rotor.or_insert_with(|| Arc::new(Rotor::new(lifetime))));
        let sealer = Arc::new(Sealer {
            context,
            rotor,
            clock: Arc::clone(&self.clock),
            keys: ArcSwapOption::empty(),
        });
        rooms.sealers.insert(context, Arc::downgrade(&sealer));
        sealer
    }

    /// Sessions kept here, for a context with client certificates: a ticket would carry the client's whole chain,
    /// through every one of its later hellos.
    pub(crate) fn store(&self, context: [u8; 32], lifetime: Duration) -> Arc<Store> {
        let mut rooms = lock(&self.rooms);
        if let Some(known) = rooms.stores.get(&context).and_then(Weak::upgrade) {
            return known;
        }
        let store = Arc::new(Store {
            lifetime: lifetime.min(MAX_LIFETIME),
            clock: Arc::clone(&self.clock),
            sessions: ServerSessionMemoryCache::new(STORED_SESSIONS),
        });
        rooms.stores.insert(context, Arc::downgrade(&store));
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
            period: period.max(Duration::from_secs(1)),
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
        })
    }
}

/// A context's keys of one period, derived once.
struct Keys {
    period: u64,
    current: SealingKey,
    previous: Option<SealingKey>,
}

impl Keys {
    fn of_period(&self, period: u64) -> Option<&SealingKey> {
        match period {
            present if present == self.period => Some(&self.current),
            before if before + 1 == self.period => self.previous.as_ref(),
            _ => None,
        }
    }
}

/// Makes and opens the tickets of one context: period (8 bytes, in clear, bound) | nonce | sealed time and session.
pub(crate) struct Sealer {
    context: [u8; 32],
    rotor: Arc<Rotor>,
    clock: Arc<Clock>,
    keys: ArcSwapOption<Keys>,
}

impl Sealer {
    fn keys(&self, now: Duration) -> Option<Arc<Keys>> {
        let period = self.rotor.period_at(now);
        if let Some(keys) = self.keys.load_full().filter(|keys| period <= keys.period) {
            return Some(keys);
        }
        let keys = Arc::new(self.rotor.keys(&self.context, now)?);
        self.keys.store(Some(Arc::clone(&keys)));
        Some(keys)
    }

    fn forget_keys_before(&self, now: Duration) {
        let period = self.rotor.period_at(now);
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
        u32::try_from(self.rotor.period.as_secs()).unwrap_or(u32::MAX)
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
        if now.as_secs().saturating_sub(made) > self.rotor.period.as_secs() {
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
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    const HOUR: Duration = Duration::from_secs(3600);

    /// Tickets whose clock the test sets, in seconds.
    fn at(start: u64) -> (Arc<Tickets>, Arc<AtomicU64>) {
        let time = Arc::new(AtomicU64::new(start));
        let read = Arc::clone(&time);
        let clock = move || Duration::from_secs(read.load(Ordering::Relaxed));
        (Tickets::with_clock(Box::new(clock)), time)
    }

    #[test]
    fn a_ticket_opens_until_its_lifetime_ends() {
        // made in the middle of a period, at its very end, and at its very beginning
        for made in [1800, 3599, 3600] {
            let (tickets, time) = at(made);
            let sealer = tickets.sealer([1; 32], HOUR);
            let ticket = sealer.encrypt(b"session").unwrap();
            for (age, opens) in [(0, true), (1800, true), (3600, true), (3601, false), (7200, false)] {
                time.store(made + age, Ordering::Relaxed);
                assert_eq!(sealer.decrypt(&ticket).is_some(), opens, "made {made}, age {age}");
            }
        }
    }

    #[test]
    fn a_ticket_never_opens_in_another_context() {
        let (tickets, _) = at(0);
        let ticket = tickets.sealer([1; 32], HOUR).encrypt(b"session").unwrap();
        assert_eq!(tickets.sealer([2; 32], HOUR).decrypt(&ticket), None);
        assert_eq!(tickets.sealer([1; 32], HOUR).decrypt(&ticket).unwrap(), b"session");
        assert_eq!(at(0).0.sealer([1; 32], HOUR).decrypt(&ticket), None);
    }

    #[test]
    fn a_period_has_one_secret_and_the_next_another() {
        let (tickets, time) = at(10);
        let sealer = tickets.sealer([1; 32], HOUR);
        let first = sealer.encrypt(b"session").unwrap();
        assert_eq!(first[..8], sealer.encrypt(b"session").unwrap()[..8]);
        time.store(3600, Ordering::Relaxed);
        assert_ne!(first[..8], sealer.encrypt(b"session").unwrap()[..8]);
        // the clock is not believed when it goes back: no second secret for an old period
        time.store(20, Ordering::Relaxed);
        let other = tickets.sealer([2; 32], HOUR);
        for sealer in [sealer, other] {
            assert_ne!(first[..8], sealer.encrypt(b"session").unwrap()[..8]);
        }
    }

    #[test]
    fn after_two_periods_no_key_is_left_for_an_old_ticket() {
        let (tickets, time) = at(0);
        let sealer = tickets.sealer([1; 32], HOUR);
        let old = sealer.encrypt(b"session").unwrap();
        time.store(7200, Ordering::Relaxed);
        sealer.encrypt(b"session").unwrap();
        assert!(lock(&sealer.rotor.secrets).as_ref().unwrap().previous.is_none());
        // even with the clock back where the ticket was fresh
        time.store(0, Ordering::Relaxed);
        assert_eq!(sealer.decrypt(&old), None);
    }

    #[test]
    fn rotation_needs_no_visitors() {
        let (tickets, time) = at(0);
        let sealer = tickets.sealer([1; 32], HOUR);
        let old = sealer.encrypt(b"session").unwrap();
        time.store(7200, Ordering::Relaxed);
        tickets.rotate();
        assert!(sealer.keys.load().is_none());
        time.store(0, Ordering::Relaxed);
        assert_eq!(sealer.decrypt(&old), None);
    }

    #[test]
    fn lifetimes_end_after_seven_days() {
        let (tickets, _) = at(0);
        let sealer = tickets.sealer([1; 32], 30 * 24 * HOUR);
        assert_eq!(sealer.lifetime(), 7 * 24 * 3600);
        assert_eq!(tickets.sealer([2; 32], HOUR).lifetime(), 3600);
    }

    #[test]
    fn a_changed_ticket_does_not_open() {
        let (tickets, _) = at(0);
        let sealer = tickets.sealer([1; 32], HOUR);
        let ticket = sealer.encrypt(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.decrypt(&changed), None, "byte {at}");
            assert_eq!(sealer.decrypt(&ticket[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_store_survives_as_long_as_somebody_uses_it() {
        let (tickets, time) = at(0);
        let before = tickets.store([1; 32], HOUR);
        before.put(vec![1], vec![2]);
        let after = tickets.store([1; 32], HOUR);
        drop(before);
        assert_eq!(after.get(&[1]), Some(vec![2]));
        assert_eq!(tickets.store([2; 32], HOUR).get(&[1]), None);
        time.store(3601, Ordering::Relaxed);
        assert_eq!(after.take(&[1]), None);
        drop(after);
        tickets.rotate();
        assert!(lock(&tickets.rooms).stores.is_empty());
    }
}
