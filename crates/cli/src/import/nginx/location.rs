//! `location` blocks become routes.
use super::{
    super::{
        draft::{Draft, Part},
        value::Value,
    },
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

/// No route is as good as this one: whoever reads the note must know where the requests go.
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
    let Some(pass) = block
        .iter()
        .find(|directive| matches!(directive.name.as_str(), "proxy_pass" | "grpc_pass"))
    else {
        said::leftovers(site, block, &[]);
        let answers = block
            .iter()
            .find(|directive| directive.name == "return" || (directive.name == "deny" && directive.first() == "all"));
        let is_outer = block.iter().any(|directive| directive.name == "location");
        match answers {
            Some(answer) => {
                site.note(location.note(format!("{} is no answer of a route; {FALLS_THROUGH}", answer.shown())))
            }
            None if !is_outer && *kind != Kind::Named => site.note(location.note(FALLS_THROUGH)),
            None => {}
        }
        return None;
    };
    let mut route = Part::default();
    match kind {
        Kind::Named => {
            site.note(location.note("a location that only nginx itself goes to"));
            return None;
        }
        Kind::Regex(pattern) if is_foreign(pattern) => {
            site.note(location.note(format!(
                "looks around or back, which expressions here do not; {FALLS_THROUGH}"
            )));
            return None;
        }
        Kind::Regex(pattern) => route.set("match", Value::one("regex", pattern.as_str().into())),
        Kind::Exact(path) => route.set("match", Value::one("exact", path.as_str().into())),
        Kind::Prefix(path) if path != "/" => route.set("path", path.as_str()),
        // what matches everything needs no path, and so leaves room for regular expressions
        Kind::Prefix(_) => {}
    }
    let Some(target) = Target::read(pass.first(), scope) else {
        site.note(pass.note(format!("names its server with a variable; {FALLS_THROUGH}")));
        return None;
    };
    said::leftovers(&mut route, block, &[]);
    let upstream = target.place(workshop.draft, scope, workshop.shelf);
    route.set("upstream", upstream);
    change_path(&mut route, (pass, kind), target.path.as_deref());
    headers::read(&mut route, scope, workshop.announces_http3);
    limits(&mut route, scope, workshop.rates);
    access(&mut route, block);
    Some(route)
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
        (Kind::Prefix(_) | Kind::Exact(_), Some(path)) => route.set("replace_prefix", path),
        (_, Some(_)) => route.note(pass.note("the path is passed on as it came: only a prefix can be replaced")),
    }
}

fn limits(route: &mut Part, scope: &Scope<'_>, rates: &HashMap<String, u64>) {
    if let Some(body) = scope
        .word("client_max_body_size")
        .filter(|body| *body != "0")
        .and_then(size)
    {
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

fn access(route: &mut Part, block: &[Directive]) {
    for directive in block
        .iter()
        .filter(|directive| matches!(directive.name.as_str(), "allow" | "deny"))
    {
        if directive.first() != "all" || directive.name == "deny" {
            route.note(
                directive
                    .note("networks are turned away at the listener: deny = [...]; a route admits all that came in"),
            );
        }
    }
}
