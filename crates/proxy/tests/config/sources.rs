//! Where values come from: flags, variables, files, defaults, and which of them wins.
use crate::kit::{Case, explained};
use portcullis_proxy::{
    config::{Origin, Source, admin, load, render},
    plan::{AccessLog, Address, AdminPlan, CertificateFiles, Certificates, LogLevel, Plan},
};
use portcullis_tls::server::ClientAuthMode;
use std::path::{Path, PathBuf};

const FILE: &str = "
log = { level = 'warn' }
[[listener]]
name = 'web'
listen = ['127.0.0.1:1']
[[site]]
certificates = [{ chain = 'a' }]
upstream = 'b'
[upstream.b]
servers = ['h:1']
";

fn origin_of(case: &Case, key: &str) -> (String, Origin) {
    let explained = case.good().explained;
    let value = explained
        .into_iter()
        .find(|value| value.key == key)
        .expect("an explained key");
    (value.value, value.origin)
}

fn notices(case: &Case) -> Vec<String> {
    case.good().notices.iter().map(ToString::to_string).collect()
}

/// Of the first upstream's servers.
fn addresses(plan: &Plan) -> Vec<Address> {
    let servers = plan.upstreams[0].servers.iter();
    servers.map(|server| server.address.clone()).collect()
}

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().expect("an address"))
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let without = Case::file(&FILE.replace("log = { level = 'warn' }", ""));
    let file = Case::file(FILE);
    let variable = file.clone().and_variable("PORTCULLIS_LOG_LEVEL", "debug");
    let flag = variable.clone().and_flags("--log-level error");
    let table = [
        (without, LogLevel::Info, Origin::Default),
        (file, LogLevel::Warn, Origin::File("portcullis.toml".into(), 2)),
        (
            variable,
            LogLevel::Debug,
            Origin::Environment("PORTCULLIS_LOG_LEVEL".into()),
        ),
        (flag, LogLevel::Error, Origin::Flag("--log-level".into())),
    ];
    for (case, level, origin) in table {
        assert_eq!(case.good().plan.log.level, level);
        assert_eq!(origin_of(&case, "log.level").1, origin);
    }
}

#[test]
fn the_sidecar_in_one_line_becomes_one_listener_site_and_target() {
    let case = Case::flags(
        "--listen 0.0.0.0:8443 --target 127.0.0.1:6000 --target db:1 --cert mldsa.crt --key mldsa.key --cert ecdsa.crt --key ecdsa.key --ca-cert ca.crt --client-cert-mode optional",
    );
    let plan = case.good().plan;
    assert_eq!(plan.listeners[0].listen, [ip("0.0.0.0:8443")]);
    assert_eq!(plan.listeners[0].name, "0.0.0.0:8443");
    assert_eq!(addresses(&plan), [ip("127.0.0.1:6000"), Address::Name("db".into(), 1)]);
    let pair = |name: &str| CertificateFiles {
        chain: format!("{name}.crt").into(),
        key: format!("{name}.key").into(),
        passphrase: None,
    };
    assert_eq!(
        plan.sites[0].certificates,
        Certificates::Files(vec![pair("mldsa"), pair("ecdsa")])
    );
    let auth = plan.sites[0].client_auth.clone().expect("client authentication");
    assert_eq!(
        (auth.mode, auth.ca),
        (ClientAuthMode::Optional, PathBuf::from("ca.crt"))
    );
    assert_eq!(notices(&case), [""; 0]);
}

