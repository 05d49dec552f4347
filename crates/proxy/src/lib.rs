//! The data plane: `start(Source, Shutdown) -> Running` is the whole public API.
pub mod config;
pub mod plan;
