//! The client's side of a connection: TLS driven by hand over a socket, so that all connections of a core share
//! one read buffer and a quiet one holds none.
use crate::{
    failure::{Failure, Stage},
    record::Bytes,
    socket::Socket,
};
use portcullis_tls::{
    failure::{Fault, blame},
    records::{self, Handshake, Records},
    rustls,
};
use portcullis_wire::alert::Alert;
use std::{
    future::poll_fn,
    io::{self, IoSlice, Write},
    task::{Context, Poll, ready},
};

/// A read before the handshake is over: what it brings behind the handshake has to be kept.
const HANDSHAKE_WINDOW: usize = 32 * 1024;

/// A handshake with its socket.
pub(crate) struct Shaking {
    pub(crate) socket: Socket,
    pub(crate) tls: Handshake,
    pub(crate) wire: Bytes,
}

/// A TLS connection with its socket.
pub(crate) struct TlsStream {
    pub(crate) socket: Socket,
    pub(crate) tls: Records,
    /// The beginning of a record, or what came behind the handshake.
    spill: Vec<u8>,
    /// So many bytes must follow it at least.
    lacks: usize,
    pub(crate) wire: Bytes,
}

/// What a read of a client came to.
pub(crate) enum Opened {
    /// So many bytes; none where more must come to make a record.
    Some(usize),
    End,
}

impl Shaking {
    pub(crate) fn new(socket: Socket, tls: Handshake) -> Shaking {
        let wire = Bytes::default();
        Shaking { socket, tls, wire }
    }

    /// Drives it, beginning with bytes read before. The caller holds the deadline.
    pub(crate) async fn run(
        &mut self,
        hello: Vec<u8>,
        scratch: impl Fn(&mut dyn FnMut(&mut [u8])),
    ) -> Result<(), Failure> {
        self.wire.inward += hello.len() as u64;
        self.take(&hello)?;
        drop(hello);
        poll_fn(|cx| {
            let mut result = Poll::Pending;
            scratch(&mut |buffer| result = self.poll(cx, buffer));
            result
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<(), Failure>> {
        let unreachable = |e: io::Error| Failure::io(Stage::Handshake, Fault::Client, &e);
        let window = HANDSHAKE_WINDOW.min(scratch.len());
        loop {
            let flushed = self.poll_flush(cx);
            if self.tls.is_over() {
                // what is left to write (tickets) goes out with the first turn of the relay
                return Poll::Ready(Ok(()));
            }
            ready!(flushed).map_err(unreachable)?;
            let n = ready!(self.socket.poll_read(cx, &mut scratch[..window])).map_err(unreachable)?;
            if n == 0 {
                let error = "closed in the middle of the handshake";
                return Poll::Ready(Err(Failure::failed(Stage::Handshake, Fault::Client, error)));
            }
            self.wire.inward += n as u64;
            self.take(&scratch[..n])?;
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.tls.take(bytes).map_err(|e| tls_failure(Stage::Handshake, &e))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.tls.outgoing().is_empty() {
            let written = ready!(self.socket.poll_write(cx, self.tls.outgoing()))?;
            self.wire.outward += written as u64;
            self.tls.written(written);
        }
        Poll::Ready(Ok(()))
    }

    /// The connection that it led to.
    pub(crate) fn finish(self) -> Result<TlsStream, Failure> {
        let Shaking { socket, tls, wire } = self;
        let (tls, spill) = tls.finish().map_err(|e| tls_failure(Stage::Handshake, &e))?;
        Ok(TlsStream {
            socket,
            tls,
            spill,
            lacks: 0,
            wire,
        })
    }
}

impl TlsStream {
    /// One read of no more than `window`, opened to the front of `scratch`, which has room for a record besides.
    pub(crate) fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        (scratch, window): (&mut [u8], usize),
        stage: Stage,
    ) -> Poll<Result<Opened, Failure>> {
        if self.tls.has_closed() {
            return Poll::Ready(Ok(Opened::End));
        }
        let held = self.spill.len();
        let came = match held > 0 && self.lacks == 0 {
            true => held,
            false => {
                let end = scratch.len().min(held + window);
                let read = ready!(self.poll_ciphertext(cx, &mut scratch[held..end]));
                match read.map_err(|e| Failure::io(stage, Fault::Client, &e))? {
                    0 => return Poll::Ready(Ok(Opened::End)),
                    read => held + read,
                }
            }
        };
        let read = came - held;
        if held > 0 && read < self.lacks {
            self.lacks -= read;
            self.spill.extend_from_slice(&scratch[held..came]);
            return Poll::Ready(Ok(Opened::Some(0)));
        }
        scratch[..held].copy_from_slice(&self.spill);
        let opened = self.tls.open(scratch, came);
        if opened.is_err() || self.tls.wants_write() {
            // an alert about what came: if it cannot go now, it goes with the next flush
            let _ = self.poll_flush(cx);
        }
        let records::Opened { filled, rest, lacks } = opened.map_err(|e| tls_failure(stage, &e))?;
        self.lacks = lacks;
        match rest == came {
            true => self.spill = Vec::new(),
            false => self
                .spill
                .splice(.., scratch[rest..came].iter().copied())
                .for_each(drop),
        }
        Poll::Ready(Ok(Opened::Some(filled)))
    }

    /// Reads ciphertext from the socket; 0 is its end.
    fn poll_ciphertext(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let n = ready!(self.socket.poll_read(cx, buffer))?;
        self.wire.inward += n as u64;
        Poll::Ready(Ok(n))
    }

    /// Writes all that is sealed.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut writer = Writer {
                socket: &mut self.socket,
                cx,
            };
            match self.tls.write_to(&mut writer) {
                Ok(n) => self.wire.outward += n as u64,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The socket, and what is still to be said on it: what is sealed already, and an alert.
    pub(crate) fn parting(mut self, alert: Option<Alert>) -> (Socket, Vec<u8>) {
        let words = match alert {
            None => Vec::new(),
            Some(alert) => {
                self.tls.fatal(alert);
                self.last_words()
            }
        };
        (self.socket, words)
    }

    /// What is sealed and not written, as bytes for the wire.
    pub(crate) fn last_words(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        while self.tls.wants_write() && self.tls.write_to(&mut words).is_ok_and(|n| n > 0) {}
        words
    }
}

/// A rustls error at a stage, with who is to blame and the alerts that went by.
pub(crate) fn tls_failure(stage: Stage, error: &rustls::Error) -> Failure {
    let blame = blame(error);
    Failure {
        alert_in: blame.alert_in,
        alert_out: blame.alert_out,
        ..Failure::failed(stage, blame.fault, error.to_string())
    }
}

/// Lends a polled socket to what wants `io::Write`.
pub(crate) struct Writer<'a, 'c> {
    pub(crate) socket: &'a mut Socket,
    pub(crate) cx: &'a mut Context<'c>,
}

impl Write for Writer<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking(self.socket.poll_write(self.cx, bytes))
    }
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        blocking(self.socket.poll_write_vectored(self.cx, pieces))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn blocking(written: Poll<io::Result<usize>>) -> io::Result<usize> {
    match written {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
