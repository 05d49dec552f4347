//! The proxy's tcp mode, in this process, between OpenSSL and a backend that remembers.
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Conversation, Offer, Seen},
    front::Front,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

mod admin;
mod balance;
mod certificates;
mod clients;
mod cores;
mod crowd;
mod encrypted_keys;
mod hello;
mod key_log;
mod ledger;
mod limits;
mod logs;
mod modes;
mod negotiation;
mod origin;
mod passthrough;
mod policy;
mod postgres;
mod proxy_protocol;
mod records;
mod relay;
mod reload;
mod resumption;
mod sites;
mod sticky;
mod tickets;
mod watch;

/// Certificates, a backend, and the proxy between.
struct Stage {
    pki: Pki,
    upstream: Upstream,
    proxy: Proxy,
}

impl Stage {
    /// ML-DSA-65 first, ECDSA P-256 second, before a backend of this manner.
    fn set(manner: Manner, change: impl FnOnce(&Pki, Front) -> Front) -> Stage {
        let pki = Pki::new();
        let upstream = Upstream::start(manner);
        let front = Front::new(&both(&pki), upstream.address());
        let proxy = Proxy::start(&change(&pki, front).toml());
        Stage { pki, upstream, proxy }
    }

    fn echo() -> Stage {
        Stage::set(Manner::Echo, |_, front| front)
    }

    fn connect(&self, offer: Offer) -> Conversation {
        let connected = Client::new(offer).connect(self.proxy.address());
        connected.unwrap_or_else(|failed| panic!("{failed}; {:#?}", self.proxy.records()))
    }
}

fn both(pki: &Pki) -> [portcullis_e2e::pki::Files; 2] {
    [pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256)]
}

/// The proxy's record says of the handshake what OpenSSL says.
fn assert_agree(seen: &Seen, record: &Value) {
    let text = |field: &str| record[field].as_str().expect("a text").to_owned();
    let version = seen.version.trim_start_matches("TLSv");
    assert_eq!(version, text("version"));
    assert_eq!(seen.cipher, text("cipher"));
    // A resumed TLS 1.2 session exchanges no keys: OpenSSL tells its original group, the record none.
    if seen.resumed && version == "1.2" {
        assert_eq!(text("group"), "");
    } else {
        let group = seen.group.clone().unwrap_or_default();
        assert_eq!(group.to_lowercase(), text("group").to_lowercase());
    }
    assert_eq!(seen.signature.clone().unwrap_or_default(), text("signature"));
    assert_eq!(seen.retry, record["retry"]);
    assert_eq!(seen.resumed, record["resumed"]);
}

/// Stage, fault and outcome of a connection that did not end well.
fn ending(record: &Value) -> [&str; 3] {
    ["outcome", "stage", "fault"].map(|field| record[field].as_str().expect("a text"))
}

/// Waits for what comes by itself.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "it never came: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
