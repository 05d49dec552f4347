//! What is shared between cores about a listener: permits, counts per address, rates. It outlives reloads.
use crate::{http::limits::TOLD_AT_ONCE, plan::Limits};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// Shards of a count per address: enough that cores seldom meet in one.
const SHARDS: usize = 64;

/// A listener's shared counts.
pub(crate) struct Gate {
    pub(crate) permits: Arc<Permits>,
    /// Of connections that are only told that there are no more of those.
    pub(crate) told: Arc<Permits>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) handshakes: Rate,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate {
            permits: Arc::new(Permits::new(usize::MAX)),
            told: Arc::new(Permits::new(TOLD_AT_ONCE)),
            addresses: Arc::new(Addresses::new()),
            handshakes: Rate::new(),
        }
    }

    /// Takes over a listener's limits, at start and at each reload.
    pub(crate) fn limit(&self, limits: &Limits, half_the_files: usize) {
        self.permits.set_limit(match limits.connections {
            None => half_the_files,
            Some(0) => usize::MAX,
            Some(n) => n,
        });
        self.handshakes.set_limit(limits.handshakes_per_second);
    }
}

/// Connections that may be open at once.
pub(crate) struct Permits {
    used: AtomicUsize,
    limit: AtomicUsize,
    freed: Notify,
}

/// One connection's leave to be; returned when dropped.
pub(crate) struct Permit(Arc<Permits>);

/// What a connection may do.
pub(crate) enum Leave {
    /// Whatever it came for.
    Stay(Permit),
    /// Hear that there are too many.
    BeTold(Permit),
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Permits {
        Permits {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            freed: Notify::new(),
        }
    }

    /// Waits for a free permit.
    pub(crate) async fn acquire(self: &Arc<Permits>) -> Permit {
        let mut waited = false;
        loop {
            let mut freed = pin!(self.freed.notified());
            // enabled before the look, so that what is freed in between is not missed
            freed.as_mut().enable();
            if let Some(permit) = self.try_acquire() {
                if waited {
                    self.pass_on();
                }
                return permit;
            }
            freed.await;
            waited = true;
        }
    }

    /// Waits for a free permit, or for one to be told that there is none.
    pub(crate) async fn acquire_or(self: &Arc<Permits>, told: &Arc<Permits>) -> Leave {
        let mut waited = false;
        loop {
            let (mut freed, mut told_freed) = (pin!(self.freed.notified()), pin!(told.freed.notified()));
            freed.as_mut().enable();
            told_freed.as_mut().enable();
            let leave = match self.try_acquire() {
                Some(permit) => Some(Leave::Stay(permit)),
                None => told.try_acquire().map(Leave::BeTold),
            };
            if let Some(leave) = leave {
                if waited {
                    self.pass_on();
                    told.pass_on();
                }
                return leave;
            }
            tokio::select! {
                () = freed => {}
                () = told_freed => {}
            }
            waited = true;
        }
    }

    /// Of several that are freed at once only the first wakes a waiter: it wakes the next while there is room.
    fn pass_on(&self) {
        if self.used() < self.limit.load(Acquire) {
            self.freed.notify_one();
        }
    }

    /// Takes a permit if one is free.
    pub(crate) fn try_acquire(self: &Arc<Permits>) -> Option<Permit> {
        let limit = self.limit.load(Acquire);
        let taken = self
            .used
            .fetch_update(AcqRel, Acquire, |used| (used < limit).then_some(used + 1));
        taken.is_ok().then(|| Permit(self.clone()))
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Acquire)
    }

    fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Release);
        self.freed.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let used = self.0.used.fetch_sub(1, AcqRel);
        if used >= self.0.limit.load(Acquire) {
            self.0.freed.notify_one();
        }
    }
}

/// Counts per address, /64 for IPv6.
pub(crate) struct Addresses {
    shards: [Mutex<HashMap<u64, usize>>; SHARDS],
    hasher: RandomState,
}

/// One connection's place in its address's count.
pub(crate) struct Place {
    addresses: Arc<Addresses>,
    key: u64,
}

