//! After an answer that switched protocols: bytes both ways, as in tcp mode.
use super::{client::Client, h1::Switched, visit::Visit};
use crate::{
    failure::{Failure, Stage},
    record::Bytes,
    relay::{Idle, relay},
};
use portcullis_tls::failure::Fault;
use std::{future::poll_fn, io::IoSlice};

/// Passes on what was read already, and then relays until both are done.
pub(crate) async fn run(mut client: Client, switched: Switched, visit: &Visit) -> Result<(), Failure> {
    let Switched { up, early, mut record } = switched;
    let mut stream = up.stream;
    if !early.is_empty() {
        client.put(&[IoSlice::new(&early)]);
    }
    poll_fn(|cx| client.poll_flush(cx)).await?;
    let mut bytes = client.bytes;
    let ahead = client.inbox.take();
    let mut rest = &ahead[..];
    while !rest.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, rest)).await;
        rest = &rest[written.map_err(|e| Failure::io(Stage::Relay, Fault::Upstream, &e))?..];
    }
    let idle = visit
        .http
        .limits
        .upgrade_idle
        .map(|limit| Idle::new(limit, &visit.core.wheel));
    let mut moved = Bytes::default();
    let ended = relay((client.into_downstream(), stream), (idle, None), &mut moved, |read| {
        visit.core.scratch(read)
    })
    .await;
    bytes.inward += moved.inward;
    bytes.outward += moved.outward;
    visit.bytes.set(bytes);
    (record.bytes_in, record.bytes_out) = (moved.inward + ahead.len() as u64, moved.outward + early.len() as u64);
    record.end(ended.clone());
    // the server counts as busy until here
    drop(up.terms.pick);
    ended
}
