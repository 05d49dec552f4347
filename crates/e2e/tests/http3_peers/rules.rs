//! One table of rules over HTTP/1.1, 2 and 3.
use super::{Lines, Stage, curl};
use portcullis_e2e::{
    peers::{Home, Peer},
    pki::Algorithm,
};

#[test]
fn same_rule_on_h1_h2_h3() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let stage = Stage::set(&[Algorithm::EcdsaP256], |_| Lines {
        site: r#"
            names = ["localhost"]
            [[site.route]]
            path = "/small"
            upstream = "back"
            limits = { body = "1KiB" }
            [[site.route]]
            path = "/headers"
            upstream = "back"
            headers = { request = { set = { "X-Env" = "prod" } }, response = { set = { "X-From" = "us" } } }
            [[site.route]]
            path = "/slow"
            upstream = "back"
            limits = { requests_per_second = { per = "ip", rate = 1, burst = 1 } }
            [[site.route]]
            path = "/health"
            respond = "health"
            [[site.route]]
            match = { exact = "/posts", methods = ["POST"] }
            upstream = "back"
        "#
        .to_owned(),
        ..Lines::default()
    });
    let body = super::file(&stage, "body", &[b'x'; 2_000]);
    let body = format!("@{}", peer.shares(&body).display());
    let long = format!("X-Long: {}", "a".repeat(33_000));
    let table: [(&[&str], &str, &str); 11] = [
        (&[], "/headers", "200"),
        (&[], "/health", "200"),
        (&[], "/nowhere", "404"),
        (&["--data-binary", &body], "/small", "413"),
        (&["--data-binary", "x"], "/small", "200"),
        (&["--path-as-is"], "/headers/%2f", "400"),
        (&["--path-as-is"], "/x/../headers", "200"),
        (&["--header", "Host: other.test"], "/headers", "421"),
        (&["--header", &long], "/headers", "431"),
        (&["--request", "POST"], "/posts", "200"),
        (&[], "/posts", "405"),
    ];
    let versions = ["--http1.1", "--http2", "--http3-only"];
    for (arguments, path, expected) in table {
        for version in versions {
            let more = [
                &[version, "--output", "/dev/null", "--write-out", "%{response_code}"],
                arguments,
            ]
            .concat();
            let said = curl(&peer, &stage, &more, path);
            assert_eq!(
                said.stdout, expected,
                "{version} {arguments:.80?} {path}: {}",
                said.stderr
            );
        }
    }
    for version in versions {
        let said = curl(&peer, &stage, &[version, "--include"], "/headers");
        assert!(
            said.stdout.to_lowercase().contains("x-from: us"),
            "{version}: {}",
            said.stdout
        );
    }
    let asked = stage.origin.asked();
    let with_ours: Vec<_> = asked
        .iter()
        .filter(|asked| asked.line().starts_with("GET /headers"))
        .collect();
    assert!(
        with_ours.len() >= 9
            && with_ours
                .iter()
                .all(|asked| asked.field("x-env").as_deref() == Some("prod"))
    );
    for version in versions {
        let more = [version, "--output", "/dev/null", "--write-out", "%{response_code} "];
        let said = curl(&peer, &stage, &more, "/slow?[1-20]");
        let refused = said.stdout.split(' ').filter(|status| *status == "429").count();
        assert!(
            refused > 0,
            "{version}: twenty requests within their second: {}",
            said.stdout
        );
    }
}

#[test]
fn http3_is_announced_to_those_who_come_over_tcp() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let stage = Stage::web();
    let remembered = super::file(&stage, "alt-svc", b"");
    let remembered = peer.shares(&remembered).display().to_string();
    let mut versions = Vec::new();
    for _ in 0..2 {
        let roots = peer.shares(&stage.pki.roots());
        let mut command = peer.command();
        command.args([
            "-sS",
            "--alt-svc",
            &remembered,
            "--write-out",
            "%{http_version}",
            "--output",
            "/dev/null",
        ]);
        let said = portcullis_e2e::command::run(command.arg("--cacert").arg(roots).arg(stage.url("/")), b"");
        versions.push(said.stdout);
    }
    assert_eq!(versions, ["2", "3"], "curl goes where it was told");
}

#[test]
fn a_policy_means_the_same_on_h1_h2_h3() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let here = r#"{ cidr = "127.0.0.0/8", until = "2099-12-31", reason = "old meters" }"#;
    let elsewhere = r#"{ cidr = "192.0.2.0/24", until = "2099-12-31", reason = "old meters" }"#;
    let table = [
        (r#"{ key_exchange = "prefer" }"#.to_owned(), "200"),
        (r#"{ key_exchange = "require" }"#.to_owned(), "000"),
        (r#"{ key_exchange = "require", report_only = true }"#.to_owned(), "200"),
        (format!(r#"{{ key_exchange = "require", exempt = [{here}] }}"#), "200"),
        (
            format!(r#"{{ key_exchange = "require", exempt = [{elsewhere}] }}"#),
            "000",
        ),
        (r#"{ key_exchange = "require", refuse = "page" }"#.to_owned(), "403"),
    ];
    let asked = ["--output", "/dev/null", "--write-out", "%{response_code}"];
    for (policy, expected) in table {
        let stage = Stage::set(&[Algorithm::EcdsaP256], |_| Lines {
            site: format!("policy = {policy}"),
            ..Lines::default()
        });
        for version in ["--http1.1", "--http2", "--http3-only"] {
            let classical = [&[version, "--curves", "X25519"], &asked[..]].concat();
            let said = curl(&peer, &stage, &classical, "/");
            assert_eq!(said.stdout, expected, "{version} {policy}: {}", said.stderr);
            let modern = [&[version], &asked[..]].concat();
            assert_eq!(curl(&peer, &stage, &modern, "/").stdout, "200", "{version} {policy}");
        }
        stage.proxy.connections_become(0);
        let mut groups: Vec<_> = stage
            .proxy
            .records()
            .iter()
            .map(|record| record["key_exchange"].clone())
            .collect();
        groups.retain(|class| class == "classical");
        let admitted = if expected == "000" { 0 } else { 3 };
        assert_eq!(groups.len(), admitted, "{policy}");
    }
}
