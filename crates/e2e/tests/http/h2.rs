//! HTTP/2 as curl speaks it.
use crate::{Lines, SIDE, Stage, origin::Origin, pattern};
use portcullis_e2e::{
    command,
    peers::{Home, Peer},
};
use portcullis_proxy::ledger::Span;

const CURL: (Home, &str) = (Home::Trixie, "curl");

/// What curl prints: the answer, and behind it the version and the status.
fn curl(peer: &Peer, args: &[&str], input: &[u8]) -> String {
    let mut command = peer.command();
    command.args(["--silent", "--show-error", "--insecure", "--max-time", "60"]);
    command
        .args(["--write-out", " %{http_version} %{http_code}\n"])
        .args(args);
    let said = command::run(&mut command, input);
    assert!(said.status.success(), "{args:?}: {}", said.all());
    said.stdout
}

#[test]
fn curl_asks_over_http_2_with_and_without_tls() {
    let Some(peer) = Peer::find(CURL.0, CURL.1) else { return };
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            more: SIDE,
            ..Lines::default()
        },
    );
    let front = format!("https://localhost:{}", stage.proxy.address().port());
    let side = format!("http://127.0.0.1:{}", stage.proxy.address_of("side").port());
    let url = |path: &str| format!("{front}{path}");
    assert_eq!(
        curl(&peer, &["--http2", "--curves", "X25519MLKEM768", &url("/a?b")], b""),
        "GET /a?b 2 200\n"
    );
    assert_eq!(
        curl(&peer, &["--http2", "--data", "abc", &url("/p")], b""),
        "POST /p 2 200\n"
    );
    assert_eq!(
        curl(&peer, &["--http2-prior-knowledge", &format!("{side}/h2c")], b""),
        "GET /h2c 2 200\n"
    );
    let head = curl(&peer, &["--http2", "--head", &url("/h")], b"");
    assert!(
        head.starts_with("HTTP/2 200") && head.contains("content-length: 7\r\n"),
        "{head}"
    );
    let body = pattern(5_000_000);
    assert_eq!(
        curl(&peer, &["--http2", "--upload-file", "-", &url("/up")], &body),
        "PUT /up 2 200\n"
    );
    let asked = stage.origin.asked();
    assert_eq!(
        (&asked[1].body[..], asked[1].field("content-length").as_deref()),
        (&b"abc"[..], Some("3"))
    );
    assert!(
        asked.last().is_some_and(|asked| asked.body == body),
        "a body without a length arrives whole"
    );
    assert!(
        asked[0]
            .field("portcullis-tls")
            .is_some_and(|tls| tls.contains("group=X25519MLKEM768"))
    );
    assert_eq!(stage.line("/a?*")["outcome"], "ok");
}

#[test]
fn two_hundred_streams_at_once_are_answered_each_with_its_own() {
    let Some(peer) = Peer::find(CURL.0, CURL.1) else { return };
    let stage = Stage::plain();
    let url = format!("https://localhost:{}/[1-200]", stage.proxy.address().port());
    let said = curl(&peer, &["--http2", "--parallel", "--parallel-max", "100", &url], b"");
    assert_eq!(said.matches(" 2 200\n").count(), 200);
    let bodies = said.replace(" 2 200\n", "");
    let mut lines: Vec<&str> = bodies.split("GET ").skip(1).collect();
    let mut wanted: Vec<String> = (1..=200).map(|n| format!("/{n}")).collect();
    lines.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    assert_eq!(stage.origin.asked().len(), 200);
    stage.proxy.connections_become(0);
    let ever = Span { from: 0, to: i64::MAX };
    let ledger = stage.proxy.running().ledger(ever).expect("the ledger can be read");
    let requests: u64 = ledger.rows.iter().map(|row| row.sums.requests).sum();
    assert_eq!(requests, 200);
    assert!(
        ledger.clients[0].user_agents[0].starts_with("curl/"),
        "{:?}",
        ledger.clients
    );
}

