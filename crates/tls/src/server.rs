//! The server side: one prepared rustls configuration per certificate and group, chosen by a hello.
use crate::{
    client_identity::Lists,
    compression::CertificateCompression,
    identity::{Identity, RevocationList},
    negotiated::{Authentication, Negotiated, Version},
    policy::{self, Able, Case, Client, Decision, Demands, Offering, Refuse, RuleName, Scope, Stance},
    profile::Settings,
    quic,
    reason::{AuthenticationReason, Ours, Reason},
    records::Handshake,
    tickets::{Resumption, Tickets},
};
use portcullis_wire::{CipherId, GroupId, Hello, KeyExchange, SchemeId, alert::Alert, registry::KeyKind};
use std::{fmt, net::IpAddr, sync::Arc};

mod build;
mod client_auth;
mod facts;
mod flight;
mod signing;

use facts::Seen;

pub use client_auth::{ClientAuthProblem, ClientRefusal, ClientRules};

/// What a site asks of its clients.
#[derive(Clone)]
pub struct ClientAuth {
    /// Whether a certificate must come.
    pub mode: ClientAuthMode,
    /// Trusted certificates.
    pub roots: Vec<rustls::pki_types::CertificateDer<'static>>,
    /// What their issuers took back. If there are any, every certificate of a chain needs one of its issuer's.
    pub crls: Vec<RevocationList>,
    /// What a list means whose next edition is overdue.
    pub expired_lists: ExpiredLists,
    /// Who of those that are vouched for may enter.
    pub lists: Lists,
    /// `optional` admits who shows no certificate even where only some are allowed.
    pub anonymous: bool,
}

/// What an expired revocation list means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum ExpiredLists {
    /// Nobody whom it would be asked about gets in.
    #[default]
    Refuse,
    /// It still counts as it is.
    Warn,
}

/// Whether a client certificate must come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientAuthMode {
    /// It must, and must be valid.
    Required,
    /// One that comes must be valid.
    Optional,
}

impl ClientAuth {
    /// Everyone that these vouch for.
    pub fn new(mode: ClientAuthMode, roots: Vec<rustls::pki_types::CertificateDer<'static>>) -> ClientAuth {
        ClientAuth {
            mode,
            roots,
            crls: Vec::new(),
            expired_lists: ExpiredLists::default(),
            lists: Lists::default(),
            anonymous: false,
        }
    }

    /// SPEC 4: `optional` admits nobody without a certificate where only some are allowed.
    pub fn is_mandatory(&self) -> bool {
        self.mode == ClientAuthMode::Required || (self.lists.is_narrow() && !self.anonymous)
    }
}

/// Everything that makes a site's TLS server.
#[derive(Clone)]
pub struct ServerSpec {
    /// Names the resumption context together with all below: site and transport.
    pub context: String,
    /// Versions, groups, suites, signatures.
    pub settings: Settings,
    /// What is admitted.
    pub policy: Demands,
    /// Certificates in the operator's order.
    pub identities: Vec<Arc<Identity>>,
    /// Client certificates; None: not asked for.
    pub client_auth: Option<ClientAuth>,
    /// Application protocols, most wanted first; empty: the client's are ignored.
    pub alpn: Vec<Vec<u8>>,
    /// How sessions are resumed.
    pub resumption: Resumption,
    /// Who is told the secrets of every connection; None: nobody.
    pub key_log: Option<Arc<dyn rustls::KeyLog>>,
}

impl ServerSpec {
    /// The same over QUIC, for HTTP/3: TLS 1.3 alone, and sessions that do not resume over TCP, nor the other way round.
    pub fn over_quic(mut self) -> Result<ServerSpec, BuildError> {
        if !self.settings.versions.contains(&Version::Tls13) {
            return Err(BuildError::NoTls13);
        }
        self.settings.versions = vec![Version::Tls13];
        self.alpn = vec![quic::ALPN.to_vec()];
        self.context = format!("quic/{}", self.context);
        Ok(self)
    }
}

