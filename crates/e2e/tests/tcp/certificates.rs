//! Which of a site's certificates a client is offered, and what is said when it refuses one.
use crate::{Stage, ending, eventually};
use portcullis_e2e::{
    client::{Client, Offer, Seen},
    front::Front,
    pki::{Algorithm, Files, Holder, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
    wire::Wire,
};
use std::net::{SocketAddr, TcpStream};

/// A site with these lines of certificates.
fn proxy(lines: &[String], upstream: &Upstream) -> Proxy {
    let front = Front::new(&[], upstream.address());
    let certificates = format!("certificates = [{}]", lines.join(", "));
    Proxy::start(&front.site(&certificates).toml())
}

fn line(files: &Files, more: &str) -> String {
    format!("{{ chain = {:?}, key = {:?}{more} }}", files.chain, files.key)
}

fn seen(address: SocketAddr, offer: Offer) -> Seen {
    let mut conversation = Client::new(offer).connect(address).expect("a handshake");
    conversation.echo(b"good day");
    let seen = conversation.seen();
    conversation.close();
    seen
}

fn scheme(address: SocketAddr) -> String {
    seen(address, Offer::default()).signature.expect("a full handshake")
}

#[test]
fn a_certificate_for_some_clients_is_offered_to_them_alone() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let (pq, classical) = (pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256));
    for (networks, expected) in [
        (r#"["127.0.0.0/8"]"#, "mldsa65"),
        (r#"["10.0.0.0/8", "127.0.0.1"]"#, "mldsa65"),
        (r#"["10.0.0.0/8", "::1"]"#, "ecdsa_secp256r1_sha256"),
    ] {
        let lines = [line(&pq, &format!(", clients = {networks}")), line(&classical, "")];
        let proxy = proxy(&lines, &upstream);
        assert_eq!(scheme(proxy.address()), expected, "{networks}");
        let picture = proxy.snapshot().upgrade().expect("it runs").picture();
        let serves = &picture.sites[0].certificates[0].serves;
        let said = networks.trim_matches(['[', ']']).replace('"', "");
        let said = said.replace("127.0.0.1", "127.0.0.1/32").replace("::1", "::1/128");
        assert!(
            serves.starts_with(&format!("clients of {said} that verify mldsa65")),
            "{serves}"
        );
    }
}

#[test]
fn a_client_for_whom_no_certificate_is_meant_is_refused() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let lines = [line(&pki.server(Algorithm::EcdsaP256), r#", clients = ["10.0.0.0/8"]"#)];
    let proxy = proxy(&lines, &upstream);
    let stream = TcpStream::connect(proxy.address()).expect("it listens");
    let local = stream.local_addr().expect("a bound socket");
    let failed = Client::new(Offer::default()).handshake(Wire::over(stream).expect("a socket"));
    assert_eq!(failed.err().expect("a refusal").alert, Some(40));
    assert_eq!(ending(&proxy.record(local)), ["failed", "handshake", "client"]);
}

#[test]
fn an_expired_certificate_is_offered_only_where_nothing_else_fits() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let expired = pki.files(Algorithm::MlDsa65, Holder::ExpiredServer);
    let valid = pki.server(Algorithm::EcdsaP256);
    let both = proxy(&[line(&expired, ""), line(&valid, "")], &upstream);
    assert_eq!(scheme(both.address()), "ecdsa_secp256r1_sha256");
    let count = |proxy: &Proxy| proxy.metric("portcullis_certificates_out_of_time", &["site=\"site\""]);
    eventually("the control thread's first look", || count(&both) == 1.0);
    let told = both.lines("certificate is out of its time, others are offered first");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0]["site"], &told[0]["certificate"]), (&"site".into(), &0.into()));
    let alone = proxy(&[line(&expired, "")], &upstream);
    assert_eq!(scheme(alone.address()), "mldsa65");
    let renewed = proxy(&[line(&valid, "")], &upstream);
    assert_eq!(count(&renewed), 0.0);
    let renewed = pki.server(Algorithm::MlDsa65);
    std::fs::copy(&renewed.key, &expired.key).expect("it is there");
    std::fs::copy(&renewed.chain, &expired.chain).expect("it is there");
    eventually("the renewed one", || scheme(both.address()) == "mldsa65");
}

#[test]
fn a_client_that_refuses_the_ml_dsa_chain_is_noted() {
    let stage = Stage::set(Manner::Echo, |_, front| front);
    // it offers every scheme, and trusts the root of the classical chain alone
    let classical = stage.pki.server(Algorithm::EcdsaP256).root;
    let failed = Client::new(Offer::default().trusting(classical.clone())).connect(stage.proxy.address());
    assert!(failed.is_err());
    let record = stage.proxy.record_where(|line| line["outcome"] == "failed");
    assert_eq!(ending(&record), ["failed", "handshake", "client"]);
    assert_eq!(record["alert_in"], "unknown_ca");
    let error = record["error"].as_str().expect("a text");
    assert!(error.starts_with("the client refused the ML-DSA chain"), "{error}");
    // and of a classical chain nothing is said that is not so
    let files = stage.pki.server(Algorithm::EcdsaP384);
    let proxy = proxy(&[line(&files, "")], &stage.upstream);
    assert!(
        Client::new(Offer::default().trusting(classical))
            .connect(proxy.address())
            .is_err()
    );
    let error = proxy.record_where(|line| line["alert_in"] == "unknown_ca")["error"].clone();
    assert!(!error.as_str().expect("a text").contains("ML-DSA"), "{error}");
}

/// An ML-DSA chain first on a public name, and a name that no certificate covers.
#[test]
fn what_check_would_warn_of_stands_in_log_and_metrics() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let (pq, classical) = (pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256));
    let proxy = Proxy::start(&format!(
        "log = {{ format = 'json' }}\n[[listener]]\nname = 'front'\nlisten = ['127.0.0.1:0']\n\
        [[site]]\nname = 'shop'\nnames = ['shop.example.org']\nupstream = 'backend'\n\
        certificates = [{}, {}]\n[upstream.backend]\nservers = ['{}']\n",
        line(&pq, ""),
        line(&classical, ""),
        upstream.address(),
    ));
    let first = "an ML-DSA chain stands first, and shop.example.org looks like a public name";
    let told = proxy.lines(first);
    assert_eq!(
        (told.len(), &told[0]["site"], &told[0]["level"]),
        (1, &"shop".into(), &"warn".into())
    );
    let uncovered = format!("{}: does not cover shop.example.org", pq.chain.display());
    assert_eq!(proxy.lines(&uncovered).len(), 1);
    assert!(proxy.metric("portcullis_configuration_warnings", &[r#"site="shop""#]) >= 3.0);
}
