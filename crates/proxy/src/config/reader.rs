//! Reading a table: keys are taken out one by one, every problem is kept, and what is left over is unknown.
use super::{
    Explained, Origin, later, reference,
    report::{Fault, Found, Report, did_you_mean, problem},
    tree::{Kind, Table, Value, bare_or_quoted, quoted},
};

/// Which part of the configuration a table is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The row of the table of reserved names: `site.tls`.
    section: &'static str,
    /// For people: `site "api"`; empty at the root.
    subject: String,
    /// Its path for `check --explain`: `site.api.tls`.
    path: String,
    /// Its path below the subject: `tls`.
    within: String,
}

impl Place {
    pub(super) fn root() -> Place {
        Place {
            section: "",
            subject: String::new(),
            path: String::new(),
            within: String::new(),
        }
    }

    /// One of the named things: a listener, a site, an upstream.
    pub(super) fn named(section: &'static str, name: &str) -> Place {
        let subject = format!("{section} {}", quoted(name));
        let path = format!("{section}.{}", bare_or_quoted(name));
        Place {
            section,
            subject,
            path,
            within: String::new(),
        }
    }

    fn below(&self, section: &'static str, key: &str) -> Place {
        let place = self.clone();
        Place {
            section,
            path: joined(&self.path, key),
            within: joined(&self.within, key),
            ..place
        }
    }
}

/// Takes keys out of one table.
pub(super) struct Reader<'r> {
    table: Table,
    place: Place,
    asked: Vec<&'static str>,
    explaining: Explaining,
    report: &'r mut Report,
}

/// Whether the values that a reader takes are kept for `check --explain`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Explaining {
    /// Each as it is taken.
    EachValue,
    /// Only what the owner explains: what the values come to.
    OnRequest,
    /// None: the table has no meaning where it stands.
    Nothing,
}

impl<'r> Reader<'r> {
    pub(super) fn new(table: Table, place: Place, report: &'r mut Report) -> Reader<'r> {
        Reader {
            table,
            place,
            asked: Vec::new(),
            explaining: Explaining::EachValue,
            report,
        }
    }

    /// The same reader, whose owner explains what the values come to.
    pub(super) fn unexplained(self) -> Reader<'r> {
        Reader {
            explaining: self.explaining.max(Explaining::OnRequest),
            ..self
        }
    }

