//! A policy: one word for the key exchange, or a table of words.
use super::{
    Origin,
    reader::{Found, Reader},
    tree::{Kind, Table, Value},
    values::{self, Word},
};
use portcullis_tls::policy::{Policy, Stance};

const STANCES: &[(&str, Word<Stance>)] = &[
    ("observe", Word::Is(Stance::Observe)),
    ("prefer", Word::Is(Stance::Prefer)),
    ("require", Word::Is(Stance::Require)),
];

/// A policy that demands nothing.
pub(super) const LEAST: Policy = Policy {
    key_exchange: Stance::Observe,
    authentication: Stance::Observe,
};

/// The words that were written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) key_exchange: Option<Found<Stance>>,
    pub(super) authentication: Option<Found<Stance>>,
    pub(super) origin: Origin,
}

impl Written {
    /// The policy with what was not written taken from another.
    pub(super) fn over(&self, base: Policy) -> Policy {
        Policy {
            key_exchange: self
                .key_exchange
                .as_ref()
                .map_or(base.key_exchange, |found| found.value),
            authentication: self
                .authentication
                .as_ref()
                .map_or(base.authentication, |found| found.value),
        }
    }

    /// The rules written here that demand less than those written there.
    pub(super) fn weaker_than(&self, floor: &Written) -> Vec<(&'static str, &Found<Stance>)> {
        let pairs = self.rules().into_iter().zip(floor.rules());
        let weaker = pairs.filter_map(|((rule, here), (_, there))| Some((rule, here?, there?)));
        weaker
            .filter(|(_, here, there)| here.value < there.value)
            .map(|(rule, here, _)| (rule, here))
            .collect()
    }

    /// The rules by name, as they are written in a file.
    pub(super) fn rules(&self) -> [(&'static str, Option<&Found<Stance>>); 2] {
        [
            ("key_exchange", self.key_exchange.as_ref()),
            ("authentication", self.authentication.as_ref()),
        ]
    }
}

/// Reads the key `policy`.
pub(super) fn read(owner: &mut Reader<'_>) -> Option<Written> {
    let value = owner.take("policy")?;
    let origin = value.origin.clone();
    let table = match value {
        Value {
            kind: Kind::Table(table),
            ..
        } => table,
        word => {
            let mut table = Table::default();
            table.push("key_exchange", word);
            table
        }
    };
    let mut policy = owner.item(table, "policy", "policy").unexplained();
    let stance = |value: &Value| values::word("policy", STANCES, value);
    let key_exchange = policy.value("key_exchange", stance);
    let authentication = policy.value("authentication", stance);
    policy.finish();
    Some(Written {
        key_exchange,
        authentication,
        origin,
    })
}
