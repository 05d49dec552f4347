//! A browser over QUIC.
use super::{HYBRID, Stage};
use openssl::{base64, sha, x509::X509};
use portcullis_e2e::{
    command::{Finished, run},
    peers::{Home, Peer},
    pki::Algorithm,
};
use std::fs;

/// The page at `/`, as Chromium shows it: it goes to our port by QUIC alone, and takes our leaf for a good one.
fn browse(peer: &Peer, stage: &Stage) -> Finished {
    let leaf = fs::read(stage.pki.server(Algorithm::EcdsaP256).chain).expect("a chain of ours");
    let leaf = X509::from_pem(&leaf).expect("a certificate");
    let key = leaf.public_key().and_then(|key| key.public_key_to_der());
    let pin = base64::encode_block(&sha::sha256(&key.expect("a public key")));
    let profile = stage.pki.folder().join("chromium");
    let mut command = peer.command();
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--dump-dom",
            "--enable-quic",
        ])
        .arg(format!("--origin-to-force-quic-on=localhost:{}", stage.port()))
        .arg(format!("--ignore-certificate-errors-spki-list={pin}"))
        // it would try ::1 first, where nobody listens, and nowhere else
        .arg("--host-resolver-rules=MAP localhost 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(stage.url("/"));
    run(&mut command, b"")
}

#[test]
fn chromium_comes_over_quic_with_the_hybrid_group() {
    let Some(peer) = Peer::find(Home::Browser, "chromium") else {
        return;
    };
    let stage = Stage::web();
    let said = browse(&peer, &stage);
    assert!(
        said.stdout.contains("GET /"),
        "{:#?}\n{}",
        stage.proxy.records(),
        said.all()
    );
    let record = stage.proxy.record_where(|record| record["alpn"] == "h3");
    let facts = ["version", "group", "key_exchange", "signature"].map(|fact| &record[fact]);
    assert_eq!(facts, ["1.3", HYBRID, "hybrid", "ecdsa_secp256r1_sha256"], "{record:#}");
}
