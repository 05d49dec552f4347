//! `[[listener]]`: where connections come in, and how many.
use super::{
    Origin, address, http_listener, named, policy,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Table, Value, quoted},
    values::{self, Word, network, time_limit},
};
use crate::{
    http::limits,
    plan::{Address, Limits, ListenerPlan, Mode},
};
use ipnet::IpNet;
use portcullis_tls::policy::{Policy, Refuse};

/// The modes of listeners and sites.
pub(super) const MODES: &[(&str, Word<Mode>)] = &[
    ("tcp", Word::Is(Mode::Tcp)),
    ("http", Word::Is(Mode::Http)),
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
    pub(super) proxy_protocol: Vec<IpNet>,
    pub(super) policy: Option<policy::Written>,
    pub(super) http: http_listener::Draft,
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
            http: self.http.plan,
            plain: self.plain.value,
            limits: self.limits,
            deny: self.deny,
            proxy_protocol: self.proxy_protocol,
            policy: self.policy.map(|written| written.demand(Policy::OBSERVE)),
        }
    }
}

/// Reads every listener.
pub(super) fn read_all(root: &mut Reader<'_>) -> Vec<Draft> {
    named::tables(root, "listener")
        .into_iter()
        .map(|(table, origin)| read(root, table, origin))
        .collect()
}

fn read(root: &mut Reader<'_>, table: Table, origin: Origin) -> Draft {
    let called_after = ("listen", "unnamed");
    let (mut listener, name) = named::begin(root, "listener", (table, &origin), called_after);
    let listen = listen(&mut listener, &origin);
    let mode = |value: &Value| values::word("mode", MODES, value);
    let mode = listener.value_or("mode", Kind::String("tcp".into()), mode).value;
    let plain = listener.value_or("plain", Kind::Bool(false), values::switch);
    let (limits, requests) = limits(&mut listener, mode);
    let http = http_listener::read(&mut listener, requests);
    let deny = listener.list_or_empty("deny", network);
    let proxy_protocol = proxy_protocol(&mut listener);
    let policy = policy::read(&mut listener);
    if let Some(policy) = &policy {
        policy.explain(&mut listener);
        policy.check(&mut listener, &policy.demand(Policy::OBSERVE), &[]);
        let page = policy.refuse.as_ref().filter(|found| found.value == Refuse::Page);
        if let (Some(page), Mode::Tcp) = (page, mode) {
            listener.error(policy::no_page(&page.origin));
        }
    }
    listener.finish();
    Draft {
        name: name.found,
        listen,
        mode,
        plain,
        limits,
        deny: deny.into_iter().map(|found| found.value).collect(),
        proxy_protocol,
        policy,
        http,
    }
}

/// `{ from = [NETWORK, ...] }`: from there a header must come, from elsewhere none is read.
fn proxy_protocol(listener: &mut Reader<'_>) -> Vec<IpNet> {
    let Some(origin) = listener.origin_of("proxy_protocol") else {
        return Vec::new();
    };
    let errors = listener.errors();
    let mut introduced = listener.table("proxy_protocol", "listener.proxy_protocol");
    let from = introduced.list_or_empty("from", network);
    if from.is_empty() && introduced.errors() == errors {
        let fault = Fault::whole(origin, "proxy_protocol is taken from nobody");
        introduced
            .error(fault.hint("proxy_protocol = { from = [\"10.0.0.0/8\"] }, the networks of your load balancers"));
    }
    introduced.finish();
    from.into_iter().map(|found| found.value).collect()
}

fn listen(listener: &mut Reader<'_>, origin: &Origin) -> Vec<Found<Address>> {
    if listener.lacks("listen") {
        let fault = Fault::whole(origin.clone(), "listens nowhere");
        listener.error(fault.hint("listen = [\"0.0.0.0:8443\"]"));
    }
    listener.list_or_empty("listen", address::listen)
}

fn limits(listener: &mut Reader<'_>, mode: Mode) -> (Limits, http_listener::Limits) {
    let mut limits = listener.table("limits", "listener.limits");
    let text = |text: &str| Kind::String(text.to_owned());
    let count = |value: &Value| values::count(0..=MOST_CONNECTIONS, value);
    let mut limits_read = Limits {
        // "auto" is half the file limit, which only the machine knows.
        connections: limits
            .value_or("connections", text("auto"), |value| {
                values::auto_or_count(0..=MOST_CONNECTIONS, value)
            })
            .value,
        per_ip: limits.value_or("per_ip", Kind::Integer(0), count).value,
        handshakes_per_second: limits.value_or("handshakes_per_second", Kind::Integer(0), count).value,
        hello: limits.value_or("hello", text("10s"), time_limit).value,
        handshake: limits.value_or("handshake", text("10s"), time_limit).value,
        idle: None,
    };
    let mut requests = http_listener::limits(&mut limits, mode);
    let usual = match mode {
        // A tcp connection may be silent for days; TCP keep-alive finds dead peers (SPEC 4, idle).
        Mode::Tcp => text("off"),
        Mode::Http => http_listener::seconds(limits::IDLE),
    };
    let is_written = limits.has("idle");
    let idle = limits.value_or("idle", usual, time_limit).value;
    if is_written || mode == Mode::Tcp {
        limits_read.idle = idle;
    }
    if is_written || mode == Mode::Http {
        requests.plan.idle = idle;
    }
    limits.finish();
    (limits_read, requests)
}
