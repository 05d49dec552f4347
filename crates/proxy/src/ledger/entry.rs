//! What the ledger notes of connections that are alike: of whom, on what terms, and how many.
use super::extract::{Offer, Sums, Terms};
use crate::{metrics::Label, plan::LedgerAddresses};
use portcullis_tls::{
    fingerprint::Ja4,
    negotiated::{Authentication, ClientAuthentication, Negotiated, Safety, Version},
    policy::RuleName,
    reason::{AuthenticationReason, Reason},
};
use portcullis_wire::{CipherId, GroupId, Hello, SchemeId, registry::is_grease};
use std::{net::IpAddr, sync::Arc};

/// Names of a list that are kept. Real clients offer fewer; a hello of 16 KiB could hold thousands.
const LISTED: usize = 64;
/// User agents of one client that are kept.
pub(super) const AGENTS: usize = 8;

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Admission {
    Admitted,
    /// By policy, before the handshake ended or after.
    Refused,
    /// The handshake did not end well.
    Failed,
}

/// What a connection came to, in words that a registry or this program knows: few combinations occur.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Facts {
    pub(crate) admission: Admission,
    pub(crate) transport: &'static str,
    pub(crate) version: Option<Version>,
    pub(crate) group: Option<GroupId>,
    pub(crate) key_exchange: &'static str,
    pub(crate) cipher: Option<CipherId>,
    pub(crate) signature: Option<SchemeId>,
    pub(crate) authentication: Option<Authentication>,
    pub(crate) client_authentication: Option<ClientAuthentication>,
    pub(crate) safety: Option<Safety>,
    pub(crate) resumed: bool,
    pub(crate) retry: bool,
    pub(crate) judgement: Judgement,
}

/// What is said of a connection besides what it negotiated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Judgement {
    /// Why its key exchange is not quantum-safe.
    pub(crate) reason: Option<Reason>,
    /// Why its authentication is not.
    pub(crate) authentication_reason: Option<AuthenticationReason>,
    /// Requiring a quantum-safe key exchange would refuse it.
    pub(crate) whatif_key_exchange: bool,
    /// Requiring quantum-safe authentication would.
    pub(crate) whatif_authentication: bool,
    pub(crate) refused_by: Option<RuleName>,
    /// What `report_only` counted: key exchange, authentication, client authentication.
    pub(crate) would_refuse: [bool; 3],
    pub(crate) exempt: bool,
    /// It answered an ML-DSA chain with an alert about certificates.
    pub(crate) ml_dsa_refused: bool,
}

/// What clients offer, kept once for all that offer the same.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Offered {
    /// Of all it says, under the key of its ledger.
    pub(super) digest: u64,
    pub(crate) ja4: Ja4,
    pub(crate) offer: Offer,
}

/// Whom connections are entered under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Nobody,
    /// A certificate's subject.
    Identity(Arc<str>),
    /// A fingerprint and an address.
    Print,
}

/// Connections that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) hour: i64,
    pub(crate) site: Label,
    pub(crate) who: Who,
    /// As exact as the rule below lets it be told.
    pub(crate) from: Option<IpAddr>,
    pub(crate) rule: LedgerAddresses,
    pub(crate) offered: Option<Arc<Offered>>,
    pub(crate) facts: Facts,
    pub(crate) sums: Sums,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) agents: Vec<Agent>,
}

/// What requests said of their program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Agent {
    pub(crate) name: Box<[u8]>,
    pub(crate) requests: u64,
}

/// Connections to a server that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) hour: i64,
    pub(crate) upstream: Label,
    pub(crate) server: Arc<str>,
    pub(crate) facts: Facts,
    pub(crate) connections: u64,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

impl Facts {
    /// Of a finished handshake.
    pub(crate) fn of(facts: &Negotiated, transport: &'static str) -> Facts {
        Facts {
            admission: Admission::Admitted,
            transport,
            version: Some(facts.version),
            group: facts.group,
            key_exchange: facts.key_exchange().as_str(),
            cipher: Some(facts.cipher),
            signature: facts.signature,
            authentication: Some(facts.authentication),
            client_authentication: Some(facts.client_authentication),
            safety: Some(facts.safety()),
            resumed: facts.resumed,
            retry: facts.retry,
            judgement: Judgement::default(),
        }
    }

    /// Where nothing was negotiated.
    pub(crate) fn without(admission: Admission, safety: Option<Safety>, transport: &'static str) -> Facts {
        Facts {
            admission,
            transport,
            version: None,
            group: None,
            key_exchange: "",
            cipher: None,
            signature: None,
            authentication: None,
            client_authentication: None,
            safety,
            resumed: false,
            retry: false,
            judgement: Judgement::default(),
        }
    }

