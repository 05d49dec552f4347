//! A new configuration: all of it, or nothing.
use crate::{Stage, both};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer},
    front::Front,
    pki::{Algorithm, Holder, Pki, credentials},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_proxy::{ReloadError, StartError};
use std::{net::TcpStream, thread, time::Duration, time::Instant};

/// The first certificate's scheme, as OpenSSL sees it.
fn scheme(proxy: &Proxy) -> String {
    let client = Client::new(Offer::default());
    let mut conversation = client.connect(proxy.address()).expect("a handshake");
    conversation.echo(b"still here");
    conversation.seen().signature.expect("a full handshake")
}

#[test]
fn a_broken_certificate_at_start_names_the_file_and_line() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let other = pki.server(Algorithm::MlDsa65);
    let chain = pki.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let missing = pki.folder().join("missing.pem");
    let upstream = Upstream::start(Manner::Echo);
    let mut broken = files.clone();
    broken.chain = chain;
    let mut absent = files.clone();
    absent.chain = missing;
    let mut mismatched = files;
    mismatched.key = other.key;
    for files in [broken, absent, mismatched] {
        let front = Front::new(std::slice::from_ref(&files), upstream.address());
        let Err(StartError::Config(problems)) = Proxy::try_start(&front.toml()) else {
            panic!("it starts with {files:?}");
        };
        assert_eq!(problems.len(), 1, "{problems:?}");
        let said = format!("{:?} {}", problems[0].origin, problems[0].message);
        assert!(said.contains("portcullis.toml"), "{said}");
        let (chain, key) = (files.chain.display().to_string(), files.key.display().to_string());
        assert!(
            said.contains(&chain) || said.contains(&key),
            "it names the file: {said}"
        );
    }
}

#[test]
fn a_broken_certificate_at_reload_keeps_the_old_one() {
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let files = pki.server(Algorithm::EcdsaP256);
    let toml = Front::new(std::slice::from_ref(&files), upstream.address()).toml();
    let proxy = Proxy::start(&toml);
    let name = files.chain.file_name().expect("a name").to_str().expect("UTF-8");
    pki.write(name, "no certificate at all");
    let rejected = proxy.reload(&toml);
    assert!(matches!(rejected, Err(ReloadError::Rejected(_))), "{rejected:?}");
    assert_eq!(scheme(&proxy), "ecdsa_secp256r1_sha256");
    assert_eq!(proxy.metric("portcullis_reloads_total", &["result=\"rejected\""]), 1.0);
    assert_eq!(proxy.metric("portcullis_config_last_reload_successful", &[]), 0.0);
    // Repaired, and with another algorithm, the next reload takes it.
    let made = credentials(Algorithm::MlDsa44, Holder::Server);
    pki.write(name, &made.chain);
    let key = files.key.file_name().expect("a name").to_str().expect("UTF-8");
    pki.write(key, &made.key);
    proxy.reload(&toml).expect("a good file");
    assert_eq!(scheme(&proxy), "mldsa44");
    assert_eq!(proxy.metric("portcullis_config_last_reload_successful", &[]), 1.0);
}

#[test]
fn a_broken_file_at_reload_changes_nothing() {
    let stage = Stage::echo();
    let address = stage.proxy.address();
    let rejected = stage.proxy.reload("this is = not TOML at all [");
    assert!(matches!(rejected, Err(ReloadError::Rejected(_))), "{rejected:?}");
    assert_eq!(stage.proxy.address(), address);
    stage.connect(Offer::default()).echo(b"as before");
}

