//! What is said of mistakes: all at once, each with its place.
use crate::kit::Case;
use portcullis_proxy::plan::Certificates;

/// Every problem of a case, one line each, without hints.
fn errors(case: &Case) -> Vec<String> {
    let problems = case.bad();
    problems
        .lines()
        .filter(|line| !line.starts_with("  hint"))
        .map(str::to_owned)
        .collect()
}

const GOOD_LISTENER: &str = "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:1']\n";
const GOOD_SITE: &str = "[[site]]\ncertificates = [{ chain = 'a' }]\nupstream = 'b'\n";
const GOOD_UPSTREAM: &str = "[upstream.b]\nservers = ['h:1']\n";

#[test]
fn a_file_full_of_mistakes_tells_them_all_at_once() {
    let problems = Case::file(include_str!("mistakes.toml")).bad();
    assert_eq!(problems, include_str!("mistakes.txt"));
}

#[test]
fn broken_text_is_told_by_line_and_nothing_else_is_guessed() {
    let case = Case::file("a = 1\n[log\nlevel = debug\n[[site]]\nnames = ['a'\nupstream = 'x'\n");
    let expected = [
        "portcullis.toml:2: unclosed table, expected `]`",
        "portcullis.toml:6: missing comma between array elements, expected `,`",
    ];
    assert_eq!(errors(&case), expected);
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    let told = [
        ("timeouts = {}", "it is a key of [upstream.NAME]"),
        ("crl = []", "it is a key of client_auth of a site"),
        ("workers = 1", "it stands at the top of the file"),
    ];
    for (line, hint) in told {
        let site = GOOD_SITE.replace("upstream", &format!("{line}\nupstream"));
        let problems = Case::file(&[GOOD_LISTENER, &site, GOOD_UPSTREAM].concat()).bad();
        assert!(problems.ends_with(&format!("hint: {hint}\n")), "{problems}");
    }
}

#[test]
fn a_policy_weaker_than_its_listeners_is_an_error_and_a_silent_one_is_tightened() {
    let listener = GOOD_LISTENER.to_owned() + "policy = 'require'\n";
    let with = |policy: &str| Case::file(&[&listener, GOOD_SITE, policy, "\n", GOOD_UPSTREAM].concat());
    let weaker =
        "portcullis.toml:8: site \"default\": policy key_exchange \"prefer\" is weaker than that of listener \"web\"";
    assert_eq!(errors(&with("policy = 'prefer'")), [weaker]);
    assert_eq!(errors(&with("policy = { key_exchange = 'prefer' }")), [weaker]);
    for silent in ["", "policy = { authentication = 'prefer' }", "policy = 'require'"] {
        let plan = with(silent).good().plan;
        let policy = plan.sites[0].demands_on(&plan.listeners[0]).words();
        assert_eq!(policy.key_exchange.as_str(), "require", "{silent}");
    }
}

