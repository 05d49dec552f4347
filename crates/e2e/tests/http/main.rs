//! The proxy's http mode, in this process: what clients and servers that we did not write say of it, and what reaches
//! a server that remembers every byte.
use origin::{Go, Origin};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Conversation, Offer},
    front::certificates,
    pki::{Algorithm, Pki},
    proxy::Proxy,
};
use serde_json::Value;
use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};
use talk::Talk;

mod backends;
mod bodies;
mod broken;
mod corpus;
#[path = "../../../wire/tests/wire/http1_corpus.rs"]
mod http1_corpus;

mod floods;
mod h2;
mod messages;
mod origin;
mod policy;
mod protocol;
mod refused;
mod restarts;
mod sites;
mod streams;
mod talk;
mod traces;
mod upgrades;

/// Certificates, a server, and the proxy between.
struct Stage {
    pki: Pki,
    origin: Origin,
    proxy: Proxy,
}

/// Lines of a configuration, besides what each has.
#[derive(Clone, Copy, Default, Debug)]
struct Lines<'a> {
    top: &'a str,
    listener: &'a str,
    /// Of the site; empty: everything goes to the one upstream.
    site: &'a str,
    upstream: &'a str,
    /// Whole tables.
    more: &'a str,
}

impl Stage {
    /// ML-DSA-65 first, ECDSA P-256 second.
    fn set(origin: Origin, lines: Lines<'_>) -> Stage {
        let pki = Pki::new();
        let proxy = Proxy::start(&toml(&pki, origin.address(), lines));
        Stage { pki, origin, proxy }
    }

    /// Before a server that answers with the line of each request.
    fn plain() -> Stage {
        Stage::set(Origin::plain(), Lines::default())
    }

    fn connect(&self, offer: Offer) -> Talk<Conversation> {
        let connected = Client::new(offer).connect(self.proxy.address());
        Talk::tls(connected.unwrap_or_else(|failed| panic!("{failed}; {:#?}", self.proxy.records())))
    }

    /// A client of HTTP/1.1 that exchanges keys with X25519MLKEM768.
    fn talk(&self) -> Talk<Conversation> {
        self.connect(Offer::groups("X25519MLKEM768").speaking(&["http/1.1"]))
    }

    /// A client on the plain listener `side`.
    fn side(&self) -> Talk<TcpStream> {
        Talk::plain(self.proxy.address_of("side"))
    }

    /// The line of the request with this path, waited for.
    fn line(&self, path: &str) -> Value {
        self.proxy.request(path)
    }
}

/// A plain listener beside `front`, before the same server.
const SIDE: &str = r#"
[[listener]]
name = "side"
mode = "http"
plain = true
listen = ["127.0.0.1:0"]
[[site]]
name = "plain"
listeners = ["side"]
upstream = "back"
"#;

fn toml(pki: &Pki, origin: SocketAddr, lines: Lines<'_>) -> String {
    let certificates = certificates(&[pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256)]);
    let site = match lines.site {
        "" => "upstream = 'back'",
        site => site,
    };
    let Lines {
        top,
        listener,
        upstream,
        more,
        ..
    } = lines;
    format!(
        r#"
log = {{ level = "debug", format = "json", access = "-" }}
{top}
[[listener]]
name = "front"
mode = "http"
listen = ["127.0.0.1:0"]
{listener}
[[site]]
name = "site"
{certificates}
{site}
[upstream.back]
servers = ["{origin}"]
{upstream}
{more}
"#
    )
}

/// Waits for what comes by itself.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "it never came: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes that differ from their neighbours, so that a piece that is lost or moved shows.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}
