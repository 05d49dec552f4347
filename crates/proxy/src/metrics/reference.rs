//! The table of `docs/metrics.md`: each name with its kind, labels and meaning, as they are registered.
use super::Metrics;
use std::{collections::BTreeMap, fmt::Write};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
const BEGINS: &str = "<!-- made from crates/proxy/src/metrics.rs; UPDATE_DOCS=1 writes it -->\n";

/// What the text of `/metrics` says of one name.
#[derive(Default)]
struct Row {
    kind: String,
    labels: Vec<String>,
    help: String,
}

/// A family speaks of itself only once it has a member: each gets one.
fn populated() -> Metrics {
    let m = Metrics::new();
    drop(m.connections.get_or_create(&Default::default()));
    drop(m.open.get_or_create(&Default::default()));
    drop(m.handshakes.get_or_create(&Default::default()));
    drop(m.handshake_seconds.get_or_create(&Default::default()));
    drop(m.handshake_bytes.get_or_create(&Default::default()));
    drop(m.policy.get_or_create(&Default::default()));
    drop(m.upstream_policy.get_or_create(&Default::default()));
    drop(m.bytes.get_or_create(&Default::default()));
    drop(m.requests.get_or_create(&Default::default()));
    drop(m.request_seconds.get_or_create(&Default::default()));
    drop(m.upstream_open.get_or_create(&Default::default()));
    drop(m.upstream_failures.get_or_create(&Default::default()));
    drop(m.upstream_handshakes.get_or_create(&Default::default()));
    drop(m.upstream_healthy.get_or_create(&Default::default()));
    drop(m.alerts.get_or_create(&Default::default()));
    drop(m.not_after.get_or_create(&Default::default()));
    drop(m.next_update.get_or_create(&Default::default()));
    drop(m.reloads.get_or_create(&Default::default()));
    drop(m.refreshes.get_or_create(&Default::default()));
    drop(m.ledger_flushes.get_or_create(&Default::default()));
    drop(m.failed.get_or_create(&Default::default()));
    drop(m.out_of_time.get_or_create(&Default::default()));
    drop(m.warnings.get_or_create(&Default::default()));
    m
}

fn rows(text: &str) -> BTreeMap<&str, Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            // prometheus-client ends every description with a full stop
            rows.entry(name).or_default().help = help.trim_end_matches('.').to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            rows.entry(name).or_default().kind = kind.to_owned();
        } else if let Some((series, labels)) = line.split_once('{') {
            let row = rows.iter_mut().rfind(|(name, _)| series.starts_with(**name));
            let labels = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
            let labels = labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le");
            row.expect("a name is described before it is used").1.labels = labels.collect();
        }
    }
    rows
}

fn markdown() -> String {
    let text = populated().render();
    let mut page = String::from("| name | kind | labels | what it says |\n|---|---|---|---|\n");
    for (name, row) in rows(&text) {
        let ending = match row.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = row.labels.join(", ");
        // writing to a String does not fail
        let _ = writeln!(page, "| `{name}{ending}` | {} | {labels} | {} |", row.kind, row.help);
    }
    page
}

#[test]
fn the_page_lists_what_is_registered() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGINS).unwrap();
    let (made, after) = rest.split_once("\n\n").unwrap();
    let table = markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let page = [before, BEGINS, &table, "\n", after].concat();
        std::fs::write(PAGE, page).unwrap();
        return;
    }
    assert_eq!(format!("{made}\n"), table, "UPDATE_DOCS=1 writes it");
}

#[test]
fn every_registered_family_has_its_member() {
    let source = include_str!("../metrics.rs");
    let registered = source.matches("r.register").count();
    // the collector of process_* is one of them, and stands for seven
    assert_eq!(rows(&populated().render()).len(), registered - 1 + 7);
}