#[test]
fn one_pem_may_hold_both_and_pairs_must_match() {
    let both = |name: &str| CertificateFiles {
        chain: name.into(),
        key: name.into(),
        passphrase: None,
    };
    let plan = Case::flags("--cert a --cert b").good().plan;
    assert_eq!(
        plan.sites[0].certificates,
        Certificates::Files(vec![both("a"), both("b")])
    );
    let mismatch = Case::flags("--cert a --cert b --key c").bad();
    assert!(
        mismatch.starts_with("--cert: 2 certificates, but 1 keys\n"),
        "{mismatch}"
    );
    let locked = Case::flags("--cert a --cert b").and_variable("PORTCULLIS_PASSPHRASE_FILE", "c");
    let with_passphrase = |name: &str| CertificateFiles {
        passphrase: Some("c".into()),
        ..both(name)
    };
    assert_eq!(
        locked.good().plan.sites[0].certificates,
        Certificates::Files(vec![with_passphrase("a"), with_passphrase("b")])
    );
    let alone = Case::flags("--self-signed --passphrase-file c").bad();
    assert!(
        alone.starts_with("--passphrase-file: a passphrase without a certificate\n"),
        "{alone}"
    );
    let alone = Case::flags("--key c").bad();
    assert!(alone.starts_with("--key: a key without a certificate\n"), "{alone}");
}

#[test]
fn a_ca_alone_makes_client_certificates_optional_and_says_so() {
    let case = Case::flags("--self-signed --ca-cert ca.pem");
    assert_eq!(
        case.good().plan.sites[0].client_auth.as_ref().map(|auth| auth.mode),
        Some(ClientAuthMode::Optional)
    );
    let [notice] = notices(&case).try_into().expect("one notice");
    assert!(
        notice.starts_with("--ca-cert: clients without a certificate are admitted\n"),
        "{notice}"
    );
    assert_eq!(Case::flags("--self-signed").good().plan.sites[0].client_auth, None);
    let none = Case::flags("--self-signed --client-cert-mode none --ca-cert ca.pem");
    assert_eq!(none.good().plan.sites[0].client_auth, None);
    assert_eq!(notices(&none).len(), 1);
    let without = Case::flags("--self-signed --client-cert-mode required").bad();
    assert!(
        without.starts_with("--client-cert-mode: client certificates need a CA file"),
        "{without}"
    );
}

#[test]
fn nothing_to_serve_with_names_the_ways_out() {
    let problems = Case::default().bad();
    assert!(
        problems.starts_with("there are no certificates to serve with\n"),
        "{problems}"
    );
    for way in ["--cert", "--self-signed", "--plain", "passthrough"] {
        assert!(problems.contains(way), "{way}");
    }
    let both = Case::flags("--self-signed --cert a").bad();
    assert_eq!(
        both,
        "--self-signed: certificates are made in memory, but --cert gives files\n  hint: leave one of both out\n"
    );
}

#[test]
fn flags_and_variables_of_a_site_are_errors_beside_a_file_that_has_one() {
    let case = Case::file(FILE)
        .and_flags("--groups X25519 --plain --self-signed")
        .and_variable("PORTCULLIS_TARGET", "h:1");
    let problems = case.bad();
    let errors: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  hint")).collect();
    let rest = "describes a listener and a site, but portcullis.toml:3 has [[listener]] of its own";
    let names = ["--groups", "--plain", "--self-signed", "PORTCULLIS_TARGET"];
    assert_eq!(errors, names.map(|name| format!("{name}: {rest}")));
    let beside = Case::file("log = { level = 'warn' }")
        .and_flags("--self-signed")
        .good()
        .plan;
    assert_eq!((beside.log.level, beside.listeners.len()), (LogLevel::Warn, 1));
}

