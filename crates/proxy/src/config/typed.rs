//! What was typed: flags over variables, as entries of the tree.
use super::{
    Origin, Source, certificates, environment,
    flags::{FLAGS, Flag, Guest, Meaning, Shape, by_name},
    flat::{self, Brought, Flat, Pair},
    report::{Fault, Report, did_you_mean, problem},
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
    /// What is Quantum Safe Proxy's.
    pub(super) brought: Brought,
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
        brought: Brought::default(),
    };
    for typed in set {
        given.place(typed, report);
    }
    given.target_tls(report);
    given
}

fn typed_flags(source: &Source, report: &mut Report) -> Vec<Typed> {
    let mut set: Vec<Typed> = Vec::new();
    for (name, texts) in &source.flags {
        let origin = Origin::Flag(format!("--{name}"));
        match by_name(name).map(own) {
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

/// The flag of ours that one of Quantum Safe Proxy's is another name of.
fn own(flag: &'static Flag) -> &'static Flag {
    match flag.meaning {
        Meaning::Guest(Guest::Flag(name)) => by_name(name).unwrap_or(flag),
        _ => flag,
    }
}

impl Given {
    fn place(&mut self, typed: Typed, report: &mut Report) {
        let origin = typed.origin.clone();
        if matches!(&origin, Origin::Environment(name) if environment::is_guests(name)) {
            self.brought.is_guest();
        }
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
            Meaning::Guest(means) => {
                let placed = self.guest(means, &typed);
                return report.errors.extend(placed.err().map(|fault| problem("", "", fault)));
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

    /// A flag or variable that is Quantum Safe Proxy's alone.
    fn guest(&mut self, means: Guest, typed: &Typed) -> Result<(), Fault> {
        self.brought.is_guest();
        if means == Guest::Nothing {
            self.brought.nothing(typed.origin.to_string());
            return Ok(());
        }
        self.described_by.push(typed.origin.clone());
        let value = value(typed)?;
        match means {
            Guest::Chain(family) => self.brought.chain(family, value),
            Guest::Key(family) => self.brought.key(family, value),
            Guest::ConnectTimeout => {
                let timeout = flat::seconds(value.text()?, &value.origin)?;
                let target = self.served.sub_table("target", &typed.origin);
                target.sub_table("timeouts", &typed.origin).set("connect", timeout);
            }
            Guest::Flag(_) | Guest::Nothing => {}
        }
        Ok(())
    }

    /// Lays what was typed over a flat file, and fills in what Quantum Safe Proxy would.
    pub(super) fn over(&mut self, flat: Flat, report: &mut Report) {
        let mut served = flat.served;
        served.overlay(std::mem::take(&mut self.served));
        self.served = served;
        let mut process = flat.process;
        process.overlay(std::mem::take(&mut self.process));
        self.process = process;
        self.certificates(report);
        self.brought.defaults(&mut self.served);
    }

    /// Pairs of files, or certificates made in memory, as the site's key.
    pub(super) fn certificates(&mut self, report: &mut Report) {
        let mut typed = match self.served.take("certificates") {
            Some(Value {
                kind: Kind::Table(typed),
                ..
            }) => typed,
            _ => Table::default(),
        };
        let self_signed = typed.take("self_signed").filter(|value| value.kind == Kind::Bool(true));
        let files = pairs(
            (typed.take("cert"), typed.take("key")),
            typed.take("passphrase_file"),
            "--cert",
            &mut self.brought,
        );
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

    /// TLS towards the target, where it was switched on.
    fn target_tls(&mut self, report: &mut Report) {
        let Some(Value {
            kind: Kind::Table(mut typed),
            origin,
        }) = self.served.take("target_tls")
        else {
            return;
        };
        let switched = typed.take("on");
        if switched.as_ref().is_none_or(|value| value.kind != Kind::Bool(true)) {
            let stray = typed.into_entries().into_iter().next();
            if let Some((_, value)) = stray {
                let fault = Fault::whole(value.origin, "means nothing without TLS towards the target");
                report.error("", fault.hint("give --target-tls too"));
            }
            return;
        }
        let passphrase = match typed.peek("cert") {
            Some(_) => self.passphrase_for_both(),
            None => None,
        };
        match pairs(
            (typed.take("cert"), typed.take("key")),
            passphrase,
            "--target-cert",
            &mut Brought::default(),
        ) {
            Ok(files) => files.into_iter().for_each(|files| typed.push("certificates", files)),
            Err(fault) => report.error("", fault),
        }
        let table = Value {
            kind: Kind::Table(typed),
            origin: switched.map_or(origin, |value| value.origin),
        };
        let origin = table.origin.clone();
        self.served.sub_table("target", &origin).set("tls", table);
    }

    /// The passphrase of all keys, which need not be the site's.
    fn passphrase_for_both(&mut self) -> Option<Value> {
        let Some(Value {
            kind: Kind::Table(certificates),
            ..
        }) = self.served.peek_mut("certificates")
        else {
            return None;
        };
        let passphrase = certificates.take("passphrase_file")?;
        if certificates.peek("cert").is_some() {
            certificates.set("passphrase_file", passphrase.clone());
        }
        Some(passphrase)
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
            [text] => Ok(Value::string(flat::accustomed(typed.flag.name, text), origin)),
            _ => Err(Fault::whole(origin, "given more than once")),
        },
        Shape::Addresses => Ok(Value::strings(split(&[',']), origin)),
        Shape::Names => Ok(Value::strings(split(&[',', ':']), origin)),
        Shape::Marked => Ok(Value::string(typed.texts.join(":"), origin)),
        Shape::Files if matches!(origin, Origin::Environment(_)) => Ok(Value::strings(split(&[',']), origin)),
        Shape::Files => Ok(Value::strings(&typed.texts, origin)),
        Shape::Switch => switch(&typed.texts, origin),
        Shape::Loose => Ok(Value::string(typed.texts.join(" "), origin)),
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
fn pairs(
    (chains, keys): (Option<Value>, Option<Value>),
    passphrase: Option<Value>,
    flag: &str,
    brought: &mut Brought,
) -> Result<Option<Value>, Fault> {
    let items = |value: Option<Value>| match value {
        Some(Value {
            kind: Kind::Array(items),
            origin,
        }) => (items, Some(origin)),
        _ => (Vec::new(), None),
    };
    let ((chains, chains_origin), (keys, keys_origin)) = (items(chains), items(keys));
    if let Some(origin) = chains_origin
        && keys_origin.is_some()
        && keys.len() != chains.len()
    {
        let message = format!("{} certificates, but {} keys", chains.len(), keys.len());
        return Err(
            Fault::whole(origin, message).hint("give them in pairs, or no key at all where each file holds both")
        );
    }
    let tables = brought.pairs(chains, keys).into_iter();
    let tables = tables.map(|files| pair(files, passphrase.as_ref()));
    let tables: Result<Vec<Value>, Fault> = tables.collect();
    let first = format!("give {flag} FILE before it");
    let tables = tables.map_err(|fault| fault.hint(first.clone()))?;
    let Some(origin) = tables.first().map(|table| table.origin.clone()) else {
        let alone = passphrase.map(|value| Fault::whole(value.origin, "a passphrase without a certificate"));
        return alone.map_or(Ok(None), |fault| Err(fault.hint(first)));
    };
    Ok(Some(Value {
        kind: Kind::Array(tables),
        origin,
    }))
}

fn pair((chain, key): Pair, passphrase: Option<&Value>) -> Result<Value, Fault> {
    let Some(chain) = chain else {
        let origin = key.map_or(Origin::Default, |key| key.origin);
        return Err(Fault::whole(origin, "a key without a certificate"));
    };
    let (mut table, origin) = (Table::default(), chain.origin.clone());
    table.push("chain", chain);
    key.into_iter().for_each(|key| table.push("key", key));
    if let Some(passphrase) = passphrase {
        table.push("passphrase_file", passphrase.clone());
    }
    Ok(Value {
        kind: Kind::Table(table),
        origin,
    })
}
