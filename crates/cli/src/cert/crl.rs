//! `cert crl`: an issuer's list of revoked certificates.
use super::{args::Crl, failure::Failure, issuers, make::DAY, show};
use portcullis_certs::{Authority, Existing, RevocationList, Revoked, write_files};
use std::{
    fs, io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Continues the list, or prints it.
pub(super) fn run(wish: Crl) -> Result<String, Failure> {
    let last = read(&wish.list)?;
    if wish.list_only {
        let missing = || Failure::file(&wish.list, "there is no such list");
        return Ok(show::list(&last.ok_or_else(missing)?));
    }
    let authorities = issuers::load(&wish.issuers)?;
    let [authority] = &authorities[..] else {
        return Err(Failure::usage("one --issuer keeps a list").hint("--issuer pki/ca.pem; --list-only prints it"));
    };
    let revoked: Vec<Revoked> = wish
        .revoke
        .iter()
        .map(|what| {
            Ok(Revoked {
                serial: serial(authority, what)?,
                since: now(),
                reason: wish.reason,
            })
        })
        .collect::<Result<_, Failure>>()?;
    let next = authority
        .revoke(last.as_ref(), &revoked, DAY * wish.days)
        .map_err(|error| Failure::file(&wish.list, error))?;
    // continuing a list is what the command is for: the old one is in the new one
    write_files(&[(wish.list.clone(), &next)], Existing::Replaced)?;
    let read = RevocationList::from_pem(next.as_bytes())?;
    Ok(format!("wrote {}\n{}", wish.list.display(), show::list(&read)))
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn read(file: &Path) -> Result<Option<RevocationList>, Failure> {
    match fs::read(file) {
        Ok(text) => RevocationList::from_pem(&text)
            .map(Some)
            .map_err(|error| Failure::file(file, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(file, error)),
    }
}

/// A file of a certificate that this issuer has issued, else a number.
fn serial(authority: &Authority, what: &str) -> Result<Vec<u8>, Failure> {
    let file = Path::new(what);
    if let Ok(text) = fs::read(file) {
        return authority.serial_of(&text).map_err(|error| Failure::file(file, error));
    }
    let digits: String = what.chars().filter(|character| *character != ':').collect();
    let padded = if digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits
    };
    let bytes: Option<Vec<u8>> = (0..padded.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(padded.get(at..at + 2)?, 16).ok())
        .collect();
    let bytes: Option<Vec<u8>> = bytes.map(|bytes| bytes.into_iter().skip_while(|byte| *byte == 0).collect());
    // RFC 5280 section 4.1.2.2: at most 20 octets
    bytes.filter(|bytes| (1..=20).contains(&bytes.len())).ok_or_else(|| {
        Failure::usage(format!(
            "--revoke {what}: neither a file that can be read nor a serial number in hexadecimal"
        ))
        .hint("portcullis cert inspect FILE prints a certificate's serial number")
    })
}
