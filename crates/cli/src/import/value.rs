//! Values as they are written in TOML.
use std::fmt;

/// A value of the printed configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Switch(bool),
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Value {
        Value::List(texts.into_iter().map(Value::text).collect())
    }

    /// A table with one key.
    pub(super) fn one(key: &str, value: Value) -> Value {
        Value::Table(vec![(key.to_owned(), value)])
    }

    /// Sets a key of a table, in its old place if it stood before; a value that is no table becomes one.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        if !matches!(self, Value::Table(_)) {
            *self = Value::Table(Vec::new());
        }
        let Value::Table(entries) = self else { return };
        match entries.iter_mut().find(|(have, _)| have == key) {
            Some((_, place)) => *place = value,
            None => entries.push((key.to_owned(), value)),
        }
    }

    /// Adds to the list under a key, made if it is missing.
    pub(super) fn add(&mut self, key: &str, text: &str) {
        let mut items = match self {
            Value::Table(entries) => match entries.iter().find(|(have, _)| have == key) {
                Some((_, Value::List(items))) => items.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if !items.contains(&text.into()) {
            items.push(text.into());
        }
        self.set(key, Value::List(items));
    }

    /// The table under a key, made if it is missing.
    pub(super) fn table(&mut self, key: &str) -> &mut Value {
        if !matches!(self, Value::Table(entries) if entries.iter().any(|(have, _)| have == key)) {
            self.set(key, Value::Table(Vec::new()));
        }
        let Value::Table(entries) = self else {
            unreachable!("set made a table of it")
        };
        let found = entries.iter_mut().find(|(have, _)| have == key);
        &mut found.expect("set put it there").1
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Value {
        Value::Switch(is)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::Number(number) => number.fmt(f),
            Value::Switch(is) => is.fmt(f),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Value::Table(entries) => {
                let entry = |(key, value): &(String, Value)| format!("{} = {value}", key_of(key));
                let entries: Vec<String> = entries.iter().map(entry).collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// A TOML key: quoted only where it must be.
pub(super) fn key_of(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

/// A TOML string: literal where that spares escapes (regular expressions), else basic.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c != '\'' && !c.is_control();
    if text.contains(['\\', '"']) && text.chars().all(is_plain) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_as_it_was() {
        for text in [
            "",
            "plain",
            "a \"b\"",
            "^/x\\.y$",
            "it's \\ \"both\"",
            "line\nbreak \u{7f}",
        ] {
            let document = format!("value = {}\n", Value::text(text));
            let read = toml::de::DeTable::parse(&document).expect("what we print is TOML");
            assert_eq!(read.get_ref()["value"].get_ref().as_str(), Some(text), "{document}");
        }
        let mut table = Value::one("a.b", Value::texts(["x", "y"]));
        table.table("c").set("d", Value::Number(1));
        table.table("c").set("d", Value::Switch(true));
        assert_eq!(table.to_string(), r#"{ "a.b" = ["x", "y"], c = { d = true } }"#);
    }
}
