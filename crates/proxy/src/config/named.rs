//! The parts that a file has several of: `[[listener]]` and `[[site]]`, each with a name.
use super::{
    Origin,
    reader::{Place, Reader},
    report::Found,
    tree::{Kind, Table, Value, quoted},
    values,
};

/// The tables of `[[key]]`.
pub(super) fn tables(root: &mut Reader<'_>, key: &'static str) -> Vec<(Table, Origin)> {
    let Some(value) = root.take(key) else {
        return Vec::new();
    };
    let no_list = |value: &Value| {
        let fault = value.fault(format!("must be a list of tables, not {}", value.kind.describe()));
        fault.hint(format!("begin each with [[{key}]], or write a list in JSON and YAML"))
    };
    let Kind::Array(items) = value.kind else {
        root.fault(key, no_list(&value));
        return Vec::new();
    };
    let mut tables = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value {
                kind: Kind::Table(table),
                origin,
            } => tables.push((table, origin)),
            other => root.fault(key, no_list(&other)),
        }
    }
    tables
}

/// The name of a part.
pub(super) struct Name {
    /// The name, and where it stands or the part that it follows from.
    pub(super) found: Found<String>,
    /// Where it stands; None: it follows from what the part holds.
    pub(super) stated: Option<Origin>,
}

/// Reads a part's name; without one it is called as the first of a list in it, or by the last resort.
pub(super) fn begin<'r>(
    root: &'r mut Reader<'_>,
    section: &'static str,
    part: (Table, &Origin),
    called_after: (&str, &str),
) -> (Reader<'r>, Name) {
    let (table, origin) = part;
    let (list, last_resort) = called_after;
    let stated = table.peek("name").map(|name| name.origin.clone());
    let found = match table.peek("name").map(values::name) {
        Some(Ok(name)) => Found::new(name, stated.clone().unwrap_or(Origin::Default)),
        Some(Err(fault)) => {
            root.fault("name", fault);
            Found::new(last_resort.to_owned(), origin.clone())
        }
        None => {
            let first = first_text(&table, list).unwrap_or(last_resort);
            Found::new(first.to_lowercase(), origin.clone())
        }
    };
    let mut reader = root.beside(table, Place::named(section, &found.value));
    reader.take("name");
    let told = stated.clone().unwrap_or(Origin::Default);
    reader.explain("name", quoted(&found.value), told);
    (reader, Name { found, stated })
}

fn first_text<'t>(table: &'t Table, list: &str) -> Option<&'t str> {
    match &table.peek(list)?.kind {
        Kind::Array(items) => items.first()?.text().ok(),
        _ => None,
    }
}
