//! What was typed: flags over variables, as entries of the tree.
use super::{
    Origin, Source, certificates, environment,
    flags::{FLAGS, Flag, Meaning, Shape, by_name},
    report::{Fault, Report, did_you_mean},
    tree::{Kind, Table, Value, quoted},
};

/// A flag or variable that was set.
pub(super) struct Typed {
    pub(super) flag: &'static Flag,
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

/// What the command line and the environment say.
pub(super) struct Given {
    /// Keys of the process, laid over the file's.
    pub(super) process: Table,
    /// The one listener, site and target, used when the file has none.
    pub(super) served: Table,
    /// What described them.
    pub(super) described_by: Vec<Origin>,
    /// What `--key-log` says.
    pub(super) key_log: Option<Value>,
}

/// Reads flags and variables; a flag wins over its variable.
pub(super) fn collect(source: &Source, report: &mut Report) -> Given {
    let flags = typed_flags(source, report);
    let mut set = environment::typed(&source.environment, report);
    set.retain(|variable| !flags.iter().any(|flag| flag.flag.name == variable.flag.name));
    set.extend(flags);
    let mut given = Given {
        process: Table::default(),
        served: Table::default(),
        described_by: Vec::new(),
        key_log: None,
    };
    for typed in set {
        given.place(typed, report);
    }
    given.certificates(report);
    given
}

fn typed_flags(source: &Source, report: &mut Report) -> Vec<Typed> {
    let mut set: Vec<Typed> = Vec::new();
    for (name, texts) in &source.flags {
        let origin = Origin::Flag(format!("--{name}"));
        match by_name(name) {
            Some(flag) => match set.iter_mut().find(|typed| typed.flag.name == flag.name) {
                Some(typed) => typed.texts.extend_from_slice(texts),
                None => set.push(Typed {
                    flag,
                    texts: texts.clone(),
                    origin,
                }),
            },
            None => {
                let names = FLAGS.iter().map(|flag| flag.name);
                report.error(
                    "",
                    Fault::whole(origin, "unknown flag").maybe_hint(did_you_mean(name, names)),
                );
            }
        }
    }
    set
}

impl Given {
    fn place(&mut self, typed: Typed, report: &mut Report) {
        let origin = typed.origin.clone();
        let (table, path) = match typed.flag.meaning {
            Meaning::File => return,
            Meaning::KeyLog => match value(&typed) {
                Ok(value) => return self.key_log = Some(value),
                Err(fault) => return report.error("", fault),
            },
            Meaning::Later(hint) => {
                let fault = Fault::whole(origin, "not in this version");
                report.error("", fault.maybe_hint(hint.map(str::to_owned)));
                return;
            }
            Meaning::Process(path) => (&mut self.process, path),
            Meaning::Served(path) => {
                self.described_by.push(origin.clone());
                (&mut self.served, path)
            }
        };
        match value(&typed) {
            Ok(value) => {
                let (key, tables) = path.split_last().expect("every path of the table has a key");
                let table = tables.iter().fold(table, |table, key| table.sub_table(key, &origin));
                table.set(key, value);
            }
            Err(fault) => report.error("", fault),
        }
    }

    /// Pairs of files, or certificates made in memory, as the site's key.
    fn certificates(&mut self, report: &mut Report) {
        let Some(Value {
            kind: Kind::Table(mut typed),
            ..
        }) = self.served.take("certificates")
        else {
            return;
        };
        let self_signed = typed.take("self_signed").filter(|value| value.kind == Kind::Bool(true));
        let files = pairs((typed.take("cert"), typed.take("key")), typed.take("passphrase_file"));
        let value = match (self_signed, files) {
            (None, Ok(None)) => return,
            (None, Ok(Some(files))) => files,
            (Some(made), Ok(None)) => Value::string(certificates::SELF_SIGNED, made.origin),
            (Some(made), Ok(Some(files))) => {
                let both = format!("certificates are made in memory, but {} gives files", files.origin);
                report.error("", Fault::whole(made.origin, both).hint("leave one of both out"));
                files
            }
            (_, Err(fault)) => {
                report.error("", fault);
                // Enough of a value for the rest of the site to be read.
                Value::string(certificates::SELF_SIGNED, Origin::Default)
            }
        };
        let origin = value.origin.clone();
        self.served.sub_table("site", &origin).set("certificates", value);
    }

