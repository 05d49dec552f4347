//! Text, flags and environment -> one spanned tree -> a [`Plan`], with every problem at once.
//!
//! A value of the file, a flag and a variable become entries of the same tree, each with its [`Origin`]. Readers
//! take keys out of it; what is left over is unknown, and a name whose meaning this version lacks is refused.
use crate::plan::{AdminPlan, Plan};
use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

mod access;
mod action;
mod address;
mod certificates;
mod check;
mod client_auth;
mod condition;
mod document;
mod environment;
mod exempt;
pub mod flags;
mod flat;
mod footing;
mod headers;
mod http_listener;
mod include;
mod json;
mod key_log;
mod keys;
mod later;
mod listener;
mod named;
mod names;
mod origin;
mod policy;
mod process;
mod rate;
mod reader;
mod reading;
mod reference;
mod report;
mod route;
mod service;
mod settings;
mod site;
mod substitute;
mod toml_form;
mod tree;
mod typed;
mod upstream;
mod upstream_http;
mod values;
mod yaml;
mod yaml_scalar;

pub use origin::{Origin, Via};
use reader::{Place, Reader};
pub(crate) use reading::{LONGEST_FILE, Reading, matches};
pub use reference::markdown as reference;
use report::{Fault, Report};
use substitute::Substituting;
use tree::{Kind, Table, Value};

/// The file that is read when nothing names one.
pub const USUAL_FILE: &str = "portcullis.toml";

/// Where a configuration comes from. Precedence: flag, environment, file, default.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file, if one was named or found.
    pub file: Option<PathBuf>,
    /// Flags as typed: name without dashes (`listen`), values in order; a switch has the value `true`.
    pub flags: Vec<(String, Vec<String>)>,
    /// The environment as it is; the reader takes what is ours.
    pub environment: Vec<(String, String)>,
}

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// Notices and warnings that stop nothing.
    pub notices: Vec<Problem>,
    /// Every value with where it came from, for `check --explain`.
    pub explained: Vec<Explained>,
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `site.shop.tls.groups`
    pub key: String,
    /// As it would be written in TOML.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// One thing wrong, or worth saying: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What: lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A configuration in code is built of the same parts: `Source::default().flag("listen", "127.0.0.1:0")`.
impl Source {
    /// What a file says.
    pub fn of_file(file: impl Into<PathBuf>) -> Source {
        Source {
            file: Some(file.into()),
            ..Source::default()
        }
    }

    /// What this process's environment says (`PORTCULLIS_LISTEN` and the others), and the file that it names. Variables
    /// that are no text cannot be ours.
    pub fn of_environment() -> Source {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment = std::env::vars_os().filter_map(text).collect();
        Source::find(Vec::new(), environment, |_| false)
    }

    /// The same with a flag of `portcullis serve`, named without its dashes; a switch has the value `true`. A flag that
    /// may be repeated is, each time with one more value.
    pub fn flag(mut self, name: &str, value: impl Into<String>) -> Source {
        self.flags.push((name.to_owned(), vec![value.into()]));
        self
    }

    /// Flags and environment with the file they name, else the usual one if it is there and no flag describes a site.
    pub fn find(
        flags: Vec<(String, Vec<String>)>,
        environment: Vec<(String, String)>,
        is_there: impl FnOnce(&Path) -> bool,
    ) -> Source {
        let mut source = Source {
            file: None,
            flags,
            environment,
        };
        let usual = Path::new(USUAL_FILE);
        let describes_a_site = source.flags.iter().any(|(name, _)| flags::describes_a_site(name));
        source.file = source.named_file();
        if source.file.is_none() && !describes_a_site && is_there(usual) {
            source.file = Some(usual.to_owned());
        }
        source
    }

    /// The file that a flag, else a variable, names.
    fn named_file(&self) -> Option<PathBuf> {
        let is_file = |flag: &flags::Flag| flag.meaning == flags::Meaning::File;
        let by_flag = self
            .flags
            .iter()
            .rev()
            .filter(|(name, _)| flags::by_name(name).is_some_and(is_file));
        let by_variable = self
            .environment
            .iter()
            .filter(|(name, text)| environment::flag_of(name).is_some_and(is_file) && !text.is_empty());
        let mut texts = by_flag
            .filter_map(|(_, texts)| texts.last())
            .chain(by_variable.map(|(_, text)| text));
        texts.next().map(PathBuf::from)
    }
}

/// Reads and checks everything. The only I/O is reading the file, what it includes, and what `file:` names.
pub fn load(source: &Source) -> Result<Loaded, Vec<Problem>> {
    load_noting(source, &mut Reading::default())
}

/// The same, and what was read for it, whatever came of it.
pub(crate) fn load_noting(source: &Source, reading: &mut Reading) -> Result<Loaded, Vec<Problem>> {
    let file = source.file.clone().or_else(|| source.named_file());
    understand(source, reading, |reading, report| match &file {
        Some(file) => include::read(file, &source.environment, (reading, report)),
        None => Some(Table::default()),
    })
}

