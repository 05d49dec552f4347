//! A stream socket of either family, driven by polls so that a core's one scratch buffer serves all reads.
use rustix::fd::AsFd;
use std::{
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// A connected stream socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same, between two event loops.
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    /// Reads what is there; `Ready(0)` is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = match self {
            Socket::Tcp(s) => Pin::new(s).poll_read(cx, &mut buffer),
            Socket::Unix(s) => Pin::new(s).poll_read(cx, &mut buffer),
        };
        ready!(read)?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes what fits.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(s) => Pin::new(s).poll_write(cx, bytes),
            Socket::Unix(s) => Pin::new(s).poll_write(cx, bytes),
        }
    }

    /// Writes what fits of several pieces in one call.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [one] = pieces {
            // a vector of one costs the kernel more than a buffer
            return self.poll_write(cx, one);
        }
        match self {
            Socket::Tcp(s) => Pin::new(s).poll_write_vectored(cx, pieces),
            Socket::Unix(s) => Pin::new(s).poll_write_vectored(cx, pieces),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        let done = match self {
            Socket::Tcp(s) => socket2::SockRef::from(s).shutdown(Shutdown::Write),
            Socket::Unix(s) => socket2::SockRef::from(s).shutdown(Shutdown::Write),
        };
        match done {
            // the peer has reset it already: there is nothing left to say
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }

    /// Makes the coming close a reset, so that the peer does not take a broken stream for a finished one.
    pub(crate) fn reset_on_close(&self) {
        if let Socket::Tcp(s) = self {
            // a socket that will not linger this way closes the ordinary way: nothing to report
            let _ = socket2::SockRef::from(s).set_linger(Some(Duration::ZERO));
        }
    }

    /// Our own address, where it has one.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(s) => s.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Takes the socket out of this event loop.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Socket::Tcp(s) => Detached::Tcp(s.into_std()?),
            Socket::Unix(s) => Detached::Unix(s.into_std()?),
        })
    }
}

impl Detached {
    /// Brings the socket into this event loop.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        Ok(match self {
            Detached::Tcp(s) => Socket::Tcp(TcpStream::from_std(s)?),
            Detached::Unix(s) => Socket::Unix(UnixStream::from_std(s)?),
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        match self {
            Socket::Tcp(s) => s.as_fd(),
            Socket::Unix(s) => s.as_fd(),
        }
    }
}