#[test]
fn what_a_policy_requires_must_be_on_offer() {
    let offers = [
        ("tls = { groups = ['X25519'] }\npolicy = 'require'", "key exchange"),
        ("tls = { versions = ['1.2'] }\npolicy = 'require'", "key exchange"),
        (
            "tls = { signatures = ['ed25519'] }\npolicy = { authentication = 'require' }",
            "authentication",
        ),
    ];
    for (lines, what) in offers {
        let text = [GOOD_LISTENER, GOOD_SITE, lines, "\n", GOOD_UPSTREAM].concat();
        let [error] = errors(&Case::file(&text)).try_into().expect("one error");
        assert!(
            error.starts_with("portcullis.toml:8: site \"default\": policy requires"),
            "{error}"
        );
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn tls_and_plain_are_never_mixed() {
    let plain = GOOD_LISTENER.to_owned() + "plain = true\n";
    let site = "[[site]]\nnames = ['a']\ncertificates = [{ chain = 'a' }]\ntls = {}\nclient_auth = { mode = 'none' }\npolicy = 'observe'\nupstream = 'b'\n";
    let case = Case::file(&[&plain, site, GOOD_UPSTREAM].concat());
    let expected = [
        "portcullis.toml:6: site \"a\": names mean nothing on the plain listener \"web\"",
        "portcullis.toml:7: site \"a\": certificates mean nothing on the plain listener \"web\"",
        "portcullis.toml:8: site \"a\": tls means nothing on the plain listener \"web\"",
        "portcullis.toml:9: site \"a\": client_auth means nothing on the plain listener \"web\"",
        "portcullis.toml:10: site \"a\": policy means nothing on the plain listener \"web\"",
    ];
    assert_eq!(errors(&case), expected);
    let bare = "[[site]]\nlisteners = ['web']\nupstream = 'b'\n";
    let case = Case::file(&[GOOD_LISTENER, bare, GOOD_UPSTREAM].concat());
    assert_eq!(
        errors(&case),
        ["portcullis.toml:4: site \"default\": has no certificates for listener \"web\""]
    );
    let policy = plain + "policy = 'require'\n";
    let case = Case::file(&[&policy, bare, GOOD_UPSTREAM].concat());
    assert_eq!(
        errors(&case),
        ["portcullis.toml:5: listener \"web\": policy means nothing on a plain listener"]
    );
}

#[test]
fn names_and_addresses_are_given_once() {
    let second = "[[listener]]\nname = 'also'\nlisten = ['127.0.0.1:1', '127.0.0.1:0', '127.0.0.1:0']\n";
    let sites = ["x", "x"].map(|name| format!("[[site]]\nname = '{name}'\nnames = ['A.b', '*.b']\nlisteners = ['also']\ncertificates = [{{ chain = 'a' }}]\nupstream = 'b'\n"));
    let text = [
        GOOD_LISTENER,
        second,
        &sites.concat(),
        GOOD_SITE,
        GOOD_SITE,
        GOOD_UPSTREAM,
    ]
    .concat();
    let expected = [
        "portcullis.toml:6: listener \"also\": 127.0.0.1:1 is taken by listener \"web\"",
        "portcullis.toml:14: site \"x\": the name is taken",
        "portcullis.toml:15: site \"x\": \"a.b\" is taken by site \"x\" on listener \"also\"",
        "portcullis.toml:15: site \"x\": \"*.b\" is taken by site \"x\" on listener \"also\"",
        "portcullis.toml:22: site \"default\": has no names, and neither has site \"default\" on listener \"web\"",
    ];
    assert_eq!(errors(&Case::file(&text)), expected);
}

#[test]
fn the_same_names_may_stand_on_different_listeners() {
    let second = "[[listener]]\nname = 'also'\nlisten = ['127.0.0.1:2']\n";
    let site = |name: &str, listener: &str| {
        format!(
            "[[site]]\nname = '{name}'\nnames = ['a.b']\nlisteners = ['{listener}']\ncertificates = [{{ chain = 'a' }}]\nupstream = 'b'\n"
        )
    };
    let text = [
        GOOD_LISTENER,
        second,
        &site("x", "web"),
        &site("y", "also"),
        GOOD_UPSTREAM,
    ]
    .concat();
    let plan = Case::file(&text).good().plan;
    assert_eq!(
        (plan.sites[0].listeners.as_slice(), plan.sites[1].listeners.as_slice()),
        ([0].as_slice(), [1].as_slice())
    );
}

#[test]
fn parts_that_nothing_uses_are_told() {
    let lonely = GOOD_LISTENER.to_owned() + "[[listener]]\nname = 'egress'\nlisten = ['127.0.0.1:2']\nplain = true\n";
    let case = Case::file(&[&lonely, GOOD_SITE, GOOD_UPSTREAM].concat());
    assert_eq!(
        errors(&case),
        ["portcullis.toml:5: listener \"egress\": no site stands on it, so it could serve nobody"]
    );
    let case = Case::file(
        &[
            GOOD_LISTENER,
            GOOD_SITE,
            GOOD_UPSTREAM,
            "[upstream.spare]\nservers = ['h:2']\n",
        ]
        .concat(),
    );
    let notices: Vec<String> = case.good().notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices, ["portcullis.toml:9: upstream \"spare\": no site leads to it"]);
}

#[test]
fn what_is_said_of_client_certificates_that_nobody_asks_for_is_told() {
    for key in [
        "crl = ['a']",
        "allow = ['DNS:a']",
        "pins = ['sha256:00']",
        "anonymous = true",
    ] {
        let line =
            format!("client_auth = {{ mode = 'none', {key} }}\n").replace(":00'", &format!(":{}'", "00".repeat(32)));
        let case = Case::file(&[GOOD_LISTENER, GOOD_SITE, &line, GOOD_UPSTREAM].concat());
        let notices: Vec<String> = case.good().notices.iter().map(ToString::to_string).collect();
        let name = key.split(' ').next().expect("a key");
        let told = format!("no client certificate is asked for, so client_auth.{name} means nothing");
        assert!(notices.len() == 1 && notices[0].contains(&told), "{notices:?}");
    }
}

#[test]
fn a_plain_listener_beyond_this_machine_is_told_and_a_local_one_is_not() {
    let site = "[[site]]\nupstream = 'b'\n";
    let notices = |listen: &str| {
        let listener = format!("[[listener]]\nname = 'web'\nlisten = ['{listen}']\nplain = true\n");
        Case::file(&[&listener, site, GOOD_UPSTREAM].concat())
            .good()
            .notices
            .len()
    };
    for open in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
        assert_eq!(notices(open), 1, "{open}");
    }
    for local in [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
        "unix:/run/x",
    ] {
        assert_eq!(notices(local), 0, "{local}");
    }
}

