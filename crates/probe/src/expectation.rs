//! What a server promises.
use portcullis_tls::{
    identity::Identity,
    negotiated::{Authentication, Version},
    policy::{Policy, Stance},
};
use portcullis_wire::GroupId;

/// What a server promises: its policy, and what else is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// Its effective policy.
    pub policy: Policy,
    /// Its settings; None for a server of which only the policy is known.
    pub site: Option<Site>,
}

/// The settings of a site that decide what a client gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Versions it speaks.
    pub versions: Vec<Version>,
    /// Groups it takes, in its order.
    pub groups: Vec<GroupId>,
    /// It asks again to gain a quantum-safe group.
    pub retry: bool,
    /// Certificates it may send, in its order.
    pub certificates: Vec<Held>,
}

/// A certificate that a site holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Its key is ML-DSA, so that only clients who offer that can be served with it.
    pub key_is_ml_dsa: bool,
    /// What its chain is worth.
    pub authentication: Authentication,
}

impl Expectation {
    /// Only a stance on the key exchange is known, as the word of a policy means it.
    pub fn of_key_exchange(stance: Stance) -> Expectation {
        Expectation {
            policy: Policy {
                key_exchange: stance,
                authentication: Stance::Observe,
                client_authentication: Stance::Observe,
            },
            site: None,
        }
    }
}

impl Held {
    /// What there is to know of an identity.
    pub fn of(identity: &Identity) -> Held {
        Held {
            key_is_ml_dsa: identity.schemes().iter().any(|scheme| scheme.is_ml_dsa()),
            authentication: identity.authentication(),
        }
    }
}
