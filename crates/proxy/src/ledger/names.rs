//! How often a network may bring new names: a client that makes itself a new fingerprint each time must not push the
//! names of others out.
use std::{collections::HashMap, net::IpAddr};

/// New names of a network at once. Behind one address of a company or a provider are some dozen programs.
const BURST: i64 = 64;
/// Seconds until one more.
const PAUSE: i64 = 60;
/// Networks that are remembered; a new one beyond gets no names until others are forgotten, an hour later at most.
const NETWORKS: usize = 64 * 1024;

/// What each network may still bring.
#[derive(Default)]
pub(super) struct Names {
    /// When a network's allowance is whole again.
    whole_at: HashMap<Option<IpAddr>, i64>,
}

impl Names {
    /// Whether one more from this network is admitted.
    pub(super) fn admits(&mut self, network: Option<IpAddr>, now: i64) -> bool {
        if self.whole_at.len() >= NETWORKS && !self.whole_at.contains_key(&network) {
            self.whole_at.retain(|_, whole_at| *whole_at > now);
            if self.whole_at.len() >= NETWORKS {
                return false;
            }
        }
        let whole_at = self.whole_at.entry(network).or_insert(now);
        let next = (*whole_at).max(now) + PAUSE;
        let admitted = next - now <= BURST * PAUSE;
        if admitted {
            *whole_at = next;
        }
        admitted
    }

    /// What was admitted was not written, and will be asked for again.
    pub(super) fn give_back(&mut self, networks: Vec<Option<IpAddr>>) {
        for network in networks {
            if let Some(whole_at) = self.whole_at.get_mut(&network) {
                *whole_at -= PAUSE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(std::net::Ipv4Addr::from(number << 8)))
    }

    #[test]
    fn a_network_brings_a_burst_and_then_one_a_minute() {
        let mut names = Names::default();
        let admitted = |names: &mut Names, now| (0..1000).filter(|_| names.admits(network(1), now)).count();
        assert_eq!(admitted(&mut names, 0), 64);
        assert_eq!(admitted(&mut names, 59), 0);
        assert_eq!(admitted(&mut names, 60), 1);
        assert_eq!(admitted(&mut names, 600), 9);
        assert!(names.admits(network(2), 600), "another network has its own");
        assert_eq!(
            admitted(&mut names, 1_000_000),
            64,
            "and no more than a burst is saved up"
        );
    }

    #[test]
    fn more_networks_than_are_remembered_get_no_names_until_others_are_forgotten() {
        let mut names = Names::default();
        for number in 0..NETWORKS as u32 {
            assert!(names.admits(network(number), 0));
        }
        assert!(!names.admits(network(NETWORKS as u32), 0));
        assert!(names.admits(network(1), 0), "a known one goes on");
        assert!(names.admits(network(NETWORKS as u32), 120));
        assert!(names.whole_at.len() < 10, "{}", names.whole_at.len());
    }
}
