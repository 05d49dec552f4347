//! `cert ca`, `cert server` and `cert client`.
use super::{
    args::{Ca, Leaf, Making, Place},
    failure::Failure,
    issuers,
};
use portcullis_certs::{
    Algorithm, Authority, AuthoritySpec, Existing, Key, LeafSpec, Name, Purpose, Subject, write_files,
};
use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroizing;

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A root outlives what it issues many times; one below it some times; a leaf ends before Apple's 398 days.
const ROOT_DAYS: u32 = 3650;
const INTERMEDIATE_DAYS: u32 = 1825;
pub(super) const LEAF_DAYS: u32 = 397;

/// A certificate and its key, before they are written.
pub(super) struct Made {
    pub(super) algorithm: Algorithm,
    pub(super) chain: String,
    pub(super) key: Zeroizing<String>,
}

/// Files with what goes into them.
pub(super) type Files<'a> = Vec<(PathBuf, &'a str)>;

/// Makes a root or an authority below another.
pub(super) fn authority(wish: Ca) -> Result<String, Failure> {
    let above = issuers::load(&wish.issuers)?;
    let (days, below) = match above.is_empty() {
        true => (ROOT_DAYS, wish.path_length),
        false => (INTERMEDIATE_DAYS, Some(wish.path_length.unwrap_or(0))),
    };
    let stem = wish.making.place.file.clone().unwrap_or_else(|| {
        let stem = if above.is_empty() { "ca" } else { "intermediate" };
        stem.to_owned()
    });
    let made = each(&wish.making, |algorithm, key| {
        let spec = AuthoritySpec {
            subject: match &wish.making.subject {
                Some(subject) => subject.clone(),
                None => Subject::common_name(&format!("Portcullis {stem} {algorithm}"))?,
            },
            valid: DAY * wish.making.days.unwrap_or(days),
            below,
        };
        Ok(match issuers::for_algorithm(&above, algorithm) {
            Some(issuer) => issuer.issue_authority(&spec, key)?,
            None => Authority::sign_itself(&spec, key)?,
        })
    })?;
    let bundle: String = made.iter().map(|each| &*each.chain).collect();
    let mut files = files(&wish.making.place, &stem, &made);
    let roots = wish.making.place.out.join(format!("{stem}.pem"));
    let several = made.len() > 1;
    if several {
        files.push((roots.clone(), &bundle));
    }
    let issuing: String = certificates(&files, &made)
        .map(|(path, _)| format!(" --issuer {}", path.display()))
        .collect();
    let dual = if several { " --dual" } else { "" };
    let mut text = write(&wish.making.place, &files)?;
    let out = beside(&wish.making.place);
    let _ = write!(
        text,
        "to issue: portcullis cert server{dual}{issuing} --name localhost{out}"
    );
    if several {
        let roots = roots.display();
        let _ = write!(
            text,
            "\nto trust: {roots} holds both, as in: portcullis selftest localhost:8443 --ca {roots}"
        );
    }
    Ok(text)
}

/// The flag by which what is made next goes to the same folder.
fn beside(place: &Place) -> String {
    if place.out.as_os_str() == "." {
        return String::new();
    }
    format!(" --out {}", place.out.display())
}

/// Makes a server's or client's certificate.
pub(super) fn leaf(wish: Leaf, purpose: Purpose) -> Result<String, Failure> {
    if wish.issuers.issuer.is_empty() {
        return Err(Failure::usage("no issuer")
            .hint("portcullis cert ca --out pki makes one, and --issuer pki/ca.pem names it"));
    }
    let authorities = issuers::load(&wish.issuers)?;
    let spec = LeafSpec {
        purpose,
        subject: wish.making.subject.clone(),
        names: wish.names.clone(),
        valid: DAY * wish.making.days.unwrap_or(LEAF_DAYS),
    };
    let made = each(&wish.making, |algorithm, key| {
        let issuer = issuers::for_algorithm(&authorities, algorithm).expect("at least one was named");
        Ok(issuer.issue(&spec, key)?)
    })?;
    let place = &wish.making.place;
    let stem = place.file.clone().unwrap_or_else(|| stem(&wish.names, purpose));
    let files = files(place, &stem, &made);
    let mut text = write(place, &files)?;
    for each in &made {
        let issuer = issuers::for_algorithm(&authorities, each.algorithm).expect("at least one was named");
        if each.algorithm.is_ml_dsa() && !issuer.algorithm().is_ml_dsa() {
            let _ = writeln!(
                text,
                "notice: {} is signed with {}, so its authentication is classical; name an ML-DSA issuer too",
                each.algorithm,
                issuer.algorithm()
            );
        }
    }
    let passphrase = wish.making.passphrase_file.as_deref();
    text.push_str(&usage(purpose, &files, &made, passphrase));
    Ok(text)
}

