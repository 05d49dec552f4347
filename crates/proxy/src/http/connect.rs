//! Extended CONNECT (RFC 8441): a stream of HTTP/2 that goes on in another protocol, at a server of HTTP/1.1.
use super::{
    h1::{Switched, lent},
    limits,
    visit::Visit,
    watch::UnderWay,
};
use crate::{
    failure::{Failure, Stage},
    record::Bytes,
    relay::Idle,
    upstream::Stream,
    wheel::Alarm,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{
    rt::{Read, ReadBuf, Write},
    upgrade::{OnUpgrade, Upgraded},
};
use portcullis_tls::failure::Fault;
use std::{
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Reads of either side: a piece waits while the other does not take it, and no more is read then.
const WINDOW: usize = 32 * 1024;
/// Bytes one direction may move before other connections of the core get their turn.
const TURN: usize = 256 * 1024;
/// How often a stream whose client has ended its direction is looked at: the library tells of a reset only who writes.
const LOOK: Duration = Duration::from_secs(1);

/// A nonce for the handshake of a WebSocket (RFC 6455 4.1), which HTTP/2 has none of (RFC 8441 5). Nothing rests on it.
pub(super) fn websocket_key(id: u64) -> String {
    let half = || RandomState::new().hash_one(id).to_be_bytes();
    STANDARD.encode([half(), half()].concat())
}

/// Passes bytes on both ways until both are done. Its connection waits for it.
pub(super) async fn run(upgrade: OnUpgrade, switched: Switched, visit: Rc<Visit>) {
    let _under_way = UnderWay::new(&visit);
    let Switched { up, early, mut record } = switched;
    let deadline = Some(Instant::now() + limits::BODY_RATE_OVER);
    let Some(Ok(down)) = visit.core.wheel.within(deadline, upgrade).await else {
        let gone = Failure::failed(Stage::Relay, Fault::Client, "its stream ended before the switch");
        return record.end(Err(gone));
    };
    let idle = visit.http.limits.upgrade_idle;
    let mut crossing = Crossing {
        down,
        up: up.stream,
        inward: Direction::default(),
        outward: Direction {
            spill: early,
            ..Direction::default()
        },
        moved: Bytes::default(),
        idle: idle.map(|limit| Idle::new(limit, &visit.core.wheel)),
        look: visit.core.wheel.alarm(Instant::now() + LOOK),
    };
    let ended = poll_fn(|cx| lent(&visit.core, |scratch| crossing.poll(cx, scratch))).await;
    if ended.is_err() {
        crossing.up.socket().reset_on_close();
    }
    (record.bytes_in, record.bytes_out) = (crossing.moved.inward, crossing.moved.outward);
    record.end(ended);
    // the server counts as busy until here
    drop(up.terms.pick);
}

/// Both ends, and how far each direction is.
struct Crossing {
    down: Upgraded,
    up: Stream,
    inward: Direction,
    outward: Direction,
    moved: Bytes,
    idle: Option<Idle>,
    look: Alarm,
}

#[derive(Default)]
struct Direction {
    /// Read and not yet taken, and how much of it was.
    spill: Vec<u8>,
    sent: usize,
    ended: Ended,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Ended {
    #[default]
    No,
    /// Its source ended.
    Source,
    /// And its sink was told.
    Passed,
}

/// What one turn of a direction came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It waits, or is over.
    Blocked,
    /// It could go on, but others wait.
    Yield,
}

impl Crossing {
    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<(), Failure>> {
        let window = WINDOW.min(scratch.len());
        let scratch = &mut scratch[..window];
        let turns = [self.poll_inward(cx, scratch)?, self.poll_outward(cx, scratch)?];
        if self.inward.ended == Ended::Passed && self.outward.ended == Ended::Passed {
            return Poll::Ready(Ok(()));
        }
        if turns.contains(&Turn::Yield) {
            cx.waker().wake_by_ref();
        }
        self.look(cx)?;
        match &mut self.idle {
            Some(idle) => idle.poll(cx, self.moved.inward + self.moved.outward),
            None => Poll::Pending,
        }
    }

    /// The library takes a stream that its client gave up for one that ended; whether it takes more tells.
    fn look(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while self.inward.ended != Ended::No && self.look.poll(cx).is_ready() {
            self.look.reset(Instant::now() + LOOK);
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.down).poll_flush(cx) {
                return Err(lost(Fault::Client)(error));
            }
        }
        Ok(())
    }

    /// From the client to the server.
    fn poll_inward(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<Turn, Failure> {
        let (direction, before) = (&mut self.inward, self.moved.inward);
        while direction.ended != Ended::Passed {
            let Poll::Ready(written) = direction.poll_spill(|bytes| self.up.poll_write(cx, bytes)) else {
                return Ok(Turn::Blocked);
            };
            self.moved.inward += written.map_err(lost(Fault::Upstream))?;
            if direction.waits() {
                continue;
            }
            let Poll::Ready(flushed) = self.up.poll_flush(cx) else {
                return Ok(Turn::Blocked);
            };
            flushed.map_err(lost(Fault::Upstream))?;
            if direction.ended == Ended::Source {
                let Poll::Ready(told) = self.up.poll_shutdown_write(cx) else {
                    return Ok(Turn::Blocked);
                };
                told.map_err(lost(Fault::Upstream))?;
                direction.ended = Ended::Passed;
                break;
            }
            if self.moved.inward - before >= TURN as u64 {
                return Ok(Turn::Yield);
            }
            let mut buffer = ReadBuf::new(scratch);
            let Poll::Ready(read) = Pin::new(&mut self.down).poll_read(cx, buffer.unfilled()) else {
                return Ok(Turn::Blocked);
            };
            read.map_err(lost(Fault::Client))?;
            direction.take(buffer.filled());
        }
        Ok(Turn::Blocked)
    }

    /// From the server to the client.
    fn poll_outward(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<Turn, Failure> {
        let (direction, before) = (&mut self.outward, self.moved.outward);
        while direction.ended != Ended::Passed {
            let down = &mut self.down;
            let Poll::Ready(written) = direction.poll_spill(|bytes| Pin::new(&mut *down).poll_write(cx, bytes)) else {
                return Ok(Turn::Blocked);
            };
            self.moved.outward += written.map_err(lost(Fault::Client))?;
            if direction.waits() {
                continue;
            }
            if direction.ended == Ended::Source {
                let Poll::Ready(told) = Pin::new(down).poll_shutdown(cx) else {
                    return Ok(Turn::Blocked);
                };
                told.map_err(lost(Fault::Client))?;
                direction.ended = Ended::Passed;
                break;
            }
            if self.moved.outward - before >= TURN as u64 {
                return Ok(Turn::Yield);
            }
            let Poll::Ready(read) = self.up.poll_read(cx, scratch) else {
                return Ok(Turn::Blocked);
            };
            let read = read.map_err(lost(Fault::Upstream))?;
            direction.take(&scratch[..read]);
        }
        Ok(Turn::Blocked)
    }
}

impl Direction {
    /// What was read; nothing is the end.
    fn take(&mut self, bytes: &[u8]) {
        match bytes {
            [] => self.ended = Ended::Source,
            bytes => self.spill.extend_from_slice(bytes),
        }
    }

    fn waits(&self) -> bool {
        self.sent < self.spill.len()
    }

    /// Hands over what waits, and says how much that was. A quiet direction keeps no buffer.
    fn poll_spill(&mut self, mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>) -> Poll<io::Result<u64>> {
        let mut count = 0;
        while self.waits() {
            match write(&self.spill[self.sent..]) {
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    count += written as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if count == 0 => return Poll::Pending,
                // what went is counted first; the next try waits
                Poll::Pending => return Poll::Ready(Ok(count)),
            }
        }
        (self.spill, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(count))
    }
}

fn lost(fault: Fault) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::io(Stage::Relay, fault, &error)
}
