//! `location` blocks become routes.
use super::{
    super::{
        draft::{Draft, Part},
        value::Value,
    },
    access, answer,
    grammar::Directive,
    headers, said,
    scope::{Scope, size},
    target::{Shelf, Target},
};
use std::collections::HashMap;

/// What routes are made with.
pub(super) struct Workshop<'w, 'f> {
    pub(super) draft: &'w mut Draft,
    pub(super) shelf: &'w Shelf<'f>,
    /// Zones of `limit_req_zone` that count by address, with their rate in a second.
    pub(super) rates: &'w HashMap<String, u64>,
    pub(super) announces_http3: bool,
}

/// What a location matches.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Prefix(String),
    Exact(String),
    Regex(String),
    /// `@name`: reached from inside only.
    Named,
}

/// Whoever reads the note must know where the requests go.
const FALLS_THROUGH: &str = "no route is made of it: its requests go to the route that fits next";

/// Adds a route for each location that leads to an upstream.
pub(super) fn routes(workshop: &mut Workshop<'_, '_>, site: &mut Part, scope: &Scope<'_>) {
    let locations: Vec<&Directive> = scope
        .own()
        .iter()
        .filter(|directive| directive.name == "location")
        .collect();
    let after: Vec<String> = locations.iter().filter_map(|location| weak_prefix(location)).collect();
    for location in locations {
        let kind = kind(location);
        let inner = scope.within(location.block());
        if let Some(route) = route(workshop, site, (location, &kind), &inner) {
            let mut route = route;
            if matches!(kind, Kind::Regex(_)) && !after.is_empty() {
                let why = format!(
                    "nginx tried it before {}; here a prefix comes before a regular expression",
                    after.join(", ")
                );
                route.note(location.note(why));
            }
            site.routes.push(route);
        }
        routes(workshop, site, &inner);
    }
}

/// A prefix that a regular expression beats in nginx, but for the one that matches everything.
fn weak_prefix(location: &Directive) -> Option<String> {
    match location.words.as_slice() {
        [path] if path.starts_with('/') && path != "/" => Some(path.clone()),
        _ => None,
    }
}

fn kind(location: &Directive) -> Kind {
    let joined = location.words.join("");
    let rest = |marks: &str| joined[marks.len()..].to_owned();
    match joined.as_str() {
        text if text.starts_with("~*") => Kind::Regex(format!("(?i){}", rest("~*"))),
        text if text.starts_with('~') => Kind::Regex(rest("~")),
        text if text.starts_with("^~") => Kind::Prefix(rest("^~")),
        text if text.starts_with('=') => Kind::Exact(rest("=")),
        text if text.starts_with('@') => Kind::Named,
        _ => Kind::Prefix(joined),
    }
}

fn route(
    workshop: &mut Workshop<'_, '_>,
    site: &mut Part,
    (location, kind): (&Directive, &Kind),
    scope: &Scope<'_>,
) -> Option<Part> {
    let block = location.block();
    let mut route = Part::default();
    let is_open = matching(&mut route, kind);
    let is_action = |directive: &&Directive| ACTIONS.contains(&directive.name.as_str());
    let is_shut =
        |directive: &&Directive| directive.name == "deny" && directive.first() == "all" && scope.rules().len() == 1;
    let action = block.iter().find(is_action).or_else(|| block.iter().find(is_shut));
    let is_done = match action {
        _ if *kind == Kind::Named => false,
        Some(action) if !is_open => {
            site.note(action.note("looks around or back, which expressions here do not"));
            false
        }
        Some(pass) if pass.name.ends_with("_pass") => forward(workshop, &mut route, (pass, kind), scope),
        Some(action) => answer::read(&mut route, action),
        None => false,
    };
    let part = if is_done { &mut route } else { &mut *site };
    said::leftovers(part, block, &[]);
    if is_done {
        return Some(route);
    }
    let is_outer = block.iter().any(|directive| directive.name == "location");
    if *kind == Kind::Named {
        site.note(location.note("a location that only nginx itself goes to"));
    } else if action.is_some() || !is_outer {
        site.notes.append(&mut route.notes);
        site.note(location.note(FALLS_THROUGH));
    }
    None
}

