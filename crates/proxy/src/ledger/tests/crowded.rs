//! More fingerprints than anyone should have: memory and file stay within what docs/ledger.md says.
use super::{EVER, Kept, hybrid, one};
use crate::ledger::{
    extract, fold,
    store::{ROWS_IN_FILE, Store},
    table::ENTRIES,
};
use portcullis_wire::{CipherId, GroupId, Hello, SchemeId};
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

/// A hello whose fingerprint no other number has, with one of forty lists of groups.
fn stranger(number: u32) -> Hello {
    let [high, low] = [(number >> 16) as u16, number as u16];
    Hello {
        versions: vec![0x0304, 0x0303],
        groups: vec![GroupId(0x11ec), GroupId(1 + low % 40)],
        key_shares: vec![(GroupId(0x11ec), 1216)],
        schemes: vec![SchemeId(0x0403)],
        ciphers: vec![CipherId(high), CipherId(low)],
        ..Hello::default()
    }
}

/// File and write-ahead log.
fn size(path: &Path) -> u64 {
    let log = path.with_extension("db-wal");
    let files = [path, &log].into_iter().filter_map(|path| fs::metadata(path).ok());
    files.map(|file| file.len()).sum()
}

/// What this process holds, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells of itself");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a number of kB") * 1024
}

/// What a crowd came to.
struct Came {
    /// The most that file and log took.
    file: u64,
    /// The most that memory grew by.
    memory: u64,
    named: usize,
    kept: Kept,
    _folder: tempfile::TempDir,
}

/// So many records of so many fingerprints in two hours, ten to a network.
fn crowd(records: u32, distinct: u32, capacity: usize) -> Came {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ledger.db");
    let mut kept = Kept::new(Store::open(&path).expect("a new ledger"));
    let (before, mut memory, mut file) = (resident(), 0, 0);
    for number in 0..records {
        let who = number % distinct;
        kept.count_hello((&stranger(who), who / 10), hybrid(), one(u64::from(who % 7)));
        if number % (ENTRIES as u32 / 2) == 0 || number + 1 == records {
            kept.flush();
            fold::fold(&mut kept.store.connection, capacity).expect("it can be folded");
            memory = memory.max(resident().saturating_sub(before));
            file = file.max(size(&path));
        }
        if number == records / 2 {
            let earlier = "UPDATE tally SET bucket = bucket - 3600";
            kept.store.connection.execute(earlier, []).expect("it can be aged");
        }
    }
    let named = fold::named_rows(&kept.store.connection).expect("rows can be counted");
    Came {
        file,
        memory,
        named,
        kept,
        _folder: folder,
    }
}

#[test]
fn a_crowd_of_strangers_is_bounded_and_no_sum_is_lost() {
    let mut came = crowd(30_000, 6_000, 2_000);
    let total = came.kept.total();
    assert_eq!((total.connections, total.requests), (30_000, 60_000));
    assert!(came.named <= 2_000, "{}", came.named);
    let read = came.kept.extract();
    assert!(read.folded > 0 && read.clients.len() <= 2_001, "{}", read.clients.len());
    assert!(came.file < 12 << 20, "{} bytes", came.file);
}

#[test]
#[ignore = "by hand, some minutes: cargo test -p portcullis-proxy --lib a_million -- --ignored --nocapture"]
fn a_million_records_of_two_hundred_thousand_fingerprints_stay_within_bounds() {
    let mut came = crowd(1_000_000, 200_000, ROWS_IN_FILE);
    let read = extract::of(&mut came.kept.store.connection, EVER).unwrap();
    let (file, memory) = (came.file >> 20, came.memory >> 20);
    let (named, clients, folded) = (came.named, read.clients.len(), read.folded);
    let said =
        format!("file {file} MiB, memory {memory} MiB, {named} rows with names, {clients} clients, {folded} folded");
    writeln!(io::stderr(), "{said}").unwrap();
    assert_eq!(came.kept.total().connections, 1_000_000);
    assert!(named <= ROWS_IN_FILE && file <= 100 && memory <= 64, "{said}");
}