#[test]
fn an_old_snapshot_is_gone_after_a_reload_with_a_connection_open() {
    let mut toml = String::new();
    let stage = Stage::set(Manner::Echo, |_, front| {
        toml = front.clone().site(r#"policy = "observe""#).toml();
        front
    });
    let mut established = stage.connect(Offer::default());
    established.echo(b"before");
    // One that has not said its hello yet, and one that has said half of it.
    let _silent = TcpStream::connect(stage.proxy.address()).expect("it listens");
    stage.proxy.connections_become(2);
    let old = stage.proxy.snapshot();
    assert!(old.upgrade().is_some());
    stage.proxy.reload(&toml).expect("a good file");
    let started = Instant::now();
    while old.upgrade().is_some() {
        assert!(started.elapsed() < PATIENCE, "somebody holds the old snapshot");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(stage.proxy.snapshot().upgrade().is_some());
    established.echo(b"after");
    established.close();
}

#[test]
fn a_reload_changes_policy_for_new_connections_and_leaves_old_ones() {
    let mut strict = String::new();
    let stage = Stage::set(Manner::Echo, |_, front| {
        strict = front.clone().site(r#"policy = { key_exchange = "require" }"#).toml();
        front
    });
    let mut old = stage.connect(Offer::groups("X25519"));
    old.echo(b"admitted");
    stage.proxy.reload(&strict).expect("a good file");
    old.echo(b"it stays");
    let address = stage.proxy.address();
    assert!(Client::new(Offer::groups("X25519")).connect(address).is_err());
    old.close();
}

#[test]
fn a_listener_that_stays_is_never_closed_and_others_come_and_go() {
    let mut both_doors = String::new();
    let mut one_door = String::new();
    let stage = Stage::set(Manner::Echo, |_, front| {
        one_door = front.toml();
        let second = "[[listener]]\nname = \"second\"\nmode = \"tcp\"\nlisten = [\"127.0.0.2:0\"]";
        both_doors = front.clone().more(second).toml();
        front
    });
    let address = stage.proxy.address();
    let mut held = stage.connect(Offer::default());
    stage.proxy.reload(&both_doors).expect("a good file");
    assert_eq!(stage.proxy.address(), address, "the first door is the same");
    let second = stage.proxy.address_of("second");
    let mut through_second = Client::new(Offer::default()).connect(second).expect("a handshake");
    through_second.echo(b"a new door");
    stage.proxy.reload(&one_door).expect("a good file");
    assert!(TcpStream::connect(second).is_err(), "the second door is closed");
    through_second.echo(b"who came through it stays");
    held.echo(b"and so does everyone");
    assert_eq!(stage.proxy.address(), address);
}

#[test]
fn an_address_that_is_taken_rejects_the_reload_whole() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut greedy = String::new();
    let stage = Stage::set(Manner::Echo, |_, front| {
        let address = taken.local_addr().expect("a bound socket");
        let second = format!("[[listener]]\nname = \"second\"\nmode = \"tcp\"\nlisten = [\"{address}\"]");
        let strict = front.clone().site(r#"policy = { key_exchange = "require" }"#);
        greedy = strict.more(&second).toml();
        front
    });
    let rejected = stage.proxy.reload(&greedy);
    assert!(matches!(rejected, Err(ReloadError::Rejected(_))), "{rejected:?}");
    stage.connect(Offer::groups("X25519")).echo(b"the old policy");
}

#[test]
fn reloads_under_load_lose_no_connection() {
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let tomls = ["prefer", "observe"].map(|word| {
        let front = Front::new(&both(&pki), upstream.address());
        front.site(&format!("policy = {word:?}")).toml()
    });
    let proxy = Proxy::start(&tomls[0]);
    let address = proxy.address();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let client = Client::new(Offer::groups("X25519MLKEM768"));
                    for _ in 0..60 {
                        let mut conversation = client.connect(address).expect("a handshake");
                        conversation.echo(b"come what may");
                        conversation.close();
                    }
                })
            })
            .collect();
        let mut reloads = 0;
        while !clients.iter().all(|client| client.is_finished()) {
            proxy.reload(&tomls[reloads % 2]).expect("a good file");
            reloads += 1;
        }
        assert!(reloads > 0);
    });
}