#[test]
fn admin_on_an_address_needs_a_token_and_stays_on_this_machine() {
    let admin = |text: &str| Case::file(&[text, "\n", GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM].concat());
    assert_eq!(
        errors(&admin("admin = { listen = '127.0.0.1:2' }")),
        ["portcullis.toml:1: admin on 127.0.0.1:2 needs a token_file"]
    );
    let beyond = errors(&admin("admin = { listen = '0.0.0.0:2', token_file = 't' }"));
    assert_eq!(
        beyond,
        ["portcullis.toml:1: admin on 0.0.0.0:2 is beyond this machine, which needs TLS: not in this version"]
    );
    assert_eq!(
        errors(&admin("admin = { listen = '127.0.0.1:1', token_file = 't' }")),
        ["portcullis.toml:1: admin: 127.0.0.1:1 is taken by listener \"web\""]
    );
}

#[test]
fn a_key_that_nobody_knows_is_refused_in_every_section() {
    let top = ["log", "admin", "metrics", "shutdown"].map(|table| (format!("{table} = {{ nonsense = 1 }}\n"), table));
    for (line, table) in top {
        let errors = errors(&Case::file(&[&line, GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM].concat()));
        assert_eq!(errors, [format!("portcullis.toml:1: unknown key \"{table}.nonsense\"")]);
    }
    let within = [
        (3, "listener \"web\"", "nonsense = 1", "nonsense"),
        (3, "listener \"web\"", "limits = { nonsense = 1 }", "limits.nonsense"),
        (3, "listener \"web\"", "policy = { nonsense = 1 }", "policy.nonsense"),
        (6, "site \"default\"", "nonsense = 1", "nonsense"),
        (6, "site \"default\"", "tls = { nonsense = 1 }", "tls.nonsense"),
        (
            6,
            "site \"default\"",
            "tls = { resumption = { nonsense = 1 } }",
            "tls.resumption.nonsense",
        ),
        (
            6,
            "site \"default\"",
            "client_auth = { mode = 'none', nonsense = 1 }",
            "client_auth.nonsense",
        ),
        (6, "site \"default\"", "policy = { nonsense = 1 }", "policy.nonsense"),
        (8, "upstream \"b\"", "nonsense = 1", "nonsense"),
        (8, "upstream \"b\"", "timeouts = { nonsense = 1 }", "timeouts.nonsense"),
    ];
    let good = [GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM].concat();
    for (after, subject, line, key) in within {
        let mut lines: Vec<&str> = good.lines().collect();
        lines.insert(after, line);
        let errors = errors(&Case::file(&lines.join("\n")));
        assert_eq!(
            errors,
            [format!(
                "portcullis.toml:{}: {subject}: unknown key \"{key}\"",
                after + 1
            )]
        );
    }
    let certificate = good.replace("{ chain = 'a' }", "{ chain = 'a', nonsense = 1 }");
    let expected = "portcullis.toml:5: site \"default\": unknown key \"certificates.nonsense\"";
    assert_eq!(errors(&Case::file(&certificate)), [expected]);
    let server = good.replace("'h:1'", "{ address = 'h:1', nonsense = 1 }");
    let expected = "portcullis.toml:8: upstream \"b\": unknown key \"servers.nonsense\"";
    assert_eq!(errors(&Case::file(&server)), [expected]);
}

