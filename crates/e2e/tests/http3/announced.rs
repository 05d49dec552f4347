//! Where QUIC is to be had, as answers over TCP tell.
use crate::{Lines, Stage, origin::Origin, run, talk::Talk, toml};
use portcullis_e2e::client::{Client, Offer};
use std::io::{Read, Write};

/// The `alt-svc` of an answer over HTTP/1.1; `status path` of an upstream that has one of its own.
fn told(stage: &Stage, path: &str) -> Option<String> {
    let offer = Offer::groups("X25519MLKEM768").speaking(&["http/1.1"]);
    let mut talk = Client::new(offer).connect(stage.address()).expect("it connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    talk.write_all(request.as_bytes()).expect("an open connection");
    let mut answer = String::new();
    talk.read_to_string(&mut answer).expect("an answer");
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    let mut told = lines.filter(|(name, _)| name.eq_ignore_ascii_case("alt-svc"));
    let value = told.next().map(|(_, value)| value.to_owned());
    assert_eq!(told.next(), None, "once: {answer}");
    value
}

const ROUTES: &str = r#"
[[site.route]]
path = "/fixed"
respond = { status = 418, body = "tea" }
[[site.route]]
path = "/own"
upstream = "back"
headers = { response = { set = { "Alt-Svc" = 'h3=":9"' } } }
[[site.route]]
upstream = "back"
"#;

/// A server with an opinion of its own about where it is.
fn opinionated() -> Origin {
    Origin::start(|_, peer| peer.say(b"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":1\"\r\nContent-Length: 0\r\n\r\n"))
}

#[test]
fn answers_over_tcp_tell_of_quic_at_the_port_that_the_world_sees() {
    let lines = Lines {
        site: ROUTES,
        ..Lines::default()
    };
    let stage = Stage::set(opinionated(), lines);
    let here = format!("h3=\":{}\"; ma=86400", stage.address().port());
    for path in ["/", "/fixed"] {
        assert_eq!(told(&stage, path).as_ref(), Some(&here), "{path}");
    }
    assert_eq!(
        told(&stage, "/own").as_deref(),
        Some("h3=\":9\""),
        "the operator knows better"
    );
    run(async {
        let talk = Talk::begin(stage.address()).await;
        assert_eq!(talk.get("/fixed").await.field("alt-svc"), None, "it has come already");
    });
    let public = Lines {
        listener: "public_port = 443",
        ..Lines::default()
    };
    let stage = Stage::set(opinionated(), public);
    assert_eq!(told(&stage, "/").as_deref(), Some("h3=\":443\"; ma=86400"));
}

#[test]
fn what_was_told_is_withdrawn_when_quic_goes_and_told_again_when_it_comes_back() {
    let stage = Stage::plain();
    let with = toml(&stage.pki, stage.origin.address(), Lines::default());
    let without = with.replace("http3 = true", "http3 = false");
    assert!(told(&stage, "/").is_some_and(|told| told.starts_with("h3=")));
    // a second reload forgets nothing
    for _ in 0..2 {
        stage.proxy.reload(&without).expect("it is good");
        assert_eq!(told(&stage, "/").as_deref(), Some("clear"));
    }
    stage.proxy.reload(&with).expect("it is good");
    assert!(told(&stage, "/").is_some_and(|told| told.starts_with("h3=")));
    run(async {
        let talk = Talk::begin(stage.address()).await;
        assert_eq!(talk.get("/").await.status(), 200);
    });
}
