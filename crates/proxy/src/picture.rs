//! What a configuration comes to, for `check`: listeners, sites, certificates, flights, and what to worry about.
use crate::{
    clock,
    plan::{Certificates, ForwardPlan, ListenerPlan, OriginTls, ServicePlan, SitePlan},
    snapshot::Snapshot,
};
use portcullis_tls::{
    compression::CertificateCompression,
    identity::{Certificate, Identity},
    negotiated::{Authentication, Version},
    policy::{Demand, Policy, RuleName, Stance},
    server::{ClientAuth, ClientAuthMode, Server},
};
use portcullis_wire::GroupId;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use std::collections::BTreeMap;

mod policies;

pub use policies::{ClientPicture, ExemptionPicture, PolicyPicture};

/// Ten segments of 1460 bytes: what a fresh TCP connection may send before the first acknowledgement.
pub const TEN_SEGMENTS: usize = 14_600;
/// A certificate that ends sooner is worth a warning.
const SOON: i64 = 30 * 24 * 3600;

/// Everything a configuration comes to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Picture {
    /// Listeners in file order.
    pub listeners: Vec<ListenerPicture>,
    /// Sites in file order.
    pub sites: Vec<SitePicture>,
    /// What to worry about.
    pub warnings: Vec<Warning>,
}

/// A listener.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ListenerPicture {
    /// Its name.
    pub listener: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// `tcp`
    pub mode: &'static str,
    /// No TLS in.
    pub plain: bool,
}

/// A site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SitePicture {
    /// Its name.
    pub site: String,
    /// The names that lead to it; none: it is the default.
    pub names: Vec<String>,
    /// Its listeners.
    pub listeners: Vec<String>,
    /// What its clients speak before TLS: `any` (nothing) or `postgres`.
    pub protocol: &'static str,
    /// Application protocols that it chooses from; none: what clients offer is ignored.
    pub alpn: Vec<String>,
    /// The profile's word.
    pub profile: &'static str,
    /// TLS versions.
    pub versions: Vec<&'static str>,
    /// Groups, in our order.
    pub groups: Vec<String>,
    /// What its listeners and it demand of the key exchange.
    pub key_exchange: &'static str,
    /// And of authentication.
    pub authentication: &'static str,
    /// Each policy that requires something: its listeners', its own, its routes'.
    pub policies: Vec<PolicyPicture>,
    /// What becomes of clients of well-known kinds, where one does.
    pub clients: Vec<ClientPicture>,
    /// `required`, `optional` or `none`
    pub client_auth: &'static str,
    /// Its certificates, in its order.
    pub certificates: Vec<CertificatePicture>,
    /// Its upstream, or all of them with commas between.
    pub upstream: String,
    /// Whose servers are these.
    pub servers: Vec<String>,
    /// TLS towards each that has it; to the others bytes go in the clear.
    pub upstream_tls: Vec<OriginPicture>,
}

/// TLS towards an upstream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OriginPicture {
    /// The name its servers must bear; None: the host of each address.
    pub server_name: Option<String>,
    /// The file of trusted certificates; None: the system's.
    pub ca: Option<String>,
    /// TLS versions.
    pub versions: Vec<&'static str>,
    /// Groups, in the order they are written.
    pub groups: Vec<String>,
    /// What is demanded of the key exchange.
    pub key_exchange: &'static str,
    /// And of authentication.
    pub authentication: &'static str,
    /// What is shown to servers that ask.
    pub certificates: Vec<String>,
}

/// A certificate of a site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CertificatePicture {
    /// Where its chain was read.
    pub file: String,
    /// Subject of the leaf.
    pub subject: String,
    /// Names it covers.
    pub names: Vec<String>,
    /// `ML-DSA-65`
    pub algorithm: String,
    /// Bits of its key.
    pub bits: usize,
    /// `pq` or `classical`, of the whole chain.
    pub authentication: &'static str,
    /// Certificates sent.
    pub chain: usize,
    /// Bytes of them.
    pub chain_bytes: usize,
    /// When the leaf ends, RFC 3339.
    pub not_after: String,
    /// Which clients get it.
    pub serves: String,
    /// The server's first flight with it, by group.
    pub flights: Vec<Flight>,
}

