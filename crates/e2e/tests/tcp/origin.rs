//! TLS towards upstreams: the proxy between plain or TLS clients and OpenSSL servers.
use crate::{both, ending, eventually};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    front::{Front, certificates},
    pki::{Algorithm, Files, Holder, Pki},
    proxy::Proxy,
    server::{Server, Terms},
    upstream::{Manner, Upstream},
};
use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    thread,
};

fn terms(files: Files) -> Terms {
    Terms {
        groups: String::new(),
        versions: Versions::Both,
        certificates: vec![files],
        client_roots: None,
    }
}

/// A plain listener before a TLS server.
fn egress(server: &Server, tls: &str) -> Front {
    let tls = format!("tls = {{ {tls} }}");
    Front::new(&[], server.address())
        .listener("plain = true")
        .upstream(&tls)
}

fn ca(root: &Path) -> String {
    format!("ca = {root:?}")
}

/// Says something through a plain listener, ends, and reads to the end.
fn say(address: SocketAddr, bytes: &[u8]) -> (SocketAddr, io::Result<Vec<u8>>) {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket
        .set_read_timeout(Some(portcullis_e2e::PATIENCE))
        .expect("an open socket");
    let local = socket.local_addr().expect("a connected socket");
    let mut heard = Vec::new();
    let said = socket.write_all(bytes).and_then(|()| socket.shutdown(Shutdown::Write));
    let read = said.and_then(|()| socket.read_to_end(&mut heard));
    (local, read.map(|_| heard))
}

/// What comes back of it, and the record.
fn echoed(proxy: &Proxy, bytes: &[u8]) -> Value {
    let (local, heard) = say(proxy.address(), bytes);
    let record = proxy.record(local);
    assert_eq!(heard.expect("an echo"), bytes, "{record:#?}");
    assert_eq!(record["outcome"], "ok", "{record:#?}");
    record
}

