//! Crate `tls` between two blocking sockets: the straight line of a connection without the proxy, so
//! that OpenSSL can judge it alone.
use crate::PATIENCE;
use portcullis_tls::{
    client::{Client, Connection},
    negotiated::Negotiated,
    records::{Handshake, MAX_RECORD, Records},
    rustls::{self, Stream, pki_types::ServerName},
    server::{Refusal, Server, Unfit},
};
use portcullis_wire::{
    Hello,
    client_hello::{self, HelloError, Progress},
};
use std::{
    io::{self, IoSlice, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::JoinHandle,
};

/// Why a handshake with our server did not come to an end.
#[derive(Debug)]
pub enum Trouble {
    /// The hello could not be read.
    Hello(HelloError),
    /// The hello gets no configuration.
    Refused(Refusal),
    /// rustls gave up.
    Tls(rustls::Error),
    /// rustls did not do what was chosen.
    Unfit(Unfit),
    /// The client went away or kept us waiting.
    Gone(io::Error),
}

/// Our TLS server behind a socket; it echoes, one connection after the other.
pub struct Straight {
    address: SocketAddr,
    outcomes: Receiver<Result<Negotiated, Trouble>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Straight {
    /// Listens on a free port of the loopback.
    pub fn start(server: Server) -> Straight {
        Straight::with_key_limit(server, u64::MAX)
    }

    /// The same, and one key seals no more than so many records.
    pub fn with_key_limit(server: Server, limit: u64) -> Straight {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (tell, outcomes) = mpsc::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let mut socket = socket.expect("an accepted socket");
                let accepted = accept(&server, &mut socket);
                let (outcome, line) = match accepted {
                    Ok((negotiated, line)) => (Ok(negotiated), Some(line)),
                    Err(trouble) => (Err(trouble), None),
                };
                // Nobody may be asking.
                let _ = tell.send(outcome);
                if let Some(mut line) = line {
                    line.records.lower_key_limit(limit);
                    // How the client leaves is not our question.
                    let _ = line.echo(&mut socket);
                }
            }
        });
        Straight {
            address,
            outcomes,
            stopping,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next handshake's outcome.
    pub fn outcome(&self) -> Result<Negotiated, Trouble> {
        let outcome = self.outcomes.recv_timeout(PATIENCE);
        outcome.expect("a handshake came to an outcome")
    }
}

impl Drop for Straight {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accept loop looks up when somebody knocks.
        let knock = TcpStream::connect(self.address);
        let thread = self.thread.take().expect("dropped once");
        if knock.is_ok() && thread.join().is_err() && !std::thread::panicking() {
            panic!("the server panicked");
        }
    }
}

/// Our TLS client: a handshake with an address and an echo through it.
pub fn originate(client: &Client, address: SocketAddr, name: &'static str) -> Result<Negotiated, io::Error> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(name).expect("a name that is one");
    let mut connection: Connection = client.connect(name).map_err(io::Error::other)?;
    let mut stream = Stream::new(&mut connection.tls, &mut socket);
    stream.write_all(b"ping")?;
    let mut back = [0; 4];
    stream.read_exact(&mut back)?;
    assert_eq!(&back, b"ping", "the echo");
    let negotiated = connection.negotiated();
    connection.tls.send_close_notify();
    connection.tls.complete_io(&mut socket)?;
    Ok(negotiated.expect("the handshake is over"))
}

/// A finished handshake, and what came behind it.
struct Line {
    records: Records,
    behind: Vec<u8>,
}

fn accept(server: &Server, socket: &mut TcpStream) -> Result<(Negotiated, Line), Trouble> {
    socket.set_read_timeout(Some(PATIENCE)).map_err(Trouble::Gone)?;
    let (hello, mut bytes) = read_hello(socket)?;
    let choice = match server.choose(&hello) {
        Ok(choice) => choice,
        Err(refusal) => {
            let alert = refusal.alert().fatal_record();
            socket.write_all(&alert).map_err(Trouble::Gone)?;
            return Err(Trouble::Refused(refusal));
        }
    };
    let mut handshake = Handshake::new(&choice.config).map_err(Trouble::Tls)?;
    loop {
        let taken = handshake.take(&bytes);
        socket.write_all(handshake.outgoing()).map_err(Trouble::Gone)?;
        handshake.written(handshake.outgoing().len());
        taken.map_err(Trouble::Tls)?;
        if handshake.is_over() {
            break;
        }
        bytes.resize(4096, 0);
        match socket.read(&mut bytes).map_err(Trouble::Gone)? {
            0 => return Err(Trouble::Gone(io::ErrorKind::UnexpectedEof.into())),
            n => bytes.truncate(n),
        }
    }
    let negotiated = server.negotiated_by_hand(&hello, &choice, &handshake);
    let (records, behind) = handshake.finish().map_err(Trouble::Tls)?;
    Ok((negotiated.map_err(Trouble::Unfit)?, Line { records, behind }))
}

fn read_hello(socket: &mut TcpStream) -> Result<(Box<Hello>, Vec<u8>), Trouble> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer).map_err(Trouble::Gone)? {
            0 => return Err(Trouble::Gone(io::ErrorKind::UnexpectedEof.into())),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
        match client_hello::from_records(&bytes) {
            Ok(Progress::Incomplete) => {}
            Ok(Progress::Complete(hello)) => return Ok((hello, bytes)),
            Err(error) => {
                let alert = error.alert().fatal_record();
                socket.write_all(&alert).map_err(Trouble::Gone)?;
                return Err(Trouble::Hello(error));
            }
        }
    }
}

impl Line {
    fn echo(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 2 * MAX_RECORD];
        let mut held = self.behind.len();
        buffer[..held].copy_from_slice(&self.behind);
        loop {
            let opened = self.records.open(&mut buffer, held);
            if let Ok(opened) = &opened {
                self.records.seal(&[IoSlice::new(&buffer[..opened.filled])]);
            }
            if self.records.has_closed() {
                self.records.close();
            }
            while self.records.wants_write() {
                self.records.write_to(socket)?;
            }
            let opened = opened.map_err(io::Error::other)?;
            if self.records.has_closed() {
                return Ok(());
            }
            buffer.copy_within(opened.rest..held, 0);
            held -= opened.rest;
            match socket.read(&mut buffer[held..])? {
                0 => return Ok(()),
                n => held += n,
            }
        }
    }
}