#[test]
fn an_empty_list_is_never_taken_for_a_default() {
    let with = |old: &str, new: &str| {
        errors(&Case::file(
            &[GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM].concat().replace(old, new),
        ))
    };
    let table = [
        (
            "['127.0.0.1:1']",
            "[]",
            "portcullis.toml:1: listener \"web\": listens nowhere",
        ),
        (
            "[{ chain = 'a' }]",
            "[]",
            "portcullis.toml:5: site \"default\": certificates is empty",
        ),
        ("['h:1']", "[]", "portcullis.toml:8: upstream \"b\": has no server"),
        (
            "upstream = 'b'",
            "upstream = 'b'\nlisteners = []",
            "portcullis.toml:7: site \"default\": listeners has none",
        ),
        (
            "upstream = 'b'",
            "upstream = 'b'\ntls = { groups = [] }",
            "portcullis.toml:7: site \"default\": no group that version 1.3 can use",
        ),
    ];
    for (old, new, expected) in table {
        let errors = with(&old.replace("name = 'web'\n", ""), new);
        assert!(
            errors.contains(&expected.replace("unnamed", "web")),
            "{expected} in {errors:#?}"
        );
    }
}

#[test]
fn values_are_taken_up_to_their_edges_and_no_further() {
    let good = [GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM].concat();
    let at = |line: &str| match line.split_once(": ").expect("a place and a line") {
        ("top", line) => format!("{line}\n{good}"),
        ("listener", line) => good.replace("name = 'web'", &format!("name = 'web'\n{line}")),
        ("site", line) => good.replace("upstream = 'b'", &format!("upstream = 'b'\n{line}")),
        (_, line) => format!("{good}{line}\n"),
    };
    let taken = [
        "top: workers = 'auto'",
        "top: workers = 1024",
        "top: metrics = { listen = 'off', sites = 0 }",
        "top: shutdown = { delay = '0s', grace = '0s' }",
        "listener: limits = { connections = 0, hello = 0, handshake = 'off', idle = '0s' }",
        "listener: limits = { connections = 'auto' }",
        "site: tls = { resumption = { lifetime = '7d' } }",
        "site: tls = { versions = ['TLSv1.3'] }",
        "site: client_auth = { mode = 'required', ca = 'a', crl = [], deny = [] }",
        "site: policy = { client_authentication = 'prefer' }",
        "upstream: timeouts = { connect = '1ms' }",
    ];
    for line in taken {
        Case::file(&at(line)).good();
    }
    let refused = [
        "top: workers = 0",
        "top: workers = 1025",
        "top: workers = 'many'",
        "top: workers = 1.0",
        "top: metrics = { sites = -1 }",
        "top: shutdown = { grace = 20 }",
        "top: log = { level = 'INFO' }",
        "top: log = 'info'",
        "top: big = 99999999999999999999",
        "listener: limits = { connections = -1 }",
        "listener: limits = { idle = 75 }",
        "listener: plain = 'no'",
        "listener: deny = '10.0.0.0/8'",
        "site: tls = { resumption = { lifetime = '169h' } }",
        "site: tls = { resumption = { lifetime = '0s' } }",
        "site: tls = { versions = ['1.1'] }",
        "site: tls = { versions = [] }",
        "site: tls = 'modern'",
        "site: client_auth = 'required'",
        "site: client_auth = { mode = 'required', ca = 'a', allow = ['agent-7'] }",
        "site: client_auth = { mode = 'required', ca = 'a', allow = [] }",
        "site: client_auth = { mode = 'required', ca = 'a', allow = 'DNS:a' }",
        "site: client_auth = { mode = 'required', ca = 'a', deny = ['subject:agent-7'] }",
        "site: client_auth = { mode = 'required', ca = 'a', deny = ['sha256:00'] }",
        "site: client_auth = { mode = 'required', ca = 'a', pins = ['sha256:00'] }",
        "site: client_auth = { mode = 'required', ca = 'a', pins = [] }",
        "site: client_auth = { mode = 'required', ca = 'a', crl_expired = 'ignore' }",
        "site: client_auth = { mode = 'required', ca = 'a', anonymous = true }",
        "site: policy = { client_authentication = 'require' }",
        "site: name = ''",
        "site: name = 'other'",
        "site: name = 'none'",
        "upstream: timeouts = { connect = '0s' }",
    ];
    for line in refused {
        assert_eq!(errors(&Case::file(&at(line))).len(), 1, "{line}");
    }
}

