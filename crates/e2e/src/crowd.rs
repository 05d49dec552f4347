//! So many clients of such kinds at once, each with a payload of its own that must come back.
use crate::client::{Client, Conversation, Offer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::SocketAddr,
    thread,
};

/// Threads that share the work: the machine's cores decide the speed, not these.
const THREADS: usize = 8;

/// Payload bytes sent before and again after everyone has arrived: less than a socket buffers, so that
/// all may write before any reads.
const HALF: usize = 12 * 1024;

/// Some clients of one kind.
pub struct Kind {
    /// A word for it in the counts.
    pub name: &'static str,
    /// What each offers.
    pub offer: Offer,
    /// How many.
    pub count: usize,
}

/// How many clients of a kind came to which group, by OpenSSL's word.
pub type Counts = BTreeMap<(&'static str, String), usize>;

struct Guest {
    number: usize,
    kind: &'static str,
    group: String,
    conversation: Conversation,
}

/// Raises this process's limit of open files to what it may have, and says what that is.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may rise to the hard one");
    most
}

/// Lets all of them in, each in the middle of an exchange; calls `when_all_are_in` while they all are;
/// then all send the rest before any of them reads it. Every byte is compared.
pub fn run(address: SocketAddr, kinds: &[Kind], when_all_are_in: impl FnOnce()) -> Counts {
    let invited: Vec<_> = kinds
        .iter()
        .flat_map(|kind| {
            let client = Client::new(kind.offer.clone());
            (0..kind.count).map(move |_| (kind.name, client.clone()))
        })
        .enumerate()
        .collect();
    let guests = all_at_once(invited, |(number, (kind, client))| {
        let mut conversation = client.connect(address).expect("a client is let in");
        conversation.echo(&payload(number, 0));
        let group = conversation.seen().group.unwrap_or_default();
        Guest {
            number,
            kind,
            group,
            conversation,
        }
    });
    when_all_are_in();
    let guests = all_at_once(guests, |mut guest| {
        let sent = guest.conversation.write_all(&payload(guest.number, 1));
        sent.expect("a guest may speak");
        guest
    });
    let keys = all_at_once(guests, |mut guest| {
        let mut back = vec![0; HALF];
        let read = guest.conversation.read_exact(&mut back);
        read.expect("a guest is answered");
        assert!(back == payload(guest.number, 1), "each gets its own back");
        guest.conversation.close();
        (guest.kind, guest.group)
    });
    let mut counts = Counts::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Does the same to all, on a few threads, and waits for the last; panics when one of them did.
fn all_at_once<T: Send, U: Send>(all: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    let share = all.len().div_ceil(THREADS).max(1);
    let mut all = all.into_iter();
    thread::scope(|scope| {
        let mut working = Vec::new();
        loop {
            let share: Vec<T> = all.by_ref().take(share).collect();
            if share.is_empty() {
                break;
            }
            working.push(scope.spawn(|| share.into_iter().map(&work).collect::<Vec<U>>()));
        }
        let done = working.into_iter().map(|w| w.join().expect("a share of the work"));
        done.flatten().collect()
    })
}

/// Bytes that no other guest sends: a counter mixed with the guest's number (xorshift64*).
fn payload(number: usize, half: u64) -> Vec<u8> {
    let mut state = (number as u64 + 1) << 1 | half;
    let words = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes()
    });
    words.flatten().take(HALF).collect()
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn no_two_payloads_are_alike() {
        let mut seen: Vec<_> = (0..2000)
            .flat_map(|n| [payload(n, 0), payload(n, 1)])
            .map(|mut p| {
                p.truncate(16);
                p
            })
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4000);
    }
}
