//! A server's handshake: hello, gate, rustls, facts, gate.
use super::{
    End, Gate, Outcome, Shared, VERSION,
    tls::{Tls, closing, encoded, first_keys},
};
use crate::{
    failure::blame,
    server::{Server, Unfit},
};
use portcullis_wire::{
    alert::Alert,
    client_hello::{self, Progress},
};
use quinn_proto::{
    ConnectionId, Side, TransportError, TransportErrorCode,
    crypto::{
        self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
        rustls::QuicServerConfig,
    },
    transport_parameters::TransportParameters,
};
use rustls::{
    pki_types::CertificateDer,
    quic::{Connection, ServerConnection, Version},
};
use std::{
    any::Any,
    sync::{Arc, MutexGuard, PoisonError},
};

/// One connection's configuration, as quinn asks for it.
pub(super) struct Config<G> {
    pub(super) first: Arc<QuicServerConfig>,
    pub(super) shared: Shared<G>,
}

impl<G: Gate> crypto::ServerConfig for Config<G> {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        match version {
            VERSION => Ok(first_keys(&self.first, id, Side::Server)),
            _ => Err(UnsupportedVersion),
        }
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.first.retry_tag(version, id, packet)
    }

    fn start_session(self: Arc<Self>, _version: u32, params: &TransportParameters) -> Box<dyn crypto::Session> {
        Box::new(Session {
            phase: Phase::Hello(Vec::new()),
            params: encoded(params),
            config: self,
        })
    }
}

struct Session<G> {
    config: Arc<Config<G>>,
    /// Ours, for rustls to send.
    params: Vec<u8>,
    phase: Phase,
}

enum Phase {
    /// What has come of the hello. It cannot grow beyond what a hello may be, and one piece that quinn hands over.
    Hello(Vec<u8>),
    Tls(Box<Talk>),
}

/// From the hello on.
struct Talk {
    tls: Tls,
    server: Arc<Server>,
    is_judged: bool,
}

/// Why a handshake ends here.
struct Stop {
    alert: Option<Alert>,
    end: End,
}

impl<G: Gate> Session<G> {
    fn read(&mut self, bytes: &[u8], outcome: &mut Outcome<G>) -> Result<(), Stop> {
        outcome.bytes_in += bytes.len() as u64;
        let talk = match &mut self.phase {
            Phase::Tls(talk) => {
                talk.feed(bytes)?;
                talk
            }
            Phase::Hello(hello) => {
                hello.extend_from_slice(bytes);
                let Some(talk) = begin(hello, &self.params, outcome)? else {
                    return Ok(());
                };
                self.phase = Phase::Tls(Box::new(talk));
                return Ok(());
            }
        };
        match talk.tls.connection.is_handshaking() || talk.is_judged {
            true => Ok(()),
            false => talk.judge(outcome),
        }
    }

    fn talk(&self) -> Option<&Talk> {
        match &self.phase {
            Phase::Hello(_) => None,
            Phase::Tls(talk) => Some(talk),
        }
    }

    fn talk_mut(&mut self) -> Option<&mut Talk> {
        match &mut self.phase {
            Phase::Hello(_) => None,
            Phase::Tls(talk) => Some(talk),
        }
    }
}

/// Lets the gate choose once the hello is whole, and gives rustls the bytes that were read.
fn begin<G: Gate>(bytes: &[u8], params: &[u8], outcome: &mut Outcome<G>) -> Result<Option<Talk>, Stop> {
    let hello = match client_hello::from_handshake(bytes) {
        Ok(Progress::Complete(hello)) => hello,
        Ok(Progress::Incomplete) => return Ok(None),
        Err(error) => return Err(Stop::with(error.alert(), End::NoHello(error))),
    };
    let hello = outcome.hello.insert(hello);
    let chosen = outcome.gate.choose(hello);
    let (server, choice) = chosen.map_err(|alert| Stop::with(alert, End::TurnedAway))?;
    let config = Arc::clone(&choice.config);
    outcome.choice = Some(choice);
    let connection = ServerConnection::new(config, Version::V1, params.to_vec());
    let connection = connection.map_err(|error| Stop::with(Alert::INTERNAL_ERROR, End::Failed(error)))?;
    let mut talk = Talk {
        tls: Tls::new(connection),
        server,
        is_judged: false,
    };
    talk.feed(bytes)?;
    Ok(Some(talk))
}

