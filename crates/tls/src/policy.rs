//! What is admitted: pure functions over a hello and what was negotiated.
use crate::negotiated::Negotiated;
use portcullis_wire::{GroupId, Hello};

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

/// The policy words of a listener or site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Policy {
    /// For the key exchange.
    pub key_exchange: Stance,
    /// For the server's authentication.
    pub authentication: Stance,
}

impl Policy {
    /// The stricter of both, rule by rule.
    pub fn tightened_by(self, _other: Policy) -> Policy {
        todo!()
    }
}

/// A policy together with what we can offer under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What is demanded.
    pub policy: Policy,
    /// Our groups, in our order.
    pub groups: Vec<GroupId>,
    /// A retry may be asked for to gain a quantum-safe group.
    pub retry: bool,
}

/// The group a hello gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupChoice {
    /// The group.
    pub group: GroupId,
    /// It takes a HelloRetryRequest (TLS 1.3 only).
    pub retry: bool,
}

/// One of the rules of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleName {
    /// `key_exchange`
    KeyExchange,
    /// `authentication`
    Authentication,
}

/// What one rule says of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It may go on.
    Admitted,
    /// It ends here.
    Refused,
}

/// What a policy says of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Of its key exchange.
    pub key_exchange: Verdict,
    /// Of its authentication.
    pub authentication: Verdict,
}

impl Decision {
    /// The first rule that refused.
    pub fn refused_by(self) -> Option<RuleName> {
        todo!()
    }
}

/// SPEC 5.4: the group this hello gets under a rule; None when there is none in common.
pub fn choose_group(_hello: &Hello, _rule: &Rule) -> Option<GroupChoice> {
    todo!()
}

/// The one judge: before the handshake on what the hello can come to, afterwards on what was negotiated.
pub fn decide(_hello: &Hello, _negotiated: Option<&Negotiated>, _rule: &Rule) -> Decision {
    todo!()
}

impl Stance {
    /// `observe`, `prefer` or `require`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl RuleName {
    /// `key_exchange` or `authentication`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
impl Verdict {
    /// `admitted` or `refused`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
