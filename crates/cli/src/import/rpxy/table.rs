//! TOML whose values know their lines, taken out key by key; what is left over is told.
use super::super::draft::{Note, Part, Place};
use std::path::Path;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    place: Place,
    key: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(String),
    Number(u64),
    Switch(bool),
    List(Vec<Entry>),
    Table(Table),
    /// A date, a fraction, a negative number: nothing here is one.
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) place: Place,
    entries: Vec<Entry>,
    notes: Vec<Note>,
}

/// Reads a text; `file` only names it.
pub(super) fn parse(text: &str, file: &Path) -> Result<Table, Vec<String>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let line = |offset: usize| {
        1 + text.as_bytes()[..offset.min(text.len())]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
    };
    if !errors.is_empty() {
        let said = |error: &toml::de::Error| {
            let line = line(error.span().map_or(0, |span| span.start));
            format!("{}:{line}: {}", file.display(), error.message())
        };
        return Err(errors.iter().map(said).collect());
    }
    let place = |offset: usize| Place::new(file, line(offset));
    Ok(table(document.get_ref(), place(0), &place))
}

fn table(source: &DeTable<'_>, at: Place, place: &dyn Fn(usize) -> Place) -> Table {
    let mut sorted: Vec<_> = source.iter().collect();
    sorted.sort_by_key(|(key, _)| key.span().start);
    let entries = sorted
        .into_iter()
        .map(|(key, value)| entry(key.get_ref(), value, place(key.span().start), place));
    Table {
        place: at,
        entries: entries.collect(),
        notes: Vec::new(),
    }
}

fn entry(key: &str, value: &Spanned<DeValue<'_>>, at: Place, place: &dyn Fn(usize) -> Place) -> Entry {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).map_or(Kind::Other, Kind::Number)
        }
        DeValue::Boolean(is) => Kind::Switch(*is),
        DeValue::Array(items) => {
            let items = items
                .iter()
                .map(|item| entry(key, item, place(item.span().start), place));
            Kind::List(items.collect())
        }
        DeValue::Table(inner) => Kind::Table(table(inner, at.clone(), place)),
        DeValue::Float(_) | DeValue::Datetime(_) => Kind::Other,
    };
    Entry {
        place: at,
        key: key.to_owned(),
        kind,
    }
}

impl Entry {
    pub(super) fn note(&self, why: impl Into<String>) -> Note {
        let shown = match &self.kind {
            Kind::Text(text) => format!("{} = {text:?}", self.key),
            Kind::Number(number) => format!("{} = {number}", self.key),
            Kind::Switch(is) => format!("{} = {is}", self.key),
            Kind::List(_) | Kind::Table(_) | Kind::Other => self.key.clone(),
        };
        Note::new(&self.place, shown, why)
    }
}

impl Table {
    /// A table that says nothing.
    pub(super) fn empty(place: &Place) -> Table {
        Table {
            place: place.clone(),
            entries: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Whether a key stands and says more than no.
    pub(super) fn wants(&self, key: &str) -> bool {
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.is_some_and(|entry| !matches!(entry.kind, Kind::Switch(false)))
    }

    /// Takes a key out.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.typed(key, |kind| match kind {
            Kind::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn number(&mut self, key: &str) -> Option<u64> {
        self.typed(key, |kind| match kind {
            Kind::Number(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn switch(&mut self, key: &str) -> Option<bool> {
        self.typed(key, |kind| match kind {
            Kind::Switch(is) => Some(*is),
            _ => None,
        })
    }

    /// One text, or several.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let text = |kind: &Kind| match kind {
            Kind::Text(text) => Some(text.clone()),
            _ => None,
        };
        let found = self.typed(key, |kind| match kind {
            Kind::List(items) => items.iter().map(|item| text(&item.kind)).collect(),
            one => text(one).map(|text| vec![text]),
        });
        found.unwrap_or_default()
    }

    /// The table under a key.
    pub(super) fn table(&mut self, key: &str) -> Option<Table> {
        self.typed(key, |kind| match kind {
            Kind::Table(table) => Some(table.clone()),
            _ => None,
        })
    }

    /// The tables of a list.
    pub(super) fn list(&mut self, key: &str) -> Vec<Table> {
        let found = self.typed(key, |kind| match kind {
            Kind::List(items) => items
                .iter()
                .map(|item| match &item.kind {
                    Kind::Table(table) => Some(Table {
                        place: item.place.clone(),
                        ..table.clone()
                    }),
                    _ => None,
                })
                .collect(),
            _ => None,
        });
        found.unwrap_or_default()
    }

    /// The tables of a table, by name.
    pub(super) fn named(&mut self, key: &str) -> Vec<(String, Table)> {
        let mut all = Vec::new();
        for entry in self.table(key).into_iter().flat_map(|table| table.entries) {
            match entry.kind {
                Kind::Table(table) => all.push((entry.key, table)),
                _ => self.notes.push(entry.note("must be a table")),
            }
        }
        all
    }

    /// Tells what nobody took.
    pub(super) fn finish(self, part: &mut Part) {
        part.notes.extend(self.notes);
        part.notes
            .extend(self.entries.iter().map(|entry| entry.note("unknown here")));
    }

    fn typed<T>(&mut self, key: &str, meaning: impl Fn(&Kind) -> Option<T>) -> Option<T> {
        let entry = self.take(key)?;
        let found = meaning(&entry.kind);
        if found.is_none() {
            self.notes.push(entry.note("is not of the type that rpxy takes"));
        }
        found
    }
}