/// Makes a key of each algorithm and has it certified.
fn each(making: &Making, certify: impl Fn(Algorithm, &Key) -> Result<String, Failure>) -> Result<Vec<Made>, Failure> {
    let passphrase = issuers::passphrase(making.passphrase_file.as_deref())?;
    let make = |algorithm: Algorithm| {
        let key = Key::generate(algorithm)?;
        Ok(Made {
            algorithm,
            chain: certify(algorithm, &key)?,
            key: written(&key, passphrase.as_ref())?,
        })
    };
    algorithms(making)?.into_iter().map(make).collect()
}

/// The key as it goes into a file.
pub(super) fn written(key: &Key, passphrase: Option<&Zeroizing<String>>) -> Result<Zeroizing<String>, Failure> {
    Ok(match passphrase {
        Some(passphrase) => key.to_encrypted_pem(passphrase)?,
        None => key.to_pem(),
    })
}

/// ML-DSA first: whoever trusts a private root can verify it.
pub(super) fn algorithms(making: &Making) -> Result<Vec<Algorithm>, Failure> {
    let typed = &making.algorithm;
    if !making.dual {
        return match typed[..] {
            [] => Ok(vec![Algorithm::MlDsa65]),
            [one] => Ok(vec![one]),
            _ => Err(Failure::usage("--algorithm stands once, or twice with --dual")),
        };
    }
    let (ml_dsa, classical): (Vec<Algorithm>, Vec<Algorithm>) = typed.iter().partition(|a| a.is_ml_dsa());
    match (&ml_dsa[..], &classical[..]) {
        ([] | [_], [] | [_]) => Ok(vec![
            ml_dsa.first().copied().unwrap_or(Algorithm::MlDsa65),
            classical.first().copied().unwrap_or(Algorithm::EcdsaP256),
        ]),
        _ => Err(Failure::usage(
            "--dual makes one of ML-DSA and one classical: two algorithms of one kind were typed",
        )),
    }
}

pub(super) fn stem(names: &[Name], purpose: Purpose) -> String {
    let plain = |name: &Name| match name {
        Name::Dns(name) => Some(name.replace('*', "_")),
        Name::Address(address) => Some(address.to_string().replace(':', "_")),
        Name::Uri(_) | Name::Email(_) => None,
    };
    names
        .iter()
        .find_map(plain)
        .unwrap_or_else(|| purpose.word().to_owned())
}

/// `STEM.pem` and `STEM.key`; of several, each with its algorithm's word.
fn files<'a>(place: &Place, stem: &str, made: &'a [Made]) -> Files<'a> {
    let mut files = Vec::new();
    for each in made {
        let stem = match made.len() {
            1 => stem.to_owned(),
            _ => format!("{stem}-{}", each.algorithm),
        };
        files.push((place.out.join(format!("{stem}.pem")), &*each.chain));
        files.push((place.out.join(format!("{stem}.key")), each.key.as_str()));
    }
    files
}

/// Of the files above, each certificate's with its key's.
fn certificates<'a>(files: &'a Files<'_>, made: &[Made]) -> impl Iterator<Item = (&'a PathBuf, &'a PathBuf)> {
    files[..2 * made.len()].chunks(2).map(|pair| (&pair[0].0, &pair[1].0))
}

/// Writes them all or none, and says what was written.
pub(super) fn write(place: &Place, files: &Files<'_>) -> Result<String, Failure> {
    fs::create_dir_all(&place.out).map_err(|source| {
        let path = place.out.clone();
        match source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => Failure::file(&path, "not a folder"),
            _ => portcullis_certs::Error::Write { path, source }.into(),
        }
    })?;
    let existing = if place.force {
        Existing::Replaced
    } else {
        Existing::Kept
    };
    write_files(files, existing)?;
    let mut text = String::new();
    for (path, _) in files {
        let _ = writeln!(text, "wrote {}", path.display());
    }
    Ok(text)
}

fn usage(purpose: Purpose, files: &Files<'_>, made: &[Made], passphrase: Option<&Path>) -> String {
    let pairs: Vec<_> = certificates(files, made).collect();
    match purpose {
        Purpose::Server => {
            let passphrase = match passphrase {
                Some(file) => format!(" --passphrase-file {}", file.display()),
                None => String::new(),
            };
            let flags = pairs
                .iter()
                .map(|(chain, key)| format!(" --cert {} --key {}", chain.display(), key.display()));
            format!(
                "to serve: portcullis serve --target 127.0.0.1:6000{}{passphrase}",
                flags.collect::<String>()
            )
        }
        Purpose::Client => {
            let flags = pairs
                .iter()
                .map(|(chain, key)| format!("--cert {} --key {}", chain.display(), key.display()));
            format!(
                "to connect: curl {}",
                flags.collect::<Vec<_>>().join("\n        or: curl ")
            )
        }
    }
}
