//! OpenSSL as a server, and what it saw.
use crate::{PATIENCE, client::Versions, openssl_says, pki::Files};
use openssl::ssl::{HandshakeError, Ssl, SslContext, SslFiletype, SslMethod, SslStream, SslVerifyMode, SslVersion};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
};

/// What a server takes.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Groups as OpenSSL writes them; empty: its default.
    pub groups: String,
    /// Versions.
    pub versions: Versions,
    /// Its certificates, at most one of each algorithm.
    pub certificates: Vec<Files>,
    /// A client certificate must lead to these roots.
    pub client_roots: Option<PathBuf>,
}

/// What OpenSSL says of a handshake it served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// The group by OpenSSL's name.
    pub group: Option<String>,
    /// A session was resumed.
    pub resumed: bool,
    /// The client proved a certificate.
    pub client_certificate: bool,
}

/// A server that echoes, one connection after the other.
pub struct Server {
    address: SocketAddr,
    served: Receiver<Result<Served, String>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of the loopback.
    pub fn start(terms: &Terms) -> Server {
        Server::with(terms, echo)
    }

    /// The same, but it answers once and leaves without a word: no close_notify.
    pub fn rude(terms: &Terms) -> Server {
        Server::with(terms, answer_and_go)
    }

    fn with(terms: &Terms, talk: fn(SslStream<TcpStream>)) -> Server {
        let context = context(terms);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (tell, served) = mpsc::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                serve(&context, socket.expect("an accepted socket"), (&tell, talk));
            }
        });
        Server {
            address,
            served,
            stopping,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next handshake's outcome, as OpenSSL tells it.
    pub fn served(&self) -> Result<Served, String> {
        let outcome = self.served.recv_timeout(PATIENCE);
        outcome.expect("a handshake came to an outcome")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accept loop looks up when somebody knocks.
        let knock = TcpStream::connect(self.address);
        let thread = self.thread.take().expect("dropped once");
        if knock.is_ok() && thread.join().is_err() && !std::thread::panicking() {
            panic!("the OpenSSL server panicked");
        }
    }
}

fn context(terms: &Terms) -> SslContext {
    let mut context = SslContext::builder(SslMethod::tls_server()).expect("OpenSSL starts");
    let (least, most) = match terms.versions {
        Versions::Both => (SslVersion::TLS1_2, SslVersion::TLS1_3),
        Versions::Only12 => (SslVersion::TLS1_2, SslVersion::TLS1_2),
        Versions::Only13 => (SslVersion::TLS1_3, SslVersion::TLS1_3),
    };
    let set = context.set_min_proto_version(Some(least));
    set.expect("a version OpenSSL has");
    let set = context.set_max_proto_version(Some(most));
    set.expect("a version OpenSSL has");
    if !terms.groups.is_empty() {
        let set = context.set_groups_list(&terms.groups);
        set.expect("groups OpenSSL has");
    }
    for files in &terms.certificates {
        let set = context.set_certificate_chain_file(&files.chain);
        set.expect("a chain OpenSSL reads");
        let set = context.set_private_key_file(&files.key, SslFiletype::PEM);
        set.expect("a key OpenSSL reads");
    }
    let set = context.set_session_id_context(b"e2e");
    set.expect("a short name");
    if let Some(roots) = &terms.client_roots {
        context.set_ca_file(roots).expect("a file of roots");
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    context.build()
}

type Talk<'a> = (&'a Sender<Result<Served, String>>, fn(SslStream<TcpStream>));

fn serve(context: &SslContext, socket: TcpStream, (tell, talk): Talk<'_>) {
    let timeouts = socket
        .set_read_timeout(Some(PATIENCE))
        .and(socket.set_write_timeout(Some(PATIENCE)));
    timeouts.expect("an open socket takes options");
    let ssl = Ssl::new(context).expect("OpenSSL makes a connection");
    match ssl.accept(socket) {
        Ok(stream) => {
            let ssl = stream.ssl();
            let served = Served {
                group: openssl_says::group(ssl),
                resumed: ssl.session_reused(),
                client_certificate: ssl.peer_certificate().is_some(),
            };
            // Nobody may be asking.
            let _ = tell.send(Ok(served));
            talk(stream);
        }
        Err(HandshakeError::Failure(middle)) => {
            let _ = tell.send(Err(middle.error().to_string()));
        }
        Err(error) => {
            let _ = tell.send(Err(error.to_string()));
        }
    }
}

fn echo(mut stream: SslStream<TcpStream>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
    // The client may be gone already; then nobody waits for our close_notify.
    let _ = stream.shutdown();
}

fn answer_and_go(mut stream: SslStream<TcpStream>) {
    let mut buffer = [0; 16 * 1024];
    if let Ok(n @ 1..) = stream.read(&mut buffer) {
        // the client may be gone already
        let _ = stream.write_all(&buffer[..n]);
    }
}
