//! What an expectation promises to one offer: SPEC 5.3 to 5.5 from the client's side.
use crate::{Expectation, Held, Offer, Question, Schemes, Site};
use portcullis_tls::{
    negotiated::{Authentication, Negotiated, Version},
    policy::Stance,
};
use portcullis_wire::GroupId;
use std::fmt;

/// What an offer is promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Promise {
    /// Nothing that can be known.
    Open,
    /// An alert, and why.
    Refused(&'static str),
    /// A handshake on these terms.
    Taken(Terms),
}

/// What a handshake must come to; None: it may come to anything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Terms {
    version: Option<Version>,
    group: Option<GroupId>,
    is_quantum_safe: Option<bool>,
    retry: Option<bool>,
    authentication: Option<Authentication>,
    signature_is_ml_dsa: Option<bool>,
}

impl Promise {
    /// What this offer, sent with these shares, is promised.
    pub(crate) fn of(offer: &Offer, shares: &[GroupId], expectation: &Expectation) -> Promise {
        let promised = match &expectation.site {
            None => by_policy(offer, shares, expectation),
            Some(site) => by_site(offer, shares, &SiteRule::new(expectation, site)),
        };
        promised.unwrap_or_else(Promise::Refused)
    }
}

impl Terms {
    /// What a handshake came to.
    pub(crate) fn of(facts: &Negotiated) -> Terms {
        Terms {
            version: Some(facts.version),
            group: facts.group,
            is_quantum_safe: Some(facts.key_exchange().is_quantum_safe()),
            retry: Some(facts.retry),
            authentication: Some(facts.authentication),
            signature_is_ml_dsa: facts.signature.map(|scheme| scheme.is_ml_dsa()),
        }
    }

    pub(crate) fn are_kept_by(&self, facts: &Negotiated) -> bool {
        let came = Terms::of(facts);
        holds(self.version, came.version)
            && holds(self.group, came.group)
            && holds(self.is_quantum_safe, came.is_quantum_safe)
            && holds(self.retry, came.retry)
            && holds(self.authentication, came.authentication)
            && holds(self.signature_is_ml_dsa, came.signature_is_ml_dsa)
    }
}

fn holds<T: PartialEq>(promised: Option<T>, came: Option<T>) -> bool {
    promised.is_none() || promised == came
}

/// Why an offer must be refused.
const NO_VERSION: &str = "no version in common";
const NO_GROUP: &str = "none of its groups is taken";
const NO_CERTIFICATE: &str = "no certificate that it can verify";
const KEY_EXCHANGE: &str = "the policy requires a quantum-safe key exchange";
const AUTHENTICATION: &str = "the policy requires quantum-safe authentication";

type Answer<T> = Result<T, &'static str>;

/// What a policy alone promises, of a server whose groups and certificates are not known.
fn by_policy(offer: &Offer, shares: &[GroupId], expectation: &Expectation) -> Answer<Promise> {
    let policy = expectation.policy;
    let safe_group = offer.groups.iter().any(|group| is_quantum_safe(*group));
    let demands = |stance| policy.key_exchange == stance;
    if demands(Stance::Require) && (!safe_group || !offer.versions.contains(&Version::Tls13)) {
        return Err(KEY_EXCHANGE);
    }
    if policy.authentication == Stance::Require && offer.schemes == Schemes::Classical {
        return Err(AUTHENTICATION);
    }
    // which single groups it lists, whether it has an ML-DSA certificate and whether it speaks 1.2 is its own affair
    let is_its_affair =
        matches!(offer.question, Question::Alone(_) | Question::Tls12) || offer.schemes == Schemes::MlDsa;
    if is_its_affair || demands(Stance::Observe) && offer.question == Question::Reluctant {
        return Ok(Promise::Open);
    }
    let must_be_safe = safe_group && !demands(Stance::Observe);
    let retry = must_be_safe && !shares.iter().any(|group| is_quantum_safe(*group));
    Ok(Promise::Taken(Terms {
        is_quantum_safe: must_be_safe.then_some(true),
        retry: retry.then_some(true),
        authentication: (policy.authentication == Stance::Require).then_some(Authentication::Pq),
        ..Terms::default()
    }))
}

/// What a known site promises.
fn by_site(offer: &Offer, shares: &[GroupId], rule: &SiteRule<'_>) -> Answer<Promise> {
    let version = rule.version(offer)?;
    let certificate = rule.certificate(offer, version)?;
    let groups = rule.groups(offer, version)?;
    let terms = match version {
        Version::Tls12 => Some(Terms::default()),
        Version::Tls13 => key_exchange_terms(&groups, shares, rule),
    };
    Ok(terms.map_or(Promise::Open, |terms| {
        Promise::Taken(Terms {
            version: Some(version),
            authentication: Some(certificate.authentication),
            signature_is_ml_dsa: Some(certificate.key_is_ml_dsa),
            ..terms
        })
    }))
}

