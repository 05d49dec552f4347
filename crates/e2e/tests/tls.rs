//! Crate `tls` against OpenSSL, which was not written here: every group, certificate and policy, in both directions.
use portcullis_e2e::{
    client::{Client, Conversation, Failed, Offer, Seen, Versions, alert_in},
    pki::{Algorithm, Holder, Pki, credentials},
    server::{Server as OpensslServer, Terms},
    straight::{Straight, Trouble, originate},
};
use portcullis_tls::{
    client::{Client as OurClient, ClientSpec, Trust},
    identity::{Identity, certificates_from_pem},
    negotiated::{Authentication, ClientAuthentication, Negotiated, Version},
    policy::{Policy, RuleName, Stance},
    profile::{Overrides, Profile},
    server::{ClientAuth, ClientAuthMode, Refusal, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::registry::{Group, Standing};
use rustls::pki_types::CertificateDer;
use std::{io::Read, sync::Arc, time::Duration};

/// A site of ours, and what of it a test varies.
#[derive(Clone)]
struct Site {
    context: &'static str,
    profile: Profile,
    overrides: Overrides,
    policy: Option<Policy>,
    certificates: Vec<(Algorithm, Holder)>,
    client_auth: Option<ClientAuthMode>,
    client_roots: Vec<Algorithm>,
}

impl Default for Site {
    fn default() -> Site {
        let algorithms = [Algorithm::MlDsa65, Algorithm::EcdsaP256, Algorithm::Rsa];
        Site {
            context: "site",
            profile: Profile::Default,
            overrides: Overrides {
                groups: Some(every_group().map(|g| g.id).collect()),
                ..Overrides::default()
            },
            policy: None,
            certificates: algorithms.map(|a| (a, Holder::Server)).to_vec(),
            client_auth: None,
            client_roots: Algorithm::ALL.to_vec(),
        }
    }
}

impl Site {
    fn server(&self, tickets: &Arc<Tickets>) -> Server {
        let settings = self.profile.settings(&self.overrides);
        let spec = ServerSpec {
            context: self.context.to_owned(),
            settings: settings.expect("settings that work"),
            policy: self.policy.unwrap_or_else(|| self.profile.policy()),
            identities: self.certificates.iter().map(identity).collect(),
            client_auth: self.client_auth.map(|mode| ClientAuth {
                mode,
                roots: self.client_roots.iter().map(root).collect(),
            }),
            alpn: Vec::new(),
            ticket_lifetime: Duration::from_secs(3600),
        };
        Server::build(spec, tickets).expect("a server")
    }

    fn start(&self) -> Straight {
        Straight::start(self.server(&Tickets::new()))
    }

    fn of(certificates: &[Algorithm]) -> Site {
        Site {
            certificates: certificates.iter().map(|a| (*a, Holder::Server)).collect(),
            ..Site::default()
        }
    }

    fn under(key_exchange: Stance) -> Site {
        Site {
            policy: Some(Policy {
                key_exchange,
                authentication: Stance::Observe,
            }),
            ..Site::default()
        }
    }
}

fn every_group() -> impl Iterator<Item = &'static Group> {
    Group::all().iter().filter(|g| g.standing != Standing::Never)
}

fn identity((algorithm, holder): &(Algorithm, Holder)) -> Arc<Identity> {
    let made = credentials(*algorithm, *holder);
    let identity = Identity::from_pem(made.chain.as_bytes(), made.key.as_bytes());
    Arc::new(identity.expect("a chain and its key"))
}

fn root(algorithm: &Algorithm) -> CertificateDer<'static> {
    let pem = credentials(*algorithm, Holder::Server).root;
    let mut roots = certificates_from_pem(pem.as_bytes()).expect("a root");
    roots.remove(0).0
}

/// A handshake that both sides finished, told by both; they must agree.
fn handshake(straight: &Straight, client: &Client) -> (Seen, Negotiated) {
    let conversation = client.connect(straight.address());
    settled(straight, conversation)
}

fn settled(straight: &Straight, conversation: Result<Conversation, Failed>) -> (Seen, Negotiated) {
    let mut conversation = match conversation {
        Ok(conversation) => conversation,
        Err(failed) => panic!("{failed}; the server: {:?}", straight.outcome()),
    };
    conversation.echo(b"what is said comes back");
    let seen = conversation.seen();
    conversation.close();
    let negotiated = straight.outcome().expect("the server is done as well");
    agree(&seen, &negotiated);
    (seen, negotiated)
}

