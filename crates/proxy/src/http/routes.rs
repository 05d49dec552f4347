//! What an http site does with a request before anything is sent on: who may ask, how often, and which route it is.
use super::{
    access,
    answer::{self, Answer, Pages},
    rates::{Rates, retry_after},
    route::{Asked, Router},
    rules::Rules,
};
use crate::plan::{AccessPlan, ActionPlan, HttpPlan, RoutePlan};
use portcullis_tls::policy::Demand;
use portcullis_wire::http1::Field;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The routes of an http site, as they run.
pub(crate) struct Routes {
    router: Router<Arc<Route>>,
    access: AccessPlan,
    rates: Option<Rates>,
    /// The operator's pages.
    pub(crate) pages: Pages,
}

/// A route, as it runs.
pub(crate) struct Route {
    /// What it does.
    pub(crate) action: ActionPlan,
    /// What is done to fields.
    pub(crate) rules: Rules,
    /// What a connection must have negotiated beyond what its site demands.
    pub(crate) policy: Option<Demand>,
    /// Most bytes of a body.
    pub(crate) body: Option<u64>,
    /// The prefix that it takes, if that is how it takes requests.
    pub(crate) prefix: Option<String>,
    access: AccessPlan,
    rates: Option<Rates>,
}

/// Why a request goes no further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The client is not among those who may ask: 403.
    Denied,
    /// Too many requests: 429.
    TooMany(Duration),
    /// No route takes the path: 404.
    NoRoute,
    /// Routes take it by other methods: 405.
    Method(String),
}

impl Routes {
    /// Builds them; `pages` are the files of `errors`, read.
    pub(crate) fn new(plan: &HttpPlan, pages: Pages, now: Instant) -> Routes {
        let rates = |plan: &Option<_>| plan.as_ref().map(|plan| Rates::new(plan, now));
        let route = |plan: &RoutePlan| {
            Arc::new(Route {
                action: plan.action.clone(),
                rules: Rules::new(&plan.headers),
                policy: plan.policy.clone(),
                body: plan.body,
                prefix: plan.condition.path.prefix().map(str::to_owned),
                access: plan.access.clone(),
                rates: rates(&plan.rate),
            })
        };
        let routes = plan.routes.iter().map(|plan| (plan.condition.clone(), route(plan)));
        Routes {
            router: Router::new(routes),
            access: plan.access.clone(),
            rates: rates(&plan.rate),
            pages,
        }
    }

    /// The route of a request that may be served, of a client at a moment, which is asked for where rates are counted.
    pub(crate) fn admit<'f, F, I>(
        &self,
        asked: &Asked<'_, F>,
        client: Option<IpAddr>,
        now: impl Fn() -> Instant,
    ) -> Result<&Arc<Route>, Refusal>
    where
        F: Fn() -> I,
        I: Iterator<Item = Field<'f>>,
    {
        admit((&self.access, self.rates.as_ref()), client, &now)?;
        let Some(route) = self.router.find(asked) else {
            return Err(match self.router.methods(asked).join(", ") {
                none if none.is_empty() => Refusal::NoRoute,
                methods => Refusal::Method(methods),
            });
        };
        admit((&route.access, route.rates.as_ref()), client, &now)?;
        Ok(route)
    }
}

fn admit(
    (access, rates): (&AccessPlan, Option<&Rates>),
    client: Option<IpAddr>,
    now: impl Fn() -> Instant,
) -> Result<(), Refusal> {
    if !access::admits(access, client) {
        return Err(Refusal::Denied);
    }
    rates
        .map_or(Ok(()), |rates| rates.take(client, now()))
        .map_err(Refusal::TooMany)
}

impl Route {
    /// The most that a request's body may come to.
    pub(crate) fn most_body(&self) -> u64 {
        self.body.unwrap_or(u64::MAX)
    }
}