impl Talk {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let fed = self.tls.connection.read_hs(bytes);
        fed.map_err(|error| Stop {
            alert: self.tls.connection.alert().map(|alert| Alert(alert.into())),
            end: End::Failed(error),
        })
    }

    /// The facts, compared with our own reading, and the gate's word on them. The client hears of it only afterwards:
    /// HANDSHAKE_DONE and its tickets are still to be written.
    fn judge<G: Gate>(&mut self, outcome: &mut Outcome<G>) -> Result<(), Stop> {
        self.is_judged = true;
        let (Connection::Server(connection), Some(hello), Some(choice)) =
            (&self.tls.connection, &outcome.hello, &outcome.choice)
        else {
            return Err(Stop::with(Alert::INTERNAL_ERROR, End::Unfinished));
        };
        let facts = self.server.negotiated_over_quic(hello, choice, connection);
        let facts = facts.map_err(|unfit| Stop::with(alert_for(&unfit), End::Unfit(unfit)))?;
        match outcome.gate.admit(hello, &facts) {
            Ok(()) => {
                outcome.end = End::Negotiated(facts);
                Ok(())
            }
            Err(alert) => Err(Stop::with(alert, End::Refused(facts))),
        }
    }
}

impl Stop {
    fn with(alert: Alert, end: End) -> Stop {
        Stop {
            alert: Some(alert),
            end,
        }
    }
}

/// A client that is refused when it resumes hears what it would have heard in a full handshake.
fn alert_for(unfit: &Unfit) -> Alert {
    let alert = match unfit {
        Unfit::Mismatch(_) => None,
        Unfit::Client(refusal) => blame(refusal.error()).alert_out,
    };
    alert.unwrap_or(Alert::INTERNAL_ERROR)
}

impl<G: Gate> crypto::Session for Session<G> {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        first_keys(&self.config.first, id, side)
    }

    /// All that is known stands in the outcome, of failed handshakes too.
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let chain = self.talk()?.tls.connection.peer_certificates()?;
        let chain: Vec<CertificateDer<'static>> = chain.iter().map(|der| der.clone().into_owned()).collect();
        Some(Box::new(chain))
    }

    /// 0-RTT is off (SPEC 1).
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.talk().is_none_or(|talk| talk.tls.connection.is_handshaking())
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        let config = Arc::clone(&self.config);
        let mut shared = lock(&config.shared);
        let read = match (shared.as_mut(), self.talk_mut()) {
            (Some(outcome), _) => self.read(bytes, outcome),
            // a handshake whose outcome was taken goes on only if it was good
            (None, Some(talk)) if talk.is_judged => talk.feed(bytes),
            (None, _) => Err(Stop::with(Alert::INTERNAL_ERROR, End::Unfinished)),
        };
        let Err(Stop { alert, end }) = read else {
            return Ok(false);
        };
        if let Some(outcome) = shared.as_mut() {
            outcome.alert_out = alert;
            outcome.end = end;
        }
        let code = alert.map(|alert| TransportErrorCode::crypto(alert.0));
        Err(closing(code.unwrap_or(TransportErrorCode::PROTOCOL_VIOLATION)))
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.talk().map_or(Ok(None), |talk| talk.tls.transport_parameters())
    }

    fn write_handshake(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        let before = buffer.len();
        let keys = self.talk_mut()?.tls.write(buffer);
        if let Some(outcome) = lock(&self.config.shared).as_mut() {
            outcome.bytes_out += (buffer.len() - before) as u64;
        }
        keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.talk_mut()?.tls.next_keys()
    }

    /// Servers get none.
    fn is_valid_retry(&self, _id: &ConnectionId, _header: &[u8], _payload: &[u8]) -> bool {
        false
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let talk = self.talk().ok_or(ExportKeyingMaterialError)?;
        talk.tls.export(output, label, context)
    }
}

fn lock<G>(shared: &Shared<G>) -> MutexGuard<'_, Option<Outcome<G>>> {
    shared.outcome.lock().unwrap_or_else(PoisonError::into_inner)
}