/// What we say of a handshake is what OpenSSL says of it.
fn agree(seen: &Seen, ours: &Negotiated) {
    let version = match ours.version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    assert_eq!(seen.version, version);
    if let Some(group) = ours.group {
        assert_eq!(
            seen.group.as_deref().map(str::to_lowercase),
            Some(group.to_string().to_lowercase())
        );
    }
    assert_eq!(seen.cipher, ours.cipher.to_string());
    assert_eq!(seen.retry, ours.retry, "a retry");
    assert_eq!(seen.resumed, ours.resumed, "a resumption");
    assert_eq!(seen.signature, ours.signature.map(|s| s.to_string()));
}

fn refused(straight: &Straight, client: &Client) -> (Option<u8>, Trouble) {
    let failed = client.connect(straight.address()).err();
    let trouble = straight.outcome().expect_err("it is refused");
    (failed.expect("it is refused").alert, trouble)
}

fn groups_of(seen: &Seen) -> String {
    seen.group.clone().unwrap_or_default().to_lowercase()
}

#[test]
fn openssl_agrees_on_every_group_alone() {
    let straight = Site::default().start();
    for group in every_group() {
        let client = Client::new(Offer::groups(group.name).versions(Versions::Only13));
        let (seen, negotiated) = handshake(&straight, &client);
        assert_eq!(groups_of(&seen), group.name.to_lowercase());
        assert_eq!(negotiated.group, Some(group.id));
        assert_eq!(negotiated.key_exchange(), group.class);
        assert!(!negotiated.retry, "{} needs no retry", group.name);
    }
}

#[test]
fn a_group_that_only_the_client_has_is_refused() {
    for group in every_group() {
        let others = every_group().filter(|g| g.id != group.id);
        let site = Site {
            overrides: Overrides {
                groups: Some(others.map(|g| g.id).collect()),
                ..Overrides::default()
            },
            ..Site::default()
        };
        let straight = site.start();
        let client = Client::new(Offer::groups(group.name).versions(Versions::Only13));
        let (alert, trouble) = refused(&straight, &client);
        assert!(
            matches!(trouble, Trouble::Refused(Refusal::NoCommonGroup)),
            "{}: {trouble:?}",
            group.name
        );
        assert_eq!(alert, Some(Refusal::NoCommonGroup.alert().0));
    }
}

#[test]
fn the_server_takes_its_own_best_group_from_a_mixed_list() {
    let straight = Site::default().start();
    // The client's list (`*`: with a share), the group, whether by a retry.
    let table = [
        ("*X25519:*X25519MLKEM768", "x25519mlkem768", false),
        ("*X25519MLKEM768:*X25519", "x25519mlkem768", false),
        ("*SecP256r1MLKEM768:X25519MLKEM768", "secp256r1mlkem768", false),
        ("*secp256r1:SecP256r1MLKEM768:X25519", "secp256r1mlkem768", true),
        ("*X25519:SecP384r1MLKEM1024:secp384r1", "secp384r1mlkem1024", true),
        ("*X25519:MLKEM1024", "mlkem1024", true),
        ("*secp384r1:*secp256r1", "secp256r1", false),
        ("*secp384r1:X25519", "secp384r1", false),
        ("*ffdhe2048:secp384r1", "secp384r1", true),
        ("*ffdhe2048:X25519:X25519MLKEM768", "x25519mlkem768", true),
    ];
    for (list, group, retry) in table {
        let client = Client::new(Offer::groups(list).versions(Versions::Only13));
        let (seen, _) = handshake(&straight, &client);
        assert_eq!((groups_of(&seen).as_str(), seen.retry), (group, retry), "{list}");
    }
}

