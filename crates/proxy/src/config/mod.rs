//! Text, flags and environment -> one spanned tree -> a [`Plan`](crate::plan::Plan), with every problem at once.
use crate::plan::Plan;
use std::path::PathBuf;

/// Where a configuration comes from. Precedence: flag, environment, file, default.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file, if one was named or found.
    pub file: Option<PathBuf>,
    /// Flags as typed: name without dashes (`listen`), values in order; a switch has the value `true`.
    pub flags: Vec<(String, Vec<String>)>,
    /// The environment as it is; the reader takes what is ours.
    pub environment: Vec<(String, String)>,
}

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// Notices and warnings that stop nothing.
    pub notices: Vec<Problem>,
    /// Every value with where it came from, for `check --explain`.
    pub explained: Vec<Explained>,
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `site.shop.tls.groups`
    pub key: String,
    /// As it would be written in TOML.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--listen`
    Flag(String),
    /// `PORTCULLIS_LISTEN`
    Environment(String),
    /// `portcullis.toml:14`
    File(PathBuf, usize),
    /// The default.
    Default,
}

/// One thing wrong, or worth saying: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What: lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Reads and checks everything. The only I/O is reading the file itself.
pub fn load(_source: &Source) -> Result<Loaded, Vec<Problem>> {
    todo!()
}

/// All problems for a person, one or two lines each.
pub fn render(problems: &[Problem]) -> String {
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A problem in one line.
pub fn line(problem: &Problem) -> String {
    problem.message.clone()
}
