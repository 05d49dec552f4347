//! An app of rpxy's: one name, its certificate, and where its paths lead.
use super::{
    super::{
        draft::{Draft, Note, Part, Place},
        value::Value,
    },
    PLAIN, SECURE,
    globals::Globals,
    table::{Kind, Table},
};
use std::{net::IpAddr, path::Path};

/// The one issuer that rpxy knows.
pub(super) const ISSUER: &str = "default";

/// `[apps.NAME]`
pub(super) struct App {
    pub(super) name: String,
    pub(super) place: Place,
    server_name: Option<String>,
    tls: Option<Tls>,
    rules: Vec<Rule>,
    said: Part,
}

struct Tls {
    place: Place,
    chain: Option<String>,
    key: Option<String>,
    ca: Option<String>,
    acme: bool,
    /// Whether who comes in the clear is sent to https.
    redirects: bool,
}

/// `[[apps.NAME.reverse_proxy]]`
struct Rule {
    route: Part,
    upstream: Part,
}

impl App {
    pub(super) fn read(name: String, mut table: Table, globals: &Globals) -> App {
        let mut said = Part::default();
        let place = table.place.clone();
        let server_name = table.text("server_name");
        let tls = table.table("tls").map(|tls| Tls::read(tls, globals, &mut said));
        let rules = table.list("reverse_proxy").into_iter().enumerate();
        let rules = rules
            .filter_map(|(at, rule)| Rule::read(rule, (&name, at), globals, &mut said))
            .collect();
        table.finish(&mut said);
        App {
            name,
            place,
            server_name,
            tls,
            rules,
            said,
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn has_acme(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.acme)
    }

    /// Whether it is served in the clear too: never where clients show certificates.
    pub(super) fn is_plain(&self, globals: &Globals) -> bool {
        let may = |tls: &Tls| !tls.redirects && tls.ca.is_none();
        globals.plain.is_some() && (globals.tls.is_none() || self.tls.as_ref().is_none_or(may))
    }

    pub(super) fn redirects(&self, globals: &Globals) -> bool {
        globals.plain.is_some() && globals.tls.is_some() && self.tls.as_ref().is_some_and(|tls| tls.redirects)
    }

    pub(super) fn has_relative_paths(&self) -> bool {
        let paths = self.tls.iter().flat_map(|tls| [&tls.chain, &tls.key, &tls.ca]);
        paths.flatten().any(|path| Path::new(path).is_relative())
    }

    pub(super) fn place_of_tls(&self) -> Place {
        self.tls.as_ref().map_or(&self.place, |tls| &tls.place).clone()
    }

    /// Its sites, one for each listener that it stands on.
    pub(super) fn place(&self, draft: &mut Draft, globals: &Globals) {
        let mut said = self.said.clone();
        let name = self.server_name.as_deref().unwrap_or(&self.name).to_ascii_lowercase();
        if self.server_name.is_none() {
            said.note(Note::new(
                &self.place,
                format!("apps.{}", self.name),
                "has no server_name: it is served under its own",
            ));
        }
        if name.parse::<IpAddr>().is_ok() {
            let why = "an address, which no client names over TLS: the site without names serves it";
            said.note(Note::new(&self.place, format!("server_name = {name:?}"), why));
        }
        let secure = globals.tls.and(self.tls.as_ref());
        let plain = self.is_plain(globals);
        if self.rules.is_empty() || (secure.is_none() && !plain) {
            said.note(Note::new(
                &self.place,
                format!("apps.{}", self.name),
                "left out: nothing in it leads from a listener to an upstream",
            ));
            draft.process.notes.extend(said.notes);
            return;
        }
        if let Some(tls) = secure {
            let mut site = self.site(&name, Some(&name), SECURE);
            tls.write(&mut site);
            self.routes(draft, &mut site);
            add(draft, site, &mut said);
        }
        let called = if secure.is_some() {
            format!("{name}-plain")
        } else {
            name.clone()
        };
        if plain {
            let is_default = globals.default_app.as_deref() == Some(self.name.as_str());
            let mut site = self.site(&called, (!is_default).then_some(name.as_str()), PLAIN);
            self.routes(draft, &mut site);
            add(draft, site, &mut said);
        } else if self.redirects(globals) && draft.listeners.iter().any(|listener| listener.name == PLAIN) {
            let mut site = self.site(&called, Some(&name), PLAIN);
            let to = ("to".to_owned(), "https://{host}{uri}".into());
            let mut route = Part::default();
            route.set(
                "redirect",
                Value::Table(vec![to, ("status".to_owned(), Value::Number(301))]),
            );
            site.routes.push(route);
            add(draft, site, &mut said);
        }
    }

    /// A site on a listener; without a name it is the default one.
    fn site(&self, called: &str, name: Option<&str>, listener: &str) -> Part {
        let mut site = Part::new(called);
        if let Some(name) = name.filter(|name| name.parse::<IpAddr>().is_err()) {
            site.set("names", Value::texts([name]));
        }
        site.set("listeners", Value::texts([listener]));
        site
    }

    fn routes(&self, draft: &mut Draft, site: &mut Part) {
        for rule in &self.rules {
            let mut route = rule.route.clone();
            let upstream = draft.upstream(rule.upstream.clone());
            route.set("upstream", upstream);
            site.routes.push(route);
        }
    }
}

/// Adds a site under a name that is free, with what is to be said of it.
fn add(draft: &mut Draft, mut site: Part, said: &mut Part) {
    site.name = Draft::free_name(&draft.sites, &site.name);
    site.notes.append(&mut said.notes);
    draft.sites.push(site);
}

impl Tls {
    fn read(mut table: Table, globals: &Globals, said: &mut Part) -> Tls {
        let has_both = globals.plain.is_some() && globals.tls.is_some();
        let tls = Tls {
            place: table.place.clone(),
            chain: table.text("tls_cert_path"),
            key: table.text("tls_cert_key_path"),
            ca: table.text("client_ca_cert_path"),
            acme: table.switch("acme") == Some(true),
            redirects: table.switch("https_redirection").unwrap_or(has_both),
        };
        if globals.tls.is_none() {
            said.note(Note::new(
                &tls.place,
                "tls",
                "there is no listen_port_tls: the app is served in the clear",
            ));
        }
        table.finish(said);
        tls
    }

