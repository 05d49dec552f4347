//! A backend that does as told and remembers what it heard.
use crate::PATIENCE;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
    sync::oneshot,
};

/// How much of a connection is remembered.
const KEPT: usize = 16 * 1024 * 1024;

/// How a backend behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Sends back what comes.
    Echo,
    /// Listens.
    Sink,
    /// Answers the first bytes, then ends.
    Answer(Vec<u8>),
    /// Listens to the end, then answers and ends.
    AnswerAfterEnd(Vec<u8>),
    /// Speaks at once, ends its direction, and goes on listening.
    SpeakThenEnd(Vec<u8>),
    /// Resets the connection once so many bytes have come.
    ResetAfter(usize),
    /// Neither reads nor says anything.
    Mute,
}

/// How a connection to it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// With a FIN.
    Properly,
    /// With an error.
    Broken,
}

/// What was heard on one connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How the other side ended, once it has.
    pub ended: Option<Ended>,
    /// The connection is done with, both ways.
    pub closed: bool,
}

/// A backend on a thread of its own.
pub struct Upstream {
    address: Option<SocketAddr>,
    heard: Arc<Memory>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address where nobody answers.
pub struct Absent {
    address: SocketAddr,
    // What keeps it so.
    _sockets: Vec<socket2::Socket>,
}

#[derive(Default)]
struct Memory {
    connections: Mutex<Vec<Heard>>,
    changed: Condvar,
}

enum Listener {
    Tcp(std::net::TcpListener),
    Unix(PathBuf),
}

impl Upstream {
    /// Listens on a free port of the loopback.
    pub fn start(manner: Manner) -> Upstream {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("a bound socket");
        Upstream::run(Listener::Tcp(socket), manner, Some(address))
    }

    /// Listens on a Unix socket.
    pub fn unix(path: &Path, manner: Manner) -> Upstream {
        let upstream = Upstream::run(Listener::Unix(path.to_owned()), manner, None);
        let started = Instant::now();
        while !path.exists() {
            assert!(started.elapsed() < PATIENCE, "no socket appeared");
            std::thread::yield_now();
        }
        upstream
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("it listens on an address")
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.heard.lock().len()
    }

    /// Waits until what was heard, connection by connection, is as wanted, and returns it.
    pub fn heard_when(&self, wanted: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        let heard = self.heard.lock();
        let (heard, waited) = self
            .heard
            .changed
            .wait_timeout_while(heard, PATIENCE, |heard| !wanted(heard))
            .expect("nothing panics holding it");
        let short: Vec<_> = heard.iter().map(|h| (h.bytes.len(), h.ended, h.closed)).collect();
        assert!(!waited.timed_out(), "the upstream heard only {short:?}");
        heard.clone()
    }

    /// Waits until one connection came and the other side ended it, and returns what was heard.
    pub fn heard_once(&self) -> Heard {
        let heard = self.heard_when(|all| all.first().is_some_and(|h| h.ended.is_some()));
        assert_eq!(heard.len(), 1, "one connection");
        heard[0].clone()
    }

    fn run(listener: Listener, manner: Manner, address: Option<SocketAddr>) -> Upstream {
        let heard = Arc::new(Memory::default());
        let memory = Arc::clone(&heard);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, manner, memory) => {}
                    _ = stopped => {}
                }
            });
        });
        Upstream {
            address,
            heard,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "it panicked");
        }
    }
}

impl Absent {
    /// A connect is refused.
    pub fn down() -> Absent {
        let (socket, address) = bound();
        Absent {
            address,
            _sockets: vec![socket],
        }
    }

