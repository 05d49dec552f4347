//! A connection to a server, plain or TLS, with the polls of a socket: a relay and HTTP use either alike.
use crate::{
    downstream::Writer,
    opened::{feed, gap, open, take},
    socket::Socket,
};
use portcullis_tls::{
    client::{Connection, words},
    negotiated::Negotiated,
    rustls::{self, ClientConnection},
};
use prometheus_client::metrics::gauge::Gauge;
use rustix::net::RecvFlags;
use std::{
    io::{self, IoSlice, Write},
    task::{Context, Poll, ready},
};

/// A connection to a server. It counts as open until it is dropped.
pub(crate) struct Stream {
    io: Io,
    /// Which TLS of its server it was made with.
    pub(super) made_as: u64,
    _open: Open,
}

enum Io {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

/// TLS driven by hand over a socket, without a read buffer of its own.
pub(super) struct TlsStream {
    socket: Socket,
    tls: ClientConnection,
    facts: Negotiated,
    inner: Inner,
}

/// What is between a socket and its TLS.
#[derive(Default)]
struct Inner {
    /// Ciphertext read but not yet taken, because what came before it has nowhere to go; and how much of it was since.
    spill: Vec<u8>,
    spilt: usize,
    said_goodbye: bool,
}

/// Counts an open upstream connection until it goes.
pub(crate) struct Open(Gauge);

impl Open {
    pub(super) fn new(gauge: &Gauge) -> Open {
        gauge.inc();
        Open(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Stream {
    pub(super) fn plain(socket: Socket, open: Open) -> Stream {
        Stream {
            io: Io::Plain(socket),
            made_as: 0,
            _open: open,
        }
    }

    pub(super) fn tls(tls: TlsStream, made_as: u64, open: Open) -> Stream {
        Stream {
            io: Io::Tls(Box::new(tls)),
            made_as,
            _open: open,
        }
    }

    /// Reads what is there; `Ready(0)` is the end. An end that the server did not announce is `UnexpectedEof`.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(socket) => socket.poll_read(cx, buffer),
            Io::Tls(tls) => tls.poll_read(cx, buffer),
        }
    }

    /// Writes what fits. Over TLS all of it is taken, and what is not on its way yet goes first next time, or by
    /// [`Stream::poll_flush`].
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(socket) => socket.poll_write(cx, bytes),
            Io::Tls(tls) => tls.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// Writes what fits of several pieces in one call, and over TLS in as few records as hold them.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(socket) => socket.poll_write_vectored(cx, pieces),
            Io::Tls(tls) => tls.poll_write(cx, pieces),
        }
    }

    /// Ready when everything taken has been written.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(_) => Poll::Ready(Ok(())),
            Io::Tls(tls) => tls.poll_flush(cx),
        }
    }

    /// Says that nothing more will be written: over TLS by close_notify first.
    pub(crate) fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(socket) => Poll::Ready(socket.shutdown_write()),
            Io::Tls(tls) => tls.poll_shutdown_write(cx),
        }
    }

    /// What a read must bring at least to have been as large as it could.
    pub(crate) fn full(&self, window: usize) -> usize {
        match &self.io {
            Io::Plain(_) => window,
            // headers, tags, the gap, and a record of which the end is missing
            Io::Tls(_) => window / 2,
        }
    }

    /// What the handshake came to; None without TLS.
    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        match &self.io {
            Io::Plain(_) => None,
            Io::Tls(tls) => Some(&tls.facts),
        }
    }

    /// Which TLS of its server it was made with.
    pub(crate) fn made_as(&self) -> u64 {
        self.made_as
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &Socket {
        match &self.io {
            Io::Plain(socket) => socket,
            Io::Tls(tls) => &tls.socket,
        }
    }
}

/// A handshake under way.
pub(super) struct Handshake {
    pub(super) socket: Socket,
    pub(super) connection: Connection,
    inner: Inner,
}

impl Handshake {
    pub(super) fn new(socket: Socket, mut connection: Connection) -> Handshake {
        connection.tls.set_buffer_limit(None);
        Handshake {
            socket,
            connection,
            inner: Inner::default(),
        }
    }