#[test]
fn each_row_of_the_retry_table_holds_under_each_policy() {
    const PQ: Option<(&str, bool)> = Some(("x25519mlkem768", false));
    const PQ_RETRY: Option<(&str, bool)> = Some(("x25519mlkem768", true));
    const CLASSICAL: Option<(&str, bool)> = Some(("x25519", false));
    // Observe, prefer, prefer without retry, require.
    let table = [
        ("*X25519MLKEM768:X25519", [PQ, PQ, PQ, PQ]),
        ("X25519MLKEM768:*X25519", [CLASSICAL, PQ_RETRY, CLASSICAL, PQ_RETRY]),
        ("*X25519:X25519MLKEM768", [CLASSICAL, PQ_RETRY, CLASSICAL, PQ_RETRY]),
        ("X25519", [CLASSICAL, CLASSICAL, CLASSICAL, None]),
    ];
    let mut never = Site::under(Stance::Prefer);
    never.overrides.retry = Some(false);
    let sites = [
        Site::under(Stance::Observe),
        Site::under(Stance::Prefer),
        never,
        Site::under(Stance::Require),
    ];
    for (column, site) in sites.iter().enumerate() {
        let straight = site.start();
        for (list, row) in table {
            let client = Client::new(Offer::groups(list).versions(Versions::Only13));
            match row[column] {
                Some(expected) => {
                    let (seen, _) = handshake(&straight, &client);
                    let found = (groups_of(&seen), seen.retry);
                    assert_eq!((found.0.as_str(), found.1), expected, "{list}, column {column}");
                }
                None => {
                    let (alert, trouble) = refused(&straight, &client);
                    let refusal = Refusal::Policy(RuleName::KeyExchange);
                    assert!(matches!(trouble, Trouble::Refused(r) if r == refusal), "{trouble:?}");
                    // insufficient_security: SPEC 5.5
                    assert_eq!(alert, Some(71));
                }
            }
        }
    }
}

#[test]
fn each_certificate_goes_to_the_client_that_can_verify_it() {
    let pki = Pki::new();
    let straight = Site::of(&Algorithm::ALL).start();
    for algorithm in Algorithm::ALL {
        for group in ["X25519", "X25519MLKEM768"] {
            let offer = Offer::groups(group).signatures(algorithm.scheme());
            let roots = pki.server(algorithm).root;
            let client = Client::new(offer.versions(Versions::Only13).trusting(roots));
            let (seen, negotiated) = handshake(&straight, &client);
            assert_eq!(seen.signature.as_deref(), Some(algorithm.scheme()));
            assert_eq!(seen.chain_len, 2, "the whole chain is sent");
            let class = match algorithm.is_ml_dsa() {
                true => Authentication::Pq,
                false => Authentication::Classical,
            };
            assert_eq!(negotiated.authentication, class);
        }
    }
}

#[test]
fn the_first_certificate_of_the_list_wins_whatever_the_group() {
    let table = [
        ([Algorithm::MlDsa65, Algorithm::EcdsaP256], "mldsa65"),
        ([Algorithm::EcdsaP256, Algorithm::MlDsa65], "ecdsa_secp256r1_sha256"),
    ];
    for (order, scheme) in table {
        let straight = Site::of(&order).start();
        for group in ["X25519", "X25519MLKEM768"] {
            let (seen, _) = handshake(&straight, &Client::new(Offer::groups(group)));
            assert_eq!(seen.signature.as_deref(), Some(scheme), "{group}");
        }
    }
}

#[test]
fn a_client_that_can_verify_nothing_is_refused() {
    let straight = Site::of(&[Algorithm::MlDsa65]).start();
    let offer = Offer::default().signatures("ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256");
    let (alert, trouble) = refused(&straight, &Client::new(offer));
    assert!(
        matches!(trouble, Trouble::Refused(Refusal::NoCertificate)),
        "{trouble:?}"
    );
    assert_eq!(alert, Some(Refusal::NoCertificate.alert().0));
}

#[test]
fn tls_1_2_clients_get_a_certificate_of_their_time() {
    let pki = Pki::new();
    // ML-DSA first, and OpenSSL lists its schemes even in a TLS 1.2 hello.
    let straight = Site::of(&[Algorithm::MlDsa65, Algorithm::EcdsaP256, Algorithm::Rsa]).start();
    // TLS 1.2 wants the certificate's curve listed too (RFC 8422, 5.3).
    let lists = [
        "X25519:secp256r1",
        "secp256r1",
        "secp384r1:secp256r1",
        "X25519MLKEM768:X25519:secp256r1",
    ];
    for groups in lists {
        let offer = Offer::groups(groups).versions(Versions::Only12);
        let (seen, negotiated) = handshake(&straight, &Client::new(offer.trusting(pki.roots())));
        assert_eq!(negotiated.version, Version::Tls12);
        assert_eq!(seen.signature.as_deref(), Some("ecdsa_secp256r1_sha256"));
        assert_eq!(negotiated.authentication, Authentication::Classical);
    }
}

