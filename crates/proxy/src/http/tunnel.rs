//! After an answer that switched protocols: bytes both ways, as in tcp mode.
use super::{client::Client, h1::Switched, limits, visit::Visit};
use crate::{
    failure::{Failure, Stage},
    record::Bytes,
    relay::{Idle, relay},
    upstream::Stream,
};
use portcullis_tls::failure::Fault;
use std::{future::poll_fn, io::IoSlice};
use tokio::time::Instant;

/// Passes on what was read already, and then relays until both are done.
pub(crate) async fn run(mut client: Client, switched: Switched, visit: &Visit) -> Result<(), Failure> {
    let Switched { up, early, mut record } = switched;
    let mut stream = up.stream;
    if !early.is_empty() {
        client.put(&[IoSlice::new(&early)]);
    }
    // from here on the idle limit watches; before it, whoever does not take what was said is not waited for
    let deadline = Some(Instant::now() + limits::BODY_RATE_OVER);
    let flushed = visit
        .core
        .wheel
        .within(deadline, poll_fn(|cx| client.poll_flush(cx)))
        .await;
    flushed.ok_or_else(|| slow(Fault::Client))??;
    let mut bytes = client.bytes;
    let ahead = client.inbox.take();
    let written = visit.core.wheel.within(deadline, write(&mut stream, &ahead)).await;
    written.ok_or_else(|| slow(Fault::Upstream))??;
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

async fn write(stream: &mut Stream, mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await;
        bytes = &bytes[written.map_err(|e| Failure::io(Stage::Relay, Fault::Upstream, &e))?..];
    }
    Ok(())
}

fn slow(fault: Fault) -> Failure {
    Failure::failed(Stage::Relay, fault, "takes what was said before the switch too slowly")
}
