//! `stream`: bytes over TCP, with TLS taken off, or passed through by the name in the hello.
use super::{
    super::{
        draft::{Draft, Part},
        value::Value,
    },
    grammar::Directive,
    listen::{Listen, Speaks},
    names, said,
    scope::{Scope, duration, milliseconds},
    target::{Shelf, Target},
    tls,
};
use std::net::IpAddr;

/// The variables that hold the name of a hello.
const BY_NAME: [&str; 2] = ["$ssl_preread_server_name", "$ssl_server_name"];

/// What a server does with bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// TLS ends here.
    Tls,
    /// Bytes in the clear.
    Plain,
    /// TLS goes on to the upstream.
    Passthrough,
}

/// Adds what a `stream` block says.
pub(super) fn read(draft: &mut Draft, scope: &Scope<'_>, shelf: &Shelf<'_>) {
    said::leftovers(&mut draft.process, scope.own(), &[]);
    for block in scope.own().iter().filter(|directive| directive.name == "server") {
        server(draft, &scope.within(block.block()), block, shelf);
    }
}

fn server(draft: &mut Draft, scope: &Scope<'_>, block: &Directive, shelf: &Shelf<'_>) {
    let mut site = Part::default();
    said::leftovers(&mut site, scope.own(), &[]);
    let mut listens = Vec::new();
    for directive in scope.own().iter().filter(|directive| directive.name == "listen") {
        match Listen::read(directive) {
            Ok(listen) => listens.push(listen),
            Err(note) => site.note(note),
        }
    }
    let kind = match () {
        () if scope.is_on("ssl_preread") => Kind::Passthrough,
        () if listens.iter().any(|listen| listen.speaks == Speaks::Tls) => Kind::Tls,
        () => Kind::Plain,
    };
    let Some(pass) = scope.one("proxy_pass").filter(|_| !listens.is_empty()) else {
        site.note(block.note("left out: nothing in it leads to an upstream"));
        draft.process.notes.extend(site.notes);
        return;
    };
    if kind == Kind::Tls {
        tls::read(&mut site, scope, shelf.prefix);
    }
    let routes = routes(&mut site, (scope, pass, kind));
    if routes.is_empty() {
        draft.process.notes.extend(site.notes);
        return;
    }
    let listener = listener(draft, &listens, (scope, block, kind));
    for (names, target) in routes {
        let upstream = target.place(draft, scope, shelf);
        let mut named = Part::new(Draft::free_name(&draft.sites, names.first().unwrap_or(&listener)));
        if !names.is_empty() {
            named.set("names", Value::texts(names));
        }
        named.set("listeners", Value::texts([listener.as_str()]));
        let mut named = named.and(std::mem::take(&mut site));
        named.set("upstream", upstream);
        // settings that all the sites of one server share are written with each, what is said of them once
        site = named.clone().without(&["names", "listeners", "upstream"]);
        site.notes.clear();
        draft.sites.push(named);
    }
}

/// Names and where they lead: one for a server, several where a map chooses by name.
fn routes(site: &mut Part, (scope, pass, kind): (&Scope<'_>, &Directive, Kind)) -> Vec<(Vec<String>, Target)> {
    let directives: Vec<&Directive> = scope
        .own()
        .iter()
        .filter(|directive| directive.name == "server_name")
        .collect();
    let names = names::read(site, &directives);
    if let Some(target) = Target::read(pass.first(), scope) {
        return vec![(names, target)];
    }
    let map = scope
        .all("map")
        .into_iter()
        .find(|map| map.words.get(1).map(String::as_str) == Some(pass.first()));
    let Some(map) = map.filter(|map| BY_NAME.contains(&map.first()) && kind != Kind::Plain) else {
        site.note(pass.note("names its server with a variable that is no map of the name in the hello"));
        return Vec::new();
    };
    let mut routes: Vec<(Vec<String>, Target)> = Vec::new();
    for row in map
        .block()
        .iter()
        .filter(|row| !matches!(row.name.as_str(), "hostnames" | "volatile" | "include"))
    {
        let is_default = row.name == "default";
        let server_name = Directive {
            name: "server_name".to_owned(),
            words: vec![row.name.clone()],
            ..row.clone()
        };
        let names = if is_default {
            Vec::new()
        } else {
            names::read(site, &[&server_name])
        };
        let Some(target) = Target::read(row.first(), scope).filter(|_| is_default || !names.is_empty()) else {
            site.note(row.note("leads to no server that is known now"));
            continue;
        };
        match routes
            .iter_mut()
            .find(|(have, same)| *same == target && have.is_empty() == names.is_empty())
        {
            Some((have, _)) => have.extend(names),
            None => routes.push((names, target)),
        }
    }
    routes
}

fn listener(draft: &mut Draft, listens: &[Listen], (scope, block, kind): (&Scope<'_>, &Directive, Kind)) -> String {
    let addresses = Value::texts(listens.iter().flat_map(Listen::addresses));
    if let Some(same) = draft
        .listeners
        .iter()
        .find(|listener| listener.key("listen") == Some(&addresses))
    {
        return same.name.clone();
    }
    let wanted = match kind {
        Kind::Tls => "tls",
        Kind::Plain => "tcp",
        Kind::Passthrough => "passthrough",
    };
    let mut part = Part::new(Draft::free_name(&draft.listeners, wanted));
    part.set("listen", addresses);
    let is_passed = kind == Kind::Passthrough;
    part.set("mode", if is_passed { "passthrough" } else { "tcp" });
    if kind == Kind::Plain {
        part.set("plain", true);
    }
    if let Some(idle) = scope
        .word("proxy_timeout")
        .and_then(milliseconds)
        .filter(|idle| *idle > 0)
    {
        part.table("limits").set("idle", duration(idle).into());
    }
    if listens.iter().any(|listen| listen.proxy_protocol) {
        proxy_protocol(&mut part, scope, block);
    }
    access(&mut part, scope);
    let name = part.name.clone();
    draft.listeners.push(part);
    name
}

fn proxy_protocol(part: &mut Part, scope: &Scope<'_>, block: &Directive) {
    let from = scope.all("set_real_ip_from");
    let from: Vec<&str> = from.into_iter().map(Directive::first).collect();
    if from.is_empty() {
        part.note(block.note("nginx took a PROXY header from everyone; name in proxy_protocol.from who sends one"));
    }
    let from = if from.is_empty() {
        vec!["0.0.0.0/0", "::/0"]
    } else {
        from
    };
    part.set("proxy_protocol", Value::one("from", Value::texts(from)));
}

fn access(part: &mut Part, scope: &Scope<'_>) {
    let denied = scope.all("deny");
    let is_network = |text: &str| {
        text.split('/')
            .next()
            .is_some_and(|address| address.parse::<IpAddr>().is_ok())
    };
    match denied.iter().find(|directive| directive.first() == "all") {
        Some(all) => part
            .note(all.note("a listener turns networks away (deny), and admits all others: let a firewall admit few")),
        None => {
            let networks: Vec<&str> = denied
                .iter()
                .map(|directive| directive.first())
                .filter(|text| is_network(text))
                .collect();
            if !networks.is_empty() {
                part.set("deny", Value::texts(networks));
            }
        }
    }
}
