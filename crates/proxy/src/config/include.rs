//! `include`: files that are read as if they stood in the one that names them. Tables merge, lists of tables go on,
//! and what is set twice is told with both places.
use super::{
    Origin, document,
    reading::Reading,
    report::{Fault, Report},
    substitute::{self, Substituting},
    tree::{Kind, Table, Value, bare_or_quoted, quoted},
    values::based,
};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Its name.
pub(super) const KEY: &str = "include";
/// Files in files in files: nobody finds anything beyond.
const DEEPEST: usize = 16;

/// The tree of a file and of all that it includes; None where the report says why there is none.
pub(super) fn read(path: &Path, environment: &[(String, String)], to: (&mut Reading, &mut Report)) -> Option<Table> {
    let (reading, report) = to;
    let text = reading.text(path);
    let text = text.map_err(|problem| report.errors.push(problem)).ok()?;
    follow(&text, path, environment, (reading, report))
}

/// The same of a text at hand, which `path` names.
pub(super) fn follow(
    text: &str,
    path: &Path,
    environment: &[(String, String)],
    (reading, report): (&mut Reading, &mut Report),
) -> Option<Table> {
    let errors = report.count();
    let mut files = Files {
        environment,
        reading,
        report,
        read: fs::canonicalize(path).into_iter().collect(),
    };
    let table = files.parsed(text, path, 0);
    table.filter(|_| report.count() == errors)
}

struct Files<'a> {
    environment: &'a [(String, String)],
    reading: &'a mut Reading,
    report: &'a mut Report,
    /// What was read, by the names that no link can double.
    read: HashSet<PathBuf>,
}

impl Files<'_> {
    fn parsed(&mut self, text: &str, path: &Path, depth: usize) -> Option<Table> {
        let mut table = match document::parse(text, path) {
            Ok(table) => table,
            Err(problems) => {
                self.report.errors.extend(problems);
                return None;
            }
        };
        if let Some(value) = table.take(KEY) {
            self.included(value, &mut table, depth);
        }
        Some(table)
    }

    fn included(&mut self, mut value: Value, into: &mut Table, depth: usize) {
        substitute::value(
            &mut value,
            &mut Substituting::new(self.environment, self.reading, self.report),
        );
        self.report.explain(KEY, &value);
        let Kind::Array(items) = value.kind else {
            let shown = value.to_string();
            let fault = value.whole_fault(format!("{KEY} must be a list, not {}", value.kind.describe()));
            return self
                .report
                .error("", fault.hint(format!("write it in brackets: [{shown}]")));
        };
        for item in items {
            match item.text() {
                Ok(_) if self.report.is_unfilled(&item) => {}
                Ok("") => self.report.error("", item.whole_fault(format!("{KEY} names no file"))),
                Ok(text) if text.contains(['*', '?', '[']) => self.matching(&item, text, into, depth),
                Ok(text) => self.one(&based(&item, text), &item.origin, into, depth),
                Err(_) => {
                    let kind = item.kind.describe();
                    let fault = item.whole_fault(format!("{KEY} takes the names of files, not {kind}"));
                    self.report.error("", fault);
                }
            }
        }
    }

    fn matching(&mut self, item: &Value, text: &str, into: &mut Table, depth: usize) {
        // Only what is written may match: a folder above may have any name.
        let folder = item.origin.file().and_then(Path::parent).unwrap_or(Path::new(""));
        let pattern = match folder.to_str() {
            _ if Path::new(text).is_absolute() => text.to_owned(),
            Some("") => text.to_owned(),
            Some(folder) => format!("{}/{text}", glob::Pattern::escape(folder)),
            None => {
                let fault = item.whole_fault("a pattern needs a folder whose name is UTF-8");
                return self.report.error("", fault);
            }
        };
        if let Err(error) = glob::Pattern::new(&pattern) {
            let fault = item.whole_fault(format!("{KEY} {} is no pattern: {}", quoted(text), error.msg));
            return self.report.error("", fault);
        }
        let found = self.reading.pattern(pattern);
        if found.is_empty() {
            let fault = item.whole_fault(format!("no file matches {}", quoted(text)));
            self.report.notice("", fault);
        }
        for path in found {
            self.one(&path, &item.origin, into, depth);
        }
    }

    fn one(&mut self, path: &Path, origin: &Origin, into: &mut Table, depth: usize) {
        let shown = path.display();
        let told = |message: String| Fault::whole(origin.clone(), message);
        if depth == DEEPEST {
            return self.report.error(
                "",
                told(format!(
                    "{shown} is included too deep: {DEEPEST} files name one another"
                )),
            );
        }
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => {
                // Noted all the same: once it is there, what is read changes.
                let _ = self.reading.file(path);
                return self.report.error("", told(format!("{shown} cannot be read: {error}")));
            }
        };
        if !self.read.insert(real) {
            let fault = told(format!("{shown} is read already"));
            return self
                .report
                .error("", fault.hint("each file is included once, and none includes itself"));
        }
        match self.reading.text(path) {
            Ok(text) => {
                if let Some(table) = self.parsed(&text, path, depth + 1) {
                    merge(into, table, "", self.report);
                }
            }
            Err(problem) => self.report.errors.push(problem),
        }
    }
}

/// What an included table adds; `path` is where it stands in the tree.
fn merge(into: &mut Table, from: Table, path: &str, report: &mut Report) {
    for (key, value) in from.into_entries() {
        let Some(have) = into.peek_mut(&key) else {
            into.push(&key, value);
            continue;
        };
        let name = match path {
            "" => bare_or_quoted(&key),
            path => format!("{path}.{}", bare_or_quoted(&key)),
        };
        match (&mut have.kind, value.kind) {
            (Kind::Table(have), Kind::Table(more)) => merge(have, more, &name, report),
            (Kind::Array(have), Kind::Array(more)) if are_tables(have) && are_tables(&more) => have.extend(more),
            _ => {
                let fault = Fault::whole(value.origin, format!("{name} stands at {} already", have.origin));
                report.error("", fault.hint("set it in one of both"));
            }
        }
    }
}

fn are_tables(items: &[Value]) -> bool {
    items.iter().all(|item| matches!(item.kind, Kind::Table(_)))
}