/// The size of a server's first flight.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Flight {
    /// With this group.
    pub group: String,
    /// Bytes, record headers included, taken from a handshake in memory.
    pub bytes: usize,
    /// Ten segments hold it.
    pub fits: bool,
    /// Bytes to clients that take the chain compressed, by the word of their compression; none where it saves nothing.
    pub compressed: BTreeMap<&'static str, usize>,
}

/// Something to worry about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Warning {
    /// At which site.
    pub site: String,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Snapshot {
    /// The picture of it.
    pub fn picture(&self) -> Picture {
        let now = clock::unix_now();
        let listeners = self.plan.listeners.iter().map(listener).collect();
        let mut warnings = Vec::new();
        let sites = (0..self.plan.sites.len())
            .map(|index| self.site(index, now, &mut warnings))
            .collect();
        Picture {
            listeners,
            sites,
            warnings,
        }
    }

    /// What to worry about, but for the sizes of flights: only `check` takes the time to measure them.
    pub(crate) fn worries(&self) -> Vec<Warning> {
        let now = clock::unix_now();
        let mut warnings = Vec::new();
        for (plan, identities) in self.plan.sites.iter().zip(&self.identities) {
            let pictures: Vec<_> = identities
                .iter()
                .enumerate()
                .map(|(at, i)| certificate(plan, (at, i), None))
                .collect();
            let on: Vec<_> = plan.listeners.iter().map(|&l| &self.plan.listeners[l]).collect();
            let strict = absolute(on.iter().flat_map(|listener| plan.demands_on(listener).each));
            warn(plan, strict, (identities, &pictures, now), &mut warnings);
            warnings.extend(policies::worries(plan, &policies::of(plan, &on, now)));
        }
        warnings
    }

    fn site(&self, index: usize, now: i64, warnings: &mut Vec<Warning>) -> SitePicture {
        let plan = &self.plan.sites[index];
        let mut led_to: Vec<usize> = plan.service.upstreams().collect();
        led_to.sort_unstable();
        led_to.dedup();
        let upstreams: Vec<_> = led_to.iter().map(|&at| &self.plan.upstreams[at]).collect();
        let on: Vec<&ListenerPlan> = plan.listeners.iter().map(|&l| &self.plan.listeners[l]).collect();
        let demands = on.iter().map(|listener| plan.demands_on(listener).words());
        let policy = demands.fold(plan.policy.policy, Policy::tightened_by);
        let server = self.server(index);
        let identities = &self.identities[index];
        let certificates: Vec<_> = identities
            .iter()
            .enumerate()
            .map(|(at, i)| certificate(plan, (at, i), server))
            .collect();
        let strict = absolute(on.iter().flat_map(|listener| plan.demands_on(listener).each));
        warn(plan, strict, (identities, &certificates, now), warnings);
        let demands = policies::of(plan, &on, now);
        warnings.extend(policies::worries(plan, &demands));
        let forwarded = about_forward(plan, self.client_auth[index].as_deref());
        warnings.extend(forwarded.map(|(message, hint)| Warning {
            site: plan.name.clone(),
            message,
            hint: hint.to_owned(),
        }));
        let problems = self.client_auth[index].iter().flat_map(|auth| auth.problems(now));
        warnings.extend(problems.map(|problem| Warning {
            site: plan.name.clone(),
            message: problem.to_string(),
            hint: problem.hint().to_owned(),
        }));
        SitePicture {
            site: plan.name.clone(),
            names: plan.names.clone(),
            listeners: on.iter().map(|l| l.name.clone()).collect(),
            protocol: plan.protocol.as_str(),
            alpn: plan.alpn.clone(),
            profile: plan.profile.as_str(),
            versions: plan.tls.versions.iter().map(|v| v.as_str()).collect(),
            groups: plan.tls.groups.iter().map(GroupId::to_string).collect(),
            key_exchange: policy.key_exchange.as_str(),
            authentication: policy.authentication.as_str(),
            clients: match demands.is_empty() {
                true => Vec::new(),
                false => server.map_or_else(Vec::new, |server| policies::clients(server, now)),
            },
            policies: demands,
            client_auth: match plan.client_auth.as_ref().map(|c| c.mode) {
                Some(ClientAuthMode::Required) => "required",
                Some(ClientAuthMode::Optional) => "optional",
                None => "none",
            },
            certificates,
            upstream: upstreams.iter().map(|u| u.name.as_str()).collect::<Vec<_>>().join(", "),
            servers: upstreams
                .iter()
                .flat_map(|u| &u.servers)
                .map(|server| server.address.to_string())
                .collect(),
            upstream_tls: upstreams.iter().filter_map(|u| u.tls.as_ref()).map(origin).collect(),
        }
    }

    /// The TLS server of a site, on whichever of its listeners has one.
    fn server(&self, site: usize) -> Option<&Server> {
        let name = &*self.plan.sites[site].name;
        let on = self.plan.sites[site].listeners.iter().map(|&l| &self.listeners[l]);
        on.flat_map(|l| l.sites.all())
            .filter(|s| &*s.name.0 == name)
            .find_map(|s| s.tls.as_ref())
    }
}