    /// Ready when it is over, and our last flight is on its way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<()>> {
        let Handshake {
            socket,
            connection: Connection { tls, .. },
            inner,
        } = self;
        loop {
            ready!(inner.poll_flush(cx, socket, tls))?;
            if !tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(socket.poll_read(cx, scratch))?;
            if n == 0 {
                let error = "closed in the middle of the handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
            }
            match feed(tls, &scratch[..n]) {
                // what was not taken follows the handshake: nothing else makes it stop
                Ok(taken) => inner.spill.extend_from_slice(&scratch[taken..n]),
                Err(error) => {
                    // the alert about it goes out if it can
                    let _ = inner.poll_flush(cx, socket, tls);
                    return Poll::Ready(Err(failed(&error)));
                }
            }
        }
    }

    /// The stream, where the handshake is over.
    pub(super) fn finish(self) -> Option<TlsStream> {
        let (tls, facts) = self.connection.settle()?;
        Some(TlsStream {
            socket: self.socket,
            tls,
            facts,
            inner: self.inner,
        })
    }
}

impl TlsStream {
    pub(super) fn negotiated(&self) -> &Negotiated {
        &self.facts
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let taken = take(&mut self.tls, buffer);
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
            if self.inner.spilt < self.inner.spill.len() {
                let fed = feed(&mut self.tls, &self.inner.spill[self.inner.spilt..]);
                let fed = self.check(cx, fed)?;
                self.inner.spilt += fed;
                if self.inner.spilt == self.inner.spill.len() {
                    self.inner.spill = Vec::new();
                    self.inner.spilt = 0;
                }
                if fed > 0 {
                    continue;
                }
            }
            if self.has_ended(cx)? {
                return Poll::Ready(Ok(0));
            }
            let gap = gap(buffer);
            let n = ready!(self.socket.poll_read(cx, &mut buffer[gap..]))?;
            if n == 0 {
                let error = "closed without close_notify";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
            }
            let opened = open(&mut self.tls, buffer, gap..gap + n);
            let (filled, rest) = self.check(cx, opened)?;
            self.inner.spill.extend_from_slice(&buffer[rest..gap + n]);
            if filled > 0 {
                return Poll::Ready(Ok(filled));
            }
        }
    }

    /// The server has said that it is done, and all it said before was taken.
    fn has_ended(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let state = self.tls.process_new_packets();
        self.check(cx, state).map(|state| state.peer_has_closed())
    }

    /// After bytes came in there may be something to say: an answer to a key update, or an alert.
    fn check<T>(&mut self, cx: &mut Context<'_>, came: Result<T, rustls::Error>) -> io::Result<T> {
        if self.tls.wants_write() {
            // it goes out if it can, and else with what is written next
            let _ = self.inner.poll_flush(cx, &mut self.socket, &mut self.tls);
        }
        came.map_err(|error| failed(&error))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let taken = self.put(pieces)?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn put(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tls.writer().write_vectored(pieces)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.inner.poll_flush(cx, &mut self.socket, &mut self.tls));
        Poll::Ready(flushed.map_err(|error| self.reason_for(error)))
    }

    /// A server that refuses us in TLS 1.3, for want of a certificate say, sends an alert and closes while we write
    /// already: the alert tells more than the broken pipe.
    fn reason_for(&mut self, error: io::Error) -> io::Error {
        let mut last = [0; 1024];
        // past the event loop, which may not have noticed yet that there is something to read
        let Ok((n @ 1.., _)) = rustix::net::recv(&self.socket, &mut last, RecvFlags::DONTWAIT) else {
            return error;
        };
        match feed(&mut self.tls, &last[..n]) {
            Err(told) => failed(&told),
            Ok(_) => error,
        }
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.inner.said_goodbye {
            self.tls.send_close_notify();
            self.inner.said_goodbye = true;
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(self.socket.shutdown_write())
    }
}

impl Inner {
    /// Writes all that rustls wants written.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        tls: &mut ClientConnection,
    ) -> Poll<io::Result<()>> {
        while tls.wants_write() {
            match tls.write_tls(&mut Writer { socket, cx }) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn failed(error: &rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words(error))
}
