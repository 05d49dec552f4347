//! What is resumed, and above all what is not.
use crate::lab::{
    Ca, ML_DSA_65, P256, Unfinished, client_params, feed, groups, identity, offer, outgoing, policy, read, settings,
    shake, spec,
};
use portcullis_tls::{
    client::{Client, ClientSpec},
    failure::blame,
    identity::Identity,
    negotiated::{Authentication, ClientAuthentication, Negotiated, Version},
    policy::Stance,
    profile::{Overrides, Profile},
    rustls::{
        Error, PeerMisbehaved, ServerConnection,
        pki_types::{CertificateDer, ServerName, UnixTime},
        time_provider::TimeProvider,
    },
    server::{ClientAuth, ClientAuthMode, Server, ServerSpec, Unfit},
    tickets::Tickets,
};
use portcullis_wire::alert::Alert;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

fn remembering(spec: ClientSpec) -> Client {
    Client::build(ClientSpec { resumption: 32, ..spec }).unwrap()
}

fn visit(client: &Client, server: &Server) -> Negotiated {
    let mut connection = client.connect(ServerName::try_from("localhost").unwrap()).unwrap();
    let done = shake(server, &mut connection.tls).unwrap();
    let seen = connection.negotiated().unwrap();
    assert_eq!(seen.resumed, done.facts.resumed);
    assert_eq!(seen.signature, done.facts.signature);
    assert_eq!(seen.authentication, done.facts.authentication);
    assert_eq!(seen.client_authentication, done.facts.client_authentication);
    done.facts
}

/// One client visits the first server, then the second: is it resumed there?
fn resumes(first: ServerSpec, second: ServerSpec, client: ClientSpec) -> bool {
    let tickets = Tickets::new();
    let first = Server::build(first, &tickets).unwrap();
    let second = Server::build(second, &tickets).unwrap();
    let client = remembering(client);
    assert!(!visit(&client, &first).resumed);
    visit(&client, &second).resumed
}

fn tls12() -> ClientSpec {
    ClientSpec {
        versions: vec![Version::Tls12],
        ..offer()
    }
}

