//! A client's connection as the library of HTTP/2 reads and writes one.
use super::{
    calm::{Calm, Given, Restless},
    client::Client,
    h1::lent,
    visit::Visit,
};
use crate::{
    failure::{Failure, Stage},
    farewell,
};
use portcullis_tls::failure::Fault;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads of a connection: what one window of HTTP/2 streams may bring at once.
const WINDOW: usize = 64 * 1024;

/// A client's connection, with the core whose buffer it reads through.
pub(super) struct Io {
    client: Client,
    visit: Rc<Visit>,
    calm: Calm,
    /// Why it broke.
    pub(super) failure: Option<Failure>,
}

/// Whether a client knows why its connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The library said it.
    Yes,
    No,
}

impl Io {
    /// `client` has said nothing that was taken yet.
    pub(super) fn new(client: Client, visit: &Rc<Visit>) -> Io {
        let mut calm = Calm::new(Instant::now());
        // the first words of a plain client were looked at: of so few frames none is too many
        let _ = calm.note(client.inbox.bytes(), Given::default());
        Io {
            client,
            visit: visit.clone(),
            calm,
            failure: None,
        }
    }

    /// Ends the connection of a client that took up too much: it is told so, and not waited for longer than a moment.
    pub(super) async fn cut(mut self, told: Told) {
        if told == Told::No {
            // the library hands whole frames over, so that another one may follow
            self.client.put(&[IoSlice::new(&self.calm.goaway())]);
        }
        self.visit.bytes.set(self.client.bytes);
        self.client.close();
        let words = self.client.last_words();
        farewell::say(&self.visit.core.wheel, self.client.socket(), &words).await;
    }
}

impl Io {
    /// Reads as much as there is room for.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Io { client, visit, .. } = self;
        let filled = ready!(lent(&visit.core, |scratch| client.poll_fill(cx, (scratch, WINDOW))));
        visit.bytes.set(client.bytes);
        filled?;
        let given = Given {
            bytes: client.bytes.outward,
            answers: visit.answered.get(),
        };
        self.calm.note(self.client.inbox.bytes(), given).map_err(restless)?;
        Poll::Ready(Ok(()))
    }

    fn poll_put(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<Result<usize, Failure>> {
        // what was taken before goes first: no more than one write ever waits
        ready!(self.client.poll_flush(cx))?;
        self.client.put(pieces);
        self.visit.bytes.set(self.client.bytes);
        if let Poll::Ready(flushed) = self.client.poll_flush(cx) {
            flushed?;
        }
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.client.close();
        self.client.poll_flush(cx)
    }

    /// Remembers why it broke: the library passes on that it did, and nothing more.
    fn note<T>(&mut self, result: Result<T, Failure>) -> io::Result<T> {
        result.map_err(|failure| {
            let error = io::Error::other(failure.error.clone());
            self.failure = Some(failure);
            error
        })
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let io = self.get_mut();
        if io.client.inbox.is_empty() {
            let filled = ready!(io.poll_fill(cx));
            io.note(filled)?;
        }
        let bytes = io.client.inbox.bytes();
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        io.client.inbox.consume(count);
        io.client.rest();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let io = self.get_mut();
        let put = ready!(io.poll_put(cx, pieces));
        Poll::Ready(io.note(put))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.get_mut();
        let flushed = ready!(io.client.poll_flush(cx));
        Poll::Ready(io.note(flushed))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.get_mut();
        let closed = ready!(io.poll_close(cx));
        io.note(closed)?;
        Poll::Ready(io.client.socket().shutdown_write())
    }
}

fn restless(_: Restless) -> Failure {
    let error = "too many frames that ask nothing, or too many requests given up";
    Failure::refused(Stage::Request, Fault::Client, error)
}

/// How an answer breaks off, with why a server reset its stream: so its client hears it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.error)]
pub(super) struct Broken(pub(super) Failure, #[source] pub(super) Option<h2::Error>);
