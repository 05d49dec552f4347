//! A file's text becomes a tree: TOML, or JSON or YAML where the file's name says so.
use super::{Origin, Problem, json, toml_form, tree::Table, yaml};
use std::path::Path;

/// Deeper than any configuration goes, and far from the end of any stack.
pub(super) const DEEPEST: usize = 64;

/// The hint beside `duplicate key`.
pub(super) const KEYS_STAND_ONCE: &str = "each key stands once in its table";

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Toml,
    Json,
    Yaml,
}

/// Parses a text; `path` only names it, and its extension says in which form it is.
pub(super) fn parse(text: &str, path: &Path) -> Result<Table, Vec<Problem>> {
    // RFC 8259 8.1 lets a reader pass over a byte order mark, as YAML and TOML have it anyway.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(text, path);
    match Form::of(path) {
        Form::Toml => toml_form::parse(source),
        Form::Json => json::parse(source),
        Form::Yaml => yaml::parse(source),
    }
}

impl Form {
    fn of(path: &Path) -> Form {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Form::Json,
            Some("yaml" | "yml") => Form::Yaml,
            _ => Form::Toml,
        }
    }
}

/// A text, and what is wrong with it.
pub(super) struct Source<'a> {
    /// The text.
    pub(super) text: &'a str,
    path: &'a Path,
    lines: Lines,
    problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str, path: &'a Path) -> Source<'a> {
        Source {
            text,
            path,
            lines: Lines::of(text),
            problems: Vec::new(),
        }
    }

    /// Where a byte stands.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        self.line(self.line_of(offset))
    }

    /// A line, counted from 1.
    pub(super) fn line(&self, line: usize) -> Origin {
        Origin::File(self.path.to_owned(), line)
    }

    /// The bytes of a line and all that follows.
    pub(super) fn rest_from(&self, line: usize) -> &'a str {
        let start = self.lines.0.get(line.saturating_sub(1));
        start.map_or("", |start| &self.text[*start..])
    }

    /// The line of a byte, counted from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.lines.at(offset)
    }

    /// Keeps what is wrong.
    pub(super) fn problem(&mut self, origin: Origin, message: impl Into<String>, hint: Option<&str>) {
        self.problems.push(Problem {
            origin,
            message: message.into(),
            hint: hint.map(str::to_owned),
        });
    }

    /// Keeps that a number is none that a key could take.
    pub(super) fn too_large(&mut self, origin: &Origin, number: &str) {
        let message = format!("{number} is larger than any number here may be");
        self.problem(origin.clone(), message, None);
    }

    /// The tree, or what is wrong.
    pub(super) fn finish(self, table: Table) -> Result<Table, Vec<Problem>> {
        if self.problems.is_empty() {
            Ok(table)
        } else {
            Err(self.problems)
        }
    }

    /// What is wrong, where there can be no tree.
    pub(super) fn give_up(self) -> Result<Table, Vec<Problem>> {
        Err(self.problems)
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
