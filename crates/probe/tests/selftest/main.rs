//! The self-test against a small server made of `portcullis_tls::server`, over real sockets. What it must say of a
//! server that breaks its promise is the heart of it.
#![allow(clippy::unwrap_used)] // a panic is how a test fails
use portcullis_probe::{Expectation, Held, Report, Row, SelfTest, Site, Target, Transport, Trust};
use portcullis_tls::{
    identity::Identity,
    policy::{Demands, Policy, Stance},
    profile::{Overrides, Profile},
    rustls::{ServerConnection, pki_types::CertificateDer},
    server::{ClientAuth, ClientAuthMode, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::{GroupId, Hello, client_hello, registry::Group};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SignatureAlgorithm};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    sync::Arc,
    thread,
    time::Duration,
};

mod over_quic;

#[tokio::test]
async fn a_server_that_keeps_its_promises_passes() {
    let lab = Lab::new();
    let report = lab.tested(&lab.spec(), &lab.expectation()).await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
    let row = |offer: &str, schemes: &str| {
        let fits = |row: &&Row| row.offer == offer && row.schemes == schemes;
        report.handshakes.iter().find(fits).unwrap()
    };
    let default = row("default", "all");
    assert_eq!(default.group.as_deref(), Some("X25519MLKEM768"));
    assert_eq!(default.shares, ["X25519MLKEM768", "X25519"]);
    assert_eq!(default.signature.as_deref(), Some("ecdsa_secp256r1_sha256"));
    assert_eq!(default.safety, Some("confidential"));
    // the share alone is 1216 bytes one way and 1120 the other
    assert!(default.bytes_in > 1216 && default.bytes_out > 1120, "{default:?}");
    assert_eq!(row("default", "mldsa").safety, Some("full"));
    let reluctant = row("X25519,X25519MLKEM768", "all");
    let x25519 = &["X25519".to_owned()][..];
    assert_eq!((reluctant.retry, &*reluctant.shares), (Some(true), x25519));
    let unlisted = row("MLKEM1024", "all");
    assert_eq!(unlisted.alert.as_deref(), Some("handshake_failure"));
    assert_eq!(row("tls1.2", "classical").version, Some("1.2"));
}

#[tokio::test]
async fn taking_the_post_quantum_groups_off_fails_it() {
    let lab = Lab::new();
    let classical = Spec {
        groups: Some(ids(&["X25519", "secp256r1", "secp384r1"])),
        ..lab.spec()
    };
    let report = lab.tested(&classical, &lab.expectation()).await;
    assert!(!report.pass);
    for offer in [
        "X25519MLKEM768 (all schemes)",
        "SecP256r1MLKEM768 (all schemes)",
        "SecP384r1MLKEM1024 (all schemes)",
        "default (all schemes)",
        "default (mldsa schemes)",
        "X25519,X25519MLKEM768 (all schemes)",
    ] {
        assert!(names(&report, offer), "{offer}: {:?}", report.problems);
    }
    // without a configuration at hand, by the word of its policy alone
    let prefer = Expectation::of_key_exchange(Stance::Prefer);
    assert!(!lab.tested(&classical, &prefer).await.pass);
}

#[tokio::test]
async fn each_broken_promise_fails_it() {
    let lab = Lab::new();
    for (what, change) in BREACHES {
        let mut spec = lab.spec();
        change(&mut spec);
        let report = lab.tested(&spec, &lab.expectation()).await;
        assert!(!report.pass, "{what}");
        let failed = report.handshakes.iter().find(|row| row.result == "failed");
        assert_eq!(failed, None, "{what}: a refusal is an alert");
    }
}

