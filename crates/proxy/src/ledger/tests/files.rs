//! Files that are not what they should be, and several who write one.
use super::{EVER, Kept, hybrid, one};
use crate::ledger::{LedgerError, Span, read, store::Store};
use rusqlite::Connection;
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, thread};

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ledger.db");
    (folder, path)
}

#[test]
fn a_ledger_is_its_owners_alone() {
    let (_folder, path) = place();
    let mut kept = Kept::new(Store::open(&path).unwrap());
    kept.count((1, 1), hybrid(), one(1));
    kept.flush();
    for file in [
        path.clone(),
        path.with_extension("db-wal"),
        path.with_extension("db-shm"),
    ] {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn what_is_no_ledger_is_refused_with_a_reason_and_left_as_it_was() {
    let (folder, path) = place();
    let [foreign, newer, text] = ["foreign", "newer", "text"].map(|name| folder.path().join(name));
    let tables = Connection::open(&foreign).unwrap();
    tables.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(Store::open(&newer).unwrap());
    let raised = Connection::open(&newer).unwrap();
    raised.pragma_update(None, "user_version", 2).unwrap();
    drop((tables, raised));
    fs::write(&text, "no database\n".repeat(100)).unwrap();
    let content = || [&foreign, &newer, &text].map(|file| fs::read(file).unwrap());
    let before = content();
    assert!(matches!(Store::open(&foreign), Err(LedgerError::Foreign(_))));
    assert!(matches!(
        Store::open(&newer),
        Err(LedgerError::Newer { version: 2, .. })
    ));
    assert!(matches!(Store::open(&text), Err(LedgerError::Foreign(_))));
    let nowhere = folder.path().join("none/ledger.db");
    assert!(matches!(Store::open(&nowhere), Err(LedgerError::File { .. })));
    assert!(matches!(read(&path, EVER), Err(LedgerError::Missing(_))));
    assert!(matches!(read(&foreign, EVER), Err(LedgerError::Foreign(_))));
    assert!(content() == before);
}

#[test]
fn a_damaged_file_is_told() {
    let (_folder, path) = place();
    let mut kept = Kept::new(Store::open(&path).unwrap());
    for number in 0..300 {
        kept.count((1, number), hybrid(), one(1));
    }
    kept.flush();
    drop(kept);
    let mut bytes = fs::read(&path).unwrap();
    // every page but the first
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let told = [Store::open(&path).map(drop), read(&path, EVER).map(drop)];
    for told in told {
        assert!(matches!(told, Err(LedgerError::Damaged { .. })), "{told:?}");
    }
}

#[test]
fn several_stores_on_one_file_add_up() {
    let (_folder, path) = place();
    let write = |path: PathBuf| {
        move || {
            let mut kept = Kept::new(Store::open(&path).expect("it waits for the others"));
            for number in 0..50 {
                kept.count((1, number), hybrid(), one(1));
                kept.flush();
            }
        }
    };
    let writers: Vec<_> = (0..4).map(|_| thread::spawn(write(path.clone()))).collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let read = read(&path, EVER).unwrap();
    let connections: u64 = read.rows.iter().map(|row| row.sums.connections).sum();
    assert_eq!((connections, read.clients.len()), (200, 50));
}

#[test]
fn a_span_takes_the_buckets_that_overlap_it() {
    let (_folder, path) = place();
    let mut kept = Kept::new(Store::open(&path).unwrap());
    kept.count((1, 1), hybrid(), one(1));
    kept.flush();
    let bucket = kept.extract().over_time[0].bucket;
    let rows = |from, to| read(&path, Span { from, to }).unwrap().rows.len();
    assert_eq!(
        (rows(bucket + 3599, bucket + 9999), rows(bucket - 9, bucket + 1)),
        (1, 1)
    );
    assert_eq!((rows(bucket + 3600, bucket + 9999), rows(bucket - 9, bucket)), (0, 0));
}