    fn write(&self, site: &mut Part) {
        match (&self.chain, &self.key) {
            (Some(chain), Some(key)) => {
                let pair = vec![
                    ("chain".to_owned(), chain.as_str().into()),
                    ("key".to_owned(), key.as_str().into()),
                ];
                site.set("certificates", Value::List(vec![Value::Table(pair)]));
            }
            _ if self.acme => site.set("acme", ISSUER),
            _ => site.note(Note::new(&self.place, "tls", "names no certificate with its key")),
        }
        if let Some(ca) = &self.ca {
            let auth = site.table("client_auth");
            auth.set("mode", "required".into());
            auth.set("ca", ca.as_str().into());
        }
    }
}

impl Rule {
    fn read(mut table: Table, (app, at): (&str, usize), globals: &Globals, said: &mut Part) -> Option<Rule> {
        let mut route = Part::default();
        let mut upstream = Part::new(if at == 0 {
            app.to_owned()
        } else {
            format!("{app}-{}", at + 1)
        });
        paths(&mut table, &mut route);
        if let Some(body) = &globals.body {
            route.table("limits").set("body", body.clone());
        }
        let place = table.place.clone();
        let servers = servers(&mut table, &mut upstream, &place);
        options(&mut table, &mut route, &mut upstream);
        health(&mut table, &mut upstream);
        table.finish(&mut route);
        if servers == 0 {
            said.notes.extend(route.notes);
            said.note(Note::new(&place, "reverse_proxy", "names no upstream"));
            return None;
        }
        Some(Rule { route, upstream })
    }
}

fn paths(table: &mut Table, route: &mut Part) {
    let path = table.text("path").filter(|path| path != "/");
    let replaced = table.text("replace_path");
    if let Some(path) = &path {
        route.set("path", path.as_str());
    }
    match replaced {
        Some(replaced) if path.as_ref() == Some(&replaced) => {}
        Some(replaced) if replaced == "/" && path.is_some() => route.set("strip_prefix", true),
        Some(replaced) if replaced != "/" => route.set("replace_prefix", replaced),
        _ => {}
    }
}

/// The servers with how they are balanced; returns how many there are.
fn servers(table: &mut Table, upstream: &mut Part, place: &Place) -> usize {
    let mut found: Vec<(String, bool)> = Vec::new();
    for mut server in table.list("upstream") {
        let tls = server.switch("tls") == Some(true);
        let location = server.text("location");
        server.finish(upstream);
        found.extend(location.map(|location| (with_port(&location, tls), tls)));
    }
    let checked = table.wants("health_check");
    let balance = table.text("load_balance").unwrap_or_else(|| "none".to_owned());
    let is_first_only = balance == "none" && !checked;
    if is_first_only && found.len() > 1 {
        let why = "rpxy sends everything to the first, so the others are left out: balance = \"round-robin\" takes them in turn";
        upstream.note(Note::new(place, "load_balance = \"none\"", why));
        found.truncate(1);
    }
    let rest_is_backup = matches!(balance.as_str(), "none" | "primary_backup");
    let servers = found.iter().enumerate().map(|(at, (address, _))| match at {
        1.. if rest_is_backup => Value::Table(vec![
            ("address".to_owned(), address.as_str().into()),
            ("backup".to_owned(), true.into()),
        ]),
        _ => address.as_str().into(),
    });
    upstream.set("servers", Value::List(servers.collect()));
    match balance.as_str() {
        "round_robin" => upstream.set("balance", "round-robin"),
        "random" => upstream.set("balance", "random"),
        "sticky" => upstream.set("balance", Value::one("sticky", "cookie".into())),
        "none" | "primary_backup" => {}
        other => upstream.note(Note::new(place, format!("load_balance = {other:?}"), "unknown here")),
    }
    speech(upstream, &found, place);
    found.len()
}

/// TLS towards the servers, under the name of the first.
fn speech(upstream: &mut Part, servers: &[(String, bool)], place: &Place) {
    let Some((first, true)) = servers.iter().find(|(_, tls)| *tls) else {
        return;
    };
    if servers.iter().any(|(_, tls)| !tls) {
        upstream.note(Note::new(
            place,
            "upstream",
            "some of these servers take TLS and some do not: here all of an upstream do, or none",
        ));
    }
    let host = first.rsplit_once(':').map_or(first.as_str(), |(host, _)| host);
    let hosts = servers
        .iter()
        .map(|(address, _)| address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host));
    let all_alike = hosts.clone().all(|other| other == host);
    let tls = upstream.table("tls");
    if all_alike && host.parse::<IpAddr>().is_err() {
        tls.set("server_name", host.into());
    }
}

