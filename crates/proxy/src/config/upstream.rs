//! `[upstream.NAME]`: the servers behind.
use super::{
    Origin, address,
    reader::{Place, Reader},
    report::{Fault, Found},
    tree::{Kind, Table, Value, quoted},
    upstream_http,
    values::{self, positive_duration},
};
use crate::plan::{Opening, ServerPlan, UpstreamPlan};

mod balance;
mod health;
mod tls;

/// What nginx and HAProxy allow about: a larger share is another server.
const HEAVIEST: usize = 256;
/// More tries than servers are none.
const MOST_RETRIES: usize = 100;

/// An upstream as it is written.
pub(super) struct Draft {
    pub(super) name: Found<String>,
    pub(super) plan: UpstreamPlan,
    /// The keys that say something of requests.
    pub(super) of_requests: Vec<(&'static str, Origin)>,
    /// Where `send_proxy` stands.
    pub(super) send_proxy: Option<Origin>,
}

/// Reads every upstream.
pub(super) fn read_all(root: &mut Reader<'_>) -> Vec<Draft> {
    let entries = match root.take("upstream") {
        None => Vec::new(),
        Some(Value {
            kind: Kind::Table(table),
            ..
        }) => table.into_entries(),
        Some(other) => {
            let fault = other.fault(format!("must be a table of tables, not {}", other.kind.describe()));
            root.fault("upstream", fault.hint("begin each with [upstream.NAME]"));
            Vec::new()
        }
    };
    let mut drafts = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        match value {
            Value {
                kind: Kind::Table(table),
                origin,
            } => drafts.push(read(root, table, Found { value: name, origin })),
            other => {
                let fault = other.whole_fault(format!("must be a table, not {}", other.kind.describe()));
                let mut upstream = root.beside(Table::default(), Place::named("upstream", &name));
                upstream.error(fault.hint("begin it with [upstream.NAME]"));
            }
        }
    }
    drafts
}

fn read(root: &mut Reader<'_>, table: Table, name: Found<String>) -> Draft {
    let mut upstream = root.beside(table, Place::named("upstream", &name.value));
    let servers = servers(&mut upstream, &name.origin);
    let mut timeouts = upstream.table("timeouts", "upstream.timeouts");
    // Long enough for one lost SYN (retransmitted after 1 s), short enough that the next server is still tried in time.
    let connect_timeout = timeouts
        .value_or("connect", Kind::String("2s".into()), positive_duration)
        .value;
    let of_requests = upstream_http::Timeouts::read(&mut timeouts);
    timeouts.finish();
    let http = upstream_http::read(&mut upstream, of_requests);
    let balance = balance::read(&mut upstream);
    let tls = tls::read(&mut upstream, &servers);
    let health = health::read(&mut upstream);
    let retries = upstream.value("retries", |value| values::count(0..=MOST_RETRIES, value));
    let opening = upstream.value("send_proxy", send_proxy);
    if retries.is_none() {
        // each server once
        let others = servers.len().saturating_sub(1);
        upstream.explain("retries", others.to_string(), Origin::Default);
    }
    upstream.finish();
    let send_proxy = opening.as_ref().map(|found| found.origin.clone());
    let plan = UpstreamPlan {
        name: name.value.clone(),
        servers,
        balance,
        tls,
        health,
        opening: opening.map_or(Opening::None, |found| found.value),
        connect_timeout,
        http: http.plan,
        retries: retries.map(|found| found.value),
    };
    Draft {
        name,
        plan,
        of_requests: http.standing,
        send_proxy,
    }
}

/// A version of the PROXY protocol.
fn send_proxy(value: &Value) -> Result<Opening, Fault> {
    match value.kind {
        Kind::Integer(2) => Ok(Opening::ProxyV2),
        Kind::Integer(1) => {
            let fault = value.fault("1 is not spoken");
            Err(fault.hint("version 1 cannot tell of TLS; whoever reads it mostly reads version 2 too: send_proxy = 2"))
        }
        _ => Err(value.fault(format!("must be 2, not {value}"))),
    }
}

fn servers(upstream: &mut Reader<'_>, origin: &Origin) -> Vec<ServerPlan> {
    let none = |origin: &Origin| Fault::whole(origin.clone(), "has no server").hint("servers = [\"127.0.0.1:6000\"]");
    let Some(value) = upstream.take("servers") else {
        upstream.error(none(origin));
        return Vec::new();
    };
    let shown = value.to_string();
    let Kind::Array(items) = value.kind else {
        let fault = Fault::of_key(value.origin, format!("must be a list, not {shown}"));
        upstream.fault("servers", fault.hint(format!("write it in brackets: [{shown}]")));
        return Vec::new();
    };
    upstream.explain("servers", shown, value.origin.clone());
    if items.is_empty() {
        upstream.error(none(&value.origin));
    }
    items.into_iter().filter_map(|item| server(upstream, item)).collect()
}

/// `"address"` or `{ address = "...", weight = 2, backup = true }`.
fn server(upstream: &mut Reader<'_>, item: Value) -> Option<ServerPlan> {
    let (table, origin) = match item {
        Value {
            kind: Kind::Table(table),
            origin,
        } => (table, origin),
        text => {
            let mut table = Table::default();
            let origin = text.origin.clone();
            table.push("address", text);
            (table, origin)
        }
    };
    let mut server = upstream.item(table, "servers", "upstream.servers").unexplained();
    let stands = server.has("address");
    let address = server.value("address", address::target).map(|found| found.value);
    if !stands {
        server.error(
            Fault::whole(origin, "a server has no address")
                .hint(format!("{{ address = {} }}", quoted("10.0.0.6:8443"))),
        );
    }
    let weight = server.value_or("weight", Kind::Integer(1), |value| values::count(1..=HEAVIEST, value));
    let is_backup = server.value_or("backup", Kind::Bool(false), values::switch);
    server.finish();
    Some(ServerPlan {
        address: address?,
        weight: weight.value as u16,
        is_backup: is_backup.value,
    })
}
