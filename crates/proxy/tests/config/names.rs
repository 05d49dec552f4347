//! Every name of SPEC 3 and 4 either means something or is refused by name; none is accepted and ignored.
use crate::kit::{Case, explained};
use portcullis_proxy::config::flags::{FLAGS, Meaning};

/// Flags of SPEC 3 that are built, each with two lines that must not mean the same.
const FLAGS_BUILT: &[(&str, &str, &str)] = &[
    ("listen", "--self-signed --listen :1", "--self-signed --listen :2"),
    ("target", "--self-signed --target h:1", "--self-signed --target h:2"),
    ("cert", "--cert a", "--cert b"),
    ("key", "--cert a", "--cert a --key b"),
    (
        "passphrase-file",
        "--cert a --passphrase-file b",
        "--cert a --passphrase-file c",
    ),
    ("ca-cert", "--self-signed --ca-cert a", "--self-signed --ca-cert b"),
    (
        "client-cert-mode",
        "--self-signed --ca-cert a --client-cert-mode optional",
        "--self-signed --ca-cert a --client-cert-mode required",
    ),
    (
        "profile",
        "--self-signed --profile default",
        "--self-signed --profile modern",
    ),
    (
        "groups",
        "--self-signed --groups X25519",
        "--self-signed --groups X25519MLKEM768",
    ),
    (
        "tls-versions",
        "--self-signed --tls-versions 1.2,1.3",
        "--self-signed --tls-versions 1.3",
    ),
    (
        "ciphers",
        "--self-signed --ciphers TLS_AES_128_GCM_SHA256",
        "--self-signed --ciphers TLS_AES_256_GCM_SHA384",
    ),
    (
        "policy",
        "--self-signed --policy observe",
        "--self-signed --policy require",
    ),
    ("plain", "--self-signed", "--plain"),
    ("target-tls", "--plain", "--plain --target-tls"),
    (
        "target-name",
        "--plain --target-tls --target-name a",
        "--plain --target-tls --target-name b",
    ),
    (
        "target-ca",
        "--plain --target-tls --target-ca a",
        "--plain --target-tls --target-ca b",
    ),
    (
        "target-cert",
        "--plain --target-tls --target-cert a",
        "--plain --target-tls --target-cert b",
    ),
    (
        "target-key",
        "--plain --target-tls --target-cert a",
        "--plain --target-tls --target-cert a --target-key b",
    ),
    (
        "target-policy",
        "--plain --target-tls --target-policy observe",
        "--plain --target-tls --target-policy require",
    ),
    (
        "log-level",
        "--self-signed --log-level warn",
        "--self-signed --log-level error",
    ),
    (
        "log-format",
        "--self-signed --log-format text",
        "--self-signed --log-format json",
    ),
    ("admin", "--self-signed --admin unix:a", "--self-signed --admin off"),
    ("self-signed", "--cert a", "--self-signed"),
    ("key-log", "--self-signed --key-log a", "--self-signed --key-log b"),
];

/// Flags of SPEC 3 that a later version builds.
const FLAGS_LATER: &[&str] = &[];

/// Flags of Quantum Safe Proxy, each with two lines that must not mean the same.
const FLAGS_OF_GUESTS: &[(&str, &str, &str)] = &[
    (
        "client-ca-cert",
        "--cert a --client-ca-cert a",
        "--cert a --client-ca-cert b",
    ),
    ("hybrid-cert", "--hybrid-cert a", "--hybrid-cert b"),
    ("hybrid-key", "--hybrid-cert a", "--hybrid-cert a --hybrid-key b"),
    ("pqc-only-cert", "--pqc-only-cert a", "--pqc-only-cert b"),
    (
        "pqc-only-key",
        "--pqc-only-cert a",
        "--pqc-only-cert a --pqc-only-key b",
    ),
    ("fallback-cert", "--fallback-cert a", "--fallback-cert b"),
    (
        "fallback-key",
        "--fallback-cert a",
        "--fallback-cert a --fallback-key b",
    ),
    ("traditional-cert", "--traditional-cert a", "--traditional-cert b"),
    (
        "traditional-key",
        "--traditional-cert a",
        "--traditional-cert a --traditional-key b",
    ),
    ("classic-cert", "--classic-cert a", "--classic-cert b"),
    ("classic-key", "--classic-cert a", "--classic-cert a --classic-key b"),
    (
        "connection-timeout",
        "--cert a --connection-timeout 1",
        "--cert a --connection-timeout 3",
    ),
];