#[test]
fn mistakes_about_an_upstream_are_told_with_what_to_write() {
    let table = [
        ("tls = true", "tls must be a table, not true or false"),
        ("tls = { retry = true }", "unknown key \"tls.retry\""),
        (
            "tls = { groups = ['X25519'], policy = 'require' }",
            "policy requires a quantum-safe key exchange, but tls offers none",
        ),
        (
            "tls = { versions = ['1.2'], policy = { authentication = 'require' } }",
            "policy requires quantum-safe authentication, but tls offers no ML-DSA signature",
        ),
        (
            "tls = { policy = { client_authentication = 'require' } }",
            "policy.client_authentication means nothing towards an upstream",
        ),
        ("tls = { server_name = '*.a' }", "\"*.a\" is no DNS name"),
        ("tls = { certificates = [{ key = 'a' }] }", "a certificate has no chain"),
        ("balance = 'roundrobin'", "unknown balance \"roundrobin\""),
        ("balance = {}", "balance has neither hash nor sticky"),
        (
            "balance = { hash = 'source', sticky = 'cookie' }",
            "balance has hash and sticky",
        ),
        ("balance = { hash = 'header:' }", "\"header:\" is nothing to hash"),
        ("retries = -1", "retries must be from 0 to 100, not -1"),
        ("health = { path = 'healthz' }", "\"healthz\" is no path"),
        (
            "health = { status = [200] }",
            "health.status means nothing without health.path",
        ),
        (
            "health = { path = '/', status = [42] }",
            "health.status must be from 100 to 599, not 42",
        ),
        ("send_proxy = 1", "send_proxy 1 is not spoken"),
        ("send_proxy = true", "send_proxy must be 2, not true"),
        ("health = true", "health must be a table, not true or false"),
    ];
    for (line, said) in table {
        let text = [GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM, line, "\n"].concat();
        let [error] = errors(&Case::file(&text)).try_into().expect("one error");
        assert!(
            error.starts_with("portcullis.toml:") && error.contains("upstream \"b\""),
            "{error}"
        );
        assert!(error.contains(said), "{line}: {error}");
    }
    let unix = "[upstream.b]\nservers = ['unix:a']\ntls = {}\n";
    let [error] = errors(&Case::file(&[GOOD_LISTENER, GOOD_SITE, unix].concat()))
        .try_into()
        .expect("one error");
    assert!(
        error.contains("tls has no server_name, and unix:a has none either"),
        "{error}"
    );
    for (balance, what) in [
        ("{ hash = 'header:X' }", "header"),
        ("{ hash = 'uri' }", "uri"),
        ("{ sticky = 'cookie' }", "cookie"),
    ] {
        let text = [GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM, "balance = ", balance, "\n"].concat();
        let [error] = errors(&Case::file(&text)).try_into().expect("one error");
        assert!(
            error.contains(&format!("upstream \"b\" balances by {what}, which a tcp site has not")),
            "{error}"
        );
    }
}

