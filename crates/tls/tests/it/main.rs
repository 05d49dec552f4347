//! The crate from outside, in handshakes that never leave memory.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows a test by its attribute, not what tests call"
)]

mod bad_files;
mod broken_records;
mod by_hand;
mod choice;
mod client_auth;
mod clients;
mod compression;
mod demands;
mod failures;
mod forger;
mod handshakes;
mod keys;
mod lab;
mod liars;
mod quic;
mod raw_keys;
mod records;
mod resumption;