/// Flags of Quantum Safe Proxy that have no meaning, and say so.
const FLAGS_WITHOUT_MEANING: &[&str] = &[
    "hybrid-mode",
    "from-env",
    "environment",
    "buffer-size",
    "openssl-dir",
    "strategy",
    "use-sigalgs",
];

/// Variables of SPEC 3 that are built, and two values that must not mean the same.
const VARIABLES_BUILT: &[(&str, &str, &str)] = &[
    ("PORTCULLIS_LISTEN", ":1", ":2,:3"),
    ("PORTCULLIS_TARGET", "h:1", "h:2"),
    ("PORTCULLIS_CA_CERT", "a", "b"),
    ("PORTCULLIS_PROFILE", "default", "modern"),
    ("PORTCULLIS_GROUPS", "X25519", "X25519MLKEM768"),
    ("PORTCULLIS_TLS_VERSIONS", "1.2:1.3", "1.3"),
    ("PORTCULLIS_CIPHERS", "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"),
    ("PORTCULLIS_POLICY", "observe", "require"),
    ("PORTCULLIS_LOG_LEVEL", "warn", "error"),
    ("PORTCULLIS_LOG_FORMAT", "text", "json"),
    ("PORTCULLIS_ADMIN", "unix:a", "off"),
    ("QUANTUM_SAFE_PROXY_LISTEN", "127.0.0.1:1", "127.0.0.1:2"),
    ("QUANTUM_SAFE_PROXY_TARGET", "h:1", "h:2"),
    ("QUANTUM_SAFE_PROXY_CA_CERT", "a", "b"),
    ("QUANTUM_SAFE_PROXY_LOG_LEVEL", "warn", "error"),
];

/// Variables of SPEC 3 that a later version builds.
const VARIABLES_LATER: &[&str] = &[];

