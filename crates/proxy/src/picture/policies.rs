//! What the policies of a site require of whom, and which exemptions end.
use super::{SOON, Warning};
use crate::plan::{ListenerPlan, PathPlan, RoutePlan, ServicePlan, SitePlan};
use portcullis_tls::policy::{Demand, Exemption, Force, RuleName, Stance};
use serde::Serialize;

/// A policy that requires something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PolicyPicture {
    /// Where it stands: `listener web`, `site shop`, `route /api/`.
    pub of: String,
    /// What it requires.
    pub requires: Vec<&'static str>,
    /// It only counts.
    pub report_only: bool,
    /// `alert` or `page`
    pub refuse: &'static str,
    /// Who is let off.
    pub exempt: Vec<ExemptionPicture>,
}

/// An exemption.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ExemptionPicture {
    /// From there; none: from anywhere.
    pub cidr: Vec<String>,
    /// By its certificate; none: with any or none.
    pub identity: Vec<String>,
    /// By the name it asks for; none: by any.
    pub sni: Vec<String>,
    /// The last day.
    pub until: String,
    /// Why.
    pub reason: String,
    /// Days that are left; 0: this is the last; below: it is over.
    pub days_left: i64,
}

/// Those of a site and of what is around and below it.
pub(super) fn of(site: &SitePlan, on: &[&ListenerPlan], now: i64) -> Vec<PolicyPicture> {
    let listeners = on
        .iter()
        .filter_map(|listener| Some((format!("listener {}", listener.name), listener.policy.as_ref()?)));
    let routes = match &site.service {
        ServicePlan::Tcp(_) => [].as_slice(),
        ServicePlan::Http(http) => http.routes.as_slice(),
    };
    let routes = routes
        .iter()
        .filter_map(|route| Some((format!("route {}", path_of(route)), route.policy.as_ref()?)));
    let own = (format!("site {}", site.name), &site.policy);
    let each = listeners.chain([own]).chain(routes);
    each.filter(|(_, demand)| demand.policy.requires_anything())
        .map(|(of, demand)| picture(of, demand, now))
        .collect()
}

/// Exemptions that end soon, or have.
pub(super) fn worries(site: &SitePlan, policies: &[PolicyPicture]) -> Vec<Warning> {
    let each = policies
        .iter()
        .flat_map(|policy| policy.exempt.iter().map(move |exemption| (policy, exemption)));
    let worrying = each.filter(|(_, exemption)| exemption.days_left < SOON / DAY);
    worrying
        .map(|(policy, exemption)| {
            let whom = exemption.whom();
            let (message, hint) = match exemption.days_left {
                ..0 => (
                    format!(
                        "{}: the exemption of {whom} is over since the end of {}",
                        policy.of, exemption.until
                    ),
                    "they are refused now: take it out, or give it another day",
                ),
                left => (
                    format!(
                        "{}: the exemption of {whom} ends in {left} days, with {}",
                        policy.of, exemption.until
                    ),
                    "they are refused from then on: upgrade them, or give it another day",
                ),
            };
            Warning {
                site: site.name.clone(),
                message,
                hint: hint.to_owned(),
            }
        })
        .collect()
}

const DAY: i64 = 24 * 3600;

fn picture(of: String, demand: &Demand, now: i64) -> PolicyPicture {
    let rules = RuleName::ALL.into_iter();
    let required = rules.filter(|rule| demand.policy.stance(*rule) == Stance::Require);
    PolicyPicture {
        of,
        requires: required.map(|rule| rule.as_str()).collect(),
        report_only: demand.force == Force::ReportOnly,
        refuse: demand.refuse.as_str(),
        exempt: demand.exempt.iter().map(|exemption| exempt(exemption, now)).collect(),
    }
}

fn exempt(exemption: &Exemption, now: i64) -> ExemptionPicture {
    ExemptionPicture {
        cidr: exemption.networks.iter().map(ToString::to_string).collect(),
        identity: exemption.identities.iter().map(ToString::to_string).collect(),
        sni: exemption.names.clone(),
        until: exemption.last_day.clone(),
        reason: exemption.reason.clone(),
        days_left: (exemption.until - 1 - now).div_euclid(DAY),
    }
}

impl ExemptionPicture {
    fn whom(&self) -> String {
        let each = self.cidr.iter().chain(&self.identity).chain(&self.sni);
        each.map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

fn path_of(route: &RoutePlan) -> &str {
    match &route.condition.path {
        PathPlan::Any => "(any path)",
        PathPlan::Exact(path) | PathPlan::Prefix(path) | PathPlan::Regex(path) => path,
    }
}
