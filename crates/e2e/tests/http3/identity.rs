//! Who a client is and what it negotiated, judged as over TCP.
use crate::{
    Lines, Stage,
    origin::Origin,
    run,
    talk::{Offer, Talk},
    toml, until,
};
use portcullis_e2e::pki::Algorithm;
use rustls::crypto::aws_lc_rs::kx_group::X25519;

/// Lines of a site that asks for certificates, and of one that lets `deny` in no longer.
fn asking(stage_roots: &str, deny: &str) -> String {
    format!("upstream = 'back'\nclient_auth = {{ mode = 'required', ca = {stage_roots:?}, deny = [{deny}] }}")
}

#[test]
fn certificates_of_clients_are_asked_for_told_and_recalled() {
    let stage = Stage::plain();
    let roots = stage.pki.roots().display().to_string();
    let of = |site: &str| {
        let lines = Lines {
            site,
            ..Lines::default()
        };
        toml(&stage.pki, stage.origin.address(), lines)
    };
    stage.proxy.reload(&of(&asking(&roots, ""))).expect("it is good");
    run(async {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::MlDsa65] {
            let shows = Offer {
                shows: Some(algorithm),
                ..Offer::default()
            };
            let talk = Talk::offering(stage.address(), &shows).await.expect("it is let in");
            assert_eq!(talk.get("/").await.status(), 200);
        }
        let shows_none = Talk::offering(stage.address(), &Offer::default()).await;
        if let Ok(talk) = shows_none {
            // a client has finished before it hears so
            let ended = talk.quic.closed().await.to_string();
            assert!(ended.contains("116"), "{ended}");
        }
    });
    let told: Vec<_> = stage
        .origin
        .asked()
        .iter()
        .map(|asked| asked.field("portcullis-client"))
        .collect();
    for (told, class) in told.iter().zip(["classical", "pq"]) {
        let told = told.as_deref().unwrap_or_default();
        assert!(
            told.contains("agent-7") && told.contains(&format!("authentication={class}")),
            "{told}"
        );
    }
    let refused = stage.proxy.record_where(|record| record["outcome"] == "refused");
    let known = (&refused["stage"], &refused["alert_out"]);
    assert_eq!(
        known,
        (&"handshake".into(), &"certificate_required".into()),
        "{refused:#}"
    );
    run(async {
        let shows = Offer {
            shows: Some(Algorithm::EcdsaP256),
            ..Offer::default()
        };
        let talk = Talk::offering(stage.address(), &shows).await.expect("it is let in");
        assert_eq!(talk.get("/").await.status(), 200);
        stage
            .proxy
            .reload(&of(&asking(&roots, "'DNS:agent-7.test'")))
            .expect("it is good");
        until("it is shown the door", || talk.quic.close_reason().is_some()).await;
    });
    let recalled = stage.proxy.record_where(|record| record["stage"] == "relay");
    assert_eq!(recalled["outcome"], "refused", "{recalled:#}");
}

#[test]
fn a_policy_refuses_over_quic_before_anything_reaches_a_server() {
    let lines = Lines {
        site: "upstream = 'back'\npolicy = 'require'",
        ..Lines::default()
    };
    let stage = Stage::set(Origin::plain(), lines);
    run(async {
        let classical = Offer {
            groups: vec![X25519],
            ..Offer::default()
        };
        let refused = Talk::offering(stage.address(), &classical).await;
        assert!(refused.is_err(), "it has nothing quantum-safe");
        assert_eq!(Talk::begin(stage.address()).await.get("/").await.status(), 200);
    });
    let record = stage.proxy.record_where(|record| record["outcome"] == "refused");
    let known = (&record["stage"], &record["alert_out"]);
    assert_eq!(known, (&"policy".into(), &"insufficient_security".into()), "{record:#}");
    assert_eq!(stage.origin.asked().len(), 1);
}
