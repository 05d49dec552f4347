//! `portcullis import`: the configuration of another proxy as one of ours, and all that could not be carried over.
mod draft;
mod names;
mod nginx;
mod rpxy;
mod value;

use crate::{exit::Exit, say};
use draft::Draft;
use portcullis_proxy::config::{self, Origin};
use std::path::{self, Path, PathBuf};

/// Whose configuration it is.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Guest {
    /// rpxy's TOML
    Rpxy,
    /// nginx's own grammar, with the files that it includes
    Nginx,
}

/// Whether what is lost counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strictness {
    Lenient,
    Strict,
}

/// Prints the configuration, and to standard error what is not in it.
pub(crate) fn run(guest: Guest, file: &Path, strictness: Strictness) -> Exit {
    // the output may be kept anywhere, so what nginx finds beside its file is named in full; rpxy's folder nobody knows
    let whole = path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let draft = match read(guest, if guest == Guest::Nginx { &whole } else { file }) {
        Ok(draft) => draft,
        Err(problem) => {
            say::problem(&problem);
            return Exit::Usage;
        }
    };
    let notes = draft.notes();
    notes.iter().for_each(|note| say::problem(&note.to_string()));
    if draft.sites.is_empty() {
        say::problem(&format!("{}: nothing in it leads to an upstream", file.display()));
        return Exit::Unmet;
    }
    let text = draft.to_string();
    let refused = refused(&text);
    refused.iter().for_each(|line| say::problem(line));
    say::result(&text);
    match strictness {
        Strictness::Strict if !(notes.is_empty() && refused.is_empty()) => Exit::Unmet,
        _ => Exit::Good,
    }
}

fn read(guest: Guest, file: &Path) -> Result<Draft, String> {
    match guest {
        Guest::Nginx => nginx::import(file).map_err(|error| error.to_string()),
        Guest::Rpxy => rpxy::import(file).map_err(|problems| problems.join("\n")),
    }
}

/// What this version says against the configuration that is printed, with the line of the output.
fn refused(text: &str) -> Vec<String> {
    let source = config::Source {
        file: Some(PathBuf::from("output")),
        ..config::Source::default()
    };
    let Err(problems) = config::load_text(&source, text) else {
        return Vec::new();
    };
    // a listener whose mode is refused is read as another, and its sites against that; a site with acme needs no files
    let explains = |problem: &config::Problem| {
        [": mode \"", ": \"acme\""]
            .iter()
            .any(|words| problem.message.contains(words))
    };
    let is_explained = problems.iter().any(explains);
    let follows =
        |problem: &&config::Problem| is_explained && FOLLOW.iter().any(|words| problem.message.contains(words));
    let line = |problem: &config::Problem| match &problem.origin {
        Origin::File(_, line) => format!("line {line} of the output: {}", problem.message),
        _ => problem.message.clone(),
    };
    problems.iter().filter(|problem| !follows(problem)).map(line).collect()
}

/// What is said of a site because its listener's mode is not built.
const FOLLOW: &[&str] = &[
    "has no certificates for listener",
    "names mean nothing on the plain listener",
];

#[cfg(test)]
mod tests;
