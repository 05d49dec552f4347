//! The same choices and facts over QUIC, with quinn at both ends of a loopback socket.
use crate::lab::{
    Ca, ML_DSA_44, ML_DSA_65, ML_DSA_87, P256, client_params, group, groups, identity, offer, policy, server_params,
    settings, spec,
};
use portcullis_tls::{
    client::{Client, ClientSpec},
    failure::{Fault, blame},
    identity::Identity,
    negotiated::{Authentication, ClientAuthentication, Negotiated, Version},
    policy::{Policy, RuleName, Stance},
    profile::{Overrides, Profile},
    quic::{Acceptor, Answer, End, Gate, Outcome, VERSION, alert_in},
    rustls::{self, pki_types::ServerName},
    server::{BuildError, Choice, ClientAuth, ClientAuthMode, Refusal, Server, ServerSpec},
    tickets::{Resumption, Tickets},
};
use portcullis_wire::{
    CipherId, Hello,
    alert::Alert,
    client_hello::HelloError,
    registry::{Group, Standing},
};
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sites by name, and what became of the one connection that it is asked about.
struct Door {
    sites: Vec<(&'static str, Arc<Server>)>,
    nameless: Option<Arc<Server>>,
    verdict: Result<(), Alert>,
    refusal: Option<Refusal>,
    admitted: Option<Negotiated>,
}

impl Door {
    /// One server for whoever comes.
    fn of(server: &Arc<Server>) -> Door {
        Door {
            sites: Vec::new(),
            nameless: Some(Arc::clone(server)),
            verdict: Ok(()),
            refusal: None,
            admitted: None,
        }
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<Server>> {
        let named = self.sites.iter().find(|(site, _)| Some(*site) == name);
        named.map(|(_, server)| server).or(self.nameless.as_ref())
    }
}

impl Gate for Door {
    fn choose(&mut self, hello: &Hello) -> Result<(Arc<Server>, Choice), Alert> {
        let server = Arc::clone(self.find(hello.sni.as_deref()).ok_or(Alert::UNRECOGNIZED_NAME)?);
        match server.choose(hello) {
            Ok(choice) => Ok((server, choice)),
            Err(refusal) => {
                self.refusal = Some(refusal);
                Err(refusal.alert())
            }
        }
    }

    fn admit(&mut self, _hello: &Hello, facts: &Negotiated) -> Result<(), Alert> {
        self.admitted = Some(facts.clone());
        self.verdict
    }
}

/// Both ends of a handshake that may have failed.
struct Met {
    outcome: Outcome<Door>,
    /// As the server sees it.
    ours: Result<Connection, ConnectionError>,
    /// As the client does: a byte came, or why not.
    theirs: Result<Connection, ConnectionError>,
    answer: Answer,
    /// They live as long as their connections.
    _ends: (Endpoint, Endpoint),
}

impl Met {
    /// The facts, which both ends must agree on.
    fn facts(&self) -> &Negotiated {
        let End::Negotiated(facts) = &self.outcome.end else {
            panic!("{:?}, {:?}", self.outcome.end, self.theirs.as_ref().err());
        };
        assert!(self.ours.is_ok() && self.theirs.is_ok());
        assert_eq!(self.outcome.gate.admitted.as_ref(), Some(facts));
        let seen = self.answer.facts.as_ref().expect("the client has finished");
        let known_here = Negotiated {
            client: None,
            retry: seen.retry,
            ..facts.clone()
        };
        assert_eq!(*seen, known_here);
        // of a resumed handshake rustls does not say whether a retry came before
        assert!(facts.resumed || seen.retry == facts.retry);
        facts
    }

