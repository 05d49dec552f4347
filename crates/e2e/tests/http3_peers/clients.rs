//! What each of them negotiates, and that the record says so.
use super::{HYBRID, Lines, Stage, aioquic, curl, gtlsclient, niquests};
use portcullis_e2e::{
    peers::{Home, Peer},
    pki::Algorithm,
};
use serde_json::{Value, json};

/// Fields of a record, as words.
fn facts(record: &Value, names: &[&str]) -> Vec<String> {
    let word = |name: &&str| match &record[*name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    names.iter().map(word).collect()
}

const NEGOTIATED: [&str; 8] = [
    "outcome",
    "alpn",
    "version",
    "group",
    "key_exchange",
    "signature",
    "safety",
    "sni",
];

fn get(path: &str) -> Value {
    json!({ "requests": [{ "path": path }] })
}

#[test]
fn curl_gets_its_page_with_the_hybrid_group() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let stage = Stage::web();
    let said = curl(
        &peer,
        &stage,
        &["--write-out", " %{http_version} %{response_code}"],
        "/page?x=1",
    );
    assert_eq!(said.stdout, "GET /page?x=1 3 200", "{}", said.stderr);
    let record = stage.record();
    let expected = [
        "ok",
        "h3",
        "1.3",
        HYBRID,
        "hybrid",
        "ecdsa_secp256r1_sha256",
        "confidential",
        "localhost",
    ];
    assert_eq!(facts(&record, &NEGOTIATED), expected, "{record:#}");
    assert_eq!(record["ja4"].as_str().map(|ja4| &ja4[..5]), Some("q13d0"), "{record:#}");
    assert_eq!(record["retry"], false);
    let told = stage.origin.asked()[0].field("portcullis-tls").unwrap_or_default();
    assert!(
        told.contains(&format!("group={HYBRID}")) && told.contains("safety=confidential"),
        "{told}"
    );
}

#[test]
fn curl_verifies_an_ml_dsa_chain_and_those_who_cannot_are_told_so() {
    let (Some(new), Some(old)) = (Peer::find(Home::Trixie, "curl"), Peer::find(Home::Quic, "python")) else {
        return;
    };
    for algorithm in [Algorithm::MlDsa65, Algorithm::MlDsa87] {
        let stage = Stage::set(&[algorithm], |_| Lines::default());
        let said = curl(&new, &stage, &[], "/");
        assert_eq!(said.stdout, "GET /", "{}", said.stderr);
        let record = stage.record();
        let expected = [HYBRID, algorithm.scheme(), "pq", "full"];
        assert_eq!(
            facts(&record, &["group", "signature", "authentication", "safety"]),
            expected
        );
    }
    let stage = Stage::set(&[Algorithm::MlDsa65], |_| Lines::default());
    let visits = aioquic(&old, &stage, get("/"));
    assert!(visits[0]["answers"].is_null(), "{visits:?}");
    let record = stage.record();
    let expected = ["failed", "handshake", "client", "handshake_failure"];
    assert_eq!(
        facts(&record, &["outcome", "stage", "fault", "alert_out"]),
        expected,
        "{record:#}"
    );
    assert!(
        record["error"]
            .as_str()
            .is_some_and(|error| error.contains("it lacks mldsa65")),
        "{record:#}"
    );
}

#[test]
fn a_listener_of_one_hybrid_group_serves_those_that_have_it() {
    let (Some(openssl), Some(python)) = (Peer::find(Home::Trixie, "curl"), Peer::find(Home::Quic, "python")) else {
        return;
    };
    let Some(gnutls) = Peer::find(Home::Trixie, "gtlsclient") else {
        return;
    };
    let only = || {
        Stage::set(&[Algorithm::EcdsaP256], |_| Lines {
            site: format!("tls = {{ groups = [{HYBRID:?}] }}"),
            ..Lines::default()
        })
    };
    let stage = only();
    assert_eq!(curl(&openssl, &stage, &[], "/").stdout, "GET /");
    assert_eq!(
        facts(&stage.record(), &["outcome", "group", "retry"]),
        ["ok", HYBRID, "false"]
    );

    let stage = only();
    let came = niquests(&python, &stage, "/qh3");
    assert_eq!(
        (&came["status"], &came["version"], &came["body"]),
        (&json!(200), &json!(30), &json!("GET /qh3")),
        "{came}"
    );
    let record = stage.record();
    assert_eq!(facts(&record, &["outcome", "group"]), ["ok", HYBRID], "{record:#}");

    for client in ["aioquic", "gtlsclient"] {
        let stage = only();
        match client {
            "aioquic" => drop(aioquic(&python, &stage, get("/"))),
            _ => drop(gtlsclient(&gnutls, &stage, "/")),
        }
        let record = stage.record();
        let expected = ["failed", "handshake", "client", "handshake_failure"];
        assert_eq!(
            facts(&record, &["outcome", "stage", "fault", "alert_out"]),
            expected,
            "{client}: {record:#}"
        );
        assert_eq!(stage.origin.asked().len(), 0, "{client}");
    }
}

