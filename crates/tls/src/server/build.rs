//! Preparing the configurations of a site.
use super::{BuildError, ClientRules, Offer, Prepared, Server, ServerSpec, client_auth, signing};
use crate::{
    compression::{CertificateCompression, decompressors},
    identity::Identity,
    negotiated::{Authentication, Version},
    policy::{Offering, RuleName, Stance},
    profile::{CipherOrder, scheme_fits},
    provider::{self, Digest},
    tickets::Tickets,
};
use portcullis_wire::{CipherId, GroupId, SchemeId};
use rustls::{
    ServerConfig, SupportedCipherSuite,
    server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
};
use std::sync::Arc;

/// The server of a specification.
pub(super) fn server(spec: &ServerSpec, tickets: &Tickets) -> Result<Server, BuildError> {
    let groups = usable_groups(spec);
    if groups.is_empty() {
        return Err(BuildError::NoUsableGroup);
    }
    // who may be let off, or is to read a page, is judged when the handshake is over
    let stance = match spec.policy.words().client_authentication {
        Stance::Require if !spec.policy.are_absolute(RuleName::ClientAuthentication) => Stance::Observe,
        stance => stance,
    };
    let clients = spec
        .client_auth
        .as_ref()
        .map(|auth| client_auth::rules(auth, &spec.settings.signatures, stance).map(Arc::new));
    let clients = clients.transpose()?;
    let verifier = clients.as_ref().map(client_auth::unwitnessed);
    let mut offers = usable_identities(spec);
    let has_pq = offers.iter().any(|offer| offer.authentication == Authentication::Pq);
    if offers.is_empty() || spec.policy.refuse_by(RuleName::Authentication) && !has_pq {
        return Err(BuildError::NoUsableCertificate);
    }
    for group in groups {
        let template = template(spec, group, verifier.as_ref())?;
        for offer in &mut offers {
            let (spec, group) = ((spec, clients.as_deref()), (group, &template));
            let mut chain = prepared(spec, group, (offer, Proof::Chain), tickets);
            if spec.0.settings.raw_public_keys {
                chain.raw = Some(prepared(spec, group, (offer, Proof::RawPublicKey), tickets).tls13);
            }
            offer.configs.push(chain);
        }
    }
    Ok(Server {
        demands: spec.policy.clone(),
        offering: offering(spec),
        pq_schemes: pq_schemes(&offers),
        pq_schemes_wanted: pq_schemes_wanted(spec),
        identities: offers.iter().map(|offer| Arc::clone(&offer.identity)).collect(),
        offers,
        ciphers: spec.settings.ciphers.clone(),
        alpn: spec.alpn.clone(),
        clients,
    })
}

/// Where `require` lets nobody off, nothing else is even prepared.
fn usable_groups(spec: &ServerSpec) -> Vec<GroupId> {
    let is_safe = |group: &GroupId| group.key_exchange().is_some_and(|class| class.is_quantum_safe());
    let is_absolute = spec.policy.are_absolute(RuleName::KeyExchange);
    let groups = spec.settings.groups.iter().copied();
    let groups = groups.filter(|group| !is_absolute || is_safe(group));
    let groups: Vec<GroupId> = groups.filter(|id| provider::group(*id).is_some()).collect();
    match spec.policy.refuse_by(RuleName::KeyExchange) && !groups.iter().any(is_safe) {
        true => Vec::new(),
        false => groups,
    }
}

/// SPEC 5.5: `observe` keeps the order, `prefer` moves ML-DSA first, `require` takes nothing else.
fn usable_identities(spec: &ServerSpec) -> Vec<Offer> {
    let is_pq = |offer: &Offer| offer.authentication == Authentication::Pq;
    let mut offers: Vec<Offer> = spec
        .identities
        .iter()
        .enumerate()
        .filter(|(_, identity)| identity.satisfies(spec.settings.chains))
        .filter_map(|(place, identity)| offer(spec, place, identity))
        .collect();
    if spec.policy.are_absolute(RuleName::Authentication) {
        offers.retain(is_pq);
    } else if spec.policy.words().authentication == Stance::Prefer {
        offers.sort_by_key(|offer| !is_pq(offer));
    }
    offers
}

/// None where the settings leave the key nothing to sign with.
fn offer(spec: &ServerSpec, place: usize, identity: &Arc<Identity>) -> Option<Offer> {
    let allowed = |scheme: &SchemeId| spec.settings.signatures.contains(scheme);
    let of = |version: Version| -> Vec<SchemeId> {
        let spoken = spec.settings.versions.contains(&version);
        let schemes = identity.schemes().into_iter().filter(allowed);
        schemes
            .filter(|scheme| spoken && scheme_fits(*scheme, version))
            .collect()
    };
    let offer = Offer {
        place,
        authentication: identity.authentication(),
        schemes_13: of(Version::Tls13),
        schemes_12: of(Version::Tls12),
        ciphers_12: fitting_ciphers(spec, identity),
        configs: Vec::new(),
        identity: Arc::clone(identity),
    };
    let silent = offer.schemes_13.is_empty() && offer.schemes_12.is_empty();
    (!silent).then_some(offer)
}

