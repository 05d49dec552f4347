use crate::{Error, Issued};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where a certificate and its key were written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The chain, readable by all.
    pub chain: PathBuf,
    /// The key, readable by its owner alone.
    pub key: PathBuf,
}

/// Writes `STEM.pem` and `STEM.key` into a folder. Nothing is overwritten, and either both files stand
/// afterwards or neither.
pub fn write_issued(folder: &Path, stem: &str, issued: &Issued) -> Result<Written, Error> {
    let written = Written {
        chain: folder.join(format!("{stem}.pem")),
        key: folder.join(format!("{stem}.key")),
    };
    write_certificate(&written.chain, &issued.chain_pem)?;
    let key = create(&written.key, 0o600, issued.key_pem.as_bytes());
    if key.is_err() {
        // the chain is ours, made a moment ago; that it cannot be removed changes nothing of the error
        let _ = fs::remove_file(&written.chain);
    }
    key.map(|()| written)
}

/// Writes certificates to a new file, readable by all.
pub fn write_certificate(path: &Path, pem: &str) -> Result<(), Error> {
    create(path, 0o644, pem.as_bytes())
}

fn create(path: &Path, mode: u32, content: &[u8]) -> Result<(), Error> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => write_error(path, source),
        })?;
    file.write_all(content).map_err(|source| {
        // half a file is worse than none, and it is not what was there before: nothing was
        let _ = fs::remove_file(path);
        write_error(path, source)
    })
}

fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}
