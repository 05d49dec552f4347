//! Client certificates: who vouches for them, what was taken back, and who of the rest may enter.
use super::{BuildError, ClientAuth, ClientAuthMode, ExpiredLists};
use crate::{
    client_identity::Lists,
    identity::{Certificate, class_of},
    negotiated::{Authentication, Version},
    policy::{RuleName, Stance},
    provider::{self, Digest},
};
use portcullis_wire::SchemeId;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::sync::{Arc, OnceLock};

mod problem;
mod refusal;

pub use problem::ClientAuthProblem;
pub use refusal::ClientRefusal;

/// DESIGN, "Hostile peers": a chain of more certificates costs more to verify than an honest one ever does.
/// rustls itself ends a chain at 64 KiB.
const MAX_CHAIN: usize = 10;

/// What a site's clients are judged by, at the handshake and whenever it is asked again.
#[derive(Debug)]
pub struct ClientRules {
    /// WebPKI's rules; None where the CA file holds only certificates that stand for themselves.
    chains: Option<Arc<dyn ClientCertVerifier>>,
    /// SPEC 3: self-signed certificates that stand verbatim in the CA file.
    themselves: Vec<CertificateDer<'static>>,
    hints: Vec<DistinguishedName>,
    lists: Lists,
    needs_pq: bool,
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
    schemes: Vec<SignatureScheme>,
    digest: [u8; 32],
}

/// Where a handshake's verifier leaves why it refused: rustls' errors do not say whom.
#[derive(Debug, Default)]
pub(super) struct Witness(OnceLock<ClientRefusal>);

impl ClientRules {
    /// Judges a chain as it was sent, leaf first.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), ClientRefusal> {
        let Some((leaf, rest)) = chain.split_first() else {
            return Ok(());
        };
        // what cannot be read here is WebPKI's to refuse
        let read: Vec<Certificate> = chain
            .iter()
            .take(MAX_CHAIN)
            .map_while(|der| Certificate::from_der(der).ok())
            .collect();
        let refused = |error: Error| ClientRefusal::of(read.first(), error);
        if rest.len() >= MAX_CHAIN {
            return Err(refused(denied()).because(format!("more than {MAX_CHAIN} certificates")));
        }
        match self.themselves.contains(leaf) {
            true => in_time(&read, now).map_err(refused)?,
            false => self.vouched_for(leaf, rest, now).map_err(refused)?,
        }
        self.listed(&read, leaf)?;
        let is_pq = read.len() == chain.len() && class_of(&read) == Authentication::Pq;
        match self.needs_pq && !is_pq {
            true => Err(refused(denied()).by(RuleName::ClientAuthentication)),
            false => Ok(()),
        }
    }

    /// Whoever one of them admits the other admits as well, at the same time.
    pub fn is_same(&self, other: &ClientRules) -> bool {
        self.digest == other.digest
    }

    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    fn vouched_for(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        match &self.chains {
            Some(chains) => chains
                .verify_client_cert(leaf, rest, now)
                .map(|_| ())
                .map_err(with_its_alert),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn listed(&self, read: &[Certificate], der: &[u8]) -> Result<(), ClientRefusal> {
        let why = match read.first() {
            _ if self.lists.is_empty() => None,
            Some(leaf) => self.lists.refuse(leaf, der),
            None => Some("its names cannot be read".to_owned()),
        };
        match why {
            Some(why) => Err(ClientRefusal::of(read.first(), denied()).because(why)),
            None => Ok(()),
        }
    }

    /// rustls does not compare a signature's scheme with those it asked for.
    fn asked_for(&self, signed: &DigitallySignedStruct) -> Result<(), Error> {
        match self.schemes.contains(&signed.scheme) {
            true => Ok(()),
            false => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
        }
    }
}

impl Witness {
    pub(super) fn refusal(&self) -> Option<&ClientRefusal> {
        self.0.get()
    }
}

/// The rules of a site whose clients may sign with these schemes.
pub(super) fn rules(auth: &ClientAuth, schemes: &[SchemeId], stance: Stance) -> Result<ClientRules, BuildError> {
    let (mut roots, mut themselves) = (RootCertStore::empty(), RootCertStore::empty());
    let mut verbatim = Vec::new();
    for (der, index) in auth.roots.iter().zip(1..) {
        let bad = |problem: String| BuildError::ClientCa(format!("certificate {index}: {problem}"));
        let read = Certificate::from_der(der).map_err(bad)?;
        if read.is_self_issued {
            verbatim.push(der.clone());
        }
        // An anchor's own constraints are not looked at: a client's certificate among them could issue others.
        let store = match read.is_ca || !read.is_version_3 {
            true => &mut roots,
            false if read.is_self_issued => &mut themselves,
            false => return Err(bad("neither a CA's nor self-signed: it vouches for nobody".to_owned())),
        };
        store.add(der.clone()).map_err(|error| bad(error.to_string()))?;
    }
    if auth.roots.is_empty() {
        return Err(BuildError::ClientCa("no certificate in it".to_owned()));
    }
    let mut hints = roots.subjects();
    hints.extend(themselves.subjects());
    let algorithms = provider::verification();
    let allowed = |scheme: &SignatureScheme| schemes.contains(&SchemeId((*scheme).into()));
    Ok(ClientRules {
        chains: chains(auth, roots)?,
        themselves: verbatim,
        hints,
        lists: auth.lists.clone(),
        needs_pq: stance == Stance::Require,
        mandatory: auth.is_mandatory(),
        schemes: algorithms.supported_schemes().into_iter().filter(allowed).collect(),
        algorithms,
        digest: digest(auth, schemes, stance),
    })
}

/// A configuration for one connection, whose verifier tells this witness whom it refused.
pub(super) fn witnessed(
    config: &ServerConfig,
    rules: &Arc<ClientRules>,
    versions: &[Version],
) -> (Arc<ServerConfig>, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    let verifier = Arc::new(Verifier {
        rules: Arc::clone(rules),
        witness: Some(Arc::clone(&witness)),
    });
    let versions: Vec<_> = versions.iter().map(|version| version.to_rustls()).collect();
    let provider = Arc::clone(config.crypto_provider());
    let builder = ServerConfig::builder_with_details(provider, Arc::clone(&config.time_provider));
    let builder = builder
        .with_protocol_versions(&versions)
        .expect("the prepared configuration was built with this provider and these versions");
    let builder = builder.with_client_cert_verifier(verifier);
    let mut own = builder.with_cert_resolver(Arc::clone(&config.cert_resolver));
    own.ignore_client_order = config.ignore_client_order;
    own.max_fragment_size = config.max_fragment_size;
    own.session_storage = Arc::clone(&config.session_storage);
    own.ticketer = Arc::clone(&config.ticketer);
    own.alpn_protocols = config.alpn_protocols.clone();
    own.key_log = Arc::clone(&config.key_log);
    own.enable_secret_extraction = config.enable_secret_extraction;
    own.max_early_data_size = config.max_early_data_size;
    own.send_half_rtt_data = config.send_half_rtt_data;
    own.send_tls13_tickets = config.send_tls13_tickets;
    own.max_tls13_tickets = config.max_tls13_tickets;
    own.require_ems = config.require_ems;
    own.cert_compressors = config.cert_compressors.clone();
    own.cert_compression_cache = Arc::clone(&config.cert_compression_cache);
    own.cert_decompressors = config.cert_decompressors.clone();
    (Arc::new(own), witness)
}

/// The verifier of the prepared configurations, which no connection uses as they are.
pub(super) fn unwitnessed(rules: &Arc<ClientRules>) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Verifier {
        rules: Arc::clone(rules),
        witness: None,
    })
}

