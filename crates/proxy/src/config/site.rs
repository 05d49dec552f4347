//! `[[site]]`: what a name is, on which listeners, with which certificates, and what is behind it.
use super::{
    Origin, certificates, client_auth,
    listener::{self, first_text, name_of},
    policy,
    reader::{Fault, Found, Place, Reader, did_you_mean},
    settings,
    tree::{Kind, Table, Value, quoted},
    upstream,
    values::{self, server_name},
};
use crate::plan::{Certificates, SitePlan};
use portcullis_tls::{
    negotiated::Version,
    policy::{Policy, Stance},
    profile::Settings,
};
use std::collections::HashMap;

/// What a site may refer to.
pub(super) struct Neighbours<'a> {
    listeners: &'a [listener::Draft],
    listener_names: HashMap<&'a str, usize>,
    upstreams: &'a [upstream::Draft],
    upstream_names: HashMap<&'a str, usize>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn new(
        listeners: &'a [listener::Draft],
        upstreams: &'a [upstream::Draft],
    ) -> Neighbours<'a> {
        Neighbours {
            listeners,
            listener_names: first_of_each(
                listeners
                    .iter()
                    .map(|listener| listener.name.value.as_str()),
            ),
            upstreams,
            upstream_names: first_of_each(
                upstreams.iter().map(|upstream| upstream.plan.name.as_str()),
            ),
        }
    }
}

/// A name taken twice is told elsewhere; until then it means the first.
fn first_of_each<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut indices = HashMap::new();
    for (at, name) in names.enumerate() {
        indices.entry(name).or_insert(at);
    }
    indices
}

/// A site, and where the parts stand that its neighbours may collide with.
pub(super) struct Draft {
    pub(super) plan: SitePlan,
    pub(super) name: Found<String>,
    pub(super) stated_name: Option<Origin>,
    pub(super) names: Vec<Found<String>>,
    pub(super) is_default: bool,
    pub(super) origin: Origin,
}

impl Draft {
    /// Where one of its names stands.
    pub(super) fn origin_of(&self, name: &str) -> &Origin {
        self.names
            .iter()
            .find(|found| found.value == name)
            .map_or(&self.origin, |found| &found.origin)
    }

    /// For people.
    pub(super) fn subject(&self) -> String {
        format!("site {}", quoted(&self.plan.name))
    }
}

/// Reads every site.
pub(super) fn read_all(root: &mut Reader<'_>, neighbours: &Neighbours<'_>) -> Vec<Draft> {
    let tables = listener::tables(root, "site");
    tables
        .into_iter()
        .map(|(table, origin)| read(root, table, origin, neighbours))
        .collect()
}

fn read(root: &mut Reader<'_>, table: Table, origin: Origin, neighbours: &Neighbours<'_>) -> Draft {
    let derived = first_text(&table, "names")
        .unwrap_or_else(|| "default".to_owned())
        .to_lowercase();
    let is_default = table
        .peek("names")
        .is_none_or(|names| matches!(&names.kind, Kind::Array(items) if items.is_empty()));
    let stated_name = table.peek("name").map(|name| name.origin.clone());
    let name = name_of(
        root,
        &table,
        Found {
            value: derived,
            origin: origin.clone(),
        },
    );
    let mut site = root.beside(table, Place::named("site", &name.value));
    site.take("name");
    site.explain(
        "name",
        quoted(&name.value),
        stated_name.clone().unwrap_or(Origin::Default),
    );
    check_name(&mut site, &name);
    let names = site.list_or_empty("names", server_name);
    let certificates = certificates::read(&mut site, &origin);
    let listeners = listeners(&mut site, &certificates.value, neighbours);
    check_listeners(&mut site, &certificates, &listeners, neighbours);
    check_names(&mut site, &names, &listeners, neighbours);
    let speaks_tls = certificates.value != Certificates::None;
    let tls = site.table("tls", "site.tls");
    let tls = settings::read(if speaks_tls { tls } else { tls.silent() });
    let client_auth = client_auth::read(&mut site, &certificates.value);
    let policy = policy(&mut site, &tls, &listeners, neighbours);
    if speaks_tls {
        policy.explain(&mut site);
        policy.check(&mut site, &tls.settings);
    }
    let upstream = upstream(&mut site, &origin, neighbours);
    site.finish();
    let plan = SitePlan {
        name: name.value.clone(),
        names: names.iter().map(|name| name.value.clone()).collect(),
        listeners,
        certificates: certificates.value,
        profile: tls.profile.value,
        tls: tls.settings,
        resumption_lifetime: tls.resumption_lifetime,
        client_auth,
        policy: policy.comes_to,
        upstream,
    };
    Draft {
        plan,
        name,
        stated_name,
        names,
        is_default,
        origin,
    }
}

