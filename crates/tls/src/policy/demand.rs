//! What one place of a configuration demands of clients, and whom it lets off.
use super::{Policy, RuleName, Stance};
use crate::{client_identity::Pattern, negotiated::ClientCertificate};
use ipnet::IpNet;
use std::{fmt, net::IpAddr};

/// What a listener, a site or a route demands of its clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Its words.
    pub policy: Policy,
    /// Whether they are enforced.
    pub force: Force,
    /// Who is let off.
    pub exempt: Vec<Exemption>,
    /// How the others are told.
    pub refuse: Refuse,
}

/// Whether a demand is enforced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Force {
    /// Who does not meet it is refused.
    Enforced,
    /// It is counted who would be.
    ReportOnly,
}

/// How a client is told that it is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refuse {
    /// By a TLS alert.
    Alert,
    /// By a page, once the handshake is over.
    Page,
}

/// Who need not meet a demand for a while. All that it names must match; of several values of a kind, one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exemption {
    /// Where the client comes from; none: from anywhere.
    pub networks: Vec<IpNet>,
    /// What its certificate says; none: anything, or no certificate.
    pub identities: Vec<Pattern>,
    /// The name it asks for, in lower case, `*.` for any first label; none: any.
    pub names: Vec<String>,
    /// The first second at which it holds no longer, since 1970.
    pub until: i64,
    /// The day of that, as it is written.
    pub last_day: String,
    /// Why, in the operator's words.
    pub reason: String,
}

/// All that is demanded of the connections of a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demands {
    /// Its listener's, and its own.
    pub each: Vec<Demand>,
    /// A route of it requires a quantum-safe key exchange. It is known only when keys are exchanged, so that the
    /// choice goes as under `prefer`, whatever the site's own word is.
    pub routes_require: bool,
}

/// Who a client is, as far as the first packet tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Client<'a> {
    /// Its address; None: a Unix socket.
    pub address: Option<IpAddr>,
    /// The name it asks for.
    pub sni: Option<&'a str>,
}

/// Whether a client is let off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Reach {
    No,
    /// Its certificate will tell.
    Perhaps,
    Yes,
}

/// What is known of a client's certificate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown<'a> {
    NotYet,
    Nothing,
    Certificate(&'a ClientCertificate),
}

impl From<Policy> for Demand {
    /// Enforced, without exception.
    fn from(policy: Policy) -> Demand {
        Demand {
            policy,
            force: Force::Enforced,
            exempt: Vec::new(),
            refuse: Refuse::Alert,
        }
    }
}

impl From<Policy> for Demands {
    fn from(policy: Policy) -> Demands {
        Demands {
            each: vec![policy.into()],
            routes_require: false,
        }
    }
}

impl Demand {
    /// Whether it can refuse a client for what a rule says.
    pub fn refuses_by(&self, rule: RuleName) -> bool {
        self.force == Force::Enforced && self.policy.stance(rule) == Stance::Require
    }

    /// Whom it refuses nobody can let off, nor is he told on a page: what it requires is all that need be offered.
    pub fn is_absolute(&self) -> bool {
        self.force == Force::Enforced && self.refuse == Refuse::Alert && self.exempt.is_empty()
    }

    /// Whether this client is let off at this moment.
    pub(super) fn lets_off(&self, client: &Client<'_>, shown: Shown<'_>, now: i64) -> Reach {
        let reaches = self
            .exempt
            .iter()
            .map(|exemption| exemption.reaches(client, shown, now));
        reaches.max().unwrap_or(Reach::No)
    }

    /// Nothing but what it requires is offered to this client.
    fn narrows(&self, client: &Client<'_>, now: i64) -> bool {
        let is_strict = self.force == Force::Enforced && self.refuse == Refuse::Alert;
        is_strict && self.lets_off(client, Shown::NotYet, now) == Reach::No
    }
}

impl Demands {
    /// The words of all of them, rule by rule the strictest, enforced or not.
    pub fn words(&self) -> Policy {
        let each = self.each.iter().map(|demand| demand.policy);
        each.fold(Policy::OBSERVE, Policy::tightened_by)
    }

    /// Whether one of them can refuse for what a rule says.
    pub fn refuse_by(&self, rule: RuleName) -> bool {
        self.each.iter().any(|demand| demand.refuses_by(rule))
    }

