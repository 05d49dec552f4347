//! OpenSSL as a client, and what it saw.
use crate::{PATIENCE, openssl_says, wire::Wire};
pub use crate::{
    offer::{Offer, Versions},
    openssl_says::{KeyUpdate, Session},
};
use openssl::ssl::{
    HandshakeError, ShutdownState, Ssl, SslContext, SslFiletype, SslMethod, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use std::{
    fmt,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

/// A client.
#[derive(Clone)]
pub struct Client {
    context: SslContext,
    name: Option<String>,
    last_session: Arc<Mutex<Option<SslSession>>>,
    secrets: Arc<Mutex<Vec<String>>>,
}

/// What OpenSSL says of a handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// `TLSv1.3`
    pub version: String,
    /// The group by OpenSSL's name, which differs from the registered one in letter case only.
    pub group: Option<String>,
    /// The suite by IANA's name.
    pub cipher: String,
    /// The scheme of the server's signature; none when resumed.
    pub signature: Option<String>,
    /// A HelloRetryRequest came.
    pub retry: bool,
    /// A session was resumed.
    pub resumed: bool,
    /// Certificates the server sent.
    pub chain_len: usize,
}

/// A handshake that did not come to an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// The alert that the peer sent.
    pub alert: Option<u8>,
    /// OpenSSL's story.
    pub story: String,
}

/// An established connection.
pub struct Conversation {
    stream: SslStream<Wire>,
}

impl Client {
    /// A client that makes this offer.
    pub fn new(offer: Offer) -> Client {
        let mut context = SslContext::builder(SslMethod::tls_client()).expect("OpenSSL starts");
        let (least, most) = match offer.versions {
            Versions::Both => (SslVersion::TLS1_2, SslVersion::TLS1_3),
            Versions::Only12 => (SslVersion::TLS1_2, SslVersion::TLS1_2),
            Versions::Only13 => (SslVersion::TLS1_3, SslVersion::TLS1_3),
        };
        let set = context.set_min_proto_version(Some(least));
        set.expect("a version OpenSSL has");
        let set = context.set_max_proto_version(Some(most));
        set.expect("a version OpenSSL has");
        if !offer.groups.is_empty() {
            let set = context.set_groups_list(&offer.groups);
            set.expect("groups OpenSSL has");
        }
        if let Some(suite) = &offer.suite {
            let set = match offer.versions {
                Versions::Only12 => context.set_cipher_list(suite),
                Versions::Only13 | Versions::Both => context.set_ciphersuites(suite),
            };
            set.expect("a suite OpenSSL has");
        }
        if !offer.signatures.is_empty() {
            let set = context.set_sigalgs_list(&offer.signatures);
            set.expect("schemes OpenSSL has");
        }
        if !offer.alpn.is_empty() {
            // RFC 7301 3.1: each name with its length before it
            let named = |name: &String| [&[u8::try_from(name.len()).expect("a short name")], name.as_bytes()].concat();
            let protocols: Vec<u8> = offer.alpn.iter().flat_map(named).collect();
            context.set_alpn_protos(&protocols).expect("protocols OpenSSL takes");
        }
        match &offer.roots {
            None => context.set_verify(SslVerifyMode::NONE),
            Some(roots) => {
                context.set_ca_file(roots).expect("a file of roots");
                context.set_verify(SslVerifyMode::PEER);
            }
        }
        if let Some(files) = &offer.certificate {
            let set = context.set_certificate_chain_file(&files.chain);
            set.expect("a chain OpenSSL reads");
            let set = context.set_private_key_file(&files.key, SslFiletype::PEM);
            set.expect("a key OpenSSL reads");
        }
        let last_session = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&last_session);
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        context.set_new_session_callback(move |_, session| {
            *keep.lock().expect("nothing panics holding it") = Some(session);
        });
        let secrets = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&secrets);
        context.set_keylog_callback(move |_, line| {
            all.lock().expect("nothing panics holding it").push(line.to_owned());
        });
        Client {
            context: context.build(),
            name: offer.name,
            last_session,
            secrets,
        }
    }

    /// A handshake with an address.
    pub fn connect(&self, address: SocketAddr) -> Result<Conversation, Failed> {
        self.handshake(Wire::tcp(address).map_err(Failed::from)?)
    }

    /// A handshake over a wire.
    pub fn handshake(&self, wire: Wire) -> Result<Conversation, Failed> {
        finish(self.ssl(), wire)
    }

    /// A handshake that offers to resume a session.
    pub fn resume(&self, address: SocketAddr, session: &Session) -> Result<Conversation, Failed> {
        let mut ssl = self.ssl();
        openssl_says::offer(&mut ssl, session);
        finish(ssl, Wire::tcp(address).map_err(Failed::from)?)
    }

    /// The same over a wire.
    pub fn resume_over(&self, wire: Wire, session: &Session) -> Result<Conversation, Failed> {
        let mut ssl = self.ssl();
        openssl_says::offer(&mut ssl, session);
        finish(ssl, wire)
    }

    /// From now on it asks for another name, with the same context and sessions.
    pub fn rename(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    /// The session that came last. With TLS 1.3 it comes with the first bytes read.
    pub fn session(&self) -> Option<Session> {
        let last = self.last_session.lock().expect("nothing panics holding it");
        last.clone().map(|session| Session::of(&self.context, session))
    }

    /// The lines of its key log: the secrets of all its connections so far.
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.lock().expect("nothing panics holding it").clone()
    }

    /// The record with the ClientHello it would send.
    pub fn hello(&self) -> Vec<u8> {
        let silent = Silent { sent: Vec::new() };
        match self.ssl().connect(silent) {
            Err(HandshakeError::WouldBlock(middle)) => middle.get_ref().sent.clone(),
            _ => panic!("nobody answers, so OpenSSL waits"),
        }
    }

    fn ssl(&self) -> Ssl {
        let mut ssl = Ssl::new(&self.context).expect("OpenSSL makes a connection");
        if let Some(name) = &self.name {
            ssl.set_hostname(name).expect("a name that fits");
        }
        ssl
    }
}

