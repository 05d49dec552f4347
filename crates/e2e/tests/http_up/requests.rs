//! Requests of HTTP/1.1 and HTTP/2 at Node's HTTP/2 server.
use super::{Algorithm, Home, Path, Peer, Pki, Proxy, Server, Value, curl, plain, start};
use portcullis_e2e::{
    PATIENCE,
    frames::{H2, RST_STREAM, frame},
};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// As clients speak.
const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

fn node() -> Option<(Peer, Server)> {
    let peer = Peer::find(Home::Node, "node")?;
    let server = start(&peer, "server.js", &[Path::new("many")]);
    Some((peer, server))
}

fn what(proxy: &Proxy, arguments: &[&str]) -> Value {
    let told = curl(proxy, "/what?a=b", arguments);
    serde_json::from_str(&told.stdout).unwrap_or_else(|error| {
        let failed: Vec<Value> = proxy
            .lines("request")
            .into_iter()
            .filter(|line| line["outcome"] != "ok")
            .collect();
        panic!("{error}: {}\n{failed:#?}", told.all())
    })
}

#[test]
fn a_server_is_told_the_same_whatever_the_client_speaks_and_over_one_connection() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    for version in VERSIONS {
        let told = what(
            &proxy,
            &[version, "-H", "Host: shop.test", "-H", "X-One: 1", "-H", "TE: trailers"],
        );
        let field = |name: &str| told["headers"][name].as_str().unwrap_or_default();
        assert_eq!(told["version"], "2.0");
        assert_eq!(told["session"], 1, "{told}");
        assert_eq!(told["url"], "/what?a=b");
        assert_eq!(field(":authority"), "shop.test");
        assert_eq!(field(":scheme"), "http");
        assert_eq!(field("x-one"), "1");
        assert_eq!(field("te"), "trailers");
        assert_eq!(field("x-forwarded-for"), "127.0.0.1");
        assert_eq!(field("host"), "");
    }
}

#[test]
fn the_authority_is_what_the_plan_says() {
    let Some((_, server)) = node() else { return };
    let own = server.address.to_string();
    for (host, expected) in [("upstream", own.as_str()), ("inner.test:81", "inner.test:81")] {
        let proxy = plain(server.address, &format!("http = \"h2c\"\nhost = {host:?}"));
        assert_eq!(what(&proxy, &[])["headers"][":authority"], expected);
    }
}

#[test]
fn bodies_pass_both_ways_with_and_without_a_length() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    let body = tempfile::NamedTempFile::new().expect("a temporary file");
    let text: String = (0..400_000).map(|number| format!("{number},")).collect();
    std::fs::write(body.path(), &text).expect("it takes it");
    let at = format!("@{}", body.path().display());
    for version in VERSIONS {
        for chunked in [&[][..], &["-H", "Transfer-Encoding: chunked"]] {
            if version != VERSIONS[0] && !chunked.is_empty() {
                continue;
            }
            let sent = [&[version, "--data-binary", at.as_str()][..], chunked].concat();
            let echoed = curl(&proxy, "/echo", &sent);
            assert!(echoed.stdout == text, "{version} {chunked:?}: {}", echoed.stderr);
            let counted = curl(&proxy, "/length", &sent);
            assert_eq!(counted.stdout, format!("{} {{}}", text.len()), "{}", counted.stderr);
        }
        let large = curl(&proxy, "/large", &[version]);
        assert_eq!(large.stdout.len(), 5_000_000, "{}", large.stderr);
        // a stream without a length
        let stdin = curl(
            &proxy,
            "/length",
            &[version, "-T", body.path().to_str().expect("a name")],
        );
        assert_eq!(stdin.stdout, format!("{} {{}}", text.len()), "{}", stdin.stderr);
    }
}

