//! The client side: what an upstream connection, a probe or a self-test offers.
use crate::{
    identity::Identity,
    negotiated::{Negotiated, Version},
};
use portcullis_wire::{GroupId, SchemeId};
use std::sync::Arc;

/// Whom to trust.
#[derive(Clone)]
pub enum Trust {
    /// These roots.
    Roots(Vec<rustls::pki_types::CertificateDer<'static>>),
    /// Anyone: for asking what a server does, never for carrying data.
    Anyone,
}

/// What to offer.
#[derive(Clone)]
pub struct ClientSpec {
    pub versions: Vec<Version>,
    pub groups: Vec<GroupId>,
    /// None: all we verify.
    pub schemes: Option<Vec<SchemeId>>,
    pub trust: Trust,
    pub identity: Option<Arc<Identity>>,
    pub alpn: Vec<Vec<u8>>,
    /// Sessions to remember; 0 for none.
    pub resumption: usize,
}

/// A prepared client.
pub struct Client {}

impl Client {
    pub fn build(_spec: ClientSpec) -> Result<Client, rustls::Error> {
        todo!()
    }
    /// A connection to be driven by the caller; it notes the signature for itself.
    pub fn connect(&self, _name: rustls::pki_types::ServerName<'static>) -> Result<Connection, rustls::Error> {
        todo!()
    }
}

/// A client connection.
pub struct Connection {
    pub tls: rustls::ClientConnection,
}
impl Connection {
    /// The facts, once the handshake is over.
    pub fn negotiated(&self) -> Option<Negotiated> {
        todo!()
    }
}
