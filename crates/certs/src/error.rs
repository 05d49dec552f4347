use crate::Algorithm;
use std::{io, path::PathBuf};

/// Why a certificate could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server certificate without a name serves nobody.
    #[error("a server certificate needs at least one name")]
    NoNames,
    /// A name that is neither a DNS name nor an address.
    #[error("name \"{name}\": {problem}")]
    BadName {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The cryptography library made no key.
    #[error("cannot make a key for {0}")]
    KeyGeneration(Algorithm),
    /// The system gave no random bytes.
    #[error("no random bytes from the system")]
    Random,
    /// A validity that ends beyond what a certificate can say.
    #[error("the validity ends beyond the year 9999")]
    ValidityTooLong,
    /// The certificate could not be encoded or signed.
    #[error("certificate: {0}")]
    Encoding(#[from] rcgen::Error),
    /// Something stands where a file should be written.
    #[error("{} is there already and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
