//! A client for carrying data: what an upstream connection offers, and what it must come to.
use super::{Client, Trust, compress, template, verifier};
use crate::{
    compression::{CertificateCompression, decompressors},
    identity::{Certificate, Identity},
    negotiated::{Authentication, Negotiated, Version},
    policy::{Policy, RuleName, Stance},
    profile::{ChainRule, Settings, group_fits},
    provider,
};
use portcullis_wire::{GroupId, SchemeId};
use rustls::{Error, KeyLog, SignatureScheme};
use std::sync::Arc;

/// What an upstream's connections are made of.
pub struct OriginSpec {
    /// Versions, groups, suites and signatures.
    pub settings: Settings,
    /// What a server must come to.
    pub policy: Policy,
    /// Whom to trust.
    pub trust: Trust,
    /// What to show a server that asks, the first that it can verify.
    pub identities: Vec<Arc<Identity>>,
    /// Application protocols, most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// Sessions to remember of each server; 0 for none.
    pub resumption: usize,
    /// Who is told the secrets of connections.
    pub key_log: Option<Arc<dyn KeyLog>>,
}

/// Why there can be no such client.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Nothing that is offered would be good enough.
    #[error("policy requires a quantum-safe key exchange, but tls offers none")]
    NoGroup,
    /// Likewise.
    #[error("policy requires quantum-safe authentication, but tls has no ML-DSA signature")]
    NoSignature,
    /// A root that cannot be one.
    #[error("{0}")]
    Trust(Error),
    /// Settings that contradict each other.
    #[error("{0}")]
    Settings(Error),
}

/// What is asked of a server beyond what its offer could narrow.
#[derive(Clone, Copy)]
pub(super) struct Demand {
    policy: Policy,
    chains: ChainRule,
}

impl Demand {
    pub(super) const NONE: Demand = Demand {
        policy: Policy {
            key_exchange: Stance::Observe,
            authentication: Stance::Observe,
            client_authentication: Stance::Observe,
        },
        chains: ChainRule::Any,
    };
}

impl Client {
    /// Prepares a client for an upstream. `require` narrows what is offered, `prefer` orders it.
    pub fn for_origin(spec: OriginSpec) -> Result<Client, OriginError> {
        let (groups, versions) = offered(&spec.settings, spec.policy)?;
        let schemes = schemes(&spec.settings, spec.policy)?;
        let provider = provider::provider(&groups, &spec.settings.ciphers);
        let verifier = verifier(&spec.trust, &provider).map_err(OriginError::Trust)?;
        let versions: Vec<_> = versions.iter().map(|version| version.to_rustls()).collect();
        let mut template = template(provider, &versions, &verifier).map_err(OriginError::Settings)?;
        template.alpn_protocols = spec.alpn;
        if spec.settings.certificate_compression {
            template.cert_decompressors = decompressors(CertificateCompression::all());
            // the forms are of one chain, and which of several is shown only the server decides
            if let [identity] = spec.identities.as_slice() {
                compress(&mut template, identity);
            }
        }
        if let Some(key_log) = spec.key_log {
            template.key_log = key_log;
        }
        let verified = verifier.supported_verify_schemes();
        let in_order = schemes.iter().map(|scheme| SignatureScheme::from(scheme.0));
        Ok(Client {
            schemes: in_order.filter(|scheme| verified.contains(scheme)).collect(),
            template,
            verifier,
            identities: spec.identities,
            resumption: spec.resumption,
            demand: Demand {
                policy: spec.policy,
                chains: spec.settings.chains,
            },
            idle: Arc::default(),
        })
    }

    /// The rule that a server's connection does not meet. Whatever was offered, what was negotiated counts.
    pub fn unmet(&self, facts: &Negotiated, chain: &[Certificate]) -> Option<RuleName> {
        let Demand { policy, chains } = self.demand;
        if policy.key_exchange == Stance::Require && !facts.key_exchange().is_quantum_safe() {
            return Some(RuleName::KeyExchange);
        }
        let strong = match chains {
            ChainRule::MlDsa87 => chain.iter().all(|certificate| certificate.signature_level == 5),
            ChainRule::Any | ChainRule::MlDsa => true,
        };
        let safe = facts.authentication == Authentication::Pq && strong;
        (policy.authentication == Stance::Require && !safe).then_some(RuleName::Authentication)
    }
}

/// Groups and versions that may be offered under a policy.
fn offered(settings: &Settings, policy: Policy) -> Result<(Vec<GroupId>, Vec<Version>), OriginError> {
    let is_safe = |group: &GroupId| group.key_exchange().is_some_and(|class| class.is_quantum_safe());
    let (safe, classical): (Vec<GroupId>, Vec<GroupId>) = settings.groups.iter().partition(|group| is_safe(group));
    let groups = match policy.key_exchange {
        Stance::Observe => settings.groups.clone(),
        Stance::Prefer => [safe, classical].concat(),
        Stance::Require => safe,
    };
    let mut versions = settings.versions.clone();
    versions.retain(|version| groups.iter().any(|group| group_fits(*group, *version)));
    if policy.authentication == Stance::Require {
        // no ML-DSA certificate can be shown in TLS 1.2
        versions.retain(|version| *version == Version::Tls13);
    }
    match versions.is_empty() {
        true => Err(OriginError::NoGroup),
        false => Ok((groups, versions)),
    }
}

fn schemes(settings: &Settings, policy: Policy) -> Result<Vec<SchemeId>, OriginError> {
    let mut schemes = settings.signatures.clone();
    if policy.authentication == Stance::Require {
        schemes.retain(|scheme| scheme.is_ml_dsa());
    }
    match schemes.is_empty() {
        true => Err(OriginError::NoSignature),
        false => Ok(schemes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Overrides, Profile};

    const ECDHE_ONLY: GroupId = GroupId(0x001d);
    const HYBRID: GroupId = GroupId(0x11ec);

    fn settings(groups: &[GroupId]) -> Settings {
        let overrides = Overrides {
            groups: Some(groups.to_vec()),
            ..Overrides::default()
        };
        Profile::Default.settings(&overrides).unwrap()
    }

    fn policy(key_exchange: Stance) -> Policy {
        Policy {
            key_exchange,
            ..Demand::NONE.policy
        }
    }

    #[test]
    fn a_policy_orders_or_narrows_what_is_offered() {
        let mixed = settings(&[ECDHE_ONLY, HYBRID]);
        let both = [Version::Tls13, Version::Tls12];
        let table = [
            (Stance::Observe, vec![ECDHE_ONLY, HYBRID], &both[..]),
            (Stance::Prefer, vec![HYBRID, ECDHE_ONLY], &both[..]),
            (Stance::Require, vec![HYBRID], &both[..1]),
        ];
        for (stance, groups, versions) in table {
            let offered = offered(&mixed, policy(stance)).unwrap();
            assert_eq!(offered, (groups, versions.to_vec()), "{stance:?}");
        }
    }

    #[test]
    fn what_cannot_meet_its_policy_is_refused() {
        let classical = settings(&[ECDHE_ONLY]);
        let refused = offered(&classical, policy(Stance::Require));
        assert!(matches!(refused, Err(OriginError::NoGroup)));
        let require = Policy {
            authentication: Stance::Require,
            ..Demand::NONE.policy
        };
        let mut without = settings(&[HYBRID]);
        without.signatures.retain(|scheme| !scheme.is_ml_dsa());
        assert!(matches!(schemes(&without, require), Err(OriginError::NoSignature)));
    }
}
