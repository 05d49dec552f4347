//! A site's `certificates`: pairs of files, or the word that makes them in memory.
use super::{
    Origin,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Value},
    values,
};
use crate::plan::{CertificateFiles, Certificates};

/// The word for certificates that are made in memory at start.
pub(super) const SELF_SIGNED: &str = "self-signed";

/// Reads the key `certificates`; without it there are none, which only a plain listener's site may have.
pub(super) fn read(site: &mut Reader<'_>, origin: &Origin) -> Found<Certificates> {
    let Some(value) = site.take("certificates") else {
        let origin = origin.clone();
        return Found {
            value: Certificates::None,
            origin,
        };
    };
    let (shown, origin) = (value.to_string(), value.origin.clone());
    let certificates = match value.kind {
        Kind::String(word) if word == SELF_SIGNED => Certificates::SelfSigned,
        Kind::Array(items) => {
            if items.is_empty() {
                site.error(Fault::whole(origin.clone(), "certificates is empty").hint(EXAMPLE));
            }
            Certificates::Files(items.into_iter().filter_map(|item| files(site, item)).collect())
        }
        _ => {
            let complaint = format!("must be a list of tables or {SELF_SIGNED:?}, not {shown}");
            site.fault("certificates", Fault::of_key(origin.clone(), complaint).hint(EXAMPLE));
            Certificates::Files(Vec::new())
        }
    };
    site.explain("certificates", shown, origin.clone());
    Found {
        value: certificates,
        origin,
    }
}

const EXAMPLE: &str = "certificates = [{ chain = \"site.pem\", key = \"site.key\" }]";

/// `{ chain = FILE, key = FILE }`; without a key the chain's file holds it too.
fn files(site: &mut Reader<'_>, item: Value) -> Option<CertificateFiles> {
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
    pair.finish();
    let chain = chain?.value;
    Some(CertificateFiles {
        key: key.map_or_else(|| chain.clone(), |key| key.value),
        chain,
    })
}

fn key(value: &Value) -> Result<std::path::PathBuf, Fault> {
    if value.text()?.starts_with("pkcs11:") {
        return Err(value.fault(format!("{value}: a key of the form pkcs11: is not in this version")));
    }
    values::path(value)
}
