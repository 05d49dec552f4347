//! A file's text becomes a tree; what the text breaks is said with its line.
use super::{
    Origin, Problem,
    tree::{Kind, Table, Value},
};
use std::path::Path;
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

/// Reads a TOML file into a tree; otherwise everything that is wrong with its text.
pub(super) fn read(path: &Path) -> Result<Table, Vec<Problem>> {
    let problem = |message: String, hint: Option<&str>| {
        let origin = Origin::File(path.to_owned(), 0);
        vec![Problem {
            origin,
            message,
            hint: hint.map(str::to_owned),
        }]
    };
    if let Some(form) = form_of_a_later_version(path) {
        return Err(problem(
            format!("{form} is not in this version"),
            Some("write the file as TOML"),
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| problem(format!("cannot be read: {error}"), None))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let origin = Origin::File(path.to_owned(), line);
        vec![Problem {
            origin,
            message: "not UTF-8 text".into(),
            hint: None,
        }]
    })?;
    parse(&text, path)
}

/// Parses TOML text; `path` only names it.
pub(super) fn parse(text: &str, path: &Path) -> Result<Table, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut source = Source {
        path,
        lines: Lines::of(text),
        problems: Vec::new(),
    };
    for error in &errors {
        source.syntax_error(error);
    }
    if !source.problems.is_empty() {
        return Err(source.problems);
    }
    let table = source.table(document.get_ref());
    if source.problems.is_empty() {
        Ok(table)
    } else {
        Err(source.problems)
    }
}

fn form_of_a_later_version(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "json" => Some("JSON"),
        "yaml" | "yml" => Some("YAML"),
        _ => None,
    }
}

/// Where each line starts.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        let after_newlines = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Lines(std::iter::once(0).chain(after_newlines).collect())
    }

    /// The line of a byte, counted from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

struct Source<'a> {
    path: &'a Path,
    lines: Lines,
    problems: Vec<Problem>,
}

impl Source<'_> {
    fn origin(&self, offset: usize) -> Origin {
        Origin::File(self.path.to_owned(), self.lines.at(offset))
    }

    /// Recovery makes one slip into several errors: the first of a line is the true one.
    fn syntax_error(&mut self, error: &toml::de::Error) {
        let origin = self.origin(error.span().map_or(0, |span| span.start));
        if self.problems.iter().any(|problem| problem.origin == origin) {
            return;
        }
        let hint = match error.message() {
            message if message.contains("quoted") || message.contains("string values") => {
                Some("text is written in quotes: key = \"value\"".into())
            }
            message if message.contains("duplicate key") => Some("each key stands once in its table".into()),
            _ => None,
        };
        self.problems.push(Problem {
            origin,
            message: error.message().to_owned(),
            hint,
        });
    }

    fn table(&mut self, source: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> = source.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut table = Table::default();
        for (key, value) in entries {
            let value = self.value(value, key.span().start);
            table.push(key.get_ref(), value);
        }
        table
    }

    fn value(&mut self, source: &Spanned<DeValue<'_>>, offset: usize) -> Value {
        let origin = self.origin(offset);
        let kind = match source.get_ref() {
            DeValue::String(text) => Kind::String(text.to_string()),
            DeValue::Integer(number) => self.integer(number, &origin),
            DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(is) => Kind::Bool(*is),
            DeValue::Datetime(moment) => Kind::String(moment.to_string()),
            DeValue::Array(items) => {
                Kind::Array(items.iter().map(|item| self.value(item, item.span().start)).collect())
            }
            DeValue::Table(table) => Kind::Table(self.table(table)),
        };
        Value { kind, origin }
    }

    fn integer(&mut self, number: &DeInteger<'_>, origin: &Origin) -> Kind {
        let value = i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
            let message = format!("{number} is larger than any number here may be");
            self.problems.push(Problem {
                origin: origin.clone(),
                message,
                hint: None,
            });
            0
        });
        Kind::Integer(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(problems: &[Problem]) -> Vec<String> {
        problems
            .iter()
            .map(|problem| format!("{}: {}", problem.origin, problem.message))
            .collect()
    }

    #[test]
    fn every_value_knows_its_line() {
        let text = "a = 1\n\n[log]\nlevel = 'x'\n[[site]]\nnames = [\n  'p',\n  'q',\n]\n[[site]]\nt = { u = 2 }\n[up.b]\nc = 1979-05-27\n";
        let table = parse(text, Path::new("f.toml")).expect("valid TOML");
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
        let problems = parse(text, Path::new("f.toml")).expect_err("four slips");
        let expected = [
            "f.toml:4: unclosed table, expected `]`",
            "f.toml:1: string values must be quoted, expected literal string",
            "f.toml:3: string values must be quoted, expected literal string",
            "f.toml:6: duplicate key",
        ];
        assert_eq!(lines_of(&problems), expected);
    }
}