#[test]
fn require_refuses_tls_1_2() {
    let straight = Site::under(Stance::Require).start();
    let client = Client::new(Offer::default().versions(Versions::Only12));
    let (alert, trouble) = refused(&straight, &client);
    assert!(matches!(trouble, Trouble::Refused(_)), "{trouble:?}");
    // protocol_version or insufficient_security: both say why.
    assert!(matches!(alert, Some(70 | 71)), "{alert:?}");
}

#[test]
fn required_authentication_sends_only_ml_dsa() {
    let site = Site {
        policy: Some(Policy {
            key_exchange: Stance::Observe,
            authentication: Stance::Require,
        }),
        ..Site::of(&[Algorithm::EcdsaP256, Algorithm::MlDsa65])
    };
    let straight = site.start();
    let (seen, _) = handshake(&straight, &Client::new(Offer::default()));
    assert_eq!(seen.signature.as_deref(), Some("mldsa65"));
    let classical = Offer::default().signatures("ecdsa_secp256r1_sha256");
    let (alert, trouble) = refused(&straight, &Client::new(classical));
    assert!(matches!(trouble, Trouble::Refused(_)), "{trouble:?}");
    assert!(alert.is_some());
}

#[test]
fn preferred_authentication_moves_ml_dsa_first() {
    let site = Site {
        policy: Some(Policy {
            key_exchange: Stance::Observe,
            authentication: Stance::Prefer,
        }),
        ..Site::of(&[Algorithm::EcdsaP256, Algorithm::MlDsa65])
    };
    let straight = site.start();
    let (seen, _) = handshake(&straight, &Client::new(Offer::default()));
    assert_eq!(seen.signature.as_deref(), Some("mldsa65"));
    let classical = Offer::default().signatures("ecdsa_secp256r1_sha256");
    let (seen, _) = handshake(&straight, &Client::new(classical));
    assert_eq!(seen.signature.as_deref(), Some("ecdsa_secp256r1_sha256"));
}

#[test]
fn a_session_resumes_within_its_context() {
    for versions in [Versions::Only13, Versions::Only12] {
        let straight = Site::default().start();
        let client = Client::new(Offer::groups("X25519MLKEM768:X25519:P-256").versions(versions));
        let (_, first) = handshake(&straight, &client);
        let session = client.session().expect("a session came");
        let (seen, second) = settled(&straight, client.resume(straight.address(), &session));
        assert!(seen.resumed, "{versions:?}");
        assert_eq!(second.signature, None);
        assert_eq!(second.authentication, first.authentication);
        if versions == Versions::Only13 {
            assert_eq!(groups_of(&seen), "x25519mlkem768", "keys are exchanged anew");
        }
    }
}

#[test]
fn a_session_never_resumes_in_another_context() {
    // Each differs from the first in one thing that a context is made of. TLS 1.2 cannot tell the last two
    // apart from the first: `require` refuses it, and its certificates are classical everywhere.
    let others = [
        Site {
            context: "another site",
            ..Site::default()
        },
        Site {
            client_auth: Some(ClientAuthMode::Optional),
            ..Site::default()
        },
        Site::under(Stance::Require),
        Site::of(&[Algorithm::EcdsaP256]),
    ];
    for (versions, others) in [(Versions::Only13, &others[..]), (Versions::Only12, &others[..2])] {
        let tickets = Tickets::new();
        let home = Straight::start(Site::default().server(&tickets));
        let client = Client::new(Offer::groups("X25519MLKEM768:X25519:P-256").versions(versions));
        for (i, other) in others.iter().enumerate() {
            let away = Straight::start(other.server(&tickets));
            handshake(&home, &client);
            let session = client.session().expect("a session came");
            let (seen, _) = settled(&away, client.resume(away.address(), &session));
            assert!(!seen.resumed, "{versions:?}, site {i}");
            let (seen, _) = settled(&home, client.resume(home.address(), &session));
            assert!(seen.resumed, "{versions:?}: at home it still resumes");
        }
    }
}

