//! What a listener says of its http sites: redirects, proxies in front, limits on requests.
use super::{
    Origin, address,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value},
    values::{self, network, time_limit},
};
use crate::{
    http::limits,
    plan::{Address, HttpLimits, HttpListenerPlan, Mode},
};
use std::time::Duration;

/// What is written of http, and where.
pub(super) struct Draft {
    pub(super) plan: HttpListenerPlan,
    pub(super) redirect_from: Vec<Found<Address>>,
    /// Where QUIC is asked for.
    pub(super) http3: Option<Origin>,
    /// The keys that stand, which mean nothing where no http site does.
    pub(super) standing: Vec<(String, Origin)>,
}

const KEYS: [&str; 4] = ["http3", "public_port", "redirect_from", "trusted_proxies"];
const LIMITS: [&str; 6] = ["head", "head_size", "fields", "body_rate", "streams", "upgrade_idle"];

/// Limits on requests, and which of them stand.
pub(super) struct Limits {
    pub(super) plan: HttpLimits,
    standing: Vec<(String, Origin)>,
}

/// Reads the keys of a listener beside its limits.
pub(super) fn read(listener: &mut Reader<'_>, limits: Limits) -> Draft {
    let Limits {
        plan: limits,
        mut standing,
    } = limits;
    for key in KEYS {
        standing.extend(listener.origin_of(key).map(|origin| (key.to_owned(), origin)));
    }
    let http3 = listener.value("http3", values::switch);
    let port = |value: &Value| values::count(1..=usize::from(u16::MAX), value);
    let public_port = listener.value("public_port", port);
    let redirect_from = listener.list("redirect_from", address::listen);
    let redirect_from = redirect_from.map_or_else(Vec::new, |found| found.value);
    let trusted = listener.list("trusted_proxies", network);
    let trusted = trusted.map_or_else(Vec::new, |found| found.value);
    let plan = HttpListenerPlan {
        http3: http3.as_ref().is_some_and(|found| found.value),
        public_port: public_port.map(|found| found.value as u16),
        redirect_from: redirect_from.iter().map(|found| found.value.clone()).collect(),
        trusted_proxies: trusted.into_iter().map(|found| found.value).collect(),
        limits,
    };
    Draft {
        plan,
        redirect_from,
        http3: http3.filter(|found| found.value).map(|found| found.origin),
        standing,
    }
}

/// Reads limits on requests.
pub(super) fn limits(limits: &mut Reader<'_>, mode: Mode) -> Limits {
    let standing = LIMITS
        .iter()
        .filter_map(|key| Some((format!("limits.{key}"), limits.origin_of(key)?)))
        .collect();
    let quietly = mode != Mode::Http;
    let mut reader = Each { limits, quietly };
    let plan = HttpLimits {
        head: reader.one("head", &seconds(limits::HEAD), time_limit),
        head_size: reader.one("head_size", &bytes(limits::HEAD_SIZE as u64), |value| {
            values::size_within(limits::LEAST_HEAD_SIZE..=limits::HEAD_SIZE, value)
        }),
        fields: reader.one("fields", &Kind::Integer(limits::FIELDS as i64), |value| {
            values::count(1..=limits::FIELDS, value)
        }),
        body_rate: reader
            .one("body_rate", &bytes(limits::BODY_RATE), values::size_limit)
            .unwrap_or(0),
        streams: reader.one("streams", &Kind::Integer(i64::from(limits::STREAMS)), |value| {
            values::count(1..=limits::MOST_STREAMS as usize, value)
        }) as u32,
        idle: Some(limits::IDLE),
        upgrade_idle: reader.one("upgrade_idle", &seconds(limits::UPGRADE_IDLE), time_limit),
    };
    Limits { plan, standing }
}

struct Each<'a, 'r> {
    limits: &'a mut Reader<'r>,
    /// A tcp listener is not told of what it has no use for; an http site that stands on it has the defaults.
    quietly: bool,
}

impl Each<'_, '_> {
    fn one<T>(&mut self, key: &'static str, default: &Kind, parse: impl Fn(&Value) -> Result<T, Fault>) -> T {
        if !self.quietly || self.limits.has(key) {
            self.limits.value_or(key, default.clone(), parse).value
        } else {
            self.limits.untold(key, default.clone(), parse)
        }
    }
}

/// As it is written in a file.
pub(super) fn seconds(duration: Duration) -> Kind {
    Kind::String(match duration.as_secs() {
        hours if hours > 0 && hours % 3600 == 0 => format!("{}h", hours / 3600),
        seconds => format!("{seconds}s"),
    })
}

fn bytes(bytes: u64) -> Kind {
    Kind::String(match bytes {
        kib if kib > 0 && kib % 1024 == 0 => format!("{}KiB", kib / 1024),
        bytes => format!("{bytes}B"),
    })
}
