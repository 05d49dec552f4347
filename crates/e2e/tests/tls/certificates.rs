//! Which certificate a hello gets.
use crate::{Site, handshake, refused};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    pki::{Algorithm, Pki},
    straight::{Straight, Trouble},
};
use portcullis_tls::{
    negotiated::{Authentication, Version},
    policy::{Policy, Stance},
    server::Refusal,
    tickets::Tickets,
};
use portcullis_wire::registry::Group;

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

/// OpenSSL refuses a certificate on a curve that it did not list (RFC 8422, 5.3), and takes RSA instead.
#[test]
fn a_tls_1_2_client_without_the_curve_gets_the_rsa_certificate() {
    for (order, group, scheme) in [
        ([Algorithm::EcdsaP256, Algorithm::Rsa], "X25519", "rsa_pss_rsae_sha256"),
        (
            [Algorithm::EcdsaP256, Algorithm::Rsa],
            "X25519:P-256",
            "ecdsa_secp256r1_sha256",
        ),
        (
            [Algorithm::EcdsaP384, Algorithm::EcdsaP256],
            "X25519:P-256",
            "ecdsa_secp256r1_sha256",
        ),
    ] {
        let straight = Site::of(&order).start();
        let offer = Offer::groups(group)
            .versions(Versions::Only12)
            .signatures("ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256");
        let (seen, negotiated) = handshake(&straight, &Client::new(offer));
        assert_eq!(negotiated.version, Version::Tls12);
        assert_eq!(seen.signature.as_deref(), Some(scheme), "{group}");
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
            client_authentication: Stance::Observe,
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
            client_authentication: Stance::Observe,
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
