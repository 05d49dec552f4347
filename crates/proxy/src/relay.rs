//! Bytes both ways until both ends are done: half-close kept, back-pressure passed on, a quiet connection without
//! buffers, and counts that stand however it ends.
use crate::{
    downstream::{Opened, TlsStream},
    failure::{Failure, Stage},
    recall::Recall,
    record::Bytes,
    socket::Socket,
    upstream::Stream,
    wheel::{Alarm, Wheel},
};
use portcullis_tls::{failure::Fault, rustls::pki_types::CertificateDer};
use std::{
    future::poll_fn,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// The size of a core's read buffer: bulk cost 0.60 s per GB at 256 KiB against 0.85 at 64 (DESIGN).
pub(crate) const SCRATCH: usize = 256 * 1024;
/// A connection's first reads; they double while they come back full, so that what may be left over when a
/// peer stops reading stays in proportion to the traffic.
const FIRST_WINDOW: usize = 16 * 1024;
/// Bytes one direction may move before other connections of the core get their turn.
const TURN: usize = 256 * 1024;

/// The client's end.
pub(crate) enum Downstream {
    Tls(Box<TlsStream>),
    Plain(Socket),
}

/// What plain bytes are copied from and to.
trait End {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// What a read must bring at least to have been as large as it could.
    fn full(&self, window: usize) -> usize;
}

/// Both ends, and how far each direction is.
pub(crate) struct Relay<'a> {
    down: Downstream,
    up: Stream,
    bytes: &'a mut Bytes,
    inward: Direction,
    outward: Direction,
    idle: Option<Idle>,
    recall: Option<Recall>,
}

/// One direction's state.
struct Direction {
    window: usize,
    ended: Ended,
    /// Plain bytes read but not yet written (TLS keeps its own).
    spill: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    /// Its source ended without saying so, as a broken one does.
    CutShort,
    /// Its source is at its end; what it said last may still be on its way.
    Source,
    /// And its sink was told.
    Passed,
}

/// What one turn of a direction came to.
enum Turn {
    /// It waits for a socket, or is over.
    Blocked,
    /// It could go on, but others wait.
    Yield,
}

/// Ends a connection on which nothing moves.
pub(crate) struct Idle {
    limit: Duration,
    last: Instant,
    moved: u64,
    alarm: Alarm,
}

/// Moves bytes both ways; `scratch` lends the core's buffer for the time of one poll.
pub(crate) async fn relay(
    ends: (Downstream, Stream),
    (idle, recall): (Option<Idle>, Option<Recall>),
    bytes: &mut Bytes,
    scratch: impl Fn(&mut dyn FnMut(&mut [u8])),
) -> Result<(), Failure> {
    let (down, up) = ends;
    let mut relay = Relay {
        down,
        up,
        bytes,
        inward: Direction::new(),
        outward: Direction::new(),
        idle,
        recall,
    };
    let result = poll_fn(|cx| {
        let mut result = Poll::Pending;
        scratch(&mut |buffer| result = relay.poll(cx, buffer));
        result
    })
    .await;
    if result.is_err() {
        // neither end may take a stream that broke for one that ended
        relay.up.socket().reset_on_close();
        if !relay.is_cut_short() {
            relay.down.socket().reset_on_close();
        }
    }
    result
}

