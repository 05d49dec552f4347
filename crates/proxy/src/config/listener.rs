//! `[[listener]]`: where connections come in, and how many.
use super::{
    Origin, address, policy,
    reader::{Fault, Found, Place, Reader},
    tree::{Kind, Table, Value, quoted},
    values::{self, Word, network, time_limit},
};
use crate::plan::{Address, Limits, ListenerPlan, Mode};
use ipnet::IpNet;

const MODES: &[(&str, Word<Mode>)] = &[
    ("tcp", Word::Is(Mode::Tcp)),
    ("http", Word::Later),
    ("passthrough", Word::Later),
];

/// More connections than a machine has ports to give; past it a number is a slip.
const MOST_CONNECTIONS: usize = 100_000_000;

/// A listener as it is written, before its neighbours are looked at.
pub(super) struct Draft {
    pub(super) name: Found<String>,
    pub(super) listen: Vec<Found<Address>>,
    pub(super) mode: Mode,
    pub(super) plain: Found<bool>,
    pub(super) limits: Limits,
    pub(super) deny: Vec<IpNet>,
    pub(super) policy: Option<policy::Written>,
}

impl Draft {
    /// For people.
    pub(super) fn subject(&self) -> String {
        format!("listener {}", quoted(&self.name.value))
    }

    /// What it means.
    pub(super) fn into_plan(self) -> ListenerPlan {
        ListenerPlan {
            name: self.name.value,
            listen: self.listen.into_iter().map(|found| found.value).collect(),
            mode: self.mode,
            plain: self.plain.value,
            limits: self.limits,
            deny: self.deny,
            policy: self.policy.map(|written| written.over(policy::LEAST)),
        }
    }
}

/// Reads every listener.
pub(super) fn read_all(root: &mut Reader<'_>) -> Vec<Draft> {
    tables(root, "listener")
        .into_iter()
        .map(|(table, origin)| read(root, table, origin))
        .collect()
}

/// The tables of `[[key]]`.
pub(super) fn tables(root: &mut Reader<'_>, key: &'static str) -> Vec<(Table, Origin)> {
    let Some(value) = root.take(key) else {
        return Vec::new();
    };
    let no_list = |value: &Value| {
        let fault = value.fault(format!(
            "must be a list of tables, not {}",
            value.kind.describe()
        ));
        fault.hint(format!("begin each with [[{key}]]"))
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

/// The name that a table gives itself, else the one that follows from what it holds.
pub(super) fn name_of(
    root: &mut Reader<'_>,
    table: &Table,
    derived: Found<String>,
) -> Found<String> {
    let Some(value) = table.peek("name") else {
        return derived;
    };
    match values::name(value) {
        Ok(name) => Found {
            value: name,
            origin: value.origin.clone(),
        },
        Err(fault) => {
            root.fault("name", fault);
            derived
        }
    }
}

fn read(root: &mut Reader<'_>, table: Table, origin: Origin) -> Draft {
    let derived = first_text(&table, "listen").unwrap_or_else(|| "unnamed".to_owned());
    let name = name_of(
        root,
        &table,
        Found {
            value: derived,
            origin: origin.clone(),
        },
    );
    let mut listener = root.beside(table, Place::named("listener", &name.value));
    let stated = listener.take("name").is_some();
    listener.explain(
        "name",
        quoted(&name.value),
        if stated {
            name.origin.clone()
        } else {
            Origin::Default
        },
    );
    let listen_stands = listener.has("listen");
    let listen = listener
        .list("listen", address::listen)
        .map(|found| found.value)
        .unwrap_or_default();
    if !listen_stands {
        let fault = Fault::whole(origin, "listens nowhere").hint("listen = [\"0.0.0.0:8443\"]");
        listener.error(fault);
    }
    let mode = listener
        .value_or("mode", Kind::String("tcp".into()), |value| {
            values::word("mode", MODES, value)
        })
        .value;
    let plain = listener.value_or("plain", Kind::Bool(false), values::switch);
    let limits = limits(&mut listener);
    let deny = listener
        .list_or_empty("deny", network)
        .into_iter()
        .map(|found| found.value)
        .collect();
    let policy = policy::read(&mut listener);
    for (rule, found) in policy.iter().flat_map(policy::Written::rules) {
        if let Some(found) = found {
            listener.explain(
                &format!("policy.{rule}"),
                quoted(found.value.as_str()),
                found.origin.clone(),
            );
        }
    }
    listener.finish();
    Draft {
        name,
        listen,
        mode,
        plain,
        limits,
        deny,
        policy,
    }
}

/// The first text of a list, which names what has no name.
pub(super) fn first_text(table: &Table, key: &str) -> Option<String> {
    match &table.peek(key)?.kind {
        Kind::Array(items) => items.first()?.text().ok().map(str::to_owned),
        _ => None,
    }
}

fn limits(listener: &mut Reader<'_>) -> Limits {
    let mut limits = listener.table("limits", "listener.limits");
    let text = |text: &str| Kind::String(text.to_owned());
    let count = |value: &Value| values::count(0..=MOST_CONNECTIONS, value);
    let limits_read = Limits {
        // "auto" is half the file limit, which only the machine knows.
        connections: limits
            .value_or("connections", text("auto"), |value| {
                values::auto_or_count(0..=MOST_CONNECTIONS, value)
            })
            .value,
        per_ip: limits.value_or("per_ip", Kind::Integer(0), count).value,
        handshakes_per_second: limits
            .value_or("handshakes_per_second", Kind::Integer(0), count)
            .value,
        hello: limits.value_or("hello", text("10s"), time_limit).value,
        handshake: limits.value_or("handshake", text("10s"), time_limit).value,
        // A tcp connection may be silent for days; TCP keep-alive finds dead peers (SPEC 4, idle).
        idle: limits.value_or("idle", text("off"), time_limit).value,
    };
    limits.finish();
    limits_read
}
