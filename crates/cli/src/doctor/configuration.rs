//! A configuration's files, and who runs already.
use super::{
    finding::{Finding, Outcome, Section},
    ports,
};
use crate::{running, serve::self_signed};
use portcullis_proxy::{
    config::{self, Loaded, Problem, flags::FLAGS},
    inspect,
    plan::{AdminPlan, Certificates, Plan},
};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::PermissionsExt,
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
                findings: ports::findings(&loaded.plan, &status),
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
