//! What a configuration is read from, kept for who watches it.
use super::{Origin, Problem};
use crate::{material, watch::Print};
use std::{
    io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// A hundred thousand sites take less; more is another file's name.
pub(crate) const LONGEST_FILE: u64 = 16 << 20;

/// Files and patterns, and what was found there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reading {
    /// Each file and what it held.
    pub(crate) files: Vec<(PathBuf, Print)>,
    /// Each pattern and the files that matched.
    pub(crate) patterns: Vec<(String, Vec<PathBuf>)>,
}

impl Reading {
    /// Reads a file.
    pub(super) fn file(&mut self, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        let content = material::read_up_to(LONGEST_FILE, path);
        self.files.push((path.to_owned(), Print::of(&content)));
        content
    }

    /// The text of a file, or what is wrong with it.
    pub(super) fn text(&mut self, path: &Path) -> Result<Zeroizing<String>, Problem> {
        let problem = |line: usize, message: String| Problem {
            origin: Origin::File(path.to_owned(), line),
            message,
            hint: None,
        };
        let bytes = self.file(path);
        let bytes = bytes.map_err(|error| problem(0, format!("cannot be read: {error}")))?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(error) => {
                let valid = &bytes[..error.valid_up_to()];
                let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
                Err(problem(line, "not UTF-8 text".into()))
            }
        }
    }

    /// The files that match a pattern, sorted.
    pub(super) fn pattern(&mut self, pattern: String) -> Vec<PathBuf> {
        let found = matches(&pattern);
        self.patterns.push((pattern, found.clone()));
        found
    }
}

/// The files that match a pattern now, sorted; hidden ones, which editors leave behind, only where the pattern says so.
pub(crate) fn matches(pattern: &str) -> Vec<PathBuf> {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let paths = glob::glob_with(pattern, options).into_iter().flatten().flatten();
    paths.filter(|path| path.is_file()).collect()
}