/// Why no server can be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// None of the certificates may be sent.
    #[error("no certificate that the profile and policy allow")]
    NoUsableCertificate,
    /// None of the groups may be used.
    #[error("no group that the policy allows")]
    NoUsableGroup,
    /// The CA file is of no use.
    #[error("client CA: {0}")]
    ClientCa(String),
    /// A revocation list is of no use.
    #[error("client revocation list: {0}")]
    ClientCrl(String),
    /// QUIC has TLS 1.3 alone (RFC 9001 section 4.2).
    #[error("no TLS 1.3, which QUIC needs")]
    NoTls13,
    /// What rustls says.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// A site's TLS server.
pub struct Server {
    demands: Demands,
    offering: Offering,
    /// The schemes that its ML-DSA chains sign with.
    pq_schemes: Vec<SchemeId>,
    /// Those that such chains would sign with, if it had any.
    pq_schemes_wanted: Vec<SchemeId>,
    identities: Vec<Arc<Identity>>,
    /// In the same order.
    offers: Vec<Offer>,
    ciphers: Vec<CipherId>,
    alpn: Vec<Vec<u8>>,
    clients: Option<Arc<ClientRules>>,
}

/// One certificate with all that is prepared for it.
struct Offer {
    identity: Arc<Identity>,
    /// Its place in the operator's list.
    place: usize,
    authentication: Authentication,
    /// What its key signs with in TLS 1.3, in the order in which rustls takes the first that the client offers.
    schemes_13: Vec<SchemeId>,
    /// The same of TLS 1.2, where the suite must fit the key as well.
    schemes_12: Vec<SchemeId>,
    ciphers_12: Vec<CipherId>,
    configs: Vec<Prepared>,
}

/// The configurations of one certificate and one group.
struct Prepared {
    group: GroupId,
    tls13: Arc<rustls::ServerConfig>,
    /// The same one, unless tickets are sealed with a shared secret.
    tls12: Arc<rustls::ServerConfig>,
    /// For clients of TLS 1.3 that want the key alone; None: they get the chain.
    raw: Option<Arc<rustls::ServerConfig>>,
}

/// The configuration that a hello gets, and what must come of it.
pub struct Choice {
    /// It offers this one group and this one certificate, so that nothing else can come of it.
    pub config: Arc<rustls::ServerConfig>,
    /// The version that will be spoken.
    pub version: Version,
    /// The group.
    pub group: GroupId,
    /// It takes a HelloRetryRequest.
    pub retry: bool,
    /// The certificate.
    pub identity: Arc<Identity>,
    /// What it will sign with, unless the session is resumed.
    pub scheme: SchemeId,
    /// Class of the certificate.
    pub authentication: Authentication,
    witness: Option<Arc<client_auth::Witness>>,
}

/// Who asks, and when.
pub struct Asking<'a> {
    /// Whether a certificate, by its place in the operator's list, may be offered to this client.
    pub may_see: &'a dyn Fn(usize) -> bool,
    /// Its address; None: a Unix socket.
    pub address: Option<IpAddr>,
    /// Seconds since 1970.
    pub now: i64,
}

/// Why a hello gets none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No version in common.
    NoCommonVersion,
    /// No cipher suite in common.
    NoCommonCipher,
    /// No group in common.
    NoCommonGroup,
    /// No certificate the client can verify.
    NoCertificate,
    /// Nothing the client offers can satisfy this rule.
    Policy(RuleName),
}

impl Refusal {
    /// The alert to answer with (SPEC 5.5, RFC 8446 4.1.1 and 4.2.1).
    pub fn alert(self) -> Alert {
        match self {
            Refusal::NoCommonVersion => Alert::PROTOCOL_VERSION,
            Refusal::NoCommonCipher | Refusal::NoCommonGroup | Refusal::NoCertificate => Alert::HANDSHAKE_FAILURE,
            Refusal::Policy(_) => Alert::INSUFFICIENT_SECURITY,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoCommonVersion => f.write_str("no version in common"),
            Refusal::NoCommonCipher => f.write_str("no cipher suite in common"),
            Refusal::NoCommonGroup => f.write_str("no group in common"),
            Refusal::NoCertificate => f.write_str("no certificate the client can verify"),
            Refusal::Policy(rule) => write!(f, "nothing offered satisfies the policy on {}", rule.as_str()),
        }
    }
}

