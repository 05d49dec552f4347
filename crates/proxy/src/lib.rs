//! A post-quantum TLS proxy as a library: what `portcullis serve` runs, in a process of yours.
//!
//! [`start`] takes a [`Source`], which says what to run, and [`Shutdown`], which says who may end it, and returns a
//! [`Running`] once every listener accepts. A configuration is a file, the environment, flags in code, or all of them, with one
//! meaning ([`config::Source`]); every mistake in it is told at once, with its place.
//!
//! ```
//! use portcullis_proxy::{Shutdown, config::Source, start};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
//! # std::fs::write(&chain, made.cert.pem())?;
//! # std::fs::write(&key, made.signing_key.serialize_pem())?;
//! let config = Source::default()
//!     .flag("listen", "127.0.0.1:0")
//!     .flag("target", "127.0.0.1:6000")
//!     .flag("cert", chain)
//!     .flag("key", key)
//!     .flag("admin", "off");
//! let running = start(config.into(), Shutdown::Handle)?;
//! for (listener, address) in running.addresses() {
//!     println!("{listener} listens on {address}");
//! }
//! assert!(running.is_ready());
//! running.reload()?; // an error would change nothing
//! running.drain(); // stop accepting, let connections finish
//! running.wait();
//! # Ok(())
//! # }
//! ```
//!
//! What it leaves to you, because it belongs to the process and not to a proxy in it: signals (unless [`Shutdown::Signals`]
//! hands them over), the limit of open files, core dumps, the allocator, a logger for the rest of the program. It has no
//! statics and installs no default cryptography provider, so that several proxies, and other users of rustls, may
//! live in one process. Its threads are its own: no event loop is needed around it, and none is disturbed.
//!
//! Connections are told of in its log ([`Source::output`]), in [`Running::metrics`], and those of tcp sites one by one to [`Source::hook`].
//!
//! Inside, a configuration becomes a [`plan::Plan`], a plan a [`Snapshot`], and each connection runs down one straight line
//! past it: hello, site, handshake, policy, upstream, relay, record. Four programs that use this crate stand in its
//! folder `examples`: a sidecar, one run from a file, one from the environment, and one with two certificates.

pub mod config;
pub mod failure;
pub mod ledger;
pub mod picture;
pub mod plan;
pub mod report;

mod admin;
mod clock;
mod connection;
mod control;
mod core;
mod doors;
mod downstream;
mod farewell;
mod http;
mod key_log;
mod listener;
mod log;
mod material;
mod metrics;
mod opened;
mod peek;
mod quic;
mod recall;
mod record;
mod relay;
mod reload;
mod site;
mod snapshot;
mod socket;
mod start;
mod traces;
mod upstream;
mod verdict;
mod watch;
mod wheel;

pub use portcullis_tls as tls;
pub use portcullis_wire as wire;

pub use doors::AddressError;
pub use log::Output;
pub use material::{PemPair, SelfSigned};
pub use snapshot::Snapshot;
pub use start::{Admitted, Hook, ReloadError, Running, Shutdown, Source, StartError, inspect, start};