#[test]
fn plain_clients_reach_servers_of_every_algorithm_by_a_hybrid_key_exchange() {
    let pki = Pki::new();
    for algorithm in Algorithm::ALL {
        let files = pki.server(algorithm);
        let server = Server::start(&terms(files.clone()));
        let proxy = Proxy::start(&egress(&server, &ca(&files.root)).toml());
        let record = echoed(&proxy, b"plain in, quantum-safe out");
        let served = server.served().expect("a handshake");
        assert_eq!(served.group.as_deref(), Some("X25519MLKEM768"));
        assert!(!served.client_certificate);
        let fields = [
            "upstream_group",
            "upstream_key_exchange",
            "upstream_signature",
            "safety",
        ];
        let expected = ["X25519MLKEM768", "hybrid", algorithm.scheme(), "plain"];
        assert_eq!(fields.map(|field| record[field].as_str().expect("a text")), expected);
        let class = if algorithm.is_ml_dsa() { "pq" } else { "classical" };
        let labels = [
            r#"upstream="back""#,
            r#"group="X25519MLKEM768""#,
            r#"key_exchange="hybrid""#,
            &format!(r#"authentication="{class}""#),
        ];
        assert_eq!(proxy.metric("portcullis_upstream_handshakes_total", &labels), 1.0);
        assert_eq!(proxy.metric("portcullis_upstream_connections_open", &[]), 0.0);
    }
}

#[test]
fn groups_and_policy_of_an_upstream_decide_what_is_offered() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let table = [
        (r#"groups = ["X25519", "X25519MLKEM768"], policy = "observe""#, "X25519"),
        (
            r#"groups = ["X25519", "X25519MLKEM768"], policy = "prefer""#,
            "X25519MLKEM768",
        ),
        (
            r#"groups = ["X25519", "SecP384r1MLKEM1024"], policy = "require""#,
            "SecP384r1MLKEM1024",
        ),
        (r#"groups = ["secp384r1"], policy = "observe""#, "secp384r1"),
        (r#"profile = "modern""#, "X25519MLKEM768"),
    ];
    for (tls, group) in table {
        // one that takes what comes first
        let server = Server::start(&Terms {
            groups: "X25519:X25519MLKEM768:secp384r1:SecP384r1MLKEM1024".to_owned(),
            ..terms(files.clone())
        });
        let proxy = Proxy::start(&egress(&server, &format!("{}, {tls}", ca(&files.root))).toml());
        assert_eq!(echoed(&proxy, b"which group")["upstream_group"], group, "{tls}");
        let served = server.served().expect("a handshake").group.expect("a group");
        assert_eq!(served.to_lowercase(), group.to_lowercase(), "{tls}");
    }
}

#[test]
fn a_server_of_tls_12_is_served_where_nothing_more_is_required() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let server = Server::start(&Terms {
        versions: Versions::Only12,
        ..terms(files.clone())
    });
    let proxy = Proxy::start(&egress(&server, &ca(&files.root)).toml());
    let record = echoed(&proxy, b"the old world");
    assert_eq!(record["upstream_key_exchange"], "classical");
}

#[test]
fn servers_that_ask_are_shown_the_certificate_they_can_verify() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    for algorithm in [
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
        Algorithm::EcdsaP256,
        Algorithm::Rsa,
    ] {
        let mine = pki.client(algorithm);
        let server = Server::start(&Terms {
            client_roots: Some(mine.root.clone()),
            ..terms(files.clone())
        });
        let tls = format!("{}, {}", ca(&files.root), certificates(&[mine]));
        let proxy = Proxy::start(&egress(&server, &tls).toml());
        echoed(&proxy, b"it is me");
        assert!(
            server.served().expect("a handshake").client_certificate,
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_server_that_wants_a_certificate_and_gets_none_ends_the_connection() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let server = Server::start(&Terms {
        client_roots: Some(files.root.clone()),
        ..terms(files.clone())
    });
    let proxy = Proxy::start(&egress(&server, &ca(&files.root)).toml());
    let (local, heard) = say(proxy.address(), b"let me in");
    assert!(heard.is_err() || heard.is_ok_and(|heard| heard.is_empty()));
    let record = proxy.record(local);
    // in TLS 1.3 a client learns of it after its own handshake is over (RFC 8446 4.4.2.4)
    assert_eq!(ending(&record), ["failed", "relay", "upstream"], "{record:#?}");
    assert_eq!(record["error"], "refused by the server: certificate_required");
}

#[test]
fn servers_that_are_not_who_they_must_be_get_no_byte() {
    let pki = Pki::new();
    let classical = pki.server(Algorithm::EcdsaP256);
    let expired = pki.files(Algorithm::EcdsaP256, Holder::ExpiredServer);
    let other = pki.server(Algorithm::Rsa);
    let usual = terms(classical.clone());
    let x25519 = Terms {
        groups: "X25519".to_owned(),
        ..usual.clone()
    };
    let old = Terms {
        versions: Versions::Only12,
        ..usual.clone()
    };
    let good = ca(&classical.root);
    let table = [
        (
            &usual,
            format!("{good}, server_name = \"else.where\""),
            "not for else.where",
        ),
        (&usual, ca(&other.root), "certificate of an issuer that is not trusted"),
        (&terms(expired), good.clone(), "certificate expired"),
        (
            &x25519,
            format!("{good}, policy = \"require\""),
            "refused by the server: handshake_failure",
        ),
        (
            &old,
            format!("{good}, policy = \"require\""),
            "refused by the server: protocol_version",
        ),
        (
            &usual,
            format!("{good}, policy = {{ authentication = \"require\" }}"),
            "refused by the server: handshake_failure",
        ),
        (
            &usual,
            format!("{good}, versions = [\"1.2\"], signatures = [\"rsa_pss_rsae_sha256\"]"),
            "refused by the server: handshake_failure",
        ),
    ];
    for (terms, tls, error) in table {
        let server = Server::start(terms);
        let proxy = Proxy::start(&egress(&server, &tls).toml());
        let (local, heard) = say(proxy.address(), b"a secret");
        assert!(!heard.is_ok_and(|heard| !heard.is_empty()), "{tls}");
        let record = proxy.record(local);
        assert_eq!(ending(&record), ["failed", "connect", "upstream"], "{tls}: {record:#?}");
        let told = record["error"].as_str().expect("a text");
        assert!(told.contains(error), "{tls}: {told}");
        assert!(told.contains(&server.address().to_string()), "{told}");
        assert_eq!(
            proxy.metric("portcullis_upstream_failures_total", &[r#"upstream="back""#]),
            1.0
        );
        server.served().expect_err("a handshake that failed");
    }
}

#[test]
fn a_chain_that_is_not_quantum_safe_throughout_is_refused_after_the_handshake() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::MlDsa65);
    let server = Server::start(&terms(files.clone()));
    let tls = format!(
        "{}, profile = \"cnsa2\", groups = [\"X25519MLKEM768\"], signatures = [\"mldsa65\"]",
        ca(&files.root)
    );
    let proxy = Proxy::start(&egress(&server, &tls).toml());
    let (local, _) = say(proxy.address(), b"a secret");
    let record = proxy.record(local);
    assert_eq!(ending(&record), ["failed", "connect", "upstream"], "{record:#?}");
    let told = record["error"].as_str().expect("a text");
    assert!(told.contains("policy requires authentication"), "{told}");
}

#[test]
fn a_certificate_that_stands_in_the_ca_file_vouches_for_itself_and_its_names() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let chain = std::fs::read_to_string(&files.chain).expect("a chain");
    let end = chain.find("-----END CERTIFICATE-----").expect("a leaf") + "-----END CERTIFICATE-----\n".len();
    let leaf = pki.write("leaf.pem", &chain[..end]);
    let server = Server::start(&terms(files));
    let proxy = Proxy::start(&egress(&server, &ca(&leaf)).toml());
    echoed(&proxy, b"by itself");
    let elsewhere = format!("{}, server_name = \"else.where\"", ca(&leaf));
    let proxy = Proxy::start(&egress(&server, &elsewhere).toml());
    let (local, _) = say(proxy.address(), b"a secret");
    let record = proxy.record(local);
    assert!(
        record["error"].as_str().expect("a text").contains("not for else.where"),
        "{record:#?}"
    );
}

#[test]
fn sessions_with_a_server_are_resumed_and_keep_their_class() {
    let pki = Pki::new();
    for versions in [Versions::Only13, Versions::Only12] {
        let files = pki.server(Algorithm::EcdsaP256);
        let server = Server::start(&Terms {
            versions,
            ..terms(files.clone())
        });
        let proxy = Proxy::start(&egress(&server, &ca(&files.root)).top("workers = 1").toml());
        echoed(&proxy, b"first");
        assert!(!server.served().expect("a handshake").resumed);
        let record = echoed(&proxy, b"second");
        assert!(server.served().expect("a handshake").resumed, "{versions:?}");
        assert_eq!(record["upstream_signature"], "");
    }
}

/// So many bytes that no two neighbours are alike for long.
fn much(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

#[test]
fn large_streams_are_the_same_both_ways_at_once_over_tls_on_both_sides() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let server = Server::start(&terms(files.clone()));
    let tls = format!("tls = {{ {} }}", ca(&files.root));
    let front = Front::new(&both(&pki), server.address()).upstream(&tls);
    let plain = "[[listener]]\nname = \"plain\"\nlisten = [\"127.0.0.1:0\"]\nmode = \"tcp\"\nplain = true\n[[site]]\nname = \"egress\"\nlisteners = [\"plain\"]\nupstream = \"back\"";
    let proxy = Proxy::start(&front.site("listeners = [\"front\"]").more(plain).toml());
    let bytes = much(24 * 1024 * 1024);
    let mut conversation = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    for part in bytes.chunks(700_001) {
        conversation.echo(part);
    }
    conversation.close();
    let mut socket = TcpStream::connect(proxy.address_of("plain")).expect("it listens");
    let mut writer = socket.try_clone().expect("a second handle");
    let (sent, len) = (bytes.clone(), bytes.len());
    let writing = thread::spawn(move || {
        writer.write_all(&sent).expect("it takes all");
        writer.shutdown(Shutdown::Write).expect("an open socket");
    });
    let mut heard = Vec::with_capacity(len);
    socket.read_to_end(&mut heard).expect("an end");
    writing.join().expect("it was written");
    assert!(heard == bytes, "{} of {len} bytes", heard.len());
}

#[test]
fn an_end_that_a_server_does_not_announce_is_none() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let server = Server::rude(&terms(files.clone()));
    let proxy = Proxy::start(&egress(&server, &ca(&files.root)).toml());
    let mut socket = TcpStream::connect(proxy.address()).expect("it listens");
    let local = socket.local_addr().expect("a connected socket");
    socket.write_all(b"answer me").expect("it takes bytes");
    let mut heard = Vec::new();
    let error = socket
        .read_to_end(&mut heard)
        .expect_err("a plain client is told by a reset");
    assert_eq!(
        (error.kind(), &*heard),
        (io::ErrorKind::ConnectionReset, &b"answer me"[..])
    );
    let record = proxy.record(local);
    assert_eq!(ending(&record), ["failed", "relay", "upstream"], "{record:#?}");
    assert_eq!(record["error"], "closed without close_notify");

    let tls = format!("tls = {{ {} }}", ca(&files.root));
    let proxy = Proxy::start(&Front::new(&both(&pki), server.address()).upstream(&tls).toml());
    let mut conversation = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    conversation.echo(b"answer me");
    let error = conversation.read_to_close().expect_err("no close_notify came");
    assert_ne!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn a_ca_that_changes_is_taken_and_a_broken_one_is_not() {
    let pki = Pki::new();
    let (one, two) = (pki.server(Algorithm::EcdsaP256), pki.server(Algorithm::Rsa));
    let root = |files: &Files| std::fs::read_to_string(&files.root).expect("a root");
    let trusted = pki.write("trusted.pem", &root(&one));
    let server = Server::start(&terms(one.clone()));
    let proxy = Proxy::start(&egress(&server, &ca(&trusted)).toml());
    echoed(&proxy, b"good");
    pki.write(
        "trusted.pem",
        "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n",
    );
    proxy.running().refresh().expect("it runs");
    echoed(&proxy, b"still good");
    pki.write("trusted.pem", &root(&two));
    proxy.running().refresh().expect("it runs");
    let (local, _) = say(proxy.address(), b"no more");
    let record = proxy.record(local);
    assert_eq!(ending(&record), ["failed", "connect", "upstream"], "{record:#?}");
    pki.write("trusted.pem", &(root(&two) + &root(&one)));
    proxy.running().refresh().expect("it runs");
    eventually("the server rested", || {
        let (_, heard) = say(proxy.address(), b"again");
        heard.is_ok_and(|heard| heard == b"again")
    });
}

#[test]
fn files_that_cannot_be_used_are_refused_at_start_with_their_names() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let server = Server::start(&terms(files.clone()));
    let broken = pki.write("broken.pem", "nothing of use");
    let mismatched = Files {
        key: pki.server(Algorithm::Rsa).key,
        ..files.clone()
    };
    let table = [
        (ca(Path::new("absent.pem")), "absent.pem: no such file"),
        (ca(&broken), "broken.pem: no certificate in it"),
        (
            format!("{}, {}", ca(&files.root), certificates(&[mismatched])),
            "the key is not the certificate's",
        ),
    ];
    for (tls, told) in table {
        let error = Proxy::try_start(&egress(&server, &tls).toml())
            .err()
            .expect("it is refused")
            .to_string();
        assert!(error.contains(told), "{error}");
        assert!(error.contains("portcullis.toml:"), "{error}");
        assert!(error.contains("upstream \"back\""), "{error}");
    }
}

#[test]
fn flags_make_an_egress_sidecar() {
    let pki = Pki::new();
    let (files, mine) = (pki.server(Algorithm::MlDsa65), pki.client(Algorithm::MlDsa65));
    let server = Server::start(&Terms {
        client_roots: Some(mine.root.clone()),
        ..terms(files.clone())
    });
    let path = |path: &Path| path.display().to_string();
    let target = server.address().to_string();
    let (root, chain, key) = (path(&files.root), path(&mine.chain), path(&mine.key));
    let flags = [
        ("listen", "127.0.0.1:0"),
        ("target", &*target),
        ("plain", "true"),
        ("target-tls", "true"),
        ("target-name", "a.test"),
        ("target-ca", &*root),
        ("target-cert", &*chain),
        ("target-key", &*key),
        ("target-policy", "require"),
        ("log-format", "json"),
    ];
    let proxy = Proxy::start_with("", &flags).expect("it starts");
    let listener = "127.0.0.1:0";
    let (_, heard) = say(proxy.address_of(listener), b"by flags");
    assert_eq!(heard.expect("an echo"), b"by flags");
    let record = proxy.record_where(|record| record["outcome"] == "ok");
    assert_eq!(
        [&record["upstream_key_exchange"], &record["upstream_signature"]],
        ["hybrid", "mldsa65"]
    );
    assert!(server.served().expect("a handshake").client_certificate);
}

#[test]
fn a_server_that_never_answers_the_handshake_is_given_up() {
    let (pki, mute) = (Pki::new(), Upstream::start(Manner::Mute));
    let tls = format!("tls = {{ {} }}", ca(&pki.server(Algorithm::EcdsaP256).root));
    let front = Front::new(&[], mute.address()).listener("plain = true").upstream(&tls);
    let proxy = Proxy::start(&front.upstream("timeouts = { connect = \"200ms\" }").toml());
    let (local, heard) = say(proxy.address(), b"anybody");
    assert!(!heard.is_ok_and(|heard| !heard.is_empty()));
    let record = proxy.record(local);
    assert_eq!(ending(&record), ["failed", "connect", "upstream"], "{record:#?}");
    assert_eq!(record["error"], format!("{}: timed out", mute.address()));
}
