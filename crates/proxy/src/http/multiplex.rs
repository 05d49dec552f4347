//! Connections to servers that carry many requests at once (HTTP/2), kept by the core that made them.
use super::{h1::lent, inbox::Inbox, lease::Terms, limits, pool::key};
use crate::{
    core::Core,
    failure::{Failure, Stage},
    upstream::{Server, Stream},
};
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use portcullis_tls::failure::Fault;
use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Mutex, MutexGuard},
    time::Instant,
};

/// A core's connections of this kind.
#[derive(Default)]
pub(crate) struct Lanes {
    /// By server; the place of the server in memory is its key, and its lane keeps it there.
    by_server: RefCell<BTreeMap<usize, Rc<Lane>>>,
}

/// Those to one server.
pub(crate) struct Lane {
    server: Arc<Server>,
    open: RefCell<Vec<Rc<Shared>>>,
    /// Held by who connects: the others wait for what comes of it.
    opening: Mutex<()>,
    /// How often that failed, and how it did last.
    failures: Cell<u64>,
    last: RefCell<Option<Failure>>,
    speaks_one: Cell<bool>,
}

/// One connection.
struct Shared {
    requests: SendRequest<Bytes>,
    made_as: u64,
    scheme: &'static str,
    busy: Cell<usize>,
    /// Since when it has nothing to do, and how long it may rest; None: for ever.
    idle_since: Cell<Instant>,
    rest: Option<Duration>,
    is_distrusted: Cell<bool>,
}

/// A place on a connection for one request, as long as this lives.
pub(crate) struct Place(Rc<Shared>);

/// A place that is taken, by a request to its server.
pub(crate) struct Seat {
    pub(crate) terms: Terms,
    pub(super) requests: SendRequest<Bytes>,
    pub(super) scheme: &'static str,
    place: Place,
}

impl Lanes {
    /// Those to this server.
    pub(crate) fn of(&self, server: &Arc<Server>) -> Rc<Lane> {
        let mut by_server = self.by_server.borrow_mut();
        let lane = by_server.entry(key(server)).or_insert_with(|| {
            Rc::new(Lane {
                server: server.clone(),
                open: RefCell::default(),
                opening: Mutex::default(),
                failures: Cell::default(),
                last: RefCell::default(),
                speaks_one: Cell::default(),
            })
        });
        lane.clone()
    }

    /// Closes those that rested too long, and forgets servers to which none leads.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.by_server.borrow_mut().retain(|_, lane| {
            // no configuration knows it any more, and no request is under way to it
            let is_forgotten = Arc::strong_count(&lane.server) == 1;
            let mut open = lane.open.borrow_mut();
            open.retain(|shared| !shared.is_due(now) && !is_forgotten);
            !open.is_empty() || !is_forgotten
        });
    }
}

impl Lane {
    /// A place on a connection that has one.
    pub(crate) fn place(&self) -> Option<Place> {
        let mut open = self.open.borrow_mut();
        // who is on one that goes keeps it until done
        open.retain(|shared| shared.is_good() && self.server.is_dressed_as(shared.made_as));
        open.iter().find(|shared| shared.has_room()).map(Shared::place)
    }

