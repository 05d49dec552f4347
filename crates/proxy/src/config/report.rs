//! Faults as readers find them, problems as people read them, and where all of them are kept.
use super::{
    Explained, Origin, Problem,
    tree::{Kind, Value, quoted},
};
use std::collections::BTreeMap;
#[cfg(test)]
use std::collections::BTreeSet;

/// What is wrong with one value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    origin: Origin,
    said: Said,
    hint: Option<String>,
    wants_text: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    /// Says everything itself.
    Whole(String),
    /// Continues the key's name.
    OfKey(String),
}

impl Fault {
    pub(super) fn whole(origin: Origin, message: impl Into<String>) -> Fault {
        Fault {
            origin,
            said: Said::Whole(message.into()),
            hint: None,
            wants_text: false,
        }
    }

    pub(super) fn of_key(origin: Origin, complaint: impl Into<String>) -> Fault {
        Fault {
            origin,
            said: Said::OfKey(complaint.into()),
            hint: None,
            wants_text: false,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Fault {
        Fault {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same, of a value that would have to be text.
    pub(super) fn wanting_text(self) -> Fault {
        Fault {
            wants_text: true,
            ..self
        }
    }

    /// Whether the value would have to be text.
    pub(super) fn wants_text(&self) -> bool {
        self.wants_text
    }

    pub(super) fn maybe_hint(self, hint: Option<String>) -> Fault {
        Fault { hint, ..self }
    }
}

/// A value and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found<T> {
    /// What it means.
    pub(super) value: T,
    /// Where it stands.
    pub(super) origin: Origin,
}

impl<T> Found<T> {
    pub(super) fn new(value: T, origin: Origin) -> Found<T> {
        Found { value, origin }
    }

    pub(super) fn map<U>(self, meaning: impl FnOnce(T) -> U) -> Found<U> {
        Found {
            value: meaning(self.value),
            origin: self.origin,
        }
    }
}

/// Everything that reading comes to besides the plan.
#[derive(Default)]
pub(super) struct Report {
    /// What stops the load.
    pub(super) errors: Vec<Problem>,
    /// What does not.
    pub(super) notices: Vec<Problem>,
    /// Every value and its origin, in reading order.
    pub(super) explained: Vec<Explained>,
    /// Suggestions made among names that the user chose.
    suggestions: usize,
    /// Values that stayed as they are written, since what they name is not there.
    unfilled: Vec<(String, Problem)>,
    /// What files held, and how it is written: `file:PATH`.
    concealed: Vec<(String, String)>,
    /// Every key that a reader took, with its section: the reference must have it.
    #[cfg(test)]
    pub(super) asked: BTreeSet<(&'static str, &'static str)>,
}

/// Each suggestion looks at every name: a file of 10,000 slips must not cost the square of its size.
const MOST_SUGGESTIONS: usize = 100;

impl Report {
    pub(super) fn error(&mut self, subject: &str, fault: Fault) {
        self.errors.push(problem(subject, "", fault));
    }

    pub(super) fn notice(&mut self, subject: &str, fault: Fault) {
        self.notices.push(problem(subject, "", fault));
    }

    /// Keeps a value for `check --explain`.
    pub(super) fn explain(&mut self, key: &str, value: &Value) {
        self.explained.push(Explained {
            key: key.to_owned(),
            value: value.to_string(),
            origin: value.origin.clone(),
        });
    }

    /// Keeps that a value could not be filled in.
    pub(super) fn unfilled(&mut self, written: String, fault: Fault) {
        self.unfilled.push((written, problem("", "", fault)));
    }

    /// Whether a value could not be filled in.
    pub(super) fn is_unfilled(&self, value: &Value) -> bool {
        let is_it = |(written, problem): &(String, Problem)| {
            problem.origin == value.origin && matches!(&value.kind, Kind::String(text) if text == written)
        };
        self.unfilled.iter().any(is_it)
    }

    /// How many errors there are so far.
    pub(super) fn count(&self) -> usize {
        self.errors.len() + self.unfilled.len()
    }

    /// Keeps what must not be printed, and what is printed in its place.
    pub(super) fn conceal(&mut self, content: &str, written: &str) {
        self.concealed.push((content.to_owned(), written.to_owned()));
    }

    /// Sorts what is to be said, without what follows from values that were not filled in, and without secrets.
    pub(super) fn finish(mut self) -> Report {
        let mut written: BTreeMap<Origin, Vec<String>> = BTreeMap::new();
        for (text, problem) in &self.unfilled {
            written.entry(problem.origin.clone()).or_default().push(quoted(text));
        }
        let follows = |problem: &Problem| {
            let here = written.get(&problem.origin);
            here.is_some_and(|texts| texts.iter().any(|text| problem.message.contains(text)))
        };
        self.errors.retain(|problem| !follows(problem));
        let unfilled = self.unfilled.drain(..).map(|(_, problem)| problem);
        self.errors.splice(..0, unfilled);
        for problem in self.errors.iter_mut().chain(&mut self.notices) {
            concealed(&mut problem.message, &self.concealed);
        }
        for explained in &mut self.explained {
            concealed(&mut explained.value, &self.concealed);
        }
        self.errors.sort_by(|a, b| a.origin.cmp(&b.origin));
        self.notices.sort_by(|a, b| a.origin.cmp(&b.origin));
        self
    }

    /// `did you mean "x"?`, among names that the user chose.
    pub(super) fn suggest<'a>(&mut self, typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
        self.suggestions += 1;
        (self.suggestions <= MOST_SUGGESTIONS).then(|| did_you_mean(typed, names))?
    }
}

/// Shorter text without quotes may be anything.
const SECRET: usize = 8;

fn concealed(text: &mut String, secrets: &[(String, String)]) {
    for (content, written) in secrets {
        let within = quoted(content);
        if text.contains(&within) {
            *text = text.replace(&within, &quoted(written));
        }
        if content.len() >= SECRET && text.contains(content.as_str()) {
            *text = text.replace(content.as_str(), written);
        }
    }
}

/// What a person reads: the subject and the key only where the origin does not say them already.
pub(super) fn problem(subject: &str, key: &str, fault: Fault) -> Problem {
    let stands_in_file = fault.origin.file().is_some();
    let message = match fault.said {
        Said::OfKey(complaint) if stands_in_file && !key.is_empty() => format!("{key} {complaint}"),
        Said::OfKey(text) | Said::Whole(text) => text,
    };
    let message = match subject {
        "" => message,
        subject if stands_in_file => format!("{subject}: {message}"),
        _ => message,
    };
    Problem {
        origin: fault.origin,
        message,
        hint: fault.hint,
    }
}

/// `did you mean "x"?`, if something near enough stands among the candidates.
pub(super) fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// Two slips in a long word, one in a short: further away it is another word.
    const SLIPS: usize = 2;
    let typed = typed.to_lowercase();
    let allowed = SLIPS.min(typed.chars().count().div_ceil(3));
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&typed, &candidate.to_lowercase());
    let near = candidates.into_iter().min_by_key(distance)?;
    (distance(&near) <= allowed).then(|| format!("did you mean {}?", quoted(near)))
}
