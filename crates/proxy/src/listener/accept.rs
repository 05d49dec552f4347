//! Accepting: nothing but accept (and a permit for it) is awaited here.
use crate::{
    core::Core,
    failure::{Failure, Stage},
    listener::{
        Listener,
        bind::BACKLOG,
        gate::{Leave, Permit, Place},
    },
    plan::Mode,
    record::{Peer, Record},
    snapshot::Door,
    socket::{Detached, Socket},
};
use portcullis_tls::failure::Fault;
use prometheus_client::metrics::gauge::Gauge;
use std::{io, net::IpAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::oneshot,
    time::sleep,
};

/// First and longest pause after an accept that failed for want of resources.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// A core with more connections than the least loaded by this, or by 12 %, gives new ones away.
const UNEVEN: usize = 8;

/// A socket that listens on this core.
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection on its way to the core that will serve it.
pub(crate) struct Accepted {
    pub(crate) listener: Arc<Listener>,
    pub(crate) record: Record,
    /// Its places among the handshakes in flight.
    pub(crate) handshaking: Option<Handshaking>,
    /// What it gives back when it is over.
    pub(crate) kept: Kept,
}

/// A socket, in this event loop or between two.
pub(crate) enum Attachable {
    Here(Socket),
    Elsewhere(Detached),
}

/// Places among the handshakes in flight, in all and of its address.
pub(crate) struct Handshaking {
    _permit: Permit,
    place: Option<Place>,
    /// And of addresses that may be forged.
    unproven: Option<Permit>,
}

/// Places a connection holds as long as it lives.
pub(crate) struct Kept {
    _permit: Permit,
    _place: Option<Place>,
    _load: Load,
    open: Gauge,
}

/// One connection in a core's count.
struct Load(Arc<crate::core::Shared>, usize);

impl Attachable {
    /// The socket, in this event loop.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        match self {
            Attachable::Here(socket) => Ok(socket),
            Attachable::Elsewhere(socket) => socket.attach(),
        }
    }
}

impl Listening {
    async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Listening::Tcp(l) => l.accept().await.map(|(s, a)| (Socket::Tcp(s), Peer::Ip(a))),
            Listening::Unix(l) => l.accept().await.map(|(s, _)| (Socket::Unix(s), Peer::Unix)),
        }
    }
}

/// Accepts until told to stop, then empties the queue and closes the socket.
pub(crate) async fn accept(core: Rc<Core>, listening: Listening, address: Door, mut stop: oneshot::Receiver<()>) {
    let mut pause = BACK_OFF.0;
    loop {
        let Some(accepted) = until(&mut stop, listening.accept()).await else {
            break;
        };
        match accepted {
            Ok((socket, peer)) => {
                // asked for after accept: a core that waits for connections would hold a permit that another needs
                let Some(Some(leave)) = until(&mut stop, leave(&core, &address)).await else {
                    break;
                };
                pause = BACK_OFF.0;
                take(&core, &address, (socket, peer), leave);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(address = %address, error = %error, pause_ms = pause.as_millis() as u64, "accept failed");
                if until(&mut stop, sleep(pause)).await.is_none() {
                    break;
                }
                pause = (pause * 2).min(BACK_OFF.1);
            }
        }
    }
    empty_queue(&core, &listening, &address).await;
}

/// Connections that the kernel had accepted already are served, not reset. What comes while they are is not waited
/// for: a queue is never longer than the backlog.
async fn empty_queue(core: &Rc<Core>, listening: &Listening, address: &Door) {
    for _ in 0..BACKLOG {
        let gate = core.shared.live.load().listener(address).map(|l| l.gate.clone());
        let Some(permit) = gate.and_then(|gate| gate.permits.try_acquire()) else {
            break;
        };
        // a queue that is not empty answers at once
        match tokio::time::timeout(Duration::from_millis(1), listening.accept()).await {
            Ok(Ok((socket, peer))) => take(core, address, (socket, peer), Leave::Stay(permit)),
            Ok(Err(error)) if is_about_one_connection(&error) => {}
            Ok(Err(_)) | Err(_) => break,
        }
        // others of this core have their turn
        tokio::task::yield_now().await;
    }
}

/// Waits for leave to go on; None when the address has no listener any more. Where requests are served they are
/// answered even by a full listener.
async fn leave(core: &Core, address: &Door) -> Option<Leave> {
    let (gate, mode) = {
        let live = core.shared.live.load();
        let listener = live.listener(address)?;
        (listener.gate.clone(), listener.plan.mode)
    };
    Some(match mode {
        Mode::Tcp | Mode::Passthrough => Leave::Stay(gate.permits.acquire().await),
        Mode::Http => gate.permits.acquire_or(&gate.told).await,
    })
}

