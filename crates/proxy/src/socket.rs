//! A stream socket of either family, driven by polls so that a core's one scratch buffer serves all reads.
use rustix::{
    fd::{AsFd, BorrowedFd},
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use std::{
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncWrite, Interest},
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
        let room = buffer.len();
        loop {
            ready!(match self {
                Socket::Tcp(s) => s.poll_read_ready(cx),
                Socket::Unix(s) => s.poll_read_ready(cx),
            })?;
            let read = self.call(Interest::READABLE, |fd| recv(fd, &mut *buffer, RecvFlags::empty()));
            if let Some(read) = read.map(|read| read.map(|(read, _)| read)).transpose()? {
                self.seems_blocked(Interest::READABLE, read, room);
                return Poll::Ready(Ok(read));
            }
        }
    }

    /// Writes what fits.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(match self {
                Socket::Tcp(s) => s.poll_write_ready(cx),
                Socket::Unix(s) => s.poll_write_ready(cx),
            })?;
            let written = self.call(Interest::WRITABLE, |fd| send(fd, bytes, SendFlags::NOSIGNAL));
            if let Some(written) = written.transpose()? {
                self.seems_blocked(Interest::WRITABLE, written, bytes.len());
                return Poll::Ready(Ok(written));
            }
        }
    }

    /// A system call without the C library's points of cancellation, which cost 0.2 us of a request's 9. None: it would
    /// block, and the event loop knows.
    fn call<T>(
        &self,
        interest: Interest,
        mut call: impl FnMut(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Option<io::Result<T>> {
        let result = match self {
            Socket::Tcp(s) => s.try_io(interest, || uninterrupted(|| call(s.as_fd()))),
            Socket::Unix(s) => s.try_io(interest, || uninterrupted(|| call(s.as_fd()))),
        };
        match result {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
            result => Some(result),
        }
    }

    /// What moved less than it could says that the next call would block: the event loop is told without that call.
    fn seems_blocked(&self, interest: Interest, moved: usize, most: usize) {
        if (1..most).contains(&moved) {
            self.call(interest, |_| Err::<(), _>(Errno::WOULDBLOCK));
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

/// Again, where a signal came between.
fn uninterrupted<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(s) => s.as_fd(),
            Socket::Unix(s) => s.as_fd(),
        }
    }
}