    /// A connect gets no answer: the queue of a socket that nobody accepts from is full.
    pub fn deaf() -> Absent {
        let (socket, address) = bound();
        socket.listen(0).expect("a bound socket listens");
        let mut sockets = vec![socket];
        for _ in 0..4 {
            let knock = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM.nonblocking(), None);
            let knock = knock.expect("a socket");
            // EINPROGRESS, and for the last of them for good.
            let _ = knock.connect(&address.into());
            sockets.push(knock);
        }
        Absent {
            address,
            _sockets: sockets,
        }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.connections.lock().expect("nothing panics holding it")
    }

    fn open(&self) -> usize {
        let mut connections = self.lock();
        connections.push(Heard::default());
        self.changed.notify_all();
        connections.len() - 1
    }

    fn change(&self, connection: usize, change: impl FnOnce(&mut Heard)) {
        change(&mut self.lock()[connection]);
        self.changed.notify_all();
    }

    fn hear(&self, connection: usize, bytes: &[u8]) {
        self.change(connection, |heard| {
            let room = KEPT - heard.bytes.len();
            heard.bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
        });
    }

    /// Reads once; None at the end.
    async fn listen<S: AsyncRead + Unpin>(
        &self,
        connection: usize,
        stream: &mut S,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let ended = match stream.read(buffer).await {
            Ok(0) => Ended::Properly,
            Err(_) => Ended::Broken,
            Ok(n) => {
                self.hear(connection, &buffer[..n]);
                return Some(n);
            }
        };
        self.change(connection, |heard| heard.ended = Some(ended));
        None
    }
}

fn bound() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("a bound socket");
    (socket, address.as_socket().expect("an IP address"))
}

async fn accept(listener: Listener, manner: Manner, memory: Arc<Memory>) {
    match listener {
        Listener::Tcp(listener) => {
            let set = listener.set_nonblocking(true);
            set.expect("an open socket takes options");
            let listener = TcpListener::from_std(listener).expect("a runtime");
            loop {
                let (socket, _) = listener.accept().await.expect("a descriptor");
                spawn(socket, &manner, &memory, reset);
            }
        }
        Listener::Unix(path) => {
            let listener = UnixListener::bind(path).expect("a free path");
            loop {
                let (socket, _) = listener.accept().await.expect("a descriptor");
                spawn(socket, &manner, &memory, drop);
            }
        }
    }
}

fn spawn<S>(socket: S, manner: &Manner, memory: &Arc<Memory>, reset: fn(S))
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = memory.open();
    let (manner, memory) = (manner.clone(), Arc::clone(memory));
    tokio::spawn(async move {
        behave(socket, &manner, (connection, &memory), reset).await;
        memory.change(connection, |heard| heard.closed = true);
    });
}

async fn behave<S>(mut socket: S, manner: &Manner, me: (usize, &Memory), reset: fn(S))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (connection, memory) = me;
    let mut buffer = vec![0; 16 * 1024];
    match manner {
        Manner::Echo => {
            while let Some(n) = memory.listen(connection, &mut socket, &mut buffer).await {
                if socket.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        }
        Manner::Sink => while memory.listen(connection, &mut socket, &mut buffer).await.is_some() {},
        Manner::Answer(answer) => {
            memory.listen(connection, &mut socket, &mut buffer).await;
            // Whoever asked may have gone.
            let _ = socket.write_all(answer).await;
        }
        Manner::AnswerAfterEnd(answer) => {
            while memory.listen(connection, &mut socket, &mut buffer).await.is_some() {}
            // Whoever asked may have gone.
            let _ = socket.write_all(answer).await;
        }
        Manner::SpeakThenEnd(speech) => {
            let spoken = socket.write_all(speech).await;
            if spoken.is_err() || socket.shutdown().await.is_err() {
                return;
            }
            while memory.listen(connection, &mut socket, &mut buffer).await.is_some() {}
        }
        Manner::ResetAfter(limit) => {
            let mut heard = 0;
            while heard < *limit {
                match memory.listen(connection, &mut socket, &mut buffer).await {
                    Some(n) => heard += n,
                    None => return,
                }
            }
            return reset(socket);
        }
        Manner::Mute => tokio::time::sleep(2 * PATIENCE).await,
    }
    // The other side may have gone before.
    let _ = socket.shutdown().await;
}

fn reset(socket: TcpStream) {
    let set = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    set.expect("an open socket takes options");
}
