//! One event loop per core: a connection lives and dies on its core, and cores share only what stands in [`Shared`].
use crate::{
    connection,
    http::{pool::Pool, quiet::Quiet},
    listener::{
        Listener,
        accept::{Accepted, Attachable, Handshaking, Listening, accept},
        gate::{Addresses, Permit, Permits, Place},
    },
    metrics::Requests,
    quic::{endpoint, socket::Group, transport::Common},
    record::{Books, Peer, Record},
    relay::SCRATCH,
    snapshot::{Door, Live},
    socket::Socket,
    start::{Admitted, Hook},
    wheel::Wheel,
};
use portcullis_tls::tickets::Tickets;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{IpAddr, UdpSocket},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
};
use tokio::{
    net::{TcpListener, UnixListener},
    runtime::{Builder, LocalOptions},
    sync::{mpsc, oneshot},
    task::spawn_local,
};

/// Handshakes that may run at once, in all: at the 24 KiB that one may hold, 384 MB.
const HANDSHAKES: usize = 16 * 1024;
/// And of one address (/64 for IPv6): a load balancer's worth, a quarter of all.
const HANDSHAKES_PER_ADDRESS: usize = HANDSHAKES / 4;

/// And over QUIC from addresses that may be forged: at the 91 KB that a whole hello with its answer was measured to cost,
/// 47 MB, and more than 5,000 new connections a second where a handshake takes 100 ms.
const UNPROVEN: usize = 512;

/// What all cores and the control thread see.
pub(crate) struct Shared {
    pub(crate) live: Live,
    pub(crate) books: Arc<Books>,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) hook: Option<Hook>,
    /// Of requests that found no site.
    pub(crate) nowhere_requests: Arc<Requests>,
    loads: Loads,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    /// What all QUIC endpoints share.
    pub(crate) quic: Common,
    handshakes: Arc<Permits>,
    unproven: Arc<Permits>,
    addresses: Arc<Addresses>,
    /// Ids count up from a random number: unlikely to meet those of an earlier run in one log.
    next_id: AtomicU64,
}

/// Connections per core.
pub(crate) struct Loads(Vec<AtomicUsize>);

/// What the control thread and other cores ask of a core.
pub(crate) enum Order {
    Serve(Attachable, Box<Accepted>),
    Listen(Door, ListenSocket),
    /// Take QUIC there, as one of a group.
    Quic(Door, Arc<Group>, UdpSocket),
    /// Stop listening there; the answer comes when the queue is empty and the socket closed.
    Unlisten(Door, oneshot::Sender<()>),
    /// Close the socket for QUIC there; the answer comes when that is done.
    Unquic(Door, oneshot::Sender<()>),
    /// The configuration is another.
    Changed,
    /// Connections at rest end, and what runs is the last of its connection.
    WindDown,
    End,
}

/// A listening socket on its way to its core.
pub(crate) enum ListenSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// A core as its connections see it.
pub(crate) struct Core {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) wheel: Rc<Wheel>,
    /// Connections to servers that rest between requests.
    pub(crate) pool: Rc<Pool>,
    /// Connections of clients that do.
    pub(crate) quiet: Quiet,
    scratch: RefCell<Box<[u8]>>,
}

/// The receiving ends, until the threads start.
pub(crate) type Mailboxes = Vec<mpsc::UnboundedReceiver<Order>>;

impl Shared {
    pub(crate) fn new(
        cores: usize,
        (live, tickets): (Live, Arc<Tickets>),
        books: Arc<Books>,
        hook: Option<Hook>,
    ) -> (Arc<Shared>, Mailboxes) {
        let (orders, mailboxes) = (0..cores).map(|_| mpsc::unbounded_channel()).unzip();
        let shared = Shared {
            nowhere_requests: books.metrics.requests(&books.nowhere),
            live,
            books,
            tickets,
            hook,
            loads: Loads((0..cores).map(|_| AtomicUsize::new(0)).collect()),
            orders,
            quic: Common::new(),
            handshakes: Arc::new(Permits::new(HANDSHAKES)),
            unproven: Arc::new(Permits::new(UNPROVEN)),
            addresses: Arc::new(Addresses::new()),
            next_id: AtomicU64::new(random()),
        };
        (Arc::new(shared), mailboxes)
    }