    /// A name is kept only of those who completed a handshake: anyone can send a hello.
    pub(super) fn makes_a_name(&self) -> bool {
        self.version.is_some()
    }

    /// The client verified an ML-DSA chain.
    pub(super) fn proves_ml_dsa(&self) -> bool {
        self.version.is_some() && self.authentication == Some(Authentication::Pq)
    }
}

impl Offered {
    pub(super) fn of(hello: &Hello, ja4: Ja4, digest: u64) -> Offered {
        let (versions, groups, shares) = lists(hello);
        let schemes = hello.schemes.iter().filter(|scheme| !scheme.is_grease());
        Offered {
            digest,
            ja4,
            offer: Offer {
                versions: versions.map(version_name).collect(),
                groups: groups.map(|group| group.to_string()).collect(),
                shares: shares.map(|group| group.to_string()).collect(),
                schemes: schemes.take(LISTED).map(ToString::to_string).collect(),
            },
        }
    }
}

/// Versions, groups, and groups of shares, as far as they are kept. GREASE is another each time.
pub(super) fn lists(
    hello: &Hello,
) -> (
    impl Iterator<Item = u16>,
    impl Iterator<Item = GroupId>,
    impl Iterator<Item = GroupId>,
) {
    let versions = hello.versions.iter().copied().filter(|version| !is_grease(*version));
    let groups = hello.groups.iter().copied().filter(|group| !group.is_grease());
    let shares = hello.key_shares.iter().map(|(group, _)| *group);
    let shares = shares.filter(|group| !group.is_grease());
    (versions.take(LISTED), groups.take(LISTED), shares.take(LISTED))
}

fn version_name(version: u16) -> String {
    match version {
        0x0304 => "1.3".into(),
        0x0303 => "1.2".into(),
        0x0302 => "1.1".into(),
        0x0301 => "1.0".into(),
        0x0300 => "ssl3".into(),
        other => format!("{other:#06x}"),
    }
}

impl Entry {
    /// Takes in another that is alike.
    pub(super) fn add(&mut self, other: Entry) {
        self.sums += other.sums;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        for agent in other.agents {
            note(&mut self.agents, &agent.name, agent.requests);
        }
    }

    /// The same without a name and without what its client offered.
    pub(super) fn unnamed(self) -> Entry {
        Entry {
            who: Who::Nobody,
            from: None,
            offered: None,
            agents: Vec::new(),
            ..self
        }
    }
}

/// Counts what a request says of its program, as long as there is room for it.
pub(crate) fn note(agents: &mut Vec<Agent>, name: &[u8], requests: u64) {
    if let Some(known) = agents.iter_mut().find(|known| *known.name == *name) {
        known.requests += requests;
    } else if agents.len() < AGENTS {
        let name = name.into();
        agents.push(Agent { name, requests });
    }
}

impl From<&Facts> for Terms {
    fn from(facts: &Facts) -> Terms {
        let said = &facts.judgement;
        let rules = [
            RuleName::KeyExchange,
            RuleName::Authentication,
            RuleName::ClientAuthentication,
        ];
        let would_refuse = rules.into_iter().zip(said.would_refuse).filter(|(_, would)| *would);
        let would_refuse: Vec<&str> = would_refuse.map(|(rule, _)| rule.as_str()).collect();
        Terms {
            admission: facts.admission.as_str().into(),
            transport: facts.transport.into(),
            version: facts.version.map_or("", Version::as_str).into(),
            group: text(facts.group),
            key_exchange: facts.key_exchange.into(),
            cipher: text(facts.cipher),
            signature: text(facts.signature),
            authentication: facts.authentication.map_or("", Authentication::as_str).into(),
            client_authentication: facts
                .client_authentication
                .map_or("", ClientAuthentication::as_str)
                .into(),
            safety: facts.safety.map_or("", Safety::as_str).into(),
            resumed: facts.resumed,
            retry: facts.retry,
            reason: said.reason.map_or("", Reason::as_str).into(),
            authentication_reason: said
                .authentication_reason
                .map_or("", AuthenticationReason::as_str)
                .into(),
            whatif_key_exchange: said.whatif_key_exchange,
            whatif_authentication: said.whatif_authentication,
            refused_by: said.refused_by.map_or("", RuleName::as_str).into(),
            would_refuse: would_refuse.join(","),
            exempt: said.exempt,
            ml_dsa_refused: said.ml_dsa_refused,
        }
    }
}

fn text(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

impl Admission {
    /// `admitted`, `refused` or `failed`
    fn as_str(self) -> &'static str {
        match self {
            Admission::Admitted => "admitted",
            Admission::Refused => "refused",
            Admission::Failed => "failed",
        }
    }
}
