//! A site's `certificates`: pairs of files, or the word that makes them in memory.
use super::{
    Origin,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value},
    values,
};
use crate::plan::{CertificateFiles, Certificates};
use ipnet::IpNet;

/// The word for certificates that are made in memory at start.
pub(super) const SELF_SIGNED: &str = "self-signed";

/// To whom each certificate of a site is offered; no networks: to everyone.
type Audiences = Vec<Vec<IpNet>>;

/// Reads the key `certificates`; without it there are none, which only a plain listener's site may have.
pub(super) fn read(site: &mut Reader<'_>, origin: &Origin) -> (Found<Certificates>, Audiences) {
    let Some(value) = site.take("certificates") else {
        return (Found::new(Certificates::None, origin.clone()), Vec::new());
    };
    let (shown, origin) = (value.to_string(), value.origin.clone());
    let mut audiences = Vec::new();
    let certificates = match value.kind {
        Kind::String(word) if word == SELF_SIGNED => Certificates::SelfSigned,
        Kind::Array(items) => {
            if items.is_empty() {
                site.error(Fault::whole(origin.clone(), "certificates is empty").hint(EXAMPLE));
            }
            let read = items.into_iter().filter_map(|item| files(site, item));
            let (files, to): (Vec<_>, Audiences) = read.unzip();
            audiences = to;
            if !audiences.is_empty() && audiences.iter().all(|networks| !networks.is_empty()) {
                let fault = Fault::whole(
                    origin.clone(),
                    "every certificate is for some clients only, and others get none",
                );
                site.notice(fault.hint("leave clients out of one of them"));
            }
            Certificates::Files(files)
        }
        _ => {
            let complaint = format!("must be a list of tables or {SELF_SIGNED:?}, not {shown}");
            site.fault("certificates", Fault::of_key(origin.clone(), complaint).hint(EXAMPLE));
            Certificates::Files(Vec::new())
        }
    };
    site.explain("certificates", shown, origin.clone());
    (Found::new(certificates, origin), audiences)
}

const EXAMPLE: &str = "certificates = [{ chain = \"site.pem\", key = \"site.key\" }]";

/// `{ chain = FILE, key = FILE, passphrase_file = FILE, clients = [NETWORK, ...] }`; without a key the chain's file holds it too.
fn files(site: &mut Reader<'_>, item: Value) -> Option<(CertificateFiles, Vec<IpNet>)> {
    let Value {
        kind: Kind::Table(table),
        origin,
    } = item
    else {
        let complaint = format!("must hold tables, not {}", item.kind.describe());
        site.fault("certificates", item.fault(complaint).hint(EXAMPLE));
        return None;
    };
    let mut pair = site.item(table, "certificates", "site.certificates").unexplained();
    let stands = pair.has("chain");
    let chain = pair.value("chain", values::path);
    if !stands {
        pair.error(Fault::whole(origin, "a certificate has no chain").hint(EXAMPLE));
    }
    let key = pair.value("key", key);
    let passphrase = pair.value("passphrase_file", values::path);
    let clients = pair.list("clients", values::network);
    if let Some(Found { value, origin }) = &clients
        && value.is_empty()
    {
        let fault = Fault::whole(origin.clone(), "certificates.clients has none");
        pair.error(fault.hint("leave it out to offer the certificate to everyone"));
    }
    pair.finish();
    let chain = chain?.value;
    let clients = clients.map_or_else(Vec::new, |clients| clients.value);
    let files = CertificateFiles {
        key: key.map_or_else(|| chain.clone(), |key| key.value),
        chain,
        passphrase: passphrase.map(|found| found.value),
    };
    Some((files, clients.into_iter().map(|network| network.value).collect()))
}

pub(super) fn key(value: &Value) -> Result<std::path::PathBuf, Fault> {
    if value.text()?.starts_with("pkcs11:") {
        return Err(value.fault(format!("{value}: a key of the form pkcs11: is not in this version")));
    }
    values::path(value)
}