#[test]
fn flags_about_the_target_need_tls_towards_it() {
    for flag in [
        "--target-ca a",
        "--target-name a",
        "--target-cert a",
        "--target-policy require",
    ] {
        let [error] = errors(&Case::flags(&format!("--plain {flag}")))
            .try_into()
            .expect("one error");
        assert!(
            error.contains("means nothing without TLS towards the target"),
            "{error}"
        );
    }
    let [error] = errors(&Case::flags("--plain --target-tls --target-key a"))
        .try_into()
        .expect("one error");
    assert!(error.contains("--target-key: a key without a certificate"), "{error}");
}

#[test]
fn a_proxy_header_is_taken_from_somebody() {
    let with = |line: &str| [GOOD_LISTENER, line, "\n", GOOD_SITE, GOOD_UPSTREAM].concat();
    for (line, said) in [
        ("proxy_protocol = {}", "proxy_protocol is taken from nobody"),
        ("proxy_protocol = { from = [] }", "proxy_protocol is taken from nobody"),
        (
            "proxy_protocol = { from = ['lb'] }",
            "proxy_protocol.from \"lb\" is no network",
        ),
        (
            "proxy_protocol = true",
            "proxy_protocol must be a table, not true or false",
        ),
    ] {
        let [error] = errors(&Case::file(&with(line))).try_into().expect("one error");
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn one_passphrase_opens_the_keys_of_both_sides() {
    let both = "--cert a --target-tls --target-cert b --passphrase-file p";
    for (line, site, target) in [
        (both, Some(true), true),
        ("--plain --target-tls --target-cert b --passphrase-file p", None, true),
        (
            "--cert a --target-tls --target-ca c --passphrase-file p",
            Some(true),
            false,
        ),
    ] {
        let plan = Case::flags(line).good().plan;
        let of_site = match &plan.sites[0].certificates {
            Certificates::Files(files) => Some(files.iter().all(|files| files.passphrase.is_some())),
            Certificates::SelfSigned | Certificates::None => None,
        };
        let tls = plan.upstreams[0].tls.as_ref().expect("it was asked for");
        let of_target = tls.certificates.iter().any(|files| files.passphrase.is_some());
        assert_eq!((of_site, of_target), (site, target), "{line}");
    }
}

#[test]
fn traces_say_where_they_go_and_how_many_there_are() {
    let good = [GOOD_LISTENER, GOOD_SITE, GOOD_UPSTREAM].concat();
    let table = [
        ("ratio = 1", "traces go nowhere without an endpoint"),
        (
            "endpoint = 'https://a'",
            "\"https://a\": traces go out over plain HTTP only",
        ),
        ("endpoint = 'a:4318'", "\"a:4318\" is no address of a collector"),
        ("endpoint = 'http://'", "\":4318\" is no address to connect to"),
        ("endpoint = 'http://a:0/x'", "\"a:0\" is no address to connect to"),
        (
            "endpoint = 'http://a/x y'",
            "\"http://a/x y\" has a path that no request can name",
        ),
        ("endpoint = 'http://a', ratio = 1.5", "1.5 is no share from 0 to 1"),
        ("endpoint = 'http://a', ratio = -1", "-1 is no share from 0 to 1"),
        ("endpoint = 'http://a', ratio = 'all'", "\"all\" is no number"),
    ];
    for (traces, complaint) in table {
        let errors = errors(&Case::file(&format!("traces = {{ {traces} }}\n{good}")));
        assert_eq!(errors.len(), 1, "{traces}: {errors:?}");
        assert!(
            errors[0].starts_with("portcullis.toml:1: ") && errors[0].contains(complaint),
            "{errors:?}"
        );
    }
    for (endpoint, sent_to) in [
        ("http://otel.internal", "http://otel.internal:4318/v1/traces"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/v1/traces"),
        ("http://[::1]:4318/otlp/v1/traces", "http://[::1]:4318/otlp/v1/traces"),
    ] {
        let source = Case::file(&format!("traces = {{ endpoint = '{endpoint}' }}\n{good}"));
        let traces = source.good().plan.traces.expect("they are on");
        assert_eq!((traces.to_string().as_str(), traces.per_million), (sent_to, 10_000));
    }
}
