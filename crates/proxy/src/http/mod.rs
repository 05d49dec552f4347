//! Requests: which route takes them, what is done to their fields, where they go, and what we answer by ourselves.

pub(crate) mod access;
pub(crate) mod alternative;
pub(crate) mod answer;
pub(crate) mod asking;
pub(crate) mod calm;
pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod exchange;
pub(crate) mod forbidden;
pub(crate) mod forwarded;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod h2io;
pub(crate) mod h2stream;
pub(crate) mod h3;
pub(crate) mod inbox;
pub(crate) mod lease;
pub(crate) mod limits;
pub(crate) mod multiplex;
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
pub(crate) mod routes;
pub(crate) mod rules;
pub(crate) mod sent;
pub(crate) mod service;
pub(crate) mod sticky;
pub(crate) mod streamed;
pub(crate) mod streams;
pub(crate) mod tunnel;
pub(crate) mod visit;
pub(crate) mod watch;

use crate::{
    failure::Failure,
    relay::{Downstream, SCRATCH},
};
use client::Client;
use portcullis_wire::sniff::{Sniffed, sniff};
use std::{future::poll_fn, rc::Rc};
use tokio::time::Instant;
use visit::Visit;

/// Serves a client's connection to its end, in the protocol that it chose.
pub(crate) async fn serve(down: Downstream, visit: Rc<Visit>) -> Result<(), Failure> {
    let chosen = match &down {
        Downstream::Tls(tls) => Some(tls.tls.alpn_protocol() == Some(b"h2")),
        Downstream::Plain(_) => None,
    };
    let mut client = Client::new(down);
    let is_h2 = match chosen {
        Some(is_h2) => is_h2,
        None => begins_with_preface(&mut client, &visit).await?,
    };
    match is_h2 {
        // on the heap: it is larger than all that a connection of another kind holds
        true => Box::pin(h2::serve(client, &visit)).await,
        false => h1::serve(client, &visit).await,
    }
}

/// Without TLS the first bytes tell (RFC 9113 3.3). Who says nothing, or too little, is for HTTP/1.1 to deal with.
async fn begins_with_preface(client: &mut Client, visit: &Visit) -> Result<bool, Failure> {
    let deadline = visit.http.limits.head.map(|limit| Instant::now() + limit);
    loop {
        match sniff(client.inbox.bytes()) {
            Sniffed::Http2 => return Ok(true),
            Sniffed::Unsure => {}
            Sniffed::Http1 | Sniffed::Tls | Sniffed::PostgresTls | Sniffed::Other => return Ok(false),
        }
        let filled = poll_fn(|cx| h1::lent(&visit.core, |scratch| client.poll_fill(cx, (scratch, SCRATCH))));
        let Some(filled) = visit.core.wheel.within(deadline, filled).await else {
            return Ok(false);
        };
        if filled? == 0 {
            return Ok(false);
        }
    }
}
