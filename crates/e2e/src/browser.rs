//! Chromium without a window.
use crate::{
    peers::Peer,
    pki::{Algorithm, Pki},
};
use std::{fs, process::Command};

/// A browser of its own profile that takes the leaf of `trusted` for a good one, whoever issued it; the address is
/// missing.
pub fn headless(peer: &Peer, pki: &Pki, trusted: Algorithm) -> Command {
    let mut command = hidden(peer, pki, trusted);
    command.arg("--disable-quic");
    command
}

/// The same, which goes to this port of localhost over QUIC and in no other way.
pub fn over_quic(peer: &Peer, pki: &Pki, (trusted, port): (Algorithm, u16)) -> Command {
    let mut command = hidden(peer, pki, trusted);
    command
        .args(["--enable-quic", &format!("--origin-to-force-quic-on=localhost:{port}")])
        // it would try ::1 first, where nobody listens, and nowhere else
        .arg("--host-resolver-rules=MAP localhost 127.0.0.1");
    command
}

fn hidden(peer: &Peer, pki: &Pki, trusted: Algorithm) -> Command {
    let leaf = fs::read(pki.server(trusted).chain).expect("a chain of ours");
    let leaf = openssl::x509::X509::from_pem(&leaf).expect("a certificate");
    let key = leaf.public_key().and_then(|key| key.public_key_to_der());
    let pin = openssl::sha::sha256(&key.expect("a public key"));
    let mut command = peer.command();
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg("--disable-dev-shm-usage")
        .arg(format!(
            "--ignore-certificate-errors-spki-list={}",
            openssl::base64::encode_block(&pin)
        ))
        .arg(format!("--user-data-dir={}", pki.folder().join("chromium").display()));
    command
}
