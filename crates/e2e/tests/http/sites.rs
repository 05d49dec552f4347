//! Sites, routes, and what is done to requests and answers on their way.
use crate::{Lines, SIDE, Stage, eventually, origin::Origin, talk::Talk, toml};
use portcullis_e2e::{
    client::Offer,
    frames::H2,
    pki::{Algorithm, Pki},
};
use serde_json::Value;
use std::net::TcpListener;

fn get(host: &str, path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

#[test]
fn a_plain_listener_serves_by_host_and_says_421_to_others() {
    let more = format!("{SIDE}names = ['a.test', '*.example.test']");
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            more: &more,
            ..Lines::default()
        },
    );
    for (host, status) in [
        ("a.test", 200),
        ("A.TEST:8080", 200),
        ("x.example.test", 200),
        ("b.test", 421),
        ("x.y.example.test", 421),
    ] {
        assert_eq!(stage.side().ask(get(host, "/", "")).status, status, "{host}");
    }
    let asked = stage.origin.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].field("portcullis-tls"), None);
    assert_eq!(asked[1].field("x-forwarded-proto").as_deref(), Some("http"));
}

#[test]
fn sni_and_host_must_lead_to_the_same_site() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let other = format!(
        "[[site]]\nname = 'second'\nnames = ['b.test']\ncertificates = [{{ chain = {:?}, key = {:?} }}]\nupstream = 'back'",
        files.chain, files.key
    );
    let site = "names = ['a.test', '*.example.test']\nupstream = 'back'";
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site,
            more: &other,
            ..Lines::default()
        },
    );
    let table = [
        ("a.test", "a.test", 200),
        ("a.test", "x.example.test:8443", 200),
        ("a.test", "b.test", 421),
        ("b.test", "a.test", 421),
        ("b.test", "b.test:443", 200),
        ("a.test", "c.test", 421),
    ];
    for (sni, host, status) in table {
        let mut talk = stage.connect(Offer::default().named(sni).speaking(&["http/1.1"]));
        assert_eq!(talk.ask(get(host, "/", "")).status, status, "{sni} and {host}");
    }
    assert_eq!(stage.origin.asked().len(), 3);
}

#[test]
fn redirect_from_sends_to_https_what_is_served_and_nothing_else() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let plain = free.expect("a free port");
    let listener = format!("redirect_from = ['{plain}']\npublic_port = 8443");
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            listener: &listener,
            site: "names = ['a.test']\nupstream = 'back'",
            ..Lines::default()
        },
    );
    let mut talk = Talk::plain(plain);
    let answer = talk.ask(get("a.test:18089", "/x/y?z=1", ""));
    assert_eq!(
        (answer.status, answer.field("location").as_deref()),
        (308, Some("https://a.test:8443/x/y?z=1"))
    );
    assert_eq!(talk.ask(get("b.test", "/", "")).status, 421);
    assert_eq!(stage.origin.asked().len(), 0);
}

const ROUTES: &str = r#"
[[site.route]]
path = "/api/"
upstream = "back"
strip_prefix = true
[[site.route]]
path = "/old"
upstream = "back"
replace_prefix = "/new"
[[site.route]]
match = { exact = "/api/exact" }
upstream = "back"
[[site.route]]
match = { regex = "^/v[0-9]+/" }
upstream = "back"
headers = { request = { set = { X-Route = "regex" } } }
[[site.route]]
path = "/put"
match = { methods = ["PUT", "GET"] }
upstream = "back"
[[site.route]]
path = "/fixed"
respond = { status = 418, body = "tea", content_type = "text/x", headers = { X-Pot = "short" } }
[[site.route]]
path = "/moved"
redirect = { to = "https://www.example.com{uri}", status = 302 }
[[site.route]]
path = "/health"
respond = "health"
"#;

