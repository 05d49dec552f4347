//! The one tree that file, flags and environment become: every value knows where it stands.
use super::{Origin, report::Fault};
use std::fmt;

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Value {
    /// What it is.
    pub(super) kind: Kind,
    /// Where it stands.
    pub(super) origin: Origin,
}

/// What a value is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    Table(Table),
    Array(Vec<Value>),
    String(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// JSON's and YAML's word for nothing: no key takes it.
    Null,
}

/// Keys and values in the order in which they were written.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Table {
    entries: Vec<(String, Value)>,
}

impl Value {
    pub(super) fn string(text: impl Into<String>, origin: Origin) -> Value {
        Value {
            kind: Kind::String(text.into()),
            origin,
        }
    }

    pub(super) fn bool(is: bool, origin: Origin) -> Value {
        Value {
            kind: Kind::Bool(is),
            origin,
        }
    }

    /// An array of strings that all stand in one place.
    pub(super) fn strings<I, T>(texts: I, origin: Origin) -> Value
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        let items = texts
            .into_iter()
            .map(|text| Value::string(text, origin.clone()))
            .collect();
        Value {
            kind: Kind::Array(items),
            origin,
        }
    }

    /// Its text, or what is wrong with it.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        match &self.kind {
            Kind::String(text) => Ok(text),
            other => Err(self
                .fault(format!("must be a string, not {}", other.describe()))
                .wanting_text()),
        }
    }

    /// A fault that continues the name of its key: `must be a string`.
    pub(super) fn fault(&self, complaint: impl Into<String>) -> Fault {
        let fault = Fault::of_key(self.origin.clone(), complaint);
        match self.kind {
            Kind::Null => fault.hint("leave the key out"),
            _ => fault,
        }
    }

    /// A fault that says everything itself: `unknown group "x"`.
    pub(super) fn whole_fault(&self, complaint: impl Into<String>) -> Fault {
        Fault::whole(self.origin.clone(), complaint)
    }
}

impl Kind {
    /// The kind for people: `an integer`.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Kind::Table(_) => "a table",
            Kind::Array(_) => "a list",
            Kind::String(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Bool(_) => "true or false",
            Kind::Null => "null",
        }
    }
}

impl Table {
    /// Sets a key, in its old place if it stood before.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        match self.entries.iter_mut().find(|(have, _)| have == key) {
            Some((_, place)) => *place = value,
            None => self.push(key, value),
        }
    }

    /// Adds a key that is known not to stand yet.
    pub(super) fn push(&mut self, key: &str, value: Value) {
        self.entries.push((key.to_owned(), value));
    }

    /// Takes a key out.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(have, _)| have == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Holds a key where it stands.
    pub(super) fn peek_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries
            .iter_mut()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Looks at a key.
    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.entries
            .iter()
            .find(|(have, _)| have == key)
            .map(|(_, value)| value)
    }

    /// Its values, in order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// The table under a key, made if it is missing.
    pub(super) fn sub_table(&mut self, key: &str, origin: &Origin) -> &mut Table {
        let at = self
            .entries
            .iter()
            .position(|(have, _)| have == key)
            .unwrap_or_else(|| {
                let empty = Value {
                    kind: Kind::Table(Table::default()),
                    origin: origin.clone(),
                };
                self.push(key, empty);
                self.entries.len() - 1
            });
        let kind = &mut self.entries[at].1.kind;
        if !matches!(kind, Kind::Table(_)) {
            *kind = Kind::Table(Table::default());
        }
        match kind {
            Kind::Table(table) => table,
            _ => unreachable!("made a table just above"),
        }
    }

    /// Lays another table over this one: tables key by key, everything else as a whole.
    pub(super) fn overlay(&mut self, over: Table) {
        for (key, value) in over.entries {
            match (self.entries.iter_mut().find(|(have, _)| *have == key), value) {
                (
                    Some((
                        _,
                        Value {
                            kind: Kind::Table(base),
                            ..
                        },
                    )),
                    Value {
                        kind: Kind::Table(over),
                        ..
                    },
                ) => {
                    base.overlay(over);
                }
                (Some((_, place)), value) => *place = value,
                (None, value) => self.push(&key, value),
            }
        }
    }

    /// Its entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &(String, Value)> {
        self.entries.iter()
    }

    /// What is left, in order.
    pub(super) fn into_entries(self) -> Vec<(String, Value)> {
        self.entries
    }
}

impl fmt::Display for Value {
    /// What a `file:` holds may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin.content_of() {
            Some(written) => f.write_str(&quoted(written)),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Display for Kind {
    /// As it would be written in TOML, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::String(text) => f.write_str(&quoted(text)),
            Kind::Integer(number) => number.fmt(f),
            Kind::Float(number) => write!(f, "{number:?}"),
            Kind::Bool(is) => is.fmt(f),
            Kind::Null => f.write_str("null"),
            Kind::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Kind::Table(table) if table.entries.is_empty() => f.write_str("{}"),
            Kind::Table(table) => {
                let entry = |(key, value): &(String, Value)| format!("{} = {value}", bare_or_quoted(key));
                let entries: Vec<String> = table.entries().map(entry).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A TOML key: quoted only where it must be.
pub(super) fn bare_or_quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::string(text, Origin::Default)
    }

    #[test]
    fn values_print_as_toml_that_reads_back() {
        let mut table = Table::default();
        table.push("plain", text("a \"b\" \\ \n\u{1}"));
        table.push("a.b", Value::strings(["x", "y"], Origin::Default));
        table.push(
            "float",
            Value {
                kind: Kind::Float(1.0),
                origin: Origin::Default,
            },
        );
        let printed = Value {
            kind: Kind::Table(table),
            origin: Origin::Default,
        }
        .to_string();
        assert_eq!(
            printed,
            r#"{ plain = "a \"b\" \\ \n\u0001", "a.b" = ["x", "y"], float = 1.0 }"#
        );
        let document = format!("value = {printed}");
        let parsed = toml::de::DeTable::parse(&document).expect("what we print is TOML");
        assert_eq!(
            parsed.get_ref()["value"].get_ref()["plain"].get_ref().as_str(),
            Some("a \"b\" \\ \n\u{1}")
        );
    }

    #[test]
    fn overlay_merges_tables_and_replaces_the_rest() {
        let mut base = Table::default();
        base.sub_table("log", &Origin::Default).push("level", text("info"));
        base.sub_table("log", &Origin::Default).push("access", text("-"));
        base.push("admin", text("off"));
        let mut over = Table::default();
        over.sub_table("log", &Origin::Default).push("level", text("debug"));
        over.push("admin", text("unix:x"));
        base.overlay(over);
        let printed = Value {
            kind: Kind::Table(base),
            origin: Origin::Default,
        }
        .to_string();
        assert_eq!(
            printed,
            r#"{ log = { level = "debug", access = "-" }, admin = "unix:x" }"#
        );
    }
}
