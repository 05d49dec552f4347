//! Why a connection is not quantum-safe: pure functions over its hello, what we offer and what was negotiated.
use crate::negotiated::{Authentication, Version};
use portcullis_wire::{
    GroupId, Hello, KeyExchange, SchemeId,
    registry::{Group, Standing},
};

/// What we offer, as far as reasons go.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// The versions we speak.
    pub versions: &'a [Version],
    /// Our groups.
    pub groups: &'a [GroupId],
    /// A retry may be asked for to gain a quantum-safe group.
    pub retry: bool,
    /// The schemes that our ML-DSA chains sign with.
    pub pq_schemes: &'a [SchemeId],
}

/// Why a key exchange is classical.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The client has nothing newer than TLS 1.2.
    Tls12,
    /// It lists no group that is quantum-safe.
    NoPqGroup,
    /// It lists drafts only, which nobody speaks any more.
    DraftOnly,
    /// We have none of the quantum-safe groups that it lists.
    NoCommonGroup,
    /// It sent no share for the one it lists, and a retry is not asked for.
    RetryOff,
    /// Its own order, which `observe` leaves alone, has a classical group first.
    ClientOrder,
    /// We offer nothing that is quantum-safe.
    SiteClassical,
}

/// Why authentication is classical.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AuthenticationReason {
    /// The client has nothing newer than TLS 1.2.
    Tls12,
    /// It verifies no ML-DSA signature.
    NoMlDsa,
    /// We have no ML-DSA chain.
    SiteClassical,
    /// None of ours is signed as it can verify.
    NoCommonScheme,
    /// A classical certificate stands first.
    SiteOrder,
}

impl Reason {
    /// Why the key exchange that this hello came to is not quantum-safe; None where it is. What the client lacks is told
    /// before what we lack.
    pub fn of(hello: &Hello, key_exchange: KeyExchange, ours: &Ours<'_>) -> Option<Reason> {
        if key_exchange.is_quantum_safe() {
            return None;
        }
        if !hello.offers_tls13() {
            return Some(Reason::Tls12);
        }
        let mut theirs = hello.groups.iter().filter(|group| is_quantum_safe(**group)).peekable();
        if theirs.peek().is_none() {
            return Some(Reason::NoPqGroup);
        }
        if theirs.all(|group| is_draft(*group)) {
            return Some(Reason::DraftOnly);
        }
        if !ours.versions.contains(&Version::Tls13) || !ours.groups.iter().any(|group| is_quantum_safe(*group)) {
            return Some(Reason::SiteClassical);
        }
        let common = || {
            let quantum_safe = ours.groups.iter().filter(|group| is_quantum_safe(**group));
            quantum_safe.filter(|group| hello.lists(**group))
        };
        Some(if common().next().is_none() {
            Reason::NoCommonGroup
        } else if !ours.retry && !common().any(|group| hello.has_share(*group)) {
            Reason::RetryOff
        } else {
            Reason::ClientOrder
        })
    }

    /// `tls12`, `no_pq_group`, `draft_only`, `no_common_group`, `retry_off`, `client_order` or `site_classical`
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Tls12 => "tls12",
            Reason::NoPqGroup => "no_pq_group",
            Reason::DraftOnly => "draft_only",
            Reason::NoCommonGroup => "no_common_group",
            Reason::RetryOff => "retry_off",
            Reason::ClientOrder => "client_order",
            Reason::SiteClassical => "site_classical",
        }
    }
}

impl AuthenticationReason {
    /// Why the authentication that this hello came to is not quantum-safe; None where it is, or cannot be seen.
    pub fn of(hello: &Hello, authentication: Authentication, ours: &Ours<'_>) -> Option<AuthenticationReason> {
        if authentication != Authentication::Classical {
            return None;
        }
        Some(if !hello.offers_tls13() {
            AuthenticationReason::Tls12
        } else if !hello.schemes.iter().any(|scheme| scheme.is_ml_dsa()) {
            AuthenticationReason::NoMlDsa
        } else if ours.pq_schemes.is_empty() || !ours.versions.contains(&Version::Tls13) {
            AuthenticationReason::SiteClassical
        } else if !ours.pq_schemes.iter().any(|scheme| hello.schemes.contains(scheme)) {
            AuthenticationReason::NoCommonScheme
        } else {
            AuthenticationReason::SiteOrder
        })
    }

    /// `tls12`, `no_ml_dsa`, `site_classical`, `no_common_scheme` or `site_order`
    pub fn as_str(self) -> &'static str {
        match self {
            AuthenticationReason::Tls12 => "tls12",
            AuthenticationReason::NoMlDsa => "no_ml_dsa",
            AuthenticationReason::SiteClassical => "site_classical",
            AuthenticationReason::NoCommonScheme => "no_common_scheme",
            AuthenticationReason::SiteOrder => "site_order",
        }
    }
}

