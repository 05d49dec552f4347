//! Faults as readers find them, problems as people read them, and where all of them are kept.
use super::{Explained, Origin, Problem, tree::quoted};

/// What is wrong with one value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    origin: Origin,
    said: Said,
    hint: Option<String>,
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
        }
    }

    pub(super) fn of_key(origin: Origin, complaint: impl Into<String>) -> Fault {
        Fault {
            origin,
            said: Said::OfKey(complaint.into()),
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Fault {
        Fault {
            hint: Some(hint.into()),
            ..self
        }
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

    /// `did you mean "x"?`, among names that the user chose.
    pub(super) fn suggest<'a>(&mut self, typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
        self.suggestions += 1;
        (self.suggestions <= MOST_SUGGESTIONS).then(|| did_you_mean(typed, names))?
    }
}

/// What a person reads: the subject and the key only where the origin does not say them already.
pub(super) fn problem(subject: &str, key: &str, fault: Fault) -> Problem {
    let stands_in_file = matches!(fault.origin, Origin::File(..));
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