#[test]
fn lists_take_commas_colons_and_the_marks_of_openssl() {
    let groups = |text: &str| {
        let case = Case::flags(&format!("--self-signed --groups {text}"));
        let groups: Vec<String> = case.good().plan.sites[0]
            .tls
            .groups
            .iter()
            .map(ToString::to_string)
            .collect();
        (groups.join(" "), notices(&case).len())
    };
    let usual = "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 X25519 secp256r1 secp384r1";
    let table = [
        ("X25519MLKEM768,X25519", "X25519MLKEM768 X25519", 0),
        ("x25519mlkem768:P-256", "X25519MLKEM768 secp256r1", 0),
        (
            "*X25519MLKEM768:*X25519/secp256r1",
            "X25519MLKEM768 X25519 secp256r1",
            1,
        ),
        ("?nonsense:X25519", "X25519", 0),
        ("?*X25519", "X25519", 1),
        ("DEFAULT", usual, 0),
        (
            "X25519:DEFAULT",
            "X25519 X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 secp256r1 secp384r1",
            0,
        ),
        (
            "DEFAULT:-SecP384r1MLKEM1024:-secp384r1",
            "X25519MLKEM768 SecP256r1MLKEM768 X25519 secp256r1",
            0,
        ),
        ("MLKEM768:DEFAULT:-DEFAULT", "MLKEM768", 0),
    ];
    for (text, expected, said) in table {
        assert_eq!(groups(text), (expected.to_owned(), said), "{text}");
    }
    let unknown = Case::flags("--self-signed --groups nonsense").bad();
    assert!(
        unknown.starts_with("--groups: unknown group \"nonsense\"\n"),
        "{unknown}"
    );
    let nothing = Case::flags("--self-signed --groups X25519:-X25519").bad();
    assert!(nothing.starts_with("--groups: no group that"), "{nothing}");
}

#[test]
fn lists_of_openssl_and_nginx_are_pasted_as_they_are() {
    let groups = |text: &str| {
        let case = Case::flags("--self-signed").and_variable("PORTCULLIS_GROUPS", text);
        let loaded = case.good();
        let groups = loaded.plan.sites[0].tls.groups.iter().map(ToString::to_string);
        (groups.collect::<Vec<_>>().join(" "), notices(&case).len())
    };
    let usual = "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 X25519 secp256r1 secp384r1";
    let table = [
        // what OpenSSL 3.5 has built in
        (
            "?*X25519MLKEM768 / ?*X25519:?secp256r1 / ?X448:?secp384r1:?secp521r1 / ?ffdhe2048:?ffdhe3072",
            "X25519MLKEM768 X25519 secp256r1 secp384r1",
            1,
        ),
        // nginx's ssl_ecdh_curve
        ("auto", usual, 0),
        (
            "X25519MLKEM768:X25519:prime256v1:secp384r1",
            "X25519MLKEM768 X25519 secp256r1 secp384r1",
            0,
        ),
        // marks in either order, removal of what is not there, an empty place
        ("*?X25519MLKEM768:?*nonsense:X25519", "X25519MLKEM768 X25519", 1),
        ("X25519MLKEM768:-MLKEM1024::X25519:", "X25519MLKEM768 X25519", 0),
        (
            "-X25519:DEFAULT:?-secp384r1",
            "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 X25519 secp256r1",
            0,
        ),
        ("X25519:X25519MLKEM768:X25519", "X25519 X25519MLKEM768", 0),
    ];
    for (text, expected, said) in table {
        assert_eq!(groups(text), (expected.to_owned(), said), "{text}");
    }
    let told = [
        (
            "X25519MLKEM768:X448",
            "PORTCULLIS_GROUPS: group \"X448\" is not offered by this build\n",
        ),
        (
            "x25519_kyber768",
            "PORTCULLIS_GROUPS: unknown group \"x25519_kyber768\"\n  hint: that draft became X25519MLKEM768",
        ),
        (
            "X25519MLKEM:X25519",
            "PORTCULLIS_GROUPS: unknown group \"X25519MLKEM\"\n",
        ),
        ("-nonsense:X25519", "PORTCULLIS_GROUPS: unknown group \"nonsense\"\n"),
    ];
    for (text, expected) in told {
        let case = Case::flags("--self-signed").and_variable("PORTCULLIS_GROUPS", text);
        assert!(case.bad().starts_with(expected), "{text}: {}", case.bad());
    }
}

