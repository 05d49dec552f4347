//! Where values stand.
use std::{
    cmp::Ordering,
    fmt,
    path::{Path, PathBuf},
};

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--listen`
    Flag(String),
    /// `PORTCULLIS_LISTEN`
    Environment(String),
    /// `portcullis.toml:14`; line 0 is the file as a whole.
    File(PathBuf, usize),
    /// `portcullis.toml:14 (from ${WORKERS})`: what stands there is where the value came from.
    Fetched(PathBuf, usize, Box<Via>),
    /// The default.
    Default,
}

/// How a value of a file came from elsewhere, as it is written there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// `${NAME}` and nothing else.
    Variable(String),
    /// A text with `${NAME}` in it.
    Text(String),
    /// `file:PATH`: what it holds is not printed.
    Content(String),
}

impl Origin {
    /// The file that it stands in.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Origin::File(file, _) | Origin::Fetched(file, ..) => Some(file),
            Origin::Flag(_) | Origin::Environment(_) | Origin::Default => None,
        }
    }

    /// `file:PATH`, where the value is what that file holds.
    pub(super) fn content_of(&self) -> Option<&str> {
        match self {
            Origin::Fetched(_, _, via) => match &**via {
                Via::Content(written) => Some(written),
                Via::Variable(_) | Via::Text(_) => None,
            },
            _ => None,
        }
    }

    /// Whether all of the text came from elsewhere, where nobody could write it without quotes.
    pub(super) fn is_fetched_whole(&self) -> bool {
        matches!(self, Origin::Fetched(_, _, via) if !matches!(**via, Via::Text(_)))
    }

    /// The order in which problems are told: what was typed, then files by their lines.
    fn rank(&self) -> (u8, &str, Option<&Path>, usize) {
        match self {
            Origin::Flag(name) => (0, name, None, 0),
            Origin::Environment(name) => (1, name, None, 0),
            Origin::File(file, line) | Origin::Fetched(file, line, _) => (2, "", Some(file), *line),
            Origin::Default => (3, "", None, 0),
        }
    }
}

impl Ord for Origin {
    fn cmp(&self, other: &Origin) -> Ordering {
        let via = |origin: &Origin| match origin {
            Origin::Fetched(_, _, via) => Some(via.clone()),
            _ => None,
        };
        self.rank().cmp(&other.rank()).then_with(|| via(self).cmp(&via(other)))
    }
}

impl PartialOrd for Origin {
    fn partial_cmp(&self, other: &Origin) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) | Origin::Environment(name) => f.write_str(name),
            Origin::File(path, 0) => path.display().fmt(f),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Fetched(path, line, via) => write!(f, "{}:{line} (from {})", path.display(), via.written()),
            Origin::Default => f.write_str("default"),
        }
    }
}

impl Via {
    fn written(&self) -> &str {
        match self {
            Via::Variable(written) | Via::Text(written) | Via::Content(written) => written,
        }
    }
}