fn chains(auth: &ClientAuth, roots: RootCertStore) -> Result<Option<Arc<dyn ClientCertVerifier>>, BuildError> {
    if roots.is_empty() {
        return Ok(None);
    }
    // WebPKI takes the first list of an issuer: the newest
    let mut lists = auth.crls.clone();
    lists.sort_by_key(|list| std::cmp::Reverse(list.this_update));
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider::key_loader()));
    let builder = builder.with_crls(lists.into_iter().map(|list| list.der));
    let builder = match auth.expired_lists {
        ExpiredLists::Refuse => builder.enforce_revocation_expiration(),
        ExpiredLists::Warn => builder,
    };
    match builder.build() {
        Ok(built) => Ok(Some(built)),
        Err(VerifierBuilderError::InvalidCrl(problem)) => Err(BuildError::ClientCrl(format!("{problem:?}"))),
        Err(error) => Err(BuildError::ClientCa(error.to_string())),
    }
}

fn digest(auth: &ClientAuth, signatures: &[SchemeId], stance: Stance) -> [u8; 32] {
    let mode = match auth.mode {
        ClientAuthMode::Required => "required",
        ClientAuthMode::Optional => "optional",
    };
    let (nobody, expired) = match (auth.is_mandatory(), auth.expired_lists) {
        (true, ExpiredLists::Refuse) => ("refused", "refuse"),
        (true, ExpiredLists::Warn) => ("refused", "warn"),
        (false, ExpiredLists::Refuse) => ("admitted", "refuse"),
        (false, ExpiredLists::Warn) => ("admitted", "warn"),
    };
    let schemes: Vec<u8> = signatures.iter().flat_map(|scheme| scheme.0.to_be_bytes()).collect();
    let mut digest = Digest::new();
    for word in [mode, nobody, expired, stance.as_str()] {
        digest = digest.part(word.as_bytes());
    }
    let mut digest = digest.part(&schemes);
    for entry in auth.lists.entries() {
        digest = digest.part(entry.as_bytes());
    }
    for root in &auth.roots {
        digest = digest.part(b"root").part(root);
    }
    for list in &auth.crls {
        digest = digest.part(b"list").part(&list.der);
    }
    digest.finish()
}

/// rustls 0.23.46 has a word for a critical extension that nobody knows, with its own alert, but does not use it for
/// what WebPKI says.
fn with_its_alert(error: Error) -> Error {
    match &error {
        Error::InvalidCertificate(CertificateError::Other(inner))
            if inner.0.to_string() == "UnsupportedCriticalExtension" =>
        {
            CertificateError::UnhandledCriticalExtension.into()
        }
        _ => error,
    }
}

fn in_time(read: &[Certificate], now: UnixTime) -> Result<(), Error> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match read.first() {
        None => Err(CertificateError::BadEncoding.into()),
        Some(leaf) if now < leaf.not_before => Err(CertificateError::NotValidYet.into()),
        Some(leaf) if now > leaf.not_after => Err(CertificateError::Expired.into()),
        Some(_) => Ok(()),
    }
}

/// rustls answers it with access_denied.
fn denied() -> Error {
    CertificateError::ApplicationVerificationFailure.into()
}

/// The rules as rustls asks them.
#[derive(Debug)]
struct Verifier {
    rules: Arc<ClientRules>,
    witness: Option<Arc<Witness>>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.rules.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.rules.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        match self.rules.judge(&chain, now) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(refusal) => {
                let error = refusal.error().clone();
                if let Some(witness) = &self.witness {
                    // a handshake has one client certificate
                    let _ = witness.0.set(refusal);
                }
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.rules.asked_for(signed)?;
        verify_tls12_signature(message, cert, signed, &self.rules.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.rules.asked_for(signed)?;
        verify_tls13_signature(message, cert, signed, &self.rules.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.rules.schemes.clone()
    }
}
