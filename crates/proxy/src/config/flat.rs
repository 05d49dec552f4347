//! What Quantum Safe Proxy's users bring: flat files, variables with its prefix, flags of its own.
use super::{
    Origin,
    flags::{self, Family, Flag, Guest, Meaning},
    report::{Fault, Report, did_you_mean, problem},
    tree::{Kind, Table, Value, quoted},
};
use std::{collections::BTreeMap, path};

/// What its variables begin with.
pub(super) const PREFIX: &str = "QUANTUM_SAFE_PROXY_";

/// Where it looked for certificates that nobody named.
const USUAL_CHAIN: &str = "certs/hybrid/dilithium3/server.crt";
const USUAL_KEY: &str = "certs/hybrid/dilithium3/server.key";
const USUAL_CA: &str = "certs/hybrid/dilithium3/ca.crt";

/// THE TABLE of its keys, old and new. In capitals and behind the prefix they are its variables.
const KEYS: &[(&str, Guest)] = &[
    ("listen", Guest::Flag("listen")),
    ("target", Guest::Flag("target")),
    ("cert", Guest::Chain(Family::First)),
    ("cert_path", Guest::Chain(Family::First)),
    ("key", Guest::Key(Family::First)),
    ("key_path", Guest::Key(Family::First)),
    ("hybrid_cert", Guest::Chain(Family::Hybrid)),
    ("hybrid_key", Guest::Key(Family::Hybrid)),
    ("pqc_only_cert", Guest::Chain(Family::PqcOnly)),
    ("pqc_only_key", Guest::Key(Family::PqcOnly)),
    ("fallback_cert", Guest::Chain(Family::Fallback)),
    ("fallback_key", Guest::Key(Family::Fallback)),
    ("traditional_cert", Guest::Chain(Family::Traditional)),
    ("traditional_key", Guest::Key(Family::Traditional)),
    ("classic_cert", Guest::Chain(Family::Classic)),
    ("classic_key", Guest::Key(Family::Classic)),
    ("ca_cert", Guest::Flag("ca-cert")),
    ("ca_cert_path", Guest::Flag("ca-cert")),
    ("client_ca_cert", Guest::Flag("ca-cert")),
    ("client_ca_cert_path", Guest::Flag("ca-cert")),
    ("client_cert_mode", Guest::Flag("client-cert-mode")),
    ("log_level", Guest::Flag("log-level")),
    ("config_file", Guest::Flag("config")),
    ("connection_timeout", Guest::ConnectTimeout),
    ("hybrid_mode", Guest::Nothing),
    ("environment", Guest::Nothing),
    ("buffer_size", Guest::Nothing),
    ("openssl_dir", Guest::Nothing),
    ("strategy", Guest::Nothing),
    ("use_sigalgs", Guest::Nothing),
];

/// Keys of the process, which a flat file may have too.
const OF_THE_PROCESS: &[&str] = &[
    "workers", "log", "admin", "metrics", "traces", "ledger", "shutdown", "watch", "upstream", "acme",
];

/// Certificates by family, and what else was brought.
#[derive(Default)]
pub(super) struct Brought {
    /// Chain and key of each family; what stands first in the order of families is offered first.
    pairs: BTreeMap<Family, Pair>,
    /// What has no meaning here, each with its place.
    nothing: Vec<String>,
    /// Whether anything of Quantum Safe Proxy's was used.
    is_guest: bool,
}

/// A chain and a key, as far as they are named.
pub(super) type Pair = (Option<Value>, Option<Value>);

/// A flat file, taken apart.
#[derive(Default)]
pub(super) struct Flat {
    /// Keys of the process.
    pub(super) process: Table,
    /// Keys of the one listener, site and target.
    pub(super) served: Table,
}

/// The flag that says what a variable of Quantum Safe Proxy's says, by what follows the prefix.
pub(super) fn flag_of(variable: &str) -> Option<&'static Flag> {
    let key = variable.to_ascii_lowercase();
    let (_, means) = KEYS.iter().find(|(known, _)| *known == key)?;
    match means {
        Guest::Flag(name) => flags::by_name(name),
        Guest::Chain(Family::First) => flags::by_name("cert"),
        Guest::Key(Family::First) => flags::by_name("key"),
        _ => flags::by_name(&key.replace('_', "-")),
    }
}

