//! A handshake of ours as a client, for self-tests and probes.
use super::{
    Acceptor, VERSION,
    tls::{Tls, closing, encoded, first_keys},
};
use crate::{
    client::{Client, Watch},
    identity::Certificate,
    negotiated::Negotiated,
};
use portcullis_wire::{
    Hello,
    client_hello::{self, Progress},
};
use quinn_proto::{
    ConnectError, ConnectionId, Side, TransportError, TransportErrorCode,
    crypto::{
        self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig as _,
        rustls::QuicServerConfig,
    },
    transport_parameters::TransportParameters,
};
use rustls::{
    Error,
    pki_types::{CertificateDer, ServerName},
    quic::{ClientConnection, Version},
};
use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A handshake that quinn drives.
pub struct Asked(Arc<Mutex<Answer>>);

/// What came of it.
#[derive(Clone, Default)]
pub struct Answer {
    /// The facts; None: it did not finish.
    pub facts: Option<Negotiated>,
    /// What we said first; None: nothing went out.
    pub hello: Option<Box<Hello>>,
    /// What the server sent, leaf first; what we cannot read is left out.
    pub chain: Vec<Certificate>,
    /// The server asked for a certificate of ours, and none was fit to show.
    pub lacked_certificate: bool,
    /// Bytes of TLS that came, without those of packets and frames.
    pub bytes_in: u64,
    /// Bytes of TLS that went.
    pub bytes_out: u64,
    /// Why we gave up.
    pub error: Option<Error>,
}

impl Client {
    /// For one connection of quinn's, and what will be known of it.
    pub fn over_quic(&self, acceptor: &Acceptor) -> (Arc<dyn crypto::ClientConfig>, Asked) {
        let answer = Arc::new(Mutex::new(Answer::default()));
        let config = Config {
            first: Arc::clone(&acceptor.first),
            watch: Mutex::new(Some(self.watch())),
            answer: Arc::clone(&answer),
        };
        (Arc::new(config), Asked(answer))
    }
}

impl Asked {
    /// What has come of it so far.
    pub fn answer(&self) -> Answer {
        lock(&self.0).clone()
    }
}

struct Config {
    first: Arc<QuicServerConfig>,
    /// Until its one session takes it.
    watch: Mutex<Option<Watch>>,
    answer: Arc<Mutex<Answer>>,
}

impl crypto::ClientConfig for Config {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn crypto::Session>, ConnectError> {
        if version != VERSION {
            return Err(ConnectError::UnsupportedVersion);
        }
        let name =
            ServerName::try_from(server_name).map_err(|_| ConnectError::InvalidServerName(server_name.into()))?;
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let watch = watch.ok_or(ConnectError::EndpointStopping)?;
        let config = Arc::clone(watch.config());
        let connection = ClientConnection::new(config, Version::V1, name.to_owned(), encoded(params));
        let connection = connection.map_err(|error| {
            lock(&self.answer).error = Some(error);
            ConnectError::UnsupportedVersion
        })?;
        Ok(Box::new(Session {
            tls: Tls::new(connection),
            watch: Some(watch),
            config: self,
        }))
    }
}

struct Session {
    tls: Tls,
    /// None once the handshake is over: what watched it is free for the next one.
    watch: Option<Watch>,
    config: Arc<Config>,
}

impl Session {
    /// Bytes of the handshake; those after it (tickets) are rustls' alone.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let read = self.tls.connection.read_hs(bytes);
        let Some(watch) = &self.watch else {
            return read;
        };
        let mut answer = lock(&self.config.answer);
        answer.bytes_in += bytes.len() as u64;
        answer.lacked_certificate = watch.lacked_certificate();
        answer.error = read.as_ref().err().cloned();
        answer.facts = watch.negotiated(&self.tls.connection);
        if answer.facts.is_some() {
            answer.chain = Watch::peer_chain(&self.tls.connection);
            self.watch = None;
        }
        read
    }
}

impl crypto::Session for Session {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        first_keys(&self.config.first, id, side)
    }

    /// All that is known stands in the answer.
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let chain = self.tls.connection.peer_certificates()?;
        let chain: Vec<CertificateDer<'static>> = chain.iter().map(|der| der.clone().into_owned()).collect();
        Some(Box::new(chain))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        Some(false)
    }

    fn is_handshaking(&self) -> bool {
        self.tls.connection.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.read(bytes).map(|()| false).map_err(|_| {
            let alert = self.tls.connection.alert();
            let code = alert.map(|alert| TransportErrorCode::crypto(alert.into()));
            closing(code.unwrap_or(TransportErrorCode::PROTOCOL_VIOLATION))
        })
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.tls.transport_parameters()
    }

    fn write_handshake(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        let before = buffer.len();
        let keys = self.tls.write(buffer);
        let mut answer = lock(&self.config.answer);
        if answer.bytes_out == 0
            && let Ok(Progress::Complete(hello)) = client_hello::from_handshake(&buffer[before..])
        {
            answer.hello = Some(hello);
        }
        answer.bytes_out += (buffer.len() - before) as u64;
        drop(answer);
        keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.tls.next_keys()
    }

    /// RFC 9001 section 5.8: the tag over all before it, which nothing secret goes into.
    fn is_valid_retry(&self, id: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        let Some((body, tag)) = payload.split_last_chunk::<16>() else {
            return false;
        };
        let packet = [header, body].concat();
        self.config.first.retry_tag(VERSION, id, &packet) == *tag
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.tls.export(output, label, context)
    }
}

fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}