/// TLS 1.2 suites name the kind of key.
fn fitting_ciphers(spec: &ServerSpec, identity: &Identity) -> Vec<CipherId> {
    let kind = identity.certified.key.algorithm();
    let fits = |id: &CipherId| match provider::cipher(*id) {
        Some(suite @ SupportedCipherSuite::Tls12(_)) => suite.usable_for_signature_algorithm(kind),
        _ => false,
    };
    spec.settings.ciphers.iter().copied().filter(fits).collect()
}

/// All that the certificates of a site share for one group.
fn template(
    spec: &ServerSpec,
    group: GroupId,
    verifier: Option<&Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = provider::provider(&[group], &spec.settings.ciphers);
    let versions: Vec<_> = spec
        .settings
        .versions
        .iter()
        .map(|version| version.to_rustls())
        .collect();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(signing::Nobody));
    config.alpn_protocols = spec.alpn.clone();
    config.ignore_client_order = spec.settings.cipher_order == CipherOrder::Server;
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // records after the handshake are our own
    config.enable_secret_extraction = true;
    config.cert_compressors = Vec::new();
    config.cert_decompressors = match spec.settings.certificate_compression {
        true => decompressors(CertificateCompression::all()),
        false => Vec::new(),
    };
    if let Some(key_log) = &spec.key_log {
        config.key_log = Arc::clone(key_log);
    }
    Ok(config)
}

/// What a server shows with its signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Certificates.
    Chain,
    /// The key of the first of them, for clients that know it (RFC 7250).
    RawPublicKey,
}

/// The template with one certificate and the context that its class belongs to.
fn prepared(
    (spec, clients): (&ServerSpec, Option<&ClientRules>),
    (group, template): (GroupId, &ServerConfig),
    (offer, proof): (&Offer, Proof),
    tickets: &Tickets,
) -> Prepared {
    let mut config = template.clone();
    let certified = signing::narrowed(&offer.identity, &spec.settings.signatures);
    config.cert_resolver = match proof {
        Proof::Chain => Arc::new(SingleCertAndKey::from(certified)),
        Proof::RawPublicKey => Arc::new(AlwaysResolvesServerRawPublicKeys::new(signing::bare(&certified))),
    };
    if spec.settings.certificate_compression && proof == Proof::Chain {
        let forms = offer.identity.compressed_forms();
        config.cert_compressors = forms.finders.clone();
        config.cert_compression_cache = Arc::clone(&forms.cache);
    }
    let one = |config: ServerConfig| {
        let tls13 = Arc::new(config);
        let tls12 = Arc::clone(&tls13);
        Prepared {
            group,
            tls13,
            tls12,
            raw: None,
        }
    };
    let resumption = &spec.resumption;
    if resumption.is_off() {
        return one(config);
    }
    config.send_tls13_tickets = resumption.tickets;
    let context = context(spec, clients, (offer.authentication, proof));
    if clients.is_some() {
        config.session_storage = tickets.store(context, resumption);
        return one(config);
    }
    // it goes on naming both versions: rustls marks a downgrade only then (RFC 8446 4.1.3)
    let mut tls12 = config.clone();
    config.ticketer = tickets.sealer(context, resumption);
    if resumption.secret.is_none() {
        return one(config);
    }
    // a ticket of TLS 1.2 carries what decrypts its connections, and a shared secret does not rotate by itself
    tls12.session_storage = tickets.store(context, resumption);
    Prepared {
        group,
        tls13: Arc::new(config),
        tls12: Arc::new(tls12),
        raw: None,
    }
}

/// What must be the same for a session to be resumed.
fn context(spec: &ServerSpec, clients: Option<&ClientRules>, (class, proof): (Authentication, Proof)) -> [u8; 32] {
    let versions = spec.settings.versions.iter();
    let versions: Vec<u8> = versions.flat_map(|version| version.number().to_be_bytes()).collect();
    let digest = Digest::new()
        .part(spec.context.as_bytes())
        .part(class.as_str().as_bytes())
        .part(&spec.resumption.lifetime.as_secs().to_be_bytes())
        .part(&versions);
    let each = spec.policy.each.iter();
    let digest = each.fold(digest, |digest, demand| digest.part(demand.to_string().as_bytes()));
    let digest = match proof {
        Proof::Chain => digest,
        Proof::RawPublicKey => digest.part(b"raw public key"),
    };
    match clients {
        None => digest.part(b"no client certificates"),
        Some(rules) => digest.part(rules.digest()),
    }
    .finish()
}

fn offering(spec: &ServerSpec) -> Offering {
    Offering {
        versions: spec.settings.versions.clone(),
        groups: spec.settings.groups.clone(),
        retry: spec.settings.retry,
    }
}

fn pq_schemes(offers: &[Offer]) -> Vec<SchemeId> {
    let is_pq = |offer: &&Offer| offer.authentication == Authentication::Pq;
    let schemes = offers.iter().filter(is_pq).flat_map(|offer| &offer.schemes_13);
    schemes.copied().collect()
}

fn pq_schemes_wanted(spec: &ServerSpec) -> Vec<SchemeId> {
    let schemes = spec.settings.signatures.iter().copied();
    schemes.filter(|scheme| scheme.is_ml_dsa()).collect()
}
