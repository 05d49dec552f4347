//! Those who sign, and what opens their keys.
use super::{args::Issuers, failure::Failure};
use portcullis_certs::{Algorithm, Authority, Key};
use std::{
    fs,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The authorities that were named, in their order.
pub(super) fn load(wish: &Issuers) -> Result<Vec<Authority>, Failure> {
    if !wish.issuer_key.is_empty() && wish.issuer_key.len() != wish.issuer.len() {
        return Err(Failure::usage(
            "--issuer-key stands once for each --issuer, or not at all",
        ));
    }
    let passphrase = passphrase(wish.issuer_passphrase_file.as_deref())?;
    let named = wish.issuer.iter().enumerate();
    named
        .map(|(at, certificate)| {
            let key = wish.issuer_key.get(at).cloned().unwrap_or_else(|| beside(certificate));
            one(certificate, &key, passphrase.as_ref().map(|text| text.as_str()))
        })
        .collect()
}

/// The one who signs for this algorithm: of two, the one of the same class, so that a chain is of one class.
pub(super) fn for_algorithm(authorities: &[Authority], algorithm: Algorithm) -> Option<&Authority> {
    let same = |authority: &&Authority| authority.algorithm().is_ml_dsa() == algorithm.is_ml_dsa();
    authorities.iter().find(same).or_else(|| authorities.first())
}

/// The first line of a file.
pub(super) fn passphrase(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = Zeroizing::new(fs::read_to_string(file).map_err(|error| Failure::file(file, error))?);
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Some(Zeroizing::new(line.to_owned()))),
        None => Err(Failure::file(file, "its first line is empty, and is the passphrase")),
    }
}

fn one(certificate: &Path, key: &Path, passphrase: Option<&str>) -> Result<Authority, Failure> {
    let text = fs::read_to_string(certificate)
        .map_err(|error| Failure::file(certificate, error).hint("portcullis cert ca makes an authority"))?;
    let key_text = fs::read(key).map(Zeroizing::new).map_err(|error| {
        Failure::file(key, error).hint("--issuer-key names the issuer's key where it stands elsewhere")
    })?;
    if !pem_has_key(&key_text) {
        return Err(Failure::file(key, "there is no private key in it").hint(
            "--issuer-key names the key; what `cert ca --dual` made is named one by one: --issuer ca-mldsa65.pem --issuer ca-ecdsa-p256.pem",
        ));
    }
    let read = Key::from_pem(&key_text, passphrase).map_err(|error| {
        let failure = Failure::file(key, error);
        match passphrase {
            Some(_) => failure,
            None => failure.hint("an encrypted key needs --issuer-passphrase-file"),
        }
    })?;
    Authority::load(&text, read).map_err(|error| Failure::file(certificate, error))
}

fn pem_has_key(text: &[u8]) -> bool {
    let mark = b"PRIVATE KEY-----";
    text.windows(mark.len()).any(|window| window == mark)
}

/// The same name with `.key`, or the file itself where it holds both.
fn beside(certificate: &Path) -> PathBuf {
    let key = certificate.with_extension("key");
    match key.exists() {
        true => key,
        false => certificate.to_owned(),
    }
}
