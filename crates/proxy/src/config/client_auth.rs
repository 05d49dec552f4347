//! A site's `client_auth`: whether clients show certificates, and who vouches for them.
use super::{
    Origin,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value, quoted},
    values::{self, Word},
};
use crate::plan::{Certificates, ClientAuthPlan};
use portcullis_tls::server::ClientAuthMode;
use std::path::PathBuf;

type Mode = Option<ClientAuthMode>;

const MODES: &[(&str, Word<Mode>)] = &[
    ("required", Word::Is(Some(ClientAuthMode::Required))),
    ("optional", Word::Is(Some(ClientAuthMode::Optional))),
    ("none", Word::Is(None)),
];

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
    let ca_stands = auth.has("ca");
    let mode = auth.value("mode", |value| values::word("client certificate mode", MODES, value));
    let ca = auth.value("ca", values::path);
    let mode = match mode {
        None if !mode_stands => mode_left_out(auth, origin, ca.as_ref()),
        other => other,
    };
    match (mode?, ca) {
        (Found { value: Some(mode), .. }, Some(ca)) => Some(ClientAuthPlan { mode, ca: ca.value }),
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
        _ => None,
    }
}

/// A file says its mode; on the command line a CA file alone means optional.
fn mode_left_out(auth: &mut Reader<'_>, origin: &Origin, ca: Option<&Found<PathBuf>>) -> Option<Found<Mode>> {
    if matches!(origin, Origin::File(..)) {
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
