//! How handshakes over QUIC end, and what is known of them.
use super::{Door, PATIENCE, Welcome, accepted, endpoint, h3, meet, over_quic, welcomed};
use crate::lab::{Ca, ML_DSA_65, ML_DSA_87, P256, group, identity, offer, spec};
use portcullis_tls::{
    client::{ClientSpec, Trust},
    negotiated::Authentication,
    quic::{Acceptor, End, alert_in},
    server::ServerSpec,
    tickets::Resumption,
};
use portcullis_wire::{CipherId, alert::Alert};
use quinn::ServerConfig;
use std::time::Duration;

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
        trust: Trust::Roots(vec![Ca::new(&P256, "others").der()]),
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
