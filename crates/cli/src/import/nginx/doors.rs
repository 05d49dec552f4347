//! Sockets that servers share become listeners.
use super::{
    super::{
        draft::{Draft, Part},
        value::Value,
    },
    access::network,
    grammar::Directive,
    http::Server,
    listen::Speaks,
    scope::{duration, milliseconds},
};
use std::collections::HashSet;

/// Addresses that the same servers share in the same way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Door {
    addresses: Vec<String>,
    pub(super) is_plain: bool,
    pub(super) http3: bool,
    proxy_protocol: bool,
    /// Indices of its servers, in order.
    pub(super) servers: Vec<usize>,
    /// The one marked as default.
    pub(super) default: Option<usize>,
    /// Its listener's name; empty where redirects took its place.
    pub(super) listener: String,
}

impl Door {
    fn port(&self) -> Option<u16> {
        self.addresses.first()?.rsplit_once(':')?.1.parse().ok()
    }
}

/// The listeners of all servers.
pub(super) fn open(draft: &mut Draft, servers: &[Server<'_>]) -> Vec<Door> {
    let mut doors = joined(sockets(draft, servers));
    for door in doors.iter_mut().filter(|door| !door.is_plain) {
        listener(draft, door, servers);
    }
    let secure: Vec<Door> = doors.iter().filter(|door| !door.is_plain).cloned().collect();
    for door in doors.iter_mut().filter(|door| door.is_plain) {
        let redirects = door.servers.iter().all(|at| servers[*at].redirect.is_some());
        if !(redirects && redirect(draft, door, servers, &secure)) {
            listener(draft, door, servers);
        }
    }
    doors
}

/// Takes listeners away that no site stands on.
pub(super) fn close_unused(draft: &mut Draft) {
    let used: Vec<String> = draft
        .sites
        .iter()
        .filter_map(|site| site.key("listeners"))
        .map(Value::to_string)
        .collect();
    let is_used = |name: &str| used.iter().any(|list| list.contains(&Value::text(name).to_string()));
    let (used, unused): (Vec<Part>, Vec<Part>) = std::mem::take(&mut draft.listeners)
        .into_iter()
        .partition(|listener| is_used(&listener.name));
    draft.listeners = used;
    draft
        .process
        .notes
        .extend(unused.into_iter().flat_map(|listener| listener.notes));
}

fn sockets(draft: &mut Draft, servers: &[Server<'_>]) -> Vec<Door> {
    let mut sockets: Vec<Door> = Vec::new();
    let listens = || {
        servers
            .iter()
            .enumerate()
            .flat_map(|(at, server)| server.listens.iter().map(move |listen| (at, server, listen)))
    };
    for (at, _, listen) in listens().filter(|(_, _, listen)| listen.speaks != Speaks::Quic) {
        for address in listen.addresses() {
            let found = sockets.iter().position(|socket| socket.addresses == [address.as_str()]);
            let found = found.unwrap_or_else(|| {
                sockets.push(Door {
                    addresses: vec![address],
                    is_plain: true,
                    http3: false,
                    proxy_protocol: false,
                    servers: Vec::new(),
                    default: None,
                    listener: String::new(),
                });
                sockets.len() - 1
            });
            let socket = &mut sockets[found];
            // what one server says of a socket holds for all that share it
            socket.is_plain &= listen.speaks == Speaks::Plain;
            socket.proxy_protocol |= listen.proxy_protocol;
            socket.default = socket.default.or(listen.is_default.then_some(at));
            if !socket.servers.contains(&at) {
                socket.servers.push(at);
            }
        }
    }
    for (_, server, listen) in listens()
        .filter(|(_, server, listen)| listen.speaks == Speaks::Quic && server.scope.word("http3") != Some("off"))
    {
        for address in listen.addresses() {
            match sockets
                .iter_mut()
                .find(|socket| socket.addresses == [address.as_str()] && !socket.is_plain)
            {
                Some(socket) => socket.http3 = true,
                None => draft.process.note(server.block.note(format!(
                    "HTTP/3 on {address} stands beside TLS on the same address, and there is none"
                ))),
            }
        }
    }
    sockets
}

fn joined(sockets: Vec<Door>) -> Vec<Door> {
    let mut doors: Vec<Door> = Vec::new();
    for socket in sockets {
        let alike = |door: &&mut Door| {
            Door {
                addresses: Vec::new(),
                ..(**door).clone()
            } == Door {
                addresses: Vec::new(),
                ..socket.clone()
            }
        };
        match doors.iter_mut().find(alike) {
            Some(door) => door.addresses.extend(socket.addresses),
            None => doors.push(socket),
        }
    }
    doors
}

fn listener(draft: &mut Draft, door: &mut Door, servers: &[Server<'_>]) {
    let wanted = if door.is_plain { "http" } else { "https" };
    let mut part = Part::new(Draft::free_name(&draft.listeners, wanted));
    part.set("listen", Value::texts(door.addresses.iter().cloned()));
    part.set("mode", "http");
    if door.is_plain {
        part.set("plain", true);
    }
    if door.http3 {
        part.set("http3", true);
    }
    trust(&mut part, door, servers);
    limits(&mut part, door, servers);
    door.listener = part.name.clone();
    draft.listeners.push(part);
}

/// Who may say on whose behalf a connection comes.
fn trust(part: &mut Part, door: &Door, servers: &[Server<'_>]) {
    let Some(first) = door.servers.first().map(|at| &servers[*at]) else {
        return;
    };
    let from = first.scope.all("set_real_ip_from");
    let (networks, others): (Vec<_>, Vec<_>) = from
        .into_iter()
        .partition(|directive| network(directive.first()).is_some());
    for directive in others {
        part.note(directive.note("only networks are trusted"));
    }
    let networks: Vec<String> = networks
        .into_iter()
        .filter_map(|directive| network(directive.first()).map(|network| network.to_string()))
        .collect();
    if door.proxy_protocol {
        let from = if networks.is_empty() {
            let why = "nginx took a PROXY header from everyone; name in proxy_protocol.from who sends one";
            part.note(first.block.note(why));
            vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]
        } else {
            networks.clone()
        };
        part.set("proxy_protocol", Value::one("from", Value::texts(from)));
    }
    let header = first.scope.one("real_ip_header");
    match header.map(|directive| (directive, directive.first().to_ascii_lowercase())) {
        Some((_, name)) if name == "proxy_protocol" => {}
        Some((_, name)) if name == "x-forwarded-for" && !networks.is_empty() => {
            part.set("trusted_proxies", Value::texts(networks))
        }
        Some((directive, _)) => {
            part.note(directive.note("of headers that name the client, X-Forwarded-For and Forwarded are read"))
        }
        None if networks.is_empty() || door.proxy_protocol => {}
        None => part.note(
            first
                .block
                .note("set_real_ip_from without real_ip_header reads X-Real-IP, which is not believed here"),
        ),
    }
}

fn limits(part: &mut Part, door: &Door, servers: &[Server<'_>]) {
    let scopes = || door.servers.iter().map(|at| &servers[*at].scope);
    let idle = scopes()
        .filter_map(|scope| scope.word("keepalive_timeout").and_then(milliseconds))
        .max();
    if let Some(idle) = idle.filter(|idle| *idle > 0) {
        part.table("limits").set("idle", duration(idle).into());
    }
    for directive in scopes().filter_map(|scope| scope.one("limit_conn")) {
        let zones = scopes().flat_map(|scope| scope.all("limit_conn_zone"));
        let mut zones = zones
            .filter(|zone| zone.parameter("zone").and_then(|zone| zone.split(':').next()) == Some(directive.first()));
        let is_of_address = zones
            .next()
            .is_some_and(|zone| matches!(zone.first(), "$binary_remote_addr" | "$remote_addr"));
        match directive
            .words
            .get(1)
            .and_then(|number| number.parse::<u64>().ok())
            .filter(|_| is_of_address)
        {
            Some(number) => part.table("limits").set("per_ip", number.into()),
            None => part.note(directive.note("connections are limited in all, and for each address")),
        }
    }
}

/// Hangs a door's addresses onto the listener that its clients are sent to.
fn redirect(draft: &mut Draft, door: &Door, servers: &[Server<'_>], secure: &[Door]) -> bool {
    let Some(best) = destination(door, servers, secure) else {
        return false;
    };
    let mut listeners = draft.listeners.iter_mut();
    let Some(listener) = listeners.find(|listener| listener.name == best.listener) else {
        return false;
    };
    let mut from = match listener.key("redirect_from") {
        Some(Value::List(have)) => have.clone(),
        _ => Vec::new(),
    };
    from.extend(door.addresses.iter().map(|address| Value::text(address.as_str())));
    listener.set("redirect_from", Value::List(from));
    let of_door = door.servers.iter().map(|at| &servers[*at]);
    for (server, redirect) in of_door.filter_map(|server| Some((server, server.redirect.as_ref()?))) {
        if best.port().is_some_and(|port| port != redirect.port) {
            listener.set("public_port", u64::from(redirect.port));
        }
        if let Some(host) = &redirect.host {
            let why = format!("clients are sent to the host that they asked for, not to {host}");
            listener.note(server.block.note(why));
        }
        if server.listens.iter().all(|listen| listen.speaks == Speaks::Plain) {
            let said = |directive: &Directive| redirect.said_by.iter().any(|said| std::ptr::eq(*said, directive));
            let locations = server
                .scope
                .own()
                .iter()
                .filter(|directive| directive.name == "location");
            for location in locations.filter(|location| !said(location)) {
                listener.note(location.note("where clients are sent to https, nothing else is answered"));
            }
        }
    }
    true
}

/// The listener that serves most of a door's names, on the port that its clients are sent to.
fn destination<'d>(door: &Door, servers: &[Server<'_>], secure: &'d [Door]) -> Option<&'d Door> {
    let of_door = || door.servers.iter().map(|at| &servers[*at]);
    let own: HashSet<&String> = of_door().flat_map(|server| &server.names).collect();
    let ports: Vec<u16> = of_door()
        .filter_map(|server| Some(server.redirect.as_ref()?.port))
        .collect();
    let fitness = |other: &&'d Door| {
        let names = other.servers.iter().flat_map(|at| &servers[*at].names);
        let is_port = other.port().is_some_and(|port| ports.contains(&port));
        (names.filter(|name| own.contains(name)).count(), is_port)
    };
    // of several that are as good the first
    secure.iter().rev().max_by_key(fitness)
}
