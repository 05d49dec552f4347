//! Quantum Safe Proxy's flat files, variables and flags mean what they meant there.
use crate::kit::{Case, explained};
use portcullis_proxy::{
    config::{Loaded, Source, load_text, render},
    plan::{Address, CertificateFiles, Certificates, LogLevel, UpstreamPlan},
};
use portcullis_tls::server::ClientAuthMode;
use std::{
    path::{Path, PathBuf, absolute},
    time::Duration,
};

/// As its README prints it.
const README: &str = r#"{
  "listen": "0.0.0.0:8443",
  "target": "127.0.0.1:6000",
  "cert_path": "certs/server.crt",
  "key_path": "certs/server.key",
  "ca_cert_path": "certs/ca.crt",
  "hybrid_mode": true,
  "log_level": "info"
}
"#;

/// The keys of its later versions.
const NEWER: &str = r#"{
  "listen": "127.0.0.1:9443",
  "target": "backend:6000",
  "log_level": "TRACE",
  "client_cert_mode": "Required",
  "buffer_size": 8192,
  "connection_timeout": 30,
  "openssl_dir": null,
  "fallback_cert": "rsa.crt",
  "fallback_key": "rsa.key",
  "cert": "mldsa.crt",
  "key": "mldsa.key",
  "client_ca_cert": "ca.crt"
}
"#;

fn source(flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Source {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Source {
        file: Some(PathBuf::from("config.json")),
        flags: flags
            .iter()
            .map(pair)
            .map(|(name, value)| (name, vec![value]))
            .collect(),
        environment: variables.iter().map(pair).collect(),
    }
}

fn loaded(text: &str, flags: &[(&str, &str)], variables: &[(&str, &str)]) -> Loaded {
    load_text(&source(flags, variables), text).unwrap_or_else(|problems| panic!("{}", render(&problems)))
}

fn problems(text: &str) -> String {
    let problems = load_text(&source(&[], &[]), text).expect_err("it is wrong");
    render(&problems)
}

fn notices(loaded: &Loaded) -> Vec<String> {
    loaded.notices.iter().map(|notice| notice.message.clone()).collect()
}

fn servers(upstream: &UpstreamPlan) -> Vec<Address> {
    upstream.servers.iter().map(|server| server.address.clone()).collect()
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().expect("an address"))
}

/// A pair as the current folder has it: Quantum Safe Proxy knows no other.
fn here(chain: &str, key: &str) -> CertificateFiles {
    let path = |name: &str| absolute(name).expect("there is a current folder");
    CertificateFiles {
        chain: path(chain),
        key: path(key),
        passphrase: None,
    }
}

#[test]
fn the_readmes_file_is_one_listener_site_and_target_with_one_notice() {
    let loaded = loaded(README, &[], &[]);
    let plan = &loaded.plan;
    assert_eq!(plan.listeners[0].listen, [ip("0.0.0.0:8443")]);
    assert_eq!(servers(&plan.upstreams[0]), [ip("127.0.0.1:6000")]);
    let pair = here("certs/server.crt", "certs/server.key");
    assert_eq!(plan.sites[0].certificates, Certificates::Files(vec![pair]));
    let auth = plan.sites[0].client_auth.as_ref().expect("a CA is named");
    assert_eq!(auth.ca, absolute("certs/ca.crt").expect("there is a current folder"));
    assert_eq!(auth.mode, ClientAuthMode::Optional);
    let expected = [
        "site \"default\": clients without a certificate are admitted",
        "without meaning here, and ignored: \"hybrid_mode\" at config.json:7",
    ];
    assert_eq!(notices(&loaded), expected);
}

#[test]
fn newer_keys_give_dual_certificates_in_order_and_a_connect_timeout() {
    let loaded = loaded(NEWER, &[], &[]);
    let plan = &loaded.plan;
    let pairs = vec![here("mldsa.crt", "mldsa.key"), here("rsa.crt", "rsa.key")];
    assert_eq!(plan.sites[0].certificates, Certificates::Files(pairs));
    assert_eq!(servers(&plan.upstreams[0]), [Address::Name("backend".into(), 6000)]);
    assert_eq!(plan.upstreams[0].connect_timeout, Duration::from_secs(30));
    assert_eq!(plan.log.level, LogLevel::Debug);
    let auth = plan.sites[0].client_auth.as_ref().expect("a CA is named");
    assert_eq!(auth.mode, ClientAuthMode::Required);
    assert_eq!(
        notices(&loaded),
        ["without meaning here, and ignored: \"buffer_size\" at config.json:6"]
    );
}