    pub(crate) fn cores(&self) -> usize {
        self.orders.len()
    }

    pub(crate) fn loads(&self) -> &Loads {
        &self.loads
    }

    /// Tells a core something. A core that has ended takes no orders, and needs none.
    pub(crate) fn order(&self, core: usize, order: Order) {
        let _ = self.orders[core].send(order);
    }

    /// Tells every core.
    pub(crate) fn order_all(&self, order: impl Fn() -> Order) {
        for core in 0..self.cores() {
            self.order(core, order());
        }
    }

    /// Tells every core to end.
    pub(crate) fn end_cores(&self) {
        for core in 0..self.cores() {
            self.order(core, Order::End);
        }
    }

    /// Gives a connection to another core.
    pub(crate) fn hand(&self, core: usize, socket: Attachable, accepted: Accepted) {
        self.order(core, Order::Serve(socket, Box::new(accepted)));
    }

    /// A place among the handshakes of addresses that may be forged. None: who comes over QUIC proves its address
    /// first, for want of places, or because a quarter of all handshakes that may run do.
    pub(crate) fn unproven(&self) -> Option<Permit> {
        let is_calm = self.handshakes.used() < HANDSHAKES / 4;
        is_calm.then(|| self.unproven.try_acquire()).flatten()
    }

    /// A place among the handshakes in flight.
    pub(crate) fn handshake(&self, address: Option<IpAddr>) -> Result<Handshaking, &'static str> {
        let permit = self.handshakes.try_acquire().ok_or("too many handshakes in flight")?;
        let place = address.map(|address| self.handshake_of(address)).transpose()?;
        Ok(Handshaking::new(permit, place))
    }

    /// And among those of an address.
    pub(crate) fn handshake_of(&self, address: IpAddr) -> Result<Place, &'static str> {
        let place = self.addresses.enter(address, HANDSHAKES_PER_ADDRESS);
        place.ok_or("too many handshakes in flight from this address")
    }
}

impl Loads {
    pub(crate) fn get(&self, core: usize) -> usize {
        self.0[core].load(Relaxed)
    }

    pub(crate) fn add(&self, core: usize) {
        self.0[core].fetch_add(1, Relaxed);
    }

    pub(crate) fn remove(&self, core: usize) {
        self.0[core].fetch_sub(1, Relaxed);
    }

    /// The core with the fewest connections, and how many those are.
    pub(crate) fn least(&self) -> (usize, usize) {
        let loads = self.0.iter().map(|n| n.load(Relaxed)).enumerate();
        loads.min_by_key(|&(_, n)| n).unwrap_or((0, 0))
    }

    /// Of each core.
    pub(crate) fn all(&self) -> Vec<usize> {
        self.0.iter().map(|n| n.load(Relaxed)).collect()
    }

    pub(crate) fn total(&self) -> usize {
        self.all().into_iter().sum()
    }
}

impl Core {
    /// Starts serving a connection here.
    pub(crate) fn serve(self: &Rc<Core>, socket: Attachable, accepted: Accepted) {
        // the task ends by itself, by its deadlines, or with the runtime at the end of a drain
        spawn_local(connection::run(self.clone(), socket, accepted));
    }

    pub(crate) fn record(&self, listener: &Listener, peer: Peer) -> Record {
        let id = self.shared.next_id.fetch_add(1, Relaxed);
        let books = (self.shared.books.clone(), self.index);
        Record::new(books, id, listener.name.clone(), peer)
    }

    /// A number for the next request.
    pub(crate) fn request_id(&self) -> u64 {
        self.shared.next_id.fetch_add(1, Relaxed)
    }

    pub(crate) fn books(&self) -> &Books {
        &self.shared.books
    }

