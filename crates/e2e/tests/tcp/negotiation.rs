//! Groups, versions and certificates: the record says what OpenSSL says.
use crate::{Stage, assert_agree, ending};
use portcullis_e2e::{
    client::{Client, Offer, Seen, Versions},
    front::Front,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_wire::registry::{Group, Standing};
use serde_json::Value;

fn every_group() -> impl Iterator<Item = &'static Group> {
    Group::all().iter().filter(|group| group.standing != Standing::Never)
}

fn with_every_group(front: Front) -> Front {
    let names: Vec<_> = every_group().map(|group| group.name).collect();
    front.site(&format!("tls = {{ groups = {names:?} }}"))
}

/// One exchange, what OpenSSL saw of it, and the proxy's record; they agree.
fn converse(stage: &Stage, offer: Offer) -> (Seen, Value) {
    let mut conversation = stage.connect(offer);
    conversation.echo(b"what is said comes back");
    let (seen, local) = (conversation.seen(), conversation.local());
    conversation.close();
    let record = stage.proxy.record(local);
    assert_agree(&seen, &record);
    assert_eq!(record["outcome"], "ok");
    (seen, record)
}

#[test]
fn the_group_in_the_record_is_the_group_openssl_reports() {
    let stage = Stage::set(Manner::Echo, |_, front| with_every_group(front));
    for group in every_group() {
        let offer = Offer::groups(group.name).versions(Versions::Only13);
        let (_, record) = converse(&stage, offer);
        assert_eq!(record["group"], group.name);
        assert_eq!(record["key_exchange"], group.class.as_str());
        assert_eq!(record["offered_groups"], serde_json::json!([group.name]));
    }
    let handshakes = stage.proxy.metric("portcullis_handshakes_total", &[]);
    assert_eq!(handshakes as usize, every_group().count());
    for group in every_group() {
        let label = format!("group=\"{}\"", group.name);
        assert_eq!(stage.proxy.metric("portcullis_handshakes_total", &[&label]), 1.0);
    }
}

#[test]
fn mixed_lists_get_the_best_group_both_have() {
    let stage = Stage::set(Manner::Echo, |_, front| with_every_group(front));
    // The client's list (`*`: with a share), the group, whether by a retry.
    let table = [
        ("*X25519MLKEM768:*X25519", "X25519MLKEM768", false),
        ("*X25519:X25519MLKEM768", "X25519MLKEM768", true),
        ("X25519MLKEM768:*X25519", "X25519MLKEM768", true),
        ("*X25519:*SecP256r1MLKEM768", "SecP256r1MLKEM768", false),
        ("*secp384r1:SecP384r1MLKEM1024", "SecP384r1MLKEM1024", true),
        ("*secp256r1:MLKEM1024:X25519", "MLKEM1024", true),
        ("*secp384r1:X25519", "secp384r1", false),
        ("*ffdhe2048:secp256r1", "secp256r1", true),
    ];
    for (list, group, retry) in table {
        let (_, record) = converse(&stage, Offer::groups(list).versions(Versions::Only13));
        assert_eq!(
            (&record["group"], &record["retry"]),
            (&group.into(), &retry.into()),
            "{list}"
        );
    }
}

#[test]
fn each_row_of_the_retry_table_holds_under_each_setting() {
    const PQ: Option<(&str, bool)> = Some(("X25519MLKEM768", false));
    const PQ_RETRY: Option<(&str, bool)> = Some(("X25519MLKEM768", true));
    const CLASSICAL: Option<(&str, bool)> = Some(("X25519", false));
    let settings = [
        r#"policy = "observe""#,
        r#"policy = "prefer""#,
        "policy = \"prefer\"\ntls = { retry = false }",
        r#"policy = { key_exchange = "require" }"#,
    ];
    let table = [
        ("*X25519MLKEM768:X25519", [PQ, PQ, PQ, PQ]),
        ("X25519MLKEM768:*X25519", [CLASSICAL, PQ_RETRY, CLASSICAL, PQ_RETRY]),
        ("*X25519:X25519MLKEM768", [CLASSICAL, PQ_RETRY, CLASSICAL, PQ_RETRY]),
        ("*X25519", [CLASSICAL, CLASSICAL, CLASSICAL, None]),
    ];
    for (column, setting) in settings.into_iter().enumerate() {
        let stage = Stage::set(Manner::Echo, |_, front| front.site(setting));
        for (list, row) in table {
            let offer = Offer::groups(list).versions(Versions::Only13);
            match row[column] {
                Some((group, retry)) => {
                    let (seen, record) = converse(&stage, offer);
                    assert_eq!(record["group"], group, "{list} with {setting}");
                    assert_eq!(seen.retry, retry, "{list} with {setting}");
                }
                None => {
                    let failed = Client::new(offer).connect(stage.proxy.address()).err();
                    assert_eq!(failed.expect("it is refused").alert, Some(71));
                }
            }
        }
    }
}