/// What a location does.
const ACTIONS: &[&str] = &["proxy_pass", "grpc_pass", "return"];

/// Sets what a route matches; false where it cannot be said.
fn matching(route: &mut Part, kind: &Kind) -> bool {
    match kind {
        Kind::Regex(pattern) if is_foreign(pattern) => return false,
        Kind::Regex(pattern) => route.set("match", Value::one("regex", pattern.as_str().into())),
        Kind::Exact(path) => route.set("match", Value::one("exact", path.as_str().into())),
        Kind::Prefix(path) if path != "/" => route.set("path", path.as_str()),
        // what matches everything needs no path, and so leaves room for regular expressions
        Kind::Prefix(_) | Kind::Named => {}
    }
    true
}

/// A route to an upstream; false where that is known only when a request comes.
fn forward(
    workshop: &mut Workshop<'_, '_>,
    route: &mut Part,
    (pass, kind): (&Directive, &Kind),
    scope: &Scope<'_>,
) -> bool {
    let Some(target) = Target::read(pass.first(), scope) else {
        route.note(pass.note("names its server with a variable"));
        return false;
    };
    let upstream = target.place(workshop.draft, scope, workshop.shelf);
    route.set("upstream", upstream);
    change_path(route, (pass, kind), target.path.as_deref());
    headers::read(route, scope, workshop.announces_http3);
    limits(route, scope, workshop.rates);
    access::read(route, scope);
    true
}

/// Look-around and back references, which an expression that takes linear time does not have.
fn is_foreign(pattern: &str) -> bool {
    let looks = ["(?=", "(?!", "(?<=", "(?<!", "(?>"];
    let refers_back = pattern
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0] == b'\\' && (b'1'..=b'9').contains(&pair[1]));
    refers_back || looks.iter().any(|look| pattern.contains(look))
}

/// With a path in `proxy_pass`, that path takes the place of the location's.
fn change_path(route: &mut Part, (pass, kind): (&Directive, &Kind), path: Option<&str>) {
    match (kind, path) {
        (_, None) => {}
        (Kind::Prefix(prefix) | Kind::Exact(prefix), Some(path)) if prefix == path => {}
        (Kind::Prefix(_), Some("/")) => route.set("strip_prefix", true),
        (Kind::Prefix(prefix), Some(path)) => {
            // a prefix that matches everything is said all the same where something takes its place
            route.set("path", prefix.as_str());
            route.set("replace_prefix", path);
        }
        (Kind::Exact(exact), Some(path)) => {
            route.set("match", Value::one("prefix", exact.as_str().into()));
            route.set("replace_prefix", path);
            route.note(pass.note("paths below it are taken too: only a prefix can be replaced"));
        }
        (_, Some(_)) => route.note(pass.note("the path is passed on as it came: only a prefix can be replaced")),
    }
}

fn limits(route: &mut Part, scope: &Scope<'_>, rates: &HashMap<String, u64>) {
    if let Some(body) = scope
        .word("client_max_body_size")
        .filter(|body| *body != "0")
        .and_then(size)
    {
        let body = if body.starts_with('0') { "off".to_owned() } else { body };
        route.table("limits").set("body", body.into());
    }
    let Some(directive) = scope.one("limit_req") else {
        return;
    };
    let rate = directive.parameter("zone").and_then(|zone| rates.get(zone));
    let Some(rate) = rate else {
        route.note(directive.note("only requests of an address in a second are limited: whole ones"));
        return;
    };
    let burst = directive
        .parameter("burst")
        .and_then(|burst| burst.parse().ok())
        .unwrap_or(1);
    let limit = Value::Table(vec![
        ("per".to_owned(), "ip".into()),
        ("rate".to_owned(), (*rate).into()),
        ("burst".to_owned(), u64::max(burst, 1).into()),
    ]);
    route.table("limits").set("requests_per_second", limit);
}