fn auth(mode: ClientAuthMode, roots: &[&CertificateDer<'static>]) -> Option<ClientAuth> {
    let roots = roots.iter().map(|root| (*root).clone()).collect();
    Some(ClientAuth::new(mode, roots))
}

#[test]
fn a_session_resumes_in_its_context_with_a_key_exchange_of_its_own() {
    let server = Server::build(spec(&[&identity(&ML_DSA_65)]), &Tickets::new()).unwrap();
    let client = remembering(offer());
    let first = visit(&client, &server);
    assert!(!first.resumed && first.signature.is_some());
    for _ in 0..3 {
        let next = visit(&client, &server);
        assert!(next.resumed);
        assert_eq!(next.signature, None);
        assert_eq!(next.authentication, Authentication::Pq);
        assert_eq!(next.group, first.group);
    }
}

#[test]
fn tls_12_resumes_by_ticket_and_without_a_group() {
    let server = Server::build(spec(&[&identity(&P256)]), &Tickets::new()).unwrap();
    let client = remembering(tls12());
    assert!(visit(&client, &server).group.is_some());
    let next = visit(&client, &server);
    assert!(next.resumed);
    assert_eq!(next.group, None);
    assert_eq!(next.key_exchange().as_str(), "classical");
}

#[test]
fn a_reload_with_the_same_context_keeps_its_sessions() {
    let identity = identity(&P256);
    for client in [offer(), tls12()] {
        assert!(resumes(spec(&[&identity]), spec(&[&identity]), client));
    }
    // a renewed certificate of the same class is the same context
    let renewed = crate::lab::identity(&P256);
    assert!(resumes(spec(&[&identity]), spec(&[&renewed]), offer()));
}

#[test]
fn nothing_resumes_across_contexts() {
    let classical = identity(&P256);
    let pq = identity(&ML_DSA_65);
    let changes: [(&str, ServerSpec); 6] = [
        (
            "name",
            ServerSpec {
                context: "other".into(),
                ..spec(&[&classical])
            },
        ),
        (
            "key exchange policy",
            ServerSpec {
                policy: policy(Stance::Require, Stance::Observe),
                ..spec(&[&classical])
            },
        ),
        (
            "authentication policy",
            ServerSpec {
                policy: policy(Stance::Prefer, Stance::Prefer),
                ..spec(&[&classical])
            },
        ),
        (
            "versions",
            ServerSpec {
                settings: settings(Profile::Modern, &Overrides::default()),
                ..spec(&[&classical])
            },
        ),
        ("certificate class", spec(&[&pq])),
        (
            "lifetime",
            ServerSpec {
                ticket_lifetime: Duration::from_secs(60),
                ..spec(&[&classical])
            },
        ),
    ];
    for (what, changed) in changes {
        assert!(!resumes(spec(&[&classical]), changed, offer()), "{what}");
    }
}

#[test]
fn a_session_without_a_certificate_never_enters_where_one_is_asked_for() {
    let identity = identity(&P256);
    let root = Ca::new(&P256, "clients").der();
    let other = Ca::new(&P256, "others").der();
    let asking = |mode, roots: &[&CertificateDer<'static>]| ServerSpec {
        client_auth: auth(mode, roots),
        ..spec(&[&identity])
    };
    use ClientAuthMode::Optional;
    assert!(!resumes(spec(&[&identity]), asking(Optional, &[&root]), offer()));
    assert!(!resumes(asking(Optional, &[&root]), spec(&[&identity]), offer()));
    assert!(!resumes(
        asking(Optional, &[&root]),
        asking(Optional, &[&other]),
        offer()
    ));
    assert!(!resumes(
        asking(Optional, &[&root]),
        asking(Optional, &[&root, &other]),
        offer()
    ));
    for client in [offer(), tls12()] {
        assert!(resumes(asking(Optional, &[&root]), asking(Optional, &[&root]), client));
    }
}

#[test]
fn an_optional_session_is_no_required_one() {
    let ca = Ca::new(&P256, "clients");
    let client = |identity: Option<Arc<Identity>>| ClientSpec { identity, ..offer() };
    let agent = ca.issue(&P256, client_params()).identity();
    let asking = |mode| ServerSpec {
        client_auth: auth(mode, &[&ca.der()]),
        ..spec(&[&identity(&P256)])
    };
    let (optional, required) = (ClientAuthMode::Optional, ClientAuthMode::Required);
    assert!(!resumes(
        asking(optional),
        asking(required),
        client(Some(Arc::clone(&agent)))
    ));
    assert!(!resumes(asking(required), asking(optional), client(Some(agent))));

    let tickets = Tickets::new();
    let open = Server::build(asking(optional), &tickets).unwrap();
    let strict = Server::build(asking(required), &tickets).unwrap();
    let nobody = remembering(client(None));
    assert_eq!(visit(&nobody, &open).client_authentication, ClientAuthentication::None);
    let mut again = nobody.connect(ServerName::try_from("localhost").unwrap()).unwrap();
    assert!(matches!(shake(&strict, &mut again.tls), Err(Unfinished::Server(..))));
}

#[test]
fn a_resumed_client_is_still_who_it_was() {
    let ca = Ca::new(&ML_DSA_65, "clients");
    let agent = ca.issue(&ML_DSA_65, client_params()).identity();
    for versions in [vec![Version::Tls13], vec![Version::Tls13, Version::Tls12]] {
        let server = ServerSpec {
            client_auth: auth(ClientAuthMode::Required, &[&ca.der()]),
            ..spec(&[&identity(&P256)])
        };
        let server = Server::build(server, &Tickets::new()).unwrap();
        let client = remembering(ClientSpec {
            identity: Some(Arc::clone(&agent)),
            versions,
            ..offer()
        });
        let first = visit(&client, &server);
        let next = visit(&client, &server);
        assert!(next.resumed);
        assert_eq!(next.client_authentication, ClientAuthentication::Pq);
        assert_eq!(next.client, first.client);
        assert_eq!(next.client.unwrap().subject, "CN=agent-7,O=Lab");
    }
}

#[derive(Debug)]
struct Year2100;

impl TimeProvider for Year2100 {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(4_102_444_800)))
    }
}

