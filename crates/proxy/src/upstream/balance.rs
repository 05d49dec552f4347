//! Which server is next.
use super::server::Server;
use crate::plan::{Balance, ServerPlan};
use std::{
    cmp::Reverse,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// What a connection or request brings along to be told from others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    /// Nothing: any server is as good.
    Any,
    /// The client's address.
    Source(IpAddr),
    /// What the upstream's `hash` names: a header, a cookie, a path.
    Bytes(&'a [u8]),
    /// The server that served it before, by [`Server::id`].
    Held(&'a str),
}

/// How an upstream's servers take turns.
pub(super) struct Turns {
    balance: Balance,
    /// Places of servers, each as often as it weighs, evenly spread.
    schedule: Vec<u16>,
    next: AtomicUsize,
    /// A Weyl sequence: one step for each draw.
    random: AtomicU64,
}

/// How much a server is to be wished for; the least of those there are is chosen from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Standing {
    /// Nothing is known against it.
    Fit,
    /// A spare, for when no other is fit.
    Backup,
    /// Its last connect failed.
    Resting,
    /// Its health checks fail. Where that is so of all, all are tried: a check that is wrong ends no service.
    Unhealthy,
}

impl Turns {
    pub(super) fn new(balance: Balance, servers: &[ServerPlan]) -> Turns {
        Turns {
            balance,
            schedule: schedule(servers),
            next: AtomicUsize::new(0),
            random: AtomicU64::new(seed()),
        }
    }

    /// The place of the server whose turn it is, besides those already tried.
    pub(super) fn choose(&self, servers: &[Arc<Server>], key: Key<'_>, tried: &[usize]) -> Option<usize> {
        let standing = |place: &usize| (!tried.contains(place)).then(|| servers[*place].standing());
        let best = (0..servers.len()).filter_map(|place| standing(&place)).min()?;
        if let Key::Held(id) = key
            && let Some(place) = servers.iter().position(|server| *server.id == *id)
            && standing(&place).is_some_and(|standing| standing == best || standing <= Standing::Backup)
        {
            return Some(place);
        }
        let fits = |place: &usize| standing(place) == Some(best);
        match (&self.balance, key) {
            (Balance::Hash(_), Key::Bytes(bytes)) => by_hash(servers, bytes, fits),
            (Balance::Hash(_), Key::Source(address)) => by_hash(servers, &octets(address), fits),
            (Balance::Random, _) => self.by_draw(servers, fits),
            (Balance::LeastConnections, _) => self.by_load(servers, fits),
            (Balance::RoundRobin | Balance::Hash(_) | Balance::StickyCookie, _) => self.in_turn(fits),
        }
    }

    fn in_turn(&self, fits: impl Fn(&usize) -> bool) -> Option<usize> {
        // most often the next one fits, and then the others get the turns they would have had
        for _ in 0..self.schedule.len() {
            let turn = self.next.fetch_add(1, Relaxed) % self.schedule.len();
            let place = usize::from(self.schedule[turn]);
            if fits(&place) {
                return Some(place);
            }
        }
        // others took the turns meanwhile
        self.schedule.iter().map(|place| usize::from(*place)).find(|p| fits(p))
    }

    /// The less busy of two drawn by weight: nearly as even as asking all, and no herd runs to one.
    fn by_draw(&self, servers: &[Arc<Server>], fits: impl Fn(&usize) -> bool) -> Option<usize> {
        let one = self.drawn(&fits)?;
        match self.drawn(|place| fits(place) && *place != one) {
            Some(other) if servers[other].is_less_busy_than(&servers[one]) => Some(other),
            _ => Some(one),
        }
    }

    fn drawn(&self, fits: impl Fn(&usize) -> bool) -> Option<usize> {
        let first = (self.draw() % self.schedule.len() as u64) as usize;
        let from_there = self.schedule[first..].iter().chain(&self.schedule[..first]);
        from_there.map(|place| usize::from(*place)).find(|place| fits(place))
    }

    fn by_load(&self, servers: &[Arc<Server>], fits: impl Fn(&usize) -> bool) -> Option<usize> {
        let first = self.next.fetch_add(1, Relaxed);
        // those alike take turns
        let in_turn = (0..servers.len()).map(|i| first.wrapping_add(i) % servers.len());
        in_turn
            .filter(fits)
            .reduce(|one, other| match servers[other].is_less_busy_than(&servers[one]) {
                true => other,
                false => one,
            })
    }

    fn draw(&self) -> u64 {
        mixed(self.random.fetch_add(GOLDEN, Relaxed))
    }
}

/// Rendezvous: every server bids for the key, and the highest bid wins. When one goes, only its keys move.
fn by_hash(servers: &[Arc<Server>], key: &[u8], fits: impl Fn(&usize) -> bool) -> Option<usize> {
    let key = hash(key);
    let bid = |place: usize| {
        let server = &servers[place];
        // an even number in (0, 1), and by its logarithm one that is higher as often as the server weighs
        let drawn = ((mixed(key ^ server.number) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        f64::from(server.weight) / -drawn.ln()
    };
    let bids = (0..servers.len()).filter(fits).map(|place| (bid(place), place));
    bids.max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, place)| place)
}

/// Every place as often as it weighs, its turns spread evenly over the whole: the k-th of w stands at (2k + 1) / 2w.
fn schedule(servers: &[ServerPlan]) -> Vec<u16> {
    let turns = servers.iter().zip(0_u16..).flat_map(|(server, place)| {
        let weight = u64::from(server.weight);
        (0..weight).map(move |k| (((2 * k + 1) << 32) / (2 * weight), Reverse(weight), place))
    });
    let mut turns: Vec<_> = turns.collect();
    turns.sort_unstable();
    turns.into_iter().map(|(_, _, place)| place).collect()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// FNV-1a, mixed: the same on every machine and in every version, so that several proxies choose alike.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mixed(folded)
}

/// 2^64 over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(GOLDEN);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(GOLDEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::Metrics,
        plan::{HashOn, UpstreamHttpPlan, UpstreamPlan},
    };
    use std::{collections::HashMap, time::Duration};

    struct Bench {
        servers: Vec<Arc<Server>>,
        turns: Turns,
    }

    impl Bench {
        /// Servers `10.0.0.N:1` of these weights; negative ones are backups.
        fn new(balance: Balance, weights: &[(u8, i32)]) -> Bench {
            let plan = |&(host, weight): &(u8, i32)| ServerPlan {
                address: crate::plan::Address::Ip(([10, 0, 0, host], 1).into()),
                weight: weight.unsigned_abs() as u16,
                is_backup: weight < 0,
            };
            let plan = UpstreamPlan {
                name: "bench".into(),
                servers: weights.iter().map(plan).collect(),
                balance: balance.clone(),
                tls: None,
                health: None,
                opening: crate::plan::Opening::None,
                connect_timeout: Duration::from_secs(1),
                retries: None,
                http: UpstreamHttpPlan::default(),
            };
            let metrics = Metrics::new();
            let servers = (0..weights.len()).map(|place| Arc::new(Server::new(&plan, place, &metrics)));
            Bench {
                servers: servers.collect(),
                turns: Turns::new(balance, &plan.servers),
            }
        }

        fn choose(&self, key: Key<'_>) -> usize {
            self.turns.choose(&self.servers, key, &[]).unwrap()
        }

        /// How often each is chosen.
        fn counts(&self, times: usize) -> Vec<usize> {
            let mut counts = vec![0; self.servers.len()];
            (0..times).for_each(|_| counts[self.choose(Key::Any)] += 1);
            counts
        }

        /// Where each of ten thousand keys goes, by the servers' names.
        fn keys(&self) -> HashMap<usize, Arc<str>> {
            let place = |key: usize| self.choose(Key::Bytes(format!("user-{key}").as_bytes()));
            (0..10_000)
                .map(|key| (key, self.servers[place(key)].name.clone()))
                .collect()
        }
    }

    const HASH: Balance = Balance::Hash(HashOn::Uri);

    #[test]
    fn turns_are_in_order_by_weight_and_evenly_spread() {
        let bench = Bench::new(Balance::RoundRobin, &[(1, 1), (2, 1), (3, 1)]);
        let order: Vec<usize> = (0..6).map(|_| bench.choose(Key::Any)).collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
        let bench = Bench::new(Balance::RoundRobin, &[(1, 4), (2, 2), (3, 1)]);
        let order: Vec<usize> = (0..7).map(|_| bench.choose(Key::Any)).collect();
        assert_eq!(order, [0, 1, 0, 2, 0, 1, 0]);
        assert_eq!(bench.counts(7000), [4000, 2000, 1000]);
    }

    #[test]
    fn backups_come_when_no_other_is_fit_and_the_unfit_last_of_all() {
        let bench = Bench::new(Balance::RoundRobin, &[(1, 1), (2, 1), (3, -1)]);
        let expect = |expected: &[usize]| {
            let chosen: Vec<usize> = (0..12).map(|_| bench.choose(Key::Any)).collect();
            let mut places = chosen;
            places.sort_unstable();
            places.dedup();
            assert_eq!(places, expected);
        };
        expect(&[0, 1]);
        bench.servers[0].rest();
        expect(&[1]);
        bench.servers[1].found(false);
        expect(&[2]);
        bench.servers[2].found(false);
        // a server at rest may be there again: rather it than one whose checks fail
        expect(&[0]);
        bench.servers[0].found(false);
        // all of them fail their checks: all are tried
        expect(&[0, 1, 2]);
        bench.servers[1].found(true);
        expect(&[1]);
    }

    #[test]
    fn what_was_tried_is_not_chosen_again() {
        for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastConnections, HASH] {
            let bench = Bench::new(balance, &[(1, 1), (2, 5), (3, 1)]);
            let mut tried = Vec::new();
            while let Some(place) = bench.turns.choose(&bench.servers, Key::Bytes(b"k"), &tried) {
                tried.push(place);
            }
            tried.sort_unstable();
            assert_eq!(tried, [0, 1, 2]);
        }
    }

    #[test]
    fn the_least_busy_for_its_weight_is_next() {
        let bench = Bench::new(Balance::LeastConnections, &[(1, 1), (2, 3)]);
        let mut counts = [0, 0];
        for _ in 0..400 {
            let place = bench.choose(Key::Any);
            bench.servers[place].enter();
            counts[place] += 1;
        }
        assert_eq!(counts, [100, 300]);
        (0..100).for_each(|_| bench.servers[0].leave());
        assert!((0..50).all(|_| bench.choose(Key::Any) == 0));
    }

    #[test]
    fn of_two_drawn_the_busier_is_not_taken() {
        let bench = Bench::new(Balance::Random, &[(1, 1), (2, 1), (3, 1)]);
        bench.servers[1].enter();
        // it is always drawn with one that is less busy
        let counts = bench.counts(3000);
        assert_eq!(counts[1], 0);
        assert!(counts[0] > 1000 && counts[2] > 1000, "{counts:?}");
        bench.servers[1].leave();
        assert!(bench.counts(3000).iter().all(|count| (800..1200).contains(count)));
    }

    #[test]
    fn a_key_stays_with_its_server_and_few_move_when_one_leaves_or_comes() {
        let three = Bench::new(HASH, &[(1, 1), (2, 1), (3, 1)]);
        let four = Bench::new(HASH, &[(4, 1), (3, 1), (1, 1), (2, 1)]);
        let (before, after) = (three.keys(), four.keys());
        assert_eq!(before, three.keys());
        let moved: Vec<_> = before.iter().filter(|(key, server)| after[key] != **server).collect();
        assert!(
            moved.iter().all(|(key, _)| *after[key] == *"10.0.0.4:1"),
            "all that moved went to the new one"
        );
        assert!((2200..2800).contains(&moved.len()), "a quarter moved: {}", moved.len());
        // and one that rests gives up its own keys alone
        four.servers[0].rest();
        assert_eq!(four.keys(), before);
    }

    #[test]
    fn keys_are_shared_by_weight() {
        let bench = Bench::new(HASH, &[(1, 1), (2, 3)]);
        let heavy = bench.keys().values().filter(|name| &***name == "10.0.0.2:1").count();
        assert!((7300..7700).contains(&heavy), "{heavy}");
    }

    #[test]
    fn an_address_is_the_same_key_in_both_families() {
        let bench = Bench::new(Balance::Hash(HashOn::Source), &[(1, 1), (2, 1), (3, 1), (4, 1)]);
        for host in 0..=255 {
            let four = IpAddr::from([192, 0, 2, host]);
            let IpAddr::V4(inner) = four else {
                unreachable!("it is one")
            };
            let six = IpAddr::V6(inner.to_ipv6_mapped());
            assert_eq!(bench.choose(Key::Source(four)), bench.choose(Key::Source(six)));
        }
    }

    #[test]
    fn who_is_held_stays_until_its_server_is_unfit() {
        let bench = Bench::new(Balance::StickyCookie, &[(1, 1), (2, 1), (3, -1)]);
        let id = bench.servers[1].id.clone();
        assert!((0..9).all(|_| bench.choose(Key::Held(&id)) == 1));
        let backup = bench.servers[2].id.clone();
        assert_eq!(bench.choose(Key::Held(&backup)), 2, "who began at a backup stays there");
        bench.servers[1].found(false);
        assert_eq!(bench.choose(Key::Held(&id)), 0);
        assert_ne!(bench.choose(Key::Held("no such server")), 2);
        // so that cookies hold across restarts and instances
        assert_eq!(&*id, "1c41b0498517490b");
    }
}
