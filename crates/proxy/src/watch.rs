//! Files that change without a word: what was read from them is compared with what they hold now.
//!
//! Polling sees every way in which files are replaced (renames, a symbolic link of a folder above, a write in
//! place, network file systems) and needs no help from the kernel. A file is read only when its stamp is new, or so
//! young that a second write might have left the same stamp.
use crate::{
    clock,
    config::{LONGEST_FILE, Reading, matches},
    material::{MAX_FILE, read_up_to},
};
use std::{
    collections::HashMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Interval, MissedTickBehavior, interval},
};
use zeroize::Zeroizing;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A change is taken once two looks in a row find the same, so that what is still being written is not taken for
/// whole; and after this many looks even if it never rests.
const RESTLESS: u32 = 5;
/// Stamps have the resolution of the file system's clock: 2 s on FAT, the coarsest in use.
const YOUNG: i64 = 2;

/// What a file held, without keeping it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Print {
    /// Its length and a hash, which need not withstand an attacker: who writes there has no need to collide.
    Content(usize, u64),
    /// It could not be read.
    Unreadable(io::ErrorKind),
}

/// What every file held when it was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seen(HashMap<PathBuf, Print>);

/// What is no longer as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// The configuration itself, or what one that was rejected names.
    Configuration,
    /// Something that the one that runs names.
    Files,
}

/// What is to be looked at: the configuration where it is watched, and all that was read for it.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) configuration: Option<Reading>,
    /// What was read for one that was rejected: it may come before the files that it names.
    pub(crate) rejected: Arc<Seen>,
    pub(crate) files: Arc<Seen>,
}

/// Looks at files from a thread of the runtime's pool: a file system may take its time.
pub(crate) struct Watch {
    tick: Interval,
    looking: Option<JoinHandle<Look>>,
    look: Look,
}

/// One look at all files, kept for the next.
#[derive(Default)]
struct Look {
    stamps: HashMap<PathBuf, (Stamp, Print)>,
    /// What differed from what was read, as it was found.
    changed: Vec<(PathBuf, Print)>,
    configuration: bool,
    restless: u32,
    rests: bool,
}

/// What tells a replaced or rewritten file from its predecessor.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Print {
    /// Of a file's content, or of the error that took its place.
    pub(crate) fn of(content: &io::Result<Zeroizing<Vec<u8>>>) -> Print {
        match content {
            Ok(bytes) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(bytes);
                Print::Content(bytes.len(), hasher.finish())
            }
            Err(error) => Print::Unreadable(error.kind()),
        }
    }

    /// Of the files that match a pattern.
    fn of_matches(paths: &[PathBuf]) -> Print {
        let mut hasher = DefaultHasher::new();
        paths.hash(&mut hasher);
        Print::Content(paths.len(), hasher.finish())
    }
}

impl Seen {
    /// Keeps what a file held.
    pub(crate) fn note(&mut self, path: &Path, print: Print) {
        self.0.insert(path.to_owned(), print);
    }

    /// What a file held.
    pub(crate) fn of(&self, path: &Path) -> Option<Print> {
        self.0.get(path).copied()
    }
}

impl Watch {
    pub(crate) fn new() -> Watch {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Watch {
            tick,
            looking: None,
            look: Look::default(),
        }
    }

    /// Waits until a file has changed and come to rest. Whoever gives up waiting loses nothing.
    pub(crate) async fn changed(&mut self, watched: impl Fn() -> Watched) -> Change {
        loop {
            if self.looking.is_none() {
                self.tick.tick().await;
                let (look, watched) = (std::mem::take(&mut self.look), watched());
                self.looking = Some(spawn_blocking(move || look.again(&watched)));
            }
            let Some(looking) = &mut self.looking else { continue };
            let looked = looking.await;
            self.looking = None;
            // one that panicked is begun anew, with the next tick
            self.look = looked.unwrap_or_default();
            if let Some(change) = self.look.verdict() {
                return change;
            }
        }
    }
}

impl Look {
    /// The next look: what differs now, and whether that is what differed before.
    fn again(mut self, watched: &Watched) -> Look {
        let mut stamps = HashMap::with_capacity(watched.files.0.len());
        let mut changed = Vec::new();
        let mut look = |path: &Path, read: Print, limit: u64| {
            let known = stamps.get(path).copied().or_else(|| self.stamps.remove(path));
            let (stamp, print) = now(path, known, limit);
            if let Some(stamp) = stamp {
                stamps.insert(path.to_owned(), (stamp, print));
            }
            if print != read {
                changed.push((path.to_owned(), print));
            }
            print != read
        };
        let mut configuration = false;
        for (path, read) in watched.configuration.iter().flat_map(|reading| &reading.files) {
            configuration |= look(path, *read, LONGEST_FILE);
        }
        for (path, read) in &watched.rejected.0 {
            configuration |= look(path, *read, MAX_FILE);
        }
        for (path, read) in &watched.files.0 {
            look(path, *read, MAX_FILE);
        }
        for (pattern, matched) in watched.configuration.iter().flat_map(|reading| &reading.patterns) {
            let found = matches(pattern);
            if found != *matched {
                configuration = true;
                changed.push((PathBuf::from(pattern), Print::of_matches(&found)));
            }
        }
        changed.sort_by(|a, b| a.0.cmp(&b.0));
        Look {
            stamps,
            configuration,
            rests: changed == self.changed,
            restless: if changed.is_empty() { 0 } else { self.restless + 1 },
            changed,
        }
    }