    /// Waits while another connects; None where nobody need wait.
    pub(crate) async fn turn(&self) -> Result<Option<MutexGuard<'_, ()>>, Failure> {
        if self.speaks_one.get() {
            return Ok(None);
        }
        let failures = self.failures.get();
        let turn = self.opening.lock().await;
        match &*self.last.borrow() {
            // the same would come of another try
            Some(last) if self.failures.get() != failures => Err(last.clone()),
            _ => Ok(Some(turn)),
        }
    }

    /// A connection came to nothing.
    pub(crate) fn note(&self, failure: &Failure) {
        self.failures.set(self.failures.get() + 1);
        *self.last.borrow_mut() = Some(failure.clone());
    }

    /// The server agreed to HTTP/1.1 alone.
    pub(crate) fn found_one(&self) {
        self.speaks_one.set(true);
    }

    /// It did so last.
    pub(crate) fn speaks_one(&self) -> bool {
        self.speaks_one.get()
    }

    /// Begins HTTP/2 on a new connection.
    pub(crate) async fn open(&self, core: &Rc<Core>, stream: Stream, terms: Terms) -> Result<Seat, Failure> {
        let made_as = stream.made_as();
        let scheme = match stream.negotiated() {
            Some(_) => "https",
            None => "http",
        };
        let io = Io {
            stream,
            core: core.clone(),
            inbox: Inbox::default(),
        };
        let begun = begin(io).await;
        let (requests, connection) = begun.map_err(|error| {
            let error = format!("{}: HTTP/2: {error}", self.server.name);
            Failure::failed(Stage::Connect, Fault::Upstream, error)
        })?;
        let server = self.server.name.clone();
        // it ends with its last request and the pool's hold on it, or with the runtime at the end of a drain
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(server = &*server, error = %error, "connection of HTTP/2 ended");
            }
        });
        self.speaks_one.set(false);
        let shared = Rc::new(Shared {
            requests,
            made_as,
            scheme,
            busy: Cell::default(),
            idle_since: Cell::new(Instant::now()),
            rest: terms.rest,
            is_distrusted: Cell::default(),
        });
        self.open.borrow_mut().push(shared.clone());
        Ok(Shared::place(&shared).taken(terms))
    }
}

impl Shared {
    /// It takes requests: it was not closed, and its server did not announce that (GOAWAY).
    fn is_good(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.is_distrusted.get() && !matches!(self.requests.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    fn has_room(&self) -> bool {
        self.busy.get() < self.requests.current_max_send_streams().min(limits::SERVER_STREAMS)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.busy.get() == 0 && self.rest.is_some_and(|rest| self.idle_since.get() + rest <= now)
    }

    fn place(shared: &Rc<Shared>) -> Place {
        shared.busy.set(shared.busy.get() + 1);
        Place(shared.clone())
    }
}

impl Place {
    /// For a request.
    pub(crate) fn taken(self, terms: Terms) -> Seat {
        Seat {
            terms,
            requests: self.0.requests.clone(),
            scheme: self.0.scheme,
            place: self,
        }
    }
}

impl Seat {
    /// Nobody else is let onto this connection.
    pub(crate) fn distrust(&self) {
        self.place.0.is_distrusted.set(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.idle_since.set(Instant::now());
    }
}

/// Until the server has said how many requests it takes at once: those beyond would be refused.
async fn begin(io: Io) -> Result<(SendRequest<Bytes>, Connection<Io>), Cow<'static, str>> {
    let said = |error: h2::Error| Cow::Owned(error.to_string());
    let (requests, mut connection) = builder().handshake(io).await.map_err(said)?;
    let settled = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map_err(said).and(Err("closed before its SETTINGS".into()))),
        Poll::Pending if requests.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    });
    settled.await?;
    Ok((requests, connection))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    let window = limits::SERVER_STREAM_WINDOW;
    builder
        .enable_push(false)
        .initial_max_send_streams(0)
        .initial_window_size(window)
        // all streams' windows at once: whose client does not read holds up no other
        .initial_connection_window_size(window * limits::SERVER_STREAMS as u32)
        .max_send_buffer_size(limits::SEND_BUFFER)
        .max_header_list_size(limits::HEAD_SIZE as u32)
        .max_local_error_reset_streams(Some(limits::OUR_RESETS));
    builder
}

/// A server's connection as the library reads and writes one, through its core's buffer.
struct Io {
    stream: Stream,
    core: Rc<Core>,
    /// What the library had no room for.
    inbox: Inbox,
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Io { stream, core, inbox } = self.get_mut();
        if inbox.is_empty() {
            ready!(lent(core, |scratch| {
                let window = limits::SERVER_READ.min(scratch.len());
                let read = ready!(stream.poll_read(cx, &mut scratch[..window]))?;
                let fits = read.min(into.remaining());
                into.put_slice(&scratch[..fits]);
                inbox.push(&scratch[fits..read]);
                Poll::Ready(io::Result::Ok(()))
            }))?;
            return Poll::Ready(Ok(()));
        }
        let fits = inbox.len().min(into.remaining());
        into.put_slice(&inbox.bytes()[..fits]);
        inbox.consume(fits);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().stream.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.poll_shutdown_write(cx)
    }
}