#[test]
fn each_certificate_goes_to_whom_its_scheme_suits() {
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let all = Algorithm::ALL.map(|algorithm| pki.server(algorithm));
    let proxy = Proxy::start(&Front::new(&all, upstream.address()).toml());
    let stage = Stage { pki, upstream, proxy };
    for algorithm in Algorithm::ALL {
        let offer = Offer::default()
            .signatures(algorithm.scheme())
            .versions(Versions::Only13);
        let roots = stage.pki.server(algorithm).root;
        let (seen, record) = converse(&stage, offer.trusting(roots));
        assert_eq!(seen.chain_len, 2, "the whole chain is sent");
        assert_eq!(record["signature"], algorithm.scheme());
        let class = if algorithm.is_ml_dsa() { "pq" } else { "classical" };
        assert_eq!(record["authentication"], class);
        let safety = if algorithm.is_ml_dsa() { "full" } else { "confidential" };
        assert_eq!(record["safety"], safety, "the key exchange is hybrid");
    }
}

#[test]
fn a_classical_client_of_tls_1_3_is_served_and_named() {
    let stage = Stage::echo();
    let offer = Offer::groups("X25519").signatures("ecdsa_secp256r1_sha256");
    let (_, record) = converse(&stage, offer.versions(Versions::Only13));
    let words = ["version", "group", "key_exchange", "authentication", "safety"].map(|f| &record[f]);
    assert_eq!(words, ["1.3", "X25519", "classical", "classical", "none"]);
}

#[test]
fn a_tls_1_2_client_is_served_and_named() {
    let stage = Stage::echo();
    let (_, record) = converse(&stage, Offer::groups("X25519:P-256").versions(Versions::Only12));
    let words = ["version", "group", "key_exchange", "signature", "safety"].map(|f| &record[f]);
    assert_eq!(words, ["1.2", "X25519", "classical", "ecdsa_secp256r1_sha256", "none"]);
}

#[test]
fn require_refuses_before_the_upstream_sees_a_byte() {
    let require = r#"policy = { key_exchange = "require" }"#;
    let stage = Stage::set(Manner::Echo, |_, front| front.site(require));
    let offers = [
        Offer::groups("X25519").versions(Versions::Only13),
        Offer::groups("X25519:secp256r1:secp384r1").versions(Versions::Both),
        Offer::default().versions(Versions::Only12),
    ];
    for offer in &offers {
        let failed = Client::new(offer.clone()).connect(stage.proxy.address()).err();
        let alert = failed.expect("it is refused").alert;
        // insufficient_security (SPEC 5.5); a TLS 1.2 hello may be told protocol_version instead.
        assert!(matches!(alert, Some(71 | 70)), "{alert:?}");
    }
    let (_, good) = converse(&stage, Offer::groups("X25519MLKEM768"));
    assert_eq!(good["key_exchange"], "hybrid");
    let refused: Vec<_> = stage
        .proxy
        .all_records()
        .into_iter()
        .filter(|r| r["outcome"] != "ok")
        .collect();
    assert_eq!(refused.len(), offers.len());
    for record in &refused {
        assert_eq!(ending(record), ["refused", "policy", "client"], "{record:#}");
        assert_eq!((&record["upstream"], &record["bytes_in"]), (&"".into(), &0.into()));
    }
    let decision = |word: &str| {
        let labels = ["rule=\"key_exchange\"", word];
        stage.proxy.metric("portcullis_policy_total", &labels)
    };
    assert_eq!(decision("decision=\"refused\""), 3.0);
    assert_eq!(decision("decision=\"admitted\""), 1.0);
    assert_eq!(stage.upstream.connections(), 1, "only the good one came through");
}

#[test]
fn required_authentication_refuses_who_cannot_verify_ml_dsa() {
    let require = r#"policy = { key_exchange = "observe", authentication = "require" }"#;
    let stage = Stage::set(Manner::Echo, |_, front| front.site(require));
    let classical = Offer::default().signatures("ecdsa_secp256r1_sha256");
    let failed = Client::new(classical).connect(stage.proxy.address()).err();
    assert!(failed.expect("it is refused").alert.is_some());
    let record = stage.proxy.record_where(|r| r["outcome"] != "ok");
    assert_eq!(ending(&record), ["refused", "policy", "client"]);
    let error = record["error"].as_str().expect("a text");
    assert!(error.ends_with("the client lacks mldsa65"), "{error}");
    let (_, record) = converse(&stage, Offer::groups("X25519"));
    assert_eq!([&record["authentication"], &record["safety"]], ["pq", "none"]);
    assert_eq!(stage.upstream.connections(), 1);
}