#[test]
fn a_session_survives_a_rebuild_of_the_same_context() {
    let tickets = Tickets::new();
    let client = Client::new(Offer::groups("X25519MLKEM768"));
    let before = Straight::start(Site::default().server(&tickets));
    handshake(&before, &client);
    let session = client.session().expect("a session came");
    let after = Straight::start(Site::default().server(&tickets));
    let (seen, _) = settled(&after, client.resume(after.address(), &session));
    assert!(seen.resumed);
}

#[test]
fn a_client_certificate_of_each_algorithm_is_verified() {
    let pki = Pki::new();
    let site = Site {
        client_auth: Some(ClientAuthMode::Required),
        ..Site::default()
    };
    let straight = site.start();
    for algorithm in Algorithm::ALL {
        let offer = Offer::default().presenting(pki.client(algorithm));
        let (_, negotiated) = handshake(&straight, &Client::new(offer));
        let class = match algorithm.is_ml_dsa() {
            true => ClientAuthentication::Pq,
            false => ClientAuthentication::Classical,
        };
        assert_eq!(negotiated.client_authentication, class, "{algorithm:?}");
        let client = negotiated.client.expect("it is known");
        assert_eq!(client.subject, "CN=agent-7");
        let issuer = format!("CN={} intermediate", algorithm.scheme());
        assert_eq!(client.issuer, issuer);
    }
}

/// In TLS 1.3 the server refuses after the client's Finished: the alert comes with the first read.
fn late_alert(straight: &Straight, offer: Offer) -> Option<u8> {
    let mut conversation = match Client::new(offer).connect(straight.address()) {
        Ok(conversation) => conversation,
        Err(failed) => return failed.alert,
    };
    let error = conversation.read(&mut [0; 1]).expect_err("it is refused");
    alert_in(&error)
}

#[test]
fn a_bad_client_certificate_gets_the_alert_that_says_why() {
    let pki = Pki::new();
    let expired = pki.files(Algorithm::EcdsaP256, Holder::ExpiredClient);
    let stranger = pki.client(Algorithm::Ed25519);
    for mode in [ClientAuthMode::Required, ClientAuthMode::Optional] {
        let straight = Site {
            client_auth: Some(mode),
            client_roots: vec![Algorithm::EcdsaP256],
            ..Site::default()
        }
        .start();
        for versions in [Versions::Only13, Versions::Only12] {
            let offer = Offer::default().versions(versions);
            // certificate_expired, unknown_ca
            for (files, alert) in [(&expired, 45), (&stranger, 48)] {
                let offer = offer.clone().presenting(files.clone());
                assert_eq!(late_alert(&straight, offer), Some(alert), "{mode:?}");
                assert!(matches!(straight.outcome(), Err(Trouble::Tls(_))));
            }
            if mode == ClientAuthMode::Optional {
                let (_, negotiated) = handshake(&straight, &Client::new(offer));
                assert_eq!(negotiated.client_authentication, ClientAuthentication::None);
            } else {
                // certificate_required is TLS 1.3's; before, handshake_failure.
                let alert = late_alert(&straight, offer);
                assert!(matches!(alert, Some(116 | 40)), "{alert:?}");
                assert!(matches!(straight.outcome(), Err(Trouble::Tls(_))));
            }
        }
    }
}

#[test]
fn the_flight_we_foretell_is_the_flight_openssl_gets() {
    let server = Site::of(&[Algorithm::MlDsa65]).server(&Tickets::new());
    let group = Group::by_name("X25519MLKEM768").unwrap();
    let foretold = server.flight_len(0, group.id).expect("a flight");
    let straight = Straight::start(server);
    let client = Client::new(Offer::groups(group.name).versions(Versions::Only13));
    let conversation = client.connect(straight.address()).unwrap();
    // Tickets follow only after the client's Finished, which OpenSSL sent without reading on.
    let received = conversation.wire().received().len();
    // A client may or may not send a session id to echo (32) and want a ChangeCipherSpec for it (6).
    assert!(foretold.abs_diff(received) <= 64, "{foretold}, {received}");
}

fn our_client(group: Option<&Group>, roots: &[Algorithm]) -> ClientSpec {
    ClientSpec {
        versions: vec![Version::Tls13, Version::Tls12],
        groups: match group {
            Some(group) => vec![group.id],
            None => every_group().map(|g| g.id).collect(),
        },
        schemes: None,
        trust: Trust::Roots(roots.iter().map(root).collect()),
        identity: None,
        alpn: Vec::new(),
        resumption: 0,
    }
}

