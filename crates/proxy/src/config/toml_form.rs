//! TOML, as its parser recovers from slips.
use super::{
    Problem,
    document::{KEYS_STAND_ONCE, Source},
    tree::{Kind, Table, Value},
};
use std::collections::HashSet;
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

/// Parses TOML.
pub(super) fn parse(mut source: Source<'_>) -> Result<Table, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(source.text);
    if !errors.is_empty() {
        // Recovery makes one slip into several errors: the first of a line is the true one.
        let mut lines = HashSet::new();
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            if lines.insert(source.line_of(offset)) {
                syntax_error(&mut source, offset, error.message());
            }
        }
        return source.give_up();
    }
    let table = table(&mut source, document.get_ref());
    source.finish(table)
}

fn syntax_error(source: &mut Source<'_>, offset: usize, message: &str) {
    let hint = match message {
        _ if message.contains("quoted") || message.contains("string values") => {
            Some("text is written in quotes: key = \"value\"")
        }
        _ if message.contains("duplicate key") => Some(KEYS_STAND_ONCE),
        _ => None,
    };
    source.problem(source.origin(offset), message, hint);
}

fn table(source: &mut Source<'_>, written: &DeTable<'_>) -> Table {
    let mut entries: Vec<_> = written.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut table = Table::default();
    for (key, written) in entries {
        let value = value(source, written, key.span().start);
        table.push(key.get_ref(), value);
    }
    table
}

fn value(source: &mut Source<'_>, written: &Spanned<DeValue<'_>>, offset: usize) -> Value {
    let origin = source.origin(offset);
    let kind = match written.get_ref() {
        DeValue::String(text) => Kind::String(text.to_string()),
        DeValue::Integer(number) => integer(number).unwrap_or_else(|| {
            source.too_large(&origin, &number.to_string());
            Kind::Integer(0)
        }),
        DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(is) => Kind::Bool(*is),
        DeValue::Datetime(moment) => Kind::String(moment.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| value(source, item, item.span().start));
            Kind::Array(items.collect())
        }
        DeValue::Table(written) => Kind::Table(table(source, written)),
    };
    Value { kind, origin }
}

fn integer(number: &DeInteger<'_>) -> Option<Kind> {
    let value = i64::from_str_radix(number.as_str(), number.radix());
    value.ok().map(Kind::Integer)
}

#[cfg(test)]
mod tests {
    use crate::config::{
        Problem, document,
        tree::{Kind, Value},
    };
    use std::path::Path;

    fn lines_of(problems: &[Problem]) -> Vec<String> {
        problems
            .iter()
            .map(|problem| format!("{}: {}", problem.origin, problem.message))
            .collect()
    }

    #[test]
    fn every_value_knows_its_line() {
        let text = "a = 1\n\n[log]\nlevel = 'x'\n[[site]]\nnames = [\n  'p',\n  'q',\n]\n[[site]]\nt = { u = 2 }\n[up.b]\nc = 1979-05-27\n";
        let table = document::parse(text, Path::new("f.toml")).expect("valid TOML");
        fn walk(value: &Value, out: &mut Vec<String>) {
            let children: Vec<&Value> = match &value.kind {
                Kind::Array(items) => items.iter().collect(),
                Kind::Table(table) => table.entries().map(|(_, value)| value).collect(),
                _ => Vec::new(),
            };
            out.push(format!("{} {}", value.origin, value.kind.describe()));
            children.into_iter().for_each(|child| walk(child, out));
        }
        let mut seen = Vec::new();
        table.entries().for_each(|(_, value)| walk(value, &mut seen));
        let expected = [
            "f.toml:1 an integer",
            "f.toml:3 a table",
            "f.toml:4 a string",
            "f.toml:5 a list",
            "f.toml:5 a table",
            "f.toml:6 a list",
            "f.toml:7 a string",
            "f.toml:8 a string",
            "f.toml:10 a table",
            "f.toml:11 a table",
            "f.toml:11 an integer",
            "f.toml:12 a table",
            "f.toml:12 a table",
            "f.toml:13 a string",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn several_slips_are_told_at_once_each_with_its_line() {
        let text = "a = \nb = 2\nlevel = debug\n[log\nc = 1\nb = 3\n";
        let problems = document::parse(text, Path::new("f.toml")).expect_err("four slips");
        let expected = [
            "f.toml:4: unclosed table, expected `]`",
            "f.toml:1: string values must be quoted, expected literal string",
            "f.toml:3: string values must be quoted, expected literal string",
            "f.toml:6: duplicate key",
        ];
        assert_eq!(lines_of(&problems), expected);
    }
}
