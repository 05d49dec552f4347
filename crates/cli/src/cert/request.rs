//! `cert csr` and `cert sign`.
use super::{
    args::{Csr, Sign},
    failure::Failure,
    issuers,
    make::{self, DAY, LEAF_DAYS},
};
use portcullis_certs::{Authority, Key, LeafSpec, Purpose, Request};
use portcullis_wire::Escaped;
use std::{fmt::Write, fs};

/// Makes keys and requests for them.
pub(super) fn make(wish: Csr) -> Result<String, Failure> {
    let purpose = if wish.client { Purpose::Client } else { Purpose::Server };
    let spec = LeafSpec {
        purpose,
        subject: wish.making.subject.clone(),
        names: wish.names.clone(),
        // a request says nothing of it
        valid: DAY,
    };
    if wish.making.days.is_some() {
        return Err(Failure::usage(
            "--days is for who signs the request: portcullis cert sign",
        ));
    }
    let place = &wish.making.place;
    let passphrase = issuers::passphrase(wish.making.passphrase_file.as_deref())?;
    let stem = place.file.clone().unwrap_or_else(|| make::stem(&wish.names, purpose));
    let algorithms = make::algorithms(&wish.making)?;
    let mut made = Vec::new();
    for algorithm in &algorithms {
        let key = Key::generate(*algorithm)?;
        let stem = match algorithms.len() {
            1 => stem.clone(),
            _ => format!("{stem}-{algorithm}"),
        };
        made.push((
            stem,
            Request::make(&spec, &key)?,
            make::written(&key, passphrase.as_ref())?,
        ));
    }
    let mut files = make::Files::new();
    for (stem, request, key) in &made {
        files.push((place.out.join(format!("{stem}.csr")), request));
        files.push((place.out.join(format!("{stem}.key")), key));
    }
    make::write(place, &files)
}

/// Signs a request.
pub(super) fn sign(wish: Sign) -> Result<String, Failure> {
    let authorities = issuers::load(&wish.issuers)?;
    let [authority] = &authorities[..] else {
        return Err(Failure::usage("one --issuer signs a request").hint("--issuer pki/ca.pem"));
    };
    let text = fs::read(&wish.request).map_err(|error| Failure::file(&wish.request, error))?;
    let request = Request::from_pem(&text).map_err(|error| Failure::file(&wish.request, error))?;
    if request.wants_ca {
        let failure = Failure::file(&wish.request, "it asks to be an authority, which is not signed here");
        return Err(failure.hint("portcullis cert ca --issuer makes an authority below another"));
    }
    let stem = match (&wish.place.file, wish.request.file_stem()) {
        (Some(file), _) => file.clone(),
        (None, Some(stem)) => stem.to_string_lossy().into_owned(),
        (None, None) => "signed".to_owned(),
    };
    let chain = certified(authority, &wish, &request)?;
    let mut said = make::write(
        &wish.place,
        &vec![(wish.place.out.join(format!("{stem}.pem")), &*chain)],
    )?;
    let left_out = request.name_texts.len() - request.names.len();
    if wish.names.is_empty() && left_out > 0 {
        let _ = writeln!(
            said,
            "notice: {left_out} names of forms that are not certified here were left out"
        );
    }
    let subject = Escaped(request.subject_text.as_bytes());
    let _ = write!(said, "signed: {} key of {subject}", request.algorithm);
    Ok(said)
}

fn certified(authority: &Authority, wish: &Sign, request: &Request) -> Result<String, Failure> {
    let asked = if request.for_clients {
        Purpose::Client
    } else {
        Purpose::Server
    };
    let names = if wish.names.is_empty() {
        &request.names
    } else {
        &wish.names
    };
    let spec = LeafSpec {
        purpose: wish.purpose.unwrap_or(asked),
        subject: wish.subject.clone().or_else(|| request.subject.clone()),
        names: names.clone(),
        valid: DAY * wish.days.unwrap_or(LEAF_DAYS),
    };
    Ok(authority.issue(&spec, request)?)
}
