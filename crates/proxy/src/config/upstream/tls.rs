//! `tls` of an upstream: what is offered to its servers, and who they must be.
use crate::{
    config::{
        Origin, certificates, policy,
        reader::Reader,
        report::{Fault, Found},
        settings,
        tree::{Kind, Value, quoted},
        values,
    },
    plan::{Address, CertificateFiles, OriginTls, ServerPlan},
};
use portcullis_tls::{
    negotiated::Version,
    policy::{Policy, Stance},
    profile::{Profile, Settings},
};

/// Sessions kept of each server, as many as connections may begin one after the other with its latest tickets.
const SESSIONS: usize = 8;

const EXAMPLE: &str = "certificates = [{ chain = \"me.pem\", key = \"me.key\" }]";

/// Reads the key `tls`; without it bytes go in the clear.
pub(super) fn read(upstream: &mut Reader<'_>, servers: &[ServerPlan]) -> Option<OriginTls> {
    let value = upstream.take("tls")?;
    let Value {
        kind: Kind::Table(table),
        origin,
    } = value
    else {
        let fault = value.fault(format!("must be a table, not {}", value.kind.describe()));
        upstream.fault("tls", fault.hint("tls = {} verifies servers by the system's roots"));
        return None;
    };
    let mut tls = upstream.item(table, "tls", "upstream.tls").unexplained();
    tls.explain(
        "server_name",
        shown_name(&tls),
        tls.origin_of("server_name").unwrap_or(Origin::Default),
    );
    let server_name = tls.value("server_name", host);
    if server_name.is_none() {
        need_a_name(&mut tls, servers, &origin);
    }
    let shown_ca = tls.origin_of("ca").unwrap_or(Origin::Default);
    let ca = tls.value("ca", values::path);
    let ca_words = ca
        .as_ref()
        .map_or("the system\'s".into(), |ca| quoted(&ca.value.display().to_string()));
    tls.explain("ca", ca_words, shown_ca);
    let certificates = certificates(&mut tls);
    let (profile, settings) = settings::of_client(&mut tls);
    let policy = demand(&mut tls, &profile, &settings);
    tls.finish();
    Some(OriginTls {
        server_name: server_name.map(|found| found.value),
        ca: ca.map(|found| found.value),
        certificates,
        settings,
        policy,
        alpn: Vec::new(),
        sessions: SESSIONS,
    })
}

fn shown_name(tls: &Reader<'_>) -> String {
    let written = tls.peek("server_name").map(ToString::to_string);
    written.unwrap_or_else(|| "the host of each server\'s address".into())
}

/// A host name or an IP address.
fn host(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => values::dns_name(value),
    }
}

/// The path of a socket is no name that a certificate could bear.
fn need_a_name(tls: &mut Reader<'_>, servers: &[ServerPlan], origin: &Origin) {
    let unix = servers.iter().find(|server| matches!(server.address, Address::Unix(_)));
    if let Some(server) = unix {
        let message = format!("tls has no server_name, and {} has none either", server.address);
        let fault = Fault::whole(origin.clone(), message);
        tls.error(
            fault.hint("tls = { server_name = \"backend.internal\" } is the name that its certificate must bear"),
        );
    }
}

/// `[{ chain = FILE, key = FILE, passphrase_file = FILE }, ...]`; without a key the chain's file holds it too.
fn certificates(tls: &mut Reader<'_>) -> Vec<CertificateFiles> {
    let Some(value) = tls.take("certificates") else {
        return Vec::new();
    };
    let (shown, origin) = (value.to_string(), value.origin.clone());
    let Kind::Array(items) = value.kind else {
        let fault = Fault::of_key(origin, format!("must be a list of tables, not {shown}"));
        tls.fault("certificates", fault.hint(EXAMPLE));
        return Vec::new();
    };
    tls.explain("certificates", shown, origin);
    items.into_iter().filter_map(|item| files(tls, item)).collect()
}

fn files(tls: &mut Reader<'_>, item: Value) -> Option<CertificateFiles> {
    let Value {
        kind: Kind::Table(table),
        origin,
    } = item
    else {
        let complaint = format!("must hold tables, not {}", item.kind.describe());
        tls.fault("certificates", item.fault(complaint).hint(EXAMPLE));
        return None;
    };
    let mut pair = tls
        .item(table, "certificates", "upstream.tls.certificates")
        .unexplained();
    let stands = pair.has("chain");
    let chain = pair.value("chain", values::path);
    if !stands {
        pair.error(Fault::whole(origin, "a certificate has no chain").hint(EXAMPLE));
    }
    let key = pair.value("key", certificates::key);
    let passphrase = pair.value("passphrase_file", values::path);
    pair.finish();
    let chain = chain?.value;
    Some(CertificateFiles {
        key: key.map_or_else(|| chain.clone(), |key| key.value),
        chain,
        passphrase: passphrase.map(|found| found.value),
    })
}

/// What is demanded of servers, which must be on offer.
fn demand(tls: &mut Reader<'_>, profile: &Found<Profile>, settings: &Settings) -> Policy {
    let written = policy::read(tls);
    let base = profile.value.policy();
    let comes_to = written.as_ref().map_or(base, |written| written.over(base));
    if let Some(word) = written
        .as_ref()
        .and_then(|written| written.client_authentication.as_ref())
    {
        let fault = Fault::whole(
            word.origin.clone(),
            "policy.client_authentication means nothing towards an upstream",
        );
        tls.error(fault.hint("what we show a server stands in certificates"));
    }
    for origin in written.iter().flat_map(policy::Written::leniency) {
        let message = "policy report_only, exempt and refuse mean nothing towards an upstream";
        let fault = Fault::whole(origin.clone(), message);
        tls.error(fault.hint("they are about clients: in the policy of a listener, site or route"));
    }
    let origin_of = |rule: Option<&Found<Stance>>| rule.map_or(&profile.origin, |found| &found.origin).clone();
    let key_exchange = origin_of(written.as_ref().and_then(|written| written.key_exchange.as_ref()));
    let authentication = origin_of(written.as_ref().and_then(|written| written.authentication.as_ref()));
    for (key, stance, origin) in [
        ("policy.key_exchange", comes_to.key_exchange, &key_exchange),
        ("policy.authentication", comes_to.authentication, &authentication),
    ] {
        tls.explain(key, quoted(stance.as_str()), origin.clone());
    }
    let is_safe = |group: &portcullis_wire::GroupId| group.key_exchange().is_some_and(|class| class.is_quantum_safe());
    let speaks_13 = settings.versions.contains(&Version::Tls13);
    if comes_to.key_exchange == Stance::Require && !(speaks_13 && settings.groups.iter().any(is_safe)) {
        let message = "policy requires a quantum-safe key exchange, but tls offers none";
        let hint = "versions must hold 1.3, and groups a hybrid or pq one: `portcullis groups` lists them all";
        tls.error(Fault::whole(key_exchange, message).hint(hint));
    }
    let has_ml_dsa = settings.signatures.iter().any(|scheme| scheme.is_ml_dsa());
    if comes_to.authentication == Stance::Require && !(speaks_13 && has_ml_dsa) {
        let message = "policy requires quantum-safe authentication, but tls offers no ML-DSA signature";
        let hint = "versions must hold 1.3, and signatures one of mldsa44, mldsa65, mldsa87";
        tls.error(Fault::whole(authentication, message).hint(hint));
    }
    comes_to
}