#[test]
fn every_family_of_certificates_has_its_place() {
    let text = r#"{ "traditional_cert": "t", "traditional_key": "tk", "fallback_cert": "f", "classic_cert": "c",
        "pqc_only_cert": "p", "pqc_only_key": "pk", "hybrid_cert": "h", "hybrid_key": "hk", "cert": "a", "key": "ak" }"#;
    let both = |name: &str| here(name, name);
    let expected = vec![
        here("a", "ak"),
        here("h", "hk"),
        here("p", "pk"),
        both("f"),
        here("t", "tk"),
        both("c"),
    ];
    assert_eq!(
        loaded(text, &[], &[]).plan.sites[0].certificates,
        Certificates::Files(expected)
    );
}

#[test]
fn a_flag_beats_a_variable_beats_the_flat_file_key_by_key() {
    let target = |loaded: &Loaded| servers(&loaded.plan.upstreams[0]);
    let (theirs, ours) = (
        ("QUANTUM_SAFE_PROXY_TARGET", "127.0.0.1:2"),
        ("PORTCULLIS_TARGET", "127.0.0.1:3"),
    );
    let table = [
        (loaded(README, &[], &[]), "127.0.0.1:6000"),
        (loaded(README, &[], &[theirs]), "127.0.0.1:2"),
        (loaded(README, &[], &[theirs, ours]), "127.0.0.1:3"),
        (
            loaded(README, &[("target", "127.0.0.1:4")], &[theirs, ours]),
            "127.0.0.1:4",
        ),
    ];
    for (loaded, expected) in &table {
        assert_eq!(target(loaded), [ip(expected)]);
        assert_eq!(
            loaded.plan.listeners[0].listen,
            [ip("0.0.0.0:8443")],
            "the other keys stay"
        );
    }
    let certificates = |flags: &[(&str, &str)]| loaded(NEWER, flags, &[]).plan.sites[0].certificates.clone();
    let typed = |chain: &str, key: PathBuf| CertificateFiles {
        chain: chain.into(),
        key,
        passphrase: None,
    };
    let (mldsa, rsa) = (here("mldsa.crt", "mldsa.key"), here("rsa.crt", "rsa.key"));
    let one = Certificates::Files(vec![typed("new.crt", "new.key".into()), rsa.clone()]);
    assert_eq!(certificates(&[("cert", "new.crt"), ("key", "new.key")]), one);
    let chain_only = Certificates::Files(vec![typed("new.crt", mldsa.key.clone()), rsa.clone()]);
    assert_eq!(certificates(&[("cert", "new.crt")]), chain_only);
    let several = Certificates::Files(vec![typed("a", "b".into()), typed("c", "d".into())]);
    assert_eq!(
        certificates(&[("cert", "a"), ("key", "b"), ("cert", "c"), ("key", "d")]),
        several
    );
    let second = Certificates::Files(vec![mldsa, typed("new.crt", rsa.key)]);
    assert_eq!(certificates(&[("fallback-cert", "new.crt")]), second);
}

