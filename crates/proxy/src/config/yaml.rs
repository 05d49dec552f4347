//! YAML 1.2 with its core schema: `yes` and `off` are words, a number is a number, and the events of the parser carry
//! their lines. Anchors and `<<` mean what they mean everywhere; what has no meaning in a configuration is refused.
use super::{
    Origin, Problem,
    document::{DEEPEST, KEYS_STAND_ONCE, Source},
    tree::{Kind, Table, Value},
    yaml_scalar::{self, Unfit},
};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::{
    collections::{HashMap, HashSet},
    mem,
};

/// Values of a file, repeated ones included: aliases of aliases could make more than any memory holds.
const MOST_VALUES: usize = 1_000_000;

/// Parses YAML.
pub(super) fn parse(source: Source<'_>) -> Result<Table, Vec<Problem>> {
    let mut parser = Parser::new_from_str(source.text);
    let mut builder = Builder::new(source);
    while let Some(next) = parser.next_event() {
        let told = match next {
            Ok((event, span)) => builder.event(event, span.start.line()),
            Err(error) => {
                let origin = builder.source.line(error.marker().line());
                builder.stop(origin, error.info())
            }
        };
        if told.is_err() {
            return builder.source.give_up();
        }
    }
    builder.finish()
}

/// The source knows what is wrong, and no tree can be made.
struct Blamed;

/// A table or list whose end has not come yet.
struct Open {
    holds: Holds,
    origin: Origin,
    anchor: usize,
    /// How many values there were before it.
    before: usize,
}

enum Holds {
    Table {
        table: Table,
        keys: HashSet<String>,
        /// A key whose value comes next.
        key: Option<(Key, Origin)>,
        /// What `<<` brings in where no key of its own stands.
        merged: Vec<Value>,
    },
    List(Vec<Value>),
}

enum Key {
    Text(String),
    Merge,
    /// One that stood before: its value goes nowhere.
    Double,
}

struct Builder<'a> {
    source: Source<'a>,
    open: Vec<Open>,
    root: Option<Value>,
    anchored: HashMap<usize, (Value, usize)>,
    values: usize,
    documents: usize,
}