#[test]
fn who_has_classical_groups_alone_is_served_and_counted_as_such() {
    let (Some(python), Some(gnutls)) = (Peer::find(Home::Quic, "python"), Peer::find(Home::Trixie, "gtlsclient"))
    else {
        return;
    };
    let expected = [
        "ok",
        "h3",
        "1.3",
        "X25519",
        "classical",
        "ecdsa_secp256r1_sha256",
        "none",
        "localhost",
    ];
    let stage = Stage::web();
    let visits = aioquic(&python, &stage, get("/aio"));
    let answer = &visits[0]["answers"][0];
    assert_eq!(
        (&answer["status"], &answer["length"]),
        (&json!(200), &json!("GET /aio".len())),
        "{visits:?}"
    );
    assert_eq!(facts(&stage.record(), &NEGOTIATED), expected);

    let stage = Stage::web();
    let said = gtlsclient(&gnutls, &stage, "/ngtcp2");
    assert!(said.all().contains("[:status: 200]"), "{}", said.all());
    assert_eq!(facts(&stage.record(), &NEGOTIATED), expected);
    assert_eq!(stage.origin.asked()[0].line(), "GET /ngtcp2");
}

#[test]
fn require_refuses_the_classical_before_the_upstream_hears_of_them() {
    let (Some(new), Some(old)) = (Peer::find(Home::Trixie, "curl"), Peer::find(Home::Quic, "python")) else {
        return;
    };
    let require = |_: &portcullis_e2e::pki::Pki| Lines {
        site: r#"policy = "require""#.to_owned(),
        ..Lines::default()
    };
    let stage = Stage::set(&[Algorithm::EcdsaP256], require);
    let visits = aioquic(&old, &stage, get("/"));
    assert!(visits[0]["answers"].is_null(), "{visits:?}");
    let record = stage.record();
    let expected = ["refused", "policy", "client", "insufficient_security"];
    assert_eq!(
        facts(&record, &["outcome", "stage", "fault", "alert_out"]),
        expected,
        "{record:#}"
    );
    let refused = ["rule=\"key_exchange\"", "decision=\"refused\""];
    assert_eq!(stage.proxy.metric("portcullis_policy_total", &refused), 1.0);
    assert_eq!(stage.origin.asked().len(), 0);
    assert_eq!(curl(&new, &stage, &[], "/").stdout, "GET /");
}

#[test]
fn a_name_that_is_not_served_is_refused_by_its_alert() {
    let (Some(new), Some(old)) = (Peer::find(Home::Trixie, "curl"), Peer::find(Home::Quic, "python")) else {
        return;
    };
    let stage = Stage::set(&[Algorithm::EcdsaP256], |_| Lines {
        site: r#"names = ["a.test"]"#.to_owned(),
        ..Lines::default()
    });
    let mut plan = get("/");
    plan["name"] = json!("b.test");
    let visits = aioquic(&old, &stage, plan);
    assert!(visits[0]["answers"].is_null(), "{visits:?}");
    let record = stage.record();
    let expected = ["refused", "route", "unrecognized_name", "b.test"];
    assert_eq!(
        facts(&record, &["outcome", "stage", "alert_out", "sni"]),
        expected,
        "{record:#}"
    );
    let address = format!("a.test:{}:127.0.0.1", stage.port());
    let roots = new.shares(&stage.pki.roots());
    let mut command = new.command();
    command
        .args(["-sS", "--http3-only", "--resolve", &address, "--cacert"])
        .arg(roots);
    let said = portcullis_e2e::command::run(command.arg(format!("https://a.test:{}/", stage.port())), b"");
    assert_eq!(said.stdout, "GET /", "{}", said.stderr);
}