/// SPEC 5.4 over the groups in common, in the client's order; None where it leaves nothing to take.
fn key_exchange_terms(groups: &[GroupId], shares: &[GroupId], rule: &SiteRule<'_>) -> Option<Terms> {
    let has_share = |group: &&GroupId| shares.contains(group);
    if rule.key_exchange == Stance::Observe {
        // the client's order stands, and a share is not passed over for a retry
        let group = groups.iter().find(has_share).or(groups.first())?;
        return Some(Terms {
            group: Some(*group),
            retry: Some(!has_share(&group)),
            ..Terms::default()
        });
    }
    let of_class = |wanted| groups.iter().filter(move |id| is_quantum_safe(**id) == wanted);
    let may_gain = rule.site.retry && of_class(true).next().is_some();
    let is_safe = may_gain || of_class(true).any(|group| has_share(&group));
    let candidates: Vec<&GroupId> = of_class(is_safe).collect();
    candidates.first()?;
    Some(Terms {
        is_quantum_safe: Some(is_safe),
        retry: Some(!candidates.iter().any(has_share)),
        group: <[&GroupId; 1]>::try_from(candidates).ok().map(|[only]| *only),
        ..Terms::default()
    })
}

/// A site's settings together with its policy.
struct SiteRule<'a> {
    key_exchange: Stance,
    authentication: Stance,
    site: &'a Site,
}

impl<'a> SiteRule<'a> {
    fn new(expectation: &Expectation, site: &'a Site) -> SiteRule<'a> {
        SiteRule {
            key_exchange: expectation.policy.key_exchange,
            authentication: expectation.policy.authentication,
            site,
        }
    }

    /// The best version of both.
    fn version(&self, offer: &Offer) -> Answer<Version> {
        let spoken = |version: &&Version| self.site.versions.contains(version);
        let common = offer.versions.iter().filter(spoken).max();
        common.copied().ok_or(NO_VERSION)
    }

    /// The first certificate that the client can verify and the policy admits.
    fn certificate(&self, offer: &Offer, version: Version) -> Answer<Held> {
        let fits = |held: &&Held| match held.key_is_ml_dsa {
            true => offer.schemes != Schemes::Classical && version == Version::Tls13,
            false => offer.schemes != Schemes::MlDsa,
        };
        let is_pq = |held: &&Held| held.authentication == Authentication::Pq;
        let mut fitting = self.site.certificates.iter().filter(fits);
        let first = fitting.clone().next().ok_or(NO_CERTIFICATE)?;
        let pq = fitting.find(is_pq);
        match self.authentication {
            Stance::Observe => Ok(*first),
            Stance::Prefer => Ok(*pq.unwrap_or(first)),
            Stance::Require => pq.copied().ok_or(AUTHENTICATION),
        }
    }

    /// The groups that could be negotiated, in the client's order.
    fn groups(&self, offer: &Offer, version: Version) -> Answer<Vec<GroupId>> {
        let taken: Vec<GroupId> = offer
            .groups
            .iter()
            .copied()
            .filter(|group| self.site.groups.contains(group))
            .filter(|group| version == Version::Tls13 || !is_quantum_safe(*group))
            .collect();
        if taken.is_empty() {
            return Err(NO_GROUP);
        }
        if self.key_exchange != Stance::Require {
            return Ok(taken);
        }
        let safe: Vec<GroupId> = taken.into_iter().filter(|id| is_quantum_safe(*id)).collect();
        if safe.is_empty() {
            return Err(KEY_EXCHANGE);
        }
        Ok(safe)
    }
}

fn is_quantum_safe(group: GroupId) -> bool {
    group.key_exchange().is_some_and(|class| class.is_quantum_safe())
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Promise::Open => f.write_str("nothing, but a connection"),
            Promise::Refused(why) => write!(f, "to be refused ({why})"),
            Promise::Taken(terms) => terms.fmt(f),
        }
    }
}

impl fmt::Display for Terms {
    /// What is known, in the words of the report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key_exchange = match self.is_quantum_safe {
            Some(true) => "a quantum-safe key exchange",
            Some(false) => "a classical key exchange",
            None => "a handshake",
        };
        match self.group {
            Some(group) => write!(f, "{group}")?,
            None => f.write_str(key_exchange)?,
        }
        match self.retry {
            Some(true) => f.write_str(" after a retry")?,
            Some(false) => f.write_str(" without a retry")?,
            None => {}
        }
        if let Some(authentication) = self.authentication {
            write!(f, ", {} authentication", authentication.as_str())?;
        }
        match self.signature_is_ml_dsa {
            Some(true) => f.write_str(" signed with ML-DSA")?,
            Some(false) => f.write_str(" signed classically")?,
            None => {}
        }
        match self.version {
            Some(version) => write!(f, ", TLS {}", version.as_str()),
            None => Ok(()),
        }
    }
}
