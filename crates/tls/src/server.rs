//! The server side: one prepared rustls configuration per certificate and group, chosen by a hello.
use crate::{
    identity::Identity,
    negotiated::{Authentication, Negotiated},
    policy::{Policy, Rule, RuleName},
    profile::Settings,
    tickets::Tickets,
};
use portcullis_wire::{GroupId, Hello, SchemeId, alert::Alert};
use std::{sync::Arc, time::Duration};

/// What a site asks of its clients.
#[derive(Clone)]
pub struct ClientAuth {
    pub mode: ClientAuthMode,
    /// Trusted certificates.
    pub roots: Vec<rustls::pki_types::CertificateDer<'static>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientAuthMode {
    Required,
    Optional,
}

/// Everything that makes a site's TLS server.
pub struct ServerSpec {
    /// Names the resumption context together with all below: site and transport.
    pub context: String,
    pub settings: Settings,
    pub policy: Policy,
    pub identities: Vec<Arc<Identity>>,
    pub client_auth: Option<ClientAuth>,
    pub alpn: Vec<Vec<u8>>,
    pub ticket_lifetime: Duration,
}

/// Why no server can be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("no certificate that the profile and policy allow")]
    NoUsableCertificate,
    #[error("client CA: {0}")]
    ClientCa(String),
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// A site's TLS server.
pub struct Server {
    rule: Rule,
}

/// The configuration that a hello gets, and what must come of it.
pub struct Choice {
    pub config: Arc<rustls::ServerConfig>,
    pub group: GroupId,
    pub retry: bool,
    pub identity: Arc<Identity>,
    pub scheme: SchemeId,
    pub authentication: Authentication,
}

/// Why a hello gets none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    NoCommonVersion,
    NoCommonCipher,
    NoCommonGroup,
    /// No certificate the client can verify.
    NoCertificate,
    /// Nothing the client offers can satisfy this rule.
    Policy(RuleName),
}

impl Refusal {
    pub fn alert(self) -> Alert {
        todo!()
    }
}
impl std::fmt::Display for Refusal {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

/// What rustls did is not what we read from the hello: our fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}: read {expected}, negotiated {found}")]
pub struct Mismatch {
    pub what: &'static str,
    pub expected: String,
    pub found: String,
}

impl Server {
    pub fn build(_spec: ServerSpec, _tickets: &Arc<Tickets>) -> Result<Server, BuildError> {
        todo!()
    }
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
    /// The certificates in use, in order.
    pub fn identities(&self) -> &[Arc<Identity>] {
        todo!()
    }
    /// SPEC 5.3, 5.4: certificate by signature schemes and version, group by share, retry and class.
    pub fn choose(&self, _hello: &Hello) -> Result<Choice, Refusal> {
        todo!()
    }
    /// The facts of a finished handshake, compared with our own reading.
    pub fn negotiated(
        &self,
        _hello: &Hello,
        _choice: &Choice,
        _connection: &rustls::ServerConnection,
    ) -> Result<Negotiated, Mismatch> {
        todo!()
    }
    /// Bytes of the server's first flight for a certificate and group, taken from a handshake in memory.
    pub fn flight_len(&self, _identity: usize, _group: GroupId) -> Option<usize> {
        todo!()
    }
}
