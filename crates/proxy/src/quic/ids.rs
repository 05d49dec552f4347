//! Connection ids that say on which core a connection lives, and to nobody else.
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

/// A nonce, and behind it the core and a check, both under a mask that only the nonce and our key give. One in 65,536 of
/// the ids that clients choose looks like ours, which costs a hand-over.
pub(crate) const LENGTH: usize = NONCE + CORE + CHECK;
const NONCE: usize = 8;
const CORE: usize = 2;
const CHECK: usize = 2;

/// The keys, the same for all cores and endpoints of a process.
#[derive(Default)]
pub(crate) struct Ids {
    nonces: RandomState,
    masks: RandomState,
}

/// Makes the ids of one endpoint.
pub(crate) struct Mint {
    ids: Arc<Ids>,
    core: u16,
    /// No two endpoints count the same.
    lane: u64,
    next: u64,
}

impl Ids {
    /// The core of one of our ids; None: somebody else made it.
    pub(crate) fn core_of(&self, id: &[u8]) -> Option<usize> {
        let (nonce, masked) = id.split_at_checked(NONCE).filter(|_| id.len() == LENGTH)?;
        let mask = self.mask(nonce.try_into().ok()?);
        let [high, low, rest @ ..] = masked else { return None };
        let is_ours = rest == &mask[CORE..];
        is_ours.then(|| usize::from(u16::from_be_bytes([high ^ mask[0], low ^ mask[1]])))
    }

    fn mask(&self, nonce: [u8; NONCE]) -> [u8; CORE + CHECK] {
        let [a, b, c, d, ..] = self.masks.hash_one(nonce).to_be_bytes();
        [a, b, c, d]
    }
}

impl Mint {
    /// For an endpoint of this core; `lane` is another for each.
    pub(crate) fn new(ids: &Arc<Ids>, core: usize, lane: u64) -> Mint {
        Mint {
            ids: ids.clone(),
            core: core as u16,
            lane,
            next: 0,
        }
    }
}

impl ConnectionIdGenerator for Mint {
    /// A nonce is a keyed hash of a count: nobody can tell which ids are of one connection (RFC 9000 5.1).
    fn generate_cid(&mut self) -> ConnectionId {
        self.next += 1;
        let nonce = self.ids.nonces.hash_one((self.lane, self.next)).to_be_bytes();
        let mask = self.ids.mask(nonce);
        let core = self.core.to_be_bytes();
        let mut id = [0; LENGTH];
        id[..NONCE].copy_from_slice(&nonce);
        id[NONCE..].copy_from_slice(&mask);
        id[NONCE] ^= core[0];
        id[NONCE + 1] ^= core[1];
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        self.ids.core_of(id).map(|_| ()).ok_or(InvalidCid)
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The destination of a datagram's first packet (RFC 8999 5.1, 5.2: the same in every version).
pub(crate) fn destination(datagram: &[u8]) -> Option<&[u8]> {
    /// The first byte, and the version.
    const BEFORE_ID: usize = 1 + 4;
    let is_long = datagram.first()? & 0x80 != 0;
    match is_long {
        true => {
            let length = usize::from(*datagram.get(BEFORE_ID)?);
            datagram.get(BEFORE_ID + 1..)?.get(..length)
        }
        false => datagram.get(1..)?.get(..LENGTH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_id_leads_to_its_core_and_no_two_are_the_same() {
        let ids = Arc::new(Ids::default());
        let mut seen = HashSet::new();
        for (lane, core) in [0_usize, 1, 3, 255, 256, 65_535].into_iter().enumerate() {
            let mut mint = Mint::new(&ids, core, lane as u64);
            for _ in 0..500 {
                let id = mint.generate_cid();
                assert_eq!(id.len(), LENGTH);
                assert_eq!(ids.core_of(&id), Some(core));
                assert!(mint.validate(&id).is_ok());
                assert!(seen.insert(id.to_vec()));
            }
        }
    }

    #[test]
    fn ids_of_others_lead_nowhere() {
        let (ours, theirs) = (Arc::new(Ids::default()), Arc::new(Ids::default()));
        let mut mint = Mint::new(&theirs, 1, 0);
        let taken = (0..10_000)
            .filter(|_| ours.core_of(&mint.generate_cid()).is_some())
            .count();
        assert!(taken < 10, "{taken} of 10,000 were taken for ours");
        assert_eq!(ours.core_of(&[7; 8]), None);
        assert_eq!(ours.core_of(&[7; 20]), None);
        assert_eq!(ours.core_of(&[]), None);
    }

    #[test]
    fn one_connection_s_ids_have_nothing_in_common() {
        let ids = Arc::new(Ids::default());
        let mut mint = Mint::new(&ids, 3, 0);
        let made: Vec<ConnectionId> = (0..256).map(|_| mint.generate_cid()).collect();
        for place in 0..LENGTH {
            let values: HashSet<u8> = made.iter().map(|id| id[place]).collect();
            // 256 draws of 256 values come to 162 on average
            assert!(values.len() > 120, "byte {place} takes {} values", values.len());
        }
    }

    #[test]
    fn a_datagram_s_destination_is_where_rfc_8999_has_it() {
        let mut long = vec![0xc0, 0, 0, 0, 1, 5];
        long.extend([1, 2, 3, 4, 5, 8, 8]);
        assert_eq!(destination(&long), Some(&[1, 2, 3, 4, 5][..]));
        assert_eq!(destination(&long[..9]), None);
        assert_eq!(destination(&[0xc0, 0, 0]), None);
        let short: Vec<u8> = (0x40..0x60).collect();
        assert_eq!(destination(&short), Some(&short[1..=LENGTH]));
        assert_eq!(destination(&short[..LENGTH]), None);
        assert_eq!(destination(&[]), None);
    }
}
