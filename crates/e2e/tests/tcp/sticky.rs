//! `balance = { sticky = "cookie" }`: a client stays with the server that it began with.
use portcullis_e2e::{
    client::{Client, Offer},
    front::certificates,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use std::{collections::HashSet, io::Write};

struct Stage {
    proxy: Proxy,
    upstreams: [Upstream; 2],
}

impl Stage {
    /// Two servers that say their letters, behind a site.
    fn set(pki: &Pki, more: &str) -> Stage {
        let upstreams = servers();
        let proxy = proxy(pki, &upstreams, more);
        Stage { proxy, upstreams }
    }

    /// Another proxy before the same servers.
    fn beside(self, pki: &Pki, more: &str) -> Stage {
        let proxy = proxy(pki, &self.upstreams, more);
        Stage { proxy, ..self }
    }

    /// The letter of the server that answered, and the cookie that came with it.
    fn ask(&self, cookie: &str) -> (char, Option<String>) {
        let mut conversation = Client::new(Offer::default())
            .connect(self.proxy.address())
            .expect("a handshake");
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
        conversation.write_all(request.as_bytes()).expect("it takes a request");
        let answer = conversation.read_to_close().expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        (answer.chars().last().expect("a letter"), line.map(str::to_owned))
    }
}

fn servers() -> [Upstream; 2] {
    let answer = |letter: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{letter}").into_bytes();
    ["a", "b"].map(|letter| Upstream::start(Manner::Answer(answer(letter))))
}

fn proxy(pki: &Pki, servers: &[Upstream; 2], more: &str) -> Proxy {
    let [a, b] = servers.each_ref().map(|upstream| upstream.address().to_string());
    let site = certificates(&[pki.server(Algorithm::EcdsaP256)]);
    Proxy::start(&format!(
        "log = {{ format = \"json\", access = \"-\" }}\n[[listener]]\nname = \"front\"\nlisten = [\"127.0.0.1:0\"]\nmode = \"http\"\n\
         [[site]]\n{site}\n{more}\nupstream = \"back\"\n\
         [upstream.back]\nservers = [{a:?}, {b:?}]\nbalance = {{ sticky = \"cookie\" }}\n"
    ))
}

/// What a browser sends back of a line.
fn pair(line: &str) -> &str {
    line.split(';').next().expect("a pair")
}

#[test]
fn a_client_stays_with_its_server_by_a_cookie_that_no_upstream_sees() {
    let stage = Stage::set(&Pki::new(), "");
    let begun: HashSet<char> = (0..4).map(|_| stage.ask("mine=1").0).collect();
    assert_eq!(begun.len(), 2, "without a cookie they take turns");
    for _ in 0..2 {
        let (letter, line) = stage.ask("mine=1");
        let line = line.expect("a cookie");
        assert!(line.starts_with("__Host-portcullis-back="), "{line}");
        assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{line}");
        for _ in 0..4 {
            let cookies = format!("mine=1; {}; yours=2", pair(&line));
            assert_eq!(stage.ask(&cookies), (letter, None));
        }
    }
    let heard = stage
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.heard_when(|_| true));
    for heard in heard {
        let request = String::from_utf8(heard.bytes).expect("text");
        assert!(!request.contains("portcullis-back"), "{request}");
        assert!(request.contains("\r\nCookie: mine=1"), "{request}");
    }
}

#[test]
fn a_cookie_that_we_did_not_sign_holds_nobody() {
    let pki = Pki::new();
    let stage = Stage::set(&pki, "");
    let line = stage.ask("x=1").1.expect("a cookie");
    let (name, value) = pair(&line).split_once('=').expect("a pair");
    let (id, tag) = value.split_once('.').expect("an id and a tag");
    let other = (0..4).find_map(|_| stage.ask("x=1").1.filter(|other| !other.contains(id)));
    let other = other.expect("the other server's");
    let other = pair(&other)
        .split_once('=')
        .expect("a pair")
        .1
        .split_once('.')
        .expect("an id")
        .0
        .to_owned();
    for forged in [
        format!("{name}={other}.{tag}"),
        format!("{name}={id}.{}", &tag[1..]),
        format!("{name}={id}."),
        format!("{name}={id}"),
        format!("{name}="),
        format!("portcullis-back={value}"),
    ] {
        assert!(stage.ask(&forged).1.is_some(), "{forged}");
    }
    let stranger = stage.beside(&pki, "");
    assert!(
        stranger.ask(pair(&line)).1.is_some(),
        "another process has another secret"
    );
}

#[test]
fn proxies_that_share_a_ticket_secret_know_each_others_cookies() {
    let pki = Pki::new();
    let secret = pki.write("tickets.secret", "thirty-two bytes that nobody can guess");
    let more = format!("tls = {{ resumption = {{ secret_file = {secret:?} }} }}");
    let one = Stage::set(&pki, &more);
    let (letter, line) = one.ask("x=1");
    let line = line.expect("a cookie");
    let other = one.beside(&pki, &more);
    for _ in 0..4 {
        assert_eq!(other.ask(pair(&line)), (letter, None));
    }
}
