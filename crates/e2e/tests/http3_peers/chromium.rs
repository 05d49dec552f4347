//! A browser over QUIC.
use super::{HYBRID, Stage};
use portcullis_e2e::{
    browser,
    command::run,
    peers::{Home, Peer},
    pki::Algorithm,
};

#[test]
fn chromium_comes_over_quic_with_the_hybrid_group() {
    let Some(peer) = Peer::find(Home::Browser, "chromium") else {
        return;
    };
    let stage = Stage::web();
    let mut command = browser::over_quic(&peer, &stage.pki, (Algorithm::EcdsaP256, stage.port()));
    let said = run(command.arg("--dump-dom").arg(stage.url("/")), b"");
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