/// Metrics use these words for what is no site.
fn check_name(site: &mut Reader<'_>, name: &Found<String>) {
    if matches!(name.value.as_str(), "none" | "other") {
        let fault = Fault::whole(
            name.origin.clone(),
            format!("the name {} means no site in metrics", quoted(&name.value)),
        );
        site.error(fault.hint("choose another name"));
    }
}

/// Indices of the listeners it names, else of all that fit: with TLS for one with certificates, plain for one without.
fn listeners(
    site: &mut Reader<'_>,
    certificates: &Certificates,
    neighbours: &Neighbours<'_>,
) -> Vec<usize> {
    let every = 0..neighbours.listeners.len();
    if let Some(named) = site.list("listeners", values::name) {
        let mut found: Vec<usize> = Vec::with_capacity(named.value.len());
        if named.value.is_empty() {
            site.error(
                Fault::whole(named.origin, "listeners is empty")
                    .hint("leave it out for all that fit"),
            );
        }
        for Found {
            value: name,
            origin,
        } in named.value
        {
            match neighbours.listener_names.get(name.as_str()) {
                Some(at) if found.contains(at) => {
                    site.notice(Fault::whole(
                        origin,
                        format!("listener {} stands twice", quoted(&name)),
                    ));
                }
                Some(at) => found.push(*at),
                None => {
                    let known = neighbours
                        .listeners
                        .iter()
                        .map(|listener| listener.name.value.as_str());
                    let fault = Fault::whole(origin, format!("unknown listener {}", quoted(&name)));
                    site.error(fault.maybe_hint(did_you_mean(&name, known)));
                }
            }
        }
        return found;
    }
    let is_plain = *certificates == Certificates::None;
    let fitting: Vec<usize> = every
        .clone()
        .filter(|at| neighbours.listeners[*at].plain.value == is_plain)
        .collect();
    let listeners = if fitting.is_empty() {
        every.collect()
    } else {
        fitting
    };
    let names = listeners
        .iter()
        .map(|at| neighbours.listeners[*at].name.value.as_str());
    site.explain(
        "listeners",
        Value::strings(names, Origin::Default).to_string(),
        Origin::Default,
    );
    listeners
}

/// Certificates belong to TLS, and TLS needs certificates.
fn check_listeners(
    site: &mut Reader<'_>,
    certificates: &Found<Certificates>,
    listeners: &[usize],
    neighbours: &Neighbours<'_>,
) {
    let on = |plain: bool| {
        listeners
            .iter()
            .map(|at| &neighbours.listeners[*at])
            .find(|found| found.plain.value == plain)
    };
    if let Some(plain) = on(true) {
        if certificates.value != Certificates::None {
            let fault = Fault::of_key(
                certificates.origin.clone(),
                format!("mean nothing on the plain {}", plain.subject()),
            );
            site.fault("certificates", fault);
        }
        for key in ["tls", "client_auth", "policy"] {
            if let Some(origin) = site.origin_of(key) {
                site.fault(
                    key,
                    Fault::of_key(
                        origin,
                        format!("means nothing on the plain {}", plain.subject()),
                    ),
                );
            }
        }
    }
    let Some(tls) = on(false) else { return };
    if certificates.value != Certificates::None {
        return;
    }
    let (message, hint) = match certificates.origin {
        Origin::Default => (
            "there are no certificates to serve with".to_owned(),
            "give --cert FILE --key FILE, --self-signed (made in memory) or --plain (no TLS); mode passthrough is not in this version",
        ),
        _ => (
            format!("has no certificates for {}", tls.subject()),
            "certificates = [{ chain = \"site.pem\", key = \"site.key\" }]",
        ),
    };
    site.error(Fault::whole(certificates.origin.clone(), message).hint(hint));
}

/// Without TLS nobody names a site.
fn check_names(
    site: &mut Reader<'_>,
    names: &[Found<String>],
    listeners: &[usize],
    neighbours: &Neighbours<'_>,
) {
    let plain = listeners
        .iter()
        .map(|at| &neighbours.listeners[*at])
        .find(|listener| listener.plain.value);
    if let (Some(first), Some(plain)) = (names.first(), plain) {
        let fault = Fault::whole(
            first.origin.clone(),
            format!("names mean nothing on the plain {}", plain.subject()),
        );
        site.error(fault.hint("the site without names takes every connection"));
    }
}