impl Relay<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<(), Failure>> {
        if let Some(recall) = &self.recall {
            recall.poll(cx)?;
        }
        let inward = self.poll_inward(cx, scratch)?;
        let outward = self.poll_outward(cx, scratch)?;
        if self.inward.ended == Ended::Passed && self.outward.ended == Ended::Passed {
            return Poll::Ready(Ok(()));
        }
        if matches!(inward, Turn::Yield) || matches!(outward, Turn::Yield) {
            cx.waker().wake_by_ref();
        }
        let moved = self.bytes.inward + self.bytes.outward;
        match &mut self.idle {
            Some(idle) => idle.poll(cx, moved),
            None => Poll::Pending,
        }
    }

    /// The upstream's end came without its close_notify, and the client, who speaks TLS too, is told it likewise: all that
    /// came before is delivered, and the connection ends without a close_notify. A reset would take bytes on their way along.
    fn is_cut_short(&self) -> bool {
        self.outward.ended == Ended::CutShort && matches!(self.down, Downstream::Tls(_))
    }

    /// From the client to the upstream.
    fn poll_inward(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<Turn, Failure> {
        let before = self.bytes.inward;
        while self.inward.ended != Ended::Passed {
            let step = match &mut self.down {
                Downstream::Tls(tls) => decrypt(
                    cx,
                    tls,
                    &mut self.up,
                    (&mut self.inward, &mut self.bytes.inward),
                    scratch,
                )?,
                Downstream::Plain(socket) => {
                    let ends = (socket, &mut self.up, [Fault::Client, Fault::Upstream]);
                    copy(cx, ends, (&mut self.inward, &mut self.bytes.inward), scratch)?
                }
            };
            if step.is_pending() {
                return Ok(Turn::Blocked);
            }
            if self.bytes.inward - before >= TURN as u64 {
                return Ok(Turn::Yield);
            }
        }
        Ok(Turn::Blocked)
    }

    /// From the upstream to the client.
    fn poll_outward(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<Turn, Failure> {
        let before = self.bytes.outward;
        loop {
            let step = match &mut self.down {
                Downstream::Tls(tls) => encrypt(
                    cx,
                    tls,
                    &mut self.up,
                    (&mut self.outward, &mut self.bytes.outward),
                    scratch,
                )?,
                Downstream::Plain(_) if self.outward.ended == Ended::Passed => Poll::Pending,
                Downstream::Plain(socket) => {
                    let ends = (&mut self.up, socket, [Fault::Upstream, Fault::Client]);
                    copy(cx, ends, (&mut self.outward, &mut self.bytes.outward), scratch)?
                }
            };
            if step.is_pending() || self.outward.ended == Ended::Passed {
                return Ok(Turn::Blocked);
            }
            if self.bytes.outward - before >= TURN as u64 {
                return Ok(Turn::Yield);
            }
        }
    }
}

/// One read of ciphertext, opened and passed on. Pending: a socket will wake us, or it is over.
fn decrypt(
    cx: &mut Context<'_>,
    tls: &mut TlsStream,
    up: &mut Stream,
    (direction, count): (&mut Direction, &mut u64),
    scratch: &mut [u8],
) -> Result<Poll<()>, Failure> {
    if direction.put(cx, up, (&[], count), Fault::Upstream)?.is_pending() {
        return Ok(Poll::Pending);
    }
    if direction.ended == Ended::Source {
        return pass_end(cx, up, direction, Fault::Upstream);
    }
    let window = direction.window.min(scratch.len());
    match tls.poll_open(cx, (scratch, window), Stage::Relay) {
        Poll::Pending => return Ok(Poll::Pending),
        Poll::Ready(Err(failure)) => return Err(failure),
        Poll::Ready(Ok(Opened::End)) => direction.ended = Ended::Source,
        Poll::Ready(Ok(Opened::Some(opened))) => {
            // headers, tags, and a record of which the end is missing
            direction.resize(opened, window / 2);
            let _ = direction.put(cx, up, (&scratch[..opened], count), Fault::Upstream)?;
        }
    }
    Ok(Poll::Ready(()))
}

/// One read from the upstream, encrypted and passed on; first of all, what waits to be written.
fn encrypt(
    cx: &mut Context<'_>,
    tls: &mut TlsStream,
    up: &mut Stream,
    (direction, count): (&mut Direction, &mut u64),
    scratch: &mut [u8],
) -> Result<Poll<()>, Failure> {
    match tls.poll_flush(cx) {
        Poll::Pending => return Ok(Poll::Pending),
        Poll::Ready(flushed) => flushed.map_err(|e| Failure::io(Stage::Relay, Fault::Client, &e))?,
    }
    match direction.ended {
        Ended::No | Ended::CutShort => {}
        Ended::Passed => return Ok(Poll::Pending),
        Ended::Source => {
            tls.socket
                .shutdown_write()
                .map_err(|e| Failure::io(Stage::Relay, Fault::Client, &e))?;
            direction.ended = Ended::Passed;
            return Ok(Poll::Ready(()));
        }
    }
    let window = direction.window.min(scratch.len());
    let read = match up.poll_read(cx, &mut scratch[..window]) {
        Poll::Pending => return Ok(Poll::Pending),
        Poll::Ready(read) => read.map_err(|e| direction.broken(&e, Fault::Upstream))?,
    };
    direction.resize(read, up.full(window));
    if read == 0 {
        tls.tls.close();
        direction.ended = Ended::Source;
    } else {
        tls.tls.seal(&[IoSlice::new(&scratch[..read])]);
        *count += read as u64;
    }
    Ok(Poll::Ready(()))
}

/// One read of plain bytes, passed on as they are.
fn copy(
    cx: &mut Context<'_>,
    (from, to, [from_fault, to_fault]): (&mut impl End, &mut impl End, [Fault; 2]),
    (direction, count): (&mut Direction, &mut u64),
    scratch: &mut [u8],
) -> Result<Poll<()>, Failure> {
    if direction.put(cx, to, (&[], count), to_fault)?.is_pending() {
        return Ok(Poll::Pending);
    }
    if direction.ended == Ended::Source {
        return pass_end(cx, to, direction, to_fault);
    }
    let window = direction.window.min(scratch.len());
    let Poll::Ready(read) = from.poll_read(cx, &mut scratch[..window]) else {
        return Ok(Poll::Pending);
    };
    let read = read.map_err(|e| direction.broken(&e, from_fault))?;
    direction.resize(read, from.full(window));
    if read == 0 {
        direction.ended = Ended::Source;
        return Ok(Poll::Ready(()));
    }
    let _ = direction.put(cx, to, (&scratch[..read], count), to_fault)?;
    Ok(Poll::Ready(()))
}

/// Tells a sink that its source has ended.
fn pass_end(
    cx: &mut Context<'_>,
    to: &mut impl End,
    direction: &mut Direction,
    fault: Fault,
) -> Result<Poll<()>, Failure> {
    let Poll::Ready(told) = to.poll_shutdown_write(cx) else {
        return Ok(Poll::Pending);
    };
    told.map_err(|e| Failure::io(Stage::Relay, fault, &e))?;
    direction.ended = Ended::Passed;
    Ok(Poll::Ready(()))
}

impl End for Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Socket::poll_read(self, cx, buffer)
    }
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Socket::poll_write(self, cx, bytes)
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
    fn full(&self, window: usize) -> usize {
        window
    }
}

