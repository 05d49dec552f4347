//! `http`: servers become sites, their sockets listeners.
use super::{
    super::{
        draft::{Draft, Part},
        value::Value,
    },
    answer,
    doors::{self, Door},
    grammar::Directive,
    listen::{Listen, Speaks},
    location::{self, Workshop},
    names,
    redirect::{self, Redirect},
    said,
    scope::Scope,
    target::Shelf,
    tls,
};
use std::collections::{HashMap, HashSet};

/// A `server` block.
pub(super) struct Server<'f> {
    pub(super) block: &'f Directive,
    pub(super) scope: Scope<'f>,
    pub(super) listens: Vec<Listen>,
    pub(super) names: Vec<String>,
    pub(super) redirect: Option<Redirect<'f>>,
    /// What is to be said of it.
    said: Part,
}

/// Which of a server's sockets a site is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Tls,
    Plain,
}

/// Adds what an `http` block says.
pub(super) fn read(draft: &mut Draft, scope: &Scope<'_>, shelf: &Shelf<'_>) {
    said::leftovers(&mut draft.process, scope.own(), &[]);
    let rates = rates(scope);
    let servers: Vec<Server<'_>> = scope
        .own()
        .iter()
        .filter(|directive| directive.name == "server")
        .map(|block| server(scope, block))
        .collect();
    let doors = doors::open(draft, &servers);
    let mut taken = Taken::default();
    for (at, server) in servers.iter().enumerate() {
        let mut said = server.said.clone();
        for side in [Side::Tls, Side::Plain] {
            // where clients are only sent to https, there is no listener
            let is_of = |door: &&Door| {
                let is_on_side = door.is_plain == (side == Side::Plain);
                is_on_side && door.servers.contains(&at) && !door.listener.is_empty()
            };
            let doors: Vec<&Door> = doors.iter().filter(is_of).collect();
            if doors.is_empty() {
                continue;
            }
            let mut site = Part::default();
            site.notes.append(&mut said.notes);
            let mut workshop = Workshop {
                draft,
                shelf,
                rates: &rates,
                announces_http3: doors.iter().any(|door| door.http3),
            };
            fill(&mut workshop, &mut site, server, &doors);
            taken.place(draft, site, (server, at, side), &doors);
        }
        draft.process.notes.extend(said.notes);
    }
    doors::close_unused(draft);
}

fn server<'f>(scope: &Scope<'f>, block: &'f Directive) -> Server<'f> {
    let scope = scope.within(block.block());
    let mut said = Part::default();
    let directives: Vec<&Directive> = block
        .block()
        .iter()
        .filter(|directive| directive.name == "listen")
        .collect();
    let mut listens = Vec::new();
    for directive in &directives {
        match Listen::read(directive) {
            Ok(listen) => listens.push(listen),
            Err(note) => said.note(note),
        }
    }
    if directives.is_empty() {
        listens.push(Listen::usual());
    }
    // the switch of old, for all its sockets
    if scope.is_on("ssl") {
        listens
            .iter_mut()
            .filter(|listen| listen.speaks == Speaks::Plain)
            .for_each(|listen| listen.speaks = Speaks::Tls);
    }
    let names = names::read(
        &mut said,
        &block
            .block()
            .iter()
            .filter(|directive| directive.name == "server_name")
            .collect::<Vec<_>>(),
    );
    let redirect = redirect::read(&scope);
    Server {
        block,
        scope,
        listens,
        names,
        redirect,
        said,
    }
}

/// Everything of a site but its name, names and listeners.
fn fill(workshop: &mut Workshop<'_, '_>, site: &mut Part, server: &Server<'_>, doors: &[&Door]) {
    let own = server.scope.own();
    let is_tls = doors.iter().any(|door| !door.is_plain);
    if is_tls {
        tls::read(site, &server.scope, workshop.shelf.prefix);
    }
    if let Some(redirect) = server.redirect.as_ref().filter(|_| !is_tls) {
        let mut route = Part::default();
        answer::to_https(&mut route, redirect.host.as_deref(), redirect.port);
        site.routes.push(route);
        return said::leftovers(site, own, &redirect.said_by);
    }
    let said_by = server.redirect.iter().flat_map(|redirect| &redirect.said_by);
    let mut understood: Vec<&Directive> = said_by
        .copied()
        .filter(|directive| redirect::is_for_plain_only(directive))
        .collect();
    // it comes before any location
    let mut route = Part::default();
    let is_answer = |directive: &&Directive| matches!(directive.name.as_str(), "return" | "rewrite");
    let answered = own
        .iter()
        .filter(is_answer)
        .find(|directive| answer::read(&mut route, directive));
    understood.extend(answered);
    said::leftovers(site, own, &understood);
    if answered.is_some() {
        site.routes.push(route);
    } else {
        location::routes(workshop, site, &server.scope);
    }
}