/// A site's policy and where each rule of it stands.
struct SitePolicy {
    comes_to: Policy,
    key_exchange: Origin,
    authentication: Origin,
}

fn policy(
    site: &mut Reader<'_>,
    tls: &settings::Tls,
    listeners: &[usize],
    neighbours: &Neighbours<'_>,
) -> SitePolicy {
    let written = policy::read(site);
    let base = tls.profile.value.policy();
    let own = written.as_ref().map_or(base, |written| written.over(base));
    let origin = |rule: Option<&Found<Stance>>| {
        rule.map_or(&tls.profile.origin, |found| &found.origin)
            .clone()
    };
    let mut policy = SitePolicy {
        comes_to: own,
        key_exchange: origin(
            written
                .as_ref()
                .and_then(|written| written.key_exchange.as_ref()),
        ),
        authentication: origin(
            written
                .as_ref()
                .and_then(|written| written.authentication.as_ref()),
        ),
    };
    for listener in listeners.iter().map(|at| &neighbours.listeners[*at]) {
        let Some(floor) = &listener.policy else {
            continue;
        };
        for (rule, weaker) in written
            .iter()
            .flat_map(|written| written.weaker_than(floor))
        {
            let message = format!(
                "policy {rule} {} is weaker than that of {}",
                quoted(weaker.value.as_str()),
                listener.subject()
            );
            site.error(
                Fault::whole(weaker.origin.clone(), message)
                    .hint("a site may only tighten what its listener demands"),
            );
        }
        let tightened = policy.comes_to.tightened_by(floor.over(policy::LEAST));
        if tightened.key_exchange != policy.comes_to.key_exchange {
            policy.key_exchange = floor.origin.clone();
        }
        if tightened.authentication != policy.comes_to.authentication {
            policy.authentication = floor.origin.clone();
        }
        policy.comes_to = tightened;
    }
    policy
}

impl SitePolicy {
    fn explain(&self, site: &mut Reader<'_>) {
        let Policy {
            key_exchange,
            authentication,
        } = self.comes_to;
        site.explain(
            "policy.key_exchange",
            quoted(key_exchange.as_str()),
            self.key_exchange.clone(),
        );
        site.explain(
            "policy.authentication",
            quoted(authentication.as_str()),
            self.authentication.clone(),
        );
    }

    /// What is required must be on offer.
    fn check(&self, site: &mut Reader<'_>, settings: &Settings) {
        let is_safe = |group: &portcullis_wire::GroupId| {
            group
                .key_exchange()
                .is_some_and(|class| class.is_quantum_safe())
        };
        let offers_safe_group =
            settings.versions.contains(&Version::Tls13) && settings.groups.iter().any(is_safe);
        if self.comes_to.key_exchange == Stance::Require && !offers_safe_group {
            let message = "policy requires a quantum-safe key exchange, but tls offers none";
            let fault = Fault::whole(self.key_exchange.clone(), message);
            site.error(fault.hint("versions must hold 1.3 and groups a hybrid or pq one: `portcullis groups` lists them all"));
        }
        let offers_ml_dsa = settings.signatures.iter().any(|scheme| scheme.is_ml_dsa());
        if self.comes_to.authentication == Stance::Require && !offers_ml_dsa {
            let message =
                "policy requires quantum-safe authentication, but tls has no ML-DSA signature";
            site.error(
                Fault::whole(self.authentication.clone(), message)
                    .hint("signatures must hold one of mldsa44, mldsa65, mldsa87"),
            );
        }
    }
}

/// Index of its upstream.
fn upstream(site: &mut Reader<'_>, origin: &Origin, neighbours: &Neighbours<'_>) -> usize {
    let stands = site.has("upstream");
    let Some(Found {
        value: name,
        origin,
    }) = site.value("upstream", values::name)
    else {
        // Routes are refused by name, which says enough.
        if !stands && !site.has("route") {
            let fault = Fault::whole(origin.clone(), "leads to no upstream");
            site.error(fault.hint("upstream = \"NAME\", and [upstream.NAME] with its servers"));
        }
        return 0;
    };
    neighbours
        .upstream_names
        .get(name.as_str())
        .copied()
        .unwrap_or_else(|| {
            let known = neighbours
                .upstreams
                .iter()
                .map(|upstream| upstream.plan.name.as_str());
            let fault = Fault::whole(origin, format!("unknown upstream {}", quoted(&name)));
            site.error(fault.maybe_hint(did_you_mean(&name, known)));
            0
        })
}
