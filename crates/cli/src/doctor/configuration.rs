//! A configuration's files and ports, and who runs already.
use super::finding::{Finding, Outcome, Section};
use crate::{running, serve::self_signed};
use portcullis_proxy::{
    config::{self, Loaded, Problem, flags::FLAGS},
    inspect,
    plan::{Address, AdminPlan, Certificates, Plan},
};
use rustix::fs::{Access, access};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::Path,
    time::Duration,
};

/// It is on this machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who runs, the configuration's files, its ports.
pub(super) async fn sections(source: &config::Source) -> Vec<Section> {
    let (instance, status) = instance(source).await;
    let instance = Section {
        title: "running",
        findings: instance,
    };
    if !is_given(source) {
        let why = "no configuration: -c FILE or the flags of `serve` name one, and no portcullis.toml is here";
        return vec![
            instance,
            single("configuration", Finding::untried("configuration", why)),
        ];
    }
    match config::load(source) {
        Ok(loaded) => vec![
            instance,
            Section {
                title: "files",
                findings: files(&loaded),
            },
            Section {
                title: "ports",
                findings: ports(&loaded.plan, &status),
            },
        ],
        Err(problems) => {
            let findings = problems.iter().map(|problem| told(Finding::bad, problem)).collect();
            let not = "the configuration cannot be read";
            vec![
                instance,
                Section {
                    title: "configuration",
                    findings,
                },
                single("files", Finding::untried("files", not)),
                single("ports", Finding::untried("ports", not)),
            ]
        }
    }
}

fn single(title: &'static str, finding: Finding) -> Section {
    Section {
        title,
        findings: vec![finding],
    }
}

/// Something describes a listener or names a file.
fn is_given(source: &config::Source) -> bool {
    let variable =
        |name: &str| name.starts_with("QUANTUM_SAFE_PROXY_") || FLAGS.iter().any(|flag| flag.variable == Some(name));
    let by_variable = source
        .environment
        .iter()
        .any(|(name, value)| !value.is_empty() && variable(name));
    source.file.is_some() || !source.flags.is_empty() || by_variable
}

async fn instance(source: &config::Source) -> (Vec<Finding>, Value) {
    let admin = match config::admin(source) {
        Ok(Some(admin)) => admin,
        Ok(None) => {
            let why = "the admin listener is off, or neither $RUNTIME_DIRECTORY nor $XDG_RUNTIME_DIR says where it is";
            return (vec![Finding::untried("instance", why)], Value::Null);
        }
        Err(_) => {
            let why = "the configuration does not say where the admin listener is";
            return (vec![Finding::untried("instance", why)], Value::Null);
        }
    };
    let place = Finding::info("admin", admin.listen.to_string()).facts(json!({ "listen": admin.listen.to_string() }));
    match running::status(&admin, PATIENCE).await {
        Ok(status) => (vec![place, described(&status)], status),
        Err(error) => (vec![place, silent(&admin, &error)], Value::Null),
    }
}

fn described(status: &Value) -> Finding {
    let version = status["version"].as_str().unwrap_or("unknown");
    let ready = match status["ready"].as_bool() {
        Some(true) => "ready".to_owned(),
        _ => format!("not ready: {}", status["reason"].as_str().unwrap_or("unknown")),
    };
    let found = format!(
        "pid {}, version {version}, up {} s, {} connections, {ready}",
        status["pid"], status["uptime_seconds"], status["connections"]
    );
    let finding = match version == env!("CARGO_PKG_VERSION") && status["ready"] == true {
        true => Finding::ok("instance", found),
        false => Finding::warn("instance", found),
    };
    finding.facts(json!({ "pid": status["pid"], "version": version, "ready": status["ready"] }))
}

