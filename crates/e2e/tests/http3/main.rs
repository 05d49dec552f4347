//! HTTP/3: the sites of a listener over QUIC, asked by clients that we did not write.
mod announced;
mod bodies;
mod crowd;
mod figures;
mod floods;
mod hostile;
mod identity;
mod life;
// of which other tests use more
#[allow(dead_code)]
#[path = "../http/origin.rs"]
mod origin;
mod policy;
mod requests;
mod rules;
mod talk;

use origin::Origin;
use portcullis_e2e::{
    PATIENCE,
    front::certificates,
    pki::{Algorithm, Pki},
    proxy::Proxy,
};
use serde_json::Value;
use std::{
    future::Future,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// Certificates, a server, and the proxy between.
struct Stage {
    pki: Pki,
    origin: Origin,
    proxy: Proxy,
}

/// Lines of a configuration, besides what each has.
#[derive(Clone, Copy, Default)]
struct Lines<'a> {
    top: &'a str,
    listener: &'a str,
    /// Of the site; empty: everything goes to the one upstream.
    site: &'a str,
    upstream: &'a str,
}

impl Stage {
    fn set(origin: Origin, lines: Lines<'_>) -> Stage {
        let pki = Pki::new();
        let proxy = Proxy::start(&toml(&pki, origin.address(), lines));
        Stage { pki, origin, proxy }
    }

    /// Before a server that answers with the line of each request.
    fn plain() -> Stage {
        Stage::set(Origin::plain(), Lines::default())
    }

    /// The line of the request with this path, waited for.
    fn line(&self, path: &str) -> Value {
        self.proxy.request(path)
    }

    fn address(&self) -> SocketAddr {
        self.proxy.address()
    }
}

/// ML-DSA-65 first, ECDSA P-256 second, over QUIC too.
fn toml(pki: &Pki, origin: SocketAddr, lines: Lines<'_>) -> String {
    let certificates = certificates(&[pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256)]);
    let Lines {
        top,
        listener,
        site,
        upstream,
    } = lines;
    let site = match site {
        "" => "upstream = 'back'",
        site => site,
    };
    format!(
        r#"
log = {{ level = "debug", format = "json", access = "-" }}
{top}
[[listener]]
name = "front"
mode = "http"
http3 = true
listen = ["127.0.0.1:0"]
{listener}
[[site]]
name = "site"
{certificates}
{site}
[upstream.back]
servers = ["{origin}"]
{upstream}
"#
    )
}

/// On the test's own thread.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

/// Waits for what comes by itself.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "it never came: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The same while connections of the test's own go on.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
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

/// FNV-1a: a body that differs in a byte or in its order differs here.
fn sum(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x} {}", bytes.len())
}