#[test]
fn each_request_takes_the_route_that_fits_it_best() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site: ROUTES,
            ..Lines::default()
        },
    );
    let mut talk = stage.talk();
    let table = [
        ("GET", "/api/a/b?q", 200, "GET /a/b?q"),
        ("GET", "/api/exact", 200, "GET /api/exact"),
        ("GET", "/api/x/../%65xact", 200, "GET /api/exact"),
        ("GET", "/old/a", 200, "GET /new/a"),
        ("GET", "/older", 404, ""),
        ("GET", "/v1/x", 200, "GET /v1/x"),
        ("PUT", "/put/1", 200, "PUT /put/1"),
        ("DELETE", "/put/1", 405, ""),
        ("GET", "/fixed", 418, "tea"),
        ("GET", "/a%2fb", 400, ""),
        ("GET", "/", 404, ""),
    ];
    for (method, path, status, body) in table {
        let answer = talk.ask(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, status, "{method} {path}");
        if !body.is_empty() {
            assert_eq!(answer.text(), body);
        }
        match status {
            405 => assert_eq!(answer.field("allow").as_deref(), Some("GET, HEAD, PUT")),
            418 => assert_eq!(
                (answer.field("x-pot"), answer.field("content-type")),
                (Some("short".into()), Some("text/x".into()))
            ),
            _ => {}
        }
    }
    let moved = talk.ask(get("localhost", "/moved/x?y", ""));
    assert_eq!(
        (moved.status, moved.field("location").as_deref()),
        (302, Some("https://www.example.com/moved/x?y"))
    );
    let health: Value = serde_json::from_slice(&talk.ask(get("localhost", "/health", "")).body).expect("JSON");
    let wanted = serde_json::json!({"proxy": "ok", "upstream": "ok", "quantum_safe": true, "group": "X25519MLKEM768", "safety": "full"});
    assert_eq!(health, wanted);
}

#[test]
fn headers_are_set_added_and_removed_both_ways() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 200 OK\r\nServer: secret\r\nX-A: up\r\nX-Frame-Options: DENY\r\nContent-Length: 0\r\n\r\n")
    });
    let headers = r#"
[[site.route]]
upstream = "back"
[site.route.headers]
security = true
request = { set = { X-Set = "s" }, add = { X-Add = "a" }, remove = ["X-Gone"] }
response = { set = { X-A = "down" }, add = { X-B = "b" }, remove = ["Server"] }
"#;
    let stage = Stage::set(
        origin,
        Lines {
            site: headers,
            ..Lines::default()
        },
    );
    let answer = stage.talk().ask(get(
        "localhost",
        "/",
        "X-Set: mine\r\nX_Set: mine\r\nX-Add: mine\r\nX-Gone: x\r\n",
    ));
    let asked = &stage.origin.asked()[0];
    let names = ["x-set", "x_set", "x-add", "x-gone"];
    assert_eq!(
        names.map(|name| asked.field(name)),
        [Some("s".into()), None, Some("mine, a".into()), None]
    );
    let table = [
        ("server", None),
        ("x-a", Some("down")),
        ("x-b", Some("b")),
        ("strict-transport-security", Some("max-age=63072000")),
        ("x-content-type-options", Some("nosniff")),
        ("x-frame-options", Some("DENY")),
        ("referrer-policy", Some("strict-origin-when-cross-origin")),
    ];
    for (name, value) in table {
        assert_eq!(answer.field(name).as_deref(), value, "{name}");
    }
}

#[test]
fn an_upstream_is_told_who_asks_and_what_was_negotiated_and_no_client_can_say_it() {
    let pki = Pki::new();
    let client = pki.client(Algorithm::MlDsa65);
    let site = format!(
        "client_auth = {{ mode = 'optional', ca = {:?} }}\nupstream = 'back'",
        client.root
    );
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site: &site,
            ..Lines::default()
        },
    );
    let lies = "Portcullis-TLS: x\r\nportcullis_tls: x\r\nPortcullis-Client: x\r\nClient-Cert: x\r\nX-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\nX-Forwarded-Host: evil\r\n";
    stage.talk().ask(get("localhost:8443", "/", lies));
    let offer = Offer::groups("X25519").speaking(&["http/1.1"]).presenting(client);
    stage.connect(offer).ask(get("localhost", "/", lies));
    let asked = stage.origin.asked();
    let told = |at: usize, name: &str| asked[at].field(name).unwrap_or_default();
    let line = "version=1.3, group=X25519MLKEM768, key_exchange=hybrid, signature=mldsa65, authentication=pq, safety=full, resumed=?0";
    assert_eq!(told(0, "portcullis-tls"), line);
    let line = "version=1.3, group=X25519, key_exchange=classical, signature=mldsa65, authentication=pq, safety=none, resumed=?0";
    assert_eq!(told(1, "portcullis-tls"), line);
    assert_eq!(told(0, "portcullis-client"), "");
    let identity = told(1, "portcullis-client");
    assert!(identity.starts_with("subject=\"CN=agent-7\", sha256=:"), "{identity}");
    assert!(identity.ends_with(":, authentication=pq"), "{identity}");
    let table = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "localhost:8443"),
        ("forwarded", "for=127.0.0.1;proto=https;host=\"localhost:8443\""),
        ("portcullis_tls", ""),
        ("client-cert", ""),
    ];
    for (name, value) in table {
        assert_eq!(told(0, name), value, "{name}");
    }
}