/// Words that Quantum Safe Proxy takes in any case, and its level that is one more than ours; others stay as they are.
pub(super) fn accustomed(flag: &str, text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let ours = match (flag, lower.as_str()) {
        ("log-level", "trace") => "debug",
        ("log-level", word @ ("debug" | "info" | "warn" | "error")) => word,
        ("client-cert-mode", word @ ("required" | "optional" | "none")) => word,
        _ => text,
    };
    ours.to_owned()
}

/// Seconds as a number become a duration of ours.
pub(super) fn seconds(text: &str, origin: &Origin) -> Result<Value, Fault> {
    let number: Result<u64, _> = text.trim().parse();
    let fault = |_| Fault::whole(origin.clone(), format!("{} is no number of seconds", quoted(text)));
    Ok(Value::string(format!("{}s", number.map_err(fault)?), origin.clone()))
}

/// Takes a flat file's keys out of a document.
pub(super) fn take(document: &mut Table, brought: &mut Brought, report: &mut Report) -> Flat {
    let mut flat = Flat::default();
    let found: Vec<_> = KEYS.iter().filter(|(key, _)| document.peek(key).is_some()).collect();
    if found.is_empty() {
        return flat;
    }
    brought.is_guest = true;
    for (key, means) in found {
        // null stands for a key that is left out
        let value = document.take(key).filter(|value| value.kind != Kind::Null);
        let placed = value.map_or(Ok(()), |value| flat.place(key, *means, value, brought));
        report.errors.extend(placed.err().map(|fault| problem("", key, fault)));
    }
    misspelt(document, report);
    flat
}

/// Beside listeners or sites, a flat key has no place.
pub(super) fn refuse(document: &mut Table, own: &str, report: &mut Report) {
    for (key, _) in KEYS {
        if let Some(value) = document.take(key) {
            let message = format!("{} stands in flat files only, and this one has [[{own}]]", quoted(key));
            report.error(
                "",
                value
                    .whole_fault(message)
                    .hint("write it in the listener, the site or the upstream"),
            );
        }
    }
}

/// A slip in a flat key is told here, since the reader of the tree does not know these names.
fn misspelt(document: &mut Table, report: &mut Report) {
    let near = |key: &str| did_you_mean(key, KEYS.iter().map(|(key, _)| *key));
    let slips: Vec<String> = document
        .entries()
        .filter(|(key, _)| !OF_THE_PROCESS.contains(&key.as_str()) && near(key).is_some())
        .map(|(key, _)| key.clone())
        .collect();
    for key in slips {
        if let Some(value) = document.take(&key) {
            let fault = value.whole_fault(format!("unknown key {}", quoted(&key)));
            report.error("", fault.maybe_hint(near(&key)));
        }
    }
}

impl Flat {
    fn place(&mut self, key: &str, means: Guest, value: Value, brought: &mut Brought) -> Result<(), Fault> {
        match means {
            Guest::Nothing => brought.nothing(format!("{} at {}", quoted(key), value.origin)),
            Guest::Chain(family) => brought.chain(family, from_here(&value)?),
            Guest::Key(family) => brought.key(family, from_here(&value)?),
            Guest::ConnectTimeout => {
                let text = match &value.kind {
                    Kind::Integer(seconds) => seconds.to_string(),
                    _ => value.text()?.to_owned(),
                };
                let duration = seconds(&text, &value.origin)?;
                set(&mut self.served, &["target", "timeouts", "connect"], duration);
            }
            Guest::Flag(name) => {
                let flag = flags::by_name(name).expect("every flag that the table of keys names is in that of flags");
                self.flag(flag, &value)?;
            }
        }
        Ok(())
    }

    fn flag(&mut self, flag: &Flag, value: &Value) -> Result<(), Fault> {
        let origin = value.origin.clone();
        match flag.meaning {
            Meaning::Process(path) => {
                let text = accustomed(flag.name, value.text()?);
                set(&mut self.process, path, Value::string(text, origin));
            }
            Meaning::Served(path) => {
                let meant = match flag.name {
                    "listen" | "target" => Value::strings(value.text()?.split(',').map(str::trim), origin),
                    "ca-cert" => from_here(value)?,
                    name => Value::string(accustomed(name, value.text()?), origin),
                };
                set(&mut self.served, path, meant);
            }
            _ => return Err(value.fault("means nothing in a file")),
        }
        Ok(())
    }
}

