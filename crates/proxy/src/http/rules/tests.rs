use super::*;
use crate::http::forwarded::{Request, Spoken};
use crate::plan::ForwardPlan;

fn told(peer: &str, trusted: &[&str]) -> Told {
    let trusted: Vec<_> = trusted.iter().map(|network| network.parse().unwrap()).collect();
    Told::new(&Spoken {
        peer: peer.parse().ok(),
        trusted: &trusted,
        facts: None,
        chain: &[],
        forward: ForwardPlan::Identity,
    })
}

fn field<'a>((name, value): &'a (&'a str, &'a str)) -> Field<'a> {
    Field {
        name,
        value: value.as_bytes(),
    }
}

fn plan(request: EditsPlan, response: EditsPlan) -> HeadersPlan {
    HeadersPlan {
        request,
        response,
        security: false,
    }
}

fn edits(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> EditsPlan {
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    EditsPlan {
        remove: remove.iter().map(ToString::to_string).collect(),
        set: pairs(set),
        add: pairs(add),
    }
}

/// The lines that go up, without those that say whom they come from.
fn up(plan: &HeadersPlan, hop: &Hop<'_>, fields: &[(&str, &str)]) -> Vec<String> {
    let lines = all_up(plan, (hop, &told("192.0.2.1", &[])), fields);
    let ours = ["x-forwarded-", "x-real-ip: 192.0.2.1", "forwarded: for="];
    lines
        .into_iter()
        .filter(|line| !ours.iter().any(|own| line.starts_with(own)))
        .collect()
}

fn all_up(plan: &HeadersPlan, (hop, told): (&Hop<'_>, &Told), fields: &[(&str, &str)]) -> Vec<String> {
    let request = Request {
        fields: || fields.iter().map(field),
        host: "a.example",
        client: "192.0.2.1".parse().ok(),
    };
    let mut lines = Vec::new();
    Rules::new(plan).request((&request, hop), told, &mut Vec::new(), |name, value| {
        lines.push(format!("{name}: {}", String::from_utf8_lossy(value)));
    });
    lines
}

fn down(plan: &HeadersPlan, told: &Told, fields: &[(&str, &str)]) -> Vec<String> {
    let mut lines = Vec::new();
    let fields = fields.iter().map(field);
    Rules::new(plan).response((fields, &Hop::default()), told, |name, value| {
        lines.push(format!("{name}: {}", String::from_utf8_lossy(value)));
    });
    lines
}

/// What `Connection` says in a real head.
fn with_hop<T>(connection: &str, then: impl FnOnce(&Hop<'_>) -> T) -> T {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
    let mut fields = [portcullis_wire::http1::NO_FIELD; portcullis_wire::http1::MAX_FIELDS];
    let head = portcullis_wire::http1::request(head.as_bytes(), &mut fields);
    then(&head.expect("a good head").expect("a whole head").hop)
}

#[test]
fn what_belongs_to_one_connection_ends_here() {
    let fields = [
        ("Host", "a.example"),
        ("Connection", "close, X-Mine"),
        ("X-Mine", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "close"),
        ("Proxy-Authorization", "Basic x"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABk"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Accept", "*/*"),
        ("X-Yours", "2"),
    ];
    let lines = with_hop("close, X-Mine", |hop| up(&HeadersPlan::default(), hop, &fields));
    assert_eq!(lines, ["Accept: */*", "X-Yours: 2"]);
    let answer = [
        ("Connection", "close"),
        ("Proxy-Authenticate", "Basic"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Keep-Alive", "timeout=5"),
        ("Upgrade", "h2c"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ];
    let lines = down(&HeadersPlan::default(), &told("192.0.2.1", &[]), &answer);
    assert_eq!(lines, ["Set-Cookie: a=1", "Set-Cookie: b=2"]);
}

#[test]
fn nobody_outside_speaks_in_our_name() {
    let fields = [
        ("Portcullis-TLS", "safety=full"),
        ("portcullis_tls", "safety=full"),
        ("Portcullis-Client", "x"),
        ("Portcullis-Other", "x"),
        ("Client-Cert", ":x:"),
        ("client_cert", ":x:"),
        ("Client-Cert-Chain", ":x:"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X_Forwarded_For", "10.0.0.1"),
        ("X-Forwarded-Port", "1"),
        ("X-Real-IP", "10.0.0.1"),
        ("x_real_ip", "10.0.0.1"),
        ("Forwarded", "for=10.0.0.1"),
        ("Accept", "*/*"),
    ];
    let outside = all_up(
        &HeadersPlan::default(),
        (&Hop::default(), &told("192.0.2.1", &[])),
        &fields,
    );
    let expected = [
        "Accept: */*",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: a.example",
        "x-real-ip: 192.0.2.1",
        "forwarded: for=192.0.2.1;proto=http;host=a.example",
    ];
    assert_eq!(outside, expected);
    let inside = told("192.0.2.1", &["192.0.2.0/24"]);
    let inside = all_up(&HeadersPlan::default(), (&Hop::default(), &inside), &fields);
    let expected = [
        "X-Forwarded-Port: 1",
        "Accept: */*",
        "x-forwarded-for: 10.0.0.1, 192.0.2.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: a.example",
        "x-real-ip: 192.0.2.1",
        "forwarded: for=10.0.0.1, for=192.0.2.1;proto=http;host=a.example",
    ];
    assert_eq!(inside, expected);
}

#[test]
fn edits_remove_set_and_add() {
    let request = edits(
        &["x-gone", "x-forwarded-host"],
        &[("x-env", "prod"), ("x-real-ip", "hidden")],
        &[("via", "1.1 portcullis"), ("x-more", "b")],
    );
    let response = edits(&["server"], &[("x-a", "1")], &[("x-b", "2"), ("x-b", "3")]);
    let plan = plan(request, response);
    let fields = [
        ("X-Gone", "1"),
        ("x_gone", "2"),
        ("X-Env", "test"),
        ("X_Env", "forged"),
        ("X-More", "a"),
    ];
    let lines = all_up(&plan, (&Hop::default(), &told("192.0.2.1", &[])), &fields);
    let expected = [
        "X-More: a",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: http",
        "forwarded: for=192.0.2.1;proto=http;host=a.example",
        "x-env: prod",
        "x-real-ip: hidden",
        "via: 1.1 portcullis",
        "x-more: b",
    ];
    assert_eq!(lines, expected);
    let answer = [("Server", "x"), ("X-A", "0"), ("X-B", "1")];
    let lines = down(&plan, &told("192.0.2.1", &[]), &answer);
    assert_eq!(lines, ["X-B: 1", "x-a: 1", "x-b: 2", "x-b: 3"]);
}

#[test]
fn the_fields_of_http_2_go_the_same_way() {
    let mut map = hyper::HeaderMap::new();
    let fields = [
        ("x-forwarded-for", "198.51.100.7"),
        ("portcullis-tls", "x"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("accept", "*/*"),
    ];
    for (name, value) in fields {
        map.append(name, hyper::header::HeaderValue::from_static(value));
    }
    let fields = || {
        map.iter().map(|(name, value)| Field {
            name: name.as_str(),
            value: value.as_bytes(),
        })
    };
    let trusted = ["192.0.2.1/32".parse().unwrap()];
    let told = told("192.0.2.1", &["192.0.2.1/32"]);
    let request = Request {
        client: told.client(fields(), &trusted),
        fields,
        host: "a.example",
    };
    let mut lines = Vec::new();
    let rules = Rules::new(&HeadersPlan::default());
    rules.request((&request, &Hop::default()), &told, &mut Vec::new(), |name, value| {
        lines.push(format!("{name}: {}", String::from_utf8_lossy(value)));
    });
    let expected = [
        "accept: */*",
        "cookie: a=1; b=2",
        "x-forwarded-for: 198.51.100.7, 192.0.2.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: a.example",
        "x-real-ip: 198.51.100.7",
        "forwarded: for=192.0.2.1;proto=http;host=a.example",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn cookies_become_one_line() {
    let none = HeadersPlan::default();
    let hop = Hop::default();
    assert_eq!(up(&none, &hop, &[("Cookie", "a=1")]), ["Cookie: a=1"]);
    let several = [("cookie", "a=1"), ("accept", "x"), ("cookie", "b=2"), ("cookie", "c=3")];
    assert_eq!(up(&none, &hop, &several), ["accept: x", "cookie: a=1; b=2; c=3"]);
    let removed = plan(edits(&["cookie"], &[], &[]), EditsPlan::default());
    assert_eq!(up(&removed, &hop, &several), ["accept: x"]);
}

#[test]
fn security_fields_are_added_where_an_answer_has_none() {
    let secure = |response| HeadersPlan {
        security: true,
        ..plan(EditsPlan::default(), response)
    };
    let plain = told("192.0.2.1", &[]);
    let own = [("X-Frame-Options", "DENY")];
    let lines = down(&secure(EditsPlan::default()), &plain, &own);
    let expected = [
        "X-Frame-Options: DENY",
        "x-content-type-options: nosniff",
        "referrer-policy: strict-origin-when-cross-origin",
    ];
    assert_eq!(lines, expected, "no HSTS without TLS");
    let edited = edits(&["x-frame-options"], &[("referrer-policy", "no-referrer")], &[]);
    let lines = down(&secure(edited), &plain, &own);
    assert_eq!(
        lines,
        ["x-content-type-options: nosniff", "referrer-policy: no-referrer"]
    );
    assert_eq!(
        down(&plan(EditsPlan::default(), EditsPlan::default()), &plain, &[]),
        [""; 0]
    );
}

#[test]
fn trailers_carry_nothing_that_decides() {
    for good in ["grpc-status", "grpc-message", "Server-Timing", "x-checksum"] {
        assert!(passes_in_trailers(good), "{good}");
    }
    for bad in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Connection",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "X-Forwarded-For",
        "Portcullis-TLS",
        "Client_Cert",
        "Forwarded",
    ] {
        assert!(!passes_in_trailers(bad), "{bad}");
    }
}