impl End for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Stream::poll_read(self, cx, buffer)
    }
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Stream::poll_write(self, cx, bytes)
    }
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Stream::poll_flush(self, cx)
    }
    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Stream::poll_shutdown_write(self, cx)
    }
    fn full(&self, window: usize) -> usize {
        Stream::full(self, window)
    }
}

impl Downstream {
    /// The socket below.
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Downstream::Tls(tls) => &tls.socket,
            Downstream::Plain(socket) => socket,
        }
    }

    /// The client's certificates, leaf first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        match self {
            Downstream::Tls(tls) => tls.tls.peer_certificates(),
            Downstream::Plain(_) => &[],
        }
    }
}

impl Direction {
    fn new() -> Direction {
        Direction {
            window: FIRST_WINDOW,
            ended: Ended::No,
            spill: Vec::new(),
        }
    }

    /// Writes what waits and then `bytes`, of which it keeps what does not fit. Ready when all is on its way.
    fn put(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut impl End,
        (bytes, count): (&[u8], &mut u64),
        fault: Fault,
    ) -> Result<Poll<()>, Failure> {
        let failed = |e: io::Error| Failure::io(Stage::Relay, fault, &e);
        while !self.spill.is_empty() {
            let Poll::Ready(written) = to.poll_write(cx, &self.spill) else {
                self.spill.extend_from_slice(bytes);
                return Ok(Poll::Pending);
            };
            let written = written.map_err(failed)?;
            *count += written as u64;
            self.spill.drain(..written);
        }
        self.spill = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Poll::Ready(written) = to.poll_write(cx, rest) else {
                self.spill.extend_from_slice(rest);
                return Ok(Poll::Pending);
            };
            let written = written.map_err(failed)?;
            *count += written as u64;
            rest = &rest[written..];
        }
        match to.poll_flush(cx) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(flushed) => flushed.map(Poll::Ready).map_err(failed),
        }
    }

    /// Reads that come back full grow, reads that come back nearly empty shrink.
    fn resize(&mut self, read: usize, full: usize) {
        if read >= full {
            self.window = (self.window * 2).min(SCRATCH);
        } else if read < self.window / 8 {
            self.window = (self.window / 2).max(FIRST_WINDOW);
        }
    }

    /// Its source broke.
    fn broken(&mut self, error: &io::Error, fault: Fault) -> Failure {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.ended = Ended::CutShort;
        }
        Failure::io(Stage::Relay, fault, error)
    }
}

impl Idle {
    pub(crate) fn new(limit: Duration, wheel: &Rc<Wheel>) -> Idle {
        let last = Instant::now();
        Idle {
            limit,
            last,
            moved: 0,
            alarm: wheel.alarm(last + limit),
        }
    }

    /// Ends the connection when nothing has moved for the limit. The timer is set anew only when it fires.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, moved: u64) -> Poll<Result<(), Failure>> {
        if moved != self.moved {
            self.moved = moved;
            self.last = Instant::now();
        }
        loop {
            ready!(self.alarm.poll(cx));
            let end = self.last + self.limit;
            if Instant::now() >= end {
                let error = format!("idle for {} s", self.limit.as_secs_f32());
                return Poll::Ready(Err(Failure::failed(Stage::Relay, Fault::Closed, error)));
            }
            self.alarm.reset(end);
        }
    }
}