/// Nobody there is the usual case before the first start.
fn silent(admin: &AdminPlan, error: &anyhow::Error) -> Finding {
    let kind = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    match kind {
        Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Finding::info("instance", "none answers there"),
        Some(ErrorKind::PermissionDenied) => Finding::untried("instance", "the socket is another user's")
            .hint("run doctor as the user that runs the proxy"),
        _ => Finding::warn("instance", format!("{}: {error:#}", admin.listen)),
    }
}

fn files(loaded: &Loaded) -> Vec<Finding> {
    let mut named: Vec<(&Path, Secrecy)> = Vec::new();
    for (path, secrecy) in of_plan(&loaded.plan) {
        match named.iter_mut().find(|(known, _)| *known == path) {
            Some((_, known)) => *known = (*known).max(secrecy),
            None => named.push((path, secrecy)),
        }
    }
    let mut findings: Vec<Finding> = named.iter().map(|(path, secrecy)| readable(path, *secrecy)).collect();
    if findings.iter().any(|finding| finding.result == Outcome::Bad) {
        findings.push(Finding::untried("contents", "not every file can be read"));
    } else {
        findings.extend(contents(loaded));
    }
    findings.extend(loaded.notices.iter().map(|notice| told(Finding::warn, notice)));
    findings
}

/// Who else may read a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Secrecy {
    Public,
    Secret,
}

fn of_plan(plan: &Plan) -> Vec<(&Path, Secrecy)> {
    let mut all: Vec<(&Path, Secrecy)> = Vec::new();
    for site in &plan.sites {
        if let Certificates::Files(files) = &site.certificates {
            for pair in files {
                all.push((pair.chain.as_path(), Secrecy::Public));
                all.push((pair.key.as_path(), Secrecy::Secret));
            }
        }
        if let Some(clients) = &site.client_auth {
            all.push((clients.ca.as_path(), Secrecy::Public));
            all.extend(clients.crl.iter().map(|list| (list.as_path(), Secrecy::Public)));
        }
        all.extend(
            site.resumption
                .secret_file
                .iter()
                .map(|file| (file.as_path(), Secrecy::Secret)),
        );
    }
    let token = plan.admin.iter().filter_map(|admin| admin.token_file.as_deref());
    all.extend(token.map(|file| (file, Secrecy::Secret)));
    all
}