/// Counts a new connection in and starts it, here or on the least loaded core.
fn take(core: &Rc<Core>, address: &Door, (socket, peer): (Socket, Peer), leave: Leave) {
    let Some(listener) = core.shared.live.load().listener(address).cloned() else {
        return;
    };
    let mut record = core.record(&listener, peer);
    let permit = match leave {
        Leave::Stay(permit) => permit,
        Leave::BeTold(permit) => {
            record.turn_away();
            permit
        }
    };
    match enter(core, &listener, record.peer()) {
        Err(failure) => record.end(Err(failure)),
        Ok((place, handshaking)) => {
            let target = least_loaded(core);
            let kept = Kept::new(permit, place, &listener, Load::new(&core.shared, target));
            start(
                core,
                target,
                socket,
                Accepted {
                    listener,
                    record,
                    handshaking,
                    kept,
                },
            );
        }
    }
}

/// Places in an address's count and among the handshakes in flight.
pub(crate) type Entered = (Option<Place>, Option<Handshaking>);

/// The listener's lists and limits, before anything is read.
pub(crate) fn enter(core: &Core, listener: &Listener, peer: &Peer) -> Result<Entered, Failure> {
    let refused = |error: &'static str| Failure::refused(Stage::Accept, Fault::Operator, error);
    let Peer::Ip(peer) = peer else {
        return Ok((None, Some(core.shared.handshake(None).map_err(refused)?)));
    };
    if listener.denies(peer.ip()) {
        return Err(refused("address denied"));
    }
    if listener.is_announced_by(peer.ip()) {
        // who it is for is not known yet: see `introduction`
        let handshaking = (!listener.plan.plain).then(|| core.shared.handshake(None));
        return Ok((None, handshaking.transpose().map_err(refused)?));
    }
    let place = place(listener, peer.ip())?;
    if listener.plan.plain {
        return Ok((place, None));
    }
    let handshaking = core.shared.handshake(Some(peer.ip())).map_err(refused)?;
    Ok((place, Some(handshaking)))
}

/// A place among the connections of an address, where the listener counts them.
pub(super) fn place(listener: &Listener, address: IpAddr) -> Result<Option<Place>, Failure> {
    let limit = listener.plan.limits.per_ip;
    if limit == 0 {
        return Ok(None);
    }
    let place = listener.gate.addresses.enter(address, limit);
    let full = || Failure::refused(Stage::Accept, Fault::Operator, "limit per_ip reached");
    place.map(Some).ok_or_else(full)
}

fn start(core: &Rc<Core>, target: usize, socket: Socket, mut accepted: Accepted) {
    if target == core.index {
        return core.serve(Attachable::Here(socket), accepted);
    }
    match socket.detach() {
        Ok(socket) => core.shared.hand(target, Attachable::Elsewhere(socket), accepted),
        Err(error) => accepted
            .record
            .end(Err(Failure::io(Stage::Accept, Fault::Ours, &error))),
    }
}

/// This core, unless another has clearly less to do.
fn least_loaded(core: &Core) -> usize {
    let loads = core.shared.loads();
    let own = loads.get(core.index);
    let (least, load) = loads.least();
    if own > load + UNEVEN.max(own * 12 / 100) {
        least
    } else {
        core.index
    }
}

/// A client that gave up between the kernel's accept and ours says nothing about the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn until<T>(stop: &mut oneshot::Receiver<()>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stop => None,
        result = future => Some(result),
    }
}

impl Handshaking {
    pub(crate) fn new(permit: Permit, place: Option<Place>) -> Handshaking {
        Handshaking {
            _permit: permit,
            place,
            unproven: None,
        }
    }

    /// Its address may be forged.
    pub(crate) fn is_unproven(&mut self, permit: Permit) {
        self.unproven = Some(permit);
    }

    /// The address behind it became known.
    pub(super) fn is_of(&mut self, place: Place) {
        self.place = Some(place);
    }
}

impl Load {
    fn new(shared: &Arc<crate::core::Shared>, core: usize) -> Load {
        shared.loads().add(core);
        Load(shared.clone(), core)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.loads().remove(self.1);
    }
}

impl Kept {
    /// For a connection that is served where it was accepted.
    pub(crate) fn here(core: &Core, permit: Permit, place: Option<Place>, listener: &Listener) -> Kept {
        Kept::new(permit, place, listener, Load::new(&core.shared, core.index))
    }

    fn new(permit: Permit, place: Option<Place>, listener: &Listener, load: Load) -> Kept {
        listener.open.inc();
        Kept {
            _permit: permit,
            _place: place,
            _load: load,
            open: listener.open.clone(),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.open.dec();
    }
}