/// What rustls did is not what we read from the hello: our fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}: read {expected}, negotiated {found}")]
pub struct Mismatch {
    /// The fact.
    pub what: &'static str,
    /// As we read it.
    pub expected: String,
    /// As it came.
    pub found: String,
}

/// Why a finished handshake does not stand.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Unfit {
    /// What rustls did is not what we read.
    #[error("{0}")]
    Mismatch(#[from] Mismatch),
    /// A session was resumed whose client certificate is refused by now.
    #[error("{0}")]
    Client(Box<ClientRefusal>),
}

impl Choice {
    /// Why the client's certificate was refused, and whose it was, once the handshake has failed by it.
    pub fn client_refusal(&self) -> Option<&ClientRefusal> {
        self.witness.as_ref()?.refusal()
    }
}

impl Server {
    /// Prepares every configuration that a hello can get.
    pub fn build(spec: ServerSpec, tickets: &Arc<Tickets>) -> Result<Server, BuildError> {
        build::server(&spec, tickets)
    }

    /// What it demands of its clients.
    pub fn demands(&self) -> &Demands {
        &self.demands
    }

    /// Its quantum-safe groups, in its order.
    pub fn quantum_safe_groups(&self) -> impl Iterator<Item = GroupId> {
        let is_safe = |group: &GroupId| group.key_exchange().is_some_and(|class| class.is_quantum_safe());
        self.offering.groups.iter().copied().filter(is_safe)
    }

    /// The ML-DSA signatures that it makes or, with no such certificate, would take.
    pub fn pq_schemes(&self) -> impl Iterator<Item = SchemeId> {
        let schemes = match self.pq_schemes.is_empty() {
            true => &self.pq_schemes_wanted,
            false => &self.pq_schemes,
        };
        schemes.iter().copied()
    }

    /// What the policy says of a client: before the handshake of what its hello can come to, afterwards of what was
    /// negotiated.
    pub fn decide(&self, hello: &Hello, negotiated: Option<&Negotiated>, asking: &Asking<'_>) -> Decision {
        self.decided(hello, negotiated, Some(asking))
    }

    /// Why what this hello came to is not quantum-safe, in its key exchange and in its authentication. Without facts: why
    /// it could not have been.
    pub fn reasons(
        &self,
        hello: &Hello,
        negotiated: Option<&Negotiated>,
    ) -> (Option<Reason>, Option<AuthenticationReason>) {
        let ours = Ours {
            versions: &self.offering.versions,
            groups: &self.offering.groups,
            retry: self.offering.retry,
            pq_schemes: &self.pq_schemes,
        };
        let key_exchange = negotiated.map_or(KeyExchange::Classical, Negotiated::key_exchange);
        let authentication = negotiated.map_or(Authentication::Classical, |facts| facts.authentication);
        let (key_exchange, authentication) = (
            Reason::of(hello, key_exchange, &ours),
            AuthenticationReason::of(hello, authentication, &ours),
        );
        match negotiated {
            Some(_) => (key_exchange, authentication),
            // an order that was not asked stood in nobody's way
            None => (
                key_exchange.filter(|reason| *reason != Reason::ClientOrder),
                authentication.filter(|reason| *reason != AuthenticationReason::SiteOrder),
            ),
        }
    }

    /// The certificates in use, in order.
    pub fn identities(&self) -> &[Arc<Identity>] {
        &self.identities
    }

    /// What its clients are judged by; None: they are not asked for certificates.
    pub fn clients(&self) -> Option<&Arc<ClientRules>> {
        self.clients.as_ref()
    }

    /// [`Server::choose_for`] where every certificate may be offered, whatever its dates.
    pub fn choose(&self, hello: &Hello) -> Result<Choice, Refusal> {
        self.chosen(hello, None)
    }

    /// SPEC 5.3, 5.4: certificate by signature schemes and version, group by share, retry and class. Of certificates
    /// that the client can verify, one that is valid now comes before all that are not: an expired one is offered only
    /// where nothing else fits.
    pub fn choose_for(&self, hello: &Hello, asking: &Asking<'_>) -> Result<Choice, Refusal> {
        self.chosen(hello, Some(asking))
    }

