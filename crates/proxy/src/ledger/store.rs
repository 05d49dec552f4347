//! A ledger's file, or the memory that stands for it: opened, made, and told from files of others.
use super::{
    error::LedgerError,
    schema::{APPLICATION, CREATE, VERSION},
};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long another program may hold the lock: an operator's query takes less, and longer ones are waited out by
/// keeping the figures until the next flush.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pages that SQLite keeps, in KiB.
const CACHE: i64 = 4096;
/// What the write-ahead log is cut back to after a checkpoint, in bytes.
const LOG_SIZE: i64 = 8 << 20;
/// Rows that bear a name, in a file: with their names and offers it stays below about 100 MB.
pub(super) const ROWS_IN_FILE: usize = 250_000;
/// And in memory: below about 16 MB.
pub(super) const ROWS_IN_MEMORY: usize = 25_000;

/// An open ledger.
pub(super) struct Store {
    pub(super) connection: Connection,
    /// Where it is, and which file that was: one that was moved away is no longer it. None: in memory.
    place: Option<(PathBuf, (u64, u64))>,
    /// Keys the hashes of addresses.
    pub(super) secret: [u8; 32],
}

impl Store {
    /// The ledger in this file, made if there is none.
    pub(super) fn open(path: &Path) -> Result<Store, LedgerError> {
        let failed = |error| LedgerError::of(path, error);
        create(path)?;
        let file = identity(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        if !is_empty(&connection).map_err(failed)? {
            check(&connection, path)?;
        }
        prepare(&mut connection).map_err(failed)?;
        // another process may have made it meanwhile
        check(&connection, path)?;
        let secret = secret(&connection).map_err(failed)?;
        Ok(Store {
            connection,
            place: Some((path.to_owned(), file)),
            secret,
        })
    }

    /// One that ends with the process.
    pub(super) fn in_memory() -> rusqlite::Result<Store> {
        let mut connection = Connection::open_in_memory()?;
        prepare(&mut connection)?;
        let secret = secret(&connection)?;
        Ok(Store {
            connection,
            place: None,
            secret,
        })
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.place.as_ref().map(|(path, _)| path.as_path())
    }

    /// Rows with a name that it may hold.
    pub(super) fn capacity(&self) -> usize {
        match self.place {
            Some(_) => ROWS_IN_FILE,
            None => ROWS_IN_MEMORY,
        }
    }

    /// Its file is no longer where it was: whoever moved it away wants a new one.
    pub(super) fn is_gone(&self) -> bool {
        let Some((path, file)) = &self.place else { return false };
        identity(path).ok() != Some(*file)
    }
}

/// A file to look into, also while a proxy writes it.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    identity(path)?;
    let attempt = |name: &Path, flags: OpenFlags| -> rusqlite::Result<(bool, Connection)> {
        let connection = Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(PATIENCE)?;
        Ok((is_empty(&connection)?, connection))
    };
    let connection = attempt(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = connection.or_else(|error| match immutable(path) {
        // in a folder that we may not write to, and with nobody who writes it
        Some(name) => attempt(&name, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI),
        None => Err(error),
    });
    let (is_empty, connection) = connection.map_err(|error| LedgerError::of(path, error))?;
    if is_empty {
        // killed before its first transaction
        return Err(LedgerError::Missing(path.to_owned()));
    }
    check(&connection, path)?;
    Ok(connection)
}

/// The same file as one that cannot change; None where a write-ahead log says that it does.
fn immutable(path: &Path) -> Option<PathBuf> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return None;
    }
    let escaped = path
        .to_str()?
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Some(format!("file:{escaped}?immutable=1").into())
}

/// An empty file for its owner alone; one that is there keeps its mode.
fn create(path: &Path) -> Result<(), LedgerError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(LedgerError::File {
            path: path.to_owned(),
            error,
        }),
        _ => Ok(()),
    }
}

fn identity(path: &Path) -> Result<(u64, u64), LedgerError> {
    match fs::metadata(path) {
        Ok(file) => Ok((file.dev(), file.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LedgerError::Missing(path.to_owned())),
        Err(error) => Err(LedgerError::File {
            path: path.to_owned(),
            error,
        }),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let failed = |error| LedgerError::of(path, error);
    if pragma(connection, "application_id").map_err(failed)? != APPLICATION {
        return Err(LedgerError::Foreign(path.to_owned()));
    }
    match pragma(connection, "user_version").map_err(failed)? {
        VERSION => Ok(()),
        version => Err(LedgerError::Newer {
            path: path.to_owned(),
            version,
        }),
    }
}

/// Settings of a connection, and the tables where there are none.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if is_empty(connection)? {
        // takes effect only before the first table
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // a kill loses nothing that was committed, a power cut perhaps the last flush; neither breaks the file
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_SIZE, |_| Ok(()))?;
    let making = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_empty(&making)? {
        making.execute_batch(CREATE)?;
        making.pragma_update(None, "application_id", APPLICATION)?;
        making.pragma_update(None, "user_version", VERSION)?;
    }
    making.commit()
}

fn secret(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    connection.query_row("SELECT value FROM meta WHERE key = 'secret'", [], |row| row.get(0))
}
