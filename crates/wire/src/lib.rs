//! Bytes of TLS and HTTP/1.1, and nothing but bytes: no I/O, no clock, no cryptography.
//!
//! The registry says what a group or a signature is; the parsers read what a peer sent, strictly and
//! within limits; [`Escaped`] is what every string typed by a peer passes before a person or a log sees it.

pub mod alert;
pub mod client_hello;
pub mod http1;
pub mod ja4;
pub mod postgres;
pub mod proxy_header;
pub mod record;
pub mod registry;
pub mod server_hello;
pub mod sniff;

mod escaped;
mod handshake;
mod reader;

pub use client_hello::Hello;
pub use escaped::Escaped;
pub use registry::{CipherId, GroupId, KeyExchange, SchemeId};
