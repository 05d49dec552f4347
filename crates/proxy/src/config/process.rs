//! The process: workers, log, admin, metrics, shutdown.
use super::{
    Origin, address,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Table, Value},
    values::{self, Word, duration},
};
use crate::plan::{
    AccessLog, Address, AdminPlan, LedgerAddresses, LedgerPlan, LogFormat, LogLevel, LogPlan, LogQuery, MetricsPlan,
    ShutdownPlan, TracesPlan,
};

/// More event loops than any machine has cores.
const MOST_WORKERS: usize = 1024;
/// Beyond this many labels a metrics database suffers (SPEC 4).
const SITE_LABELS: i64 = 500;
const MOST_SITE_LABELS: usize = 1_000_000;

/// OTLP's port and path for traces over HTTP.
const COLLECTOR: u16 = 4318;
const TRACES: &str = "/v1/traces";
/// Every hundredth: enough to see a trend, and nothing that a busy proxy would feel.
const TRACED: f64 = 0.01;

const LEVELS: &[(&str, Word<LogLevel>)] = &[
    ("debug", Word::Is(LogLevel::Debug)),
    ("info", Word::Is(LogLevel::Info)),
    ("warn", Word::Is(LogLevel::Warn)),
    ("error", Word::Is(LogLevel::Error)),
];
const FORMATS: &[(&str, Word<LogFormat>)] = &[
    ("text", Word::Is(LogFormat::Text)),
    ("json", Word::Is(LogFormat::Json)),
    ("common", Word::Is(LogFormat::Common)),
    ("combined", Word::Is(LogFormat::Combined)),
];
const QUERIES: &[(&str, Word<LogQuery>)] = &[
    ("keep", Word::Is(LogQuery::Keep)),
    ("names", Word::Is(LogQuery::Names)),
    ("drop", Word::Is(LogQuery::Drop)),
];

const ADDRESSES: &[(&str, Word<LedgerAddresses>)] = &[
    ("prefix", Word::Is(LedgerAddresses::Prefix)),
    ("hash", Word::Is(LedgerAddresses::Hash)),
    ("full", Word::Is(LedgerAddresses::Full)),
    ("none", Word::Is(LedgerAddresses::None)),
];

/// What concerns the process as a whole, and where its own sockets are written down.
pub(super) struct Process {
    pub(super) workers: Option<usize>,
    pub(super) log: LogPlan,
    pub(super) admin: Option<Found<AdminPlan>>,
    pub(super) metrics: MetricsPlan,
    pub(super) metrics_origin: Origin,
    pub(super) ledger: LedgerPlan,
    pub(super) traces: Option<TracesPlan>,
    pub(super) shutdown: ShutdownPlan,
    pub(super) watch: bool,
}

/// Reads all of it.
pub(super) fn read(root: &mut Reader<'_>, environment: &[(String, String)]) -> Process {
    let workers = root
        .value_or("workers", text("auto"), |value| {
            values::auto_or_count(1..=MOST_WORKERS, value)
        })
        .value;
    let log = log(root);
    let admin = admin(root, environment);
    if let Some(admin) = &admin {
        check_admin(root, admin);
    }
    let (metrics, metrics_origin) = metrics(root);
    let ledger = ledger(root);
    let traces = traces(root);
    let shutdown = shutdown(root);
    let watch = root.value_or("watch", Kind::Bool(false), values::switch).value;
    Process {
        workers,
        log,
        admin,
        metrics,
        metrics_origin,
        ledger,
        traces,
        shutdown,
        watch,
    }
}