#[test]
fn in_files_lists_are_lists_and_marks_are_no_names() {
    let tls = |tls: &str| Case::file(&FILE.replace("upstream = 'b'", &format!("upstream = 'b'\ntls = {tls}"))).bad();
    let text = tls("{ groups = 'X25519:P-256' }");
    assert!(
        text.starts_with("portcullis.toml:9: site \"default\": tls.groups must be a list, not a string\n"),
        "{text}"
    );
    let mark = tls("{ groups = ['?X25519'] }");
    assert!(
        mark.starts_with("portcullis.toml:9: site \"default\": unknown group \"?X25519\"\n"),
        "{mark}"
    );
}

#[test]
fn variables_that_only_look_like_ours_are_told_or_left_alone() {
    let case = Case::flags("--self-signed")
        .and_variable("PORTCULLIS_GROUP", "X25519")
        .and_variable("PORTCULLIS_PORT", "tcp://10.0.0.1:8443")
        .and_variable("PORTCULLIS_PORT_8443_TCP", "tcp://10.0.0.1:8443")
        .and_variable("PORTCULLIS_SERVICE_HOST", "10.0.0.1")
        .and_variable("PORTCULLIS_LOG_LEVEL", "")
        .and_variable("QUANTUM_SAFE_PROXY_OTHER", "x")
        .and_variable("PATH", "/bin");
    let expected = [
        "PORTCULLIS_GROUP: no variable of this program: ignored\n  hint: did you mean \"PORTCULLIS_GROUPS\"?",
        "QUANTUM_SAFE_PROXY_OTHER: no variable of Quantum Safe Proxy: ignored",
    ];
    assert_eq!(notices(&case), expected);
    let switch = Case::default().and_variable("PORTCULLIS_PLAIN", "perhaps").bad();
    assert!(
        switch.starts_with("PORTCULLIS_PLAIN: \"perhaps\" is neither on nor off\n"),
        "{switch}"
    );
    let beaten = Case::flags("--plain --listen 127.0.0.1:1").and_variable("PORTCULLIS_PLAIN", "perhaps");
    assert!(beaten.good().plan.listeners[0].plain);
    let off = Case::flags("--self-signed").and_variable("PORTCULLIS_PLAIN", "off");
    assert!(!off.good().plan.listeners[0].plain);
}

#[test]
fn the_admin_socket_stands_where_the_environment_says() {
    let unix = |path: &str, is_default: bool| {
        Some(AdminPlan {
            listen: Address::Unix(path.into()),
            token_file: None,
            is_default,
        })
    };
    let admin = |case: &Case| case.good().plan.admin;
    let base = Case::flags("--self-signed");
    assert_eq!(admin(&base), None);
    let xdg = base.clone().and_variable("XDG_RUNTIME_DIR", "/run/user/1");
    assert_eq!(admin(&xdg), unix("/run/user/1/portcullis/portcullis.sock", true));
    let systemd = xdg
        .clone()
        .and_variable("RUNTIME_DIRECTORY", "/run/portcullis:/run/other");
    assert_eq!(admin(&systemd), unix("/run/portcullis/portcullis.sock", true));
    let off = systemd.clone().and_variable("PORTCULLIS_ADMIN", "off");
    assert_eq!(admin(&off), None);
    assert_eq!(admin(&off.and_flags("--admin unix:a.sock")), unix("a.sock", false));
    let file = |admin: &str| Case::file(&format!("admin = {admin}\n{FILE}"));
    assert_eq!(admin(&file("'off'")), None);
    assert_eq!(admin(&file("'off'").and_flags("--admin unix:a")), unix("a", false));
    let with_token = file("{ listen = '127.0.0.1:2', token_file = 't' }").and_flags("--admin 127.0.0.1:3");
    let expected = AdminPlan {
        listen: ip("127.0.0.1:3"),
        token_file: Some("t".into()),
        is_default: false,
    };
    assert_eq!(admin(&with_token), Some(expected));
}

