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
        in_turn.filter(fits).reduce(|one, other| match servers[other].is_less_busy_than(&servers[one]) {
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
