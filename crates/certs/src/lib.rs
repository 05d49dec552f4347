//! Makes certificates, classical and ML-DSA alike: a private root, what it issues, and files for both.
//!
//! Keys are our own [`Key`] and not rcgen's: rcgen 0.14 makes ML-DSA keys but cannot read them back, and it
//! keeps the encoded key in memory that nobody wipes.

mod algorithm;
mod authority;
mod error;
mod files;
mod key;
mod name;
mod self_signed;

pub use algorithm::Algorithm;
pub use authority::{Authority, Issued, RootSpec, ServerSpec};
pub use error::Error;
pub use files::{Written, write_certificate, write_issued};
pub use key::Key;
pub use name::Name;
pub use self_signed::self_signed_pair;