const RULES: &str = r#"
limits = { body = "10B" }
[[site.route]]
path = "/ok"
upstream = "back"
strip_prefix = true
headers = { request = { set = { X-Set = "s" } }, response = { add = { X-B = "b" } } }
[[site.route]]
path = "/get"
match = { methods = ["GET"] }
upstream = "back"
[[site.route]]
path = "/deny"
upstream = "back"
deny = ["127.0.0.0/8"]
[[site.route]]
path = "/moved"
redirect = "https://www.example.com{uri}"
[[site.route]]
path = "/fixed"
respond = { status = 418, body = "tea" }
"#;

#[test]
fn same_rule_on_h1_and_h2() {
    let Some(peer) = Peer::find(CURL.0, CURL.1) else { return };
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site: RULES,
            ..Lines::default()
        },
    );
    let front = format!("https://localhost:{}", stage.proxy.address().port());
    let long = "x".repeat(40_000);
    let long = format!("X-Long: {long}");
    let table: [(&[&str], &str); 13] = [
        (&[], "/ok/a?b"),
        (&["--head"], "/fixed"),
        (&["--head"], "/none"),
        (
            &[
                "--header",
                "Portcullis-TLS: lie",
                "--header",
                "TE: trailers",
                "--cookie",
                "a=b; c=d",
            ],
            "/ok/c",
        ),
        (&["--data", "0123456789"], "/ok/p"),
        (&["--data", "0123456789a"], "/ok/p"),
        (&["--request", "DELETE"], "/get"),
        (&[], "/deny"),
        (&[], "/moved?x"),
        (&[], "/fixed"),
        (&[], "/none"),
        (&["--path-as-is"], "/ok/../ok/./%61"),
        (&[], "/ok/%2f"),
    ];
    for (args, path) in table {
        let url = format!("{front}{path}");
        let both = ["--http1.1", "--http2"].map(|version| {
            stage.origin.forget();
            let said = curl(&peer, &[&[version, "--dump-header", "-", &url], args].concat(), b"");
            let asked = stage.origin.asked();
            let heads: Vec<String> = asked.into_iter().map(|asked| plain_form(&asked.head)).collect();
            (plain_form(&said), heads)
        });
        assert_eq!(both[0], both[1], "{args:?} {path}");
    }
    for host in ["b.test", "localhost:1"] {
        let host = format!("Host: {host}");
        let both = ["--http1.1", "--http2"].map(|version| {
            let said = curl(
                &peer,
                &[
                    version,
                    "--output",
                    "/dev/null",
                    "--header",
                    &host,
                    &format!("{front}/fixed"),
                ],
                b"",
            );
            said.trim().rsplit(' ').next().map(str::to_owned)
        });
        assert_eq!(both[0], both[1], "{host}");
    }
    let refused = curl(
        &peer,
        &[
            "--http1.1",
            "--output",
            "/dev/null",
            "--header",
            &long,
            &format!("{front}/fixed"),
        ],
        b"",
    );
    assert_eq!(refused, " 1.1 431\n");
}

/// A head's lines in small letters and in one order, without the version, the connection's fields and what is new each time.
fn plain_form(head: &str) -> String {
    let lines = head.lines().map(|line| {
        let line = line.to_lowercase();
        let line = line.replace("http/2 ", "http/1.1 ").replace(" 1.1 ", " 2 ");
        // HTTP/2 has no reasons
        if line.starts_with("http/1.1 ") {
            line[..12].to_owned()
        } else {
            line
        }
    });
    // an empty answer of HTTP/2 ends with its head
    let varies = ["connection:", "date:", "content-length: 0"];
    let mut lines: Vec<String> = lines
        .filter(|line| !varies.iter().any(|name| line.starts_with(name)))
        .collect();
    lines.sort_unstable();
    let text = lines.join("\n");
    // our errors end with the request's own number
    let mut rest = text.split_whitespace().map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            "ID"
        } else {
            word
        }
    });
    let mut out = String::new();
    for word in rest.by_ref() {
        out.push_str(word);
        out.push(' ');
    }
    out
}