/// The words of those that let nobody off.
fn absolute(demands: impl Iterator<Item = Demand>) -> Policy {
    let strict = demands.filter(Demand::is_absolute).map(|demand| demand.policy);
    strict.fold(Policy::OBSERVE, Policy::tightened_by)
}

fn listener(plan: &ListenerPlan) -> ListenerPicture {
    ListenerPicture {
        listener: plan.name.clone(),
        addresses: plan.listen.iter().map(ToString::to_string).collect(),
        mode: plan.mode.as_str(),
        plain: plan.plain,
    }
}

fn origin(tls: &OriginTls) -> OriginPicture {
    let chains = tls.certificates.iter().map(|files| files.chain.display().to_string());
    OriginPicture {
        server_name: tls.server_name.clone(),
        ca: tls.ca.as_ref().map(|ca| ca.display().to_string()),
        versions: tls.settings.versions.iter().map(|v| v.as_str()).collect(),
        groups: tls.settings.groups.iter().map(GroupId::to_string).collect(),
        key_exchange: tls.policy.key_exchange.as_str(),
        authentication: tls.policy.authentication.as_str(),
        certificates: chains.collect(),
    }
}

fn certificate(site: &SitePlan, (at, identity): (usize, &Identity), server: Option<&Server>) -> CertificatePicture {
    let leaf = identity.leaf();
    let file = match &site.certificates {
        Certificates::Files(files) => files.get(at).map(|f| f.chain.display().to_string()).unwrap_or_default(),
        Certificates::SelfSigned => "made at start".into(),
        Certificates::None => String::new(),
    };
    let mut names = leaf.dns_names.clone();
    names.extend(leaf.addresses.iter().map(ToString::to_string));
    CertificatePicture {
        file,
        subject: leaf.subject.clone(),
        names,
        algorithm: leaf.key.map_or(leaf.key_label(), |k| k.as_str()).to_owned(),
        bits: leaf.key_bits,
        authentication: identity.authentication().as_str(),
        chain: identity.chain().len(),
        chain_bytes: identity.chain().iter().map(|c| c.der_len).sum(),
        not_after: clock::date(leaf.not_after),
        serves: serves(site, at, identity),
        flights: server.map_or_else(Vec::new, |server| flights(site, identity, server)),
    }
}

/// In words: the schemes that lead to it, and where it stands.
fn serves(site: &SitePlan, at: usize, identity: &Identity) -> String {
    let schemes: Vec<String> = identity
        .schemes()
        .into_iter()
        .filter(|s| site.tls.signatures.contains(s))
        .map(|s| s.to_string())
        .collect();
    let which = if at == 0 {
        "clients"
    } else {
        "clients that take none before it and"
    };
    let versions = match (
        identity.leaf().key.is_some_and(|k| k.is_ml_dsa()),
        site.tls.versions.contains(&Version::Tls12),
    ) {
        (true, _) => " on TLS 1.3",
        (false, true) => " on TLS 1.3, and TLS 1.2 clients",
        (false, false) => " on TLS 1.3",
    };
    let which = match site.audiences.get(at).filter(|networks| !networks.is_empty()) {
        None => which.to_owned(),
        Some(networks) => {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            which.replacen("clients", &format!("clients of {}", networks.join(", ")), 1)
                + if at == 0 { " that" } else { "" }
        }
    };
    format!("{which} verify {}{versions}", schemes.join(" or ")).replace("clients verify", "clients that verify")
}