/// The same for a file whose text is at hand; `source.file` only names it.
pub fn load_text(source: &Source, text: &str) -> Result<Loaded, Vec<Problem>> {
    let file = source.file.as_deref().unwrap_or(Path::new(USUAL_FILE));
    understand(source, &mut Reading::default(), |reading, report| {
        include::follow(text, file, &source.environment, (reading, report))
    })
}

fn understand(
    source: &Source,
    reading: &mut Reading,
    document: impl FnOnce(&mut Reading, &mut Report) -> Option<Table>,
) -> Result<Loaded, Vec<Problem>> {
    let mut report = Report::default();
    let mut given = typed::collect(source, &mut report);
    let key_log = given.key_log.take();
    let key_log = key_log.and_then(|named| key_log::read(&named, &source.environment, &mut report));
    let plan = document(reading, &mut report).map(|document| {
        let document = filled(document, &source.environment, (reading, &mut report));
        let tree = joined(document, given, &mut report);
        let plan = plan(tree, &source.environment, &mut report);
        Plan { key_log, ..plan }
    });
    let report = report.finish();
    match plan {
        Some(plan) if report.errors.is_empty() => Ok(Loaded {
            plan,
            notices: report.notices,
            explained: report.explained,
        }),
        _ => Err(report.errors),
    }
}

/// A table with what its values name.
fn filled(table: Table, environment: &[(String, String)], to: (&mut Reading, &mut Report)) -> Table {
    let mut value = Value {
        kind: Kind::Table(table),
        origin: Origin::Default,
    };
    substitute::value(&mut value, &mut Substituting::new(environment, to.0, to.1));
    match value.kind {
        Kind::Table(table) => table,
        _ => unreachable!("a table stays one"),
    }
}

/// The running proxy's admin listener, for commands that speak to it: `--admin`, else PORTCULLIS_ADMIN, else what the
/// file says, else the default. Nothing else of the file needs to be good.
pub fn admin(source: &Source) -> Result<Option<AdminPlan>, Vec<Problem>> {
    let mut report = Report::default();
    let given = typed::collect(source, &mut report);
    let is_typed = source.flags.iter().any(|(name, _)| name == "admin");
    let file = source.file.as_deref().filter(|_| !is_typed);
    let (mut reading, mut tree) = (Reading::default(), Table::default());
    if let Some(file) = file {
        let document = include::read(file, &source.environment, (&mut reading, &mut report));
        let Some(mut document) = document else {
            return Err(report.finish().errors);
        };
        document
            .take("admin")
            .into_iter()
            .for_each(|admin| tree.push("admin", admin));
    }
    tree = filled(tree, &source.environment, (&mut reading, &mut report));
    tree.overlay(given.process);
    let admin = process::admin(&mut Reader::new(tree, Place::root(), &mut report), &source.environment);
    let errors = report.finish().errors;
    if errors.is_empty() {
        Ok(admin.map(|admin| admin.value))
    } else {
        Err(errors)
    }
}

/// Problems as a person reads them, each with its hint below it.
pub fn render(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The file's tree under what flags and environment say.
fn joined(mut document: Table, mut given: typed::Given, report: &mut Report) -> Table {
    let own = ["listener", "site"]
        .into_iter()
        .find_map(|key| Some((key, document.peek(key)?.origin.clone())));
    match own {
        Some((key, origin)) => {
            given.certificates(report);
            for flag in &given.described_by {
                let message = format!("describes a listener and a site, but {origin} has [[{key}]] of its own");
                report.error(
                    "",
                    Fault::whole(flag.clone(), message).hint("write it there, or leave the file out"),
                );
            }
            flat::refuse(&mut document, key, report);
            given.brought.tell(report);
            document.overlay(given.process);
        }
        None => {
            let flat = flat::take(&mut document, &mut given.brought, report);
            given.over(flat, report);
            given.brought.tell(report);
            document.overlay(given.process.clone());
            document.overlay(given.into_served());
        }
    }
    document
}

/// The tree's meaning; where the report has errors it is filled with defaults and must not be used.
fn plan(tree: Table, environment: &[(String, String)], report: &mut Report) -> Plan {
    let mut root = Reader::new(tree, Place::root(), report);
    // It was followed already; a slip in its name is told with the others.
    root.take(include::KEY);
    let process = process::read(&mut root, environment);
    let listeners = listener::read_all(&mut root);
    let upstreams = upstream::read_all(&mut root);
    let sites = site::read_all(&mut root, &footing::Neighbours::new(&listeners, &upstreams));
    root.finish();
    check::Drafts {
        process: &process,
        listeners: &listeners,
        sites: &sites,
        upstreams: &upstreams,
    }
    .check(report);
    Plan {
        workers: process.workers,
        log: process.log,
        key_log: None,
        admin: process.admin.map(|admin| admin.value),
        metrics: process.metrics,
        ledger: process.ledger,
        traces: process.traces,
        shutdown: process.shutdown,
        watch: process.watch,
        listeners: listeners.into_iter().map(listener::Draft::into_plan).collect(),
        sites: sites.into_iter().map(|site| site.plan).collect(),
        upstreams: upstreams.into_iter().map(|upstream| upstream.plan).collect(),
    }
    .with_protocols()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Default => f.write_str(&self.message)?,
            ref origin => write!(f, "{origin}: {}", self.message)?,
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}
