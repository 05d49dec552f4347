//! What the policies of a site require of whom, and which exemptions end.
use super::{SOON, Warning};
use crate::plan::{ListenerPlan, PathPlan, RoutePlan, ServicePlan, SitePlan};
use portcullis_tls::{
    policy::{Demand, Exemption, Force, RuleName, Stance, Verdict},
    server::{Asking, Server},
};
use portcullis_wire::{GroupId, Hello, SchemeId};
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

/// A client of a well-known kind, and what the policies make of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClientPicture {
    /// What it is.
    pub client: &'static str,
    /// `admitted`, `exempt` (or may be, by its certificate), `would_refuse` or `refused`: the heaviest of all rules.
    pub decision: &'static str,
    /// The rules that it does not meet.
    pub unmet: Vec<&'static str>,
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

/// Each kind is judged by the judge of connections, as if it came from nowhere in particular.
pub(super) fn clients(server: &Server, now: i64) -> Vec<ClientPicture> {
    let asking = Asking {
        may_see: &|_| true,
        address: None,
        now,
    };
    let kinds = KINDS.iter().map(|(client, hello)| {
        let decision = server.decide(&hello(), None, &asking);
        let unmet = decision
            .rules()
            .into_iter()
            .filter(|(_, verdict)| *verdict != Verdict::Admitted);
        ClientPicture {
            client,
            decision: decision.heaviest().as_str(),
            unmet: unmet.map(|(rule, _)| rule.as_str()).collect(),
        }
    });
    kinds.collect()
}

type Kind = (&'static str, fn() -> Hello);

/// What browsers, curl and others of their age send (TLS-1.3 groups with the classical share that all of them have).
const KINDS: [Kind; 5] = [
    ("TLS 1.3 with X25519MLKEM768 and ML-DSA", || {
        hello(
            &[0x0304, 0x0303],
            &[0x11ec, 0x001d, 0x0017],
            &[0x0905, 0x0904, 0x0906, 0x0403, 0x0804],
        )
    }),
    ("TLS 1.3 with X25519MLKEM768, without ML-DSA", || {
        hello(&[0x0304, 0x0303], &[0x11ec, 0x001d, 0x0017], &[0x0403, 0x0804])
    }),
    ("TLS 1.3 that lists X25519MLKEM768 behind X25519", || {
        hello(&[0x0304, 0x0303], &[0x001d, 0x11ec, 0x0017], &[0x0403, 0x0804])
    }),
    ("TLS 1.3 with classical groups alone", || {
        hello(&[0x0304, 0x0303], &[0x001d, 0x0017, 0x0018], &[0x0403, 0x0804])
    }),
    ("TLS 1.2", || {
        hello(&[0x0303], &[0x001d, 0x0017, 0x0018], &[0x0403, 0x0804])
    }),
];

/// The first group comes with a share.
fn hello(versions: &[u16], groups: &[u16], schemes: &[u16]) -> Hello {
    let groups: Vec<GroupId> = groups.iter().copied().map(GroupId).collect();
    let first = groups
        .first()
        .and_then(|group| Some((*group, group.entry()?.client_share)));
    Hello {
        versions: versions.to_vec(),
        key_shares: first.into_iter().collect(),
        schemes: schemes.iter().copied().map(SchemeId).collect(),
        groups,
        ..Hello::default()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Source, load_text},
        plan::Plan,
    };

    /// A site with a route and an exemption to the end of 2026-11-30.
    fn plan() -> Plan {
        let text = "[[listener]]\nlisten = ['127.0.0.1:1']\nmode = 'http'\n[[site]]\nname = 'shop'\ncertificates = [{ chain = 'a' }]\n[[site.route]]\npath = '/a/'\nupstream = 'b'\npolicy = { key_exchange = 'require', report_only = true, exempt = [{ cidr = '192.0.2.0/24', sni = 'a.test', until = '2026-11-30' }] }\n[upstream.b]\nservers = ['h:1']\n";
        load_text(&Source::default(), text).expect("a good file").plan
    }

    #[test]
    fn an_exemption_that_ends_within_thirty_days_is_worth_a_word() {
        // the first second of 2026-12-01
        const OVER: i64 = 1_796_083_200;
        let plan = plan();
        let table = [
            (OVER - 31 * DAY, None),
            (
                OVER - 30 * DAY,
                Some("route /a/: the exemption of 192.0.2.0/24, a.test ends in 29 days, with 2026-11-30"),
            ),
            (
                OVER - 1,
                Some("route /a/: the exemption of 192.0.2.0/24, a.test ends in 0 days, with 2026-11-30"),
            ),
            (
                OVER,
                Some("route /a/: the exemption of 192.0.2.0/24, a.test is over since the end of 2026-11-30"),
            ),
        ];
        for (now, expected) in table {
            let policies = of(&plan.sites[0], &[&plan.listeners[0]], now);
            assert_eq!(policies.len(), 1, "the site requires nothing itself");
            let told = worries(&plan.sites[0], &policies);
            let told = told.first().map(|warning| warning.message.as_str());
            assert_eq!(told, expected, "{now}");
        }
    }
}
