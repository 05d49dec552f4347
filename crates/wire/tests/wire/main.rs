//! What the `wire` crate promises, one file for each promise.

mod alerts;
mod client_hello;
mod corpus;
mod escaped;
mod forge;
mod names;
mod postgres;
mod random;
mod registry;
mod server_hello;
mod sniff;
mod splits;