fn flights(site: &SitePlan, identity: &Identity, server: &Server) -> Vec<Flight> {
    let same = |other: &Identity| std::ptr::eq(other.leaf(), identity.leaf());
    let Some(index) = server.identities().iter().position(|i| same(i)) else {
        return Vec::new();
    };
    let each = site
        .tls
        .groups
        .iter()
        .filter_map(|&group| Some((group, server.flight_len(index, group)?)));
    let compressed = |group| {
        let words = CertificateCompression::all().iter();
        let sizes = words.filter_map(|&one| Some((one.as_str(), server.compressed_flight_len(index, (group, one))?)));
        sizes.collect()
    };
    each.map(|(group, bytes)| Flight {
        group: group.to_string(),
        bytes,
        fits: bytes <= TEN_SEGMENTS,
        compressed: compressed(group),
    })
    .collect()
}

fn warn(
    site: &SitePlan,
    policy: Policy,
    (identities, pictures, now): (&[std::sync::Arc<Identity>], &[CertificatePicture], i64),
    warnings: &mut Vec<Warning>,
) {
    let mut say = |message: String, hint: &str| {
        warnings.push(Warning {
            site: site.name.clone(),
            message,
            hint: hint.to_owned(),
        });
    };
    for (identity, picture) in identities.iter().zip(pictures) {
        for problem in identity.problems(now) {
            say(
                format!("{}: {problem}", picture.file),
                "`openssl x509 -noout -text` shows a certificate's parts",
            );
        }
        let left = identity.leaf().not_after - now;
        if (0..SOON).contains(&left) {
            say(
                format!(
                    "{}: ends in {} days, {}",
                    picture.file,
                    left / 86_400,
                    picture.not_after
                ),
                "renew it now",
            );
        }
        let uncovered: Vec<&str> = site
            .names
            .iter()
            .filter(|n| !covers(identity, n))
            .map(String::as_str)
            .collect();
        if !uncovered.is_empty() {
            say(
                format!("{}: does not cover {}", picture.file, uncovered.join(", ")),
                "clients that ask for these names will refuse it",
            );
        }
        if let Some(first) = picture.flights.first().filter(|f| !f.fits) {
            let message = format!(
                "{}: a first flight of {} bytes with {} does not fit ten segments",
                picture.file, first.bytes, first.group
            );
            say(
                message,
                "it costs a round trip on a fresh connection: a shorter chain or ML-DSA-44 would not",
            );
        }
    }
    about_order(site, identities, &mut say);
    about_policy(site, policy, identities, &mut say);
}

/// A wildcard is covered by the same wildcard.
fn covers(identity: &Identity, name: &str) -> bool {
    identity.covers(name) || identity.leaf().dns_names.iter().any(|n| n.eq_ignore_ascii_case(name))
}

fn about_order(site: &SitePlan, identities: &[std::sync::Arc<Identity>], say: &mut impl FnMut(String, &str)) {
    let first_is_pq = identities
        .first()
        .is_some_and(|i| i.authentication() == Authentication::Pq);
    if let Some(name) = site.names.iter().find(|name| is_public(name)).filter(|_| first_is_pq) {
        say(
            format!("an ML-DSA chain stands first, and {name} looks like a public name"),
            "browsers offer ML-DSA without trusting your root: put the classical certificate first",
        );
    }
    let all_pq = !identities.is_empty() && identities.iter().all(|i| i.authentication() == Authentication::Pq);
    if all_pq && !site.policy.refuses_by(RuleName::Authentication) {
        say(
            "only ML-DSA certificates: clients that cannot verify them are locked out".into(),
            "add an ECDSA or RSA certificate after it",
        );
    }
}