impl Brought {
    pub(super) fn nothing(&mut self, what: String) {
        self.is_guest = true;
        self.nothing.push(what);
    }

    pub(super) fn is_guest(&mut self) {
        self.is_guest = true;
    }

    /// The chain of a family; what came before, from a flag or a variable, stays.
    pub(super) fn chain(&mut self, family: Family, value: Value) {
        self.pairs.entry(family).or_default().0.get_or_insert(value);
    }

    /// The key of a family; what came before stays.
    pub(super) fn key(&mut self, family: Family, value: Value) {
        self.pairs.entry(family).or_default().1.get_or_insert(value);
    }

    /// Chains and keys in the order of families, under what `--cert` and `--key` name.
    pub(super) fn pairs(&mut self, chains: Vec<Value>, keys: Vec<Value>) -> Vec<Pair> {
        let mut pairs = std::mem::take(&mut self.pairs);
        let (chain, key) = pairs.remove(&Family::First).unwrap_or_default();
        // several on the command line are a whole of their own
        if chains.len() > 1 || keys.len() > 1 {
            let count = chains.len().max(keys.len());
            let (mut chains, mut keys) = (chains.into_iter(), keys.into_iter());
            return (0..count).map(|_| (chains.next(), keys.next())).collect();
        }
        let first = (chains.into_iter().next().or(chain), keys.into_iter().next().or(key));
        let rest = pairs.into_values();
        std::iter::once(first)
            .chain(rest)
            .filter(|pair| *pair != (None, None))
            .collect()
    }

    /// Its certificate and CA, where nobody named others.
    pub(super) fn defaults(&self, served: &mut Table) {
        if !self.is_guest {
            return;
        }
        let origin = Origin::Default;
        let is_plain = below(served.peek("listener"), "plain").is_some_and(|plain| plain.kind == Kind::Bool(true));
        let auth = below(served.peek("site"), "client_auth");
        let mode = below(auth, "mode").and_then(|mode| mode.text().ok());
        let wants_ca = mode.is_some_and(|mode| mode != "none") && below(auth, "ca").is_none();
        let site = served.sub_table("site", &origin);
        if !is_plain && site.peek("certificates").is_none() {
            let mut pair = Table::default();
            pair.push("chain", Value::string(USUAL_CHAIN, Origin::Default));
            pair.push("key", Value::string(USUAL_KEY, Origin::Default));
            let pair = Value {
                kind: Kind::Table(pair),
                origin: Origin::Default,
            };
            let list = Value {
                kind: Kind::Array(vec![pair]),
                origin: Origin::Default,
            };
            site.push("certificates", list);
        }
        if wants_ca {
            let auth = site.sub_table("client_auth", &origin);
            auth.push("ca", Value::string(USUAL_CA, Origin::Default));
        }
    }

    /// One notice for all that has no meaning.
    pub(super) fn tell(&self, report: &mut Report) {
        if self.nothing.is_empty() {
            return;
        }
        let message = format!("without meaning here, and ignored: {}", self.nothing.join(", "));
        let hint =
            "leave it out: variables are always read, hybrid groups come first, and there is no OpenSSL to set up";
        report.notice("", Fault::whole(Origin::Default, message).hint(hint));
    }
}

fn below<'v>(value: Option<&'v Value>, key: &str) -> Option<&'v Value> {
    match &value?.kind {
        Kind::Table(table) => table.peek(key),
        _ => None,
    }
}

/// Quantum Safe Proxy takes paths from the folder it is started in, not from that of its file.
fn from_here(value: &Value) -> Result<Value, Fault> {
    let text = value.text()?;
    let absolute = path::absolute(text)
        .ok()
        .and_then(|path| path.to_str().map(str::to_owned));
    Ok(Value::string(
        absolute.unwrap_or_else(|| text.to_owned()),
        value.origin.clone(),
    ))
}

/// Sets a key; the tables around it nobody wrote.
fn set(table: &mut Table, path: &[&str], value: Value) {
    let Some((key, tables)) = path.split_last() else { return };
    let around = |table, key: &&str| Table::sub_table(table, key, &Origin::Default);
    tables.iter().fold(table, around).set(key, value);
}