type Breach = (&'static str, fn(&mut Spec));

const BREACHES: [Breach; 8] = [
    ("no retry", |spec| spec.retry = false),
    ("no ML-DSA certificate", |spec| spec.identities.truncate(1)),
    ("no classical certificate", |spec| drop(spec.identities.remove(0))),
    ("another order", |spec| spec.identities.reverse()),
    ("no TLS 1.2", |spec| spec.profile = Profile::Modern),
    ("classical clients refused", |spec| spec.key_exchange = Stance::Require),
    ("fewer groups", |spec| {
        spec.groups = Some(ids(&["X25519MLKEM768", "X25519"]))
    }),
    ("the client's order stands", |spec| spec.key_exchange = Stance::Observe),
];

#[tokio::test]
async fn require_is_proven_by_refusals() {
    let lab = Lab::new();
    let spec = Spec {
        key_exchange: Stance::Require,
        ..lab.spec()
    };
    let mut expectation = lab.expectation();
    expectation.policy.key_exchange = Stance::Require;
    let report = lab.tested(&spec, &expectation).await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
    let refused = |row: &&Row| row.alert.as_deref() == Some("insufficient_security");
    assert!(report.handshakes.iter().filter(refused).count() >= 5);
    // a server that promises it and admits the classical world
    let report = lab.tested(&lab.spec(), &expectation).await;
    assert!(!report.pass && names(&report, "requires a quantum-safe key exchange"));
}

#[tokio::test]
async fn a_certificate_is_checked_by_root_or_byte_for_byte() {
    let lab = Lab::new();
    let leaf = |identity: &Identity| identity.chain_der()[0].clone();
    let table = [
        (Trust::Roots(lab.roots.clone()), true),
        (Trust::Roots(Lab::new().roots), false),
        (Trust::Exactly(vec![leaf(&lab.ecdsa), leaf(&lab.ml_dsa)]), true),
        (Trust::Exactly(vec![leaf(&lab.ecdsa)]), false),
    ];
    for (trust, pass) in table {
        let words = trust.as_str();
        let test = SelfTest {
            trust,
            ..lab.test(serve(&lab.spec()), &lab.expectation())
        };
        let report = test.run().await;
        assert_eq!(report.pass, pass, "{words}: {:?}", report.problems);
    }
}

#[tokio::test]
async fn a_site_that_asks_for_certificates_needs_one_to_be_tested() {
    let lab = Lab::new();
    let spec = Spec {
        client_roots: Some(lab.roots.clone()),
        ..lab.spec()
    };
    let report = lab.tested(&spec, &lab.expectation()).await;
    assert!(!report.pass && names(&report, "give the self-test a client certificate"));
    let test = SelfTest {
        identity: Some(lab.ecdsa.clone()),
        ..lab.test(serve(&spec), &lab.expectation())
    };
    let report = test.run().await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
}

#[tokio::test]
async fn a_unix_socket_is_tested_alike() {
    let lab = Lab::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = lab.spec().server();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (server, socket) = (Arc::clone(&server), socket.unwrap());
            thread::spawn(move || serve_one(&server, socket));
        }
    });
    let test = SelfTest {
        target: format!("unix:{}", path.display()).parse().unwrap(),
        ..lab.test(([127, 0, 0, 1], 1).into(), &lab.expectation())
    };
    let report = test.run().await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so_and_not_fifteen_times() {
    let lab = Lab::new();
    let bound = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = bound.local_addr().unwrap();
    drop(bound);
    let expectation = Expectation::of_key_exchange(Stance::Prefer);
    let report = lab.test(free, &expectation).run().await;
    assert!(!report.pass && names(&report, "cannot connect"));
    assert!(report.handshakes.iter().all(|row| row.result == "failed"));
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_deadline() {
    let lab = Lab::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let test = SelfTest {
        deadline: Duration::from_millis(50),
        ..lab.test(listener.local_addr().unwrap(), &lab.expectation())
    };
    let report = test.run().await;
    let waited = |row: &Row| row.error.as_deref() == Some("no answer within 50ms");
    assert!(!report.pass && report.handshakes.iter().all(waited), "{report:?}");
}

#[tokio::test]
async fn the_report_is_the_contracts_object() {
    let lab = Lab::new();
    let report = lab.tested(&lab.spec(), &lab.expectation()).await;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["pass"], true);
    assert_eq!(json["target"], *report.target);
    let row = &json["handshakes"][0];
    let keys = "offer schemes result group key_exchange cipher signature authentication safety retry version \
                bytes_in bytes_out us";
    for key in keys.split(' ') {
        assert!(!row[key].is_null(), "{key}: {row}");
    }
    let text = report.to_text();
    assert!(text.contains("pass: ") && text.ends_with("all as promised\n"), "{text}");
}

/// Certificates of one private world.
struct Lab {
    roots: Vec<CertificateDer<'static>>,
    ecdsa: Arc<Identity>,
    ml_dsa: Arc<Identity>,
}

/// What a server is really made of, whatever it promises.
struct Spec {
    profile: Profile,
    groups: Option<Vec<GroupId>>,
    retry: bool,
    key_exchange: Stance,
    identities: Vec<Arc<Identity>>,
    client_roots: Option<Vec<CertificateDer<'static>>>,
}

impl Lab {
    fn new() -> Lab {
        let (ecdsa_root, ecdsa) = issue(&rcgen::PKCS_ECDSA_P256_SHA256);
        let (ml_dsa_root, ml_dsa) = issue(&rcgen::PKCS_ML_DSA_65);
        Lab {
            roots: vec![ecdsa_root, ml_dsa_root],
            ecdsa: Arc::new(ecdsa),
            ml_dsa: Arc::new(ml_dsa),
        }
    }

