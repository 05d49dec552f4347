//! `examples/monitoring` with Debian's Prometheus: it reads our metrics, its rules hold, and they ask for nothing that we
//! do not have.
use crate::{
    CURL, book,
    page::blocks,
    place::{self, Place},
};
use portcullis_e2e::peers::Home;
use serde_json::Value;
use std::{collections::BTreeSet, fs};

const EXAMPLE: &str = "monitoring";
const PROGRAMS: [(Home, &str); 4] = [
    (Home::Trixie, "prometheus"),
    (Home::Trixie, "promtool"),
    (Home::Python, "python"),
    CURL,
];

/// What Prometheus itself and its rules add to our names.
const THEIRS: [&str; 1] = ["up"];

#[test]
fn prometheus_reads_us_and_its_rules_ask_for_what_we_have() {
    let Some(mut place) = Place::set(EXAMPLE, &PROGRAMS) else {
        return;
    };
    place.follow(&blocks(&place::page(EXAMPLE)));
    let names = ours();
    assert!(names.len() > 30, "{names:?}");
    let rules: Value = api(&place, "rules");
    let groups = rules["data"]["groups"].as_array().expect("a list of groups");
    let all = || {
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().into_iter().flatten())
    };
    let recorded: BTreeSet<&str> = all()
        .filter(|rule| rule["type"] == "recording")
        .filter_map(|rule| rule["name"].as_str())
        .collect();
    let known = |name: &str| names.contains(name) || recorded.contains(name) || THEIRS.contains(&name);
    for rule in all() {
        assert_ne!(rule["health"], "err", "{rule:#}");
        for name in metrics_in(rule["query"].as_str().expect("a query")) {
            assert!(known(&name), "{name} in {}", rule["name"]);
        }
    }
    let asked = dashboard();
    assert!(asked.len() >= 20, "a dashboard with panels: {asked:?}");
    for query in &asked {
        let names = metrics_in(query);
        assert!(!names.is_empty() && names.iter().all(|name| known(name)), "{query}");
    }
    parse(&place, &asked);
}

fn api(place: &Place, what: &str) -> Value {
    let answer = place.run(&format!("curl --silent --fail http://127.0.0.1:9090/api/v1/{what}"));
    serde_json::from_str(&answer.stdout).expect("Prometheus answers in JSON")
}

/// The names of the page of metrics, with the endings of histograms.
fn ours() -> BTreeSet<String> {
    let page = book::text("docs/metrics.md");
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let endings = |rest: &str| -> &[&str] {
        match rest.split(' ').next() {
            Some("histogram") => &["_bucket", "_sum", "_count"],
            _ => &[""],
        }
    };
    cells
        .flat_map(|(name, rest)| endings(rest).iter().map(move |ending| format!("{name}{ending}")))
        .collect()
}

/// Words of an expression that name a metric.
fn metrics_in(query: &str) -> Vec<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c| !word(c));
    let is_metric = |word: &&str| {
        word.starts_with("portcullis_")
            || word.starts_with("portcullis:")
            || word.starts_with("process_")
            || *word == "up"
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

/// Every expression of the dashboard, with values where Grafana puts its own.
fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&place::text(EXAMPLE, "grafana.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("a list of panels");
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let marks = dashboard["annotations"]["list"].as_array().into_iter().flatten();
    let asked = targets.chain(marks).filter_map(|target| target["expr"].as_str());
    asked
        .map(|query| {
            query
                .replace("$__rate_interval", "1m")
                .replace("$instance", ".*")
                .replace("$site", ".*")
        })
        .collect()
}

/// Prometheus' own parser takes them, as rules.
fn parse(place: &Place, queries: &[String]) {
    let rule = |(number, query): (usize, &String)| format!("      - record: panel:{number}\n        expr: {query:?}\n");
    let rules: String = queries.iter().enumerate().map(rule).collect();
    let text = format!("groups:\n  - name: dashboard\n    rules:\n{rules}");
    fs::write(place.path().join("dashboard.yml"), text).expect("the folder takes a file");
    place.run("promtool check rules dashboard.yml");
}
