//! What is admitted: words, what a hello can come to under them, and the one judge.
use std::fmt;

mod choice;
mod demand;
mod verdict;

pub use choice::{GroupChoice, Offering, choose_group, choose_version};
pub use demand::{Client, Demand, Demands, Exemption, Force, Refuse};
pub use verdict::{Able, Case, Decision, Outlook, Prospect, Scope, Verdict, decide};

#[cfg(test)]
pub(crate) use verdict::tests::facts;

/// How much a rule demands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stance {
    /// Look only.
    Observe,
    /// Take quantum-safe where the client can.
    Prefer,
    /// Admit nothing else.
    Require,
}

/// The policy words of a listener, site, route or upstream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Policy {
    /// For the key exchange.
    pub key_exchange: Stance,
    /// For the server's authentication.
    pub authentication: Stance,
    /// For the client's, where it shows a certificate.
    pub client_authentication: Stance,
}

/// One of the rules of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleName {
    /// `key_exchange`
    KeyExchange,
    /// `authentication`
    Authentication,
    /// `client_authentication`
    ClientAuthentication,
}

impl Policy {
    /// One that demands nothing.
    pub const OBSERVE: Policy = Policy {
        key_exchange: Stance::Observe,
        authentication: Stance::Observe,
        client_authentication: Stance::Observe,
    };

    /// The stricter of both, rule by rule.
    pub fn tightened_by(self, other: Policy) -> Policy {
        Policy {
            key_exchange: self.key_exchange.max(other.key_exchange),
            authentication: self.authentication.max(other.authentication),
            client_authentication: self.client_authentication.max(other.client_authentication),
        }
    }

    /// What it says of a rule.
    pub fn stance(self, rule: RuleName) -> Stance {
        match rule {
            RuleName::KeyExchange => self.key_exchange,
            RuleName::Authentication => self.authentication,
            RuleName::ClientAuthentication => self.client_authentication,
        }
    }

    /// It refuses somebody.
    pub fn requires_anything(self) -> bool {
        RuleName::ALL
            .into_iter()
            .any(|rule| self.stance(rule) == Stance::Require)
    }
}

impl Stance {
    /// `observe`, `prefer` or `require`
    pub fn as_str(self) -> &'static str {
        match self {
            Stance::Observe => "observe",
            Stance::Prefer => "prefer",
            Stance::Require => "require",
        }
    }
}

impl RuleName {
    /// Every rule, in the order in which they are named.
    pub const ALL: [RuleName; 3] = [
        RuleName::KeyExchange,
        RuleName::Authentication,
        RuleName::ClientAuthentication,
    ];

    /// `key_exchange`, `authentication` or `client_authentication`
    pub fn as_str(self) -> &'static str {
        match self {
            RuleName::KeyExchange => "key_exchange",
            RuleName::Authentication => "authentication",
            RuleName::ClientAuthentication => "client_authentication",
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
