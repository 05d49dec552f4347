//! `health` of an upstream: whether and how its servers are asked.
use crate::{
    config::{
        reader::Reader,
        report::Fault,
        tree::{Kind, Value},
        values::{self, positive_duration},
    },
    plan::HealthPlan,
};

/// Checks in a row; more than this many say nothing that fewer did not.
const MOST_IN_A_ROW: usize = 100;

/// Reads the key `health`; without it only connects tell.
pub(super) fn read(upstream: &mut Reader<'_>) -> Option<HealthPlan> {
    let value = upstream.take("health")?;
    let Value {
        kind: Kind::Table(table),
        ..
    } = value
    else {
        let fault = value.fault(format!("must be a table, not {}", value.kind.describe()));
        upstream.fault(
            "health",
            fault.hint("health = { path = \"/healthz\", interval = \"5s\" }"),
        );
        return None;
    };
    let mut health = upstream.item(table, "health", "upstream.health");
    let path = health.value("path", path);
    let interval = health
        .value_or("interval", Kind::String("5s".into()), positive_duration)
        .value;
    // as long as a connect, but never into the next check
    let timeout = health.value("timeout", positive_duration);
    let usual = std::time::Duration::from_secs(2).min(interval);
    let in_a_row = |value: &Value| values::count(1..=MOST_IN_A_ROW, value);
    let healthy = health.value_or("healthy", Kind::Integer(2), in_a_row).value;
    let unhealthy = health.value_or("unhealthy", Kind::Integer(3), in_a_row).value;
    let status = health.list("status", status);
    if let (Some(status), None) = (&status, &path) {
        let fault = Fault::whole(status.origin.clone(), "health.status means nothing without health.path");
        health.error(fault.hint("path = \"/healthz\""));
    }
    health.finish();
    let status = status.map_or_else(Vec::new, |found| found.value);
    Some(HealthPlan {
        path: path.map(|found| found.value),
        interval,
        timeout: timeout.map_or(usual, |found| found.value),
        healthy,
        unhealthy,
        status: status.into_iter().map(|found| found.value).collect(),
    })
}

/// RFC 9112 3.2.1: an absolute path, with a query perhaps.
fn path(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    let is_good = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    match is_good {
        true => Ok(text.to_owned()),
        false => Err(value
            .whole_fault(format!("{value} is no path"))
            .hint("like \"/healthz\"")),
    }
}

fn status(value: &Value) -> Result<u16, Fault> {
    values::count(100..=599, value).map(|code| code as u16)
}