#[test]
fn a_resumed_client_does_not_outlive_its_certificate() {
    let ca = Ca::new(&P256, "clients");
    for (end, outlives) in [(2099, false), (2101, true)] {
        let mut params = client_params();
        params.not_after = rcgen::date_time_ymd(end, 1, 1);
        let server = ServerSpec {
            client_auth: auth(ClientAuthMode::Required, &[&ca.der()]),
            ..spec(&[&identity(&P256)])
        };
        let server = Server::build(server, &Tickets::new()).unwrap();
        let client = remembering(ClientSpec {
            identity: Some(ca.issue(&P256, params).identity()),
            ..offer()
        });
        visit(&client, &server);
        let mut connection = client.connect(ServerName::try_from("localhost").unwrap()).unwrap();
        let bytes = outgoing(&mut connection.tls);
        let hello = read(&bytes);
        let mut choice = server.choose(&hello).unwrap();
        let mut config = (*choice.config).clone();
        config.time_provider = Arc::new(Year2100);
        choice.config = Arc::new(config);
        let mut tls = ServerConnection::new(Arc::clone(&choice.config)).unwrap();
        feed(&mut tls, &bytes).unwrap();
        feed(&mut connection.tls, &outgoing(&mut tls)).unwrap();
        feed(&mut tls, &outgoing(&mut connection.tls)).unwrap();
        match server.negotiated(&hello, &choice, &tls) {
            Ok(facts) => assert!(facts.resumed && outlives),
            Err(Unfit::Client(refusal)) => assert!(refusal.reason == "expired" && !outlives, "{refusal}"),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_clients_chain_stays_here_and_not_in_its_hellos() {
    let ca = Ca::new(&ML_DSA_65, "clients");
    let asking = ServerSpec {
        client_auth: auth(ClientAuthMode::Required, &[&ca.der()]),
        ..spec(&[&identity(&P256)])
    };
    let server = Server::build(asking, &Tickets::new()).unwrap();
    let agent = ca.issue(&ML_DSA_65, client_params()).identity();
    assert!(agent.leaf().der_len > 5_000);
    let client = remembering(ClientSpec {
        identity: Some(agent),
        ..offer()
    });
    visit(&client, &server);
    let mut next = client.connect(ServerName::try_from("localhost").unwrap()).unwrap();
    let hello = read(&outgoing(&mut next.tls));
    assert!(hello.psk && hello.len < 2_500, "{}", hello.len);
}

#[test]
fn sessions_are_kept_only_where_tickets_are_not_made() {
    let ca = Ca::new(&P256, "clients");
    for (client_auth, kept) in [(None, false), (auth(ClientAuthMode::Optional, &[&ca.der()]), true)] {
        let server = ServerSpec {
            client_auth,
            ..spec(&[&identity(&P256)])
        };
        let server = Server::build(server, &Tickets::new()).unwrap();
        let mut client = Client::build(offer())
            .unwrap()
            .connect(ServerName::try_from("localhost").unwrap())
            .unwrap();
        let config = server.choose(&read(&outgoing(&mut client.tls))).unwrap().config;
        assert_eq!(config.session_storage.can_cache(), kept);
        assert_eq!(config.ticketer.enabled(), !kept);
        assert_eq!(config.max_early_data_size, 0);
    }
}

#[test]
fn a_ticket_whose_secret_the_client_lacks_is_refused() {
    let server = Server::build(spec(&[&identity(&P256)]), &Tickets::new()).unwrap();
    let client = remembering(offer());
    visit(&client, &server);
    let mut connection = client.connect(ServerName::try_from("localhost").unwrap()).unwrap();
    let mut bytes = outgoing(&mut connection.tls);
    // the hello ends with the proof
    *bytes.last_mut().unwrap() ^= 1;
    let mut tls = ServerConnection::new(server.choose(&read(&bytes)).unwrap().config).unwrap();
    let error = feed(&mut tls, &bytes).unwrap_err();
    assert_eq!(error, Error::PeerMisbehaved(PeerMisbehaved::IncorrectBinder));
    assert_eq!(outgoing(&mut tls), Alert(51).fatal_record());
    assert_eq!(blame(&error).alert_out, Some(Alert(51)));
}

#[test]
fn a_session_ends_with_its_lifetime() {
    let ca = Ca::new(&P256, "clients");
    let asking = auth(ClientAuthMode::Optional, &[&ca.der()]);
    for client_auth in [None, asking] {
        for client in [offer(), tls12()] {
            let time = Arc::new(AtomicU64::new(0));
            let read = Arc::clone(&time);
            let clock = move || Duration::from_secs(read.load(Ordering::Relaxed));
            let tickets = Tickets::with_clock(Box::new(clock));
            let server = ServerSpec {
                client_auth: client_auth.clone(),
                ..spec(&[&identity(&P256)])
            };
            let server = Server::build(server, &tickets).unwrap();
            let client = remembering(client);
            visit(&client, &server);
            time.store(3600, Ordering::Relaxed);
            assert!(visit(&client, &server).resumed);
            time.store(7201, Ordering::Relaxed);
            assert!(!visit(&client, &server).resumed);
        }
    }
}

#[test]
fn another_process_knows_nothing_of_it() {
    let identity = identity(&P256);
    let one = Server::build(spec(&[&identity]), &Tickets::new()).unwrap();
    let other = Server::build(spec(&[&identity]), &Tickets::new()).unwrap();
    let client = remembering(offer());
    visit(&client, &one);
    assert!(!visit(&client, &other).resumed);
}

#[test]
fn without_a_lifetime_nothing_is_resumed() {
    let ca = Ca::new(&P256, "clients");
    for client_auth in [None, auth(ClientAuthMode::Optional, &[&ca.der()])] {
        for client in [offer(), tls12()] {
            let never = || ServerSpec {
                ticket_lifetime: Duration::ZERO,
                client_auth: client_auth.clone(),
                ..spec(&[&identity(&P256)])
            };
            assert!(!resumes(never(), never(), client));
        }
    }
}

#[test]
fn a_retry_before_a_resumption_is_still_told() {
    let overrides = Overrides {
        groups: Some(groups(&["secp384r1"])),
        ..Overrides::default()
    };
    let server = ServerSpec {
        settings: settings(Profile::Modern, &overrides),
        ..spec(&[&identity(&P256)])
    };
    let server = Server::build(server, &Tickets::new()).unwrap();
    // rustls remembers the group that a server took; a full list keeps it from being the first share
    let client = remembering(ClientSpec {
        groups: groups(&["X25519", "secp384r1"]),
        ..offer()
    });
    assert!(visit(&client, &server).retry);
    let next = visit(&client, &server);
    assert!(next.resumed && !next.retry);
}

#[test]
fn a_client_that_remembers_nothing_resumes_nothing() {
    let server = Server::build(spec(&[&identity(&P256)]), &Tickets::new()).unwrap();
    let client = Client::build(offer()).unwrap();
    visit(&client, &server);
    assert!(!visit(&client, &server).resumed);
}

#[test]
fn connections_at_the_same_time_note_their_own_signatures() {
    let servers =
        [&P256, &ML_DSA_65].map(|algorithm| Server::build(spec(&[&identity(algorithm)]), &Tickets::new()).unwrap());
    let client = remembering(offer());
    let connect = || client.connect(ServerName::try_from("localhost").unwrap()).unwrap();
    let mut both = [connect(), connect()];
    for (server, connection) in servers.iter().zip(&mut both) {
        shake(server, &mut connection.tls).unwrap();
    }
    let noted = both.map(|connection| connection.negotiated().unwrap().signature.unwrap());
    assert_eq!(
        noted.map(|scheme| scheme.to_string()),
        ["ecdsa_secp256r1_sha256", "mldsa65"]
    );
}