#[test]
fn commands_find_the_running_proxy_as_serve_would_place_it() {
    let source = |flags: &[&str], variables: &[(&str, &str)]| Source {
        file: None,
        flags: flags
            .iter()
            .map(|value| ("admin".to_owned(), vec![(*value).to_owned()]))
            .collect(),
        environment: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let plan = |listen: Address, is_default: bool| {
        Some(AdminPlan {
            listen,
            token_file: None,
            is_default,
        })
    };
    let xdg = ("XDG_RUNTIME_DIR", "/run/user/1");
    let variable = ("PORTCULLIS_ADMIN", "127.0.0.1:2");
    let usual = Address::Unix("/run/user/1/portcullis/portcullis.sock".into());
    let table = [
        (source(&[], &[]), None),
        (source(&[], &[xdg]), plan(usual, true)),
        (source(&[], &[xdg, variable]), plan(ip("127.0.0.1:2"), false)),
        (
            source(&["unix:a"], &[xdg, variable]),
            plan(Address::Unix("a".into()), false),
        ),
        (source(&["off"], &[xdg, variable]), None),
    ];
    for (source, expected) in table {
        assert_eq!(admin(&source).expect("a good address"), expected);
    }
    let problems = admin(&source(&["nowhere"], &[])).expect_err("no address");
    assert!(render(&problems).starts_with("--admin: \"nowhere\" is no address to listen on\n"));
}

#[test]
fn commands_find_the_running_proxy_by_a_file_whose_rest_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(
        &path,
        "admin = { listen = '127.0.0.1:2', token_file = 't' }\nnonsense = 1\n",
    )
    .unwrap();
    let mut source = Source {
        file: Some(path),
        ..Source::default()
    };
    let by_file = AdminPlan {
        listen: ip("127.0.0.1:2"),
        token_file: Some(folder.path().join("t")),
        is_default: false,
    };
    assert_eq!(admin(&source).expect("an admin listener"), Some(by_file));
    source.flags.push(("admin".to_owned(), vec!["unix:a".to_owned()]));
    let typed = AdminPlan {
        listen: Address::Unix("a".into()),
        token_file: None,
        is_default: false,
    };
    assert_eq!(admin(&source).expect("an admin listener"), Some(typed));
}

#[test]
fn the_usual_file_is_read_if_it_is_there_and_no_flag_describes_a_site() {
    let flag = |name: &str, value: &str| vec![(name.to_owned(), vec![value.to_owned()])];
    let variable = vec![("PORTCULLIS_CONFIG".to_owned(), "v.toml".to_owned())];
    let found = |flags: Vec<_>, environment: Vec<_>, there: bool| {
        let is_there = |path: &Path| path == Path::new("portcullis.toml") && there;
        Source::find(flags, environment, is_there).file
    };
    let usual = Some(PathBuf::from("portcullis.toml"));
    assert_eq!(found(vec![], vec![], true), usual);
    assert_eq!(found(vec![], vec![], false), None);
    assert_eq!(found(flag("log-level", "debug"), vec![], true), usual);
    assert_eq!(found(flag("listen", ":1"), vec![], true), None);
    assert_eq!(found(flag("self-signed", "true"), vec![], true), None);
    assert_eq!(found(vec![], variable.clone(), true), Some("v.toml".into()));
    assert_eq!(
        found(flag("config", "f.toml"), variable.clone(), true),
        Some("f.toml".into())
    );
    assert_eq!(
        found(flag("config-file", "f.toml"), variable, true),
        Some("f.toml".into())
    );
}

