//! The environment: which variables are ours, and what is said of those that only look so.
use super::{
    Origin,
    flags::{FLAGS, Flag},
    flat,
    report::{Fault, Report, did_you_mean},
    typed::Typed,
};

const OURS: &str = "PORTCULLIS_";
/// Kubernetes sets these for a service that is called portcullis.
const NEVER_OURS: &[&str] = &["PORTCULLIS_PORT", "PORTCULLIS_SERVICE_"];

/// The flag that a variable stands for, ours or Quantum Safe Proxy's.
pub(super) fn flag_of(variable: &str) -> Option<&'static Flag> {
    let ours = FLAGS.iter().find(|flag| flag.variable == Some(variable));
    ours.or_else(|| flat::flag_of(variable.strip_prefix(flat::PREFIX)?))
}

/// Whether a variable is one of Quantum Safe Proxy's.
pub(super) fn is_guests(variable: &str) -> bool {
    variable.starts_with(flat::PREFIX)
}

/// The variables that are set; an empty one is not. Ours win over those of Quantum Safe Proxy.
pub(super) fn typed(environment: &[(String, String)], report: &mut Report) -> Vec<Typed> {
    let mut set: Vec<Typed> = Vec::new();
    let is_set = |(_, text): &&(String, String)| !text.is_empty();
    let (theirs, ours): (Vec<_>, Vec<_>) = environment.iter().filter(is_set).partition(|(name, _)| is_guests(name));
    for (name, text) in ours.into_iter().chain(theirs) {
        let origin = Origin::Environment(name.clone());
        match flag_of(name) {
            Some(flag) if set.iter().any(|have| have.flag.name == flag.name) => {}
            Some(flag) => set.push(Typed {
                flag,
                texts: vec![text.clone()],
                origin,
            }),
            None => unknown(name, origin, report),
        }
    }
    set
}

fn unknown(name: &str, origin: Origin, report: &mut Report) {
    if is_guests(name) {
        report.notice("", Fault::whole(origin, "no variable of Quantum Safe Proxy: ignored"));
    } else if name.starts_with(OURS) && !NEVER_OURS.iter().any(|prefix| name.starts_with(prefix)) {
        let variables = FLAGS.iter().filter_map(|flag| flag.variable);
        let fault = Fault::whole(origin, "no variable of this program: ignored");
        report.notice("", fault.maybe_hint(did_you_mean(name, variables)));
    }
}