/// Names and default sites that listeners have.
#[derive(Default)]
struct Taken {
    names: HashSet<(String, Option<String>)>,
}

impl Taken {
    /// Puts a site into the draft, where it can be reached and leads somewhere.
    fn place(
        &mut self,
        draft: &mut Draft,
        mut site: Part,
        (server, at, side): (&Server<'_>, usize, Side),
        doors: &[&Door],
    ) {
        let rejects = server.scope.is_on("ssl_reject_handshake");
        if site.routes.is_empty() {
            if !rejects {
                site.note(server.block.note("left out: nothing in it leads to an upstream"));
            }
            draft.process.notes.extend(site.notes);
            return;
        }
        let Some(names) = self.names_of(&mut site, server, at, doors) else {
            draft.process.notes.extend(site.notes);
            return;
        };
        let first = names.first().map_or("default", String::as_str);
        let is_taken = draft.sites.iter().any(|site| site.name == first);
        let wanted = match side {
            Side::Plain if is_taken => format!("{first}-plain"),
            _ => first.to_owned(),
        };
        let mut named = Part::new(Draft::free_name(&draft.sites, &wanted));
        if !names.is_empty() {
            named.set("names", Value::texts(names));
        }
        let listeners = doors.iter().map(|door| door.listener.as_str());
        named.set("listeners", Value::texts(listeners));
        draft.sites.push(named.and(site));
    }

    /// The names it answers to; none: it is the default site. None where nobody can reach it.
    fn names_of(&mut self, site: &mut Part, server: &Server<'_>, at: usize, doors: &[&Door]) -> Option<Vec<String>> {
        let is_default = doors.iter().any(|door| door.default == Some(at));
        let is_first = doors
            .iter()
            .any(|door| door.servers.first() == Some(&at) && door.default.is_none());
        if is_default || server.names.is_empty() {
            if !is_default && !is_first {
                site.note(
                    server
                        .block
                        .note("left out: it has no name that a client can ask for, and another server is the default"),
                );
                return None;
            }
            let is_free = doors
                .iter()
                .all(|door| !self.names.contains(&(door.listener.clone(), None)));
            if !is_free {
                site.note(server.block.note("left out: another server is the default already"));
                return None;
            }
            if !server.names.is_empty() {
                let why = format!(
                    "default_server: without names it takes all that no other site has, its own {} too",
                    server.names.join(", ")
                );
                site.note(server.block.note(why));
            }
            self.names
                .extend(doors.iter().map(|door| (door.listener.clone(), None)));
            return Some(Vec::new());
        }
        if is_first {
            let why = "nginx let its first server answer for every name; here only its own are served: leave names out for all";
            site.note(server.block.note(why));
        }
        let (free, lost): (Vec<String>, Vec<String>) = server.names.iter().cloned().partition(|name| {
            doors
                .iter()
                .all(|door| !self.names.contains(&(door.listener.clone(), Some(name.clone()))))
        });
        if !lost.is_empty() {
            site.note(server.block.note(format!("an earlier server has {}", lost.join(", "))));
        }
        for door in doors {
            self.names
                .extend(free.iter().map(|name| (door.listener.clone(), Some(name.clone()))));
        }
        (!free.is_empty()).then_some(free)
    }
}

/// Rates of `limit_req_zone` that are whole requests of an address in a second.
fn rates(scope: &Scope<'_>) -> HashMap<String, u64> {
    let mut rates = HashMap::new();
    for directive in scope.all("limit_req_zone") {
        let is_of_address = matches!(directive.first(), "$binary_remote_addr" | "$remote_addr");
        let zone = directive.parameter("zone").and_then(|zone| zone.split(':').next());
        let rate = directive
            .parameter("rate")
            .and_then(|rate| match rate.strip_suffix("r/s") {
                Some(rate) => rate.parse::<u64>().ok(),
                None => rate
                    .strip_suffix("r/m")?
                    .parse()
                    .ok()
                    .filter(|rate: &u64| rate.is_multiple_of(60))
                    .map(|rate| rate / 60),
            });
        if let (true, Some(zone), Some(rate)) = (is_of_address, zone, rate) {
            rates.insert(zone.to_owned(), rate);
        }
    }
    rates
}
