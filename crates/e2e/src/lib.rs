//! What the end-to-end tests stand on: certificates, OpenSSL as client and server, a backend that
//! remembers, the proxy in this process or in its own, crowds of clients, and installed peers.
//!
//! Only tests use this crate, so it panics where a test would: a broken workbench is a failed test.
//! Everything that waits gives up after [`PATIENCE`].

use std::time::Duration;

pub mod browser;
pub mod client;
pub mod command;
pub mod crowd;
pub mod frames;
pub mod front;
pub mod guests;
pub mod peers;
pub mod pki;
pub mod process;
pub mod proxy;
pub mod script;
pub mod server;
pub mod straight;
pub mod upstream;
pub mod wire;

mod offer;
mod openssl_says;

/// How long anything may take before it is taken for broken: generous, since no test asserts a time
/// and machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