fn about_policy(
    site: &SitePlan,
    policy: Policy,
    identities: &[std::sync::Arc<Identity>],
    say: &mut impl FnMut(String, &str),
) {
    let safe = |g: &GroupId| g.key_exchange().is_some_and(|k| k.is_quantum_safe());
    if identities.is_empty() {
        return;
    }
    if !site.tls.groups.iter().any(safe) {
        say(
            "no quantum-safe group is offered".into(),
            "add X25519MLKEM768 to tls.groups, first",
        );
    }
    if policy.key_exchange == Stance::Require && site.tls.versions.contains(&Version::Tls12) {
        say(
            "TLS 1.2 is on, but key_exchange = \"require\" refuses everyone who has nothing newer".into(),
            "tls.versions = [\"1.3\"] or profile = \"modern\" says what is meant",
        );
    }
    if site
        .client_auth
        .as_ref()
        .is_some_and(|c| c.mode == ClientAuthMode::Optional && (c.anonymous || !c.lists.is_narrow()))
    {
        say(
            "clients without a certificate are admitted".into(),
            "client_auth.mode = \"required\" refuses them",
        );
    }
}

/// A whole certificate in a field: backends take heads of 8 to 64 kB, and a leaf under ML-DSA is 5 to 10.
fn about_forward(site: &SitePlan, auth: Option<&ClientAuth>) -> Option<(String, &'static str)> {
    let word = match site.client_auth.as_ref()?.forward {
        ForwardPlan::Cert => "cert",
        ForwardPlan::Chain => "chain",
        ForwardPlan::Identity | ForwardPlan::None => return None,
    };
    let is_http = matches!(site.service, ServicePlan::Http(_));
    let is_pq = |der: &CertificateDer<'_>| Certificate::from_der(der).is_ok_and(|ca| ca.signature_is_pq);
    let may_be_large = auth?.roots.iter().any(is_pq);
    (is_http && may_be_large).then(|| {
        let message = format!("client_auth.forward = \"{word}\" sends ML-DSA certificates of 5 to 10 kB in a field");
        (
            message,
            "many backends take less: \"identity\" names the client in a line",
        )
    })
}

/// A name that the public resolves: not one of the endings kept for private use.
fn is_public(name: &str) -> bool {
    const PRIVATE: [&str; 9] = [
        "localhost",
        "local",
        "internal",
        "lan",
        "home.arpa",
        "test",
        "example",
        "invalid",
        "corp",
    ];
    let private = |ending: &str| name == ending || name.ends_with(&format!(".{ending}"));
    name.contains('.') && name.parse::<std::net::IpAddr>().is_err() && !PRIVATE.iter().any(|e| private(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load_text};
    use portcullis_tls::identity::certificates_from_pem;

    #[test]
    fn large_certificates_in_a_field_are_worth_a_word() {
        let ca = |pem: &str| {
            let roots = certificates_from_pem(pem.as_bytes()).unwrap();
            ClientAuth::new(
                ClientAuthMode::Required,
                roots.into_iter().map(|(der, _)| der).collect(),
            )
        };
        let ml_dsa = ca(include_str!("../../tls/testdata/mldsa65.pem"));
        let ecdsa = ca(include_str!("../../tls/testdata/p256.pem"));
        let table = [
            ("http", "cert", &ml_dsa, true),
            ("http", "chain", &ml_dsa, true),
            ("http", "identity", &ml_dsa, false),
            ("http", "none", &ml_dsa, false),
            ("http", "chain", &ecdsa, false),
            ("tcp", "chain", &ml_dsa, false),
        ];
        for (mode, forward, auth, expected) in table {
            let text = format!(
                "[[listener]]\nlisten = ['127.0.0.1:1']\nmode = '{mode}'\n[[site]]\ncertificates = [{{ chain = 'a' }}]\nclient_auth = {{ mode = 'required', ca = 'a', forward = '{forward}' }}\nupstream = 'b'\n[upstream.b]\nservers = ['h:1']\n"
            );
            let plan = load_text(&Source::default(), &text).expect("a good file").plan;
            let told = about_forward(&plan.sites[0], Some(auth));
            assert_eq!(told.is_some(), expected, "{mode} {forward} {told:?}");
        }
    }
}
