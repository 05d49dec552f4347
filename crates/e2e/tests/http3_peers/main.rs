//! HTTP/3 by clients that nobody here wrote: curl on OpenSSL's QUIC, aioquic, niquests on qh3, ngtcp2 on GnuTLS, and
//! Chromium, each with a QUIC and a TLS of its own.
use origin::{Asked, Origin, said};
use portcullis_e2e::{
    command::{Finished, run},
    front::certificates,
    peers::Peer,
    pki::{Algorithm, Pki},
    proxy::Proxy,
};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

mod bodies;
mod chromium;
mod clients;
mod lossy;
#[allow(dead_code, reason = "the tests of http use the rest of it")]
#[path = "../http/origin.rs"]
mod origin;
mod rules;

const HYBRID: &str = "X25519MLKEM768";

/// Certificates, a server, and the proxy between.
struct Stage {
    pki: Pki,
    origin: Origin,
    proxy: Proxy,
}

/// What a test adds to the configuration.
#[derive(Clone, Default)]
struct Lines {
    listener: String,
    site: String,
    more: String,
}

impl Stage {
    /// ECDSA first, ML-DSA second, as on the web.
    fn web() -> Stage {
        Stage::set(&[Algorithm::EcdsaP256, Algorithm::MlDsa65], |_| Lines::default())
    }

    fn set(algorithms: &[Algorithm], lines: impl FnOnce(&Pki) -> Lines) -> Stage {
        let pki = Pki::new();
        let origin = Origin::start(|asked, peer| peer.say(&answer(asked)));
        let proxy = Proxy::start(&toml(&pki, origin.address(), algorithms, &lines(&pki)));
        Stage { pki, origin, proxy }
    }

    fn port(&self) -> u16 {
        self.proxy.address().port()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port())
    }

    /// The one record there is, once its client has gone.
    fn record(&self) -> Value {
        let [record] = <[Value; 1]>::try_from(self.proxy.all_records()).expect("one connection");
        record
    }
}

fn toml(pki: &Pki, origin: SocketAddr, algorithms: &[Algorithm], lines: &Lines) -> String {
    let files: Vec<_> = algorithms.iter().map(|algorithm| pki.server(*algorithm)).collect();
    let certificates = certificates(&files);
    let Lines { listener, site, more } = lines;
    let service = if site.contains("[[site.route]]") {
        ""
    } else {
        "upstream = 'back'"
    };
    format!(
        r#"
log = {{ level = "debug", format = "json", access = "-" }}
[[listener]]
name = "front"
mode = "http"
http3 = true
listen = ["127.0.0.1:0"]
{listener}
[[site]]
name = "site"
{certificates}
{service}
{site}
[upstream.back]
servers = ["{origin}"]
{more}
"#
    )
}

/// `/echo` sends the body back, `/large` has 20 MB, and everything else its own line.
fn answer(asked: &Asked) -> Vec<u8> {
    match asked.line().split_once(' ').map(|(_, path)| path) {
        Some("/echo") => with_body(&asked.body),
        Some("/large") => with_body(&large()),
        _ => said(asked.line()),
    }
}

fn with_body(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// 20 MB that no piece of them can be taken out of, or moved in, unseen.
fn large() -> Vec<u8> {
    (0..2_500_000_u64).flat_map(u64::to_le_bytes).collect()
}

/// curl of trixie; `more` are its arguments before the URL.
fn curl(peer: &Peer, stage: &Stage, more: &[&str], path: &str) -> Finished {
    let roots = peer.shares(&stage.pki.roots());
    let mut command = peer.command();
    command
        .args(["--silent", "--show-error", "--http3-only", "--cacert"])
        .arg(roots)
        .args(more)
        .arg(stage.url(path));
    run(&mut command, b"")
}

/// What aioquic made of a plan, visit by visit. It knows classical groups alone.
fn aioquic(peer: &Peer, stage: &Stage, plan: Value) -> Vec<Value> {
    let mut plan = plan;
    plan["ca"] = Value::from(stage.pki.roots().display().to_string());
    plan["port"] = Value::from(stage.port());
    if plan["name"].is_null() {
        plan["name"] = Value::from("localhost");
    }
    let mut command = peer.command();
    let done = run(command.arg(beside("aio.py")), plan.to_string().as_bytes());
    assert!(done.status.success(), "{}", done.all());
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.all()))
}

/// What niquests got, or why it got nothing.
fn niquests(peer: &Peer, stage: &Stage, path: &str) -> Value {
    let mut command = peer.command();
    let done = run(
        command
            .arg(beside("niq.py"))
            .arg(stage.url(path))
            .arg(stage.pki.roots()),
        b"",
    );
    assert!(done.status.success(), "{}", done.all());
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.all()))
}

/// ngtcp2's example client on GnuTLS, which prints what came and checks no certificate. It knows classical groups alone.
fn gtlsclient(peer: &Peer, stage: &Stage, path: &str) -> Finished {
    let mut command = peer.command();
    command
        .args(["--exit-on-all-streams-close", "--timeout=10s", "127.0.0.1"])
        .arg(stage.port().to_string())
        .arg(stage.url(path));
    run(&mut command, b"")
}

fn beside(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/http3_peers")
        .join(script)
}

fn file(stage: &Stage, name: &str, bytes: &[u8]) -> PathBuf {
    let path = stage.pki.folder().join(name);
    fs::write(&path, bytes).expect("the folder takes a file");
    path
}
