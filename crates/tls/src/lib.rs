//! Keys, certificates, policy and rustls configurations: everything Portcullis knows about TLS as a protocol.
//!
//! `provider` is the only module that names the cryptography library. What a connection may do is decided by
//! pure functions in [`policy`]; which prepared configuration serves a hello by [`server::Server::choose`].

pub mod client;
pub mod client_identity;
pub mod compression;
pub mod failure;
pub mod fingerprint;
pub mod identity;
pub mod negotiated;
pub mod policy;
pub mod profile;
pub mod quic;
pub mod reason;
pub mod records;
pub mod server;
pub mod tickets;

mod der;
mod provider;

pub use rustls;
