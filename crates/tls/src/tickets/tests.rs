use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

const HOUR: Duration = Duration::from_secs(3600);

fn living(lifetime: Duration) -> Resumption {
    Resumption::living(lifetime)
}

fn sharing(secret: &[u8]) -> Resumption {
    Resumption {
        secret: Some(Arc::new(SharedSecret::new(secret).unwrap())),
        ..living(HOUR)
    }
}

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
        let sealer = tickets.sealer([1; 32], &living(HOUR));
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
    let ticket = tickets.sealer([1; 32], &living(HOUR)).encrypt(b"session").unwrap();
    assert_eq!(tickets.sealer([2; 32], &living(HOUR)).decrypt(&ticket), None);
    assert_eq!(
        tickets.sealer([1; 32], &living(HOUR)).decrypt(&ticket).unwrap(),
        b"session"
    );
    assert_eq!(at(0).0.sealer([1; 32], &living(HOUR)).decrypt(&ticket), None);
}

#[test]
fn a_period_has_one_secret_and_the_next_another() {
    let (tickets, time) = at(10);
    let sealer = tickets.sealer([1; 32], &living(HOUR));
    let first = sealer.encrypt(b"session").unwrap();
    assert_eq!(first[..8], sealer.encrypt(b"session").unwrap()[..8]);
    time.store(3600, Ordering::Relaxed);
    assert_ne!(first[..8], sealer.encrypt(b"session").unwrap()[..8]);
    // the clock is not believed when it goes back: no second secret for an old period
    time.store(20, Ordering::Relaxed);
    let other = tickets.sealer([2; 32], &living(HOUR));
    for sealer in [sealer, other] {
        assert_ne!(first[..8], sealer.encrypt(b"session").unwrap()[..8]);
    }
}

#[test]
fn after_two_periods_no_key_is_left_for_an_old_ticket() {
    let (tickets, time) = at(0);
    let sealer = tickets.sealer([1; 32], &living(HOUR));
    let old = sealer.encrypt(b"session").unwrap();
    time.store(7200, Ordering::Relaxed);
    sealer.encrypt(b"session").unwrap();
    let Origin::Own(rotor) = &sealer.origin else {
        panic!("nobody shares a secret here");
    };
    assert!(lock(&rotor.secrets).as_ref().unwrap().previous.is_none());
    // even with the clock back where the ticket was fresh
    time.store(0, Ordering::Relaxed);
    assert_eq!(sealer.decrypt(&old), None);
}

#[test]
fn rotation_needs_no_visitors() {
    let (tickets, time) = at(0);
    let sealer = tickets.sealer([1; 32], &living(HOUR));
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
    let sealer = tickets.sealer([1; 32], &living(30 * 24 * HOUR));
    assert_eq!(sealer.lifetime(), 7 * 24 * 3600);
    assert_eq!(tickets.sealer([2; 32], &living(HOUR)).lifetime(), 3600);
}

#[test]
fn a_changed_ticket_does_not_open() {
    let (tickets, _) = at(0);
    let sealer = tickets.sealer([1; 32], &living(HOUR));
    let ticket = sealer.encrypt(b"session").unwrap();
    for at in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[at] ^= 1;
        assert_eq!(sealer.decrypt(&changed), None, "byte {at}");
        assert_eq!(sealer.decrypt(&ticket[..at]), None, "cut at {at}");
    }
}

#[test]
fn processes_with_one_secret_open_each_others_tickets_within_a_period_of_skew() {
    let now = 1_000_000 * 3600 + 100;
    let (ours, _) = at(now);
    let ours = ours.sealer([1; 32], &sharing(&[7; 32]));
    let ticket = ours.encrypt(b"session").unwrap();
    let back = |skew: i64| now.checked_add_signed(skew).unwrap();
    // a clock behind, alike, ahead; and one for which the ticket's time is over
    for (skew, opens) in [
        (-3600, true),
        (0, true),
        (3600, true),
        (3601, false),
        (-3701, false),
        (7200, false),
    ] {
        let (theirs, _) = at(back(skew));
        let opened = theirs.sealer([1; 32], &sharing(&[7; 32])).decrypt(&ticket);
        assert_eq!(opened.is_some(), opens, "skew {skew}");
    }
    let (theirs, _) = at(now);
    assert_eq!(
        theirs.sealer([2; 32], &sharing(&[7; 32])).decrypt(&ticket),
        None,
        "context"
    );
    assert_eq!(
        theirs.sealer([1; 32], &sharing(&[8; 32])).decrypt(&ticket),
        None,
        "secret"
    );
    assert_eq!(
        theirs.sealer([1; 32], &living(HOUR)).decrypt(&ticket),
        None,
        "none shared"
    );
}

#[test]
fn the_keys_of_a_shared_secret_follow_the_wall_clock_both_ways() {
    let (tickets, time) = at(10 * 3600);
    let sealer = tickets.sealer([1; 32], &sharing(&[7; 32]));
    let period = |ticket: Vec<u8>| u64::from_be_bytes(*ticket.first_chunk().unwrap());
    for hour in [10, 11, 9] {
        time.store(hour * 3600, Ordering::Relaxed);
        assert_eq!(period(sealer.encrypt(b"session").unwrap()), hour);
    }
    time.store(12 * 3600, Ordering::Relaxed);
    tickets.rotate();
    assert!(sealer.keys.load().is_none(), "old keys are not kept");
}

#[test]
fn a_changed_secret_ends_what_was_sealed_with_the_old_one() {
    let (tickets, _) = at(3600);
    let before = tickets.sealer([1; 32], &sharing(&[7; 32]));
    let ticket = before.encrypt(b"session").unwrap();
    let same = tickets.sealer([1; 32], &sharing(&[7; 32]));
    assert!(Arc::ptr_eq(&before, &same));
    assert_eq!(tickets.sealer([1; 32], &sharing(&[8; 32])).decrypt(&ticket), None);
}

#[test]
fn a_short_secret_is_refused() {
    assert_eq!(SharedSecret::new(&[7; 31]), Err(SecretTooShort { found: 31 }));
    assert!(SharedSecret::new(&[7; 32]).is_ok());
}

#[test]
fn a_store_survives_as_long_as_somebody_uses_it() {
    let (tickets, time) = at(0);
    let before = tickets.store([1; 32], &living(HOUR));
    before.put(vec![1], vec![2]);
    let after = tickets.store([1; 32], &living(HOUR));
    drop(before);
    assert_eq!(after.get(&[1]), Some(vec![2]));
    assert_eq!(tickets.store([2; 32], &living(HOUR)).get(&[1]), None);
    time.store(3601, Ordering::Relaxed);
    assert_eq!(after.take(&[1]), None);
    drop(after);
    tickets.rotate();
    assert!(lock(&tickets.rooms).stores.is_empty());
}
