//! Requests: which route takes them, what is done to their fields, where they go, and what we answer by ourselves.
#![allow(dead_code, reason = "what the driver of http calls comes before the driver")]

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod asking;
pub(crate) mod client;
pub(crate) mod exchange;
pub(crate) mod forwarded;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod h2io;
pub(crate) mod inbox;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod passing;
pub(crate) mod path;
pub(crate) mod patience;
pub(crate) mod pool;
pub(crate) mod quiet;
pub(crate) mod rates;
pub(crate) mod record;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod rules;
pub(crate) mod service;
pub(crate) mod streamed;
pub(crate) mod tunnel;
pub(crate) mod visit;
pub(crate) mod watch;

use crate::{failure::Failure, relay::Downstream};
use client::Client;
use std::rc::Rc;
use visit::Visit;

/// Serves a client's connection to its end, in the protocol that it chose.
pub(crate) async fn serve(down: Downstream, visit: Rc<Visit>) -> Result<(), Failure> {
    let is_h2 = match &down {
        Downstream::Tls(tls) => tls.tls.alpn_protocol() == Some(b"h2"),
        Downstream::Plain(_) => false,
    };
    let client = Client::new(down);
    match is_h2 {
        true => h2::serve(client, &visit).await,
        false => h1::serve(client, &visit).await,
    }
}
