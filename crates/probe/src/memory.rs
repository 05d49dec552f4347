//! Handshakes and records in memory: a server and a client of ours that can agree on one thing alone, and what each
//! of them cost in CPU time. No socket, no other thread, so the clock of this thread sees everything.
use portcullis_tls::{
    client::{Client, ClientSpec, Connection, Trust},
    identity::Identity,
    negotiated::{Negotiated, Version},
    profile::{Overrides, Profile, SettingsError},
    rustls::{self, ConnectionCommon, ServerConnection, pki_types::ServerName},
    server::{BuildError, Refusal, Server, ServerSpec, Unfit},
    tickets::{Resumption, Tickets},
};
use portcullis_wire::{
    CipherId, GroupId, Hello, SchemeId,
    client_hello::{self, Progress},
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

/// What a relay moves at once on a busy connection.
const BLOCK: usize = 256 * 1024;
/// Tickets are of the same session, so an hour is as good as any time.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What both sides offer, and so what must come of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Recipe {
    /// The version.
    pub version: Version,
    /// The group.
    pub group: GroupId,
    /// What the server signs with.
    pub scheme: SchemeId,
    /// The cipher suite; None: what the two like best.
    pub cipher: Option<CipherId>,
    /// Whether the session is new.
    pub session: Session,
}

/// Whether a handshake starts a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Session {
    /// A full handshake.
    New,
    /// The session of the handshake before.
    Resumed,
}

/// A server and a client for one recipe.
pub struct Pairing {
    recipe: Recipe,
    server: Server,
    client: Client,
}

/// What a handshake came to, and what it cost.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// What was negotiated.
    pub facts: Negotiated,
    /// CPU time and bytes.
    pub cost: Cost,
}

/// CPU time of both sides, and bytes with all record headers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cost {
    /// CPU time of the server.
    pub server: Duration,
    /// CPU time of the client.
    pub client: Duration,
    /// Bytes from the client.
    pub bytes_in: usize,
    /// Bytes to the client, its tickets included.
    pub bytes_out: usize,
}

/// A finished handshake that bytes can pass from the server to the client.
pub struct Stream {
    server: ServerConnection,
    client: Connection,
    block: Vec<u8>,
    wire: Vec<u8>,
    back: Vec<u8>,
}

/// What a block of bytes cost.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RecordCost {
    /// Bytes of the application.
    pub bytes: usize,
    /// CPU time of encrypting them.
    pub encrypt: Duration,
    /// CPU time of decrypting them.
    pub decrypt: Duration,
}

/// Why it does not work on this machine.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The two cannot be set so.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// No server of this certificate.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// The server takes no such hello.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The library's own words.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// What rustls did is not what we read.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// Moving bytes in memory.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Something else came than was asked for.
    #[error("{what}: asked for {wanted}, got {found}")]
    Other {
        /// The fact.
        what: &'static str,
        /// As asked for.
        wanted: String,
        /// As it came.
        found: String,
    },
    /// The client's hello cannot be read.
    #[error("our own hello cannot be read")]
    Hello,
    /// Bytes came back changed.
    #[error("what was decrypted is not what was encrypted")]
    Garbled,
}

impl Pairing {
    /// Both sides, the server with this certificate.
    pub fn new(recipe: Recipe, identity: &Arc<Identity>) -> Result<Pairing, MemoryError> {
        let settings = Profile::Default.settings(&Overrides {
            versions: Some(vec![recipe.version]),
            groups: Some(vec![recipe.group]),
            ciphers: recipe.cipher.map(|cipher| vec![cipher]),
            signatures: Some(vec![recipe.scheme]),
            ..Overrides::default()
        })?;
        let spec = ServerSpec {
            context: "memory".to_owned(),
            settings,
            policy: Profile::Default.policy().into(),
            identities: vec![Arc::clone(identity)],
            client_auth: None,
            alpn: Vec::new(),
            resumption: Resumption::living(LIFETIME),
            key_log: None,
        };
        let client = ClientSpec {
            versions: vec![recipe.version],
            groups: vec![recipe.group],
            schemes: Some(vec![recipe.scheme]),
            trust: Trust::Anyone,
            identity: None,
            alpn: Vec::new(),
            resumption: match recipe.session {
                Session::New => 0,
                Session::Resumed => Resumption::TICKETS,
            },
        };
        let pairing = Pairing {
            recipe,
            server: Server::build(spec, &Tickets::new())?,
            client: Client::build(client)?,
        };
        if recipe.session == Session::Resumed {
            pairing.shake()?;
        }
        Ok(pairing)
    }

    /// What both sides offer.
    pub fn recipe(&self) -> Recipe {
        self.recipe
    }

    /// One handshake, which must come to what the recipe says.
    pub fn handshake(&self) -> Result<Handshake, MemoryError> {
        let (_, handshake) = self.shake()?;
        self.must_be_the_recipe(&handshake.facts)?;
        Ok(handshake)
    }

