use crate::Algorithm;
use std::{io, path::PathBuf};

/// Why a certificate, key, request or list could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server certificate without a name serves nobody.
    #[error("a server certificate needs at least one name")]
    NoNames,
    /// A client certificate stands for somebody.
    #[error("a client certificate needs a name or a subject")]
    Nobody,
    /// A name of no known form.
    #[error("name \"{name}\": {problem}")]
    BadName {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A subject that is none.
    #[error("subject \"{subject}\": {problem}")]
    BadSubject {
        /// As it was given.
        subject: String,
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
    /// Something that was given cannot be used.
    #[error("{what}: {problem}")]
    Unusable {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
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

pub(crate) fn unusable(what: &'static str, problem: impl Into<String>) -> Error {
    Error::Unusable {
        what,
        problem: problem.into(),
    }
}