    /// The default profile, classical certificate first, as on the web.
    fn spec(&self) -> Spec {
        Spec {
            profile: Profile::Default,
            groups: None,
            retry: true,
            key_exchange: Stance::Prefer,
            identities: vec![self.ecdsa.clone(), self.ml_dsa.clone()],
            client_roots: None,
        }
    }

    /// What [`Lab::spec`] promises.
    fn expectation(&self) -> Expectation {
        let settings = Profile::Default.settings(&Overrides::default()).unwrap();
        Expectation {
            policy: Profile::Default.policy(),
            site: Some(Site {
                versions: settings.versions,
                groups: settings.groups,
                retry: settings.retry,
                certificates: vec![Held::of(&self.ecdsa), Held::of(&self.ml_dsa)],
            }),
        }
    }

    fn test(&self, address: SocketAddr, expectation: &Expectation) -> SelfTest {
        let mut target: Target = address.to_string().parse().unwrap();
        target.server_name = "localhost".try_into().unwrap();
        SelfTest {
            target,
            expectation: expectation.clone(),
            trust: Trust::NotChecked,
            transport: Transport::Tcp,
            identity: None,
            deadline: SelfTest::DEADLINE,
        }
    }

    async fn tested(&self, spec: &Spec, expectation: &Expectation) -> Report {
        self.test(serve(spec), expectation).run().await
    }
}

impl Spec {
    fn server(&self) -> Arc<Server> {
        Arc::new(Server::build(self.of_server(), &Tickets::new()).unwrap())
    }

    fn of_server(&self) -> ServerSpec {
        let overrides = Overrides {
            groups: self.groups.clone(),
            retry: Some(self.retry),
            ..Overrides::default()
        };
        let client_auth = self
            .client_roots
            .clone()
            .map(|roots| ClientAuth::new(ClientAuthMode::Required, roots));
        ServerSpec {
            context: "test".to_owned(),
            settings: self.profile.settings(&overrides).unwrap(),
            policy: Demands::from(Policy {
                key_exchange: self.key_exchange,
                authentication: Stance::Observe,
                client_authentication: Stance::Observe,
            }),
            identities: self.identities.clone(),
            client_auth,
            alpn: Vec::new(),
            resumption: portcullis_tls::tickets::Resumption::living(Duration::from_secs(60)),
            key_log: None,
        }
    }
}

fn names(report: &Report, words: &str) -> bool {
    report.problems.iter().any(|problem| problem.contains(words))
}

fn issue(algorithm: &'static SignatureAlgorithm) -> (CertificateDer<'static>, Identity) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate_for(algorithm).unwrap()).unwrap();
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    let identity = Identity::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes());
    (root.der().clone(), identity.unwrap())
}

fn ids(names: &[&str]) -> Vec<GroupId> {
    let id = |name: &&str| Group::by_name(name).unwrap().id;
    names.iter().map(id).collect()
}

/// Serves until the test's process ends.
fn serve(spec: &Spec) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = spec.server();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (server, socket) = (Arc::clone(&server), socket.unwrap());
            thread::spawn(move || serve_one(&server, socket));
        }
    });
    address
}

/// Chooses by the hello as the proxy does, finishes the handshake, and reads until the client goes.
fn serve_one(server: &Server, mut socket: impl Read + Write) -> io::Result<()> {
    let (hello, bytes) = read_hello(&mut socket)?;
    let choice = match server.choose(&hello) {
        Ok(choice) => choice,
        Err(refusal) => return socket.write_all(&refusal.alert().fatal_record()),
    };
    let mut tls = ServerConnection::new(choice.config).unwrap();
    tls.read_tls(&mut &*bytes)?;
    let started = tls.process_new_packets();
    while started.is_ok() && (tls.is_handshaking() || tls.wants_write()) {
        tls.complete_io(&mut socket)?;
    }
    let mut has_gone = started.is_err();
    while !has_gone && tls.read_tls(&mut socket)? != 0 {
        let state = tls.process_new_packets();
        has_gone = state.map_or(true, |state| state.peer_has_closed());
    }
    tls.send_close_notify();
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    Ok(())
}

fn read_hello(socket: &mut impl Read) -> io::Result<(Hello, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let len = socket.read(&mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..len]);
        if let client_hello::Progress::Complete(hello) = client_hello::from_records(&bytes).unwrap() {
            return Ok((*hello, bytes));
        }
    }
}
