//! `[[site]]`: what a name is, on which listeners, with which certificates, and what is behind it.
use super::{
    Origin, certificates, client_auth,
    footing::{Footing, Neighbours},
    named::{self, Name},
    policy::{self, SitePolicy},
    reader::Reader,
    report::{Fault, Found},
    settings,
    tree::{Table, Value, quoted},
    values::{self, Word, server_name},
};
use crate::plan::{Certificates, Protocol, SitePlan};
use portcullis_wire::postgres;

const PROTOCOLS: &[(&str, Word<Protocol>)] = &[("postgres", Word::Is(Protocol::Postgres))];

/// A site, and where the parts stand that its neighbours may collide with.
pub(super) struct Draft {
    pub(super) plan: SitePlan,
    pub(super) name: Name,
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
    let tables = named::tables(root, "site");
    tables
        .into_iter()
        .map(|(table, origin)| read(root, table, origin, neighbours))
        .collect()
}

fn read(root: &mut Reader<'_>, table: Table, origin: Origin, neighbours: &Neighbours<'_>) -> Draft {
    let called_after = ("names", "default");
    let (mut site, name) = named::begin(root, "site", (table, &origin), called_after);
    check_name(&mut site, &name.found);
    let is_default = site.lacks("names");
    let names = site.list_or_empty("names", server_name);
    let (certificates, audiences) = certificates::read(&mut site, &origin);
    let speaks_tls = certificates.value != Certificates::None;
    let footing = Footing::read(&mut site, speaks_tls, neighbours);
    footing.check(&mut site, &certificates);
    footing.check_names(&mut site, &names);
    let tls = site.table("tls", "site.tls");
    let tls = settings::read(if speaks_tls { tls } else { tls.silent() });
    let protocol = site.value("protocol", |value| values::word("protocol", PROTOCOLS, value));
    let protocol = protocol.map_or_else(Protocol::default, |found| found.value);
    let alpn = tls.alpn.unwrap_or_else(|| usual_alpn(&mut site, protocol));
    let errors = site.errors();
    let client_auth = client_auth::read(&mut site, &certificates.value);
    let client_auth_is_good = site.errors() == errors;
    if let (Some(secret), Some(_)) = (&tls.secret_file, &client_auth) {
        let message = "tls.resumption.secret_file means nothing with client_auth";
        let hint = "sessions of clients with certificates are kept in this process: a ticket would carry their chain";
        site.notice(Fault::whole(secret.clone(), message).hint(hint));
    }
    let written = policy::read(&mut site);
    let mut policy = SitePolicy::new(written.as_ref(), &tls.profile);
    footing.tighten(&mut site, &mut policy, written.as_ref());
    if speaks_tls {
        policy.explain(&mut site);
        policy.check(&mut site, &tls.settings);
        if client_auth_is_good {
            policy.check_clients(&mut site, client_auth.as_ref());
        }
    }
    let upstream = upstream(&mut site, &origin, neighbours);
    site.finish();
    let plan = SitePlan {
        name: name.found.value.clone(),
        names: names.iter().map(|name| name.value.clone()).collect(),
        listeners: footing.listeners,
        certificates: certificates.value,
        audiences,
        profile: tls.profile.value,
        tls: tls.settings,
        alpn,
        protocol,
        resumption: tls.resumption,
        client_auth,
        policy: policy.comes_to,
        upstream,
    };
    Draft {
        plan,
        name,
        names,
        is_default,
        origin,
    }
}

/// What a protocol's clients ask for by ALPN; libpq refuses direct TLS without it.
fn usual_alpn(site: &mut Reader<'_>, protocol: Protocol) -> Vec<String> {
    match protocol {
        Protocol::Any => Vec::new(),
        Protocol::Postgres => {
            let shown = Value::strings([postgres::ALPN], Origin::Default).to_string();
            site.explain("tls.alpn", shown, Origin::Default);
            vec![postgres::ALPN.to_owned()]
        }
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

/// Index of its upstream.
fn upstream(site: &mut Reader<'_>, origin: &Origin, neighbours: &Neighbours<'_>) -> usize {
    let stands = site.has("upstream");
    match site.value("upstream", values::name) {
        Some(name) => neighbours.upstream(site, name),
        // Routes are refused by name, which says enough.
        None if stands || site.has("route") => 0,
        None => {
            let fault = Fault::whole(origin.clone(), "leads to no upstream");
            site.error(fault.hint("upstream = \"NAME\", and [upstream.NAME] with its servers"));
            0
        }
    }
}