#[test]
fn who_may_not_ask_is_told_so() {
    let site = r#"
[[site.route]]
path = "/rate"
upstream = "back"
limits = { requests_per_second = { rate = 1, burst = 2 } }
[[site.route]]
path = "/deny"
upstream = "back"
deny = ["127.0.0.0/8"]
[[site.route]]
path = "/allow"
upstream = "back"
allow = ["10.0.0.0/8"]
[[site.route]]
path = "/pq"
upstream = "back"
policy = "require"
"#;
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site,
            ..Lines::default()
        },
    );
    let mut talk = stage.connect(Offer::groups("X25519").speaking(&["http/1.1"]));
    for (path, status) in [
        ("/rate", 200),
        ("/rate", 200),
        ("/rate", 429),
        ("/deny", 403),
        ("/allow", 403),
        ("/pq", 403),
    ] {
        let answer = talk.ask(get("localhost", path, ""));
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.field("retry-after").is_some(), status == 429);
    }
    assert_eq!(stage.talk().ask(get("localhost", "/pq", "")).status, 200);
    assert_eq!(stage.origin.asked().len(), 3);
    let mut refused = 0.0;
    eventually("the metric of the refusal", || {
        let labels = ["scope=\"request\"", "rule=\"key_exchange\"", "decision=\"refused\""];
        refused = stage.proxy.metric("portcullis_policy_total", &labels);
        refused > 0.0
    });
    assert_eq!(refused, 1.0);
}

