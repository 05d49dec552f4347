//! TLS inside QUIC (RFC 9001), its hello read first, as over TCP.
//!
//! quinn has one configuration per endpoint, and its own session shows neither hello nor group. Ours waits for the whole
//! hello, asks a [`Gate`] which configuration it gets, and drives rustls with the same bytes. What came of it is left in
//! a [`Handshake`], whether quinn has a connection in the end or not.
use crate::{
    negotiated::Negotiated,
    provider,
    server::{Choice, Server, Unfit},
};
use portcullis_wire::{Hello, alert::Alert, client_hello::HelloError};
use quinn_proto::{ConnectionError, crypto, crypto::rustls::QuicServerConfig};
use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

mod client;
mod session;
mod tls;

pub use client::{Answer, Asked};

/// HTTP/3, the one protocol that is spoken over QUIC here (RFC 9114).
pub const ALPN: &[u8] = b"h3";

/// The one version of QUIC that is spoken (RFC 9000).
pub const VERSION: u32 = 1;

/// Decides over one connection. It comes back in [`Outcome`] with all that it keeps.
pub trait Gate: Send + 'static {
    /// What a hello gets, or the alert to turn it away with.
    fn choose(&mut self, hello: &Hello) -> Result<(Arc<Server>, Choice), Alert>;

    /// Whether what was negotiated may stand, before the client is told that it does; or the alert to end it with.
    fn admit(&mut self, hello: &Hello, facts: &Negotiated) -> Result<(), Alert>;
}

/// What all handshakes of an endpoint share: the keys of first packets, which are no secret.
#[derive(Clone)]
pub struct Acceptor {
    first: Arc<QuicServerConfig>,
}

/// A handshake that quinn drives.
pub struct Handshake<G>(Shared<G>);

/// What came of a handshake.
pub struct Outcome<G> {
    /// Who decided.
    pub gate: G,
    /// The hello; None: it never came whole.
    pub hello: Option<Box<Hello>>,
    /// What it got.
    pub choice: Option<Choice>,
    /// Bytes of TLS that came, without those of packets and frames.
    pub bytes_in: u64,
    /// Bytes of TLS that went.
    pub bytes_out: u64,
    /// The alert that we ended it with.
    pub alert_out: Option<Alert>,
    /// How it ended.
    pub end: End,
}

/// How a handshake ended.
#[derive(Clone, PartialEq, Debug)]
pub enum End {
    /// It did not: TLS found no fault, and the connection was lost or given up.
    Unfinished,
    /// What came is no hello.
    NoHello(HelloError),
    /// The gate turned the hello away.
    TurnedAway,
    /// By rustls.
    Failed(rustls::Error),
    /// It finished, and does not stand.
    Unfit(Unfit),
    /// It finished, and the gate did not admit what was negotiated.
    Refused(Negotiated),
    /// Well.
    Negotiated(Negotiated),
}

/// What a handshake and its session have in common.
struct State<G> {
    /// None once it was taken.
    outcome: Mutex<Option<Outcome<G>>>,
    /// None once it was released.
    held: Mutex<Option<Box<dyn Any + Send>>>,
}

type Shared<G> = Arc<State<G>>;

impl Acceptor {
    /// For one endpoint, or all of them.
    pub fn new() -> Acceptor {
        let first = provider::first_packets()
            .and_then(|config| QuicServerConfig::try_from(config).ok())
            .expect("the provider has TLS 1.3 and its mandatory suite");
        Acceptor { first: Arc::new(first) }
    }

    /// For the endpoint itself, which needs keys for first packets. A connection that is accepted with no gate of its
    /// own is turned away.
    pub fn for_endpoint(&self) -> Arc<dyn crypto::ServerConfig> {
        self.begin(Nobody).0
    }

    /// For one connection, and what will be known of it.
    pub fn begin<G: Gate>(&self, gate: G) -> (Arc<dyn crypto::ServerConfig>, Handshake<G>) {
        self.begin_holding(gate, ())
    }

    /// The same with something that is dropped by [`Handshake::release`], or when quinn has forgotten the connection,
    /// which may outlast a handshake that failed (RFC 9000 section 10.2).
    pub fn begin_holding<G: Gate>(
        &self,
        gate: G,
        held: impl Send + 'static,
    ) -> (Arc<dyn crypto::ServerConfig>, Handshake<G>) {
        let outcome = Outcome {
            gate,
            hello: None,
            choice: None,
            bytes_in: 0,
            bytes_out: 0,
            alert_out: None,
            end: End::Unfinished,
        };
        let shared = Arc::new(State {
            outcome: Mutex::new(Some(outcome)),
            held: Mutex::new(Some(Box::new(held))),
        });
        let config = session::Config {
            first: Arc::clone(&self.first),
            shared: Arc::clone(&shared),
        };
        (Arc::new(config), Handshake(shared))
    }
}

impl Default for Acceptor {
    fn default() -> Acceptor {
        Acceptor::new()
    }
}

impl<G> Handshake<G> {
    /// The hello came whole, and nobody took what came of it.
    pub fn has_hello(&self) -> bool {
        let outcome = self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.as_ref().is_some_and(|outcome| outcome.hello.is_some())
    }

    /// What has come of it so far: to be taken when quinn has a connection, or an error. None: it was taken before.
    pub fn take(&self) -> Option<Outcome<G>> {
        self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Drops what it holds: the handshake is over, and the connection stays.
    pub fn release(&self) {
        drop(self.0.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The alert with which the peer ended a connection (RFC 9001 section 4.8).
pub fn alert_in(error: &ConnectionError) -> Option<Alert> {
    let ConnectionError::ConnectionClosed(close) = error else {
        return None;
    };
    let code = u64::from(close.error_code).checked_sub(FIRST_CRYPTO_ERROR)?;
    u8::try_from(code).ok().map(Alert)
}

/// CRYPTO_ERROR (RFC 9000 section 20.1): 0x0100 to 0x01ff, the lowest byte being an alert.
const FIRST_CRYPTO_ERROR: u64 = 0x100;

/// Stands where no gate was given.
struct Nobody;

impl Gate for Nobody {
    fn choose(&mut self, _hello: &Hello) -> Result<(Arc<Server>, Choice), Alert> {
        Err(Alert::INTERNAL_ERROR)
    }

    fn admit(&mut self, _hello: &Hello, _facts: &Negotiated) -> Result<(), Alert> {
        Err(Alert::INTERNAL_ERROR)
    }
}