impl Conversation {
    /// The application protocol that the server chose.
    pub fn protocol(&self) -> Option<String> {
        let chosen = self.stream.ssl().selected_alpn_protocol();
        chosen.map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// What OpenSSL says of the handshake.
    pub fn seen(&self) -> Seen {
        let ssl = self.stream.ssl();
        let cipher = ssl.current_cipher().expect("the handshake is over");
        Seen {
            version: ssl.version_str().to_owned(),
            group: openssl_says::group(ssl),
            cipher: cipher.standard_name().unwrap_or("unnamed").to_owned(),
            signature: openssl_says::peer_signature(ssl),
            retry: self.wire().was_asked_again(),
            resumed: ssl.session_reused(),
            chain_len: ssl.peer_cert_chain().map_or(0, |chain| chain.len()),
        }
    }

    /// The wire below.
    pub fn wire(&self) -> &Wire {
        self.stream.get_ref()
    }

    /// The same, to do something to it.
    pub fn wire_mut(&mut self) -> &mut Wire {
        self.stream.get_mut()
    }

    /// Sends what its wire has held back.
    pub fn release(&mut self) {
        self.stream.get_mut().release().expect("an open socket");
    }

    /// Our own address.
    pub fn local(&self) -> SocketAddr {
        self.wire().local().expect("a TCP connection")
    }

    /// Sends bytes and reads as many back.
    pub fn exchange(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(bytes)?;
        let mut back = vec![0; bytes.len()];
        self.stream.read_exact(&mut back)?;
        Ok(back)
    }

    /// Sends bytes and insists that the same come back.
    pub fn echo(&mut self, bytes: &[u8]) {
        let back = self.exchange(bytes).expect("an echo");
        assert!(back == bytes, "an echo of {} bytes differs", bytes.len());
    }

    /// The next bytes go out under new keys.
    pub fn update_keys(&mut self, kind: KeyUpdate) {
        openssl_says::update_keys(&mut self.stream, kind);
    }

    /// Asks for another handshake, which TLS 1.2 allows, with the next bytes.
    pub fn renegotiate(&mut self) {
        openssl_says::renegotiate(&mut self.stream);
    }

    /// From now on records are padded to a multiple of this.
    pub fn pad(&mut self, block: usize) {
        openssl_says::pad(&mut self.stream, block);
    }

    /// From now on records carry no more than this.
    pub fn limit_records(&mut self, most: u16) {
        openssl_says::limit_records(&mut self.stream, most);
    }

    /// Says that we send no more (close_notify), and goes on reading.
    pub fn end_sending(&mut self) {
        self.stream.shutdown().expect("close_notify is sent");
    }

    /// Reads to the peer's close_notify; a connection cut off without one is an error.
    pub fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        let started = Instant::now();
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer)? {
                0 if self.stream.get_shutdown().contains(ShutdownState::RECEIVED) => {
                    return Ok(rest);
                }
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => rest.extend_from_slice(&buffer[..n]),
            }
            assert!(started.elapsed() < PATIENCE, "the peer never stops");
        }
    }

    /// Closes properly: close_notify both ways, nothing left to read.
    pub fn close(mut self) {
        self.end_sending();
        let rest = self.read_to_close().expect("the peer closes properly");
        assert_eq!(rest, b"", "nothing is left to read");
    }

    /// Cuts it off with a reset.
    pub fn reset(self) {
        self.wire().reset();
    }
}