#[test]
fn answers_without_a_body_end_and_heads_and_trailers_pass() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    for version in VERSIONS {
        let shown = |path: &str, more: &[&str]| {
            let finished = curl(&proxy, path, &[&[version, "-D", "-"][..], more].concat());
            assert!(finished.status.success(), "{path}: {}", finished.all());
            finished.stdout.to_lowercase()
        };
        assert!(shown("/empty", &[]).contains(" 200"));
        assert!(shown("/none", &[]).contains(" 204"));
        assert!(shown("/missing", &[]).contains(" 404"));
        let head = shown("/large", &["-I"]);
        assert!(head.contains("content-length: 5000000"), "{head}");
        let trailers = shown("/trailers", &[]);
        assert!(
            trailers.contains("body") && trailers.contains("x-sum: 42"),
            "{trailers}"
        );
    }
    for version in VERSIONS {
        let hinted = curl(&proxy, "/hints", &["-D", "-", version]).stdout;
        assert!(hinted.contains(" 103 ") && hinted.ends_with("hinted"), "{hinted}");
    }
}

#[test]
fn an_answer_that_is_cut_off_does_not_look_complete() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    for version in VERSIONS {
        let cut = curl(&proxy, "/cut", &[version]);
        assert!(!cut.status.success(), "{version}: {}", cut.all());
        assert_eq!(cut.stdout, "half", "{version}: {}", cut.all());
        if version == VERSIONS[1] {
            // RFC 9113 7: CANCEL, as the server said
            assert!(cut.stderr.contains("(err 8)"), "{}", cut.all());
        }
    }
}

#[test]
fn what_a_server_refused_is_asked_again_and_only_that() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, "http = \"h2c\"\nretries = 1");
    // safe though it is no idempotent method: the server said that it did nothing
    let refused = curl(&proxy, "/refuse-once", &["-X", "POST"]);
    assert_eq!(refused.stdout, "tries: 2", "{}", refused.all());
    let broken = curl(&proxy, "/bye", &["-X", "POST", "-o", "/dev/null", "-w", "%{http_code}"]);
    assert_eq!(broken.stdout, "502", "{}", broken.all());
}

#[test]
fn a_connection_that_says_goodbye_or_dies_is_replaced() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    assert_eq!(what(&proxy, &[])["session"], 1);
    assert_eq!(curl(&proxy, "/goaway", &[]).stdout, "last");
    assert_eq!(what(&proxy, &[])["session"], 2);
    curl(&proxy, "/bye", &["-X", "POST"]);
    assert_eq!(what(&proxy, &[])["session"], 3);
}

#[test]
fn alpn_decides_where_it_may_and_is_demanded_where_it_must() {
    let Some(peer) = Peer::find(Home::Node, "node") else {
        return;
    };
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let mode = Path::new("alpn");
    let server = start(&peer, "server.js", &[&files.chain, &files.key, mode]);
    let proxy = |line: &str| {
        let tls = format!(
            "tls = {{ ca = {:?}, server_name = \"localhost\" }}\n{line}",
            pki.roots()
        );
        plain(server.address, &tls)
    };
    for (line, version) in [("", "2.0"), (r#"http = "2""#, "2.0"), (r#"http = "1.1""#, "1.1")] {
        assert_eq!(what(&proxy(line), &[])["version"], version, "{line}");
    }
    // Node's answer to an upgrade that it does not know is an ordinary one
    let upgrade = ["--http1.1", "-H", "Connection: upgrade", "-H", "Upgrade: chat"];
    assert_eq!(what(&proxy(""), &upgrade)["version"], "1.1");
}

#[test]
fn a_server_that_speaks_no_http2_is_told_of() {
    let Some(peer) = Peer::find(Home::Node, "node") else {
        return;
    };
    let script = "const s = require('http').createServer((q, a) => a.end('one'));\
        s.listen(0, '127.0.0.1', () => console.log(s.address().port));";
    let server = Server::run(peer.command().args(["-e", script]));
    let proxy = plain(server.address, r#"http = "h2c""#);
    let status = curl(&proxy, "/", &["-o", "/dev/null", "-w", "%{http_code}"]);
    assert_eq!(status.stdout, "502", "{}", status.all());
    assert_eq!(curl(&plain(server.address, ""), "/", &[]).stdout, "one");
}

#[test]
fn many_requests_at_once_share_connections_up_to_what_each_carries() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    assert_eq!(sessions(&proxy), [("session 1".to_owned(), 40)].into());
    let peer = Peer::find(Home::Node, "node").expect("it was there");
    let few = start(&peer, "server.js", &[Path::new("few")]);
    let proxy = plain(few.address, r#"http = "h2c""#);
    // what it carries it says first of all
    what(&proxy, &[]);
    let shared = sessions(&proxy);
    assert_eq!(shared.values().sum::<usize>(), 40, "{shared:?}");
    assert!(shared.len() > 3, "{shared:?}");
}

#[test]
fn clients_that_do_not_read_hold_up_no_other() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    let lazy: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(proxy.address()).expect("the proxy listens");
            stream
                .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
                .expect("a request fits");
            let mut first = [0; 1];
            stream.read_exact(&mut first).expect("the answer begins");
            stream
        })
        .collect();
    let told = what(&proxy, &[]);
    assert_eq!(told["session"], 1, "{told}");
    assert_eq!(curl(&proxy, "/large", &[]).stdout.len(), 5_000_000);
    drop(lazy);
}