    /// Lends the core's read buffer for the time of one poll.
    pub(crate) fn scratch(&self, read: &mut dyn FnMut(&mut [u8])) {
        read(&mut self.scratch.borrow_mut());
    }

    /// Tells the library's user, if it asked, what stands behind a connection its backend is about to see.
    pub(crate) fn admitted(&self, upstream: &Socket, record: &Record) {
        let Some(hook) = &self.shared.hook else { return };
        if let Some(from) = upstream.local_address() {
            hook(&Admitted {
                from,
                negotiated: record.negotiated(),
            });
        }
    }
}

/// Starts a core's thread.
pub(crate) fn start(
    index: usize,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
) -> io::Result<JoinHandle<()>> {
    let name = format!("core-{index}");
    let runtime = move || {
        Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(LocalOptions::default())
    };
    std::thread::Builder::new().name(name).spawn(move || {
        let _log = shared.books.log.enter();
        match runtime() {
            Ok(runtime) => {
                let scratch = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
                let core = Rc::new(Core {
                    index,
                    shared,
                    wheel: Wheel::new(),
                    pool: Rc::default(),
                    quiet: Quiet::default(),
                    scratch,
                });
                runtime.block_on(run(core, orders));
            }
            Err(error) => tracing::error!(core = index as u64, error = %error, "event loop not started"),
        }
    })
}

async fn run(core: Rc<Core>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let (mut listening, mut quic): (HashMap<Door, Task>, HashMap<Door, Task>) = Default::default();
    // ends with the runtime
    spawn_local(core.wheel.clone().turn());
    spawn_local(core.pool.clone().turn());
    while let Some(order) = orders.recv().await {
        match order {
            Order::Serve(socket, accepted) => core.serve(socket, *accepted),
            Order::Listen(address, socket) => match socket.attach() {
                Ok(socket) => {
                    let (stop, stopped) = oneshot::channel();
                    let task = spawn_local(accept(core.clone(), socket, address.clone(), stopped));
                    listening.insert(address, Task { stop, task });
                }
                Err(error) => tracing::error!(address = %address, error = %error, "cannot listen"),
            },
            Order::Quic(address, group, socket) => match endpoint::open(&core, &group, socket) {
                Ok(endpoint) => {
                    let (stop, stopped) = oneshot::channel();
                    let serving = endpoint::serve(core.clone(), (endpoint, group), address.clone(), stopped);
                    let task = spawn_local(serving);
                    quic.insert(address, Task { stop, task });
                }
                Err(error) => tracing::error!(address = %address, error = %error, "cannot take QUIC"),
            },
            Order::Unlisten(address, done) => Task::end(listening.remove(&address), done).await,
            Order::Unquic(address, done) => Task::end(quic.remove(&address), done).await,
            Order::Changed => core.quiet.stir(),
            Order::WindDown => core.quiet.end(),
            Order::End => break,
        }
    }
    // those that are cut are told so: a client of QUIC would wait for its timers otherwise
    let ending = quic.into_values().map(Task::stop).collect::<Vec<_>>();
    for task in ending {
        let _ = task.await;
    }
}

/// What listens at a door.
struct Task {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Task {
    fn stop(self) -> tokio::task::JoinHandle<()> {
        // it may have ended by itself
        let _ = self.stop.send(());
        self.task
    }

    async fn end(task: Option<Task>, done: oneshot::Sender<()>) {
        if let Some(task) = task {
            let _ = task.stop().await;
        }
        // nobody waits any more when the control thread has ended
        let _ = done.send(());
    }
}

impl ListenSocket {
    fn attach(self) -> io::Result<Listening> {
        Ok(match self {
            ListenSocket::Tcp(socket) => Listening::Tcp(TcpListener::from_std(socket)?),
            ListenSocket::Unix(socket) => Listening::Unix(UnixListener::from_std(socket)?),
        })
    }
}

/// A number that another run is unlikely to have, from the keys that hash maps get.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) & 0xffff_ffff_0000_0000
}