impl Read for Conversation {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Conversation {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // OpenSSL forbids to resume the session of a connection that was not closed properly; we want
        // to know what the server makes of it.
        let both = ShutdownState::SENT | ShutdownState::RECEIVED;
        self.stream.set_shutdown(both);
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed {
            alert: alert_in(&error),
            story: error.to_string(),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert {:?}: {}", self.alert, self.story)
    }
}

/// The alert that an error of a read carries, for what a TLS 1.3 server refuses after our Finished.
pub fn alert_in(error: &io::Error) -> Option<u8> {
    alert(error.get_ref()?.downcast_ref::<openssl::ssl::Error>()?)
}

fn finish(ssl: Ssl, wire: Wire) -> Result<Conversation, Failed> {
    match ssl.connect(wire) {
        Ok(stream) => Ok(Conversation { stream }),
        Err(HandshakeError::Failure(middle)) => Err(Failed {
            alert: alert(middle.error()),
            story: middle.error().to_string(),
        }),
        Err(HandshakeError::WouldBlock(_)) => Err(Failed {
            alert: None,
            story: "the peer kept us waiting".to_owned(),
        }),
        Err(HandshakeError::SetupFailure(error)) => panic!("OpenSSL cannot begin: {error}"),
    }
}

fn alert(error: &openssl::ssl::Error) -> Option<u8> {
    let codes = error
        .ssl_error()?
        .errors()
        .iter()
        .map(|e| e.reason_code() - openssl_sys::SSL_AD_REASON_OFFSET);
    codes
        .filter_map(|description| u8::try_from(description).ok())
        .next_back()
}

/// A peer that takes everything and never answers.
struct Silent {
    sent: Vec<u8>,
}

impl Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Silent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Offer, Versions, Wire};
    use crate::{
        pki::{Algorithm, Pki},
        server::{Served, Server, Terms},
        wire::FirstFlight,
    };

    fn server(pki: &Pki, groups: &str) -> Server {
        Server::start(&Terms {
            groups: groups.to_owned(),
            versions: Versions::Both,
            certificates: vec![pki.server(Algorithm::MlDsa65), pki.server(Algorithm::Rsa)],
            client_roots: None,
        })
    }

    #[test]
    fn both_sides_of_openssl_say_the_same() {
        let pki = Pki::new();
        let server = server(&pki, "X25519MLKEM768:X25519");
        let client = Client::new(Offer::default().trusting(pki.roots()));
        let mut conversation = client.connect(server.address()).unwrap();
        conversation.echo(b"hello");
        let seen = conversation.seen();
        assert_eq!(seen.group.as_deref(), Some("X25519MLKEM768"));
        assert_eq!(seen.signature.as_deref(), Some("mldsa65"));
        assert_eq!((seen.retry, seen.resumed, seen.chain_len), (false, false, 2));
        let served = Served {
            group: Some("X25519MLKEM768".to_owned()),
            resumed: false,
            client_certificate: false,
        };
        assert_eq!(server.served(), Ok(served));
        let session = client.session().unwrap();
        drop(conversation);
        let again = client.resume(server.address(), &session).unwrap();
        assert!(again.seen().resumed);
        assert_eq!(again.seen().signature, None);
    }

    #[test]
    fn a_retry_is_seen() {
        let pki = Pki::new();
        let server = server(&pki, "X25519MLKEM768");
        let client = Client::new(Offer::groups("*X25519:X25519MLKEM768"));
        let conversation = client.connect(server.address()).unwrap();
        assert!(conversation.seen().retry);
    }

    #[test]
    fn an_alert_is_seen() {
        let pki = Pki::new();
        let server = server(&pki, "X25519MLKEM768");
        let client = Client::new(Offer::groups("X25519").versions(Versions::Only13));
        let failed = client.connect(server.address()).err().unwrap();
        assert_eq!(failed.alert, Some(40), "{failed}");
    }

    #[test]
    fn a_cut_hello_is_still_the_same_hello() {
        let pki = Pki::new();
        let server = server(&pki, "");
        let client = Client::new(Offer::default());
        let flights = [
            FirstFlight::CutAt(1),
            FirstFlight::ByteByByte,
            FirstFlight::InRecordsOf(300),
            FirstFlight::InRecordsByteByByte(300),
        ];
        for flight in flights {
            let wire = Wire::tcp(server.address()).unwrap().cutting(flight);
            let mut conversation = client.handshake(wire).unwrap();
            conversation.echo(b"hello");
            conversation.close();
        }
    }

    #[test]
    fn the_captured_hello_is_one_record() {
        let hello = Client::new(Offer::groups("X25519MLKEM768")).hello();
        assert_eq!((hello[0], hello[5]), (22, 1));
        let len = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        assert_eq!(hello.len(), 5 + len);
        assert!(len > 1184, "it carries an ML-KEM-768 key");
    }
}
