//! What rpxy sets for all apps.
use super::{
    super::{draft::Part, value::Value},
    table::{Entry, Kind, Table},
};

/// Settings above the apps.
#[derive(Default)]
pub(super) struct Globals {
    pub(super) plain: Option<u64>,
    pub(super) tls: Option<u64>,
    pub(super) public_port: Option<u64>,
    pub(super) default_app: Option<String>,
    pub(super) http3: bool,
    pub(super) email: Option<String>,
    /// Of a request; None: rpxy's own.
    pub(super) body: Option<Value>,
    /// What is to be said of the listeners.
    pub(super) said: Part,
    hosts: Vec<String>,
    connections: Option<u64>,
    trusted: Vec<String>,
    proxy_protocol: Vec<String>,
}

const WITHOUT_COUNTERPART: &[(&str, &str)] = &[
    ("tcp_listen_backlog", "sockets are tuned by themselves"),
    (
        "max_concurrent_streams",
        "the streams of a connection are limited by themselves",
    ),
    (
        "sticky_cookie_secret",
        "the cookie that keeps a client at its server is made by itself",
    ),
    ("redact_query_in_access_log", "the access log has no such key"),
];

const EXPERIMENTS: &[(&str, &str)] = &[
    (
        "ignore_sni_consistency",
        "SNI and Host must lead to the same site, else the answer is 421",
    ),
    (
        "connection_handling_timeout",
        "a connection lives as long as it is used: limits.idle ends one that is not",
    ),
    ("cache", "there is no cache here"),
];

const OF_HTTP3: &[(&str, &str)] = &[
    ("alt_svc_max_age", "Alt-Svc has a lifetime of its own"),
    (
        "request_max_body_size",
        "a body is limited in a route, the same over all versions of HTTP: limits = { body = \"64MiB\" }",
    ),
    (
        "max_concurrent_connections",
        "limits.connections counts those of HTTP/3 too",
    ),
    (
        "max_concurrent_bidistream",
        "the streams of a connection are limited by themselves",
    ),
    (
        "max_concurrent_unistream",
        "the streams of a connection are limited by themselves",
    ),
    ("max_idle_timeout", "limits.idle holds for all versions of HTTP"),
];

impl Globals {
    pub(super) fn read(root: &mut Table, process: &mut Part) -> Globals {
        told(root, process, WITHOUT_COUNTERPART);
        let mut globals = Globals {
            plain: root.number("listen_port"),
            tls: root.number("listen_port_tls"),
            public_port: root
                .number("public_https_port")
                .or_else(|| root.number("https_redirection_port")),
            default_app: root.text("default_app").or_else(|| root.text("default_application")),
            connections: root.number("max_clients"),
            hosts: hosts(root),
            ..Globals::default()
        };
        if let Some(entry) = root.take("request_max_body_size") {
            globals.body = body(&entry, process);
        }
        globals.trust(root, process);
        if let Some(mut experimental) = root.table("experimental") {
            globals.experiments(&mut experimental, process);
            experimental.finish(process);
        }
        globals
    }

    /// A listener on a port of every address, with what holds for all.
    pub(super) fn listener(&self, name: &str, port: u64) -> Part {
        let mut listener = Part::new(name);
        listener.set("listen", Value::texts(self.addresses(port)));
        listener.set("mode", "http");
        if let Some(connections) = self.connections.filter(|connections| *connections > 0) {
            listener.table("limits").set("connections", connections.into());
        }
        if !self.trusted.is_empty() {
            listener.set("trusted_proxies", Value::texts(self.trusted.iter().cloned()));
        }
        if !self.proxy_protocol.is_empty() {
            let from = Value::texts(self.proxy_protocol.iter().cloned());
            listener.set("proxy_protocol", Value::one("from", from));
        }
        listener
    }

    pub(super) fn addresses(&self, port: u64) -> Vec<String> {
        self.hosts.iter().map(|host| format!("{host}:{port}")).collect()
    }

    fn trust(&mut self, root: &mut Table, process: &mut Part) {
        let Some(entry) = root.take("trusted_forwarded_proxies") else {
            return;
        };
        let items = match &entry.kind {
            Kind::List(items) => items.clone(),
            _ => vec![entry],
        };
        for item in items {
            match &item.kind {
                Kind::Text(network) if network.contains(['.', ':']) => self.trusted.push(network.clone()),
                _ => process.note(item.note("networks are written as such: a provider's list stands on its own pages")),
            }
        }
    }

    fn experiments(&mut self, table: &mut Table, process: &mut Part) {
        for (key, why) in EXPERIMENTS {
            // 0 and false say what holds here anyway
            let lost = table
                .take(key)
                .filter(|entry| !matches!(entry.kind, Kind::Number(0) | Kind::Switch(false)));
            process.notes.extend(lost.map(|entry| entry.note(*why)));
        }
        if let Some(mut http3) = table.table("h3") {
            self.http3 = true;
            told(&mut http3, &mut self.said, OF_HTTP3);
            http3.finish(&mut self.said);
        }
        if let Some(mut acme) = table.table("acme") {
            self.email = acme.text("email");
            let why = "where certificates come from and are kept is told once there is ACME here";
            told(&mut acme, process, &[("dir_url", why), ("registry_path", why)]);
            acme.finish(process);
        }
        if let Some(mut header) = table.table("tcp_recv_proxy_protocol") {
            self.proxy_protocol = header.texts("trusted_proxies");
            told(
                &mut header,
                &mut self.said,
                &[("timeout", "limits.hello holds for the PROXY header too")],
            );
            header.finish(&mut self.said);
        }
    }
}

fn told(table: &mut Table, part: &mut Part, keys: &[(&str, &str)]) {
    for (key, why) in keys {
        part.notes.extend(table.take(key).map(|entry| entry.note(*why)));
    }
}

/// `0.0.0.0` unless others are named; `[::]` only where it is asked for.
fn hosts(root: &mut Table) -> Vec<String> {
    let v4 = root.texts("listen_address_v4");
    let v6 = root.texts("listen_address_v6");
    let any_v6 = root.switch("listen_ipv6") == Some(true) && v6.is_empty();
    let v4 = if v4.is_empty() { vec!["0.0.0.0".to_owned()] } else { v4 };
    let v6 = v6.into_iter().chain(any_v6.then(|| "::".to_owned()));
    let bracketed = v6.map(|host| format!("[{}]", host.trim_matches(['[', ']'])));
    let mut hosts: Vec<String> = v4.into_iter().chain(bracketed).collect();
    hosts.dedup();
    hosts
}

/// Bytes, or a number with `k`, `m` or `g`.
fn body(entry: &Entry, process: &mut Part) -> Option<Value> {
    let size = match &entry.kind {
        Kind::Number(0) => return None,
        Kind::Text(text) if text == "unlimited" || text == "0" => return None,
        Kind::Number(bytes) => Some(format!("{bytes}B")),
        Kind::Text(text) => {
            let unit = match text
                .trim_end_matches(['b', 'B'])
                .chars()
                .last()
                .map(|unit| unit.to_ascii_lowercase())
            {
                Some('k') => "KiB",
                Some('m') => "MiB",
                Some('g') => "GiB",
                _ => "B",
            };
            let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            number.parse::<u64>().ok().map(|number| format!("{number}{unit}"))
        }
        _ => None,
    };
    if size.is_none() {
        process.note(entry.note("is no size"));
    }
    size.map(Value::Text)
}
