//! The numbers of SPEC 6. Labels come from the configuration or from closed lists, never from a peer.
use crate::{clock, record::Record};
use portcullis_tls::{
    negotiated::Negotiated,
    policy::{RuleName, Scope, Verdict},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{
    fmt::{self, Write},
    sync::{Arc, OnceLock},
    time::Duration,
};

#[cfg(test)]
mod reference;

/// Buckets of handshake time: 250 us, a fast local one, up to 8 s, just under the default deadline.
const SECONDS: [f64; 11] = [0.00025, 0.0005, 0.001, 0.002, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 8.0];
/// Buckets of handshake bytes: a resumption to an ML-DSA-87 chain with intermediates; 14,600 is ten segments.
const BYTES: [f64; 8] = [1024.0, 2048.0, 4096.0, 8192.0, 14600.0, 20480.0, 40960.0, 81920.0];

/// Buckets of a request's time: a millisecond, a fast local backend, up to a minute, the default limit of a slow one.
const REQUEST_SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 4.0, 15.0, 60.0];

/// Every metric of one running proxy.
pub(crate) struct Metrics {
    registry: Registry,
    connections: Family<ConnectionLabels, Counter>,
    open: Family<ListenerLabel, Gauge>,
    handshakes: Family<HandshakeLabels, Counter>,
    handshake_seconds: Family<ClassLabels, Histogram>,
    handshake_bytes: Family<ByteLabels, Histogram>,
    policy: Family<PolicyLabels, Counter>,
    upstream_policy: Family<UpstreamPolicyLabels, Counter>,
    bytes: Family<SiteByteLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<SiteLabel, Histogram>,
    upstream_open: Family<UpstreamLabel, Gauge>,
    upstream_failures: Family<UpstreamLabel, Counter>,
    upstream_handshakes: Family<OriginLabels, Counter>,
    upstream_healthy: Family<ServerLabels, Gauge>,
    alerts: Family<AlertLabel, Counter>,
    not_after: Family<CertificateLabels, Gauge>,
    next_update: Family<ListLabels, Gauge>,
    reloads: Family<ResultLabel, Counter>,
    refreshes: Family<ResultLabel, Counter>,
    failed: Family<SiteLabel, Gauge>,
    out_of_time: Family<SiteLabel, Gauge>,
    warnings: Family<SiteLabel, Gauge>,
    reload_good: Gauge,
    reload_time: Gauge<i64>,
    pub(crate) log_dropped: Counter,
    pub(crate) ledger_dropped: Counter,
    ledger_flushes: Family<ResultLabel, Counter>,
    ledger_flush_time: Gauge<i64>,
    ledger_waiting: Gauge,
    ledger_rows: Gauge,
    pub(crate) traces_dropped: Counter,
    pub(crate) quic_dropped: Counter,
}

/// A configured name that many connections share.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Label(pub(crate) Arc<str>);

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(&self.0)
    }
}

impl From<&str> for Label {
    fn from(name: &str) -> Label {
        Label(name.into())
    }
}

macro_rules! labels {
    ($($name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
        #[cfg_attr(test, derive(Default))]
        struct $name { $($field: $kind),* })*
    };
}