    /// The tree of the one listener, site and target.
    pub(super) fn into_served(mut self) -> Table {
        let origin = Origin::Default;
        let listener = self.served.sub_table("listener", &origin);
        if listener.peek("listen").is_none() {
            listener.push("listen", Value::strings(["0.0.0.0:8443"], Origin::Default));
        }
        let target = self.served.sub_table("target", &origin);
        if target.peek("servers").is_none() {
            target.push("servers", Value::strings(["127.0.0.1:6000"], Origin::Default));
        }
        self.served
            .sub_table("site", &origin)
            .set("upstream", Value::string("target", Origin::Default));
        let mut tree = Table::default();
        for key in ["listener", "site"] {
            let table = self.served.take(key).map(|value| Value {
                origin: Origin::Default,
                ..value
            });
            tree.push(
                key,
                Value {
                    kind: Kind::Array(table.into_iter().collect()),
                    origin: Origin::Default,
                },
            );
        }
        if let Some(target) = self.served.take("target") {
            tree.sub_table("upstream", &origin).push("target", target);
        }
        tree
    }
}

/// What was typed as a value of the tree.
fn value(typed: &Typed) -> Result<Value, Fault> {
    let origin = typed.origin.clone();
    let split = |separators: &'static [char]| {
        let words = typed.texts.iter().flat_map(move |text| text.split(separators));
        words.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
    };
    match typed.flag.shape {
        Shape::Text => match typed.texts.as_slice() {
            [text] => Ok(Value::string(text, origin)),
            _ => Err(Fault::whole(origin, "given more than once")),
        },
        Shape::Addresses => Ok(Value::strings(split(&[',']), origin)),
        Shape::Names => Ok(Value::strings(split(&[',', ':']), origin)),
        Shape::Marked => Ok(Value::string(typed.texts.join(":"), origin)),
        Shape::Files if matches!(origin, Origin::Environment(_)) => Ok(Value::strings(split(&[',']), origin)),
        Shape::Files => Ok(Value::strings(&typed.texts, origin)),
        Shape::Switch => switch(&typed.texts, origin),
    }
}

/// A switch on the command line is there; a variable has a word for it.
fn switch(texts: &[String], origin: Origin) -> Result<Value, Fault> {
    let word = texts.last().map_or("true", String::as_str).to_ascii_lowercase();
    match word.as_str() {
        "true" | "on" | "yes" | "1" => Ok(Value::bool(true, origin)),
        "false" | "off" | "no" | "0" => Ok(Value::bool(false, origin)),
        _ => Err(Fault::whole(origin, format!("{} is neither on nor off", quoted(&word))).hint("true or false")),
    }
}

/// Certificates and keys in pairs; without keys each file holds both. One passphrase opens all keys.
fn pairs((chains, keys): (Option<Value>, Option<Value>), passphrase: Option<Value>) -> Result<Option<Value>, Fault> {
    let items = |value: Option<Value>| match value {
        Some(Value {
            kind: Kind::Array(items),
            origin,
        }) => (items, Some(origin)),
        _ => (Vec::new(), None),
    };
    let ((chains, chains_origin), (keys, keys_origin)) = (items(chains), items(keys));
    let Some(origin) = chains_origin else {
        let alone = match (keys_origin, passphrase) {
            (Some(origin), _) => Fault::whole(origin, "a key without a certificate"),
            (None, Some(passphrase)) => Fault::whole(passphrase.origin, "a passphrase without a certificate"),
            (None, None) => return Ok(None),
        };
        return Err(alone.hint("give --cert FILE before it"));
    };
    if keys_origin.is_some() && keys.len() != chains.len() {
        let message = format!("{} certificates, but {} keys", chains.len(), keys.len());
        return Err(
            Fault::whole(origin, message).hint("give them in pairs, or no key at all where each file holds both")
        );
    }
    let mut keys = keys.into_iter();
    let pair = |chain: Value| {
        let (mut table, origin) = (Table::default(), chain.origin.clone());
        table.push("chain", chain);
        keys.next().into_iter().for_each(|key| table.push("key", key));
        if let Some(passphrase) = &passphrase {
            table.push("passphrase_file", passphrase.clone());
        }
        Value {
            kind: Kind::Table(table),
            origin,
        }
    };
    let items = chains.into_iter().map(pair).collect();
    Ok(Some(Value {
        kind: Kind::Array(items),
        origin,
    }))
}
