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

/// What becomes of what stands where a file should be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// It stays, and nothing is written.
    Kept,
    /// It is replaced, at once and as a whole.
    Replaced,
}

/// Writes several files, all or none: a path that is taken is an error before the first is written. Keys, told by
/// their ending, are readable by their owner alone.
pub fn write_files(files: &[(PathBuf, &str)], existing: Existing) -> Result<(), Error> {
    if existing == Existing::Kept
        && let Some((taken, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok())
    {
        return Err(Error::Exists(taken.clone()));
    }
    let mut written = Vec::new();
    for (path, content) in files {
        let mode = if path.extension().is_some_and(|end| end == "key") {
            0o600
        } else {
            0o644
        };
        let done = match existing {
            Existing::Kept => create(path, mode, content.as_bytes()),
            Existing::Replaced => replace(path, mode, content.as_bytes()),
        };
        if let Err(error) = done {
            // ours, made a moment ago; what replaced something cannot be undone
            written
                .iter()
                .filter(|_| existing == Existing::Kept)
                .for_each(|path: &&PathBuf| {
                    let _ = fs::remove_file(path);
                });
            return Err(error);
        }
        written.push(path);
    }
    Ok(())
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

/// Whoever watches the file sees the old or the new.
fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), Error> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    // left behind by one who was killed; what else it could be is not ours to guess
    let _ = fs::remove_file(&draft);
    create(&draft, mode, content)?;
    fs::rename(&draft, path).map_err(|source| {
        let _ = fs::remove_file(&draft);
        write_error(path, source)
    })
}

fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_reads_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let written = write_issued(folder.path(), "a", &issued()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&written.key), 0o600);
        assert_eq!(fs::read_to_string(&written.key).unwrap(), "key");
        assert_eq!(fs::read_to_string(&written.chain).unwrap(), "chain");
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        for taken in ["a.pem", "a.key"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(taken);
            fs::write(&path, "mine").unwrap();
            let error = write_issued(folder.path(), "a", &issued()).unwrap_err();
            assert!(matches!(error, Error::Exists(found) if found == path));
            assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{taken}");
        }
    }

    #[test]
    fn several_files_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.pem", "b.key"].map(|name| folder.path().join(name));
        fs::write(&b, "mine").unwrap();
        let files = [(a.clone(), "1"), (b.clone(), "2")];
        let refused = write_files(&files, Existing::Kept);
        assert!(matches!(refused, Err(Error::Exists(taken)) if taken == b));
        assert!(!a.exists());
        write_files(&files, Existing::Replaced).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!((read(&a), read(&b)), ("1".to_owned(), "2".to_owned()));
        assert_eq!(fs::metadata(&b).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    fn issued() -> Issued {
        Issued {
            chain_pem: "chain".to_owned(),
            key_pem: "key".to_owned().into(),
        }
    }
}
