//! What is behind a site: an upstream for bytes, or routes for requests.
use super::{
    Origin, access,
    footing::Neighbours,
    named, rate,
    reader::Reader,
    report::Fault,
    route::{self, Draft, Ground},
    tree::{Kind, Value, quoted},
    values,
};
use crate::{
    http::answer,
    plan::{ActionPlan, ConditionPlan, HeadersPlan, HttpPlan, Mode, PathPlan, RewritePlan, RoutePlan, ServicePlan},
};
use std::{collections::BTreeMap, path::PathBuf};

/// Keys that say something of requests.
const OF_REQUESTS: [&str; 5] = ["route", "errors", "limits", "allow", "deny"];

/// The mode that a site's keys speak of, where it says none itself.
pub(super) fn implied_mode(site: &Reader<'_>) -> Option<Mode> {
    OF_REQUESTS.iter().any(|key| site.has(key)).then_some(Mode::Http)
}

/// Reads the service of a tcp site.
pub(super) fn tcp(site: &mut Reader<'_>, origin: &Origin, neighbours: &Neighbours<'_>) -> ServicePlan {
    for key in OF_REQUESTS {
        if let Some(value) = site.take(key) {
            let fault = Fault::of_key(value.origin, "means nothing on a tcp site");
            site.fault(key, fault.hint("mode = \"http\" on the site or its listener"));
        }
    }
    let stands = site.has("upstream");
    let upstream = site.value("upstream", values::name);
    if !stands {
        site.error(leads_nowhere(origin));
    }
    ServicePlan::Tcp(upstream.map_or(0, |name| neighbours.upstream(site, name)))
}

/// Reads the service of an http site.
pub(super) fn http(site: &mut Reader<'_>, origin: &Origin, ground: Ground<'_>) -> ServicePlan {
    let limits = rate::read(site, "site.limits");
    let ground = Ground {
        body: limits.body.and_then(|found| found.value),
        ..ground
    };
    let access = access::read(site);
    let errors = errors(site);
    let stands = site.has("upstream");
    let whole = site.value("upstream", values::name);
    let has_routes = site.has("route");
    let tables = named::tables(site, "route");
    let mut routes: Vec<Draft> = Vec::with_capacity(tables.len() + 1);
    for table in tables {
        routes.push(route::read(site, table, &ground));
    }
    if let Some(name) = whole {
        let at = name.origin.clone();
        if has_routes {
            let hint = "upstream in a last [[site.route]] without a path takes what the others leave";
            site.error(Fault::whole(at.clone(), "a site has upstream and routes").hint(hint));
        }
        let upstream = ground.neighbours.upstream(site, name);
        if !has_routes {
            let plan = everything(upstream, &ground);
            routes.push(Draft { plan, origin: at });
        }
    } else if !stands && !has_routes {
        site.error(leads_nowhere(origin));
    }
    route::check(site, &routes);
    ServicePlan::Http(Box::new(HttpPlan {
        routes: routes.into_iter().map(|route| route.plan).collect(),
        access,
        rate: limits.rate,
        errors,
    }))
}

fn leads_nowhere(origin: &Origin) -> Fault {
    Fault::whole(origin.clone(), "leads to no upstream")
        .hint("upstream = \"NAME\", and [upstream.NAME] with its servers")
}

/// The one route that a site's own `upstream` stands for.
fn everything(upstream: usize, ground: &Ground<'_>) -> RoutePlan {
    RoutePlan {
        condition: ConditionPlan {
            path: PathPlan::Any,
            methods: Vec::new(),
            fields: BTreeMap::new(),
        },
        action: ActionPlan::Forward {
            upstream,
            rewrite: RewritePlan::Keep,
        },
        headers: HeadersPlan::default(),
        policy: None,
        body: ground.body,
        rate: None,
        access: Default::default(),
    }
}

/// `errors = { 502 = "502.html" }`.
fn errors(site: &mut Reader<'_>) -> BTreeMap<u16, PathBuf> {
    let Some(value) = site.take("errors") else {
        return BTreeMap::new();
    };
    let (shown, origin) = (value.to_string(), value.origin.clone());
    let Kind::Table(table) = value.kind else {
        let fault = Fault::of_key(origin, format!("must be a table, not {}", value.kind.describe()));
        site.fault("errors", fault.hint("errors = { 502 = \"502.html\" }"));
        return BTreeMap::new();
    };
    site.explain("errors", shown, origin);
    let mut errors = BTreeMap::new();
    for (status, value) in table.into_entries() {
        match page(&status, &value) {
            Ok((status, file)) => _ = errors.insert(status, file),
            Err(fault) => site.fault("errors", fault),
        }
    }
    errors
}

fn page(status: &str, value: &Value) -> Result<(u16, PathBuf), Fault> {
    let number = status
        .parse()
        .ok()
        .filter(|number| answer::statuses().any(|own| own == *number));
    let number = number.ok_or_else(|| {
        let ours: Vec<String> = answer::statuses().map(|status| status.to_string()).collect();
        let fault = value.fault(format!(
            "has {}, which is no error that the proxy answers",
            quoted(status)
        ));
        fault.hint(format!("it answers {}", ours.join(", ")))
    })?;
    Ok((number, values::path(value)?))
}
