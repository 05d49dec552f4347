//! The ledger's file under a program that is killed, and on a disk that is full.
use crate::{Site, echo_through, path};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer},
    process::{Process, portcullis},
};
use portcullis_proxy::ledger::{LedgerError, Span, read};
use rusqlite::Connection;
use rustix::process::Signal;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

const ROUNDS: u64 = 100;

/// Connections in all, of a ledger that may have been killed before it was made.
fn connections(file: &Path) -> u64 {
    let ever = Span { from: 0, to: i64::MAX };
    match read(file, ever) {
        Ok(extract) => extract.rows.iter().map(|row| row.sums.connections).sum(),
        Err(LedgerError::Missing(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn integrity(file: &Path) -> String {
    let connection = Connection::open(file).expect("the file can be opened");
    let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    check.expect("it can be checked")
}

/// Connects again and again until nobody answers.
fn storm(address: SocketAddr, begun: &AtomicU64) {
    let client = Client::new(Offer::groups("*X25519"));
    loop {
        begun.fetch_add(1, Relaxed);
        match client.connect(address) {
            Ok(conversation) => drop(conversation),
            Err(_) => return,
        }
    }
}

#[test]
fn a_hundred_kills_in_the_midst_of_flushes_break_nothing() {
    let site = Site::new(|front| front.top("workers = 1\nledger = { path = \"ledger.db\" }"));
    let file = site.file.with_file_name("ledger.db");
    let begun = AtomicU64::new(0);
    let mut before = 0;
    for round in 0..ROUNDS {
        let process = Process::serve(portcullis(&["serve", "-c", path(&site.file)]));
        let address = process.address("front");
        thread::scope(|scope| {
            scope.spawn(|| storm(address, &begun));
            // each reload flushes first; the moment of the kill wanders through them
            let end = Instant::now() + Duration::from_micros(10_000 + round * 7919 % 60_000);
            while Instant::now() < end {
                process.signal(Signal::HUP);
                thread::sleep(Duration::from_millis(1));
            }
            process.signal(Signal::KILL);
            process.end();
        });
        let now = connections(&file);
        assert!(
            before <= now && now <= begun.load(Relaxed),
            "round {round}: {before}, {now}"
        );
        before = now;
    }
    assert!(
        before > ROUNDS,
        "flushes came through: {before} of {}",
        begun.load(Relaxed)
    );
    assert_eq!(integrity(&file), "ok");
}

#[test]
fn on_a_full_disk_it_serves_on_and_writes_when_there_is_room() {
    let site = Site::new(|front| front.top("ledger = { path = \"disk/ledger.db\" }"));
    let disk = site.file.with_file_name("disk");
    fs::create_dir(&disk).expect("the temporary folder takes a folder");
    let Some(_disk) = Disk::mount(&disk) else {
        return skipped();
    };
    let process = Process::serve(portcullis(&["serve", "-c", path(&site.file)]));
    let address = process.address("front");
    let (file, filler) = (disk.join("ledger.db"), disk.join("filler"));
    echo_through(address, Offer::default());
    wait_for("the first is written", || connections(&file) == 1);
    // all that is left of the disk
    let full = fs::write(&filler, vec![0; 1 << 20]);
    assert!(full.is_err(), "the disk is full");
    for _ in 0..5 {
        echo_through(address, Offer::default());
    }
    process.event("ledger not written, its figures wait in memory");
    echo_through(address, Offer::default());
    fs::remove_file(&filler).expect("it is there");
    process.event("ledger is written again");
    wait_for("the rest is written", || connections(&file) == 7);
    assert_eq!(integrity(&file), "ok");
    process.signal(Signal::TERM);
    process.end();
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A disk of a megabyte, as long as this lives.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    /// None where that takes rights that we lack; with REQUIRE_PEERS=1 that fails the test.
    fn mount(at: &Path) -> Option<Disk<'_>> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "none"])
            .arg(at)
            .output();
        let is_there = mounted.is_ok_and(|output| output.status.success());
        let required = std::env::var("REQUIRE_PEERS").is_ok_and(|v| v == "1");
        assert!(is_there || !required, "a disk of one's own needs root");
        is_there.then_some(Disk(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // lazily: the proxy may hold its file still
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Said past the capture of tests, as peers that are missing are.
fn skipped() {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: a full disk: mounting one needs root");
}