/// Keys of SPEC 4 that are built: section, and two lines that must not mean the same.
const KEYS_BUILT: &[(&str, &str, &str)] = &[
    ("", "workers = 1", "workers = 2"),
    ("", "log = { level = 'warn' }", "log = { level = 'error' }"),
    ("", "log = { format = 'text' }", "log = { format = 'json' }"),
    ("", "log = { access = 'off' }", "log = { access = 'a.log' }"),
    ("", "admin = { listen = 'unix:a' }", "admin = { listen = 'unix:b' }"),
    (
        "",
        "admin = { listen = '127.0.0.1:1', token_file = 'a' }",
        "admin = { listen = '127.0.0.1:1', token_file = 'b' }",
    ),
    (
        "",
        "metrics = { listen = '127.0.0.1:1' }",
        "metrics = { listen = '127.0.0.1:2' }",
    ),
    ("", "metrics = { sites = 1 }", "metrics = { sites = 2 }"),
    ("", "ledger = { path = 'a.db' }", "ledger = { path = 'b.db' }"),
    ("", "ledger = { keep = '30d' }", "ledger = { keep = 'off' }"),
    ("", "ledger = { addresses = 'hash' }", "ledger = { addresses = 'none' }"),
    ("", "shutdown = { delay = '1s' }", "shutdown = { delay = '2s' }"),
    ("", "shutdown = { grace = '1s' }", "shutdown = { grace = '2s' }"),
    ("", "watch = false", "watch = true"),
    ("site", "label = 'personal data'", "label = 'public'"),
    ("listener", "name = 'a'", "name = 'b'"),
    (
        "listener",
        "listen = ['127.0.0.1:1']",
        "listen = ['[::1]:1', '127.0.0.1:1']",
    ),
    (
        "listener",
        "limits = { connections = 1 }",
        "limits = { connections = 2 }",
    ),
    ("listener", "limits = { per_ip = 1 }", "limits = { per_ip = 2 }"),
    (
        "listener",
        "limits = { handshakes_per_second = 1 }",
        "limits = { handshakes_per_second = 2 }",
    ),
    ("listener", "limits = { hello = '1s' }", "limits = { hello = '2s' }"),
    (
        "listener",
        "limits = { handshake = '1s' }",
        "limits = { handshake = '2s' }",
    ),
    ("listener", "limits = { idle = '1s' }", "limits = { idle = '2s' }"),
    ("listener", "deny = ['10.0.0.0/8']", "deny = ['10.0.0.0/9']"),
    (
        "listener",
        "proxy_protocol = { from = ['10.0.0.0/8'] }",
        "proxy_protocol = { from = ['10.0.0.0/9'] }",
    ),
    ("listener", "policy = 'prefer'", "policy = 'require'"),
    (
        "listener",
        "policy = { authentication = 'prefer' }",
        "policy = { authentication = 'require' }",
    ),
    ("site", "name = 'a'", "name = 'b'"),
    ("site", "names = ['a']", "names = ['*.a']"),
    (
        "site",
        "certificates = [{ chain = 'a' }]",
        "certificates = [{ chain = 'b' }]",
    ),
    (
        "site",
        "certificates = [{ chain = 'a' }]",
        "certificates = [{ chain = 'a', key = 'b' }]",
    ),
    (
        "site",
        "certificates = [{ chain = 'a', passphrase_file = 'b' }]",
        "certificates = [{ chain = 'a', passphrase_file = 'c' }]",
    ),
    ("site", "tls = { profile = 'default' }", "tls = { profile = 'modern' }"),
    (
        "site",
        "tls = { versions = ['1.2', '1.3'] }",
        "tls = { versions = ['1.3'] }",
    ),
    (
        "site",
        "tls = { groups = ['X25519'] }",
        "tls = { groups = ['secp256r1'] }",
    ),
    (
        "site",
        "tls = { ciphers = ['TLS_AES_128_GCM_SHA256'] }",
        "tls = { ciphers = ['TLS_AES_256_GCM_SHA384'] }",
    ),
    (
        "site",
        "tls = { cipher_order = 'client' }",
        "tls = { cipher_order = 'server' }",
    ),
    (
        "site",
        "tls = { signatures = ['mldsa65'] }",
        "tls = { signatures = ['mldsa87'] }",
    ),
    ("site", "tls = { retry = true }", "tls = { retry = false }"),
    (
        "site",
        "tls = { certificate_compression = true }",
        "tls = { certificate_compression = false }",
    ),
    (
        "site",
        "tls = { raw_public_keys = false }",
        "tls = { raw_public_keys = true }",
    ),
    (
        "site",
        "certificates = [{ chain = 'a' }, { chain = 'b', clients = ['10.0.0.0/8'] }]",
        "certificates = [{ chain = 'a' }, { chain = 'b', clients = ['10.0.0.0/16'] }]",
    ),
    (
        "site",
        "tls = { resumption = { tickets = 1 } }",
        "tls = { resumption = { tickets = 0 } }",
    ),
    ("site", "tls = { alpn = ['mqtt'] }", "tls = { alpn = ['mqtt', 'x'] }"),
    ("site", "tls = { alpn = ['postgresql'] }", "protocol = 'postgres'"),
    (
        "site",
        "tls = { resumption = { cache = 1 } }",
        "tls = { resumption = { cache = 2 } }",
    ),
    (
        "site",
        "tls = { resumption = { secret_file = 'a' } }",
        "tls = { resumption = { secret_file = 'b' } }",
    ),
    (
        "site",
        "tls = { resumption = { lifetime = '1h' } }",
        "tls = { resumption = { lifetime = '2h' } }",
    ),
    (
        "site",
        "client_auth = { mode = 'required', ca = 'a' }",
        "client_auth = { mode = 'optional', ca = 'a' }",
    ),
    (
        "site",
        "client_auth = { mode = 'required', ca = 'a' }",
        "client_auth = { mode = 'required', ca = 'b' }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a', crl = ['a'] }",
        "client_auth = { mode = 'optional', ca = 'a', crl = ['b'] }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a', crl = ['a'], crl_expired = 'refuse' }",
        "client_auth = { mode = 'optional', ca = 'a', crl = ['a'], crl_expired = 'warn' }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a', allow = ['DNS:a'] }",
        "client_auth = { mode = 'optional', ca = 'a', allow = ['DNS:b'] }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a', deny = ['DNS:a'] }",
        "client_auth = { mode = 'optional', ca = 'a', deny = ['DNS:b'] }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a', pins = ['sha256:0000000000000000000000000000000000000000000000000000000000000000'] }",
        "client_auth = { mode = 'optional', ca = 'a', pins = ['sha256:1111111111111111111111111111111111111111111111111111111111111111'] }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a', allow = ['DNS:a'], anonymous = true }",
        "client_auth = { mode = 'optional', ca = 'a', allow = ['DNS:a'], anonymous = false }",
    ),
    (
        "site",
        "policy = { client_authentication = 'observe' }",
        "policy = { client_authentication = 'prefer' }",
    ),
    (
        "site",
        "client_auth = { mode = 'required', ca = 'a', forward = 'cert' }",
        "client_auth = { mode = 'required', ca = 'a', forward = 'none' }",
    ),
    ("site", "mode = 'tcp'", "mode = 'http'"),
    ("site", "policy = 'observe'", "policy = 'require'"),
    (
        "site",
        "policy = { key_exchange = 'observe' }",
        "policy = { key_exchange = 'require' }",
    ),
    (
        "site",
        "policy = { authentication = 'observe' }",
        "policy = { authentication = 'prefer' }",
    ),
    (
        "site",
        "policy = { key_exchange = 'require', report_only = false }",
        "policy = { key_exchange = 'require', report_only = true }",
    ),
    (
        "site",
        "mode = 'http'\npolicy = { key_exchange = 'require', refuse = 'alert' }",
        "mode = 'http'\npolicy = { key_exchange = 'require', refuse = 'page' }",
    ),
    (
        "site",
        "policy = { key_exchange = 'require' }",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '10.0.0.0/8', until = '2027-03-31' }] }",
    ),
    (
        "site",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '10.0.0.0/8', until = '2027-03-31' }] }",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '11.0.0.0/8', until = '2027-03-31' }] }",
    ),
    (
        "site",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '10.0.0.0/8', until = '2027-03-31' }] }",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '10.0.0.0/8', until = '2027-03-30' }] }",
    ),
    (
        "site",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '10.0.0.0/8', until = '2027-03-31' }] }",
        "policy = { key_exchange = 'require', exempt = [{ cidr = '10.0.0.0/8', until = '2027-03-31', reason = 'r' }] }",
    ),
    (
        "site",
        "policy = { key_exchange = 'require', exempt = [{ sni = 'a.test', until = '2027-03-31' }] }",
        "policy = { key_exchange = 'require', exempt = [{ sni = 'b.test', until = '2027-03-31' }] }",
    ),
    (
        "site",
        "client_auth = { mode = 'optional', ca = 'a' }\npolicy = { key_exchange = 'require', exempt = [{ identity = 'DNS:a', until = '2027-03-31' }] }",
        "client_auth = { mode = 'optional', ca = 'a' }\npolicy = { key_exchange = 'require', exempt = [{ identity = 'DNS:b', until = '2027-03-31' }] }",
    ),
    ("site", "upstream = 'b'", "upstream = 'c'"),
    (
        "upstream",
        "servers = ['h:1']",
        "servers = ['h:1', { address = 'h:2' }]",
    ),
    ("upstream", "http = '1.1'", "http = 'h2c'"),
    ("upstream", "host = 'pass'", "host = 'upstream'"),
    (
        "upstream",
        "timeouts = { first_byte = '1s' }",
        "timeouts = { first_byte = '2s' }",
    ),
    ("upstream", "timeouts = { idle = '1s' }", "timeouts = { idle = '2s' }"),
    (
        "upstream",
        "timeouts = { connect = '1s' }",
        "timeouts = { connect = '3s' }",
    ),
    (
        "upstream",
        "servers = ['h:1']",
        "servers = [{ address = 'h:1', weight = 2 }]",
    ),
    (
        "upstream",
        "servers = ['h:1', 'h:2']",
        "servers = ['h:1', { address = 'h:2', backup = true }]",
    ),
    ("upstream", "balance = 'round-robin'", "balance = 'random'"),
    (
        "upstream",
        "balance = 'least-connections'",
        "balance = { hash = 'source' }",
    ),
    ("upstream", "retries = 0", "retries = 1"),
    ("upstream", "", "send_proxy = 2"),
    ("upstream", "tls = {}", "tls = { server_name = 'a' }"),
    ("upstream", "tls = { ca = 'a' }", "tls = { ca = 'b' }"),
    (
        "upstream",
        "tls = { certificates = [{ chain = 'a' }] }",
        "tls = { certificates = [{ chain = 'a', key = 'b' }] }",
    ),
    (
        "upstream",
        "tls = { profile = 'default' }",
        "tls = { profile = 'modern' }",
    ),
    (
        "upstream",
        "tls = { versions = ['1.2', '1.3'] }",
        "tls = { versions = ['1.3'] }",
    ),
    (
        "upstream",
        "tls = { groups = ['X25519'] }",
        "tls = { groups = ['secp256r1'] }",
    ),
    (
        "upstream",
        "tls = { ciphers = ['TLS_AES_128_GCM_SHA256'] }",
        "tls = { ciphers = ['TLS_AES_256_GCM_SHA384'] }",
    ),
    (
        "upstream",
        "tls = { signatures = ['mldsa65'] }",
        "tls = { signatures = ['mldsa87'] }",
    ),
    (
        "upstream",
        "tls = { policy = 'observe' }",
        "tls = { policy = 'require' }",
    ),
    (
        "upstream",
        "tls = { policy = { authentication = 'observe' } }",
        "tls = { policy = { authentication = 'require' } }",
    ),
    ("upstream", "health = {}", "health = { path = '/' }"),
    (
        "upstream",
        "health = { interval = '1s' }",
        "health = { interval = '3s' }",
    ),
    ("upstream", "health = { timeout = '1s' }", "health = { timeout = '3s' }"),
    ("upstream", "health = { healthy = 1 }", "health = { healthy = 3 }"),
    ("upstream", "health = { unhealthy = 1 }", "health = { unhealthy = 2 }"),
    (
        "upstream",
        "health = { path = '/', status = [200] }",
        "health = { path = '/', status = [204] }",
    ),
];

