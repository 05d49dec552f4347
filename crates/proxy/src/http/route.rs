//! Which route takes a request (SPEC 4): exact paths, then the longest prefix, then expressions in file order, then
//! routes without a path; of several for one path that with more conditions, then file order.
//!
//! A path is looked up in a table or walked down a tree of segments, so that it costs the same however many routes
//! there are. Several slashes count as one: one slash more must get nobody past a route.
use crate::plan::{ConditionPlan, FieldPlan, PathPlan};
use portcullis_wire::http1::{Field, path::merged};
use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};
use std::{cmp::Reverse, collections::HashMap, fmt};

/// What one expression may take in memory when it is compiled: hundreds of words, no bomb.
const REGEX_SIZE: usize = 1024 * 1024;

/// The routes of a site.
pub(crate) struct Router<R> {
    routes: Vec<Route<R>>,
    exact: HashMap<Box<str>, Candidates>,
    /// The tree of prefixes; the first is the root.
    nodes: Vec<Node>,
    expressions: RegexSet,
    /// Those of each expression.
    expressed: Vec<Candidates>,
    /// Those without a path.
    rest: Candidates,
}

/// What a request asks for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a, F> {
    /// Its method.
    pub(crate) method: &'a str,
    /// Its path in normal form, or `*`.
    pub(crate) path: &'a str,
    /// What goes through its fields, as often as it is called.
    pub(crate) fields: F,
}

/// Indices of routes for one path, the first that fits wins.
type Candidates = Vec<usize>;

struct Route<R> {
    methods: Vec<String>,
    fields: Vec<(String, FieldPlan)>,
    goes: R,
}

/// A segment on the way to a prefix.
#[derive(Default)]
struct Node {
    parent: usize,
    children: HashMap<Box<str>, usize>,
    /// Of the prefix that ends here: `/api`.
    whole: Candidates,
    /// Of the prefix that ends with a slash behind it: `/api/`.
    below: Candidates,
}

/// Why an expression cannot be used.
#[derive(Debug)]
pub(crate) struct RegexFault(regex::Error);

/// Whether an expression can be used.
pub(crate) fn compiles(pattern: &str) -> Result<(), RegexFault> {
    let built = RegexBuilder::new(pattern).unicode(false).size_limit(REGEX_SIZE).build();
    built.map(|_| ()).map_err(RegexFault)
}

impl<R> Router<R> {
    /// Builds it from routes in file order.
    pub(crate) fn new(routes: impl IntoIterator<Item = (ConditionPlan, R)>) -> Router<R> {
        let mut router = Router {
            routes: Vec::new(),
            exact: HashMap::new(),
            nodes: vec![Node::default()],
            expressions: RegexSet::empty(),
            expressed: Vec::new(),
            rest: Vec::new(),
        };
        let mut patterns: Vec<String> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (index, (condition, goes)) in routes.into_iter().enumerate() {
            let candidates = match condition.path {
                PathPlan::Any => &mut router.rest,
                PathPlan::Exact(path) => router.exact.entry(path.into()).or_default(),
                PathPlan::Prefix(prefix) => router.prefix(&prefix),
                PathPlan::Regex(pattern) => {
                    let place = *places.entry(pattern.clone()).or_insert(patterns.len());
                    if place == patterns.len() {
                        patterns.push(pattern);
                        router.expressed.push(Vec::new());
                    }
                    &mut router.expressed[place]
                }
            };
            candidates.push(index);
            let fields = condition.fields.into_iter().collect();
            let methods = condition.methods;
            router.routes.push(Route { methods, fields, goes });
        }
        router.expressions = set(&patterns);
        router.sort();
        router
    }

