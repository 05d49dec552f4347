//! Amounts, and how they are split by safety.
use crate::ledger::Sums;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// What a connection with TLS was worth, of those that can be told: SPEC's safety without `unknown` and `plain`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Neither key exchange nor authentication is quantum-safe.
    None,
    /// The key exchange is.
    Confidential,
    /// Both are.
    Full,
}

/// A count in each class.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Shares {
    /// Key exchange and authentication are quantum-safe.
    pub full: u64,
    /// The key exchange is.
    pub confidential: u64,
    /// Neither is.
    pub none: u64,
}

/// Connections, requests and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Amounts {
    /// Connections that ended.
    pub connections: u64,
    /// Requests on them.
    pub requests: u64,
    /// Application bytes, both ways.
    pub bytes: u64,
}

/// The same, each by class.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Split {
    /// Connections that ended.
    pub connections: Shares,
    /// Requests on them.
    pub requests: Shares,
    /// Application bytes, both ways.
    pub bytes: Shares,
}

/// What would break.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Breaking {
    /// Clients with a name.
    pub clients: u64,
    /// Their connections, and those of clients without one.
    pub connections: u64,
    /// Bytes on these.
    pub bytes: u64,
}

/// What would break, and what might.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct BreakingAuthentication {
    /// Who offers no ML-DSA, and would be refused.
    #[serde(flatten)]
    pub refused: Breaking,
    /// Who offers ML-DSA and has never completed a handshake with it: whether it trusts the root is not known.
    pub unproven: Breaking,
}

/// What requiring it would refuse of what was admitted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct WouldRefuse {
    /// Requiring a quantum-safe key exchange.
    pub key_exchange: Breaking,
    /// Requiring quantum-safe authentication.
    pub authentication: BreakingAuthentication,
}

impl Class {
    /// The class of a safety word; None for what stands outside the shares.
    pub fn of(safety: &str) -> Option<Class> {
        match safety {
            "full" => Some(Class::Full),
            "confidential" => Some(Class::Confidential),
            "none" => Some(Class::None),
            _ => None,
        }
    }

    /// `full`, `confidential` or `none`
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Full => "full",
            Class::Confidential => "confidential",
            Class::None => "none",
        }
    }
}

impl Shares {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.confidential + self.none
    }

    /// Those whose key exchange is quantum-safe.
    pub fn safe(&self) -> u64 {
        self.full + self.confidential
    }

    fn add(&mut self, class: Class, n: u64) {
        match class {
            Class::Full => self.full += n,
            Class::Confidential => self.confidential += n,
            Class::None => self.none += n,
        }
    }
}

impl Split {
    pub(super) fn add(&mut self, class: Class, amounts: Amounts) {
        self.connections.add(class, amounts.connections);
        self.requests.add(class, amounts.requests);
        self.bytes.add(class, amounts.bytes);
    }
}

impl From<Sums> for Amounts {
    fn from(sums: Sums) -> Amounts {
        Amounts {
            connections: sums.connections,
            requests: sums.requests,
            bytes: sums.bytes_in.saturating_add(sums.bytes_out),
        }
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Amounts) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Breaking {
    pub(super) fn add(&mut self, amounts: Amounts) {
        self.connections += amounts.connections;
        self.bytes = self.bytes.saturating_add(amounts.bytes);
    }
}
