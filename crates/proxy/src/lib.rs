//! The data plane: `start(Source, Shutdown) -> Running` is the whole public API.
//!
//! A configuration becomes a [`plan::Plan`], a plan a [`Snapshot`], and each connection runs down one straight line
//! past it: hello, site, handshake, policy, upstream, relay, record.

pub mod config;
pub mod failure;
pub mod picture;
pub mod plan;

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
mod peek;
mod recall;
mod record;
mod relay;
mod reload;
mod site;
mod snapshot;
mod socket;
mod start;
mod upstream;
mod watch;
mod wheel;

pub use doors::AddressError;
pub use log::Output;
pub use material::{PemPair, SelfSigned};
pub use snapshot::Snapshot;
pub use start::{Admitted, Hook, ReloadError, Running, Shutdown, Source, StartError, inspect, start};