impl Addresses {
    pub(crate) fn new() -> Addresses {
        Addresses {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Counts one more, unless the address has its limit.
    pub(crate) fn enter(self: &Arc<Addresses>, address: IpAddr, limit: usize) -> Option<Place> {
        let key = key(address);
        let mut shard = self.shard(key);
        let count = shard.entry(key).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            addresses: self.clone(),
            key,
        })
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, usize>> {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        // a count is never left half made, so a panic elsewhere does not spoil it
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = self.addresses.shard(self.key);
        if let Some(count) = shard.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.key);
            }
        }
    }
}

/// An IPv4 address or an IPv6 network of 64 bits; no IPv6 network begins with 32 zero bits and is routed.
fn key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

/// So many a second, with a burst of one second's worth.
pub(crate) struct Rate {
    limit: AtomicUsize,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rate {
    pub(crate) fn new() -> Rate {
        Rate {
            limit: AtomicUsize::new(0),
            bucket: Mutex::new(Bucket {
                tokens: 0.0,
                filled: Instant::now(),
            }),
        }
    }

    /// Less than half of a second's worth is left.
    pub(crate) fn is_short(&self, now: Instant) -> bool {
        let limit = self.limit.load(Acquire) as f64;
        limit > 0.0 && self.filled(now, limit).tokens < limit / 2.0
    }

    /// One more may happen at this moment.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let limit = self.limit.load(Acquire) as f64;
        if limit == 0.0 {
            return true;
        }
        let mut bucket = self.filled(now, limit);
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }

    fn filled(&self, now: Instant, limit: f64) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * limit).min(limit);
        bucket.filled = now;
        bucket
    }

    fn set_limit(&self, limit: usize) {
        if self.limit.swap(limit, AcqRel) != limit {
            self.bucket.lock().unwrap_or_else(PoisonError::into_inner).tokens = limit as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, time::Duration};

    #[test]
    fn a_rate_admits_a_second_s_worth_and_refills() {
        let rate = Rate::new();
        rate.set_limit(10);
        let start = Instant::now();
        assert_eq!((0..25).filter(|_| rate.admits(start)).count(), 10);
        assert_eq!(
            (0..25)
                .filter(|_| rate.admits(start + Duration::from_millis(500)))
                .count(),
            5
        );
    }

    #[test]
    fn an_address_is_forgotten_when_its_last_connection_goes() {
        let addresses = Arc::new(Addresses::new());
        let one = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let places: Vec<_> = (0..3).map(|_| addresses.enter(one, 3).unwrap()).collect();
        assert!(addresses.enter(one, 3).is_none());
        assert!(addresses.enter("::ffff:127.0.0.2".parse().unwrap(), 3).is_some());
        drop(places);
        assert!(addresses.shards.iter().all(|s| s.lock().unwrap().is_empty()));
    }

    #[test]
    fn ipv6_neighbours_in_one_network_share_a_count() {
        let addresses = Arc::new(Addresses::new());
        let _first = addresses.enter("2001:db8:1:2::1".parse().unwrap(), 1).unwrap();
        assert!(addresses.enter("2001:db8:1:2:ffff::9".parse().unwrap(), 1).is_none());
        assert!(addresses.enter("2001:db8:1:3::1".parse().unwrap(), 1).is_some());
    }

    #[tokio::test]
    async fn permits_that_are_freed_at_once_wake_every_waiter() {
        let permits = Arc::new(Permits::new(3));
        let held = [
            permits.acquire().await,
            permits.acquire().await,
            permits.acquire().await,
        ];
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let permits = permits.clone();
                tokio::spawn(async move { permits.acquire().await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(held);
        for waiter in waiting {
            let woken = tokio::time::timeout(Duration::from_secs(30), waiter).await;
            // kept, so that none is freed by another
            std::mem::forget(woken.expect("it is woken"));
        }
    }

    #[tokio::test]
    async fn a_waiter_gets_the_permit_that_is_freed() {
        let permits = Arc::new(Permits::new(1));
        let held = permits.acquire().await;
        assert!(permits.try_acquire().is_none());
        let waiting = tokio::spawn({
            let permits = permits.clone();
            async move { drop(permits.acquire().await) }
        });
        tokio::task::yield_now().await;
        drop(held);
        waiting.await.unwrap();
        assert_eq!(permits.used(), 0);
    }
}