/// Where the admin socket is when nothing says otherwise, and the variable that decides it.
fn default_admin(environment: &[(String, String)]) -> Value {
    let folder = |name: &str| {
        let set = environment
            .iter()
            .find(|(have, value)| have == name && !value.is_empty())?;
        // systemd lists several runtime directories with colons between them.
        let first = set.1.split(':').next()?;
        (!first.is_empty()).then(|| {
            (
                first.trim_end_matches('/').to_owned(),
                Origin::Environment(name.to_owned()),
            )
        })
    };
    if let Some((folder, origin)) = folder("RUNTIME_DIRECTORY") {
        return Value::string(format!("unix:{folder}/portcullis.sock"), origin);
    }
    match folder("XDG_RUNTIME_DIR") {
        Some((folder, origin)) => Value::string(format!("unix:{folder}/portcullis/portcullis.sock"), origin),
        None => Value::string("off", Origin::Default),
    }
}

/// `"off"` or an address.
fn listen(value: &Value) -> Result<Option<Address>, Fault> {
    match value.text()? {
        "off" => Ok(None),
        _ => address::listen(value).map(Some),
    }
}

fn text(text: &str) -> Kind {
    Kind::String(text.to_owned())
}

fn log(root: &mut Reader<'_>) -> LogPlan {
    let mut log = root.table("log", "log");
    let level = log
        .value_or("level", text("info"), |value| values::word("level", LEVELS, value))
        .value;
    let format = log
        .value_or("format", text("text"), |value| values::word("format", FORMATS, value))
        .value;
    let access = log.value_or("access", text("-"), access).value;
    // queries hold tokens, codes and signed links, and logs are read by more people than those are for
    let query = log
        .value_or("query", text("names"), |value| values::word("word", QUERIES, value))
        .value;
    log.finish();
    LogPlan {
        level,
        format,
        query,
        access,
    }
}

fn access(value: &Value) -> Result<AccessLog, Fault> {
    match value.text()? {
        "-" => Ok(AccessLog::Stdout),
        "off" => Ok(AccessLog::Off),
        _ => values::path(value).map(AccessLog::File),
    }
}

/// The admin listener: named, else where the environment places it.
pub(super) fn admin(root: &mut Reader<'_>, environment: &[(String, String)]) -> Option<Found<AdminPlan>> {
    let mut table = match root.take("admin") {
        Some(Value {
            kind: Kind::Table(table),
            ..
        }) => table,
        word => {
            let mut table = Table::default();
            word.into_iter().for_each(|word| table.push("listen", word));
            table
        }
    };
    let is_default = table.peek("listen").is_none();
    if is_default {
        table.push("listen", default_admin(environment));
    }
    let mut admin = root.item(table, "admin", "admin");
    let listen = admin.value("listen", listen);
    let token_file = admin.value("token_file", values::path).map(|found| found.value);
    admin.finish();
    let Found { value, origin } = listen?;
    Some(Found::new(
        AdminPlan {
            listen: value?,
            token_file,
            is_default,
        },
        origin,
    ))
}

fn check_admin(root: &mut Reader<'_>, admin: &Found<AdminPlan>) {
    let plan = &admin.value;
    if matches!(plan.listen, Address::Unix(_)) {
        return;
    }
    let shown = address::shown(&plan.listen);
    if !address::is_local(&plan.listen) {
        let message = format!("admin on {shown} is beyond this machine, which needs TLS: not in this version");
        let hint = "listen on unix:PATH or on a loopback address";
        root.error(Fault::whole(admin.origin.clone(), message).hint(hint));
    }
    if plan.token_file.is_none() {
        let message = format!("admin on {shown} needs a token_file");
        let hint = "admin = { listen = \"127.0.0.1:9443\", token_file = \"admin.token\" } in a file, or unix:PATH, which needs none";
        root.error(Fault::whole(admin.origin.clone(), message).hint(hint));
    }
}

fn metrics(root: &mut Reader<'_>) -> (MetricsPlan, Origin) {
    let mut metrics = root.table("metrics", "metrics");
    let listen = metrics.value_or("listen", text("off"), |value| match value.text()? {
        "off" => Ok(None),
        _ => address::socket(value).map(Some),
    });
    let sites = metrics.value_or("sites", Kind::Integer(SITE_LABELS), |value| {
        values::count(0..=MOST_SITE_LABELS, value)
    });
    metrics.finish();
    (
        MetricsPlan {
            listen: listen.value,
            sites: sites.value,
        },
        listen.origin,
    )
}