    fn chosen(&self, hello: &Hello, asking: Option<&Asking<'_>>) -> Result<Choice, Refusal> {
        let version = policy::choose_version(hello, &self.offering.versions);
        let version = version.ok_or(Refusal::NoCommonVersion)?;
        let decision = self.decided(hello, None, asking);
        if let (Some(rule), Refuse::Alert) = (decision.refused_by(), decision.refuse) {
            return Err(Refusal::Policy(rule));
        }
        let posture = self.demands.posture(&client(hello, asking), moment(asking));
        let (offer, scheme) = self.certificate(hello, (version, posture.authentication), asking)?;
        let chosen = policy::choose_group(hello, &self.offering, posture.key_exchange);
        let chosen = chosen.ok_or(Refusal::NoCommonGroup)?;
        let prepared = offer.configs.iter().find(|prepared| prepared.group == chosen.group);
        let prepared = prepared.ok_or(Refusal::NoCommonGroup)?;
        let config = match version {
            Version::Tls13 if hello.wants_raw_public_key => prepared.raw.as_ref().unwrap_or(&prepared.tls13),
            Version::Tls13 => &prepared.tls13,
            Version::Tls12 => &prepared.tls12,
        };
        let (config, witness) = match &self.clients {
            None => (Arc::clone(config), None),
            Some(rules) => {
                let (own, witness) = client_auth::witnessed(config, rules, &self.offering.versions);
                (own, Some(witness))
            }
        };
        Ok(Choice {
            config,
            version,
            group: chosen.group,
            retry: chosen.retry,
            identity: Arc::clone(&offer.identity),
            scheme,
            authentication: offer.authentication,
            witness,
        })
    }

    /// The facts of a finished handshake, compared with our own reading.
    pub fn negotiated(
        &self,
        hello: &Hello,
        choice: &Choice,
        connection: &rustls::ServerConnection,
    ) -> Result<Negotiated, Unfit> {
        let server_name = connection.server_name();
        let state = connection;
        facts::negotiated(self, hello, choice, &Seen { server_name, state })
    }

    /// The same of a handshake that leads to records of our own.
    pub fn negotiated_by_hand(
        &self,
        hello: &Hello,
        choice: &Choice,
        handshake: &Handshake,
    ) -> Result<Negotiated, Unfit> {
        let (server_name, state) = (handshake.server_name(), handshake.state());
        facts::negotiated(self, hello, choice, &Seen { server_name, state })
    }

    /// The same over QUIC.
    pub(crate) fn negotiated_over_quic(
        &self,
        hello: &Hello,
        choice: &Choice,
        connection: &rustls::quic::ServerConnection,
    ) -> Result<Negotiated, Unfit> {
        let server_name = connection.server_name();
        let state = connection;
        facts::negotiated(self, hello, choice, &Seen { server_name, state })
    }

    /// Bytes of the server's first flight for a certificate and group, taken from a handshake in memory with a client
    /// that takes no compressed chain.
    pub fn flight_len(&self, identity: usize, group: GroupId) -> Option<usize> {
        flight::len(self, (self.offers.get(identity)?, &[]), group)
    }

    /// The same with a client that takes this compression; None where the chain is not compressed so.
    pub fn compressed_flight_len(
        &self,
        identity: usize,
        (group, compression): (GroupId, CertificateCompression),
    ) -> Option<usize> {
        let offer = self.offers.get(identity)?;
        let config = &offer.configs.iter().find(|prepared| prepared.group == group)?.tls13;
        let mut compressors = config.cert_compressors.iter();
        compressors.find(|one| one.algorithm() == compression.decompressor().algorithm())?;
        flight::len(self, (offer, &[compression]), group)
    }

    fn decided(&self, hello: &Hello, negotiated: Option<&Negotiated>, asking: Option<&Asking<'_>>) -> Decision {
        let case = Case {
            scope: Scope::Connection,
            able: self.able(hello, asking),
            negotiated,
            client: client(hello, asking),
            now: moment(asking),
        };
        policy::decide(&case, &self.demands.each)
    }