#[test]
fn an_error_says_what_the_access_log_calls_it_and_is_json_for_who_wants_that() {
    let site = "[[site.route]]\npath = '/a'\nupstream = 'back'";
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            site,
            ..Lines::default()
        },
    );
    let mut talk = stage.talk();
    let plain = talk.ask(get("localhost", "/none", ""));
    let line = stage.line("/none");
    let id = line["request_id"].as_str().expect("a text");
    assert!(plain.text().contains(id), "{id} in {}", plain.text());
    assert!(
        plain
            .field("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    let json = talk.ask(get("localhost", "/json", "Accept: application/json\r\n"));
    let body: Value = serde_json::from_slice(&json.body).expect("JSON");
    assert!(
        body.to_string()
            .contains(stage.line("/json")["request_id"].as_str().expect("a text"))
    );
}

#[test]
fn an_access_line_tells_what_was_asked_and_answered_and_metrics_count_it() {
    let stage = Stage::plain();
    let mut talk = stage.talk();
    talk.ask("POST /up?q=1 HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: me/1 \"x\"\r\nReferer: https://r/\r\nContent-Length: 4\r\n\r\nabcd");
    let mut line = stage.line("/up?q=*");
    let fields = line.as_object_mut().expect("an object");
    let mut take = |name: &str| fields.remove(name).expect("a field of SPEC 6");
    let (ts, id, connection, us) = (
        take("ts"),
        take("request_id"),
        take("connection_id"),
        take("duration_us"),
    );
    assert!(
        ts.as_str().is_some_and(|ts| ts.ends_with('Z') && ts.len() == 24),
        "{ts}"
    );
    assert!(id.as_str().is_some_and(|id| id.len() == 16) && us.is_u64());
    assert_eq!(
        line,
        serde_json::json!({
            "event": "request", "site": "site", "method": "POST", "host": "localhost:8443", "path": "/up?q=*", "status": 200,
            "bytes_in": 4, "bytes_out": 12, "user_agent": "me/1 \\x22x\\x22", "referer": "https://r/", "upstream": "back",
            "upstream_server": stage.origin.address().to_string(), "upstream_status": 200, "policy": "",
            "outcome": "ok", "stage": "", "fault": "", "error": "",
        })
    );
    let local = talk.stream.local();
    talk.ask("INVENTED / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    talk.stream.close();
    let record = stage.proxy.record(local);
    assert_eq!(
        (&record["id"], &record["outcome"], &record["alpn"]),
        (&connection, &"ok".into(), &"http/1.1".into())
    );
    for (method, status) in [("POST", "200"), ("_OTHER", "200")] {
        let labels = [
            &*format!("method=\"{method}\""),
            &*format!("status=\"{status}\""),
            "site=\"site\"",
        ];
        assert_eq!(
            stage.proxy.metric("portcullis_requests_total", &labels),
            1.0,
            "{method}"
        );
    }
    assert_eq!(
        stage
            .proxy
            .metric("portcullis_request_duration_seconds_count", &["site=\"site\""]),
        2.0
    );
}

/// A second site and upstream, before those of the stage.
fn with_another(stage: &Stage, lines: Lines<'_>) -> String {
    let text = toml(&stage.pki, stage.origin.address(), lines);
    let other = "[upstream.a]\nservers = ['127.0.0.1:9']\n[[site]]\nname = 'first'\nnames = ['first.test']\nlisteners = ['front']\nupstream = 'a'\n";
    let certificates = text.lines().find(|line| line.starts_with("certificates"));
    let other = format!("{other}{}\n", certificates.expect("they are on one line"));
    let at = text.find("[[site]]").expect("a site");
    [&text[..at], &other, &text[at..]].concat()
}

#[test]
fn a_reload_that_does_not_concern_a_site_leaves_its_connections_at_rest_alone() {
    let stage = Stage::plain();
    let get = get("localhost", "/", "");
    let mut kept = stage.talk();
    let mut h2 = H2::over(stage.connect(Offer::default().speaking(&["h2"])).stream);
    assert_eq!(kept.ask(&get).text(), "GET /");
    h2.get(1, "/");
    assert_eq!(h2.status(1), "200");
    for round in 0..3 {
        // another site before it, its upstream too; without them; another level of the log
        let lines = Lines::default();
        let text = match round {
            0 => with_another(&stage, lines),
            1 => toml(&stage.pki, stage.origin.address(), lines),
            _ => toml(&stage.pki, stage.origin.address(), lines).replace("\"debug\"", "\"info\""),
        };
        stage.proxy.reload(&text).expect("a good file");
        assert_eq!(kept.ask(&get).text(), "GET /", "round {round}");
        h2.get(3 + 2 * round, "/");
        assert_eq!(h2.status(3 + 2 * round), "200", "round {round}");
    }
    let ways = [
        Lines {
            site: "upstream = 'back'\nlimits = { body = '1B' }",
            ..Lines::default()
        },
        Lines {
            site: "upstream = 'back'\nlimits = { body = '1B' }",
            listener: "deny = ['192.0.2.1/32']",
            ..Lines::default()
        },
        Lines {
            site: "upstream = 'back'\nlimits = { body = '1B' }",
            listener: "deny = ['192.0.2.1/32']",
            upstream: "timeouts = { connect = '3s' }",
            ..Lines::default()
        },
    ];
    for lines in ways {
        let mut ends = stage.talk();
        assert_eq!(ends.ask(&get).status, 200);
        let text = toml(&stage.pki, stage.origin.address(), lines);
        stage.proxy.reload(&text).expect("a good file");
        assert_eq!(ends.stream.read_to_close().expect("it ends properly"), b"", "{lines:?}");
    }
    assert_eq!(h2.goaway(), Some(0));
    // so does a certificate that is another, under the same name
    let mut ends = stage.talk();
    assert_eq!(ends.ask(&get).status, 200);
    let text = toml(&stage.pki, stage.origin.address(), ways[2]);
    let [new, old] = [Algorithm::EcdsaP384, Algorithm::MlDsa65].map(|algorithm| stage.pki.server(algorithm));
    for (from, to) in [(&new.chain, &old.chain), (&new.key, &old.key)] {
        std::fs::copy(from, to).expect("both are there");
    }
    stage.proxy.reload(&text).expect("a good file");
    assert_eq!(ends.stream.read_to_close().expect("it ends properly"), b"");
    assert_eq!(
        stage.connect(Offer::default()).stream.seen().signature.as_deref(),
        Some("ecdsa_secp384r1_sha384")
    );
}
