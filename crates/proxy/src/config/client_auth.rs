//! A site's `client_auth`: whether clients show certificates, and who vouches for them.
use super::{
    Origin,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value, quoted},
    values::{self, Word},
};
use crate::plan::{Certificates, ClientAuthPlan, ForwardPlan};
use portcullis_tls::{
    client_identity::{Lists, Pattern, PatternError, Pin},
    server::{ClientAuthMode, ExpiredLists},
};
use std::path::PathBuf;

type Mode = Option<ClientAuthMode>;

const MODES: &[(&str, Word<Mode>)] = &[
    ("required", Word::Is(Some(ClientAuthMode::Required))),
    ("optional", Word::Is(Some(ClientAuthMode::Optional))),
    ("none", Word::Is(None)),
];

const EXPIRED: &[(&str, Word<ExpiredLists>)] = &[
    ("refuse", Word::Is(ExpiredLists::Refuse)),
    ("warn", Word::Is(ExpiredLists::Warn)),
];

const FORWARDS: &[(&str, Word<ForwardPlan>)] = &[
    ("identity", Word::Is(ForwardPlan::Identity)),
    ("cert", Word::Is(ForwardPlan::Cert)),
    ("chain", Word::Is(ForwardPlan::Chain)),
    ("none", Word::Is(ForwardPlan::None)),
];

/// What says something of certificates that come.
const OF_CERTIFICATES: [&str; 7] = ["crl", "crl_expired", "allow", "deny", "pins", "anonymous", "forward"];

/// Reads the key `client_auth`.
pub(super) fn read(site: &mut Reader<'_>, certificates: &Certificates) -> Option<ClientAuthPlan> {
    let Some(value) = site.take("client_auth") else {
        if *certificates != Certificates::None {
            site.explain("client_auth.mode", quoted("none"), Origin::Default);
        }
        return None;
    };
    let Value {
        kind: Kind::Table(table),
        origin,
    } = value
    else {
        let fault = value.fault(format!("must be a table, not {}", value.kind.describe()));
        let hint = "client_auth = { mode = \"required\", ca = \"clients-ca.pem\" }";
        site.fault("client_auth", fault.hint(hint));
        return None;
    };
    let mut auth = site.item(table, "client_auth", "site.client_auth");
    let plan = fields(&mut auth, &origin);
    auth.finish();
    plan
}

fn fields(auth: &mut Reader<'_>, origin: &Origin) -> Option<ClientAuthPlan> {
    let mode_stands = auth.has("mode");
    let of_certificates = OF_CERTIFICATES
        .iter()
        .find_map(|key| Some((*key, auth.origin_of(key)?)));
    let ca_stands = auth.has("ca");
    let mode = auth.value("mode", |value| values::word("client certificate mode", MODES, value));
    let ca = auth.value("ca", values::path);
    let mode = match mode {
        None if !mode_stands => mode_left_out(auth, origin, ca.as_ref()),
        other => other,
    };
    let crl = values_of(auth.list_or_empty("crl", values::path));
    let refuse = Kind::String("refuse".to_owned());
    let crl_expired = auth.value_or("crl_expired", refuse, |value| values::word("word", EXPIRED, value));
    let lists = lists(auth);
    let anonymous = anonymous(auth, mode.as_ref());
    let forward = auth.value("forward", |value| values::word("word", FORWARDS, value));
    let forward = forward.map_or(ForwardPlan::Identity, |found| found.value);
    match (mode?, ca) {
        (Found { value: Some(mode), .. }, Some(ca)) => Some(ClientAuthPlan {
            mode,
            ca: ca.value,
            crl,
            crl_expired: crl_expired.value,
            lists,
            anonymous,
            forward,
        }),
        (Found { value: Some(_), origin }, None) if !ca_stands => {
            let fault = Fault::whole(origin, "client certificates need a CA file to be checked against");
            auth.error(fault.hint("`ca` in client_auth of a file, --ca-cert on the command line"));
            None
        }
        (Found { value: None, .. }, Some(ca)) => {
            let message = "no client certificate is asked for, so this CA file is not read";
            auth.notice(Fault::whole(ca.origin, message));
            None
        }
        (Found { value: None, .. }, None) => {
            if let Some((key, origin)) = of_certificates {
                let message = format!("no client certificate is asked for, so client_auth.{key} means nothing");
                auth.notice(Fault::whole(origin, message));
            }
            None
        }
        _ => None,
    }
}

fn lists(auth: &mut Reader<'_>) -> Lists {
    // an empty list of those who may enter would admit everyone
    for key in ["allow", "pins"] {
        if auth.lacks(key)
            && let Some(origin) = auth.origin_of(key)
        {
            let fault = Fault::whole(origin, format!("client_auth.{key} names nobody"));
            auth.error(fault.hint("leave it out to admit everyone whom the CA vouches for"));
        }
    }
    Lists {
        allow: values_of(auth.list_or_empty("allow", pattern)),
        deny: values_of(auth.list_or_empty("deny", pattern)),
        pins: values_of(auth.list_or_empty("pins", |value| parsed(value, Pin::parse))),
    }
}

fn values_of<T>(list: Vec<Found<T>>) -> Vec<T> {
    list.into_iter().map(|item| item.value).collect()
}

fn pattern(value: &Value) -> Result<Pattern, Fault> {
    parsed(value, Pattern::parse)
}

fn parsed<T>(value: &Value, parse: impl Fn(&str) -> Result<T, PatternError>) -> Result<T, Fault> {
    parse(value.text()?).map_err(|error| value.fault(format!("{value} {error}")).hint(error.hint))
}

/// Nobody can be anonymous where a certificate is required.
fn anonymous(auth: &mut Reader<'_>, mode: Option<&Found<Mode>>) -> bool {
    let written = auth.value_or("anonymous", Kind::Bool(false), values::switch);
    if written.value && mode.is_some_and(|mode| mode.value == Some(ClientAuthMode::Required)) {
        let fault = Fault::whole(written.origin, "mode \"required\" admits nobody who is anonymous");
        auth.error(fault.hint("mode = \"optional\", or leave anonymous out"));
    }
    written.value
}

/// A file says its mode; on the command line a CA file alone means optional.
fn mode_left_out(auth: &mut Reader<'_>, origin: &Origin, ca: Option<&Found<PathBuf>>) -> Option<Found<Mode>> {
    if origin.file().is_some() {
        let fault = Fault::whole(origin.clone(), "client_auth has no mode");
        auth.error(fault.hint("mode = \"required\", \"optional\" or \"none\""));
        return None;
    }
    let ca = ca?;
    auth.explain("mode", quoted("optional"), Origin::Default);
    let fault = Fault::whole(ca.origin.clone(), "clients without a certificate are admitted");
    auth.notice(fault.hint("--client-cert-mode required refuses them, optional says that this is meant"));
    Some(Found {
        value: Some(ClientAuthMode::Optional),
        origin: ca.origin.clone(),
    })
}