labels! {
    ConnectionLabels { listener: Label, site: Label, outcome: &'static str, stage: &'static str, fault: &'static str }
    ListenerLabel { listener: Label }
    SiteLabel { site: Label }
    HandshakeLabels { site: Label, version: &'static str, group: &'static str, key_exchange: &'static str, authentication: &'static str, resumed: bool, retry: bool }
    ClassLabels { key_exchange: &'static str, authentication: &'static str, resumed: bool }
    ByteLabels { direction: &'static str, key_exchange: &'static str, authentication: &'static str }
    PolicyLabels { site: Label, scope: &'static str, rule: &'static str, decision: &'static str }
    UpstreamPolicyLabels { upstream: Label, rule: &'static str, decision: &'static str }
    SiteByteLabels { site: Label, direction: &'static str, key_exchange: &'static str }
    RequestLabels { site: Label, method: &'static str, status: u16 }
    UpstreamLabel { upstream: Label }
    ServerLabels { upstream: Label, server: Label }
    OriginLabels { upstream: Label, group: &'static str, key_exchange: &'static str, authentication: &'static str }
    AlertLabel { alert: &'static str }
    CertificateLabels { site: Label, algorithm: &'static str, index: usize }
    ListLabels { site: Label, index: usize }
    ResultLabel { result: &'static str }
}

/// Counts a site's requests.
pub(crate) struct Requests {
    site: Label,
    count: Family<RequestLabels, Counter>,
    frequent: [OnceLock<Counter>; FREQUENT.len()],
    seconds: Histogram,
}

/// Requests whose counters are kept at hand: looking one up takes a lock and a hash of all its labels.
const FREQUENT: [(&str, u16); 8] = [
    ("GET", 200),
    ("POST", 200),
    ("GET", 304),
    ("GET", 206),
    ("GET", 404),
    ("HEAD", 200),
    ("PUT", 200),
    ("POST", 201),
];

impl Requests {
    /// A request is over; status 0: it was never answered.
    pub(crate) fn count(&self, method: &'static str, status: u16, took: Duration) {
        let counter = || {
            let site = self.site.clone();
            self.count.get_or_create_owned(&RequestLabels { site, method, status })
        };
        match FREQUENT.iter().position(|frequent| *frequent == (method, status)) {
            Some(place) => self.frequent[place].get_or_init(counter).inc(),
            None => counter().inc(),
        };
        self.seconds.observe(took.as_secs_f64());
    }
}

/// What a reload came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReloadResult {
    Applied,
    Rejected,
}

/// What reading changed files again came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RefreshResult {
    /// All of them are in use.
    Applied,
    /// Something stays at its last good state.
    Kept,
}

/// What a flush of the ledger came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlushResult {
    Written,
    Failed,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            connections: Family::default(),
            open: Family::default(),
            handshakes: Family::default(),
            handshake_seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            handshake_bytes: Family::new_with_constructor(|| Histogram::new(BYTES)),
            policy: Family::default(),
            upstream_policy: Family::default(),
            bytes: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            upstream_open: Family::default(),
            upstream_failures: Family::default(),
            upstream_handshakes: Family::default(),
            upstream_healthy: Family::default(),
            alerts: Family::default(),
            not_after: Family::default(),
            next_update: Family::default(),
            reloads: Family::default(),
            refreshes: Family::default(),
            failed: Family::default(),
            out_of_time: Family::default(),
            warnings: Family::default(),
            reload_good: Gauge::default(),
            reload_time: Gauge::default(),
            log_dropped: Counter::default(),
            ledger_dropped: Counter::default(),
            ledger_flushes: Family::default(),
            ledger_flush_time: Gauge::default(),
            ledger_waiting: Gauge::default(),
            ledger_rows: Gauge::default(),
            traces_dropped: Counter::default(),
            quic_dropped: Counter::default(),
        };
        metrics.register();
        metrics
    }

    /// The counts of a site's requests.
    pub(crate) fn requests(&self, site: &Label) -> Arc<Requests> {
        Arc::new(Requests {
            site: site.clone(),
            count: self.requests.clone(),
            frequent: Default::default(),
            seconds: self
                .request_seconds
                .get_or_create_owned(&SiteLabel { site: site.clone() }),
        })
    }

    /// The text of `/metrics`.
    pub(crate) fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // writing to a String fails only if an encoder says so, and then what is there is still worth serving
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// A gauge of the connections open on a listener.
    pub(crate) fn open(&self, listener: &Label) -> Gauge {
        self.open.get_or_create_owned(&ListenerLabel {
            listener: listener.clone(),
        })
    }

    /// A gauge of the connections open to an upstream.
    pub(crate) fn upstream_open(&self, upstream: &Label) -> Gauge {
        self.upstream_open.get_or_create_owned(&UpstreamLabel {
            upstream: upstream.clone(),
        })
    }

    /// A counter of the connects to an upstream's servers that failed.
    pub(crate) fn upstream_failures(&self, upstream: &Label) -> Counter {
        self.upstream_failures.get_or_create_owned(&UpstreamLabel {
            upstream: upstream.clone(),
        })
    }

    /// What a server's health checks say.
    pub(crate) fn upstream_health(&self, upstream: &Label, server: &Arc<str>, healthy: bool) {
        let labels = ServerLabels {
            upstream: upstream.clone(),
            server: Label(server.clone()),
        };
        self.upstream_healthy.get_or_create(&labels).set(i64::from(healthy));
    }

    /// Servers that are checked, replacing those of an older configuration.
    pub(crate) fn upstreams_health<'a>(&self, all: impl Iterator<Item = (&'a Label, &'a Arc<str>, bool)>) {
        self.upstream_healthy.clear();
        all.for_each(|(upstream, server, healthy)| self.upstream_health(upstream, server, healthy));
    }

    /// A handshake with a server of an upstream ended well.
    pub(crate) fn upstream_handshake(&self, upstream: &Label, facts: &Negotiated) {
        let labels = OriginLabels {
            upstream: upstream.clone(),
            group: facts.group.and_then(|g| g.entry()).map_or("", |g| g.name),
            key_exchange: facts.key_exchange().as_str(),
            authentication: facts.authentication.as_str(),
        };
        self.upstream_handshakes.get_or_create(&labels).inc();
    }

    /// The expiry of every certificate in use, replacing what an older configuration had.
    pub(crate) fn certificates(&self, all: impl Iterator<Item = (Label, &'static str, usize, i64)>) {
        self.not_after.clear();
        for (site, algorithm, index, not_after) in all {
            self.not_after
                .get_or_create(&CertificateLabels { site, algorithm, index })
                .set(not_after);
        }
    }

    /// How much of each site runs on its last good state, because its files are of no use.
    pub(crate) fn files_failed(&self, all: impl Iterator<Item = (Label, usize)>) {
        self.failed.clear();
        for (site, count) in all {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.failed.get_or_create(&SiteLabel { site }).inc_by(count);
        }
    }

    /// How many things there are to worry about at each site.
    pub(crate) fn warnings(&self, sites: impl Iterator<Item = Label>) {
        self.warnings.clear();
        for site in sites {
            self.warnings.get_or_create(&SiteLabel { site }).inc();
        }
    }

    /// How many certificates of each site are expired or not yet valid.
    pub(crate) fn out_of_time(&self, sites: impl Iterator<Item = Label>) {
        self.out_of_time.clear();
        for site in sites {
            self.out_of_time.get_or_create(&SiteLabel { site }).inc();
        }
    }

    /// Files that had changed were read again.
    pub(crate) fn refreshed(&self, result: RefreshResult) {
        let word = match result {
            RefreshResult::Applied => "applied",
            RefreshResult::Kept => "kept",
        };
        self.refreshes.get_or_create(&ResultLabel { result: word }).inc();
    }

    /// When the next edition of every revocation list in use is due.
    pub(crate) fn lists(&self, all: impl Iterator<Item = (Label, usize, i64)>) {
        self.next_update.clear();
        for (site, index, next_update) in all {
            let labels = ListLabels { site, index };
            self.next_update.get_or_create(&labels).set(next_update);
        }
    }

    /// A reload ended.
    pub(crate) fn reloaded(&self, result: ReloadResult, now: i64) {
        let word = match result {
            ReloadResult::Applied => "applied",
            ReloadResult::Rejected => "rejected",
        };
        self.reloads.get_or_create(&ResultLabel { result: word }).inc();
        self.loaded(result, now);
    }

    /// The configuration in use was loaded now, or a newer one was not.
    pub(crate) fn loaded(&self, result: ReloadResult, now: i64) {
        self.reload_good.set(i64::from(result == ReloadResult::Applied));
        if result == ReloadResult::Applied {
            self.reload_time.set(now);
        }
    }

    /// The ledger was written, or was not, and so many entries wait.
    pub(crate) fn ledger_flushed(&self, result: FlushResult, waiting: usize) {
        let word = match result {
            FlushResult::Written => "written",
            FlushResult::Failed => "failed",
        };
        self.ledger_flushes.get_or_create(&ResultLabel { result: word }).inc();
        self.ledger_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        if result == FlushResult::Written {
            self.ledger_flush_time.set(clock::unix_now());
        }
    }

    /// So many rows of the ledger bear a name.
    pub(crate) fn ledger_rows(&self, rows: usize) {
        self.ledger_rows.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// A connection ended: everything its record says.
    pub(crate) fn connection(&self, record: &Record) {
        self.connections
            .get_or_create(&ConnectionLabels {
                listener: record.listener.clone(),
                site: record.site_label.clone(),
                outcome: record.outcome().as_str(),
                stage: record.failure().map_or("", |f| f.stage.as_str()),
                fault: record.failure().map_or("", |f| f.fault.as_str()),
            })
            .inc();
        if let Some(alert) = record.failure().and_then(|f| f.alert_in) {
            let alert = alert.name().unwrap_or("unknown");
            self.alerts.get_or_create(&AlertLabel { alert }).inc();
        }
        let key_exchange = record.key_exchange();
        for (direction, bytes) in [("in", record.bytes.inward), ("out", record.bytes.outward)] {
            if bytes > 0 {
                let site = record.site_label.clone();
                self.bytes
                    .get_or_create(&SiteByteLabels {
                        site,
                        direction,
                        key_exchange,
                    })
                    .inc_by(bytes);
            }
        }
    }

    /// A handshake ended well: its class, time and size.
    pub(crate) fn handshake(&self, record: &Record, took: Duration) {
        let Some(facts) = record.negotiated() else { return };
        let (key_exchange, authentication) = (facts.key_exchange().as_str(), facts.authentication.as_str());
        self.handshakes
            .get_or_create(&HandshakeLabels {
                site: record.site_label.clone(),
                version: facts.version.as_str(),
                group: facts.group.and_then(|g| g.entry()).map_or("", |g| g.name),
                key_exchange,
                authentication,
                resumed: facts.resumed,
                retry: facts.retry,
            })
            .inc();
        let resumed = facts.resumed;
        self.handshake_seconds
            .get_or_create(&ClassLabels {
                key_exchange,
                authentication,
                resumed,
            })
            .observe(took.as_secs_f64());
        for (direction, bytes) in [
            ("in", record.handshake_bytes.inward),
            ("out", record.handshake_bytes.outward),
        ] {
            self.handshake_bytes
                .get_or_create(&ByteLabels {
                    direction,
                    key_exchange,
                    authentication,
                })
                .observe(bytes as f64);
        }
    }

    /// A rule decided on a connection or request.
    pub(crate) fn policy(&self, site: &Label, scope: Scope, (rule, verdict): (RuleName, Verdict)) {
        let labels = PolicyLabels {
            site: site.clone(),
            scope: scope.as_str(),
            rule: rule.as_str(),
            decision: verdict.as_str(),
        };
        self.policy.get_or_create(&labels).inc();
    }

    /// A rule decided on a server of an upstream.
    pub(crate) fn upstream_policy(&self, upstream: &Label, (rule, verdict): (RuleName, Verdict)) {
        let labels = UpstreamPolicyLabels {
            upstream: upstream.clone(),
            rule: rule.as_str(),
            decision: verdict.as_str(),
        };
        self.upstream_policy.get_or_create(&labels).inc();
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "portcullis_connections",
            "Connections that ended, by how",
            self.connections.clone(),
        );
        r.register("portcullis_connections_open", "Connections open now", self.open.clone());
        r.register(
            "portcullis_handshakes",
            "TLS handshakes completed",
            self.handshakes.clone(),
        );
        r.register_with_unit(
            "portcullis_handshake_duration",
            "From accept to the end of the handshake",
            Unit::Seconds,
            self.handshake_seconds.clone(),
        );
        r.register(
            "portcullis_handshake_bytes",
            "Bytes on the wire until the end of the handshake",
            self.handshake_bytes.clone(),
        );
        r.register("portcullis_policy", "Decisions of the policy", self.policy.clone());
        r.register(
            "portcullis_upstream_policy",
            "Decisions of upstreams' policies on their servers",
            self.upstream_policy.clone(),
        );
        r.register("portcullis_bytes", "Application bytes relayed", self.bytes.clone());
        r.register(
            "portcullis_requests",
            "Requests that ended, by how they were answered",
            self.requests.clone(),
        );
        r.register_with_unit(
            "portcullis_request_duration",
            "From a request's head to the end of its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register(
            "portcullis_upstream_connections_open",
            "Connections open to upstreams now",
            self.upstream_open.clone(),
        );
        r.register(
            "portcullis_upstream_failures",
            "Failed connects to upstream servers",
            self.upstream_failures.clone(),
        );
        r.register(
            "portcullis_upstream_handshakes",
            "TLS handshakes completed with upstream servers",
            self.upstream_handshakes.clone(),
        );
        r.register(
            "portcullis_upstream_healthy",
            "1 while the health checks of an upstream's server say that it is healthy",
            self.upstream_healthy.clone(),
        );
        r.register(
            "portcullis_alerts_received",
            "TLS alerts sent by clients",
            self.alerts.clone(),
        );
        r.register(
            "portcullis_certificate_not_after_timestamp_seconds",
            "When each certificate in use expires",
            self.not_after.clone(),
        );
        r.register(
            "portcullis_crl_next_update_timestamp_seconds",
            "When each revocation list of client certificates expires",
            self.next_update.clone(),
        );
        r.register("portcullis_reloads", "Reloads by result", self.reloads.clone());
        r.register(
            "portcullis_files_refreshed",
            "Times that changed certificate and CA files were read again, by result",
            self.refreshes.clone(),
        );
        r.register(
            "portcullis_files_failed",
            "Certificates and client CAs of a site whose files are of no use, so that the last good ones stay",
            self.failed.clone(),
        );
        r.register(
            "portcullis_configuration_warnings",
            "What `portcullis check` warns of, by site",
            self.warnings.clone(),
        );
        r.register(
            "portcullis_certificates_out_of_time",
            "Certificates of a site that are expired or not yet valid, and offered only where nothing else fits",
            self.out_of_time.clone(),
        );
        r.register(
            "portcullis_config_last_reload_successful",
            "1 if the newest configuration is in use",
            self.reload_good.clone(),
        );
        r.register(
            "portcullis_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was loaded",
            self.reload_time.clone(),
        );
        r.register(
            "portcullis_log_dropped",
            "Log lines lost because the writer was behind",
            self.log_dropped.clone(),
        );
        r.register(
            "portcullis_ledger_dropped",
            "Connections whose names, or all of them, the ledger could not keep",
            self.ledger_dropped.clone(),
        );
        r.register(
            "portcullis_ledger_flushes",
            "Flushes of the ledger, by what they came to",
            self.ledger_flushes.clone(),
        );
        r.register_with_unit(
            "portcullis_ledger_last_flush_timestamp",
            "When the ledger was last written",
            Unit::Seconds,
            self.ledger_flush_time.clone(),
        );
        r.register(
            "portcullis_ledger_waiting",
            "Entries of the ledger that could not be written yet",
            self.ledger_waiting.clone(),
        );
        r.register(
            "portcullis_ledger_rows",
            "Rows of the ledger that bear a client's name",
            self.ledger_rows.clone(),
        );
        r.register(
            "portcullis_traces_dropped",
            "Spans lost because the collector took none, or not fast enough",
            self.traces_dropped.clone(),
        );
        r.register(
            "portcullis_quic_datagrams_dropped",
            "Datagrams lost because the core that they were handed to was behind",
            self.quic_dropped.clone(),
        );
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        r.register("portcullis_build", "This build", build);
        r.register_collector(Box::new(Process));
    }
}

/// `process_*` as every exporter has them, read from /proc when asked.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(now) = ProcessNumbers::read() else {
            return Ok(());
        };
        let cpu = ConstCounter::new(now.cpu_seconds);
        cpu.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "User and system time",
            None,
            cpu.metric_type(),
        )?)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", now.resident),
            ("process_virtual_memory_bytes", "Virtual memory", now.virtual_memory),
            ("process_open_fds", "Open file descriptors", now.open_files),
            ("process_max_fds", "Limit of open file descriptors", now.max_files),
            ("process_threads", "Threads", now.threads),
            (
                "process_start_time_seconds",
                "Start, in seconds since 1970",
                now.started,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

struct ProcessNumbers {
    cpu_seconds: f64,
    resident: i64,
    virtual_memory: i64,
    open_files: i64,
    max_files: i64,
    threads: i64,
    started: i64,
}

impl ProcessNumbers {
    fn read() -> Option<ProcessNumbers> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // the second field is the program's name in parentheses, which may hold anything
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |n: usize| fields.get(n - 3)?.parse::<i64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: i64 = boot
            .lines()
            .find_map(|l| l.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        Some(ProcessNumbers {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            threads: field(20)?,
            started: boot + (field(22)? as f64 / ticks) as i64,
            virtual_memory: field(23)?,
            resident: field(24)? * rustix::param::page_size() as i64,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as i64,
            max_files: rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .current
                .map_or(-1, |n| n as i64),
        })
    }
}