impl<'a> Builder<'a> {
    fn new(source: Source<'a>) -> Builder<'a> {
        Builder {
            source,
            open: Vec::new(),
            root: None,
            anchored: HashMap::new(),
            values: 0,
            documents: 0,
        }
    }

    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), Blamed> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.stop(self.source.line(line), "a second document: a file holds one");
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, (style, tag.as_deref()), anchor, line),
            Event::Alias(anchor) => self.alias(anchor, line),
            Event::MappingStart(anchor, tag) => {
                let table = Holds::Table {
                    table: Table::default(),
                    keys: HashSet::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(table, ("map", tag.as_deref()), anchor, line)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Holds::List(Vec::new()), ("seq", tag.as_deref()), anchor, line)
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// Keeps what ends the reading.
    fn stop(&mut self, origin: Origin, message: &str) -> Result<(), Blamed> {
        self.source.problem(origin, message, None);
        Err(Blamed)
    }

    /// Where a value stands: where its key does, else where it begins.
    fn place(&self, line: usize) -> Origin {
        match self.open.last().map(|open| &open.holds) {
            Some(Holds::Table {
                key: Some((_, origin)), ..
            }) => origin.clone(),
            _ => self.source.line(line),
        }
    }

    fn awaits_key(&self) -> bool {
        let holds = self.open.last().map(|open| &open.holds);
        matches!(holds, Some(Holds::Table { key: None, .. }))
    }

    fn scalar(
        &mut self,
        text: &str,
        written: (ScalarStyle, Option<&Tag>),
        anchor: usize,
        line: usize,
    ) -> Result<(), Blamed> {
        if self.awaits_key() {
            self.key(text, written.0, line);
            return Ok(());
        }
        let origin = self.place(line);
        let kind = match yaml_scalar::kind(text, written.0, written.1) {
            Ok(kind) => kind,
            Err(Unfit::TooLarge) => {
                self.source.too_large(&origin, text);
                Kind::Integer(0)
            }
            Err(Unfit::Because(message, hint)) => {
                self.source.problem(origin.clone(), message, hint);
                Kind::Null
            }
        };
        self.add(Value { kind, origin }, anchor, 1)
    }

    fn key(&mut self, text: &str, style: ScalarStyle, line: usize) {
        let origin = self.source.line(line);
        let Some(Open {
            holds: Holds::Table { keys, key, .. },
            ..
        }) = self.open.last_mut()
        else {
            return;
        };
        let meant = match text {
            "<<" if style == ScalarStyle::Plain => Key::Merge,
            text => Key::Text(text.to_owned()),
        };
        if keys.insert(text.to_owned()) {
            *key = Some((meant, origin));
        } else {
            *key = Some((Key::Double, origin.clone()));
            self.source.problem(origin, "duplicate key", Some(KEYS_STAND_ONCE));
        }
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), Blamed> {
        let origin = self.place(line);
        if self.awaits_key() {
            return self.stop(origin, "a key must be text, not an alias");
        }
        match self.anchored.get(&anchor) {
            Some((value, values)) => {
                let (kind, values) = (value.kind.clone(), *values);
                self.add(Value { kind, origin }, 0, values)
            }
            None => self.stop(origin, "an alias within what it stands for"),
        }
    }

    fn begin(&mut self, holds: Holds, tags: (&str, Option<&Tag>), anchor: usize, line: usize) -> Result<(), Blamed> {
        let origin = self.place(line);
        if self.awaits_key() {
            return self.stop(origin, "a key must be text, not a list or table");
        }
        if self.open.len() > DEEPEST {
            return self.stop(origin, &format!("nested deeper than {DEEPEST} levels"));
        }
        let (usual, tag) = tags;
        if let Some(tag) = tag.filter(|tag| !yaml_scalar::is_core(tag, usual)) {
            let (message, hint) = yaml_scalar::refused(tag);
            self.source.problem(origin.clone(), message, hint);
        }
        self.open.push(Open {
            holds,
            origin,
            anchor,
            before: self.values,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Blamed> {
        let Some(Open {
            holds,
            origin,
            anchor,
            before,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let kind = match holds {
            Holds::List(items) => Kind::Array(items),
            Holds::Table {
                table, keys, merged, ..
            } => Kind::Table(self.merge(table, keys, merged)),
        };
        let inside = self.values - before;
        self.values = before;
        self.add(Value { kind, origin }, anchor, inside + 1)
    }

    /// A key of the table's own wins over one that `<<` brings, and an earlier `<<` over a later.
    fn merge(&mut self, mut table: Table, mut keys: HashSet<String>, merged: Vec<Value>) -> Table {
        let mut tables = Vec::new();
        for value in merged {
            match value.kind {
                Kind::Table(table) => tables.push(table),
                Kind::Array(items) if items.iter().all(|item| matches!(item.kind, Kind::Table(_))) => {
                    tables.extend(items.into_iter().filter_map(|item| match item.kind {
                        Kind::Table(table) => Some(table),
                        _ => None,
                    }));
                }
                other => {
                    let message = format!("<< takes a table or a list of tables, not {}", other.describe());
                    self.source.problem(value.origin, message, None);
                }
            }
        }
        for (key, value) in tables.into_iter().flat_map(Table::into_entries) {
            if keys.insert(key.clone()) {
                table.push(&key, value);
            }
        }
        table
    }

    /// A value that is whole, of so many values in all.
    fn add(&mut self, value: Value, anchor: usize, values: usize) -> Result<(), Blamed> {
        self.values += values;
        if self.values > MOST_VALUES {
            let message = format!("more than {MOST_VALUES} values, each alias counted as what it stands for");
            return self.stop(value.origin, &message);
        }
        if anchor != 0 {
            self.values += values;
            self.anchored.insert(anchor, (value.clone(), values));
        }
        match self.open.last_mut().map(|open| &mut open.holds) {
            None => self.root = Some(value),
            Some(Holds::List(items)) => items.push(value),
            Some(Holds::Table { table, key, merged, .. }) => match mem::take(key) {
                Some((Key::Text(key), _)) => table.push(&key, value),
                Some((Key::Merge, _)) => merged.push(value),
                Some((Key::Double, _)) | None => {}
            },
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Table, Vec<Problem>> {
        match self.root.take() {
            None | Some(Value { kind: Kind::Null, .. }) => self.source.finish(Table::default()),
            Some(Value {
                kind: Kind::Table(table),
                ..
            }) => self.source.finish(table),
            Some(other) => {
                let message = format!("the file must hold a table of keys, not {}", other.kind.describe());
                self.source.problem(other.origin, message, None);
                self.source.give_up()
            }
        }
    }
}
