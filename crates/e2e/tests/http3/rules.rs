//! One table of rules, limits, errors and fields, over all three.
use crate::{
    Lines, Stage,
    origin::{Go, Origin, said},
    run,
    talk::{Talk, request},
};
use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};
use portcullis_e2e::{
    command,
    peers::{Home, Peer},
};
use serde_json::Value;

const RULES: &str = r#"
names = ["localhost"]
limits = { body = "10B" }
[[site.route]]
path = "/ok"
upstream = "back"
strip_prefix = true
headers = { request = { set = { X-Set = "s" } }, response = { add = { X-B = "b" }, remove = ["X-Gone"] } }
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
[[site.route]]
path = "/once"
upstream = "back"
limits = { requests_per_second = { per = "site", rate = 1, burst = 3 } }
[[site.route]]
path = "/breaks"
upstream = "back"
"#;

/// A request: method, path, fields, body.
type Asked = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

/// What each of the three must say to it: the status, and a piece of its head or body.
const TABLE: &[(Asked, u16, &str)] = &[
    (("GET", "/ok/a?b", &[], ""), 200, "GET /a?b s"),
    (("GET", "/ok/a", &[], ""), 200, "x-b: b"),
    (("POST", "/ok", &[], "123456789"), 200, "POST / s"),
    (("POST", "/ok", &[], "12345678901"), 413, ""),
    (("GET", "/get", &[], ""), 200, "GET /get"),
    (("PUT", "/get", &[], "a"), 405, ""),
    (("GET", "/deny", &[], ""), 403, ""),
    (
        ("GET", "/moved?q", &[], ""),
        308,
        "location: https://www.example.com/moved?q",
    ),
    (("GET", "/fixed", &[], ""), 418, "tea"),
    (("GET", "/none", &[], ""), 404, ""),
    (("GET", "/ok/%2f", &[], ""), 400, ""),
    (("GET", "/breaks", &[], ""), 502, ""),
    (("GET", "/ok", &[("host", "elsewhere.test")], ""), 421, ""),
    (("HEAD", "/fixed", &[], ""), 418, "content-length: 3"),
    (
        (
            "GET",
            "/ok",
            &[("portcullis-tls", "forged"), ("x-real-ip", "1.2.3.4")],
            "",
        ),
        200,
        "tls=ours ip=127.0.0.1",
    ),
];

fn origin() -> Origin {
    Origin::start(|asked, peer| {
        if asked.line() == "GET /breaks" {
            return Go::Reset;
        }
        let field = |name: &str| asked.field(name).unwrap_or_default();
        let tls = match field("portcullis-tls").starts_with("version=1.3, group=X25519MLKEM768") {
            true => "ours",
            false => "theirs",
        };
        let said_back = format!(
            "{} {} tls={tls} ip={}",
            asked.line(),
            field("x-set"),
            field("x-real-ip")
        );
        let answer = String::from_utf8(said(&said_back)).expect("ASCII");
        peer.say(answer.replace("\r\n\r\n", "\r\nX-Gone: 1\r\n\r\n").as_bytes())
    })
}

/// Status, and head and body as one text.
fn by_curl(peer: &Peer, version: &str, stage: &Stage, (method, path, fields, body): Asked) -> (u16, String) {
    let url = format!("https://localhost:{}{path}", stage.address().port());
    let mut command = peer.command();
    command.args([
        "--silent",
        "--insecure",
        "--include",
        "--max-time",
        "60",
        "--path-as-is",
    ]);
    command.args([version, "--curves", "X25519MLKEM768", &url]);
    match method {
        "HEAD" => command.arg("--head"),
        _ => command.args(["--request", method]),
    };
    for (name, value) in fields {
        command.args(["--header", &format!("{name}: {value}")]);
    }
    if !body.is_empty() {
        command.args(["--data", body]);
    }
    let said = command::run(&mut command, b"");
    let text = said.stdout.to_ascii_lowercase();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{}", said.all())), said.stdout)
}

async fn by_quic(talk: &Talk, (method, path, fields, body): Asked) -> (u16, String) {
    let mut asked = request(Method::from_bytes(method.as_bytes()).expect("a method"), path);
    for (name, value) in fields {
        if *name == "host" {
            *asked.uri_mut() = format!("https://{value}{path}").parse().expect("a uri");
            continue;
        }
        let name = HeaderName::from_static(name);
        asked.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if !body.is_empty() {
        let length = HeaderValue::from(body.len());
        asked.headers_mut().insert("content-length", length);
    }
    let answer = talk.ask(asked, body.as_bytes()).await.expect("an answer");
    let head = answer.head.headers().iter();
    let head = head.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().expect("ASCII")));
    (answer.status(), head.collect::<String>() + &answer.text())
}

