//! Where a site stands: its listeners, and what they allow it to say.
use super::{
    Origin, listener,
    policy::{SitePolicy, Written},
    reader::Reader,
    report::{Fault, Found},
    tree::{Value, quoted},
    upstream, values,
};
use crate::plan::{Certificates, Mode};
use portcullis_tls::policy::{Demand, Policy, Refuse};
use std::collections::HashMap;

/// What a site may refer to.
pub(super) struct Neighbours<'a> {
    listeners: &'a [listener::Draft],
    listener_names: HashMap<&'a str, usize>,
    upstreams: &'a [upstream::Draft],
    upstream_names: HashMap<&'a str, usize>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn new(listeners: &'a [listener::Draft], upstreams: &'a [upstream::Draft]) -> Neighbours<'a> {
        Neighbours {
            listeners,
            listener_names: first_of_each(listeners.iter().map(|listener| listener.name.value.as_str())),
            upstreams,
            upstream_names: first_of_each(upstreams.iter().map(|upstream| upstream.plan.name.as_str())),
        }
    }

    fn named_listeners(&self, site: &mut Reader<'_>, named: Found<Vec<Found<String>>>) -> Vec<usize> {
        let mut listeners: Vec<usize> = Vec::with_capacity(named.value.len());
        if named.value.is_empty() {
            let fault = Fault::whole(named.origin, "listeners has none");
            site.error(fault.hint("leave it out for all that fit"));
        }
        for Found { value: name, origin } in named.value {
            match self.listener_names.get(name.as_str()) {
                Some(at) if listeners.contains(at) => {
                    let message = format!("listener {} stands twice", quoted(&name));
                    site.notice(Fault::whole(origin, message));
                }
                Some(at) => listeners.push(*at),
                None => {
                    let known = self.listeners.iter().map(|listener| listener.name.value.as_str());
                    let hint = site.suggest(&name, known);
                    let fault = Fault::whole(origin, format!("unknown listener {}", quoted(&name)));
                    site.error(fault.maybe_hint(hint));
                }
            }
        }
        listeners
    }

    /// Where none fits, all: what does not fit is then told for each. A mode of the site's own fits where no listener
    /// has it, since it overrides theirs.
    fn fitting_listeners(&self, wish: Wish) -> Vec<usize> {
        let every: Vec<usize> = (0..self.listeners.len()).collect();
        let narrowed = |of: Vec<usize>, fits: &dyn Fn(&listener::Draft) -> bool| {
            let fitting: Vec<usize> = of.iter().copied().filter(|at| fits(&self.listeners[*at])).collect();
            if fitting.is_empty() { of } else { fitting }
        };
        let fitting = narrowed(every, &|listener| listener.plain.value != wish.speaks_tls);
        match wish.mode {
            Some(mode) => narrowed(fitting, &|listener| listener.mode == mode),
            None => fitting,
        }
    }

    /// Index of an upstream by its name.
    pub(super) fn upstream(&self, site: &mut Reader<'_>, name: Found<String>) -> usize {
        let Found { value: name, origin } = name;
        if let Some(at) = self.upstream_names.get(name.as_str()) {
            return *at;
        }
        let known = self.upstreams.iter().map(|upstream| upstream.plan.name.as_str());
        let hint = site.suggest(&name, known);
        let fault = Fault::whole(origin, format!("unknown upstream {}", quoted(&name)));
        site.error(fault.maybe_hint(hint));
        0
    }
}

/// What a site looks for in a listener.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    /// It has certificates.
    pub(super) speaks_tls: bool,
    /// Its own mode, or the one that its keys speak of.
    pub(super) mode: Option<Mode>,
}

/// A name taken twice is told elsewhere; until then it means the first.
fn first_of_each<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut indices = HashMap::new();
    for (at, name) in names.enumerate() {
        indices.entry(name).or_insert(at);
    }
    indices
}

/// The listeners of a site.
pub(super) struct Footing<'a> {
    /// Their indices.
    pub(super) listeners: Vec<usize>,
    drafts: Vec<&'a listener::Draft>,
}

