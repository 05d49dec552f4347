//! A configuration out of text, flags and variables, and its outcome as text.
use portcullis_proxy::config::{Explained, Loaded, Source, load, load_text, render};
use std::path::PathBuf;

/// A file, flags and variables.
#[derive(Clone, Default)]
pub(crate) struct Case {
    file: Option<(&'static str, String)>,
    flags: Vec<(String, Vec<String>)>,
    environment: Vec<(String, String)>,
}

impl Case {
    /// A file alone.
    pub(crate) fn file(text: &str) -> Case {
        Case::named("portcullis.toml", text)
    }

    /// A file of another name, whose extension says how it is written.
    pub(crate) fn named(name: &'static str, text: &str) -> Case {
        Case {
            file: Some((name, text.to_owned())),
            ..Case::default()
        }
    }

    /// `--listen :1 --plain` as words; what begins with two dashes is a flag.
    pub(crate) fn flags(line: &str) -> Case {
        Case::default().and_flags(line)
    }

    /// With flags.
    pub(crate) fn and_flags(mut self, line: &str) -> Case {
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").expect("a flag");
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or("true");
            self.flags.push((name.to_owned(), vec![value.to_owned()]));
        }
        self
    }

    /// With a variable.
    pub(crate) fn and_variable(mut self, name: &str, value: &str) -> Case {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The outcome.
    pub(crate) fn load(&self) -> Result<Loaded, String> {
        let file = self.file.as_ref().map(|(name, _)| PathBuf::from(name));
        let source = Source {
            file,
            flags: self.flags.clone(),
            environment: self.environment.clone(),
        };
        let loaded = self
            .file
            .as_ref()
            .map_or_else(|| load(&source), |(_, text)| load_text(&source, text));
        loaded.map_err(|problems| render(&problems))
    }

    /// What a good configuration comes to.
    pub(crate) fn good(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// What is said of a bad one.
    pub(crate) fn bad(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("no problem with {:#?}", loaded.plan),
            Err(problems) => problems,
        }
    }
}

/// One line for each value.
pub(crate) fn explained(values: &[Explained]) -> String {
    values
        .iter()
        .map(|value| format!("{} = {}  # {}\n", value.key, value.value, value.origin))
        .collect()
}