#[test]
fn same_rule_on_h1_h2_h3() {
    let lines = Lines {
        site: RULES,
        ..Lines::default()
    };
    let stage = Stage::set(origin(), lines);
    let judge = |by: &str, (asked, status, piece): &(Asked, u16, &str), said: (u16, String)| {
        assert_eq!(said.0, *status, "{by} {asked:?}: {}", said.1);
        let text = said.1.to_ascii_lowercase();
        assert!(text.contains(&piece.to_ascii_lowercase()), "{by} {asked:?}: {}", said.1);
        let is_edited = asked.1.starts_with("/ok");
        assert!(!is_edited || !text.contains("x-gone"), "{by} {asked:?}: {}", said.1);
    };
    run(async {
        let talk = Talk::begin(stage.address()).await;
        for row in TABLE {
            judge("h3", row, by_quic(&talk, row.0).await);
        }
        let rates = ["/once"; 5].map(|path| ("GET", path, &[][..], ""));
        let mut statuses = Vec::new();
        for asked in rates {
            statuses.push(by_quic(&talk, asked).await.0);
        }
        assert!(statuses.ends_with(&[429]), "{statuses:?}");
    });
    let lines = stage.proxy.requests_become(TABLE.len() + 5);
    assert_eq!(lines.len(), TABLE.len() + 5, "each has its line");
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    for version in ["--http1.1", "--http2"] {
        for row in TABLE {
            judge(version, row, by_curl(&peer, version, &stage, row.0));
        }
    }
}

/// A request's HEADERS frame with a field of 40,000 bytes, from the static table of RFC 9204 where that has it.
fn large_head() -> Vec<u8> {
    const SIZE: usize = 40_000;
    // GET, https, /, :authority
    let mut fields = vec![0, 0, 0xd1, 0xd7, 0xc1, 0x50, 9];
    fields.extend(b"localhost\x25large");
    // its length, 127 and the rest by seven bits
    fields.extend([0x7f, 0xc1, 0xb7, 0x02]);
    fields.extend([b'a'; SIZE]);
    let length = u32::try_from(fields.len()).expect("small") | 0x8000_0000;
    [&[1][..], &length.to_be_bytes(), &fields].concat()
}

/// Heads that are no requests, with what becomes of them: a status, or the code that their stream is reset with.
#[test]
fn what_is_no_request_reaches_nobody() {
    let lines = Lines {
        listener: "limits = { fields = 20 }",
        ..Lines::default()
    };
    let stage = Stage::set(Origin::plain(), lines);
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let with = |name: &'static str, value: &'static str| {
            let mut asked = request(Method::GET, "/");
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            asked.headers_mut().append(name, value);
            asked
        };
        for (name, value) in [
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("keep-alive", "5"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("content-length", "1x"),
            ("content-length", "+1"),
        ] {
            let refused = talk.ask(with(name, value), b"").await.expect_err(name);
            assert!(refused.contains("H3_MESSAGE_ERROR"), "{name}: {refused}");
        }
        let mut long = request(Method::POST, "/");
        long.headers_mut().insert("content-length", HeaderValue::from(5));
        assert_eq!(talk.ask(long, b"123456").await.expect("an answer").status(), 400);
        let mut many = request(Method::GET, "/");
        for at in 0..30 {
            let name = HeaderName::from_bytes(format!("x-{at}").as_bytes()).expect("a name");
            many.headers_mut().insert(name, HeaderValue::from_static("1"));
        }
        assert_eq!(talk.ask(many, b"").await.expect("an answer").status(), 431);
        // a library that keeps to what was told it does not send it
        let (mut send, mut recv) = talk.quic.open_bi().await.expect("a stream");
        send.write_all(&large_head()).await.expect("it is sent");
        let answer = recv.read_to_end(1000).await.expect("an answer");
        // HEADERS that end with 431 by Huffman's code (RFC 7541 B)
        assert_eq!(
            (answer[0], answer.ends_with(&[0x69, 0x90, 0xff])),
            (1, true),
            "{answer:?}"
        );
        assert_eq!(talk.get("/after").await.status(), 200);
    });
    let line = stage.proxy.request("");
    let told = ["status", "outcome", "fault", "error"].map(|field| line[field].clone());
    let why = "the head of its request is beyond limits.head_size";
    let wanted: [Value; 4] = [431.into(), "failed".into(), "client".into(), why.into()];
    assert_eq!(told, wanted);
    let asked: Vec<String> = stage
        .origin
        .asked()
        .iter()
        .map(|asked| asked.line().to_owned())
        .collect();
    assert_eq!(asked.last().map(String::as_str), Some("GET /after"));
    assert!(
        asked.iter().all(|line| line == "GET /after" || line == "POST /"),
        "{asked:?}"
    );
}