#[test]
fn variables_of_both_programs_are_read_with_or_without_from_env() {
    let names = [
        ("LISTEN", "0.0.0.0:9443"),
        ("TARGET", "127.0.0.1:7000"),
        ("CERT", "certs/server.crt"),
        ("KEY", "certs/server.key"),
        ("CA_CERT", "certs/ca.crt"),
        ("LOG_LEVEL", "debug"),
        ("HYBRID_MODE", "true"),
        ("CLIENT_CERT_MODE", "Optional"),
    ];
    let with = |case: Case| {
        names.iter().fold(case, |case, (name, value)| {
            case.and_variable(&format!("QUANTUM_SAFE_PROXY_{name}"), value)
        })
    };
    for (case, said) in [
        (Case::flags("--from-env"), "QUANTUM_SAFE_PROXY_HYBRID_MODE, --from-env"),
        (Case::default(), "QUANTUM_SAFE_PROXY_HYBRID_MODE"),
    ] {
        let loaded = with(case).good();
        assert_eq!(loaded.plan.listeners[0].listen, [ip("0.0.0.0:9443")]);
        assert_eq!(servers(&loaded.plan.upstreams[0]), [ip("127.0.0.1:7000")]);
        assert_eq!(loaded.plan.log.level, LogLevel::Debug);
        let pair = CertificateFiles {
            chain: "certs/server.crt".into(),
            key: "certs/server.key".into(),
            passphrase: None,
        };
        assert_eq!(loaded.plan.sites[0].certificates, Certificates::Files(vec![pair]));
        assert_eq!(notices(&loaded), [format!("without meaning here, and ignored: {said}")]);
    }
    let file = Source::find(
        Vec::new(),
        vec![("QUANTUM_SAFE_PROXY_CONFIG_FILE".into(), "c.json".into())],
        |_| false,
    )
    .file;
    assert_eq!(file.as_deref(), Some(Path::new("c.json")));
}

#[test]
fn who_names_no_certificate_gets_its_usual_ones_and_others_do_not() {
    let usual = CertificateFiles {
        chain: "certs/hybrid/dilithium3/server.crt".into(),
        key: "certs/hybrid/dilithium3/server.key".into(),
        passphrase: None,
    };
    let usual = Certificates::Files(vec![usual]);
    let case = Case::flags("--from-env").and_variable("QUANTUM_SAFE_PROXY_CLIENT_CERT_MODE", "required");
    let site = case.good().plan.sites.remove(0);
    assert_eq!(site.certificates, usual);
    assert_eq!(
        site.client_auth.map(|auth| auth.ca),
        Some("certs/hybrid/dilithium3/ca.crt".into())
    );
    assert_eq!(
        loaded(r#"{ "target": "h:1" }"#, &[], &[]).plan.sites[0].certificates,
        usual
    );
    let plain = loaded(
        r#"{ "target": "h:1" }"#,
        &[("plain", "true"), ("listen", "127.0.0.1:1")],
        &[],
    );
    assert_eq!(plain.plan.sites[0].certificates, Certificates::None);
    assert!(
        Case::flags("--listen 127.0.0.1:1")
            .bad()
            .starts_with("there are no certificates to serve with\n")
    );
}

#[test]
fn what_is_wrong_in_a_flat_file_is_told_with_its_line() {
    let text = "{\n \"listn\": \"0.0.0.0:1\",\n \"target\": 6000,\n \"connection_timeout\": \"soon\",\n \"key\": \"a\",\n \"client_cert_mode\": \"maybe\"\n}";
    let expected = [
        "config.json:2: unknown key \"listn\"",
        "  hint: did you mean \"listen\"?",
        "config.json:3: target must be a string, not an integer",
        "config.json:4: \"soon\" is no number of seconds",
        "config.json:5: a key without a certificate",
        "  hint: give --cert FILE before it",
        "config.json:6: site \"default\": unknown client certificate mode \"maybe\"",
    ];
    let said = problems(text);
    for line in expected {
        assert!(said.lines().any(|have| have == line), "{line} in\n{said}");
    }
    let mixed = problems("{ \"listener\": [],\n \"target\": \"h:1\" }");
    let expected = "config.json:2: \"target\" stands in flat files only, and this one has [[listener]]\n";
    assert!(mixed.contains(expected), "{mixed}");
}

#[test]
fn a_flat_file_may_be_toml_and_have_keys_of_the_process() {
    let case = Case::file("target = 'h:1'\ncert = 'a'\nlog = { format = 'json' }\nlog_level = 'warn'\n");
    let loaded = case.good();
    assert_eq!(loaded.plan.log.level, LogLevel::Warn);
    let told = explained(&loaded.explained);
    for line in [
        "log.level = \"warn\"  # portcullis.toml:4",
        "log.format = \"json\"  # portcullis.toml:3",
    ] {
        assert!(told.lines().any(|have| have == line), "{line} in\n{told}");
    }
}