fn ledger(root: &mut Reader<'_>) -> LedgerPlan {
    let mut ledger = root.table("ledger", "ledger");
    let path = ledger.value("path", values::path).map(|found| found.value);
    let keep = ledger.value_or("keep", text("90d"), values::time_limit).value;
    let addresses = ledger
        .value_or("addresses", text("prefix"), |value| {
            values::word("addresses", ADDRESSES, value)
        })
        .value;
    ledger.finish();
    LedgerPlan { path, keep, addresses }
}

fn traces(root: &mut Reader<'_>) -> Option<TracesPlan> {
    let written = root.origin_of("traces");
    let mut traces = root.table("traces", "traces");
    if written.is_none() {
        traces = traces.silent();
    }
    let is_left_out = traces.lacks("endpoint");
    let endpoint = traces.value("endpoint", collector);
    let per_million = traces.value_or("ratio", Kind::Float(TRACED), ratio).value;
    let service = traces.value_or("service", text("portcullis"), values::name).value;
    if let Some(origin) = written.filter(|_| is_left_out) {
        let hint = format!("traces = {{ endpoint = \"http://127.0.0.1:{COLLECTOR}\" }}");
        traces.fault(
            "endpoint",
            Fault::whole(origin, "traces go nowhere without an endpoint").hint(hint),
        );
    }
    traces.finish();
    let Found {
        value: (authority, path),
        ..
    } = endpoint?;
    Some(TracesPlan {
        authority,
        path,
        per_million,
        service,
    })
}

/// `http://HOST:PORT/PATH`, of which the last two may be left out.
fn collector(value: &Value) -> Result<(String, String), Fault> {
    let text = value.text()?;
    if text.starts_with("https://") {
        let hint = "send them to a collector on this machine or in this network, which sends them on";
        return Err(value
            .whole_fault(format!("{value}: traces go out over plain HTTP only"))
            .hint(hint));
    }
    let Some(rest) = text.strip_prefix("http://") else {
        let hint = format!("like \"http://127.0.0.1:{COLLECTOR}\"");
        return Err(value
            .whole_fault(format!("{value} is no address of a collector"))
            .hint(hint));
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = match has_port {
        true => authority.to_owned(),
        false => format!("{authority}:{COLLECTOR}"),
    };
    address::target(&Value::string(&*authority, value.origin.clone()))?;
    let path = match path {
        "" | "/" => TRACES.to_owned(),
        path if path.bytes().all(|byte| byte.is_ascii_graphic()) => path.to_owned(),
        _ => return Err(value.whole_fault(format!("{value} has a path that no request can name"))),
    };
    Ok((authority, path))
}

/// A share from 0 to 1, in millionths.
fn ratio(value: &Value) -> Result<u32, Fault> {
    let share = match value.kind {
        Kind::Float(share) => share,
        Kind::Integer(share) => share as f64,
        _ => {
            return Err(value
                .whole_fault(format!("{value} is no number"))
                .hint("0.01 is every hundredth, 1 is all"));
        }
    };
    if !(0.0..=1.0).contains(&share) {
        return Err(value
            .whole_fault(format!("{value} is no share from 0 to 1"))
            .hint("0.01 is every hundredth, 1 is all"));
    }
    Ok((share * 1e6).round() as u32)
}

fn shutdown(root: &mut Reader<'_>) -> ShutdownPlan {
    let mut shutdown = root.table("shutdown", "shutdown");
    // No load balancer, no delay; who has one sets it to the time it takes to notice.
    let delay = shutdown.value_or("delay", text("0s"), duration).value;
    // Below the 30 s that Kubernetes and the 90 s that systemd wait before they kill.
    let grace = shutdown.value_or("grace", text("20s"), duration).value;
    shutdown.finish();
    ShutdownPlan { delay, grace }
}
