//! Requests a second: a token bucket for each address, or one for all.
//!
//! A bucket is kept as the moment at which it is full again (the generic cell rate algorithm), so that it is one
//! number and needs no clock of its own.
use crate::plan::{RatePer, RatePlan};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Shards of the buckets of addresses: enough that cores seldom meet in one.
const SHARDS: usize = 64;
/// Buckets of a shard: a quarter of a million addresses in all, in 6 MiB at most.
const BUCKETS: usize = 4096;
/// Buckets that are looked at to find one that is missed least.
const LOOKED_AT: usize = 16;

/// The buckets of a site or route, shared by all cores.
pub(crate) struct Rates {
    per: RatePer,
    /// Nanoseconds that a request costs.
    cost: u64,
    /// Nanoseconds that a full bucket pays for.
    depth: u64,
    began: Instant,
    /// Of all together, and of those without an address.
    common: AtomicU64,
    shards: Vec<Mutex<HashMap<u64, u64>>>,
    hasher: RandomState,
}

impl Rates {
    /// Full buckets, from now on.
    pub(crate) fn new(plan: &RatePlan, now: Instant) -> Rates {
        let cost = 1_000_000_000 / u64::from(plan.rate.max(1));
        let shards = match plan.per {
            RatePer::Ip => SHARDS,
            RatePer::Site => 0,
        };
        Rates {
            per: plan.per,
            cost,
            depth: cost.saturating_mul(u64::from(plan.burst.max(1))),
            began: now,
            common: AtomicU64::new(0),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Takes a token, or says how long to wait for one.
    pub(crate) fn take(&self, client: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let now = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        match (self.per, client) {
            (RatePer::Ip, Some(client)) => self.take_of(key(client), now),
            _ => {
                let mut wait = Duration::ZERO;
                let taken = self.common.fetch_update(Relaxed, Relaxed, |full_at| {
                    self.after(full_at, now).map_err(|longer| wait = longer).ok()
                });
                taken.map(|_| ()).map_err(|_| wait)
            }
        }
    }

    fn take_of(&self, key: u64, now: u64) -> Result<(), Duration> {
        let shard = self.hasher.hash_one(key) as usize % self.shards.len().max(1);
        let mut buckets = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = buckets.get_mut(&key) {
            *full_at = self.after(*full_at, now)?;
            return Ok(());
        }
        if buckets.len() >= BUCKETS {
            // of some, the one that is full the soonest: it is forgotten to be filled
            let some = buckets.iter().take(LOOKED_AT).min_by_key(|(_, full_at)| **full_at);
            if let Some(key) = some.map(|(key, _)| *key) {
                buckets.remove(&key);
            }
        }
        buckets.insert(key, now.saturating_add(self.cost));
        Ok(())
    }

    /// When a bucket is full again after one more request, unless it is empty.
    fn after(&self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let full_at = full_at.max(now).saturating_add(self.cost);
        match (full_at - now).checked_sub(self.depth) {
            None | Some(0) => Ok(full_at),
            Some(missing) => Err(Duration::from_nanos(missing)),
        }
    }
}

/// `Retry-After` in whole seconds, at least one.
pub(crate) fn retry_after(wait: Duration) -> u64 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    whole.max(1)
}

/// An IPv4 address, or the /64 of an IPv6 address.
fn key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // within ::/64, where no client comes from
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per: RatePer, rate: u32, burst: u32) -> (Rates, Instant) {
        let now = Instant::now();
        (Rates::new(&RatePlan { per, rate, burst }, now), now)
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// How many of a hundred are let through at one moment.
    fn admitted(rates: &Rates, client: Option<IpAddr>, now: Instant) -> usize {
        (0..100).filter(|_| rates.take(client, now).is_ok()).count()
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        for per in [RatePer::Ip, RatePer::Site] {
            let (rates, start) = rates(per, 10, 20);
            let client = ip("192.0.2.1");
            assert_eq!(admitted(&rates, client, start), 20);
            assert_eq!(rates.take(client, start), Err(Duration::from_millis(100)));
            assert_eq!(admitted(&rates, client, start + Duration::from_millis(99)), 0);
            assert_eq!(admitted(&rates, client, start + Duration::from_millis(100)), 1);
            assert_eq!(admitted(&rates, client, start + Duration::from_millis(600)), 5);
            assert_eq!(
                admitted(&rates, client, start + Duration::from_secs(3600)),
                20,
                "no more than a burst"
            );
        }
    }

    #[test]
    fn addresses_have_buckets_of_their_own_and_a_network_of_ipv6_has_one() {
        let (rates, start) = rates(RatePer::Ip, 1, 3);
        let table = [
            ("192.0.2.1", 3),
            ("192.0.2.2", 3),
            ("::ffff:192.0.2.1", 0),
            ("2001:db8::1", 3),
            ("2001:db8::ffff:1", 0),
            ("2001:db8:0:1::1", 3),
        ];
        for (client, expected) in table {
            assert_eq!(admitted(&rates, ip(client), start), expected, "{client}");
        }
        assert_eq!(admitted(&rates, None, start), 3, "who has no address shares one");
    }

    #[test]
    fn a_site_has_one_bucket_for_all() {
        let (rates, start) = rates(RatePer::Site, 1, 3);
        let clients = (1..=10u8).map(|last| Some(IpAddr::from([192, 0, 2, last])));
        assert_eq!(clients.filter(|client| rates.take(*client, start).is_ok()).count(), 3);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory_and_the_busy_stay_known() {
        let (rates, start) = rates(RatePer::Ip, 1, 1000);
        let busy = ip("192.0.2.1");
        assert_eq!(admitted(&rates, busy, start), 100);
        for address in 0..2 * (SHARDS * BUCKETS) as u32 {
            assert!(
                rates
                    .take(Some(IpAddr::from((0x0a00_0000 + address).to_be_bytes())), start)
                    .is_ok()
            );
        }
        let kept: usize = rates.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= SHARDS * BUCKETS, "{kept}");
        let left = (0..1000).filter(|_| rates.take(busy, start).is_ok()).count();
        assert_eq!(left, 900, "a bucket that is nearly full again goes first");
    }

    #[test]
    fn clients_wait_whole_seconds() {
        for (wait, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (60_000, 60)] {
            assert_eq!(retry_after(Duration::from_millis(wait)), seconds);
        }
    }
}
