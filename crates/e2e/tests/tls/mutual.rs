//! Client certificates.
use crate::{Site, handshake};
use portcullis_e2e::{
    client::{Client, Offer, Versions, alert_in},
    pki::{Algorithm, Holder, Pki},
    straight::{Straight, Trouble},
};
use portcullis_tls::{negotiated::ClientAuthentication, server::ClientAuthMode};
use std::io::Read;

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
