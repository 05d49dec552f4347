//! `[[site.route]]`: which requests it takes, and what is done with them.
use super::{
    Origin, access, action, condition,
    footing::Neighbours,
    headers, policy,
    policy::{SitePolicy, Written},
    rate,
    reader::Reader,
    report::{Fault, Found},
    tree::{Table, quoted},
    values,
};
use crate::plan::{ActionPlan, ClientAuthPlan, ConditionPlan, PathPlan, RewritePlan, RoutePlan};
use portcullis_tls::{
    policy::{Demand, Policy, Refuse},
    profile::Settings,
};

/// What a site says that its routes may tighten.
pub(super) struct Ground<'a> {
    /// The listeners and upstreams around it.
    pub(super) neighbours: &'a Neighbours<'a>,
    /// Its policy, and what was written of it.
    pub(super) policy: &'a SitePolicy,
    pub(super) written: Option<&'a Written>,
    /// What is demanded of its connections, each with whose word it is.
    pub(super) above: Vec<(String, Demand)>,
    /// Its TLS; None where it speaks none.
    pub(super) tls: Option<&'a Settings>,
    pub(super) client_auth: Option<&'a ClientAuthPlan>,
    /// Most bytes of a body where a route says nothing.
    pub(super) body: Option<u64>,
}

/// A route, and where it stands.
pub(super) struct Draft {
    pub(super) plan: RoutePlan,
    pub(super) origin: Origin,
}

/// Reads a route.
pub(super) fn read(site: &mut Reader<'_>, (table, origin): (Table, Origin), ground: &Ground<'_>) -> Draft {
    let mut route = site.item(table, "route", "site.route");
    let (condition, path) = condition::read(&mut route);
    let action = action::read(&mut route, &origin, ground.neighbours);
    let action = rewrite(&mut route, action, path.as_ref());
    let headers = headers::read(&mut route);
    if let ActionPlan::Redirect(_) | ActionPlan::Respond(_) = action
        && headers.request != Default::default()
    {
        let fault = Fault::whole(
            origin.clone(),
            "headers.request means nothing on a route without an upstream",
        );
        route.error(fault);
    }
    let policy = policy(&mut route, ground);
    let access = access::read(&mut route);
    let limits = rate::read(&mut route, "site.route.limits");
    route.finish();
    let plan = RoutePlan {
        condition,
        action,
        headers,
        policy,
        body: limits.body.map_or(ground.body, |found| found.value),
        rate: limits.rate,
        access,
    };
    Draft { plan, origin }
}

/// What becomes of the prefix, which needs one.
fn rewrite(route: &mut Reader<'_>, action: ActionPlan, path: Option<&Found<PathPlan>>) -> ActionPlan {
    let strip = route.value("strip_prefix", values::switch);
    let replace = route.value("replace_prefix", condition::normal);
    let (key, origin, rewrite) = match (strip, replace) {
        (Some(Found { value: true, .. }), Some(Found { origin, .. })) => {
            let fault = Fault::whole(origin, "a route has both strip_prefix and replace_prefix");
            route.error(fault.hint("replace_prefix alone takes the prefix off"));
            return action;
        }
        (Some(Found { value: true, origin }), None) => ("strip_prefix", origin, RewritePlan::Strip),
        (_, Some(Found { value, origin })) => ("replace_prefix", origin, RewritePlan::Replace(value)),
        _ => return action,
    };
    if !matches!(path.map(|found| &found.value), Some(PathPlan::Prefix(_))) {
        let fault = Fault::of_key(origin, "means nothing on a route without a prefix");
        route.fault(key, fault.hint("path = \"/api/\""));
        return action;
    }
    match action {
        ActionPlan::Forward { upstream, .. } => ActionPlan::Forward { upstream, rewrite },
        other => {
            route.fault(
                key,
                Fault::of_key(origin, "means nothing on a route without an upstream"),
            );
            other
        }
    }
}

/// A route may demand more than its site, never less.
fn policy(route: &mut Reader<'_>, ground: &Ground<'_>) -> Option<Demand> {
    let site = ground.policy;
    let written = policy::read(route)?;
    let Some(tls) = ground.tls else {
        let fault = Fault::of_key(written.origin, "means nothing on a plain listener");
        route.fault("policy", fault);
        return None;
    };
    for (rule, weaker) in ground.written.into_iter().flat_map(|floor| written.weaker_than(floor)) {
        let word = quoted(weaker.value.as_str());
        let message = format!("route policy {rule} {word} is weaker than the site's");
        route
            .error(Fault::whole(weaker.origin.clone(), message).hint("a route may only tighten what its site demands"));
    }
    written.explain(route);
    let tightened = site.tightened_by(&written);
    if tightened.comes_to != site.comes_to {
        tightened.check(route, tls);
        tightened.check_clients(route, ground.client_auth);
    }
    let demand = written.demand(Policy::OBSERVE);
    written.check(route, &demand, &ground.above);
    written.check_identities(route, ground.client_auth);
    match &written.refuse {
        Some(found) if found.value == Refuse::Alert => {
            let message = "policy refuse \"alert\" means nothing on a route";
            let hint = "the handshake is over when a request comes: leave it out, a page answers";
            route.error(Fault::whole(found.origin.clone(), message).hint(hint));
        }
        _ => {}
    }
    Some(Demand {
        refuse: Refuse::Page,
        ..demand
    })
}

/// What a reader can only see with all routes side by side: routes that never get a request.
pub(super) fn check(site: &mut Reader<'_>, routes: &[Draft]) {
    let mut seen = std::collections::HashMap::new();
    for route in routes {
        let first = *seen.entry(&route.plan.condition).or_insert(&route.origin);
        if !std::ptr::eq(first, &route.origin) {
            let message = "this route takes the same requests as an earlier one, so it never gets any";
            let hint = format!("the first is at {first}");
            site.error(Fault::whole(route.origin.clone(), message).hint(hint));
        }
    }
    let takes_every_path = |condition: &ConditionPlan| {
        condition.path == PathPlan::Prefix("/".to_owned())
            && condition.methods.is_empty()
            && condition.fields.is_empty()
    };
    let Some(root) = routes.iter().find(|route| takes_every_path(&route.plan.condition)) else {
        return;
    };
    for route in routes {
        let what = match &route.plan.condition.path {
            PathPlan::Regex(_) => "a prefix comes before an expression",
            PathPlan::Any => "a route with a path comes before one without",
            PathPlan::Exact(_) | PathPlan::Prefix(_) => continue,
        };
        let message = format!(
            "this route never gets a request: path \"/\" at {} takes every path, and {what}",
            root.origin
        );
        let hint = "leave path = \"/\" out there: a route without a path comes last";
        site.error(Fault::whole(route.origin.clone(), message).hint(hint));
    }
}
