//! Client certificates, required and optional.
use crate::{Stage, ending};
use portcullis_e2e::{
    client::{Client, Offer, Versions, alert_in},
    pki::{Algorithm, Holder, Pki},
    upstream::Manner,
};
use std::io::Read;

pub(crate) mod house;
mod lists;
mod refusals;
mod revocation;

fn stage(mode: &str, ca: impl FnOnce(&Pki) -> std::path::PathBuf) -> Stage {
    Stage::set(Manner::Echo, |pki, front| {
        let ca = ca(pki);
        front.site(&format!("client_auth = {{ mode = {mode:?}, ca = {ca:?} }}"))
    })
}

#[test]
fn a_client_of_every_algorithm_is_named_in_the_record() {
    let stage = stage("required", Pki::roots);
    for algorithm in Algorithm::ALL {
        let offer = Offer::default().presenting(stage.pki.client(algorithm));
        let mut conversation = stage.connect(offer);
        conversation.echo(b"who is there");
        let local = conversation.local();
        conversation.close();
        let record = stage.proxy.record(local);
        let class = if algorithm.is_ml_dsa() { "pq" } else { "classical" };
        assert_eq!(record["client_authentication"], class);
        assert_eq!(record["client_subject"], "CN=agent-7");
        let issuer = format!("CN={} intermediate", algorithm.scheme());
        assert_eq!(record["client_issuer"], issuer);
        assert_ne!(record["client_serial"], "");
    }
}

/// The alert that a client gets; in TLS 1.3 it comes after its Finished, with the first read.
fn refusal(stage: &Stage, offer: Offer) -> Option<u8> {
    match Client::new(offer).connect(stage.proxy.address()) {
        Err(failed) => failed.alert,
        Ok(mut conversation) => alert_in(&conversation.read(&mut [0; 1]).expect_err("it is refused")),
    }
}

#[test]
fn who_is_not_let_in_gets_the_alert_that_says_why() {
    let pki = Pki::new();
    let expired = Offer::default().presenting(pki.files(Algorithm::EcdsaP256, Holder::ExpiredClient));
    let stranger = Offer::default().presenting(pki.client(Algorithm::MlDsa65));
    for mode in ["required", "optional"] {
        let stage = stage(mode, |pki| pki.client(Algorithm::EcdsaP256).root);
        // certificate_expired, unknown_ca
        assert_eq!(refusal(&stage, expired.clone()), Some(45), "{mode}");
        assert_eq!(refusal(&stage, stranger.clone()), Some(48), "{mode}");
        let nameless = Offer::default().versions(Versions::Only13);
        if mode == "required" {
            // certificate_required
            assert_eq!(refusal(&stage, nameless), Some(116));
        } else {
            let mut conversation = stage.connect(nameless);
            conversation.echo(b"nobody in particular");
            let local = conversation.local();
            conversation.close();
            assert_eq!(stage.proxy.record(local)["client_authentication"], "none");
        }
        let bad = stage.proxy.all_records().into_iter().filter(|r| r["outcome"] != "ok");
        for record in bad {
            assert_eq!(ending(&record)[1..], ["handshake", "client"], "{record:#}");
        }
        let admitted = if mode == "required" { 0 } else { 1 };
        assert_eq!(stage.upstream.connections(), admitted, "{mode}");
    }
}
