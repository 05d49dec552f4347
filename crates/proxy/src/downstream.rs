//! The client's side of a connection: TLS driven by hand over a socket, so that all connections of a core share
//! one read buffer and a quiet one holds none.
use crate::{
    failure::{Failure, Stage},
    opened,
    record::Bytes,
    socket::Socket,
};
use portcullis_tls::{
    failure::{Fault, blame},
    late_alert,
    rustls::{self, ServerConnection},
};
use portcullis_wire::alert::Alert;
use std::{
    future::poll_fn,
    io::{self, IoSlice, Write},
    task::{Context, Poll, ready},
};

/// A TLS connection with its socket.
pub(crate) struct TlsStream {
    pub(crate) socket: Socket,
    pub(crate) tls: ServerConnection,
    /// Ciphertext read but not yet taken, because what came before it has nowhere to go.
    spill: Vec<u8>,
    pub(crate) wire: Bytes,
}

/// What a read of a client came to.
pub(crate) enum Opened {
    /// So many bytes; none where more must come to make a record.
    Some(usize),
    End,
}

impl TlsStream {
    pub(crate) fn new(socket: Socket, tls: ServerConnection) -> TlsStream {
        TlsStream {
            socket,
            tls,
            spill: Vec::new(),
            wire: Bytes::default(),
        }
    }

    /// Drives the handshake, beginning with bytes read before. The caller holds the deadline.
    pub(crate) async fn handshake(
        &mut self,
        hello: Vec<u8>,
        scratch: impl Fn(&mut dyn FnMut(&mut [u8])),
    ) -> Result<(), Failure> {
        self.wire.inward += hello.len() as u64;
        self.take(&hello)?;
        drop(hello);
        poll_fn(|cx| {
            let mut result = Poll::Pending;
            scratch(&mut |buffer| result = self.poll_handshake(cx, buffer));
            result
        })
        .await
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<(), Failure>> {
        loop {
            let flushed = self.poll_flush(cx);
            if !self.tls.is_handshaking() {
                // what is left to write (tickets) goes out with the first turn of the relay
                return Poll::Ready(Ok(()));
            }
            ready!(flushed).map_err(|e| Failure::io(Stage::Handshake, Fault::Client, &e))?;
            let n = ready!(self.poll_ciphertext(cx, scratch))
                .map_err(|e| Failure::io(Stage::Handshake, Fault::Client, &e))?;
            if n == 0 {
                let error = "closed in the middle of the handshake";
                return Poll::Ready(Err(Failure::failed(Stage::Handshake, Fault::Client, error)));
            }
            self.take(&scratch[..n])?;
        }
    }

    /// Feeds bytes and keeps what was not taken for later.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let taken = self.feed(bytes).map_err(|e| tls_failure(Stage::Handshake, &e))?;
        self.spill.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Decrypts until there is plaintext to take or nothing left, and says how much it took.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, rustls::Error> {
        opened::feed(&mut self.tls, bytes)
    }

    /// What waits of plaintext, or else one read, opened to the front of `buffer`.
    pub(crate) fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        stage: Stage,
    ) -> Poll<Result<Opened, Failure>> {
        let waiting = opened::take(&mut self.tls, buffer);
        if waiting > 0 {
            return Poll::Ready(Ok(Opened::Some(waiting)));
        }
        if self.has_closed().map_err(|e| tls_failure(stage, &e))? {
            return Poll::Ready(Ok(Opened::End));
        }
        let gap = opened::gap(buffer);
        let came = match self.spill.is_empty() {
            true => ready!(self.poll_ciphertext(cx, &mut buffer[gap..]))
                .map_err(|e| Failure::io(stage, Fault::Client, &e))?,
            false => {
                let came = self.spill.len().min(buffer.len() - gap);
                buffer[gap..gap + came].copy_from_slice(&self.spill[..came]);
                self.spill.drain(..came);
                came
            }
        };
        if came == 0 {
            return Poll::Ready(Ok(Opened::End));
        }
        let opened = opened::open(&mut self.tls, buffer, gap..gap + came);
        if opened.is_err() || self.tls.wants_write() {
            // an alert about what came, or the answer to a key update: if it cannot go now, it goes with the next flush
            let _ = self.poll_flush(cx);
        }
        let (filled, rest) = opened.map_err(|e| tls_failure(stage, &e))?;
        if filled == 0 && rest == gap {
            // what rustls takes nothing of will never be more: it follows close_notify
            return Poll::Ready(Ok(Opened::End));
        }
        self.spill.splice(..0, buffer[rest..gap + came].iter().copied());
        Poll::Ready(Ok(Opened::Some(filled)))
    }

    /// The client said that nothing more comes.
    pub(crate) fn has_closed(&mut self) -> Result<bool, rustls::Error> {
        self.tls.process_new_packets().map(|state| state.peer_has_closed())
    }

    /// Reads ciphertext from the socket; 0 is its end.
    pub(crate) fn poll_ciphertext(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let n = ready!(self.socket.poll_read(cx, buffer))?;
        self.wire.inward += n as u64;
        Poll::Ready(Ok(n))
    }

    /// Writes all that rustls wants written.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut writer = Writer {
                socket: &mut self.socket,
                cx,
            };
            match self.tls.write_tls(&mut writer) {
                Ok(n) => self.wire.outward += n as u64,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What was left over when its time had not come.
    pub(crate) fn take_spill(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spill)
    }

    /// The socket, and what is still to be said on it: what rustls has ready, and an alert of ours.
    pub(crate) fn parting(mut self: Box<Self>, alert: Option<Alert>) -> (Socket, Vec<u8>) {
        let Some(alert) = alert else {
            return (self.socket, Vec::new());
        };
        let mut words = self.last_words();
        let TlsStream { socket, tls, .. } = *self;
        words.extend(late_alert::sealed(tls, alert).unwrap_or_default());
        (socket, words)
    }

    /// The alert that rustls has ready, as bytes for the wire.
    pub(crate) fn last_words(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        while self.tls.wants_write() && self.tls.write_tls(&mut words).is_ok_and(|n| n > 0) {}
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