impl<'a> Footing<'a> {
    /// The listeners that a site names, else all that fit: plain ones fit a site that speaks no TLS.
    pub(super) fn read(site: &mut Reader<'_>, wish: Wish, neighbours: &Neighbours<'a>) -> Footing<'a> {
        let listeners = match site.list("listeners", values::name) {
            Some(named) => neighbours.named_listeners(site, named),
            None => {
                let fitting = neighbours.fitting_listeners(wish);
                let names = fitting.iter().map(|at| neighbours.listeners[*at].name.value.as_str());
                let shown = Value::strings(names, Origin::Default).to_string();
                site.explain("listeners", shown, Origin::Default);
                fitting
            }
        };
        let drafts = listeners.iter().map(|at| &neighbours.listeners[*at]).collect();
        Footing { listeners, drafts }
    }

    /// The mode of the listeners, for a site that says none.
    pub(super) fn mode(&self, site: &mut Reader<'_>, origin: &Origin) -> Mode {
        let Some(first) = self.drafts.first() else {
            return Mode::Tcp;
        };
        if let Some(other) = self.drafts.iter().find(|listener| listener.mode != first.mode) {
            let (one, two) = (first.mode.as_str(), other.mode.as_str());
            let message = format!("stands on {} ({one}) and {} ({two})", first.subject(), other.subject());
            let hint = format!("mode = \"{one}\" or \"{two}\" on the site, or name its listeners");
            site.error(Fault::whole(origin.clone(), message).hint(hint));
        }
        first.mode
    }

    fn plain(&self) -> Option<&'a listener::Draft> {
        self.drafts.iter().find(|listener| listener.plain.value).copied()
    }

    /// Certificates belong to TLS, and TLS needs certificates.
    pub(super) fn check(&self, site: &mut Reader<'_>, certificates: &Found<Certificates>) {
        let speaks_tls = certificates.value != Certificates::None;
        if let Some(plain) = self.plain() {
            if speaks_tls {
                let complaint = format!("mean nothing on the plain {}", plain.subject());
                site.fault("certificates", Fault::of_key(certificates.origin.clone(), complaint));
            }
            for key in ["tls", "client_auth", "policy", "protocol"] {
                let Some(origin) = site.origin_of(key) else {
                    continue;
                };
                let complaint = format!("means nothing on the plain {}", plain.subject());
                site.fault(key, Fault::of_key(origin, complaint));
            }
        }
        if let Some(tls) = self.drafts.iter().find(|listener| !listener.plain.value && !speaks_tls) {
            site.error(no_certificates(&certificates.origin, tls));
        }
    }

    /// Without TLS nobody names a site.
    pub(super) fn check_names(&self, site: &mut Reader<'_>, names: &[Found<String>]) {
        if let (Some(first), Some(plain)) = (names.first(), self.plain()) {
            let message = format!("names mean nothing on the plain {}", plain.subject());
            let fault = Fault::whole(first.origin.clone(), message);
            site.error(fault.hint("the site without names takes every connection"));
        }
    }

    /// A site may demand more than its listeners, never less.
    pub(super) fn tighten(&self, site: &mut Reader<'_>, policy: &mut SitePolicy, written: Option<&Written>) {
        for listener in &self.drafts {
            let Some(floor) = &listener.policy else {
                continue;
            };
            for (rule, weaker) in written.into_iter().flat_map(|written| written.weaker_than(floor)) {
                let word = quoted(weaker.value.as_str());
                let message = format!("policy {rule} {word} is weaker than that of {}", listener.subject());
                let hint = "a site may only tighten what its listener demands";
                site.error(Fault::whole(weaker.origin.clone(), message).hint(hint));
            }
            policy.tighten(floor);
        }
    }

    /// What its listeners demand, each with its name for people.
    pub(super) fn demands(&self) -> Vec<(String, Demand)> {
        let each = self.drafts.iter();
        let each = each.filter_map(|listener| Some((listener, listener.policy.as_ref()?)));
        each.map(|(listener, written)| (listener.subject(), written.demand(Policy::OBSERVE)))
            .collect()
    }

    /// The listener whose clients would be told on a page.
    pub(super) fn pages(&self) -> Option<&'a listener::Draft> {
        let of = |listener: &&&listener::Draft| {
            let refuse = listener.policy.as_ref().and_then(|written| written.refuse.as_ref());
            refuse.is_some_and(|found| found.value == Refuse::Page)
        };
        self.drafts.iter().find(of).copied()
    }
}

fn no_certificates(origin: &Origin, listener: &listener::Draft) -> Fault {
    const NOTHING_GIVEN: &str = "give --cert FILE --key FILE (`portcullis cert ca --dual --out pki` begins to make some), --self-signed (made in memory) or --plain (no TLS); mode passthrough is not in this version";
    match origin {
        Origin::Default => Fault::whole(Origin::Default, "there are no certificates to serve with").hint(NOTHING_GIVEN),
        origin => {
            let message = format!("has no certificates for {}", listener.subject());
            let hint = "certificates = [{ chain = \"site.pem\", key = \"site.key\" }]";
            Fault::whole(origin.clone(), message).hint(hint)
        }
    }
}
