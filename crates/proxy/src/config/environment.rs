//! The environment: which variables are ours, and what is said of those that only look so.
use super::{
    Origin,
    flags::{FLAGS, Flag},
    report::{Fault, Report, did_you_mean},
    typed::Typed,
};

const OURS: &str = "PORTCULLIS_";
/// Kubernetes sets these for a service that is called portcullis.
const NEVER_OURS: &[&str] = &["PORTCULLIS_PORT", "PORTCULLIS_SERVICE_"];

const THEIRS: &str = "QUANTUM_SAFE_PROXY_";
/// Quantum Safe Proxy's variables, by what follows their prefix, and what says the same here.
const QUANTUM_SAFE_PROXY: &[(&str, Option<&str>)] = &[
    ("LISTEN", Some("PORTCULLIS_LISTEN")),
    ("TARGET", Some("PORTCULLIS_TARGET")),
    ("CERT", Some("PORTCULLIS_CERT")),
    ("KEY", Some("PORTCULLIS_KEY")),
    ("CA_CERT", Some("PORTCULLIS_CA_CERT")),
    ("LOG_LEVEL", Some("PORTCULLIS_LOG_LEVEL")),
    ("HYBRID_MODE", None),
    ("CLIENT_CERT_MODE", Some("PORTCULLIS_CLIENT_CERT_MODE")),
    ("CONFIG_FILE", Some("PORTCULLIS_CONFIG")),
];

/// The flag that a variable stands for.
pub(super) fn flag_of(variable: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.variable == Some(variable))
}

/// The variables that are set; an empty one is not.
pub(super) fn typed(environment: &[(String, String)], report: &mut Report) -> Vec<Typed> {
    let mut set = Vec::new();
    for (name, text) in environment.iter().filter(|(_, text)| !text.is_empty()) {
        let origin = Origin::Environment(name.clone());
        if let Some(flag) = flag_of(name) {
            set.push(Typed {
                flag,
                texts: vec![text.clone()],
                origin,
            });
        } else if let Some(theirs) = name.strip_prefix(THEIRS) {
            quantum_safe_proxy(theirs, origin, report);
        } else if name.starts_with(OURS) && !NEVER_OURS.iter().any(|prefix| name.starts_with(prefix)) {
            let variables = FLAGS.iter().filter_map(|flag| flag.variable);
            let fault = Fault::whole(origin, "no variable of this program: ignored");
            report.notice("", fault.maybe_hint(did_you_mean(name, variables)));
        }
    }
    set
}

fn quantum_safe_proxy(name: &str, origin: Origin, report: &mut Report) {
    match QUANTUM_SAFE_PROXY.iter().find(|(known, _)| *known == name) {
        Some((_, ours)) => {
            let hint = ours.map_or_else(|| "leave it out".to_owned(), |ours| format!("{ours} says the same"));
            report.error("", Fault::whole(origin, "not in this version").hint(hint));
        }
        None => report.notice("", Fault::whole(origin, "no variable of Quantum Safe Proxy: ignored")),
    }
}
