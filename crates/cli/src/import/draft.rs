//! The configuration that is made, and what is said of the one it was made of.
use super::value::{Value, key_of};
use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    path::{Path, PathBuf},
};

/// A line of the file that is imported.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// Something that is not, or not exactly, what it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub(super) place: Place,
    /// What stands there.
    pub(super) what: String,
    /// Why it is not carried over, or what it became.
    pub(super) why: String,
}

/// A table of the configuration: a listener, a site, a route, an upstream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Part {
    /// Its name; empty where it has none.
    pub(super) name: String,
    keys: Vec<(&'static str, Value)>,
    pub(super) notes: Vec<Note>,
    /// A site's routes.
    pub(super) routes: Vec<Part>,
}

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Keys of the process, and what belongs to no part.
    pub(super) process: Part,
    pub(super) listeners: Vec<Part>,
    pub(super) sites: Vec<Part>,
    pub(super) upstreams: Vec<Part>,
    /// `[acme.NAME]`
    pub(super) issuers: Vec<Part>,
}

impl Place {
    pub(super) fn new(file: &Path, line: usize) -> Place {
        Place {
            file: file.to_owned(),
            line,
        }
    }
}

impl Note {
    pub(super) fn new(place: &Place, what: impl Into<String>, why: impl Into<String>) -> Note {
        Note {
            place: place.clone(),
            what: what.into(),
            why: why.into(),
        }
    }
}

impl Part {
    pub(super) fn new(name: impl Into<String>) -> Part {
        Part {
            name: name.into(),
            ..Part::default()
        }
    }

    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.keys.iter_mut().find(|(have, _)| *have == key) {
            Some((_, place)) => *place = value,
            None => self.keys.push((key, value)),
        }
    }

    /// The table under a key, made if it is missing.
    pub(super) fn table(&mut self, key: &'static str) -> &mut Value {
        if self.key(key).is_none() {
            self.keys.push((key, Value::Table(Vec::new())));
        }
        let found = self.keys.iter_mut().find(|(have, _)| *have == key);
        &mut found.expect("pushed just above").1
    }

    pub(super) fn key(&self, key: &str) -> Option<&Value> {
        self.keys.iter().find(|(have, _)| *have == key).map(|(_, value)| value)
    }

    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// This part, and after it what another says.
    pub(super) fn and(mut self, other: Part) -> Part {
        self.keys.extend(other.keys);
        self.notes.extend(other.notes);
        self.routes.extend(other.routes);
        self
    }

    /// This part but for some keys.
    pub(super) fn without(mut self, keys: &[&str]) -> Part {
        self.keys.retain(|(key, _)| !keys.contains(key));
        self
    }

    /// Whether two parts say the same, whatever they are called.
    pub(super) fn says_the_same(&self, other: &Part) -> bool {
        self.keys == other.keys
    }

    fn write(&self, out: &mut String, head: &str, indent: &str) {
        let _ = writeln!(out);
        self.write_notes(out, indent);
        let _ = writeln!(out, "{indent}{head}");
        self.write_keys(out, indent);
        for route in &self.routes {
            route.write(out, "[[site.route]]", "  ");
        }
    }

    fn write_notes(&self, out: &mut String, indent: &str) {
        for note in &self.notes {
            let _ = writeln!(out, "{indent}# {note}");
        }
    }

    fn write_keys(&self, out: &mut String, indent: &str) {
        for (key, value) in &self.keys {
            let _ = writeln!(out, "{indent}{key} = {value}");
        }
    }

    fn named(&self) -> Part {
        let mut named = Part {
            keys: vec![("name", self.name.as_str().into())],
            ..self.clone()
        };
        named.keys.extend(self.keys.iter().cloned());
        named
    }

    fn all_notes<'p>(&'p self, into: &mut Vec<&'p Note>) {
        into.extend(&self.notes);
        self.routes.iter().for_each(|route| route.all_notes(into));
    }
}

impl Draft {
    /// A name that no other part of these has yet.
    pub(super) fn free_name(parts: &[Part], wanted: &str) -> String {
        let taken: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        if !taken.contains(wanted) {
            return wanted.to_owned();
        }
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        let mut free = numbered.filter(|name| !taken.contains(name.as_str()));
        free.next().expect("there are more numbers than parts")
    }

    /// The upstream that says this, made if there is none; returns its name.
    pub(super) fn upstream(&mut self, mut part: Part) -> String {
        if let Some(same) = self.upstreams.iter_mut().find(|have| have.says_the_same(&part)) {
            let new = part.notes.into_iter().filter(|note| !same.notes.contains(note));
            let new: Vec<Note> = new.collect();
            same.notes.extend(new);
            return same.name.clone();
        }
        part.name = Draft::free_name(&self.upstreams, &part.name);
        let name = part.name.clone();
        self.upstreams.push(part);
        name
    }

    /// Everything that was noted, each once, in the order of the files.
    pub(super) fn notes(&self) -> Vec<&Note> {
        let mut notes = Vec::new();
        let lists = [&self.listeners, &self.sites, &self.upstreams, &self.issuers];
        for part in std::iter::once(&self.process).chain(lists.into_iter().flatten()) {
            part.all_notes(&mut notes);
        }
        let mut seen = Vec::with_capacity(notes.len());
        for note in notes {
            if !seen.contains(&note) {
                seen.push(note);
            }
        }
        seen.sort_by(|a, b| a.place.cmp(&b.place));
        seen
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note { place, what, why } = self;
        // what stands in a file may hold anything; a note is one line
        let line = format!("{}:{}: {what}: {why}", place.file.display(), place.line);
        line.chars()
            .try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.process.write_notes(&mut out, "");
        self.process.write_keys(&mut out, "");
        for listener in &self.listeners {
            listener.named().write(&mut out, "[[listener]]", "");
        }
        for site in &self.sites {
            site.named().write(&mut out, "[[site]]", "");
        }
        for upstream in &self.upstreams {
            upstream.write(&mut out, &format!("[upstream.{}]", key_of(&upstream.name)), "");
        }
        for issuer in &self.issuers {
            issuer.write(&mut out, &format!("[acme.{}]", key_of(&issuer.name)), "");
        }
        f.write_str(out.trim_start_matches('\n'))
    }
}