    /// Whether one of them refuses everyone for what a rule says.
    pub fn are_absolute(&self, rule: RuleName) -> bool {
        let mut each = self.each.iter();
        each.any(|demand| demand.refuses_by(rule) && demand.is_absolute())
    }

    /// What a client is offered: as under these words. `require` stands where it would get in by nothing else.
    pub fn posture(&self, client: &Client<'_>, now: i64) -> Policy {
        let least = match self.routes_require {
            true => Stance::Prefer,
            false => Stance::Observe,
        };
        let start = Policy {
            key_exchange: least,
            ..Policy::OBSERVE
        };
        let each = self.each.iter().map(|demand| demand.posture(client, now));
        each.fold(start, Policy::tightened_by)
    }
}

impl Demand {
    fn posture(&self, client: &Client<'_>, now: i64) -> Policy {
        let is_narrow = self.narrows(client, now);
        let key_exchange = match self.policy.key_exchange {
            Stance::Require if !is_narrow => Stance::Prefer,
            stance => stance,
        };
        // who is let off gets the operator's order: a client may offer ML-DSA and yet not trust the root of our chain
        let is_let_off = || self.lets_off(client, Shown::NotYet, now) == Reach::Yes;
        let authentication = match self.policy.authentication {
            Stance::Require if is_narrow => Stance::Require,
            Stance::Require if self.force == Force::ReportOnly || is_let_off() => Stance::Observe,
            Stance::Require => Stance::Prefer,
            stance => stance,
        };
        Policy {
            key_exchange,
            authentication,
            client_authentication: self.policy.client_authentication,
        }
    }
}

impl Exemption {
    /// Its last day has passed.
    pub fn is_over(&self, now: i64) -> bool {
        now >= self.until
    }

    fn reaches(&self, client: &Client<'_>, shown: Shown<'_>, now: i64) -> Reach {
        let from = |address: IpAddr| self.networks.iter().any(|network| network.contains(&address));
        let is_from = self.networks.is_empty() || client.address.is_some_and(|address| from(address.to_canonical()));
        let asks = |sni: &str| self.names.iter().any(|name| is_named(name, sni));
        let is_asked = self.names.is_empty() || client.sni.is_some_and(asks);
        if self.is_over(now) || !is_from || !is_asked {
            return Reach::No;
        }
        match shown {
            _ if self.identities.is_empty() => Reach::Yes,
            Shown::NotYet => Reach::Perhaps,
            Shown::Certificate(certificate) if self.identities.iter().any(|one| one.names(certificate)) => Reach::Yes,
            Shown::Certificate(_) | Shown::Nothing => Reach::No,
        }
    }
}

/// A wildcard stands for one label, as in the names of sites.
fn is_named(name: &str, sni: &str) -> bool {
    let sni = sni.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(rest) => sni
            .split_once('.')
            .is_some_and(|(_, found)| found.eq_ignore_ascii_case(rest)),
        None => sni.eq_ignore_ascii_case(name),
    }
}

impl Force {
    /// `enforced` or `report_only`
    pub fn as_str(self) -> &'static str {
        match self {
            Force::Enforced => "enforced",
            Force::ReportOnly => "report_only",
        }
    }
}

impl Refuse {
    /// `alert` or `page`
    pub fn as_str(self) -> &'static str {
        match self {
            Refuse::Alert => "alert",
            Refuse::Page => "page",
        }
    }
}

impl fmt::Display for Exemption {
    /// `192.0.2.0/24, DNS:meter-* until 2027-03-31`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(ToString::to_string);
        let identities = self.identities.iter().map(ToString::to_string);
        let whom: Vec<String> = networks.chain(identities).chain(self.names.iter().cloned()).collect();
        write!(f, "{} until {}", whom.join(", "), self.last_day)
    }
}

impl fmt::Display for Demand {
    /// Every word of it, for digests and people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in RuleName::ALL {
            write!(f, "{rule} {}, ", self.policy.stance(rule).as_str())?;
        }
        write!(f, "{}, refuse {}", self.force.as_str(), self.refuse.as_str())?;
        self.exempt
            .iter()
            .try_for_each(|exemption| write!(f, ", exempt {exemption}"))
    }
}