    /// A connection to pass bytes over.
    pub fn stream(&self) -> Result<Stream, MemoryError> {
        let (ends, handshake) = self.shake()?;
        self.must_be_the_recipe(&handshake.facts)?;
        let mut stream = Stream {
            server: ends.server,
            client: ends.client,
            block: (0..=u8::MAX).cycle().take(BLOCK).collect(),
            wire: Vec::with_capacity(BLOCK + BLOCK / 8),
            back: vec![0; BLOCK],
        };
        stream.server.set_buffer_limit(None);
        stream.pass()?;
        match stream.back == stream.block {
            true => Ok(stream),
            false => Err(MemoryError::Garbled),
        }
    }

    fn shake(&self) -> Result<(Ends, Handshake), MemoryError> {
        let mut clock = Clock::start()?;
        let mut cost = Cost::default();
        let name = ServerName::try_from("memory.invalid").map_err(|_| MemoryError::Hello)?;
        let mut client = self.client.connect(name)?;
        let mut up = outgoing(&mut client.tls)?;
        cost.client += clock.lap()?;
        let hello = read(&up)?;
        let choice = self.server.choose(&hello).map_err(MemoryError::Refused)?;
        let mut server = ServerConnection::new(Arc::clone(&choice.config))?;
        while !up.is_empty() {
            cost.bytes_in += up.len();
            feed(&mut server, &up)?;
            let down = outgoing(&mut server)?;
            cost.server += clock.lap()?;
            cost.bytes_out += down.len();
            feed(&mut client.tls, &down)?;
            up = outgoing(&mut client.tls)?;
            cost.client += clock.lap()?;
        }
        let facts = self.server.negotiated(&hello, &choice, &server)?;
        Ok((Ends { server, client }, Handshake { facts, cost }))
    }

    fn must_be_the_recipe(&self, facts: &Negotiated) -> Result<(), MemoryError> {
        let Recipe {
            version,
            group,
            scheme,
            cipher,
            session,
        } = self.recipe;
        let resumed = session == Session::Resumed;
        let shown = |id: Option<&dyn ToString>| id.map_or_else(|| "none".to_owned(), ToString::to_string);
        let scheme = (!resumed).then_some(scheme);
        let table = [
            (
                "version",
                version.as_str().to_owned(),
                facts.version.as_str().to_owned(),
            ),
            (
                "group",
                group.to_string(),
                shown(facts.group.as_ref().map(|id| id as _)),
            ),
            (
                "signature",
                shown(scheme.as_ref().map(|id| id as _)),
                shown(facts.signature.as_ref().map(|id| id as _)),
            ),
            (
                "cipher",
                cipher.unwrap_or(facts.cipher).to_string(),
                facts.cipher.to_string(),
            ),
            ("resumption", resumed.to_string(), facts.resumed.to_string()),
        ];
        let differing = table.into_iter().find(|(_, wanted, found)| wanted != found);
        differing.map_or(Ok(()), |(what, wanted, found)| {
            Err(MemoryError::Other { what, wanted, found })
        })
    }
}

impl Stream {
    /// Passes one block, from the server to the client.
    pub fn pass(&mut self) -> Result<RecordCost, MemoryError> {
        let mut clock = Clock::start()?;
        self.wire.clear();
        self.server.writer().write_all(&self.block)?;
        while self.server.wants_write() {
            self.server.write_tls(&mut self.wire)?;
        }
        let encrypt = clock.lap()?;
        let mut bytes = 0;
        let mut wire = self.wire.as_slice();
        while !wire.is_empty() {
            self.client.tls.read_tls(&mut wire)?;
            let plain = self.client.tls.process_new_packets()?.plaintext_bytes_to_read();
            let room = self.back.get_mut(bytes..bytes + plain).ok_or(MemoryError::Garbled)?;
            self.client.tls.reader().read_exact(room)?;
            bytes += plain;
        }
        let decrypt = clock.lap()?;
        Ok(RecordCost {
            bytes,
            encrypt,
            decrypt,
        })
    }
}

struct Ends {
    server: ServerConnection,
    client: Connection,
}

/// The CPU time of this thread.
struct Clock(Duration);

impl Clock {
    fn start() -> Result<Clock, MemoryError> {
        Ok(Clock(thread_time()?))
    }

    /// Since the last lap.
    fn lap(&mut self) -> Result<Duration, MemoryError> {
        let now = thread_time()?;
        Ok(now.saturating_sub(std::mem::replace(&mut self.0, now)))
    }
}

fn thread_time() -> io::Result<Duration> {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).map_err(io::Error::other)
}

fn read(bytes: &[u8]) -> Result<Hello, MemoryError> {
    match client_hello::from_records(bytes) {
        Ok(Progress::Complete(hello)) => Ok(*hello),
        _ => Err(MemoryError::Hello),
    }
}

fn outgoing<Data>(tls: &mut ConnectionCommon<Data>) -> Result<Vec<u8>, MemoryError> {
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes)?;
    }
    Ok(bytes)
}

fn feed<Data>(tls: &mut ConnectionCommon<Data>, mut bytes: &[u8]) -> Result<(), MemoryError> {
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes)?;
        tls.process_new_packets()?;
    }
    Ok(())
}
