//! Client certificates and resumption over QUIC.
use super::{Door, h3, meet, over_quic, remembering, shared};
use crate::lab::{
    Ca, ML_DSA_44, ML_DSA_65, ML_DSA_87, P256, client_params, identity, offer, policy, server_params, settings, spec,
};
use portcullis_tls::{
    client::ClientSpec,
    failure::{Fault, blame},
    identity::Identity,
    negotiated::{ClientAuthentication, Version},
    policy::{Policy, RuleName, Stance},
    profile::{Overrides, Profile},
    quic::End,
    rustls::pki_types::{CertificateDer, ServerName},
    server::{ClientAuth, ClientAuthMode, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::alert::Alert;
use std::sync::Arc;

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
        let chain = chain.downcast::<Vec<CertificateDer<'static>>>();
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
