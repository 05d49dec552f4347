//! HTTP/1.1 as bytes (RFC 9112), strictly: heads, bodies and paths of both directions, without I/O.
//!
//! What two readers could understand differently is refused, never repaired: a proxy that guesses is how a
//! request gets smuggled past it. Nothing is copied and nothing allocated but trailers and paths that change.

mod bad;
mod chunks;
mod fields;
mod framing;
mod hop;
mod host;
mod lines;
mod request;
mod response;
mod target;
mod token;

pub mod path;
pub mod write;

pub use bad::Bad;
pub use chunks::{Chunks, MAX_TRAILERS, Trailers};
pub use fields::{Field, Fields, MAX_FIELDS, NO_FIELD};
pub use framing::{Framing, Step};
pub use hop::{Hop, is_hop_by_hop};
pub use host::is_host;
pub use lines::{Awaited, MAX_FIRST_LINE, MAX_HEAD};
pub use request::{RequestHead, request};
pub use response::{Asked, ResponseHead, response};
pub use target::Target;
pub use token::{is_field_name, is_field_value, is_method, is_same_to_a_gateway, is_token};

/// The versions that are spoken here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// HTTP/1.0: no persistence unless asked for, no chunks.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// RFC 9112 section 2.3: the name is written in capitals, each number is one digit.
fn version(text: &[u8]) -> Result<Version, Bad> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Bad::new(505, "the version is neither HTTP/1.1 nor HTTP/1.0"))
        }
        _ => Err(Bad::syntax("the version is malformed")),
    }
}