    /// The route that takes a request.
    pub(crate) fn find<'f, F, I>(&self, asked: &Asked<'_, F>) -> Option<&R>
    where
        F: Fn() -> I,
        I: Iterator<Item = Field<'f>>,
    {
        let takes = |route: &Route<R>| route.takes_method(asked.method) && route.takes_fields(&asked.fields);
        self.first(asked.path, takes).map(|route| &route.goes)
    }

    /// The methods by which a route would take a request that none takes as it is; empty: its path leads nowhere.
    pub(crate) fn methods<'f, F, I>(&self, asked: &Asked<'_, F>) -> Vec<&str>
    where
        F: Fn() -> I,
        I: Iterator<Item = Field<'f>>,
    {
        let mut methods: Vec<&str> = Vec::new();
        self.first(asked.path, |route| {
            if route.takes_fields(&asked.fields) {
                methods.extend(route.methods.iter().map(String::as_str));
            }
            false
        });
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// The first route for a path, in order, that is taken.
    fn first<'r>(&'r self, path: &str, mut takes: impl FnMut(&'r Route<R>) -> bool) -> Option<&'r Route<R>> {
        let path = merged(path);
        let mut among = |candidates: &[usize]| {
            let mut routes = candidates.iter().map(|index| &self.routes[*index]);
            routes.find(|route| takes(route))
        };
        let exact = self.exact.get(&*path);
        if let Some(found) = exact.and_then(|candidates| among(candidates)) {
            return Some(found);
        }
        if let Some(found) = self.longest_first(&path).find_map(&mut among) {
            return Some(found);
        }
        if !self.expressed.is_empty() {
            let matches = self.expressions.matches(path.as_bytes());
            if let Some(found) = matches.iter().find_map(|place| among(&self.expressed[place])) {
                return Some(found);
            }
        }
        among(&self.rest)
    }

    /// The candidates of every prefix of a path, from the longest.
    fn longest_first(&self, path: &str) -> impl Iterator<Item = &[usize]> {
        let mut rest = path.get(1..).unwrap_or_default();
        let (mut at, mut is_followed) = (0, true);
        loop {
            let (segment, after) = rest.split_once('/').map_or((rest, None), |(s, after)| (s, Some(after)));
            let Some(child) = self.nodes[at].children.get(segment) else {
                break;
            };
            (at, is_followed) = (*child, after.is_some());
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        let deepest = Some((at, is_followed));
        let upwards = std::iter::successors(deepest, |(at, _)| (*at > 0).then(|| (self.nodes[*at].parent, true)));
        upwards.flat_map(|(at, is_followed)| {
            let node = &self.nodes[at];
            let below = is_followed.then_some(node.below.as_slice());
            below.into_iter().chain([node.whole.as_slice()])
        })
    }

    /// The candidates of a prefix, whose way through the tree is made as needed.
    fn prefix(&mut self, prefix: &str) -> &mut Candidates {
        let (way, is_below) = prefix.strip_suffix('/').map_or((prefix, false), |way| (way, true));
        let mut at = 0;
        for segment in way.split('/').skip(1) {
            let next = self.nodes.len();
            at = match self.nodes[at].children.get(segment) {
                Some(child) => *child,
                None => {
                    self.nodes[at].children.insert(segment.into(), next);
                    self.nodes.push(Node {
                        parent: at,
                        ..Node::default()
                    });
                    next
                }
            };
        }
        let node = &mut self.nodes[at];
        if is_below { &mut node.below } else { &mut node.whole }
    }

    /// More conditions first; the sort is stable, so file order stays.
    fn sort(&mut self) {
        let routes = &self.routes;
        let by_conditions =
            |candidates: &mut Candidates| candidates.sort_by_key(|index| Reverse(routes[*index].weight()));
        self.exact.values_mut().for_each(by_conditions);
        for node in &mut self.nodes {
            by_conditions(&mut node.whole);
            by_conditions(&mut node.below);
        }
        self.expressed.iter_mut().for_each(by_conditions);
        by_conditions(&mut self.rest);
    }
}

impl<R> Route<R> {
    /// How many conditions it has beside its path.
    fn weight(&self) -> usize {
        usize::from(!self.methods.is_empty()) + self.fields.len()
    }

    fn takes_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|own| own == method)
    }

    fn takes_fields<'f, I: Iterator<Item = Field<'f>>>(&self, fields: &impl Fn() -> I) -> bool {
        self.fields.iter().all(|(name, condition)| {
            let mut lines = fields().filter(|field| field.name.eq_ignore_ascii_case(name));
            match condition {
                FieldPlan::Present => lines.next().is_some(),
                FieldPlan::Absent => lines.next().is_none(),
                FieldPlan::Is(value) => lines.any(|line| line.value == value.as_bytes()),
            }
        })
    }
}

fn set(patterns: &[String]) -> RegexSet {
    let built = RegexSetBuilder::new(patterns)
        .unicode(false)
        .size_limit(REGEX_SIZE.saturating_mul(patterns.len().max(1)))
        .build();
    built.expect("each compiled when the configuration was read, and there is room for all")
}

impl fmt::Display for RegexFault {
    /// The library's text spans lines and points at a place: its last line says what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            regex::Error::CompiledTooBig(limit) => write!(f, "takes more than {limit} bytes"),
            other => {
                let text = other.to_string();
                let last = text.lines().next_back().unwrap_or_default();
                write!(f, "is no expression: {}", last.trim_start_matches("error: "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