    /// The same reader, of which nothing is explained, nor of the tables below it.
    pub(super) fn silent(self) -> Reader<'r> {
        Reader {
            explaining: Explaining::Nothing,
            ..self
        }
    }

    /// How many errors there are so far, in all of the configuration.
    pub(super) fn errors(&self) -> usize {
        self.report.errors.len()
    }

    /// Whether a key stands and has not been taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.peek(key).is_some()
    }

    /// Whether a list is missing or empty.
    pub(super) fn lacks(&self, list: &str) -> bool {
        let is_empty = |value: &Value| matches!(&value.kind, Kind::Array(items) if items.is_empty());
        self.table.peek(list).is_none_or(is_empty)
    }

    /// Where a key stands.
    pub(super) fn origin_of(&self, key: &str) -> Option<Origin> {
        self.table.peek(key).map(|value| value.origin.clone())
    }

    /// A key that has not been taken, as it is.
    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.table.peek(key)
    }

    /// Takes a key out, as it is.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.take(key)
    }

    /// A value, if it stands and is good.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, Fault>,
    ) -> Option<Found<T>> {
        let value = self.take(key)?;
        self.parsed(key, &value, parse)
    }

    /// A value or its default, which is written and read like any other value.
    pub(super) fn value_or<T>(
        &mut self,
        key: &'static str,
        default: Kind,
        parse: impl Fn(&Value) -> Result<T, Fault>,
    ) -> Found<T> {
        let default = Value {
            kind: default,
            origin: Origin::Default,
        };
        let value = self.take(key).unwrap_or_else(|| default.clone());
        self.parsed(key, &value, &parse).unwrap_or_else(|| {
            let value = parse(&default).unwrap_or_else(|fault| unreachable!("default of {key}: {fault:?}"));
            Found {
                value,
                origin: Origin::Default,
            }
        })
    }

    /// The default of a key that does not stand, without a word of it.
    pub(super) fn untold<T>(
        &mut self,
        key: &'static str,
        default: Kind,
        parse: impl Fn(&Value) -> Result<T, Fault>,
    ) -> T {
        let explaining = std::mem::replace(&mut self.explaining, Explaining::Nothing);
        let value = self.value_or(key, default, parse).value;
        self.explaining = explaining;
        value
    }

    /// The good items of a list, if it stands.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, Fault>,
    ) -> Option<Found<Vec<Found<T>>>> {
        let value = self.take(key)?;
        let Kind::Array(items) = &value.kind else {
            let written = value.to_string();
            let fault = value.fault(format!("must be a list, not {}", value.kind.describe()));
            self.fault(key, fault.hint(format!("write it in brackets: [{written}]")));
            return None;
        };
        self.explain_taken(key, &value);
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            match understood(item, &parse) {
                Ok((meaning, _)) => good.push(Found {
                    value: meaning,
                    origin: item.origin.clone(),
                }),
                Err(fault) => self.fault(key, fault),
            }
        }
        Some(Found {
            value: good,
            origin: value.origin,
        })
    }

    /// The good items of a list, which is empty where it is missing.
    pub(super) fn list_or_empty<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Value) -> Result<T, Fault>,
    ) -> Vec<Found<T>> {
        if !self.has(key) {
            self.explain_taken(key, &Value::strings([""; 0], Origin::Default));
        }
        self.list(key, parse).map(|found| found.value).unwrap_or_default()
    }

    /// A table below this one, empty where it is missing or is none.
    pub(super) fn table(&mut self, key: &'static str, section: &'static str) -> Reader<'_> {
        let table = match self.take(key) {
            Some(Value {
                kind: Kind::Table(table),
                ..
            }) => table,
            Some(other) => {
                let complaint = format!("must be a table, not {}", other.kind.describe());
                self.fault(key, other.fault(complaint));
                Table::default()
            }
            None => Table::default(),
        };
        self.item(table, key, section)
    }

    /// A reader of a table that stands somewhere else in the tree, with the same report.
    pub(super) fn beside(&mut self, table: Table, place: Place) -> Reader<'_> {
        Reader::new(table, place, self.report)
    }

    /// A reader of one table in a list of this one.
    pub(super) fn item(&mut self, table: Table, key: &str, section: &'static str) -> Reader<'_> {
        let is_silent = self.explaining == Explaining::Nothing;
        let reader = Reader::new(table, self.place.below(section, key), self.report);
        if is_silent { reader.silent() } else { reader }
    }

    /// `did you mean "x"?`, among names that the user chose.
    pub(super) fn suggest<'a>(&mut self, typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
        self.report.suggest(typed, names)
    }

    /// Keeps an error about a key.
    pub(super) fn fault(&mut self, key: &str, fault: Fault) {
        let key = joined(&self.place.within, key);
        self.report.errors.push(problem(&self.place.subject, &key, fault));
    }

    /// Keeps an error about the table itself.
    pub(super) fn error(&mut self, fault: Fault) {
        self.report.error(&self.place.subject, fault);
    }

    /// Keeps something worth saying.
    pub(super) fn notice(&mut self, fault: Fault) {
        self.report.notice(&self.place.subject, fault);
    }

    /// Keeps a value for `check --explain`; the key is one of ours, dots and all.
    pub(super) fn explain(&mut self, key: &str, value: String, origin: Origin) {
        if self.explaining == Explaining::Nothing {
            return;
        }
        let path = &self.place.path;
        let key = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        self.report.explained.push(Explained { key, value, origin });
    }

    /// Tells every key that nobody asked for.
    pub(super) fn finish(self) {
        let Reader {
            table,
            place,
            asked,
            report,
            ..
        } = self;
        #[cfg(test)]
        report.asked.extend(asked.iter().map(|key| (place.section, *key)));
        for (key, value) in table.into_entries() {
            let shown = quoted(&joined(&place.within, &key));
            let fault = match later::key_of(place.section, &key) {
                Some(later) => Fault::whole(value.origin, format!("{shown} is not in this version"))
                    .maybe_hint(later.hint.map(str::to_owned)),
                None => {
                    let near = asked.iter().copied().chain(later::keys_of(place.section));
                    let hint = did_you_mean(&key, near).or_else(|| reference::elsewhere(&key, place.section));
                    Fault::whole(value.origin, format!("unknown key {shown}")).maybe_hint(hint)
                }
            };
            report.errors.push(problem(&place.subject, "", fault));
        }
    }

    /// Keeps a table whose keys the user chose for `check --explain`.
    pub(super) fn explain_table(&mut self, key: &str, shown: String, origin: Origin) {
        if self.explaining == Explaining::EachValue {
            self.explain(key, shown, origin);
        }
    }

    fn explain_taken(&mut self, key: &str, value: &Value) {
        if self.explaining == Explaining::EachValue {
            self.explain(key, value.to_string(), value.origin.clone());
        }
    }

    fn parsed<T>(
        &mut self,
        key: &'static str,
        value: &Value,
        parse: impl Fn(&Value) -> Result<T, Fault>,
    ) -> Option<Found<T>> {
        match understood(value, parse) {
            Ok((meaning, read)) => {
                self.explain_taken(key, read.as_ref().unwrap_or(value));
                Some(Found {
                    value: meaning,
                    origin: value.origin.clone(),
                })
            }
            Err(fault) => {
                self.fault(key, fault);
                None
            }
        }
    }
}

/// A value as its key takes it, and what it was read as where that is not how it stands: what came from elsewhere has no
/// quotes to leave out, and `${WORKERS}` is a number where the key wants one.
fn understood<T>(value: &Value, parse: impl Fn(&Value) -> Result<T, Fault>) -> Result<(T, Option<Value>), Fault> {
    let fault = match parse(value) {
        Ok(meaning) => return Ok((meaning, None)),
        Err(fault) => fault,
    };
    let Some(kind) = unquoted(value) else {
        return Err(fault);
    };
    let read = Value {
        kind,
        origin: value.origin.clone(),
    };
    match parse(&read) {
        Ok(meaning) => Ok((meaning, Some(read))),
        Err(other) if other.wants_text() => Err(fault),
        Err(other) => Err(other),
    }
}

/// What a text would be without its quotes, if it is not text then.
fn unquoted(value: &Value) -> Option<Kind> {
    let text = value.text().ok().filter(|_| value.origin.is_fetched_whole())?;
    let number = || text.parse().ok().filter(|number: &f64| number.is_finite());
    match text {
        "true" => Some(Kind::Bool(true)),
        "false" => Some(Kind::Bool(false)),
        _ => match text.parse() {
            Ok(number) => Some(Kind::Integer(number)),
            Err(_) => number().map(Kind::Float),
        },
    }
}

fn joined(path: &str, key: &str) -> String {
    let key = bare_or_quoted(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
