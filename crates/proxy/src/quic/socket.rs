//! A core's socket among those that share a port. The kernel chooses one by the client's address, which changes; the
//! connection's id says which core it is for, and what is another's is handed to it.
use super::ids::{self, Ids};
use prometheus_client::metrics::counter::Counter;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit, UdpSocketState},
};
use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
};
use tokio::io::Interest;

/// Bytes that may wait for a core; past it they are lost, as datagrams are where a queue is full. A core's own socket
/// has about as much.
const WAITING: usize = 1024 * 1024;
/// What one of them costs beside its bytes, so that a queue of the smallest is bounded too.
const EACH: usize = 128;

/// The cores of one address, and what waits for each.
pub(crate) struct Group {
    ids: Arc<Ids>,
    inboxes: Vec<Mutex<Inbox>>,
    open: AtomicUsize,
    /// Datagrams that found an inbox full.
    dropped: Counter,
}

/// One connection in a group's count.
pub(crate) struct Open(Arc<Group>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, AcqRel);
    }
}

#[derive(Default)]
struct Inbox {
    datagrams: VecDeque<(RecvMeta, Box<[u8]>)>,
    bytes: usize,
    reader: Option<Waker>,
}

/// One core's socket.
pub(crate) struct CoreSocket {
    group: Arc<Group>,
    core: usize,
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    /// Whose turn it is: neither the inbox nor the socket may starve the other.
    inbox_first: AtomicBool,
}

impl Group {
    pub(crate) fn new(ids: &Arc<Ids>, cores: usize, dropped: &Counter) -> Arc<Group> {
        Arc::new(Group {
            ids: ids.clone(),
            inboxes: (0..cores).map(|_| Mutex::default()).collect(),
            open: AtomicUsize::new(0),
            dropped: dropped.clone(),
        })
    }

    pub(crate) fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// Counts one connection more.
    pub(crate) fn enter(self: &Arc<Group>) -> Open {
        self.open.fetch_add(1, AcqRel);
        Open(self.clone())
    }

    /// No connection is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.load(Acquire) == 0
    }

    fn inbox(&self, core: usize) -> MutexGuard<'_, Inbox> {
        // an inbox is never left half changed, so a panic elsewhere does not spoil it
        self.inboxes[core].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose a datagram is, if it says so.
    fn owner(&self, datagram: &[u8]) -> Option<usize> {
        let core = self.ids.core_of(ids::destination(datagram)?)?;
        (core < self.inboxes.len()).then_some(core)
    }

    fn hand(&self, core: usize, meta: RecvMeta, bytes: &[u8]) {
        let reader = {
            let mut inbox = self.inbox(core);
            if inbox.bytes + bytes.len() + EACH > WAITING {
                self.dropped.inc();
                return;
            }
            inbox.bytes += bytes.len() + EACH;
            inbox.datagrams.push_back((meta, bytes.into()));
            inbox.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Fills buffers with what was handed to a core.
    fn take(&self, core: usize, cx: &Context<'_>, (bufs, meta): Buffers<'_, '_>) -> usize {
        let mut inbox = self.inbox(core);
        let mut count = 0;
        while count < bufs.len().min(meta.len()) {
            let Some((of, bytes)) = inbox.datagrams.pop_front() else {
                break;
            };
            inbox.bytes -= bytes.len() + EACH;
            bufs[count][..bytes.len()].copy_from_slice(&bytes);
            meta[count] = of;
            count += 1;
        }
        if count == 0 {
            inbox.reader = Some(cx.waker().clone());
        }
        count
    }
}

type Buffers<'a, 'b> = (&'a mut [IoSliceMut<'b>], &'a mut [RecvMeta]);

impl CoreSocket {
    /// Brings a socket into this event loop.
    pub(crate) fn new(group: &Arc<Group>, core: usize, socket: UdpSocket) -> io::Result<CoreSocket> {
        Ok(CoreSocket {
            group: group.clone(),
            core,
            state: UdpSocketState::new((&socket).into())?,
            io: tokio::net::UdpSocket::from_std(socket)?,
            inbox_first: AtomicBool::new(false),
        })
    }

    /// Receives from the network what is this core's, and hands on what is not.
    fn poll_socket(&self, cx: &mut Context<'_>, (bufs, meta): Buffers<'_, '_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received = self
                .io
                .try_io(Interest::READABLE, || self.state.recv((&self.io).into(), bufs, meta));
            // the kernel had nothing after all, or told of a datagram that did not arrive
            let Ok(received) = received else { continue };
            let kept = self.sort((&mut *bufs, &mut *meta), received);
            if kept > 0 {
                return Poll::Ready(Ok(kept));
            }
        }
    }

    /// Keeps what is this core's at the front, and says how many buffers that are.
    fn sort(&self, (bufs, meta): Buffers<'_, '_>, received: usize) -> usize {
        if self.group.inboxes.len() == 1 {
            return received;
        }
        let mut kept = 0;
        for place in 0..received {
            let length = self.sift(&mut bufs[place], &meta[place]);
            if length > 0 {
                meta[place].len = length;
                bufs.swap(kept, place);
                meta.swap(kept, place);
                kept += 1;
            }
        }
        kept
    }

    /// A buffer may hold several datagrams of one client, all of one length but the last. What is this core's is moved
    /// to its front, and its new length returned.
    fn sift(&self, buffer: &mut [u8], meta: &RecvMeta) -> usize {
        let (mut kept, mut at) = (0, 0);
        while at < meta.len {
            let end = (at + meta.stride.max(1)).min(meta.len);
            match self.group.owner(&buffer[at..end]) {
                Some(core) if core != self.core => {
                    let length = end - at;
                    let alone = RecvMeta {
                        len: length,
                        stride: length,
                        ..*meta
                    };
                    self.group.hand(core, alone, &buffer[at..end]);
                }
                _ => {
                    if kept < at {
                        buffer.copy_within(at..end, kept);
                    }
                    kept += end - at;
                }
            }
            at = end;
        }
        kept
    }
}

impl AsyncUdpSocket for CoreSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io
            .try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let inbox_first = !self.inbox_first.fetch_xor(true, Relaxed);
        if inbox_first {
            let taken = self.group.take(self.core, cx, (&mut *bufs, &mut *meta));
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
        if let Poll::Ready(received) = self.poll_socket(cx, (&mut *bufs, &mut *meta)) {
            return Poll::Ready(received);
        }
        match self.group.take(self.core, cx, (bufs, meta)) {
            0 => Poll::Pending,
            taken => Poll::Ready(Ok(taken)),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl fmt::Debug for CoreSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreSocket")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

/// Waits until the socket takes more.
struct Writable {
    socket: Arc<CoreSocket>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Writable { socket, waiting } = &mut *self;
        let future = waiting.get_or_insert_with(|| {
            let socket = socket.clone();
            Box::pin(async move { socket.io.writable().await })
        });
        let writable = ready!(future.as_mut().poll(cx));
        *waiting = None;
        Poll::Ready(writable)
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}
