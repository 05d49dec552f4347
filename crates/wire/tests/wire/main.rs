//! What the `wire` crate promises, one file for each promise.

mod alerts;
mod client_hello;
mod corpus;
mod escaped;
mod forge;
mod http1;
mod http1_corpus;
mod http1_responses;
mod http1_write;
mod names;
mod postgres;
mod proxy_header;
mod random;
mod registry;
mod server_hello;
mod sniff;
mod splits;