fn is_quantum_safe(group: GroupId) -> bool {
    group.key_exchange().is_some_and(KeyExchange::is_quantum_safe)
}

/// Registered once, and replaced by another of the same parts: the names before ML-KEM was finished.
fn is_draft(group: GroupId) -> bool {
    let entry: Option<&'static Group> = group.entry();
    entry.is_some_and(|group| group.standing == Standing::Never && group.name.ends_with("Draft00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: GroupId = GroupId(0x11ec);
    const PURE: GroupId = GroupId(0x0202);
    const KYBER: GroupId = GroupId(0x6399);
    const X25519: GroupId = GroupId(0x001d);
    const ML_DSA_65: SchemeId = SchemeId(0x0905);
    const ML_DSA_87: SchemeId = SchemeId(0x0906);
    const ECDSA: SchemeId = SchemeId(0x0403);
    const BOTH: &[Version] = &[Version::Tls13, Version::Tls12];

    const OURS: Ours<'_> = Ours {
        versions: BOTH,
        groups: &[HYBRID, X25519],
        retry: true,
        pq_schemes: &[ML_DSA_65],
    };

    fn hello(versions: &[u16], groups: &[GroupId], shares: &[GroupId], schemes: &[SchemeId]) -> Hello {
        Hello {
            versions: versions.to_vec(),
            groups: groups.to_vec(),
            key_shares: shares.iter().map(|group| (*group, 32)).collect(),
            schemes: schemes.to_vec(),
            ..Hello::default()
        }
    }

    /// Versions, groups, shares, what we offer, and the reason.
    type Row<'a> = (&'a [u16], &'a [GroupId], &'a [GroupId], &'a Ours<'a>, Reason);

    #[test]
    fn a_classical_key_exchange_has_its_reason() {
        let off = Ours { retry: false, ..OURS };
        let classical = Ours {
            groups: &[X25519],
            ..OURS
        };
        let old = Ours {
            versions: &[Version::Tls12],
            ..OURS
        };
        let (new, both) = (&[0x0304_u16][..], &[0x0304_u16, 0x0303][..]);
        let table: [Row<'_>; 11] = [
            (&[0x0303], &[X25519], &[], &OURS, Reason::Tls12),
            // groups of TLS 1.3 in a hello of 1.2 are no use
            (&[0x0303], &[HYBRID, X25519], &[], &OURS, Reason::Tls12),
            (both, &[X25519], &[X25519], &OURS, Reason::NoPqGroup),
            // an unknown number is no quantum-safe group
            (new, &[GroupId(0xfe00), X25519], &[X25519], &OURS, Reason::NoPqGroup),
            (new, &[KYBER, X25519], &[KYBER, X25519], &OURS, Reason::DraftOnly),
            (new, &[PURE, X25519], &[X25519], &OURS, Reason::NoCommonGroup),
            (new, &[KYBER, PURE, X25519], &[X25519], &OURS, Reason::NoCommonGroup),
            (new, &[X25519, HYBRID], &[X25519], &off, Reason::RetryOff),
            (new, &[X25519, HYBRID], &[X25519], &OURS, Reason::ClientOrder),
            (new, &[X25519, HYBRID], &[HYBRID], &classical, Reason::SiteClassical),
            (both, &[HYBRID, X25519], &[HYBRID], &old, Reason::SiteClassical),
        ];
        for (versions, groups, shares, ours, reason) in table {
            let hello = hello(versions, groups, shares, &[]);
            assert_eq!(
                Reason::of(&hello, KeyExchange::Classical, ours),
                Some(reason),
                "{groups:?}"
            );
            assert_eq!(Reason::of(&hello, KeyExchange::Hybrid, ours), None);
        }
    }

    #[test]
    fn classical_authentication_has_its_reason() {
        use AuthenticationReason::{NoCommonScheme, NoMlDsa, SiteClassical, SiteOrder, Tls12};
        let none = Ours {
            pq_schemes: &[],
            ..OURS
        };
        let table: [(&[u16], &[SchemeId], &Ours<'_>, AuthenticationReason); 5] = [
            (&[0x0303], &[ECDSA, ML_DSA_65], &OURS, Tls12),
            (&[0x0304], &[ECDSA], &OURS, NoMlDsa),
            (&[0x0304], &[ECDSA, ML_DSA_65], &none, SiteClassical),
            (&[0x0304], &[ECDSA, ML_DSA_87], &OURS, NoCommonScheme),
            (&[0x0304], &[ECDSA, ML_DSA_65], &OURS, SiteOrder),
        ];
        for (versions, schemes, ours, reason) in table {
            let hello = hello(versions, &[], &[], schemes);
            let of = |authentication| AuthenticationReason::of(&hello, authentication, ours);
            assert_eq!(of(Authentication::Classical), Some(reason), "{schemes:?}");
            assert_eq!((of(Authentication::Pq), of(Authentication::Unknown)), (None, None));
        }
    }
}
