//! What holds for every input, tried with damaged hellos and with noise. The fuzz targets hold the same.
use portcullis_wire::{client_hello, server_hello};

use crate::{
    corpus,
    forge::{Forge, Random, records},
};

#[test]
fn a_damaged_hello_never_panics_and_never_changes_its_mind() {
    let mut random = Random::new(4);
    let hellos = corpus::hellos();
    for round in 0..3_000 {
        let mut bytes = hellos[round % hellos.len()].1.clone();
        for _ in 0..=random.below(3) {
            damage(&mut bytes, &mut random);
        }
        holds_its_mind(&bytes, &mut random, client_hello::from_records, |progress| {
            matches!(progress, client_hello::Progress::Incomplete)
        });
        holds_its_mind(
            after_header(&bytes),
            &mut random,
            client_hello::from_handshake,
            |progress| matches!(progress, client_hello::Progress::Incomplete),
        );
    }
}

#[test]
fn noise_never_panics_and_never_changes_a_mind() {
    let mut random = Random::new(5);
    for round in 0..20_000 {
        let mut bytes = random.bytes(200);
        // Enough of a header that the noise gets past the door.
        let door: &[u8] = [
            &[22, 3, 1, 0, 150, 1, 0, 0, 146][..],
            &[22, 3, 3, 0, 90, 2, 0, 0, 86],
            &[21, 3, 3, 0, 2],
        ][round % 3];
        bytes[..door.len()].copy_from_slice(door);
        holds_its_mind(&bytes, &mut random, client_hello::from_records, |progress| {
            matches!(progress, client_hello::Progress::Incomplete)
        });
        holds_its_mind(&bytes, &mut random, server_hello::from_records, |progress| {
            matches!(progress, server_hello::Progress::Incomplete)
        });
        holds_its_mind(&bytes[5..], &mut random, server_hello::from_handshake, |progress| {
            matches!(progress, server_hello::Progress::Incomplete)
        });
    }
}

#[test]
fn a_damaged_message_means_the_same_in_records_and_in_a_stream() {
    let mut random = Random::new(6);
    for _ in 0..3_000 {
        let mut message = Forge::tls13().with(0, crate::forge::sni("shop.example.com")).message();
        let at = 4 + random.below(message.len() - 4);
        message[at] ^= 1 << random.below(8);
        let size = 4 + random.below(message.len());
        assert_eq!(
            client_hello::from_records(&records(&message, size)),
            client_hello::from_handshake(&message)
        );
    }
}

/// What a prefix says, if it says anything, is what the whole says.
fn holds_its_mind<T, E>(bytes: &[u8], random: &mut Random, read: fn(&[u8]) -> Result<T, E>, open: fn(&T) -> bool)
where
    T: PartialEq + std::fmt::Debug,
    E: PartialEq + std::fmt::Debug,
{
    let whole = read(bytes);
    let near_the_start = (0..bytes.len().min(16)).collect::<Vec<_>>();
    let anywhere = (0..8).map(|_| random.below(bytes.len() + 1));
    for n in near_the_start.into_iter().chain(anywhere) {
        let earlier = read(&bytes[..n]);
        assert!(
            earlier == whole || earlier.as_ref().is_ok_and(open),
            "{earlier:?} then {whole:?} at {n} of {bytes:02x?}"
        );
    }
}

pub(crate) fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.bytes(1)[0],
        2 => drop(bytes.remove(at)),
        _ => bytes.insert(at, random.bytes(1)[0]),
    }
}

/// A handshake stream, as good as any.
fn after_header(bytes: &[u8]) -> &[u8] {
    bytes.get(5..).unwrap_or_default()
}