#[test]
fn a_client_certificate_of_ml_dsa_enters_and_its_absence_is_refused() {
    let (Some(new), Some(old)) = (Peer::find(Home::Trixie, "curl"), Peer::find(Home::Quic, "python")) else {
        return;
    };
    let asking = |pki: &portcullis_e2e::pki::Pki| Lines {
        site: format!("client_auth = {{ mode = \"required\", ca = {:?} }}", pki.roots()),
        ..Lines::default()
    };
    let stage = Stage::set(&[Algorithm::EcdsaP256], asking);
    let shown = stage.pki.client(Algorithm::MlDsa65);
    let [chain, key] = [&shown.chain, &shown.key].map(|file| new.shares(file).display().to_string());
    let said = curl(&new, &stage, &["--cert", &chain, "--key", &key], "/");
    assert_eq!(said.stdout, "GET /", "{}", said.stderr);
    let record = stage.record();
    assert_eq!(
        facts(&record, &["outcome", "client_authentication"]),
        ["ok", "pq"],
        "{record:#}"
    );
    assert!(
        record["client_subject"]
            .as_str()
            .is_some_and(|subject| subject.contains("agent-7")),
        "{record:#}"
    );
    let told = stage.origin.asked()[0].field("portcullis-client").unwrap_or_default();
    assert!(told.contains("agent-7") && told.contains("authentication=pq"), "{told}");

    let stage = Stage::set(&[Algorithm::EcdsaP256], asking);
    let said = curl(&new, &stage, &[], "/");
    assert!(!said.status.success(), "{}", said.all());
    let visits = aioquic(&old, &stage, get("/"));
    assert!(visits[0]["answers"].is_null(), "{visits:?}");
    for record in stage.proxy.all_records() {
        let expected = ["refused", "handshake", "client", "certificate_required"];
        assert_eq!(
            facts(&record, &["outcome", "stage", "fault", "alert_out"]),
            expected,
            "{record:#}"
        );
    }
    assert_eq!(stage.origin.asked().len(), 0);

    // a classical one, by a stack that can sign
    let shown = stage.pki.client(Algorithm::EcdsaP256);
    let mut plan = get("/");
    (plan["cert"], plan["key"]) = (json!(shown.chain), json!(shown.key));
    let visits = aioquic(&old, &stage, plan);
    assert_eq!(visits[0]["answers"][0]["status"], 200, "{visits:?}");
}

#[test]
fn the_second_visit_resumes_with_a_key_exchange_of_its_own() {
    let Some(peer) = Peer::find(Home::Quic, "python") else {
        return;
    };
    let stage = Stage::web();
    let mut plan = get("/");
    plan["visits"] = json!(3);
    let visits = aioquic(&peer, &stage, plan);
    let resumed: Vec<&Value> = visits.iter().map(|visit| &visit["resumed"]).collect();
    assert_eq!(resumed, [false, true, true], "{visits:?}");
    let records = stage.proxy.all_records();
    let told: Vec<_> = records
        .iter()
        .map(|r| facts(r, &["resumed", "group", "signature", "authentication"]))
        .collect();
    let first = ["false", "X25519", "ecdsa_secp256r1_sha256", "classical"];
    let next = ["true", "X25519", "", "classical"];
    assert_eq!(told, [first, next, next]);
}

#[test]
fn a_record_over_quic_says_the_same_as_one_over_tcp() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let stage = Stage::web();
    let mut records = Vec::new();
    for version in ["--http2", "--http3-only"] {
        let said = curl(&peer, &stage, &[version], "/same");
        assert_eq!(said.stdout, "GET /same", "{}", said.stderr);
        records.push(
            stage
                .proxy
                .record_where(|record| record["alpn"] == if version == "--http2" { "h2" } else { "h3" }),
        );
    }
    let keys = |record: &Value| -> Vec<String> {
        let fields = record.as_object().expect("an object");
        fields.keys().cloned().collect()
    };
    assert_eq!(keys(&records[0]), keys(&records[1]));
    // the rest is of a moment, or of the transport
    let own = [
        "ts",
        "id",
        "peer",
        "direct_peer",
        "alpn",
        "ja4",
        "handshake_us",
        "duration_us",
        "handshake_bytes_in",
        "handshake_bytes_out",
        "bytes_in",
        "bytes_out",
    ];
    for key in keys(&records[0]).iter().filter(|key| !own.contains(&key.as_str())) {
        assert_eq!(records[0][key], records[1][key], "{key}");
    }
    for key in [
        "handshake_bytes_in",
        "handshake_bytes_out",
        "bytes_in",
        "bytes_out",
        "handshake_us",
    ] {
        assert!(
            records[1][key].as_u64().is_some_and(|count| count > 0),
            "{key}: {:#}",
            records[1]
        );
    }
}