fn readable(path: &Path, secrecy: Secrecy) -> Finding {
    let what = path.display().to_string();
    let read = File::open(path).and_then(|mut file| {
        // a folder opens, and cannot be read
        io::copy(&mut file.by_ref().take(1), &mut io::sink())?;
        file.metadata()
    });
    match read {
        Ok(about) => {
            let mode = about.permissions().mode() & 0o777;
            let finding = match secrecy == Secrecy::Secret && mode & 0o007 != 0 {
                true => Finding::warn(
                    what,
                    format!(
                        "{} bytes, mode {mode:04o}: every user may reach this secret",
                        about.len()
                    ),
                )
                .hint(format!("chmod 0600 {}", path.display())),
                false => Finding::ok(what, format!("{} bytes, mode {mode:04o}", about.len())),
            };
            finding.facts(json!({ "bytes": about.len(), "mode": format!("{mode:04o}") }))
        }
        Err(error) => {
            let hint = match error.kind() {
                ErrorKind::PermissionDenied => Some("the user that runs the proxy must be able to read it"),
                _ => None,
            };
            let finding = Finding::bad(what, error.to_string());
            match hint {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        }
    }
}

/// As `check` judges them.
fn contents(loaded: &Loaded) -> Vec<Finding> {
    match inspect(loaded, Some(&self_signed())) {
        Ok(snapshot) => {
            let picture = snapshot.picture();
            let certificates: usize = picture.sites.iter().map(|site| site.certificates.len()).sum();
            let good = Finding::ok(
                "contents",
                format!("{certificates} certificates with their keys, all usable"),
            );
            let warnings = picture
                .warnings
                .into_iter()
                .map(|warning| Finding::warn(format!("site \"{}\"", warning.site), warning.message).hint(warning.hint));
            std::iter::once(good).chain(warnings).collect()
        }
        Err(problems) => problems.iter().map(|problem| told(Finding::bad, problem)).collect(),
    }
}

fn told(kind: fn(String, String) -> Finding, problem: &Problem) -> Finding {
    let finding = kind(problem.origin.to_string(), problem.message.clone());
    match &problem.hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn ports(plan: &Plan, status: &Value) -> Vec<Finding> {
    let listeners = plan.listeners.iter();
    let mut all: Vec<Finding> = listeners
        .flat_map(|listener| listener.listen.iter().map(|at| (format!("{} {at}", listener.name), at)))
        .map(|(what, at)| port(what, at, &|| holder(status, at)))
        .collect();
    if let Some(at) = plan.metrics.listen {
        all.push(port(format!("metrics {at}"), &Address::Ip(at), &|| unlisted(status)));
    }
    if let Some(admin) = &plan.admin {
        // who answered `status` answered there
        let answers = || {
            status["pid"]
                .as_u64()
                .map(|pid| (Outcome::Ok, format!("answers: portcullis, pid {pid}")))
        };
        all.push(port(format!("admin {}", admin.listen), &admin.listen, &answers));
    }
    all
}

/// What is known of who holds an address.
type Holder<'a> = &'a dyn Fn() -> Option<(Outcome, String)>;

fn port(what: String, at: &Address, holder: Holder<'_>) -> Finding {
    let bound = match at {
        Address::Ip(address) => bound(*address),
        Address::Unix(path) => return unix(what, path, holder),
        Address::Name(..) => return Finding::untried(what, "a name is nothing to listen on"),
    };
    match bound {
        Ok(()) => Finding::ok(what, "can be bound"),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(what, holder),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(what, error.to_string())
            .hint("AmbientCapabilities=CAP_NET_BIND_SERVICE of a systemd unit, or a port from 1024 on"),
        Err(error) => Finding::bad(what, error.to_string()),
    }
}

fn taken(what: String, holder: Holder<'_>) -> Finding {
    match holder() {
        Some((result, found)) => Finding::new(result, what, found),
        None => Finding::bad(what, "taken by another process").hint("`ss -ltnp` or `ss -lxp` names it"),
    }
}

/// The running instance says where its listeners are.
fn holder(status: &Value, at: &Address) -> Option<(Outcome, String)> {
    let pid = status["pid"].as_u64()?;
    let listeners = status["listeners"].as_array().into_iter().flatten();
    let mut addresses = listeners.flat_map(|listener| listener["addresses"].as_array().into_iter().flatten());
    let own = addresses.any(|address| address.as_str() == Some(&at.to_string()));
    own.then(|| (Outcome::Ok, format!("held by the running portcullis, pid {pid}")))
}

/// It does not say where its metrics are.
fn unlisted(status: &Value) -> Option<(Outcome, String)> {
    let pid = status["pid"].as_u64()?;
    Some((
        Outcome::Untried,
        format!("taken, and the running portcullis, pid {pid}, does not say whether by itself"),
    ))
}

/// As the proxy's own first try: without `SO_REUSEPORT`, so that another one is noticed.
fn bound(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(1)
}

/// Nothing is made on the way: a socket that is bound leaves a file.
fn unix(what: String, path: &Path, holder: Holder<'_>) -> Finding {
    let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    match std::fs::symlink_metadata(path) {
        Ok(about) if !about.file_type().is_socket() => {
            Finding::bad(what, "a file that is no socket stands there").hint("move it away")
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => taken(what, holder),
            Err(_) => Finding::ok(what, "left over from a process that ended: `serve` replaces it"),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Finding::ok(what, "nothing stands there, and the folder can be written"),
            Err(_) if !folder.exists() => Finding::info(what, format!("{} is not there yet", folder.display())),
            Err(error) => Finding::bad(what, format!("{}: {error}", folder.display())),
        },
        Err(error) => Finding::bad(what, error.to_string()),
    }
}