/// Keys and values of SPEC 4 that a later version builds: section, line, and what is refused.
const KEYS_LATER: &[(&str, &str, &str)] = &[
    ("", "acme = { name = {} }", "\"acme\""),
    ("listener", "mode = 'passthrough'", "mode \"passthrough\""),
    ("site", "acme = 'NAME'", "\"acme\""),
    ("site", "authorize = { wasm = 'a' }", "\"authorize\""),
    ("site", "cache = true", "\"cache\""),
    (
        "site",
        "certificates = [{ chain = 'a', key = 'pkcs11:a' }]",
        "certificates.key \"pkcs11:a\": a key of the form pkcs11:",
    ),
];

/// Keys inside a section that is refused as a whole, with what must be refused.
const KEYS_INSIDE: &[(&str, &str)] = &[("[acme.NAME]\nemail = 'a'", "\"acme\"")];

/// A file that is good, with a line in one of its sections in place of the one that sets the same key.
fn file(section: &str, line: &str) -> String {
    let key = line.split(" = ").next().unwrap_or("");
    let sections = [
        ("", vec![""]),
        (
            "listener",
            vec!["[[listener]]", "name = 'web'", "listen = ['127.0.0.1:8443']"],
        ),
        (
            "site",
            vec!["[[site]]", "certificates = [{ chain = 'a.pem' }]", "upstream = 'b'"],
        ),
        ("upstream", vec!["[upstream.b]", "servers = ['127.0.0.1:1']"]),
        ("c", vec!["[upstream.c]", "servers = ['127.0.0.1:2']"]),
    ];
    let mut text = String::new();
    for (name, lines) in sections {
        let replaced = |old: &&str| name == section && old.starts_with(&format!("{key} ="));
        text.extend(
            lines
                .into_iter()
                .filter(|old| !replaced(old))
                .map(|old| format!("{old}\n")),
        );
        if name == section {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

fn assert_they_differ(what: &str, one: &Case, other: &Case) {
    assert_ne!(one.good().plan, other.good().plan, "{what} is accepted and ignored");
}

fn assert_told(what: &str, case: &Case) {
    let told = explained(&case.good().explained);
    assert!(told.lines().any(|line| line == what), "{what} in:\n{told}");
}

fn assert_refused(case: &Case, what: &str) {
    let problems = case.bad();
    let errors: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  hint")).collect();
    assert!(errors.len() == 1, "only {what} is wrong:\n{problems}");
    assert!(
        errors[0].ends_with(&format!("{what} is not in this version")),
        "{what}:\n{problems}"
    );
}

#[test]
fn every_flag_is_built_or_refused() {
    for (flag, one, other) in FLAGS_BUILT {
        assert_they_differ(flag, &Case::flags(one), &Case::flags(other));
    }
    assert_told(
        "listener.\"0.0.0.0:8443\".mode = \"tcp\"  # --mode",
        &Case::flags("--self-signed --mode tcp"),
    );
    for (flag, one, other) in FLAGS_OF_GUESTS {
        assert_they_differ(flag, &Case::flags(one), &Case::flags(other));
    }
    for flag in FLAGS_WITHOUT_MEANING {
        let notices = Case::flags(&format!("--self-signed --{flag} x")).good().notices;
        let told = notices
            .iter()
            .filter(|notice| notice.message.ends_with(&format!("--{flag}")));
        assert_eq!(told.count(), 1, "{flag}: {notices:?}");
    }
    for flag in FLAGS_LATER {
        let problems = Case::flags(&format!("--self-signed --{flag}")).bad();
        assert_eq!(
            problems.lines().next(),
            Some(format!("--{flag}: not in this version").as_str())
        );
    }
}

#[test]
fn every_variable_is_built_or_refused() {
    let base = Case::flags("--self-signed");
    for (name, one, other) in VARIABLES_BUILT {
        let with = |value: &str| base.clone().and_variable(name, value);
        assert_they_differ(name, &with(one), &with(other));
    }
    let cert = |value: &str| Case::default().and_variable("PORTCULLIS_CERT", value);
    assert_they_differ("PORTCULLIS_CERT", &cert("a"), &cert("a,b"));
    assert_they_differ(
        "PORTCULLIS_KEY",
        &cert("a"),
        &cert("a").and_variable("PORTCULLIS_KEY", "b"),
    );
    assert_they_differ(
        "PORTCULLIS_SELF_SIGNED",
        &cert("a"),
        &Case::default().and_variable("PORTCULLIS_SELF_SIGNED", "on"),
    );
    assert_they_differ(
        "PORTCULLIS_PLAIN",
        &cert("a"),
        &Case::default().and_variable("PORTCULLIS_PLAIN", "1"),
    );
    let mode = |mode: &str| {
        base.clone()
            .and_flags("--ca-cert a")
            .and_variable("PORTCULLIS_CLIENT_CERT_MODE", mode)
    };
    assert_they_differ("PORTCULLIS_CLIENT_CERT_MODE", &mode("required"), &mode("optional"));
    let by_variable = base.clone().and_variable("PORTCULLIS_MODE", "tcp");
    assert_told(
        "listener.\"0.0.0.0:8443\".mode = \"tcp\"  # PORTCULLIS_MODE",
        &by_variable,
    );
    for name in VARIABLES_LATER {
        let problems = base.clone().and_variable(name, "x").bad();
        assert_eq!(
            problems.lines().next(),
            Some(format!("{name}: not in this version").as_str())
        );
    }
}

#[test]
fn every_key_that_is_built_means_something() {
    for (section, one, other) in KEYS_BUILT {
        let what = format!("[{section}] {other}");
        assert_they_differ(
            &what,
            &Case::file(&file(section, one)),
            &Case::file(&file(section, other)),
        );
    }
    // One mode and one listener: naming them changes nothing, so their place is what shows that they were read.
    let mode = Case::file(&file("listener", "mode = 'tcp'"));
    assert_told("listener.web.mode = \"tcp\"  # portcullis.toml:5", &mode);
    let listeners = Case::file(&file("site", "listeners = ['web']"));
    assert_told("site.default.listeners = [\"web\"]  # portcullis.toml:8", &listeners);
    let plain = file("listener", "plain = true").replace("certificates = [{ chain = 'a.pem' }]", "");
    assert_they_differ("plain", &Case::file(&file("", "")), &Case::file(&plain));
}

#[test]
fn every_key_of_a_later_version_is_refused_by_name() {
    for (section, line, what) in KEYS_LATER {
        assert_refused(&Case::file(&file(section, line)), what);
    }
    for (lines, what) in KEYS_INSIDE {
        let text = file("", "").replace("upstream = 'b'", &format!("upstream = 'b'\n{lines}"));
        assert_refused(&Case::file(&text), what);
    }
}

#[test]
fn the_table_of_flags_has_no_name_that_is_not_walked_here() {
    for flag in FLAGS {
        let built = FLAGS_BUILT.iter().any(|(name, ..)| *name == flag.name);
        let later = FLAGS_LATER.contains(&flag.name);
        let elsewhere = flag.meaning == Meaning::File || flag.name == "mode";
        let of_guests = FLAGS_OF_GUESTS.iter().any(|(name, ..)| *name == flag.name);
        let without_meaning = FLAGS_WITHOUT_MEANING.contains(&flag.name);
        assert!(
            built || later || elsewhere || of_guests || without_meaning,
            "{}",
            flag.name
        );
    }
}