    /// The alert that ended it, which must have reached the client.
    fn alert(&self) -> Alert {
        let heard = match &self.theirs {
            Err(error) => alert_in(error),
            Ok(_) => None,
        };
        assert_eq!(heard, self.outcome.alert_out, "{:?}", self.outcome.end);
        heard.expect("it was refused")
    }
}

fn endpoint(server: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![VERSION]);
    Endpoint::new(config, server, socket, Arc::new(TokioRuntime)).expect("a runtime is there")
}

/// How the server takes a client in.
#[derive(Clone, Copy, PartialEq)]
enum Welcome {
    AtOnce,
    AfterRetry,
}

async fn meet(door: Door, client: &Client, name: &str) -> Met {
    welcomed(door, (client, name), Welcome::AtOnce).await
}

async fn welcomed(door: Door, (client, name): (&Client, &str), welcome: Welcome) -> Met {
    let acceptor = Acceptor::new();
    let listener = endpoint(Some(ServerConfig::with_crypto(acceptor.for_endpoint())));
    let caller = endpoint(None);
    let address = listener.local_addr().expect("it is bound");
    let (crypto, asked) = client.over_quic(&acceptor);
    let connecting = caller.connect_with(quinn::ClientConfig::new(crypto), address, name);
    let connecting = connecting.expect("the name is one");
    let both = async { tokio::join!(serve(&listener, &acceptor, (door, welcome)), ask(connecting)) };
    let ((outcome, ours), theirs) = tokio::time::timeout(PATIENCE, both).await.expect("it ends");
    Met {
        outcome,
        ours,
        theirs,
        answer: asked.answer(),
        _ends: (listener, caller),
    }
}

async fn serve(
    listener: &Endpoint,
    acceptor: &Acceptor,
    (door, welcome): (Door, Welcome),
) -> (Outcome<Door>, Result<Connection, ConnectionError>) {
    let mut incoming = listener.accept().await.expect("somebody comes");
    if welcome == Welcome::AfterRetry {
        incoming.retry().expect("it was not asked yet");
        incoming = listener.accept().await.expect("it comes back");
        assert!(incoming.remote_address_validated());
    }
    let (crypto, handshake) = acceptor.begin(door);
    let connection = accepted(incoming, ServerConfig::with_crypto(crypto)).await;
    if let Ok(connection) = &connection {
        let mut stream = connection.open_uni().await.expect("a stream may be opened");
        stream.write_all(b"x").await.expect("there is room for a byte");
        stream.finish().expect("it was not finished before");
    }
    (handshake.take().expect("it was not taken before"), connection)
}

async fn accepted(incoming: Incoming, config: ServerConfig) -> Result<Connection, ConnectionError> {
    incoming.accept_with(Arc::new(config))?.await
}

async fn ask(connecting: quinn::Connecting) -> Result<Connection, ConnectionError> {
    let connection = connecting.await?;
    let mut stream = connection.accept_uni().await?;
    // tickets come before it
    let byte = stream.read_to_end(1).await.expect("it is not reset");
    assert_eq!(byte, b"x");
    Ok(connection)
}

fn over_quic(spec: ServerSpec) -> Arc<Server> {
    shared(spec, &Tickets::new())
}

fn shared(spec: ServerSpec, tickets: &Arc<Tickets>) -> Arc<Server> {
    let spec = spec.over_quic().expect("the profile has TLS 1.3");
    Arc::new(Server::build(spec, tickets).expect("it has what it needs"))
}

fn h3(spec: ClientSpec) -> Client {
    let spec = ClientSpec {
        alpn: vec![b"h3".to_vec()],
        ..spec
    };
    Client::build(spec).expect("the groups are known")
}

fn remembering(spec: ClientSpec) -> Client {
    h3(ClientSpec { resumption: 8, ..spec })
}

fn listing(names: &[&str]) -> Overrides {
    Overrides {
        groups: Some(groups(names)),
        ..Overrides::default()
    }
}

#[tokio::test]
async fn the_name_decides_which_site_answers() {
    let shop = over_quic(spec(&[&identity(&P256)]));
    let api = over_quic(spec(&[&identity(&ML_DSA_65)]));
    let door = || Door {
        sites: vec![("shop.example", Arc::clone(&shop)), ("api.example", Arc::clone(&api))],
        nameless: None,
        ..Door::of(&shop)
    };
    for (name, scheme) in [("shop.example", "ecdsa_secp256r1_sha256"), ("api.example", "mldsa65")] {
        let met = meet(door(), &h3(offer()), name).await;
        assert_eq!(
            met.facts().signature.map(|scheme| scheme.to_string()).as_deref(),
            Some(scheme)
        );
        assert_eq!(met.outcome.hello.as_ref().unwrap().sni.as_deref(), Some(name));
        assert_eq!(met.facts().alpn.as_deref(), Some(&b"h3"[..]));
    }
    for name in ["other.example", "127.0.0.1"] {
        let met = meet(door(), &h3(offer()), name).await;
        assert_eq!(met.alert(), Alert::UNRECOGNIZED_NAME);
        assert_eq!(met.outcome.end, End::TurnedAway);
        assert!(met.outcome.choice.is_none() && met.outcome.hello.is_some());
    }
    let met = meet(Door::of(&shop), &h3(offer()), "127.0.0.1").await;
    met.facts();
    assert_eq!(met.outcome.hello.unwrap().sni, None);
}

#[tokio::test]
async fn every_group_alone_makes_a_handshake_with_a_share_and_by_retry() {
    let identity = identity(&P256);
    for row in Group::all().iter().filter(|row| row.standing != Standing::Never) {
        let only = over_quic(ServerSpec {
            settings: settings(Profile::Modern, &listing(&[row.name])),
            ..spec(&[&identity])
        });
        let other = if row.name == "secp256r1" { "X25519" } else { "secp256r1" };
        for list in [vec![row.id], vec![group(other), row.id]] {
            let asking = h3(ClientSpec {
                groups: list.clone(),
                ..offer()
            });
            let met = meet(Door::of(&only), &asking, "localhost").await;
            assert_eq!(met.facts().group, Some(row.id), "{}", row.name);
            assert_eq!(met.facts().retry, list.len() == 2, "{}", row.name);
            let hello = met.outcome.hello.as_ref().unwrap();
            assert_eq!(hello.key_shares[0].0, list[0]);
        }
    }
}

/// A client that lists these groups in this order and sends its share for `share`: rustls does so after it has met a
/// server that took that one.
async fn sharing(list: &[&str], share: &str) -> Client {
    let client = remembering(ClientSpec {
        groups: groups(list),
        ..offer()
    });
    let teacher = over_quic(ServerSpec {
        settings: settings(Profile::Default, &listing(&[share])),
        policy: policy(Stance::Observe, Stance::Observe),
        resumption: Resumption::living(Duration::ZERO),
        ..spec(&[&identity(&P256)])
    });
    meet(Door::of(&teacher), &client, "localhost").await.facts();
    client
}

#[tokio::test]
async fn the_retry_table_holds() {
    let columns = [
        (Stance::Observe, true),
        (Stance::Prefer, true),
        (Stance::Prefer, false),
        (Stance::Require, true),
    ];
    const PQ: Option<(&str, bool)> = Some(("X25519MLKEM768", false));
    const RETRY: Option<(&str, bool)> = Some(("X25519MLKEM768", true));
    const X25519: Option<(&str, bool)> = Some(("X25519", false));
    let rows = [
        (&["X25519MLKEM768", "X25519"][..], "X25519MLKEM768", [PQ, PQ, PQ, PQ]),
        (&["X25519MLKEM768", "X25519"], "X25519", [X25519, RETRY, X25519, RETRY]),
        (&["X25519", "X25519MLKEM768"], "X25519", [X25519, RETRY, X25519, RETRY]),
        (&["X25519"], "X25519", [X25519, X25519, X25519, None]),
    ];
    let identity = identity(&P256);
    for (list, share, cells) in rows {
        for ((stance, retry), expected) in columns.into_iter().zip(cells) {
            let overrides = Overrides {
                retry: Some(retry),
                ..Overrides::default()
            };
            let site = over_quic(ServerSpec {
                settings: settings(Profile::Default, &overrides),
                policy: policy(stance, Stance::Observe),
                ..spec(&[&identity])
            });
            let met = meet(Door::of(&site), &sharing(list, share).await, "localhost").await;
            let case = format!("{list:?} with {share}, {stance:?}, retry {retry}");
            assert_eq!(
                met.outcome.hello.as_ref().unwrap().key_shares[0].0,
                group(share),
                "{case}"
            );
            match expected {
                Some((name, retried)) => {
                    assert_eq!(
                        (met.facts().group, met.facts().retry),
                        (Some(group(name)), retried),
                        "{case}"
                    );
                }
                None => {
                    assert_eq!(met.alert(), Alert::INSUFFICIENT_SECURITY, "{case}");
                    let refusal = Some(Refusal::Policy(RuleName::KeyExchange));
                    assert_eq!(met.outcome.gate.refusal, refusal, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_first_certificate_that_the_client_can_verify_is_sent() {
    let site = over_quic(spec(&[&identity(&ML_DSA_65), &identity(&P256)]));
    let table = [
        (None, Some(("mldsa65", Authentication::Pq))),
        (Some("mldsa65"), Some(("mldsa65", Authentication::Pq))),
        (
            Some("ecdsa_secp256r1_sha256"),
            Some(("ecdsa_secp256r1_sha256", Authentication::Classical)),
        ),
        (Some("ed25519"), None),
    ];
    for (verifies, expected) in table {
        let asking = h3(ClientSpec {
            schemes: verifies.map(|name| vec![crate::lab::scheme(name)]),
            ..offer()
        });
        let met = meet(Door::of(&site), &asking, "localhost").await;
        let Some((scheme, class)) = expected else {
            assert_eq!(met.alert(), Alert::HANDSHAKE_FAILURE);
            assert_eq!(met.outcome.gate.refusal, Some(Refusal::NoCertificate));
            continue;
        };
        assert_eq!(met.facts().signature, Some(crate::lab::scheme(scheme)));
        assert_eq!(met.facts().authentication, class);
    }
}

#[tokio::test]
async fn every_profile_that_has_tls_13_serves() {
    let medium = identity(&ML_DSA_65);
    let strong = identity(&ML_DSA_87);
    let asking = h3(ClientSpec {
        groups: groups(&["X25519MLKEM768", "SecP384r1MLKEM1024"]),
        ..offer()
    });
    let table = [
        (Profile::Default, "X25519MLKEM768", "mldsa65"),
        (Profile::Modern, "X25519MLKEM768", "mldsa65"),
        (Profile::PqOnly, "X25519MLKEM768", "mldsa65"),
        // AES-256 alone: the first packets have their keys all the same
        (Profile::Cnsa2, "SecP384r1MLKEM1024", "mldsa87"),
    ];
    for (profile, named, scheme) in table {
        let site = over_quic(ServerSpec {
            settings: settings(profile, &Overrides::default()),
            policy: profile.policy().into(),
            ..spec(&[&medium, &strong])
        });
        let met = meet(Door::of(&site), &asking, "localhost").await;
        assert_eq!(met.facts().group, Some(group(named)), "{profile:?}");
        assert_eq!(met.facts().signature, Some(crate::lab::scheme(scheme)), "{profile:?}");
        if profile == Profile::Cnsa2 {
            assert_eq!(met.facts().cipher, CipherId(0x1302));
        }
    }
}

#[test]
fn a_site_of_tls_12_alone_has_no_quic() {
    let overrides = Overrides {
        versions: Some(vec![Version::Tls12]),
        ..Overrides::default()
    };
    let old = ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..spec(&[&identity(&P256)])
    };
    assert!(matches!(old.over_quic(), Err(BuildError::NoTls13)));
}

#[tokio::test]
async fn without_a_group_or_a_protocol_in_common_the_right_alert_goes_out() {
    let overrides = listing(&["secp384r1"]);
    let site = over_quic(ServerSpec {
        settings: settings(Profile::Modern, &overrides),
        ..spec(&[&identity(&P256)])
    });
    let met = meet(Door::of(&site), &h3(offer()), "localhost").await;
    assert_eq!(met.alert(), Alert::HANDSHAKE_FAILURE);
    assert_eq!(met.outcome.gate.refusal, Some(Refusal::NoCommonGroup));

    let site = over_quic(spec(&[&identity(&P256)]));
    for alpn in [vec![], vec![b"hq-interop".to_vec()], vec![b"h2".to_vec()]] {
        let asking = Client::build(ClientSpec { alpn, ..offer() }).unwrap();
        let met = meet(Door::of(&site), &asking, "localhost").await;
        assert_eq!(met.alert(), Alert(120));
        assert_eq!(met.outcome.end, End::Failed(rustls::Error::NoApplicationProtocol));
    }
}

#[tokio::test]
async fn what_the_gate_does_not_admit_hears_its_alert_after_the_handshake() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let door = Door {
        verdict: Err(Alert::ACCESS_DENIED),
        ..Door::of(&site)
    };
    let met = meet(door, &h3(offer()), "localhost").await;
    assert_eq!(met.alert(), Alert::ACCESS_DENIED);
    assert!(met.ours.is_err());
    let End::Refused(facts) = met.outcome.end else {
        panic!("{:?}", met.outcome.end);
    };
    assert_eq!(facts.group, Some(group("X25519MLKEM768")));
}

#[tokio::test]
async fn a_connection_without_a_gate_is_turned_away() {
    let acceptor = Acceptor::new();
    let listener = endpoint(Some(ServerConfig::with_crypto(acceptor.for_endpoint())));
    let caller = endpoint(None);
    let (crypto, _asked) = h3(offer()).over_quic(&acceptor);
    let address = listener.local_addr().unwrap();
    let connecting = caller.connect_with(quinn::ClientConfig::new(crypto), address, "localhost");
    let both = async {
        let incoming = listener.accept().await.unwrap();
        tokio::join!(incoming.into_future(), connecting.unwrap())
    };
    let (ours, theirs) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(ours.is_err());
    assert_eq!(alert_in(&theirs.unwrap_err()), Some(Alert::INTERNAL_ERROR));
}

#[tokio::test]
async fn a_client_whose_address_was_proven_by_retry_is_served() {
    let site = over_quic(spec(&[&identity(&ML_DSA_87)]));
    let met = welcomed(Door::of(&site), (&h3(offer()), "localhost"), Welcome::AfterRetry).await;
    met.facts();
    // the Retry of QUIC is not the one of TLS
    assert!(!met.facts().retry);
}

#[tokio::test]
async fn sizes_are_those_of_the_handshake_at_both_ends() {
    for algorithm in [&P256, &ML_DSA_65] {
        let identity = identity(algorithm);
        let site = over_quic(ServerSpec {
            resumption: Resumption::living(Duration::ZERO),
            ..spec(&[&identity])
        });
        let met = meet(Door::of(&site), &h3(offer()), "localhost").await;
        met.facts();
        let (outcome, answer) = (&met.outcome, &met.answer);
        assert_eq!(
            (outcome.bytes_in, outcome.bytes_out),
            (answer.bytes_out, answer.bytes_in)
        );
        let hello = outcome.hello.as_ref().unwrap();
        // a Finished is a digest behind a header of 4 bytes
        let finished = if met.facts().cipher == CipherId(0x1302) {
            4 + 48
        } else {
            4 + 32
        };
        assert_eq!(outcome.bytes_in, hello.len as u64 + finished);
        assert!(
            hello.len > 1_200,
            "a share of ML-KEM needs a second packet: {}",
            hello.len
        );
        assert!(outcome.bytes_out as usize > identity.leaf().der_len);
    }
}

fn asking_for_clients(mode: ClientAuthMode, ca: &Ca) -> ServerSpec {
    ServerSpec {
        client_auth: Some(ClientAuth::new(mode, vec![ca.der()])),
        ..spec(&[&identity(&P256)])
    }
}

fn agent(identity: &Arc<Identity>) -> ClientSpec {
    ClientSpec {
        identity: Some(Arc::clone(identity)),
        ..offer()
    }
}

#[tokio::test]
async fn a_client_certificate_is_judged_and_named() {
    let table = [
        (&P256, ClientAuthentication::Classical),
        (&ML_DSA_44, ClientAuthentication::Pq),
        (&ML_DSA_87, ClientAuthentication::Pq),
    ];
    for (algorithm, class) in table {
        let ca = Ca::new(algorithm, "clients");
        let site = over_quic(asking_for_clients(ClientAuthMode::Required, &ca));
        let identity = ca.issue(algorithm, client_params()).identity();
        let met = meet(Door::of(&site), &h3(agent(&identity)), "localhost").await;
        assert_eq!(met.facts().client_authentication, class);
        assert_eq!(met.facts().client.as_ref().unwrap().subject, "CN=agent-7,O=Lab");
        let chain = met.ours.as_ref().unwrap().peer_identity().unwrap();
        let chain = chain.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>();
        assert_eq!(chain.unwrap()[0].len(), identity.leaf().der_len);
    }
}

#[tokio::test]
async fn a_refused_client_certificate_is_named_too() {
    let ca = Ca::new(&ML_DSA_65, "clients");
    let mut expired = client_params();
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_before = rcgen::date_time_ymd(2019, 1, 1);
    let site = over_quic(asking_for_clients(ClientAuthMode::Optional, &ca));
    let table = [
        (Ca::new(&ML_DSA_65, "others").issue(&ML_DSA_65, client_params()), 48),
        (ca.issue(&ML_DSA_65, expired), 45),
        (ca.issue(&ML_DSA_65, server_params()), 43),
    ];
    for (pair, number) in table {
        let identity = pair.identity();
        let met = meet(Door::of(&site), &h3(agent(&identity)), "localhost").await;
        assert_eq!(met.alert(), Alert(number));
        let End::Failed(error) = &met.outcome.end else {
            panic!("{:?}", met.outcome.end);
        };
        assert_eq!(blame(error).fault, Fault::Client);
        assert_eq!(blame(error).alert_out, Some(Alert(number)));
        let choice = met.outcome.choice.as_ref().unwrap();
        let refusal = choice.client_refusal().unwrap();
        assert_eq!(*refusal.certificate.serial, *identity.leaf().serial);
    }
    // none at all
    meet(Door::of(&site), &h3(offer()), "localhost").await.facts();
    let strict = over_quic(asking_for_clients(ClientAuthMode::Required, &ca));
    let met = meet(Door::of(&strict), &h3(offer()), "localhost").await;
    assert_eq!(met.alert(), Alert::CERTIFICATE_REQUIRED);
    assert!(met.answer.lacked_certificate);
}

#[tokio::test]
async fn only_post_quantum_clients_enter_where_they_are_required() {
    let required = Policy {
        client_authentication: Stance::Require,
        ..Profile::Default.policy()
    };
    let ca = Ca::new(&P256, "clients");
    let site = over_quic(ServerSpec {
        policy: required.into(),
        ..asking_for_clients(ClientAuthMode::Required, &ca)
    });
    let classical = ca.issue(&P256, client_params()).identity();
    let met = meet(Door::of(&site), &h3(agent(&classical)), "localhost").await;
    assert_eq!(met.alert(), Alert::ACCESS_DENIED);
    let choice = met.outcome.choice.as_ref().unwrap();
    let rule = choice.client_refusal().and_then(|refusal| refusal.rule);
    assert_eq!(rule, Some(RuleName::ClientAuthentication));
}

#[tokio::test]
async fn a_session_resumes_in_its_context_with_a_key_exchange_of_its_own() {
    let ca = Ca::new(&ML_DSA_65, "clients");
    let clients = asking_for_clients(ClientAuthMode::Required, &ca);
    let identified = agent(&ca.issue(&ML_DSA_65, client_params()).identity());
    for (site, asking) in [(spec(&[&identity(&ML_DSA_65)]), offer()), (clients, identified)] {
        let site = over_quic(site);
        let client = remembering(asking);
        let first = meet(Door::of(&site), &client, "localhost").await;
        assert!(!first.facts().resumed);
        for _ in 0..2 {
            let next = meet(Door::of(&site), &client, "localhost").await;
            assert!(next.facts().resumed);
            assert_eq!(next.facts().signature, None);
            assert_eq!(next.facts().group, first.facts().group);
            assert_eq!(next.facts().authentication, first.facts().authentication);
            assert_eq!(next.facts().client, first.facts().client);
        }
    }
}

#[tokio::test]
async fn nothing_resumes_across_contexts() {
    let classical = identity(&P256);
    let changes = [
        ServerSpec {
            context: "other".into(),
            ..spec(&[&classical])
        },
        ServerSpec {
            policy: policy(Stance::Require, Stance::Observe),
            ..spec(&[&classical])
        },
        spec(&[&identity(&ML_DSA_65)]),
        asking_for_clients(ClientAuthMode::Optional, &Ca::new(&P256, "clients")),
    ];
    for changed in changes {
        let tickets = Tickets::new();
        let one = shared(spec(&[&classical]), &tickets);
        let other = shared(changed, &tickets);
        let client = remembering(offer());
        meet(Door::of(&one), &client, "localhost").await.facts();
        let next = meet(Door::of(&other), &client, "localhost").await;
        assert!(next.outcome.hello.as_ref().unwrap().psk);
        assert!(!next.facts().resumed);
    }
}

#[tokio::test]
async fn a_session_of_quic_does_not_resume_over_tcp() {
    let tickets = Tickets::new();
    let site = ServerSpec {
        alpn: vec![b"h3".to_vec()],
        settings: settings(Profile::Modern, &Overrides::default()),
        ..spec(&[&identity(&P256)])
    };
    let tcp = Server::build(site.clone(), &tickets).unwrap();
    let quic = shared(site, &tickets);
    let client = remembering(ClientSpec {
        versions: vec![Version::Tls13],
        ..offer()
    });
    meet(Door::of(&quic), &client, "localhost").await.facts();
    let mut next = client.connect(ServerName::try_from("localhost").unwrap()).unwrap();
    let done = crate::lab::shake(&tcp, &mut next.tls).unwrap();
    assert!(done.hello.psk && !done.facts.resumed);
}

#[tokio::test]
async fn a_hello_beyond_what_tls_allows_is_refused_by_its_length() {
    let site = over_quic(spec(&[&identity(&P256)]));
    // 63 protocols of 255 bytes are 16 KiB, and 250 of them nearly all that an extension holds
    for protocols in [64, 250] {
        let asking = Client::build(ClientSpec {
            alpn: vec![vec![b'a'; 255]; protocols],
            ..offer()
        });
        let met = meet(Door::of(&site), &asking.unwrap(), "localhost").await;
        assert_eq!(met.alert(), Alert::ILLEGAL_PARAMETER);
        assert_eq!(met.outcome.end, End::NoHello(HelloError::TooLong));
        assert!(met.outcome.hello.is_none());
        assert!(met.outcome.bytes_in < 2_000, "{}", met.outcome.bytes_in);
    }
}

#[tokio::test]
async fn a_client_that_leaves_makes_no_error_of_tls() {
    let site = over_quic(spec(&[&identity(&ML_DSA_65)]));
    let acceptor = Acceptor::new();
    let listener = endpoint(Some(ServerConfig::with_crypto(acceptor.for_endpoint())));
    let caller = endpoint(None);
    let (crypto, _asked) = h3(offer()).over_quic(&acceptor);
    let address = listener.local_addr().unwrap();
    let connecting = caller.connect_with(quinn::ClientConfig::new(crypto), address, "localhost");
    let incoming = tokio::time::timeout(PATIENCE, listener.accept())
        .await
        .unwrap()
        .unwrap();
    drop(connecting);
    let (crypto, handshake) = acceptor.begin(Door::of(&site));
    let connection = tokio::time::timeout(PATIENCE, accepted(incoming, ServerConfig::with_crypto(crypto)));
    let error = connection.await.unwrap().unwrap_err();
    let outcome = handshake.take().unwrap();
    assert_eq!(outcome.end, End::Unfinished, "{error}");
    assert_eq!((outcome.alert_out, alert_in(&error)), (None, None));
    assert!(handshake.take().is_none());
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_chain_says_so() {
    let site = over_quic(spec(&[&identity(&ML_DSA_65)]));
    let asking = h3(ClientSpec {
        trust: portcullis_tls::client::Trust::Roots(vec![Ca::new(&P256, "others").der()]),
        ..offer()
    });
    let met = meet(Door::of(&site), &asking, "localhost").await;
    assert_eq!(met.outcome.end, End::Unfinished);
    let alert = alert_in(&met.ours.unwrap_err());
    assert_eq!(alert, Some(Alert(48)));
    assert_eq!(met.outcome.choice.unwrap().authentication, Authentication::Pq);
    assert!(met.answer.error.is_some() && met.answer.facts.is_none());
}

#[tokio::test]
async fn both_ends_have_the_same_keys_and_renew_them() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let met = meet(Door::of(&site), &h3(offer()), "localhost").await;
    let (ours, theirs) = (met.ours.as_ref().unwrap(), met.theirs.as_ref().unwrap());
    let exported = [ours, theirs].map(|connection| {
        let mut secret = [0; 32];
        connection
            .export_keying_material(&mut secret, b"label", b"context")
            .unwrap();
        secret
    });
    assert!(exported[0] == exported[1] && exported[0] != [0; 32]);
    for side in [ours, theirs, ours] {
        side.force_key_update();
        let (mut send, _) = ours.open_bi().await.unwrap();
        send.write_all(b"after an update").await.unwrap();
        send.finish().unwrap();
        let (_, mut receive) = theirs.accept_bi().await.unwrap();
        assert_eq!(receive.read_to_end(64).await.unwrap(), b"after an update");
    }
}
