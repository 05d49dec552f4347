//! A client's connection as hyper reads and writes one.
use super::{client::Client, h1::lent, visit::Visit};
use crate::failure::Failure;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Reads of a connection: what one window of HTTP/2 streams may bring at once.
const WINDOW: usize = 64 * 1024;

/// A client's connection, with the core whose buffer it reads through.
pub(super) struct Io {
    pub(super) client: Client,
    pub(super) visit: Rc<Visit>,
}

impl Read for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Io { client, visit } = self.get_mut();
        if client.inbox.is_empty() {
            let filled = ready!(lent(&visit.core, |scratch| {
                let window = WINDOW.min(scratch.len());
                client.poll_fill(cx, &mut scratch[..window])
            }));
            visit.bytes.set(client.bytes);
            if filled.map_err(broken)? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let bytes = client.inbox.bytes();
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        client.inbox.consume(count);
        client.rest();
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Io { client, visit } = self.get_mut();
        // what was taken before goes first: no more than one write ever waits
        ready!(client.poll_flush(cx)).map_err(broken)?;
        client.put(pieces);
        visit.bytes.set(client.bytes);
        if let Poll::Ready(flushed) = client.poll_flush(cx) {
            flushed.map_err(broken)?;
        }
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().client.poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let client = &mut self.get_mut().client;
        client.close();
        ready!(client.poll_flush(cx)).map_err(broken)?;
        Poll::Ready(client.socket().shutdown_write())
    }
}

/// hyper passes it on as the source of its own error, from where it is taken out again.
fn broken(failure: Failure) -> io::Error {
    io::Error::other(Broken(failure, None))
}

/// A failure on its way through hyper, with why a server reset its stream: so does hyper then.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.error)]
pub(super) struct Broken(pub(super) Failure, #[source] pub(super) Option<h2::Error>);