impl Refusal {
    /// For the operator.
    pub(crate) fn why(&self) -> &'static str {
        match self {
            Refusal::Denied => "its address may not ask",
            Refusal::TooMany(_) => "more requests a second than limits.requests_per_second",
            Refusal::NoRoute => "no route takes it",
            Refusal::Method(_) => "no route takes its method",
        }
    }

    /// Its status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Refusal::Denied => 403,
            Refusal::NoRoute => 404,
            Refusal::Method(_) => 405,
            Refusal::TooMany(_) => 429,
        }
    }

    /// What the client is told.
    pub(crate) fn answer(&self, pages: &Pages, reader: answer::Reader<'_>) -> Answer {
        let answer = pages.error(self.status(), reader);
        match self {
            Refusal::Denied | Refusal::NoRoute => answer,
            Refusal::Method(methods) => answer.with("allow", methods.clone()),
            Refusal::TooMany(wait) => answer.with("retry-after", retry_after(*wait).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load_text};
    use crate::plan::ServicePlan;

    fn routes_of(lines: &str) -> Routes {
        let text = format!(
            "[[listener]]\nlisten = ['127.0.0.1:1']\nplain = true\nmode = 'http'\n[[site]]\n{lines}\n[upstream.b]\nservers = ['h:1']\n"
        );
        let plan = load_text(&Source::default(), &text).expect("a good file").plan;
        let ServicePlan::Http(http) = &plan.sites[0].service else {
            panic!("an http site")
        };
        Routes::new(http, Pages::default(), Instant::now())
    }

    fn ask(routes: &Routes, (method, path): (&str, &str), client: &str) -> Result<usize, Refusal> {
        let asked = Asked {
            method,
            path,
            fields: std::iter::empty,
        };
        let route = routes.admit(&asked, client.parse().ok(), Instant::now)?;
        Ok(route.body.unwrap_or_default() as usize)
    }

    #[test]
    fn a_request_that_may_not_be_served_is_refused_with_what_to_do() {
        let routes = routes_of(
            "deny = ['192.0.2.0/24']\n[[site.route]]\npath = '/a'\nupstream = 'b'\nmatch = { methods = ['GET', 'PUT'] }\nallow = ['10.0.0.0/8']\nlimits = { body = '5B' }",
        );
        assert_eq!(ask(&routes, ("GET", "/a"), "10.0.0.1"), Ok(5));
        assert_eq!(ask(&routes, ("GET", "/a"), "192.0.2.1"), Err(Refusal::Denied));
        assert_eq!(ask(&routes, ("GET", "/a"), "198.51.100.1"), Err(Refusal::Denied));
        assert_eq!(ask(&routes, ("GET", "/b"), "10.0.0.1"), Err(Refusal::NoRoute));
        assert_eq!(
            ask(&routes, ("POST", "/a"), "10.0.0.1"),
            Err(Refusal::Method("GET, HEAD, PUT".into()))
        );
    }

    #[test]
    fn a_sites_rate_counts_every_request_and_a_routes_only_its_own() {
        let routes = routes_of(
            "limits = { requests_per_second = { rate = 1, burst = 4 } }\n[[site.route]]\npath = '/a'\nupstream = 'b'\nlimits = { requests_per_second = { rate = 1, burst = 2 } }\n[[site.route]]\nupstream = 'b'\n",
        );
        let statuses = |paths: &[&str]| -> Vec<u16> {
            let each = paths.iter().map(|path| ask(&routes, ("GET", path), "10.0.0.1"));
            each.map(|asked| asked.map_or_else(|refusal| refusal.status(), |_| 200))
                .collect()
        };
        assert_eq!(statuses(&["/a", "/a", "/a", "/b", "/b"]), [200, 200, 429, 200, 429]);
    }

    #[test]
    fn a_refusal_says_when_or_how_to_come_again() {
        let reader = answer::Reader {
            accept: b"",
            request_id: "1",
        };
        let last = |refusal: Refusal| refusal.answer(&Pages::default(), reader).fields.pop();
        let wait = Duration::from_millis(1500);
        assert_eq!(last(Refusal::TooMany(wait)), Some(("retry-after", "2".into())));
        assert_eq!(last(Refusal::Method("GET".into())), Some(("allow", "GET".into())));
        assert_eq!(last(Refusal::Denied), Some(("cache-control", "no-store".into())));
    }
}
