//! What we make is accepted by a verifier we did not write: OpenSSL 3.5 or later, the first that knows ML-DSA.
//! It is looked for in $OPENSSL35 and on PATH; where there is none, each test says so on the terminal.
#![allow(clippy::unwrap_used)] // a panic is how a test fails
use portcullis_certs::{
    Algorithm, Authority, Issued, Name, RootSpec, ServerSpec, self_signed_pair, write_certificate, write_issued,
};
use std::{
    env,
    io::{self, Write},
    path::Path,
    process::Command,
    time::Duration,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn every_root_and_server_certificate_passes_strict_verification() {
    let Some(openssl) = openssl() else { return };
    for algorithm in Algorithm::ALL {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let (authority, issued) = issue(algorithm);
        write_certificate(&ca, authority.certificate_pem()).unwrap();
        let written = write_issued(folder.path(), "server", &issued).unwrap();
        for host in [["-verify_hostname", "a.shop.example"], ["-verify_ip", "::1"]] {
            verify(&openssl, &ca, &written.chain, &host);
        }
        let key = run(&openssl, &["pkey", "-noout", "-in", text(&written.key)]);
        assert_eq!(key, Ok(()), "{algorithm}: key");
    }
}

#[test]
fn a_certificate_for_another_name_is_refused_by_the_same_verifier() {
    let Some(openssl) = openssl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (authority, issued) = issue(Algorithm::MlDsa65);
    write_certificate(&ca, authority.certificate_pem()).unwrap();
    let written = write_issued(folder.path(), "server", &issued).unwrap();
    let arguments = strict(&ca, &written.chain, &["-verify_hostname", "elsewhere.example"]);
    assert!(run(&openssl, &arguments).is_err());
}

#[test]
fn a_self_signed_certificate_is_accepted_as_its_own_root() {
    let Some(openssl) = openssl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = ["localhost".parse().unwrap()];
    for (index, issued) in self_signed_pair(&names).unwrap().iter().enumerate() {
        let written = write_issued(folder.path(), &index.to_string(), issued).unwrap();
        let host = ["-verify_hostname", "localhost"];
        verify(&openssl, &written.chain, &written.chain, &host);
    }
}

fn issue(algorithm: Algorithm) -> (Authority, Issued) {
    let authority = Authority::root(&RootSpec {
        algorithm,
        name: "a root".to_owned(),
        valid: 30 * DAY,
    })
    .unwrap();
    let names = ["*.shop.example", "::1"].map(|name| name.parse::<Name>().unwrap());
    let issued = authority
        .issue_server(&ServerSpec {
            algorithm,
            names: names.to_vec(),
            valid: DAY,
        })
        .unwrap();
    (authority, issued)
}

fn verify(openssl: &str, ca: &Path, chain: &Path, host: &[&str]) {
    assert_eq!(run(openssl, &strict(ca, chain, host)), Ok(()));
}

fn strict<'a>(ca: &'a Path, chain: &'a Path, host: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["verify", "-x509_strict", "-purpose", "sslserver"];
    arguments.extend(["-CAfile", text(ca)]);
    arguments.extend(host);
    arguments.push(text(chain));
    arguments
}

fn run(openssl: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(openssl).args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An OpenSSL that knows ML-DSA, or a line on the terminal, past the capture of test output.
fn openssl() -> Option<String> {
    let candidates = [env::var("OPENSSL35").ok(), Some("openssl".to_owned())];
    let found = candidates.into_iter().flatten().find(|candidate| {
        Command::new(candidate)
            .args(["list", "-signature-algorithms"])
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("ML-DSA-65"))
    });
    if found.is_none() {
        let line = b"SKIPPED: no OpenSSL 3.5 or later in $OPENSSL35 or on PATH\n";
        io::stderr().write_all(line).unwrap();
    }
    found
}
