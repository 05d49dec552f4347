//! The same over QUIC.
use crate::{BREACHES, Lab, Spec, names};
use portcullis_probe::{Expectation, Report, Row, SelfTest, Transport, Trust};
use portcullis_tls::{
    negotiated::Negotiated,
    policy::Stance,
    quic::{Acceptor, Gate, VERSION},
    server::{Choice, Server},
    tickets::Tickets,
};
use portcullis_wire::{Hello, alert::Alert};
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

#[tokio::test]
async fn a_server_that_keeps_its_promises_passes() {
    let lab = Lab::new();
    let report = tested(&lab, &lab.spec(), &lab.expectation()).await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
    assert_eq!(report.transport, "quic");
    let row = |offer: &str, schemes: &str| {
        let fits = |row: &&Row| row.offer == offer && row.schemes == schemes;
        report.handshakes.iter().find(fits)
    };
    let default = row("default", "all").unwrap();
    assert_eq!(default.group.as_deref(), Some("X25519MLKEM768"));
    assert_eq!(default.shares, ["X25519MLKEM768", "X25519"]);
    assert!(default.bytes_in > 1216 && default.bytes_out > 1120, "{default:?}");
    assert_eq!(row("default", "mldsa").unwrap().safety, Some("full"));
    let reluctant = row("X25519,X25519MLKEM768", "all").unwrap();
    assert_eq!(reluctant.retry, Some(true));
    assert_eq!(
        row("MLKEM1024", "all").unwrap().alert.as_deref(),
        Some("handshake_failure")
    );
    // QUIC has no older version to ask about
    assert_eq!(row("tls1.2", "classical"), None);
    assert!(
        report
            .handshakes
            .iter()
            .all(|row| row.version.is_none_or(|it| it == "1.3"))
    );
}

#[tokio::test]
async fn each_broken_promise_fails_it() {
    let lab = Lab::new();
    for (what, change) in BREACHES.into_iter().filter(|(what, _)| *what != "no TLS 1.2") {
        let mut spec = lab.spec();
        change(&mut spec);
        let report = tested(&lab, &spec, &lab.expectation()).await;
        assert!(!report.pass, "{what}");
        let failed = report.handshakes.iter().find(|row| row.result == "failed");
        assert_eq!(failed, None, "{what}: a refusal is an alert");
    }
}

#[tokio::test]
async fn require_is_proven_by_refusals() {
    let lab = Lab::new();
    let spec = Spec {
        key_exchange: Stance::Require,
        ..lab.spec()
    };
    let mut expectation = lab.expectation();
    expectation.policy.key_exchange = Stance::Require;
    let report = tested(&lab, &spec, &expectation).await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
    let refused = |row: &&Row| row.alert.as_deref() == Some("insufficient_security");
    assert!(report.handshakes.iter().filter(refused).count() >= 4);
    assert!(!tested(&lab, &lab.spec(), &expectation).await.pass);
}

#[tokio::test]
async fn certificates_are_checked_both_ways() {
    let lab = Lab::new();
    let leaf = |identity: &portcullis_tls::identity::Identity| identity.chain_der()[0].clone();
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
            ..test(&lab, serve(&lab.spec()), &lab.expectation())
        };
        let report = test.run().await;
        assert_eq!(report.pass, pass, "{words}: {:?}", report.problems);
    }
    let asking = Spec {
        client_roots: Some(lab.roots.clone()),
        ..lab.spec()
    };
    let report = tested(&lab, &asking, &lab.expectation()).await;
    assert!(!report.pass && names(&report, "give the self-test a client certificate"));
    let test = SelfTest {
        identity: Some(lab.ecdsa.clone()),
        ..test(&lab, serve(&asking), &lab.expectation())
    };
    let report = test.run().await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
}

#[tokio::test]
async fn where_nobody_answers_the_deadline_ends_it() {
    let lab = Lab::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let test = SelfTest {
        deadline: Duration::from_millis(50),
        ..test(&lab, silent.local_addr().unwrap(), &lab.expectation())
    };
    let report = test.run().await;
    let waited = |row: &Row| row.error.as_deref() == Some("no answer within 50ms");
    assert!(!report.pass && report.handshakes.iter().all(waited), "{report:?}");
    let test = SelfTest {
        target: "unix:/nowhere".parse().unwrap(),
        ..test_of_policy(&lab)
    };
    assert!(names(&test.run().await, "not to a path"));
}

#[tokio::test]
async fn a_name_is_asked_at_all_its_addresses() {
    let lab = Lab::new();
    // on many machines the name is ::1 first, where nobody listens
    let address = serve(&lab.spec());
    let test = SelfTest {
        target: format!("localhost:{}", address.port()).parse().unwrap(),
        ..test_of_policy(&lab)
    };
    let report = test.run().await;
    assert_eq!((report.pass, &*report.problems), (true, &[][..]));
}

fn test(lab: &Lab, address: SocketAddr, expectation: &Expectation) -> SelfTest {
    SelfTest {
        transport: Transport::Quic,
        ..lab.test(address, expectation)
    }
}

fn test_of_policy(lab: &Lab) -> SelfTest {
    test(
        lab,
        ([127, 0, 0, 1], 1).into(),
        &Expectation::of_key_exchange(Stance::Prefer),
    )
}

async fn tested(lab: &Lab, spec: &Spec, expectation: &Expectation) -> Report {
    test(lab, serve(spec), expectation).run().await
}

/// Serves until the test's runtime ends.
fn serve(spec: &Spec) -> SocketAddr {
    let server = spec.of_server().over_quic().unwrap();
    let server = Arc::new(Server::build(server, &Tickets::new()).unwrap());
    let acceptor = Acceptor::new();
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![VERSION]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let crypto = ServerConfig::with_crypto(acceptor.for_endpoint());
    let endpoint = Endpoint::new(config, Some(crypto), socket, Arc::new(TokioRuntime)).unwrap();
    let address = endpoint.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(serve_one(incoming, acceptor.clone(), Door(Arc::clone(&server))));
        }
    });
    address
}

async fn serve_one(incoming: Incoming, acceptor: Acceptor, door: Door) {
    let (crypto, _handshake) = acceptor.begin(door);
    let Ok(connecting) = incoming.accept_with(Arc::new(ServerConfig::with_crypto(crypto))) else {
        return;
    };
    if let Ok(connection) = connecting.await {
        // the control stream of HTTP/3, and an empty SETTINGS
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(&[0, 4, 0]).await.unwrap();
        connection.closed().await;
        drop(stream);
    }
}

/// Chooses by the hello as the proxy does.
struct Door(Arc<Server>);

impl Gate for Door {
    fn choose(&mut self, hello: &Hello) -> Result<(Arc<Server>, Choice), Alert> {
        let chosen = self.0.choose(hello).map_err(|refusal| refusal.alert())?;
        Ok((Arc::clone(&self.0), chosen))
    }

    fn admit(&mut self, _hello: &Hello, _facts: &Negotiated) -> Result<(), Alert> {
        Ok(())
    }
}
