//! JSON (RFC 8259), read by `serde_json`: each value stands where its raw text does.
use super::{
    Origin, Problem,
    document::{DEEPEST, KEYS_STAND_ONCE, Source},
    tree::{Kind, Table, Value},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{collections::HashSet, fmt};

/// Parses JSON.
pub(super) fn parse(mut source: Source<'_>) -> Result<Table, Vec<Problem>> {
    let read = serde_json::from_str::<&RawValue>(source.text).map_err(|error| syntax_error(&mut source, 1, &error));
    let value = read.and_then(|raw| {
        let origin = source.origin(offset(&source, raw));
        value(&mut source, raw, origin, 0)
    });
    match value {
        Ok(Value {
            kind: Kind::Table(table),
            ..
        }) => source.finish(table),
        Ok(other) => {
            let message = format!("the file must hold a table of keys, not {}", other.kind.describe());
            source.problem(other.origin, message, None);
            source.give_up()
        }
        Err(Blamed) => source.give_up(),
    }
}

/// The source knows what is wrong, and no tree can be made.
struct Blamed;

/// An object's members in their order, doubles included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Each;
        impl<'a> Visitor<'a> for Each {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn value(source: &mut Source<'_>, raw: &RawValue, origin: Origin, depth: usize) -> Result<Value, Blamed> {
    if depth > DEEPEST {
        source.problem(origin, format!("nested deeper than {DEEPEST} levels"), None);
        return Err(Blamed);
    }
    let kind = match raw.get().as_bytes().first() {
        Some(b'{') => Kind::Table(table(source, raw, depth)?),
        Some(b'[') => {
            let items: Vec<&RawValue> = again(source, raw)?;
            let items = items.into_iter().map(|item| {
                let origin = source.origin(offset(source, item));
                value(source, item, origin, depth + 1)
            });
            Kind::Array(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Kind::String(again(source, raw)?),
        Some(b't') => Kind::Bool(true),
        Some(b'f') => Kind::Bool(false),
        Some(b'n') => Kind::Null,
        _ => number(raw.get()).unwrap_or_else(|| {
            source.too_large(&origin, raw.get());
            Kind::Integer(0)
        }),
    };
    Ok(Value { kind, origin })
}

fn table(source: &mut Source<'_>, raw: &RawValue, depth: usize) -> Result<Table, Blamed> {
    let Members(members) = again(source, raw)?;
    let (mut table, mut keys) = (Table::default(), HashSet::with_capacity(members.len()));
    for (key, raw) in members {
        let origin = source.origin(key_offset(source, raw));
        if keys.insert(key.clone()) {
            let value = value(source, raw, origin, depth + 1)?;
            table.push(&key, value);
        } else {
            source.problem(origin, "duplicate key", Some(KEYS_STAND_ONCE));
        }
    }
    Ok(table)
}

fn number(text: &str) -> Option<Kind> {
    if text.contains(['.', 'e', 'E']) {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        return number.map(Kind::Float);
    }
    text.parse().ok().map(Kind::Integer)
}

/// Reads a value whose ends are known.
fn again<'a, T: Deserialize<'a>>(source: &mut Source<'_>, raw: &'a RawValue) -> Result<T, Blamed> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let line = source.line_of(offset(source, raw));
        syntax_error(source, line, &error)
    })
}

/// Where a value begins: its raw text is a part of the source's.
fn offset(source: &Source<'_>, raw: &RawValue) -> usize {
    raw.get().as_ptr().addr() - source.text.as_ptr().addr()
}

/// The end of a value's key; no key goes over the end of its line.
fn key_offset(source: &Source<'_>, raw: &RawValue) -> usize {
    let before = source.text[..offset(source, raw)].trim_end();
    before
        .strip_suffix(':')
        .unwrap_or(before)
        .trim_end()
        .len()
        .saturating_sub(1)
}

/// Keeps an error of a text that begins in a line.
fn syntax_error(source: &mut Source<'_>, begins: usize, error: &serde_json::Error) -> Blamed {
    let (message, place) = (
        error.to_string(),
        format!(" at line {} column {}", error.line(), error.column()),
    );
    let line = begins + error.line().max(1) - 1;
    let rest = source.rest_from(line);
    let after = rest.get(error.column().saturating_sub(1)..).unwrap_or("");
    let behind = &source.text[..source.text.len() - after.len()];
    let follows_comma = behind.trim_end().ends_with(',');
    let hint = match after.as_bytes().first() {
        Some(b'}' | b']') if follows_comma => Some("no comma stands before the end of a list or object"),
        Some(b'/' | b'#') => Some("JSON has no comments: TOML and YAML have"),
        Some(b'\'') => Some("text is written in double quotes"),
        _ => None,
    };
    source.problem(
        source.line(line),
        message.strip_suffix(&place).unwrap_or(&message),
        hint,
    );
    Blamed
}
