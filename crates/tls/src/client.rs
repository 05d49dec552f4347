//! The client side: what an upstream connection, a probe or a self-test offers.
use crate::{
    compression::{CertificateCompression, decompressors},
    identity::{Certificate, Identity, class_of},
    negotiated::{Authentication, ClientAuthentication, Negotiated, Version},
    provider,
};
use portcullis_wire::{CipherId, GroupId, SchemeId, registry::Cipher};
use rustls::{
    ClientConfig, ClientConnection, CommonState, Error, HandshakeKind, RootCertStore, SignatureScheme,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName},
};
use std::sync::{Arc, Mutex, PoisonError};

mod origin;
mod refusal;
mod watch;

pub use origin::{OriginError, OriginSpec};
pub use refusal::words;
use watch::{Anyone, AskedFor, Listed, Note, Watched};

/// Whom to trust.
#[derive(Clone)]
pub enum Trust {
    /// These roots, all of which must be good; a server's certificate that is one of them is trusted as itself.
    Roots(Vec<CertificateDer<'static>>),
    /// Whichever of these can be used: what a system gathers is nobody's to put right.
    Usable(Vec<CertificateDer<'static>>),
    /// Anyone: for asking what a server does, never for carrying data.
    Anyone,
}

/// What to offer.
#[derive(Clone)]
pub struct ClientSpec {
    /// Versions.
    pub versions: Vec<Version>,
    /// Groups in this order; a share goes out for the first, and for its classical half where it is a hybrid.
    pub groups: Vec<GroupId>,
    /// None: all we verify.
    pub schemes: Option<Vec<SchemeId>>,
    /// Whom to trust.
    pub trust: Trust,
    /// What to show when asked for a certificate.
    pub identity: Option<Arc<Identity>>,
    /// Application protocols.
    pub alpn: Vec<Vec<u8>>,
    /// Sessions to remember; 0 for none.
    pub resumption: usize,
}

/// A prepared client.
pub struct Client {
    template: ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
    schemes: Vec<SignatureScheme>,
    identities: Vec<Arc<Identity>>,
    /// Sessions to remember; 0 for none.
    resumption: usize,
    /// What a server must have been, once the handshake is over.
    demand: origin::Demand,
    idle: Arc<Mutex<Vec<Lane>>>,
}

/// A client connection.
pub struct Connection {
    /// To be driven by the caller.
    pub tls: ClientConnection,
    watch: Watch,
}

/// An eye on one connection.
pub(crate) struct Watch {
    lane: Borrowed,
    /// Of each certificate that may be shown.
    classes: Vec<Authentication>,
}

/// One connection at a time uses a lane, so that what its verifier notes is of that connection. rustls resumes only
/// where the verifier is the very same, hence a lane is used again, with its own sessions, and not made anew.
#[derive(Clone)]
struct Lane {
    config: Arc<ClientConfig>,
    note: Arc<Note>,
}

/// A lane until it goes back to the idle ones.
struct Borrowed {
    lane: Lane,
    home: Arc<Mutex<Vec<Lane>>>,
}

/// Lanes kept for later connections. More connections at once than this are served, without a memory of their own.
const IDLE_LANES: usize = 16;

impl Client {
    /// Prepares a client.
    pub fn build(spec: ClientSpec) -> Result<Client, Error> {
        let ciphers: Vec<CipherId> = Cipher::all().iter().map(|cipher| cipher.id).collect();
        let provider = provider::provider(&spec.groups, &ciphers);
        if provider.kx_groups.len() != spec.groups.len() {
            return Err(Error::General("a group that this build does not have".into()));
        }
        let verifier = verifier(&spec.trust, &provider)?;
        let versions: Vec<_> = spec.versions.iter().map(|version| version.to_rustls()).collect();
        let mut template = template(provider, &versions, &verifier)?;
        template.alpn_protocols = spec.alpn;
        template.cert_decompressors = decompressors(CertificateCompression::all());
        if let Some(identity) = &spec.identity {
            compress(&mut template, identity);
        }
        let wanted = |scheme: &SignatureScheme| match &spec.schemes {
            Some(schemes) => schemes.contains(&SchemeId((*scheme).into())),
            None => true,
        };
        Ok(Client {
            schemes: verifier.supported_verify_schemes().into_iter().filter(wanted).collect(),
            template,
            verifier,
            identities: spec.identity.into_iter().collect(),
            resumption: spec.resumption,
            demand: origin::Demand::NONE,
            idle: Arc::default(),
        })
    }

    /// The same client with sessions of its own: what one server gave is of no use at another.
    pub fn sibling(&self) -> Client {
        Client {
            template: self.template.clone(),
            verifier: Arc::clone(&self.verifier),
            schemes: self.schemes.clone(),
            identities: self.identities.clone(),
            resumption: self.resumption,
            demand: self.demand,
            idle: Arc::default(),
        }
    }

    /// The same client for checks of a server's health: nothing is resumed, and
    /// where HTTP/1.1 is offered it is all that is.
    pub fn checker(&self) -> Client {
        let mut checker = Client {
            resumption: 0,
            ..self.sibling()
        };
        let one = b"http/1.1".to_vec();
        if checker.template.alpn_protocols.contains(&one) {
            checker.template.alpn_protocols = vec![one];
        }
        checker
    }

    /// The same client, whose hello offers these compressions of the server's chain; all that there are otherwise.
    pub fn offering(mut self, compressions: &[CertificateCompression]) -> Client {
        self.template.cert_decompressors = decompressors(compressions);
        self
    }

    /// A connection to be driven by the caller; it notes the signature for itself.
    pub fn connect(&self, name: ServerName<'static>) -> Result<Connection, Error> {
        let watch = self.watch();
        let tls = ClientConnection::new(Arc::clone(watch.config()), name)?;
        Ok(Connection { tls, watch })
    }

    /// For one connection, over whatever transport.
    pub(crate) fn watch(&self) -> Watch {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let lane = kept.unwrap_or_else(|| self.lane());
        let classes = self.identities.iter().map(|identity| identity.authentication());
        Watch {
            lane: Borrowed {
                lane,
                home: Arc::clone(&self.idle),
            },
            classes: classes.collect(),
        }
    }

    fn lane(&self) -> Lane {
        let note = Arc::new(Note::default());
        let mut config = self.template.clone();
        config.dangerous().set_certificate_verifier(Arc::new(Watched {
            inner: Arc::clone(&self.verifier),
            schemes: self.schemes.clone(),
            note: Arc::clone(&note),
        }));
        config.client_auth_cert_resolver = Arc::new(AskedFor {
            certified: self.identities.iter().map(|i| Arc::clone(&i.certified)).collect(),
            note: Arc::clone(&note),
        });
        if self.resumption > 0 {
            config.resumption = Resumption::in_memory_sessions(self.resumption);
        }
        Lane {
            config: Arc::new(config),
            note,
        }
    }
}

impl Connection {
    /// The facts, once the handshake is over.
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.watch.negotiated(&self.tls)
    }

    /// The facts and the connection, once the handshake is over; what watched it is free for the next one.
    pub fn settle(self) -> Option<(ClientConnection, Negotiated)> {
        let facts = self.negotiated()?;
        Some((self.tls, facts))
    }

    /// The server asked for a certificate of ours, and none was fit to show.
    pub fn lacked_certificate(&self) -> bool {
        self.watch.lacked_certificate()
    }

    /// What the server sent (of the original handshake when resumed), leaf first; what we cannot read is left out.
    pub fn peer_chain(&self) -> Vec<Certificate> {
        Watch::peer_chain(&self.tls)
    }
}

impl Watch {
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        &self.lane.lane.config
    }