#[test]
fn the_record_tells_the_server_and_what_moved() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    for version in VERSIONS {
        let marked = format!("/echo?{}", version.trim_start_matches('-'));
        assert_eq!(curl(&proxy, &marked, &[version, "-d", "12345"]).stdout, "12345");
    }
    for record in proxy.requests_become(VERSIONS.len()) {
        assert_eq!(record["upstream_server"], server.address.to_string(), "{record}");
        assert_eq!(record["upstream_status"], 200, "{record}");
        assert_eq!([&record["bytes_in"], &record["bytes_out"]], [5, 5], "{record}");
    }
}

/// Over which connections forty slow requests at once went, and how many over each.
fn sessions(proxy: &Proxy) -> BTreeMap<String, usize> {
    let config = format!("url = \"http://{}/slow\"\noutput = \"-\"\n", proxy.address()).repeat(39);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), config).expect("it takes it");
    let name = file.path().to_str().expect("a name");
    let all = curl(proxy, "/slow", &["-Z", "--parallel-immediate", "-K", name]);
    assert!(all.status.success(), "{}", all.stderr);
    let mut sessions = BTreeMap::new();
    for line in all.stdout.lines() {
        *sessions.entry(line.to_owned()).or_default() += 1;
    }
    sessions
}

#[test]
fn trailers_of_a_request_in_chunks_reach_the_server() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    let mut stream = TcpStream::connect(proxy.address()).expect("the proxy listens");
    let head = "POST /length HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = "5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n";
    stream.write_all([head, body].concat().as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    assert!(answer.contains(r#"5 {"x-sum":"42"}"#), "{answer}");
}

#[test]
fn a_stream_that_is_given_up_is_reset_at_the_server_and_others_of_its_connection_go_on() {
    let Some((_, mut server)) = node() else { return };
    let proxy = plain(server.address, r#"http = "h2c""#);
    let stream = TcpStream::connect(proxy.address()).expect("the proxy listens");
    let mut h2 = H2::over(stream);
    h2.get(1, "/hang");
    h2.get(3, "/slow");
    // it came with the one before it
    assert_eq!(h2.status(3), "200");
    h2.send(&frame((RST_STREAM, 0), 1, &[0, 0, 0, 8]));
    // RFC 9113 7: CANCEL
    assert_eq!(server.line(), "given up with 8");
    let told = what(&proxy, &[]);
    assert_eq!(told["session"], 1, "{told}");
    let hung = proxy.request("/hang");
    assert_eq!((&hung["outcome"], &hung["fault"]), (&"failed".into(), &"client".into()));
}

#[test]
fn a_connection_at_rest_is_closed_when_its_time_is_over() {
    let Some((_, server)) = node() else { return };
    let proxy = plain(server.address, "http = \"h2c\"\ntimeouts = { idle = \"1s\" }");
    assert_eq!(what(&proxy, &[])["session"], 1);
    assert_eq!(proxy.metric("portcullis_upstream_connections_open", &[]), 1.0);
    let started = Instant::now();
    while proxy.metric("portcullis_upstream_connections_open", &[]) > 0.0 {
        assert!(started.elapsed() < PATIENCE, "it stays open");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(what(&proxy, &[])["session"], 2);
}
