//! `balance` of an upstream: how its servers take turns.
use crate::{
    config::{
        reader::Reader,
        report::Fault,
        tree::{Kind, Table, Value, quoted},
        values::{self, Word},
    },
    plan::{Balance, HashOn},
};

/// What a table without words stands for.
#[derive(Clone, Copy)]
enum Simple {
    RoundRobin,
    Random,
    LeastConnections,
}

const WORDS: &[(&str, Word<Simple>)] = &[
    ("round-robin", Word::Is(Simple::RoundRobin)),
    ("random", Word::Is(Simple::Random)),
    ("least-connections", Word::Is(Simple::LeastConnections)),
];

const FORMS: &str =
    "\"round-robin\", \"random\", \"least-connections\", { hash = \"source\" } or { sticky = \"cookie\" }";

/// Reads the key `balance`.
pub(super) fn read(upstream: &mut Reader<'_>) -> Balance {
    match upstream.peek("balance").map(|value| &value.kind) {
        Some(Kind::Table(_)) => match upstream.take("balance") {
            Some(Value {
                kind: Kind::Table(table),
                origin,
            }) => {
                let shown = Kind::Table(table.clone()).to_string();
                upstream.explain("balance", shown, origin.clone());
                keyed(upstream, table, &origin).unwrap_or(Balance::RoundRobin)
            }
            _ => Balance::RoundRobin,
        },
        _ => {
            let usual = Kind::String("round-robin".into());
            match upstream.value_or("balance", usual, word).value {
                Simple::RoundRobin => Balance::RoundRobin,
                Simple::Random => Balance::Random,
                Simple::LeastConnections => Balance::LeastConnections,
            }
        }
    }
}

fn word(value: &Value) -> Result<Simple, Fault> {
    match &value.kind {
        Kind::String(_) => values::word("balance", WORDS, value),
        other => Err(value
            .fault(format!("must be a word or a table, not {}", other.describe()))
            .hint(FORMS)),
    }
}

/// `{ hash = ... }` or `{ sticky = "cookie" }`.
fn keyed(upstream: &mut Reader<'_>, table: Table, origin: &crate::config::Origin) -> Option<Balance> {
    let mut balance = upstream.item(table, "balance", "upstream.balance").unexplained();
    let (has_hash, has_sticky) = (balance.has("hash"), balance.has("sticky"));
    let hash = balance.value("hash", hash_on);
    let sticky = balance.value("sticky", |value| {
        values::word("sticky", &[("cookie", Word::Is(()))], value)
    });
    if has_hash == has_sticky {
        let message = if has_hash {
            "has hash and sticky"
        } else {
            "has neither hash nor sticky"
        };
        balance.error(Fault::whole(origin.clone(), format!("balance {message}")).hint(FORMS));
    }
    balance.finish();
    match (hash, sticky) {
        (Some(on), _) => Some(Balance::Hash(on.value)),
        (None, Some(_)) => Some(Balance::StickyCookie),
        (None, None) => None,
    }
}

/// `source`, `uri`, `header:NAME` or `cookie:NAME`.
fn hash_on(value: &Value) -> Result<HashOn, Fault> {
    let text = value.text()?;
    let named = |name: &str| (!name.is_empty() && name.bytes().all(is_token)).then(|| name.to_owned());
    let found = match text.split_once(':') {
        None if text == "source" => Some(HashOn::Source),
        None if text == "uri" => Some(HashOn::Uri),
        Some(("header", name)) => named(name).map(|name| HashOn::Header(name.to_ascii_lowercase())),
        Some(("cookie", name)) => named(name).map(HashOn::Cookie),
        _ => None,
    };
    found.ok_or_else(|| {
        let fault = value.whole_fault(format!("{} is nothing to hash", quoted(text)));
        fault.hint("it takes source, uri, header:NAME or cookie:NAME")
    })
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
