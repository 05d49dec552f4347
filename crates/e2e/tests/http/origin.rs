//! An HTTP/1.1 server that remembers every request as it came, and answers as a test says.
use portcullis_e2e::PATIENCE;
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// A request as it came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Asked {
    /// The head, as text, with its empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The lines behind the last chunk.
    pub(crate) trailers: String,
    /// Which of the connections it came on.
    pub(crate) connection: usize,
}

/// What follows an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Go {
    On,
    Close,
    Reset,
}

/// The server.
pub(crate) struct Origin {
    address: SocketAddr,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    asked: Mutex<Vec<Asked>>,
    changed: Condvar,
    is_over: AtomicBool,
}

/// One connection, with what was read and not yet understood.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    unread: Vec<u8>,
    connection: usize,
}

impl Asked {
    /// `GET /path?query`
    pub(crate) fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").expect("a request line of HTTP/1.1")
    }

    /// The lines of a name, their values joined by commas.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }
}

/// The lines of a name in a head, their values joined by commas.
pub(crate) fn field(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let of_name = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
    let values: Vec<&str> = of_name.map(|(_, value)| value.trim()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

impl Origin {
    /// Answers each request, whole as it came.
    pub(crate) fn start(answer: impl Fn(&Asked, &mut Peer) -> Go + Send + Sync + 'static) -> Origin {
        Origin::of(move |peer, memory| {
            let mut asked = peer.head()?;
            peer.rest_of(&mut asked)?;
            memory.remember(asked.clone());
            Some(answer(&asked, peer))
        })
    }

    /// Answers as soon as a head came; the body is the answerer's to read.
    pub(crate) fn at_heads(answer: impl Fn(&Asked, &mut Peer) -> Go + Send + Sync + 'static) -> Origin {
        Origin::of(move |peer, memory| {
            let asked = peer.head()?;
            memory.remember(asked.clone());
            Some(answer(&asked, peer))
        })
    }

    /// Answers every request with its line.
    pub(crate) fn plain() -> Origin {
        Origin::start(|asked, peer| peer.say(&said(asked.line())))
    }

    fn of(serve: impl Fn(&mut Peer, &Memory) -> Option<Go> + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (memory, serve) = (Arc::new(Memory::default()), Arc::new(serve));
        let shared = Arc::clone(&memory);
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                if shared.is_over.load(Relaxed) {
                    return;
                }
                let (serve, memory) = (Arc::clone(&serve), Arc::clone(&shared));
                let socket = socket.expect("a descriptor");
                thread::spawn(move || Peer::new(socket, connection).serve(|peer| serve(peer, &memory)));
            }
        });
        Origin { address, memory }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.memory.asked.lock().expect("nothing panics holding it").clone()
    }

    /// What was asked, once it is so much.
    pub(crate) fn asked_when(&self, count: usize) -> Vec<Asked> {
        let asked = self.memory.asked.lock().expect("nothing panics holding it");
        let waited = self
            .memory
            .changed
            .wait_timeout_while(asked, PATIENCE, |all| all.len() < count);
        let (asked, _) = waited.expect("nothing panics holding it");
        assert!(asked.len() >= count, "only {} of {count} requests came", asked.len());
        asked.clone()
    }

    /// Forgets what was asked.
    pub(crate) fn forget(&self) {
        self.memory.asked.lock().expect("nothing panics holding it").clear();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.memory.is_over.store(true, Relaxed);
        // one more, so that it looks; it may have ended already
        let _ = TcpStream::connect(self.address);
    }
}

impl Memory {
    fn remember(&self, asked: Asked) {
        self.asked.lock().expect("nothing panics holding it").push(asked);
        self.changed.notify_all();
    }
}

impl Peer {
    fn new(socket: TcpStream, connection: usize) -> Peer {
        let set = socket.set_read_timeout(Some(2 * PATIENCE));
        set.expect("an open socket takes options");
        Peer {
            socket,
            unread: Vec::new(),
            connection,
        }
    }

    fn serve(mut self, serve: impl Fn(&mut Peer) -> Option<Go>) {
        while let Some(go) = serve(&mut self) {
            match go {
                Go::On => {}
                Go::Close => return,
                Go::Reset => {
                    let socket = socket2::SockRef::from(&self.socket);
                    let set = socket.set_linger(Some(Duration::ZERO));
                    return set.expect("an open socket takes options");
                }
            }
        }
    }

    /// Says it, and goes on.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Go {
        match self.socket.write_all(bytes) {
            Ok(()) => Go::On,
            // whoever asked may have gone
            Err(_) => Go::Close,
        }
    }

    /// The next request's head; None at the end.
    fn head(&mut self) -> Option<Asked> {
        let head = self.until(b"\r\n\r\n").ok()?;
        Some(Asked {
            head: String::from_utf8_lossy(&head).into_owned(),
            connection: self.connection,
            ..Asked::default()
        })
    }

    /// The body, as its head frames it; None when it does not come.
    pub(crate) fn rest_of(&mut self, asked: &mut Asked) -> Option<()> {
        let lengths = (asked.field("content-length"), asked.field("transfer-encoding"));
        match lengths {
            (None, None) => {}
            (Some(length), None) => {
                let length = length.parse().expect("one length, in digits");
                asked.body = self.exactly(length).ok()?;
            }
            (None, Some(coding)) => {
                assert_eq!(coding, "chunked", "the only coding that is spoken");
                self.chunks(asked).ok()?;
            }
            both => panic!("ambiguous: {both:?}"),
        }
        Some(())
    }

    fn chunks(&mut self, asked: &mut Asked) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n")?;
            let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size = usize::from_str_radix(&digits, 16).expect("a size and nothing else");
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2)?;
            assert!(chunk.ends_with(b"\r\n"), "a chunk ends with CRLF");
            asked.body.extend_from_slice(&chunk[..size]);
        }
        loop {
            let line = self.until(b"\r\n")?;
            if line == b"\r\n" {
                return Ok(());
            }
            asked.trailers.push_str(&String::from_utf8_lossy(&line));
        }
    }

    pub(crate) fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let found = self.unread.windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Ok(self.unread.drain(..at + mark.len()).collect());
            }
            self.fill()?;
        }
    }

    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < count {
            self.fill()?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        match self.socket.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

/// A 200 with this body.
pub(crate) fn said(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