    pub(crate) fn negotiated(&self, state: &CommonState) -> Option<Negotiated> {
        if state.is_handshaking() {
            return None;
        }
        let note = &self.lane.lane.note;
        let kind = state.handshake_kind()?;
        let resumed = kind == HandshakeKind::Resumed;
        let group = state.negotiated_key_exchange_group();
        let client = note.shown().and_then(|place| self.classes.get(place));
        Some(Negotiated {
            version: Version::from_rustls(state.protocol_version()?)?,
            group: group.map(|group| GroupId(group.name().into())),
            retry: kind == HandshakeKind::FullWithHelloRetryRequest,
            cipher: CipherId(state.negotiated_cipher_suite()?.suite().into()),
            signature: note.signature().filter(|_| !resumed),
            authentication: class_of(&Watch::peer_chain(state)),
            client_authentication: match client {
                None => ClientAuthentication::None,
                Some(Authentication::Pq) => ClientAuthentication::Pq,
                Some(_) => ClientAuthentication::Classical,
            },
            client: None,
            resumed,
            alpn: state.alpn_protocol().map(<[u8]>::to_vec),
        })
    }

    pub(crate) fn lacked_certificate(&self) -> bool {
        self.lane.lane.note.asked_in_vain()
    }

    pub(crate) fn peer_chain(state: &CommonState) -> Vec<Certificate> {
        let chain = state.peer_certificates().unwrap_or_default();
        let read = chain.iter().map(|der| Certificate::from_der(der));
        read.filter_map(Result::ok).collect()
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut idle = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_LANES {
            idle.push(self.lane.clone());
        }
    }
}

fn template(
    provider: Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    verifier: &Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, Error> {
    let mut template = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier))
        .with_no_client_auth();
    template.resumption = Resumption::disabled();
    template.cert_decompressors = Vec::new();
    template.cert_compressors = Vec::new();
    Ok(template)
}

/// Our chain goes out in the forms that were made of it beforehand.
fn compress(template: &mut ClientConfig, identity: &Identity) {
    let forms = identity.compressed_forms();
    template.cert_compressors = forms.finders.clone();
    template.cert_compression_cache = Arc::clone(&forms.cache);
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    let listed = match trust {
        Trust::Anyone => return Ok(Arc::new(Anyone(provider.signature_verification_algorithms))),
        Trust::Roots(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone())?;
            }
            certificates.clone()
        }
        Trust::Usable(certificates) => {
            roots.add_parsable_certificates(certificates.iter().cloned());
            Vec::new()
        }
    };
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    match builder.build() {
        Ok(verifier) => Ok(Arc::new(Listed {
            inner: verifier,
            listed,
        })),
        Err(error) => Err(Error::General(error.to_string())),
    }
}