    fn verdict(&mut self) -> Option<Change> {
        let due = !self.changed.is_empty() && (self.rests || self.restless >= RESTLESS);
        if !due {
            return None;
        }
        self.changed.clear();
        self.restless = 0;
        Some(match self.configuration {
            true => Change::Configuration,
            false => Change::Files,
        })
    }
}

/// What a file holds, read only if its stamp may hide a change.
fn now(path: &Path, known: Option<(Stamp, Print)>, limit: u64) -> (Option<Stamp>, Print) {
    let stamp = match fs::metadata(path) {
        Ok(metadata) => Stamp::of(&metadata),
        Err(error) => return (None, Print::Unreadable(error.kind())),
    };
    let print = match known {
        Some((before, print)) if before == stamp && !stamp.is_young(clock::unix_now()) => print,
        _ => Print::of(&read_up_to(limit, path)),
    };
    (Some(stamp), print)
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// A clock that runs ahead makes files young for longer, which costs reading and misses nothing.
    fn is_young(&self, now: i64) -> bool {
        self.written.0.max(self.changed.0) + YOUNG >= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(path: &Path) -> Watched {
        let mut seen = Seen::default();
        seen.note(path, Print::of(&read_up_to(MAX_FILE, path)));
        Watched {
            configuration: None,
            rejected: Arc::default(),
            files: Arc::new(seen),
        }
    }

    #[test]
    fn a_change_is_due_once_it_rests_and_at_last_even_if_it_never_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let watched = watched(&path);
        let mut look = Look::default().again(&watched);
        assert_eq!(look.verdict(), None, "nothing changed");
        fs::write(&path, "new").unwrap();
        look = look.again(&watched);
        assert_eq!(look.verdict(), None, "it may be half written");
        look = look.again(&watched);
        assert_eq!(look.verdict(), Some(Change::Files));
        for round in 1..=RESTLESS {
            fs::write(&path, format!("version {round}")).unwrap();
            look = look.again(&watched);
            let due = (round == RESTLESS).then_some(Change::Files);
            assert_eq!(look.verdict(), due, "round {round}");
        }
    }

    #[test]
    fn what_a_rejected_configuration_names_is_a_change_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("absent"), folder.path().join("other"));
        fs::write(&other, "old").unwrap();
        let watched = Watched {
            rejected: watched(&path).files,
            ..watched(&other)
        };
        fs::write(&other, "new").unwrap();
        let mut look = Look::default().again(&watched).again(&watched);
        assert_eq!(look.verdict(), Some(Change::Files));
        fs::write(&path, "it came").unwrap();
        look = look.again(&watched).again(&watched);
        assert_eq!(look.verdict(), Some(Change::Configuration));
    }

    #[test]
    fn a_file_that_goes_back_to_what_was_read_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let watched = watched(&path);
        fs::remove_file(&path).unwrap();
        let mut look = Look::default().again(&watched);
        assert_eq!(look.verdict(), None);
        fs::write(&path, "old").unwrap();
        for _ in 0..2 {
            look = look.again(&watched);
            assert_eq!(look.verdict(), None);
        }
    }

    #[test]
    fn a_swapped_folder_a_write_of_the_same_size_and_an_absent_file_are_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        for (each, content) in [(&one, "first"), (&two, "other")] {
            fs::create_dir(each).unwrap();
            fs::write(each.join("file"), content).unwrap();
        }
        let data = folder.path().join("..data");
        std::os::unix::fs::symlink(&one, &data).unwrap();
        let path = data.join("file");
        let watched = watched(&path);
        let mut look = Look::default().again(&watched);
        let swap = || {
            let draft = folder.path().join("..data_tmp");
            std::os::unix::fs::symlink(&two, &draft).unwrap();
            fs::rename(&draft, &data).unwrap();
        };
        let changes: [&dyn Fn(); 3] = [&swap, &|| fs::write(&path, "again").unwrap(), &|| {
            fs::remove_file(&path).unwrap()
        }];
        for change in changes {
            let before = look.changed.clone();
            change();
            look = look.again(&watched);
            assert_eq!(look.changed.len(), 1);
            assert_ne!(look.changed, before);
        }
    }
}