fn with_port(location: &str, tls: bool) -> String {
    let has_port = location
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port {
        location.to_owned()
    } else {
        format!("{location}:{}", if tls { 443 } else { 80 })
    }
}

fn options(table: &mut Table, route: &mut Part, upstream: &mut Part) {
    let place = table.place.clone();
    let options = table.texts("upstream_options");
    let is_tls = upstream.key("tls").is_some();
    let keeps_host = options.iter().any(|option| option == "keep_original_host");
    for option in &options {
        match option.as_str() {
            "set_upstream_host" if !keeps_host => upstream.set("host", "upstream"),
            "force_http11_upstream" => upstream.set("http", "1.1"),
            "force_http2_upstream" => upstream.set("http", if is_tls { "2" } else { "h2c" }),
            "upgrade_insecure_requests" => {
                route
                    .table("headers")
                    .table("request")
                    .table("set")
                    .set("Upgrade-Insecure-Requests", "1".into());
            }
            // as here by itself
            "set_upstream_host" | "keep_original_host" | "forwarded_header" => {}
            other => route.note(Note::new(&place, format!("upstream_options: {other}"), "unknown here")),
        }
    }
}

fn health(table: &mut Table, upstream: &mut Part) {
    let Some(entry) = table.take("health_check") else {
        return;
    };
    let (interval, healthy, unhealthy) = (10, 2, 3);
    let mut health = match &entry.kind {
        Kind::Switch(false) => return,
        Kind::Table(health) => health.clone(),
        Kind::Switch(true) => Table::empty(&table.place),
        _ => return upstream.note(entry.note("is not of the type that rpxy takes")),
    };
    let kind = health.text("type").unwrap_or_else(|| "tcp".to_owned());
    let path = health.text("path").filter(|_| kind == "http");
    let seconds = health.number("interval").unwrap_or(interval);
    let values = upstream.table("health");
    if let Some(path) = path {
        values.set("path", path.into());
    }
    values.set("interval", format!("{seconds}s").into());
    values.set("healthy", health.number("healthy_threshold").unwrap_or(healthy).into());
    values.set(
        "unhealthy",
        health.number("unhealthy_threshold").unwrap_or(unhealthy).into(),
    );
    if let Some(timeout) = health.take("timeout") {
        upstream.note(timeout.note("a check has its own deadline"));
    }
    let status = health
        .take("expected_status")
        .filter(|entry| !matches!(entry.kind, Kind::Number(200)));
    upstream
        .notes
        .extend(status.map(|entry| entry.note("healthy is who answers with success")));
    health.finish(upstream);
}
