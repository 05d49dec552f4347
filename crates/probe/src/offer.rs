//! What a handshake offers, and what is asked by it.
use portcullis_tls::negotiated::Version;
use portcullis_wire::{
    GroupId, KeyExchange, SchemeId,
    registry::{Group, Scheme, Standing, default_offer},
};
use std::fmt;

/// Which certificates a client says it can verify.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Schemes {
    /// Everything we verify.
    All,
    /// ML-DSA alone.
    MlDsa,
    /// Anything but ML-DSA.
    Classical,
}

/// What a handshake asks of the server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// Is this group taken?
    Alone(GroupId),
    /// What does a modern client get?
    Modern,
    /// Is a client that sends only a classical share, but lists a hybrid group, asked again?
    Reluctant,
    /// What does a client of the classical world get?
    Classical,
    /// What does a TLS 1.2 client get?
    Tls12,
}

/// What one handshake offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// What is asked by it.
    pub question: Question,
    /// Versions, the best first.
    pub versions: Vec<Version>,
    /// Groups in the client's order; the library sends a share for the first, and with a hybrid one a share
    /// for its classical half.
    pub groups: Vec<GroupId>,
    /// Signature schemes.
    pub schemes: Schemes,
}

impl Offer {
    /// Everything a self-test asks. `listed` are the groups that the server should take, where they are known:
    /// the reluctant client then lists one of its classical groups before one of its hybrids.
    pub fn all(listed: Option<&[GroupId]>) -> Vec<Offer> {
        let mut offers: Vec<Offer> = offered_groups().map(alone).collect();
        offers.push(modern(Schemes::All));
        offers.push(modern(Schemes::MlDsa));
        offers.push(modern(Schemes::Classical));
        offers.extend(reluctant(listed));
        offers.push(classical(Question::Classical));
        offers.push(classical(Question::Tls12));
        offers
    }

    /// Those of them that QUIC can carry, with TLS 1.3 alone.
    pub(crate) fn over_quic(offers: Vec<Offer>) -> Vec<Offer> {
        let new = |offer: &Offer| offer.versions.contains(&Version::Tls13);
        let narrowed = |offer: Offer| Offer {
            versions: vec![Version::Tls13],
            ..offer
        };
        offers.into_iter().filter(new).map(narrowed).collect()
    }

    /// The schemes to send; None for all.
    pub(crate) fn scheme_ids(&self) -> Option<Vec<SchemeId>> {
        let wanted = match self.schemes {
            Schemes::All => return None,
            Schemes::MlDsa => true,
            Schemes::Classical => false,
        };
        let of_class = |scheme: &&Scheme| scheme.standing != Standing::Never && scheme.id.is_ml_dsa() == wanted;
        let rows = Scheme::all().iter().filter(of_class);
        Some(rows.map(|scheme| scheme.id).collect())
    }
}

impl fmt::Display for Offer {
    /// A name for the offer: the groups, or the word for the list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.question {
            Question::Modern => f.write_str("default"),
            Question::Classical => f.write_str("classical"),
            Question::Tls12 => f.write_str("tls1.2"),
            Question::Alone(_) | Question::Reluctant => {
                let names: Vec<String> = self.groups.iter().map(GroupId::to_string).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl Schemes {
    /// `all`, `mldsa` or `classical`
    pub fn as_str(self) -> &'static str {
        match self {
            Schemes::All => "all",
            Schemes::MlDsa => "mldsa",
            Schemes::Classical => "classical",
        }
    }
}

fn alone(group: GroupId) -> Offer {
    Offer {
        question: Question::Alone(group),
        versions: vec![Version::Tls13],
        groups: vec![group],
        schemes: Schemes::All,
    }
}

fn modern(schemes: Schemes) -> Offer {
    let versions = match schemes {
        // ML-DSA exists in TLS 1.3 alone: a client that verifies nothing else offers nothing else
        Schemes::MlDsa => vec![Version::Tls13],
        Schemes::All | Schemes::Classical => vec![Version::Tls13, Version::Tls12],
    };
    Offer {
        question: Question::Modern,
        versions,
        groups: default_groups().collect(),
        schemes,
    }
}

fn reluctant(listed: Option<&[GroupId]>) -> Option<Offer> {
    let candidates = || default_groups().filter(|id| listed.is_none_or(|it| it.contains(id)));
    let hybrid = candidates().find(|id| !is_classical(*id))?;
    let classical = candidates().find(|id| is_classical(*id))?;
    Some(Offer {
        question: Question::Reluctant,
        versions: vec![Version::Tls13],
        groups: vec![classical, hybrid],
        schemes: Schemes::All,
    })
}

fn classical(question: Question) -> Offer {
    let versions = match question {
        Question::Tls12 => vec![Version::Tls12],
        _ => vec![Version::Tls13, Version::Tls12],
    };
    Offer {
        question,
        versions,
        groups: default_groups().filter(|id| is_classical(*id)).collect(),
        schemes: Schemes::Classical,
    }
}

fn offered_groups() -> impl Iterator<Item = GroupId> {
    let rows = Group::all().iter();
    rows.filter(|group| group.standing != Standing::Never)
        .map(|group| group.id)
}

fn default_groups() -> impl Iterator<Item = GroupId> {
    default_offer().map(|group| group.id)
}

fn is_classical(id: GroupId) -> bool {
    id.key_exchange() == Some(KeyExchange::Classical)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X25519: GroupId = GroupId(0x001d);
    const SECP384R1: GroupId = GroupId(0x0018);
    const X25519MLKEM768: GroupId = GroupId(0x11ec);
    const SECP384R1MLKEM1024: GroupId = GroupId(0x11ed);

    #[test]
    fn every_offered_group_is_asked_for_by_itself() {
        let alone: Vec<String> = Offer::all(None)
            .iter()
            .filter(|offer| matches!(offer.question, Question::Alone(_)))
            .map(Offer::to_string)
            .collect();
        let mut sorted = alone.clone();
        sorted.sort();
        let expected = [
            "MLKEM1024",
            "MLKEM768",
            "SecP256r1MLKEM768",
            "SecP384r1MLKEM1024",
            "X25519",
            "X25519MLKEM768",
            "secp256r1",
            "secp384r1",
        ];
        assert_eq!(sorted, expected);
    }

    #[test]
    fn the_reluctant_client_lists_what_the_server_should_take() {
        type Case = (Option<&'static [GroupId]>, Option<[GroupId; 2]>);
        let cases: [Case; 4] = [
            (None, Some([X25519, X25519MLKEM768])),
            (
                Some(&[SECP384R1MLKEM1024, SECP384R1]),
                Some([SECP384R1, SECP384R1MLKEM1024]),
            ),
            (Some(&[X25519MLKEM768]), None),
            (Some(&[X25519]), None),
        ];
        for (listed, expected) in cases {
            let groups = reluctant(listed).map(|offer| offer.groups);
            assert_eq!(groups, expected.map(Vec::from), "{listed:?}");
        }
    }

    #[test]
    fn a_classical_client_offers_nothing_post_quantum() {
        for question in [Question::Classical, Question::Tls12] {
            let offer = classical(question);
            assert!(offer.groups.iter().all(|id| is_classical(*id)));
            let schemes = offer.scheme_ids().unwrap();
            assert!(!schemes.is_empty() && !schemes.iter().any(|id| id.is_ml_dsa()));
        }
    }
}
