//! The client's side of an HTTP connection: plaintext in and out, over TLS or in the clear.
use super::inbox::Inbox;
use crate::{
    downstream::Opened,
    failure::{Failure, Stage},
    record::Bytes,
    relay::Downstream,
    socket::Socket,
};
use portcullis_tls::failure::Fault;
use std::{
    io::{self, IoSlice},
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

    /// Reads once, no more than `window`, and appends to the inbox; 0 is the client's end.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        (scratch, window): (&mut [u8], usize),
    ) -> Poll<Result<usize, Failure>> {
        let read = ready!(self.poll_read(cx, (scratch, window)))?;
        self.inbox.push(&scratch[..read]);
        Poll::Ready(Ok(read))
    }

    /// Reads once to the front of `scratch`, past the inbox, which is empty; 0 is the client's end.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        (scratch, window): (&mut [u8], usize),
    ) -> Poll<Result<usize, Failure>> {
        debug_assert!(self.inbox.is_empty(), "what came first goes first");
        self.poll_read(cx, (scratch, window))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        (scratch, window): (&mut [u8], usize),
    ) -> Poll<Result<usize, Failure>> {
        let window = window.min(scratch.len());
        while !self.has_ended {
            let opened = match &mut self.down {
                Downstream::Tls(tls) => ready!(tls.poll_open(cx, (scratch, window), Stage::Request))?,
                Downstream::Plain(socket) => {
                    match ready!(socket.poll_read(cx, &mut scratch[..window])).map_err(|e| unreadable(&e))? {
                        0 => Opened::End,
                        read => Opened::Some(read),
                    }
                }
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
        Poll::Ready(Ok(0))
    }

    /// Hands pieces over to be written. How much waits is the caller's to bound: it flushes before it reads more.
    pub(crate) fn put(&mut self, pieces: &[IoSlice<'_>]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.bytes.outward += length as u64;
        match &mut self.down {
            Downstream::Tls(tls) => tls.tls.seal(pieces),
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
            tls.tls.close();
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

fn unreadable(error: &io::Error) -> Failure {
    Failure::io(Stage::Request, Fault::Client, error)
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::io(Stage::Request, Fault::Client, error)
}
