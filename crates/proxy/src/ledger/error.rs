//! Why a ledger cannot be opened, read or written.
use rusqlite::{Error, ErrorCode};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What is wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is no file.
    #[error("{}: no ledger there", .0.display())]
    Missing(PathBuf),
    /// The system will not have it.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file of somebody else's.
    #[error("{}: no ledger of portcullis; name another file", .0.display())]
    Foreign(PathBuf),
    /// A ledger of a later version.
    #[error("{}: written by a newer portcullis (ledger {version}); use that one, or name another file", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its tables.
        version: i64,
    },
    /// Its content is broken.
    #[error("{}: damaged ({error}); move it away, a new one will be made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: Error,
    },
    /// Somebody else holds its lock.
    #[error("{}: locked by another program", .0.display())]
    Locked(PathBuf),
    /// Anything else.
    #[error("{}: {error}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: Error,
    },
    /// The proxy that keeps it has ended.
    #[error("the proxy that keeps the ledger has ended")]
    Ended,
}

impl LedgerError {
    /// What SQLite says of a file.
    pub(super) fn of(path: &Path, error: Error) -> LedgerError {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => LedgerError::Foreign(path),
            Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path, error },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Locked(path),
            _ => LedgerError::Sqlite { path, error },
        }
    }
}
