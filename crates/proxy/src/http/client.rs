//! The client's side of an HTTP connection: plaintext in and out, over TLS or in the clear.
use super::inbox::Inbox;
use crate::{
    downstream::{Opened, TlsStream, tls_failure},
    failure::{Failure, Stage},
    record::Bytes,
    relay::Downstream,
    socket::Socket,
};
use portcullis_tls::failure::Fault;
use std::{
    io::{self, BufRead, IoSlice, Write},
    task::{Context, Poll, ready},
};

/// A client's connection, and what of it was read but not yet understood.
pub(crate) struct Client {
    down: Downstream,
    pub(crate) inbox: Inbox,
    /// Plain bytes that the socket did not take (TLS keeps its own).
    outbox: Inbox,
    has_ended: bool,
    pub(crate) bytes: Bytes,
}

impl Client {
    pub(crate) fn new(down: Downstream) -> Client {
        Client {
            down,
            inbox: Inbox::default(),
            outbox: Inbox::default(),
            has_ended: false,
            bytes: Bytes::default(),
        }
    }

    /// Its connection, for what comes after HTTP.
    pub(crate) fn into_downstream(self) -> Downstream {
        self.down
    }

    /// Reads once and appends to the inbox; 0 is the client's end. No more is read than `scratch` holds.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<usize, Failure>> {
        let before = self.inbox.len();
        loop {
            if self.has_ended {
                return Poll::Ready(Ok(0));
            }
            match &mut self.down {
                Downstream::Tls(tls) => ready!(decrypt(cx, tls, (&mut self.inbox, &mut self.has_ended), scratch))?,
                Downstream::Plain(socket) => {
                    let read = ready!(socket.poll_read(cx, scratch)).map_err(|e| unreadable(&e))?;
                    self.inbox.push(&scratch[..read]);
                    self.has_ended = read == 0;
                }
            }
            let filled = self.inbox.len() - before;
            if filled > 0 {
                self.bytes.inward += filled as u64;
                return Poll::Ready(Ok(filled));
            }
        }
    }

    /// Reads once into `buffer`, past the inbox, which is empty; 0 is the client's end.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Failure>> {
        debug_assert!(self.inbox.is_empty(), "what came first goes first");
        loop {
            if self.has_ended {
                return Poll::Ready(Ok(0));
            }
            let opened = match &mut self.down {
                Downstream::Tls(tls) => ready!(tls.poll_open(cx, buffer, Stage::Request))?,
                Downstream::Plain(socket) => match ready!(socket.poll_read(cx, buffer)).map_err(|e| unreadable(&e))? {
                    0 => Opened::End,
                    read => Opened::Some(read),
                },
            };
            match opened {
                Opened::Some(0) => {}
                Opened::Some(read) => {
                    self.bytes.inward += read as u64;
                    return Poll::Ready(Ok(read));
                }
                Opened::End => self.has_ended = true,
            }
        }
    }

    /// Hands pieces over to be written. How much waits is the caller's to bound: it flushes before it reads more.
    pub(crate) fn put(&mut self, pieces: &[IoSlice<'_>]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.bytes.outward += length as u64;
        match &mut self.down {
            Downstream::Tls(tls) => {
                let written = tls.tls.writer().write_vectored(pieces);
                debug_assert!(written.is_ok_and(|n| n == length), "the buffer has no limit");
            }
            Downstream::Plain(_) => pieces.iter().for_each(|piece| self.outbox.push(piece)),
        }
    }

    /// Writes all that waits.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &mut self.down {
            Downstream::Tls(tls) => tls.poll_flush(cx).map_err(|e| unwritable(&e)),
            Downstream::Plain(socket) => poll_outbox(cx, socket, &mut self.outbox).map_err(|e| unwritable(&e)),
        }
    }

    /// It said that nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Says that nothing more will be written; flush after it.
    pub(crate) fn close(&mut self) {
        if let Downstream::Tls(tls) = &mut self.down {
            tls.tls.send_close_notify();
        }
    }

    /// What was not written yet, for who writes it without this.
    pub(crate) fn last_words(&mut self) -> Vec<u8> {
        match &mut self.down {
            Downstream::Tls(tls) => tls.last_words(),
            Downstream::Plain(_) => self.outbox.take(),
        }
    }

    pub(crate) fn socket(&mut self) -> &mut Socket {
        match &mut self.down {
            Downstream::Tls(tls) => &mut tls.socket,
            Downstream::Plain(socket) => socket,
        }
    }

    /// Gives back what a quiet connection does not need.
    pub(crate) fn rest(&mut self) {
        self.inbox.rest();
        self.outbox.rest();
    }
}

fn poll_outbox(cx: &mut Context<'_>, socket: &mut Socket, outbox: &mut Inbox) -> Poll<io::Result<()>> {
    while !outbox.is_empty() {
        let written = ready!(socket.poll_write(cx, outbox.bytes()))?;
        outbox.consume(written);
    }
    Poll::Ready(Ok(()))
}

/// What was left over of the handshake first, then one read.
fn decrypt(
    cx: &mut Context<'_>,
    tls: &mut TlsStream,
    (inbox, has_ended): (&mut Inbox, &mut bool),
    scratch: &mut [u8],
) -> Poll<Result<(), Failure>> {
    let (spill, before) = (tls.take_spill(), inbox.len());
    *has_ended |= take(tls, &spill, inbox)?;
    if inbox.len() > before || *has_ended {
        return Poll::Ready(Ok(()));
    }
    let read = ready!(tls.poll_ciphertext(cx, scratch)).map_err(|e| unreadable(&e))?;
    let taken = take(tls, &scratch[..read], inbox);
    if taken.is_err() || tls.tls.wants_write() {
        // an alert about what came, or the answer to a key update: if it cannot go now, it goes with the next flush
        let _ = tls.poll_flush(cx);
    }
    *has_ended |= taken? || read == 0;
    Poll::Ready(Ok(()))
}

/// Decrypts all of it into the inbox, and says whether the client closed.
fn take(tls: &mut TlsStream, bytes: &[u8], inbox: &mut Inbox) -> Result<bool, Failure> {
    let mut rest = bytes;
    loop {
        let fed = tls.feed(rest).map_err(|e| tls_failure(Stage::Request, &e))?;
        rest = &rest[fed..];
        let mut reader = tls.tls.reader();
        let mut drained = 0;
        while let Ok(piece) = reader.fill_buf() {
            let length = piece.len();
            if length == 0 {
                // only after close_notify: what follows it is not for anyone
                return Ok(true);
            }
            inbox.push(piece);
            reader.consume(length);
            drained += length;
        }
        if rest.is_empty() || fed + drained == 0 {
            return Ok(false);
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::io(Stage::Request, Fault::Client, error)
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::io(Stage::Request, Fault::Client, error)
}