#[test]
fn files_that_cannot_be_read_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let source = Source {
            file: Some(path),
            ..Source::default()
        };
        let problems = render(&load(&source).expect_err("no file to read"));
        problems.replace(&format!("{}/", folder.path().display()), "")
    };
    assert!(load("missing.toml", None).starts_with("missing.toml: cannot be read: No such file"));
    assert_eq!(
        load("latin.toml", Some(b"a = 1\nb = '\xe4'\n")),
        "latin.toml:2: not UTF-8 text\n"
    );
    for name in ["a.json", "a.yaml", "a.YML"] {
        assert_eq!(
            load(name, Some(b"a: 1\nb: \xe4\n")),
            format!("{name}:2: not UTF-8 text\n")
        );
    }
    let endless = vec![b'#'; (16 << 20) + 1];
    assert_eq!(
        load("large.toml", Some(&endless)),
        "large.toml: cannot be read: larger than 16 MiB\n"
    );
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let text = format!(
        "log = {{ access = 'access.log' }}\n{}",
        FILE.replace("log = { level = 'warn' }", "")
            .replace("'h:1'", "'unix:run/b.sock'")
    );
    std::fs::write(&path, text).unwrap();
    let plan = load(&Source {
        file: Some(path),
        ..Source::default()
    })
    .expect("a good file")
    .plan;
    let within = |name: &str| folder.path().join(name);
    assert_eq!(plan.log.access, AccessLog::File(within("access.log")));
    let both = CertificateFiles {
        chain: within("a"),
        key: within("a"),
        passphrase: None,
    };
    assert_eq!(plan.sites[0].certificates, Certificates::Files(vec![both]));
    assert_eq!(addresses(&plan), [Address::Unix(within("run/b.sock"))]);
}

#[test]
fn every_value_is_explained_with_its_origin() {
    let case = Case::file(include_str!("explained.toml"))
        .and_flags("--log-level error")
        .and_variable("PORTCULLIS_LOG_FORMAT", "json")
        .and_variable("XDG_RUNTIME_DIR", "/run/user/1");
    assert_eq!(explained(&case.good().explained), include_str!("explained.txt"));
}

#[test]
fn a_plain_site_explains_nothing_of_tls() {
    let told = explained(&Case::flags("--plain --listen 127.0.0.1:1").good().explained);
    assert!(
        !told.contains("tls") && !told.contains("policy") && !told.contains("client_auth"),
        "{told}"
    );
}

#[test]
fn a_key_log_is_named_by_its_flag_or_by_the_variable_that_the_flag_asks_for() {
    let case = Case::flags("--self-signed --key-log keys").and_variable("SSLKEYLOGFILE", "others");
    assert_eq!(case.good().plan.key_log, Some(PathBuf::from("keys")));
    let told = "--key-log: whoever reads \"keys\" can decrypt all traffic\n  \
                hint: for debugging only: leave --key-log out, and delete the file";
    assert!(notices(&case).contains(&told.to_owned()), "{:?}", notices(&case));
    let env = Case::flags("--self-signed --key-log env");
    let set = env.clone().and_variable("SSLKEYLOGFILE", "others");
    let origin = Origin::Environment("SSLKEYLOGFILE".into());
    assert_eq!(origin_of(&set, "key_log"), ("\"others\"".into(), origin));
    assert_eq!(set.good().plan.key_log, Some(PathBuf::from("others")));
    let told = "--key-log: SSLKEYLOGFILE is not set\n  hint: set it to a file, or name the file: --key-log FILE\n";
    assert_eq!(env.bad(), told);
    assert_eq!(env.and_variable("SSLKEYLOGFILE", "").bad(), told);
    let unasked = Case::flags("--self-signed").and_variable("SSLKEYLOGFILE", "others");
    assert_eq!(unasked.good().plan.key_log, None);
    let by_file = Case::file(&format!("key_log = 'a'\n{FILE}"));
    assert!(by_file.bad().contains("key_log"), "no key of the file");
    let beside = Case::file(FILE).and_flags("--key-log keys");
    assert_eq!(beside.good().plan.key_log, Some(PathBuf::from("keys")));
}
