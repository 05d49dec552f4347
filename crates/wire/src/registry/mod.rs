//! THE TABLE: what each group, signature scheme, cipher suite and certificate algorithm is.
//!
//! Every number and name here is compared with IANA's own text by the tests.

mod ciphers;
mod groups;
mod names;
mod oids;
mod schemes;

pub use ciphers::{Cipher, CipherId};
pub use groups::{Group, GroupId, KeyExchange, Standing, default_offer};
pub use names::NameError;
pub use oids::{Oid, OidClass};
pub use schemes::{KeyKind, Scheme, SchemeId};

/// One of the sixteen values that RFC 8701 reserves in every two-byte registry to keep servers tolerant.
pub fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
