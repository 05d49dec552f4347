//! Extended CONNECT (RFC 8441): a stream of HTTP/2 that goes on in another protocol, at a server of HTTP/1.1.
use super::{
    h1::{Switched, lent},
    sent::Inward,
    visit::Visit,
    watch::UnderWay,
};
use crate::{
    failure::{Failure, Stage},
    record::Bytes,
    relay::Idle,
    upstream::Stream,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes as Piece};
use h2::{Reason, SendStream};
use portcullis_tls::failure::Fault;
use std::{
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Reads of either side: a piece waits while the other does not take it, and no more is read then.
const WINDOW: usize = 32 * 1024;
/// Bytes one direction may move before other connections of the core get their turn.
const TURN: usize = 256 * 1024;

/// A nonce for the handshake of a WebSocket (RFC 6455 4.1), which HTTP/2 has none of (RFC 8441 5). Nothing rests on it.
pub(super) fn websocket_key(id: u64) -> String {
    let half = || RandomState::new().hash_one(id).to_be_bytes();
    STANDARD.encode([half(), half()].concat())
}

/// A stream that goes on in another protocol as soon as its client was told so. Its connection waits for it.
pub(super) struct Crossed {
    inward: Inward,
    switched: Switched,
    _under_way: UnderWay,
}

impl Crossed {
    pub(super) fn new(inward: Inward, switched: Switched, visit: &Rc<Visit>) -> Crossed {
        Crossed {
            inward,
            switched,
            _under_way: UnderWay::new(visit),
        }
    }

    /// Its client could not be told.
    pub(super) fn never(mut self) {
        let gone = Failure::failed(Stage::Relay, Fault::Client, "its stream ended before the switch");
        self.switched.record.end(Err(gone));
    }
}

/// Passes bytes on both ways until both are done.
pub(super) async fn run(out: SendStream<Piece>, crossed: Crossed, visit: Rc<Visit>) {
    let Crossed {
        inward,
        switched: Switched { up, early, mut record },
        _under_way,
    } = crossed;
    let idle = visit.http.limits.upgrade_idle;
    let mut crossing = Crossing {
        down: Down {
            out,
            inward,
            piece: Piece::new(),
        },
        up: up.stream,
        inward: Direction::default(),
        outward: Direction {
            spill: early,
            ..Direction::default()
        },
        moved: Bytes::default(),
        idle: idle.map(|limit| Idle::new(limit, &visit.core.wheel)),
    };
    let ended = poll_fn(|cx| lent(&visit.core, |scratch| crossing.poll(cx, scratch))).await;
    if ended.is_err() {
        crossing.up.socket().reset_on_close();
        // what is to a stream as a reset is to TCP (RFC 8441 5)
        crossing.down.out.send_reset(Reason::CANCEL);
    }
    (record.bytes_in, record.bytes_out) = (crossing.moved.inward, crossing.moved.outward);
    record.end(ended);
    // the server counts as busy until here
    drop(up.terms.pick);
}

/// Both ends, and how far each direction is.
struct Crossing {
    down: Down,
    up: Stream,
    inward: Direction,
    outward: Direction,
    moved: Bytes,
    idle: Option<Idle>,
}

/// The client's end.
struct Down {
    out: SendStream<Piece>,
    inward: Inward,
    /// Of what came last, what was not taken.
    piece: Piece,
}

impl Down {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.piece.is_empty() {
            match ready!(self.inward.poll_data(cx)) {
                Some(data) => self.piece = data.map_err(io::Error::other)?,
                None => return Poll::Ready(Ok(0)),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.out.reserve_capacity(bytes.len().min(WINDOW));
        while self.out.capacity() == 0 {
            match ready!(self.out.poll_capacity(cx)) {
                Some(room) => room.map_err(io::Error::other)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let count = bytes.len().min(self.out.capacity());
        let piece = Piece::copy_from_slice(&bytes[..count]);
        let sent = self.out.send_data(piece, false).map_err(io::Error::other);
        Poll::Ready(sent.map(|()| count))
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.send_data(Piece::new(), true).map_err(io::Error::other)
    }

    /// Its client gives the stream up, which also wakes whoever asked.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.out.poll_reset(cx).map(|reason| match reason {
            Ok(reason) => io::Error::other(h2::Error::from(reason)),
            Err(error) => io::Error::other(error),
        })
    }
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
        if let Poll::Ready(error) = self.down.poll_reset(cx) {
            return Poll::Ready(Err(lost(Fault::Client)(error)));
        }
        let window = WINDOW.min(scratch.len());
        let scratch = &mut scratch[..window];
        let turns = [self.poll_inward(cx, scratch)?, self.poll_outward(cx, scratch)?];
        if self.inward.ended == Ended::Passed && self.outward.ended == Ended::Passed {
            return Poll::Ready(Ok(()));
        }
        if turns.contains(&Turn::Yield) {
            cx.waker().wake_by_ref();
        }
        match &mut self.idle {
            Some(idle) => idle.poll(cx, self.moved.inward + self.moved.outward),
            None => Poll::Pending,
        }
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
            let Poll::Ready(read) = self.down.poll_read(cx, scratch) else {
                return Ok(Turn::Blocked);
            };
            let read = read.map_err(lost(Fault::Client))?;
            direction.take(&scratch[..read]);
        }
        Ok(Turn::Blocked)
    }

    /// From the server to the client.
    fn poll_outward(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<Turn, Failure> {
        let (direction, before) = (&mut self.outward, self.moved.outward);
        while direction.ended != Ended::Passed {
            let down = &mut self.down;
            let Poll::Ready(written) = direction.poll_spill(|bytes| down.poll_write(cx, bytes)) else {
                return Ok(Turn::Blocked);
            };
            self.moved.outward += written.map_err(lost(Fault::Client))?;
            if direction.waits() {
                continue;
            }
            if direction.ended == Ended::Source {
                down.end().map_err(lost(Fault::Client))?;
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
