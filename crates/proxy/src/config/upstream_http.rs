//! What requests to an upstream are like: `http`, `host`, `timeouts.first_byte` and `timeouts.idle`.
use super::{
    Origin,
    reader::Reader,
    report::Fault,
    tree::Value,
    values::{self, Word, time_limit},
};
use crate::plan::{HostPlan, Plan, ServicePlan, UpstreamHttp, UpstreamHttpPlan};
use std::{collections::HashSet, time::Duration};

const VERSIONS: &[(&str, Word<UpstreamHttp>)] = &[
    ("auto", Word::Is(UpstreamHttp::Auto)),
    ("1.1", Word::Is(UpstreamHttp::Http1)),
    ("2", Word::Is(UpstreamHttp::Http2)),
    ("h2c", Word::Is(UpstreamHttp::H2c)),
];

/// What is written of requests, and where.
pub(super) struct Draft {
    pub(super) plan: UpstreamHttpPlan,
    /// The keys that stand, which mean nothing where only tcp sites lead.
    pub(super) standing: Vec<(&'static str, Origin)>,
}

/// Reads the keys; `timeouts` is the table of that name, after `connect`.
pub(super) fn read(upstream: &mut Reader<'_>, timeouts: Timeouts) -> Draft {
    let mut standing = timeouts.standing;
    for key in ["http", "host"] {
        standing.extend(upstream.origin_of(key).map(|origin| (key, origin)));
    }
    let http = upstream.value("http", |value| values::word("version", VERSIONS, value));
    let host = upstream.value("host", host);
    let usual = UpstreamHttpPlan::default();
    let plan = UpstreamHttpPlan {
        http: http.map_or(usual.http, |found| found.value),
        host: host.map_or(usual.host, |found| found.value),
        first_byte: timeouts.first_byte.unwrap_or(usual.first_byte),
        idle: timeouts.idle.unwrap_or(usual.idle),
    };
    Draft { plan, standing }
}

/// What the table `timeouts` says of requests, where it says something.
pub(super) struct Timeouts {
    first_byte: Option<Option<Duration>>,
    idle: Option<Option<Duration>>,
    standing: Vec<(&'static str, Origin)>,
}

impl Timeouts {
    /// Takes them out of it.
    pub(super) fn read(timeouts: &mut Reader<'_>) -> Timeouts {
        let mut standing = Vec::new();
        for (key, shown) in [("first_byte", "timeouts.first_byte"), ("idle", "timeouts.idle")] {
            standing.extend(timeouts.origin_of(key).map(|origin| (shown, origin)));
        }
        let first_byte = timeouts.value("first_byte", time_limit);
        let idle = timeouts.value("idle", time_limit);
        Timeouts {
            first_byte: first_byte.map(|found| found.value),
            idle: idle.map(|found| found.value),
            standing,
        }
    }
}

/// `"pass"`, `"upstream"`, or a name with or without a port.
fn host(value: &Value) -> Result<HostPlan, Fault> {
    let text = value.text()?;
    match text {
        "pass" => return Ok(HostPlan::Pass),
        "upstream" => return Ok(HostPlan::Upstream),
        _ => {}
    }
    let (name, port) = text
        .rsplit_once(':')
        .map_or((text, None), |(name, port)| (name, Some(port)));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    let named = Value::string(name, value.origin.clone());
    match values::dns_name(&named) {
        Ok(name) if is_port => Ok(HostPlan::Name(
            port.map_or(name.clone(), |port| format!("{name}:{port}")),
        )),
        _ => Err(value
            .fault(format!("{value} is no host"))
            .hint("\"pass\" (what the client asked for), \"upstream\" (the server's address) or a name")),
    }
}

impl Plan {
    /// What upstreams' TLS offers to speak follows from `http`; bytes of tcp sites are of no protocol that we know.
    pub(super) fn with_protocols(mut self) -> Plan {
        let led_to = |mode: fn(&ServicePlan) -> bool| -> HashSet<usize> {
            let sites = self.sites.iter().filter(|site| mode(&site.service));
            sites.flat_map(|site| site.service.upstreams()).collect()
        };
        let requests = led_to(|service| matches!(service, ServicePlan::Http(_)));
        let bytes = led_to(|service| !matches!(service, ServicePlan::Http(_)));
        for at in requests.difference(&bytes) {
            let Some(upstream) = self.upstreams.get_mut(*at) else {
                continue;
            };
            let protocols: &[&str] = match upstream.http.http {
                UpstreamHttp::Auto => &["h2", "http/1.1"],
                UpstreamHttp::Http1 => &["http/1.1"],
                UpstreamHttp::Http2 => &["h2"],
                UpstreamHttp::H2c => &[],
            };
            if let Some(tls) = &mut upstream.tls {
                tls.alpn = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
            }
        }
        self
    }
}