    /// What a hello can come to here.
    fn able(&self, hello: &Hello, asking: Option<&Asking<'_>>) -> Able {
        let is_new = policy::choose_version(hello, &self.offering.versions) == Some(Version::Tls13);
        let is_pq = |offer: &&Offer| offer.authentication == Authentication::Pq;
        let mut chains = self.offers.iter().filter(is_pq).peekable();
        let verifies = match chains.peek() {
            // what they would need if we had one
            None => self
                .pq_schemes_wanted
                .iter()
                .any(|scheme| hello.schemes.contains(scheme)),
            Some(_) => chains.any(|offer| offer.is_shown(asking) && offer.scheme(hello, Version::Tls13).is_some()),
        };
        Able {
            key_exchange: policy::choose_group(hello, &self.offering, Stance::Require).is_some(),
            // ML-DSA signs in TLS 1.3 only
            authentication: is_new && verifies,
        }
    }

    /// The first certificate of the list that this client can verify, and what it signs with. Never by group, but for the
    /// curves of TLS 1.2.
    fn certificate(
        &self,
        hello: &Hello,
        (version, stance): (Version, Stance),
        asking: Option<&Asking<'_>>,
    ) -> Result<(&Offer, SchemeId), Refusal> {
        let tls13 = version == Version::Tls13;
        let of_version = |cipher: &&CipherId| cipher.entry().is_some_and(|row| row.tls13 == tls13);
        let mut ciphers = self.ciphers.iter().filter(of_version);
        if !ciphers.any(|cipher| hello.ciphers.contains(cipher)) {
            return Err(Refusal::NoCommonCipher);
        }
        let is_pq = |offer: &Offer| offer.authentication == Authentication::Pq;
        let shown = |offer: &&Offer| offer.is_shown(asking) && (stance != Stance::Require || is_pq(offer));
        let late = |offer: &Offer| asking.is_some_and(|asking| !offer.identity.is_valid_at(asking.now));
        // some clients take a curve that they did not list: better than nothing, worse than another certificate
        let unlisted = |offer: &Offer| version == Version::Tls12 && !offer.is_on_a_listed_curve(hello);
        let offers = self.offers.iter().filter(shown);
        let fitting = offers.filter_map(|offer| Some((offer, offer.scheme(hello, version)?)));
        // the first of the best
        fitting
            .min_by_key(|(offer, _)| (late(offer), unlisted(offer), stance == Stance::Prefer && !is_pq(offer)))
            .ok_or(Refusal::NoCertificate)
    }
}

/// Who asks; without an asker nobody is let off for where it comes from.
fn client<'a>(hello: &'a Hello, asking: Option<&Asking<'_>>) -> Client<'a> {
    Client {
        address: asking.and_then(|asking| asking.address),
        sni: hello.sni.as_deref(),
    }
}

/// Without an asker every exemption is over.
fn moment(asking: Option<&Asking<'_>>) -> i64 {
    asking.map_or(i64::MAX, |asking| asking.now)
}

impl Offer {
    fn is_shown(&self, asking: Option<&Asking<'_>>) -> bool {
        asking.is_none_or(|asking| (asking.may_see)(self.place))
    }

    /// What the key will sign with for this client: rustls takes the key's first scheme that the client offers and
    /// that the version knows; in TLS 1.2 the suite must be of the key's kind.
    fn scheme(&self, hello: &Hello, version: Version) -> Option<SchemeId> {
        let schemes = match version {
            Version::Tls13 => &self.schemes_13,
            Version::Tls12 => {
                let mut ciphers = self.ciphers_12.iter();
                ciphers.find(|cipher| hello.ciphers.contains(cipher))?;
                &self.schemes_12
            }
        };
        let offered = |scheme: &&SchemeId| hello.schemes.contains(scheme);
        schemes.iter().find(offered).copied()
    }

    /// RFC 8422 section 5.1: in TLS 1.2 the supported groups are also the curves of certificates that a client takes.
    fn is_on_a_listed_curve(&self, hello: &Hello) -> bool {
        let curve = match self.identity.leaf().key {
            Some(KeyKind::EcdsaP256) => GroupId(0x0017),
            Some(KeyKind::EcdsaP384) => GroupId(0x0018),
            Some(KeyKind::EcdsaP521) => GroupId(0x0019),
            _ => return true,
        };
        hello.groups.is_empty() || hello.lists(curve)
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice")
            .field("version", &self.version)
            .field("group", &self.group)
            .field("retry", &self.retry)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("demands", &self.demands)
            .field("identities", &self.identities.len())
            .finish_non_exhaustive()
    }
}
