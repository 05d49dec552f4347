//! Makes certificates, classical and ML-DSA alike: authorities, what they issue, requests, revocation lists, and files
//! for all of them; and says what stands in such files, whoever made them.
//!
//! Keys are our own [`Key`] and not rcgen's: rcgen 0.14 makes ML-DSA keys but cannot read them back, and it
//! keeps the encoded key in memory that nobody wipes.

mod algorithm;
mod authority;
mod der;
mod error;
mod files;
mod inspect;
mod key;
mod name;
mod pbes2;
mod request;
mod revocation;
mod self_signed;
mod spec;
mod subject;

pub use algorithm::Algorithm;
pub use authority::{Authority, Issued};
pub use error::Error;
pub use files::{Existing, Written, write_certificate, write_files, write_issued};
pub use inspect::{Found, Inspection, Item, date};
pub use key::Key;
pub use name::Name;
pub use request::Request;
pub use revocation::{RevocationList, Revoked};
pub use self_signed::self_signed_pair;
pub use spec::{AuthoritySpec, LeafSpec, Purpose, RootSpec, ServerSpec};
pub use subject::Subject;