fn openssl_server(pki: &Pki, algorithm: Algorithm) -> Terms {
    Terms {
        groups: String::new(),
        versions: Versions::Both,
        certificates: vec![pki.server(algorithm)],
        client_roots: None,
    }
}

#[test]
fn our_client_agrees_with_openssl_on_every_group_alone() {
    let pki = Pki::new();
    for group in every_group() {
        let terms = Terms {
            groups: group.name.to_owned(),
            ..openssl_server(&pki, Algorithm::EcdsaP256)
        };
        let server = OpensslServer::start(&terms);
        // The server has one group: once offered alone, once among all, by a share or a retry.
        for offered in [Some(group), None] {
            let spec = our_client(offered, &[Algorithm::EcdsaP256]);
            let client = OurClient::build(spec).unwrap();
            let negotiated = originate(&client, server.address(), "localhost").unwrap();
            assert_eq!(negotiated.group, Some(group.id));
            let served = server.served().unwrap();
            let theirs = served.group.unwrap_or_default();
            assert!(theirs.eq_ignore_ascii_case(group.name), "{theirs}");
        }
    }
}

#[test]
fn our_client_verifies_every_certificate_class_and_says_which() {
    let pki = Pki::new();
    for algorithm in Algorithm::ALL {
        let server = OpensslServer::start(&openssl_server(&pki, algorithm));
        let client = OurClient::build(our_client(None, &[algorithm])).unwrap();
        let negotiated = originate(&client, server.address(), "localhost").unwrap();
        let scheme = negotiated.signature.expect("a full handshake").to_string();
        // An RSA key has three schemes, and OpenSSL chooses among them.
        match algorithm {
            Algorithm::Rsa => assert!(scheme.starts_with("rsa_pss_rsae_"), "{scheme}"),
            _ => assert_eq!(scheme, algorithm.scheme()),
        }
        let class = match algorithm.is_ml_dsa() {
            true => Authentication::Pq,
            false => Authentication::Classical,
        };
        assert_eq!(negotiated.authentication, class, "{algorithm:?}");
        let elsewhere = Algorithm::ALL.into_iter().filter(|a| *a != algorithm);
        let elsewhere: Vec<_> = elsewhere.collect();
        let distrusting = OurClient::build(our_client(None, &elsewhere)).unwrap();
        let refused = originate(&distrusting, server.address(), "localhost");
        assert!(refused.is_err(), "{algorithm:?} of a root it does not trust");
        let misnamed = originate(&client, server.address(), "elsewhere.invalid");
        assert!(misnamed.is_err(), "{algorithm:?} of another name");
    }
}

#[test]
fn our_client_presents_a_certificate_of_every_class() {
    let pki = Pki::new();
    for algorithm in Algorithm::ALL {
        let terms = Terms {
            client_roots: Some(pki.client(algorithm).root),
            ..openssl_server(&pki, Algorithm::EcdsaP256)
        };
        let server = OpensslServer::start(&terms);
        let spec = ClientSpec {
            identity: Some(identity(&(algorithm, Holder::Client))),
            ..our_client(None, &[Algorithm::EcdsaP256])
        };
        let client = OurClient::build(spec).unwrap();
        let negotiated = originate(&client, server.address(), "localhost").unwrap();
        let class = match algorithm.is_ml_dsa() {
            true => ClientAuthentication::Pq,
            false => ClientAuthentication::Classical,
        };
        assert_eq!(negotiated.client_authentication, class, "{algorithm:?}");
        assert!(server.served().unwrap().client_certificate);
    }
}

#[test]
fn our_client_resumes_with_openssl_when_it_may_remember() {
    let pki = Pki::new();
    let server = OpensslServer::start(&openssl_server(&pki, Algorithm::MlDsa65));
    for (remembered, resumed) in [(0, false), (8, true)] {
        let spec = ClientSpec {
            resumption: remembered,
            ..our_client(None, &[Algorithm::MlDsa65])
        };
        let client = OurClient::build(spec).unwrap();
        originate(&client, server.address(), "localhost").unwrap();
        assert!(!server.served().unwrap().resumed);
        let negotiated = originate(&client, server.address(), "localhost").unwrap();
        assert_eq!(server.served().unwrap().resumed, resumed);
        assert_eq!(negotiated.resumed, resumed);
        assert_eq!(negotiated.authentication, Authentication::Pq);
    }
}
