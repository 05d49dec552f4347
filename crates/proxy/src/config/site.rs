//! `[[site]]`: what a name is, on which listeners, with which certificates, and what is behind it.
use super::{
    Origin, certificates, client_auth,
    footing::{Footing, Neighbours, Wish},
    listener::MODES,
    named::{self, Name},
    policy::{self, SitePolicy, Written},
    reader::Reader,
    report::{Fault, Found},
    route, service, settings,
    tree::{Table, Value, quoted},
    values::{self, Word, server_name},
};
use crate::plan::{Certificates, ClientAuthPlan, ForwardPlan, Mode, Protocol, SitePlan};
use portcullis_tls::policy::{Demand, Refuse};
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
    let label = site
        .value("label", values::name)
        .map_or_else(String::new, |found| found.value);
    let is_default = site.lacks("names");
    let names = site.list_or_empty("names", server_name);
    let (certificates, audiences) = certificates::read(&mut site, &origin);
    let speaks_tls = certificates.value != Certificates::None;
    let (footing, mode) = stand(&mut site, (&certificates, &names), &origin, neighbours);
    let tls = site.table("tls", "site.tls");
    let tls = settings::read(if speaks_tls { tls } else { tls.silent() });
    let (protocol, alpn) = spoken(&mut site, mode, tls.alpn);
    let errors = site.errors();
    let client_auth_at = site.origin_of("client_auth");
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
    let demand = written.as_ref().map_or_else(
        || Demand::from(tls.profile.value.policy()),
        |written| written.demand(tls.profile.value.policy()),
    );
    if speaks_tls {
        policy.explain(&mut site);
        policy.check(&mut site, &tls.settings);
        if client_auth_is_good {
            policy.check_clients(&mut site, client_auth.as_ref());
        }
        check_leniency(
            &mut site,
            (written.as_ref(), &demand),
            (&footing, mode),
            client_auth.as_ref(),
        );
    }
    let service = match mode {
        Mode::Tcp => {
            check_forward(&mut site, client_auth.as_ref(), client_auth_at);
            service::tcp(&mut site, &origin, neighbours)
        }
        Mode::Http => {
            let ground = route::Ground {
                neighbours,
                policy: &policy,
                written: written.as_ref(),
                above: above(&footing, &demand),
                tls: speaks_tls.then_some(&tls.settings),
                client_auth: client_auth.as_ref(),
                body: None,
            };
            service::http(&mut site, &origin, ground)
        }
    };
    site.finish();
    let plan = SitePlan {
        name: name.found.value.clone(),
        label,
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
        policy: demand,
        service,
    };
    Draft {
        plan,
        name,
        names,
        is_default,
        origin,
    }
}

/// What is demanded of a site's connections, each with whose word it is.
fn above(footing: &Footing<'_>, demand: &Demand) -> Vec<(String, Demand)> {
    let mut above = footing.demands();
    above.push(("its site".to_owned(), demand.clone()));
    above
}

/// Whom a policy lets off, and how it tells the rest.
fn check_leniency(
    site: &mut Reader<'_>,
    (written, demand): (Option<&Written>, &Demand),
    (footing, mode): (&Footing<'_>, Mode),
    client_auth: Option<&ClientAuthPlan>,
) {
    if let (Mode::Tcp, Some(listener)) = (mode, footing.pages()) {
        let message = format!("{} refuses by a page, which a tcp site cannot send", listener.subject());
        let origin = listener
            .policy
            .as_ref()
            .map_or(Origin::Default, |policy| policy.origin.clone());
        site.error(Fault::whole(origin, message).hint("refuse = \"page\" in the policies of its http sites"));
    }
    let Some(written) = written else { return };
    written.explain_leniency(site);
    written.check(site, demand, &footing.demands());
    let page = written.refuse.as_ref().filter(|found| found.value == Refuse::Page);
    if let (Mode::Tcp, Some(page)) = (mode, page) {
        site.error(policy::no_page(&page.origin));
    }
    written.check_identities(site, client_auth);
}

/// The listeners of a site, and its mode: its own, else theirs.
fn stand<'a>(
    site: &mut Reader<'_>,
    (certificates, names): (&Found<Certificates>, &[Found<String>]),
    origin: &Origin,
    neighbours: &Neighbours<'a>,
) -> (Footing<'a>, Mode) {
    let speaks_tls = certificates.value != Certificates::None;
    let stated = site.value("mode", |value| values::word("mode", MODES, value));
    let stated = stated.map(|found| found.value);
    let mode = stated.or_else(|| service::implied_mode(site));
    let footing = Footing::read(site, Wish { speaks_tls, mode }, neighbours);
    let mode = stated.unwrap_or_else(|| footing.mode(site, origin));
    footing.check(site, certificates);
    if mode == Mode::Tcp {
        footing.check_names(site, names);
    }
    (footing, mode)
}

/// What clients speak behind TLS, and by which names they ask for it.
fn spoken(site: &mut Reader<'_>, mode: Mode, alpn: Option<Found<Vec<String>>>) -> (Protocol, Vec<String>) {
    let origin = site.origin_of("protocol");
    let protocol = site.value("protocol", |value| values::word("protocol", PROTOCOLS, value));
    let protocol = protocol.map_or_else(Protocol::default, |found| found.value);
    if let (Mode::Http, Some(origin)) = (mode, origin) {
        let fault = Fault::whole(origin, "protocol means nothing to an http site");
        site.error(fault.hint("mode = \"tcp\", or leave it out"));
    }
    match alpn {
        Some(alpn) => {
            let odd = alpn.value.iter().find(|name| !HTTP.contains(&name.as_str()));
            if let (Mode::Http, Some(odd)) = (mode, odd) {
                let message = format!("tls.alpn holds {}, which an http site does not speak", quoted(odd));
                let fault = Fault::whole(alpn.origin.clone(), message);
                site.error(fault.hint("an http site speaks \"h2\" and \"http/1.1\""));
            }
            (protocol, alpn.value)
        }
        None => (protocol, usual_alpn(site, mode, protocol)),
    }
}

/// What http sites speak over TLS, most wanted first.
const HTTP: [&str; 2] = ["h2", "http/1.1"];

/// What a protocol's clients ask for by ALPN; libpq refuses direct TLS without it.
fn usual_alpn(site: &mut Reader<'_>, mode: Mode, protocol: Protocol) -> Vec<String> {
    let names: &[&str] = match (mode, protocol) {
        (Mode::Http, _) => &HTTP,
        (Mode::Tcp, Protocol::Any) => return Vec::new(),
        (Mode::Tcp, Protocol::Postgres) => &[postgres::ALPN],
    };
    let shown = Value::strings(names.iter().copied(), Origin::Default).to_string();
    site.explain("tls.alpn", shown, Origin::Default);
    names.iter().map(|name| (*name).to_owned()).collect()
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

/// Nobody tells the upstream of a tcp site who the client is.
fn check_forward(site: &mut Reader<'_>, client_auth: Option<&ClientAuthPlan>, stands: Option<Origin>) {
    let is_chosen = client_auth.is_some_and(|auth| auth.forward != ForwardPlan::Identity);
    if let Some(origin) = stands.filter(|_| is_chosen) {
        let message = "client_auth.forward means nothing on a tcp site";
        site.notice(Fault::whole(origin, message).hint("mode = \"http\" on the site or its listener"));
    }
}
