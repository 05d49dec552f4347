//! What was taken back stays out: by lists, by resumption, and on connections that are open already.
use super::house::{Gate, House, refusal, showing};
use portcullis_e2e::{
    client::{Client, Conversation, Session, Versions},
    upstream::Manner,
};
use portcullis_proxy::{ReloadError, StartError};
use std::io::{Read, Write};
use time::{Duration, OffsetDateTime};

const KIND: super::house::Kind = &rcgen::PKCS_ML_DSA_44;
/// ML-DSA signs in TLS 1.3 only.
const OF_BOTH_VERSIONS: super::house::Kind = &rcgen::PKCS_ECDSA_P256_SHA256;

/// Ways to keep agent-13 out at a reload: what is added to client_auth, the alert, and whether others stay.
fn ways(house: &House) -> Vec<(String, u8)> {
    let ca = house.ca();
    let other = House::called("Others", KIND);
    let kept = std::fs::read_to_string(other.ca()).expect("it was written");
    let other = house.pki.write("other-ca.pem", &kept);
    vec![
        (format!("ca = {ca:?}, crl = [{:?}]", house.lists(&[13])), 44),
        (format!("ca = {ca:?}, deny = [\"DNS:agent-13\"]"), 49),
        (format!("ca = {ca:?}, allow = [\"DNS:agent-14\"]"), 49),
        (format!("ca = {other:?}"), 48),
    ]
}

#[test]
fn nobody_who_was_taken_back_resumes_a_session() {
    let house = House::new(OF_BOTH_VERSIONS);
    let open = format!("mode = \"required\", ca = {:?}", house.ca());
    let gate = Gate::open(&open);
    let address = gate.stage.proxy.address();
    let files = house.client(13);
    let session = |client: &Client| -> Session {
        let mut conversation = client.connect(address).expect("a handshake");
        conversation.echo(b"a session comes along");
        conversation.close();
        client.session().expect("it came")
    };
    for versions in [Versions::Only13, Versions::Only12] {
        gate.reload(&open);
        let client = Client::new(showing(&files).versions(versions));
        let ticket = session(&client);
        let mut resumed = client.resume(address, &ticket).expect("a handshake");
        resumed.echo(b"once more");
        assert!(resumed.seen().resumed, "where nothing has changed it resumes");
        resumed.close();
        for (auth, alert) in ways(&house) {
            gate.reload(&open);
            let ticket = session(&client);
            gate.reload(&format!("mode = \"required\", {auth}"));
            // TLS 1.3 tells with the first read
            let got = match client.resume(address, &ticket) {
                Err(failed) => failed.alert,
                Ok(mut conversation) => {
                    assert!(!conversation.seen().resumed, "{auth}");
                    refusal(&mut conversation)
                }
            };
            assert_eq!(got, Some(alert), "{versions:?}, {auth}");
        }
    }
}

/// It ends without an orderly close: what flowed must not be taken for whole.
fn is_cut(mut conversation: Conversation) {
    let ended = conversation.read(&mut [0; 1]);
    assert!(ended.is_err(), "{ended:?}");
}

#[test]
fn an_open_connection_of_a_client_that_was_taken_back_ends_at_the_reload_and_others_go_on() {
    let house = House::new(KIND);
    let open = format!("mode = \"required\", ca = {:?}", house.ca());
    let gate = Gate::open(&open);
    let (files, others) = (house.client(13), house.client(14));
    for (auth, alert) in ways(&house) {
        gate.reload(&open);
        let mut doomed = gate.stage.connect(showing(&files));
        let mut kept = gate.stage.connect(showing(&others));
        doomed.echo(b"as long as it lasts");
        kept.echo(b"still here");
        gate.reload(&format!("{open} "));
        doomed.echo(b"the same again changes nothing");
        gate.reload(&format!("mode = \"required\", {auth}"));
        let local = doomed.local();
        is_cut(doomed);
        let record = gate.stage.proxy.record(local);
        assert_eq!(super::ending(&record), ["refused", "relay", "client"], "{record:#}");
        assert_eq!(record["client_subject"], "CN=agent-13,O=House");
        let error = record["error"].as_str().expect("a text");
        assert!(error.contains("since the configuration was reloaded"), "{error}");
        if alert == 48 {
            is_cut(kept);
        } else {
            kept.echo(b"nothing happened");
            kept.close();
        }
    }
}

/// A request, as each protocol has it: RFC 9113 3.4 and 6.2, and RFC 7541 6.1 and 6.2.
fn requests() -> [(&'static [&'static str], Vec<u8>); 2] {
    let mut streamed = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    streamed.extend_from_slice(b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x87\x84\x41\x09localhost");
    [
        (&["http/1.1"], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        (&["h2"], streamed),
    ]
}

#[test]
fn a_request_of_a_client_that_was_taken_back_ends_at_the_reload() {
    let house = House::new(KIND);
    let of_requests = |auth: &str| format!("{auth} }}\nmode = \"http\"\nlimits = {{");
    let open = of_requests(&format!("mode = \"required\", ca = {:?}", house.ca()));
    let gate = Gate::before(Manner::Sink, &open);
    let files = house.client(13);
    for (count, (protocols, request)) in requests().into_iter().enumerate() {
        gate.reload(&open);
        let mut doomed = gate.stage.connect(showing(&files).speaking(protocols));
        doomed.write_all(&request).expect("it takes a request");
        let upstream = &gate.stage.upstream;
        upstream.heard_when(|heard| heard.len() > count && heard[count].bytes.starts_with(b"GET / "));
        let (auth, _) = &ways(&house)[0];
        gate.reload(&of_requests(&format!("mode = \"required\", {auth}")));
        let local = doomed.local();
        assert!(doomed.read_to_close().is_err(), "{protocols:?}: an orderly end");
        let record = gate.stage.proxy.record(local);
        assert_eq!(super::ending(&record), ["refused", "relay", "client"], "{record:#}");
        upstream.heard_when(|heard| heard[count].ended.is_some());
    }
}

#[test]
fn an_open_connection_stays_when_only_the_policy_changes_or_nobody_is_asked_any_more() {
    let house = House::new(OF_BOTH_VERSIONS);
    let open = format!("mode = \"required\", ca = {:?}", house.ca());
    let gate = Gate::open(&open);
    let mut conversation = gate.stage.connect(showing(&house.client(13)));
    conversation.echo(b"before");
    gate.reload(&format!("{open} }}\npolicy = {{ client_authentication = \"require\""));
    assert_eq!(
        gate.refuses(showing(&house.client(14))).0,
        Some(49),
        "new ones are judged by it"
    );
    conversation.echo(b"policies are about new connections");
    gate.reload("mode = \"none\"");
    conversation.echo(b"nobody judges");
    conversation.close();
}

#[test]
fn an_expired_list_refuses_unless_it_only_warns_and_shows_in_metrics() {
    let house = House::new(KIND);
    let ca = house.ca();
    let yesterday = OffsetDateTime::now_utc() - Duration::days(1);
    let lists = house.lists_until(&[13], yesterday);
    let gate = Gate::open(&format!("mode = \"required\", ca = {ca:?}, crl = [{lists:?}]"));
    let (alert, record) = gate.refuses(showing(&house.client(14)));
    assert_eq!((alert, &record["fault"]), (Some(48), &"operator".into()), "{record:#}");
    let error = "client certificate refused: the revocation list of its issuer has expired";
    assert_eq!(record["error"], error);
    assert_eq!(record["client_subject"], "CN=agent-14,O=House");
    let metric = "portcullis_crl_next_update_timestamp_seconds";
    let due = gate.stage.proxy.metric(metric, &["site=\"site\"", "index=\"1\""]);
    assert_eq!(due, yesterday.unix_timestamp() as f64);
    gate.reload(&format!(
        "mode = \"required\", ca = {ca:?}, crl = [{lists:?}], crl_expired = \"warn\""
    ));
    gate.admits(showing(&house.client(14)));
    assert_eq!(
        gate.refuses(showing(&house.client(13))).0,
        Some(44),
        "what it says still counts"
    );
    let picture = gate.stage.proxy.snapshot().upgrade().expect("it runs").picture();
    let warned = picture
        .warnings
        .iter()
        .filter(|w| w.message.contains("has expired: who was revoked since"));
    assert_eq!(warned.count(), 3, "{:?}", picture.warnings);
}

#[test]
fn a_broken_list_at_reload_is_told_by_file_and_line_and_keeps_the_old_ones() {
    let house = House::new(KIND);
    let ca = house.ca();
    let gate = Gate::open(&format!(
        "mode = \"required\", ca = {ca:?}, crl = [{:?}]",
        house.lists(&[13])
    ));
    let delta = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
    let cut = "-----BEGIN X509 CRL-----\nMIIB";
    for broken in [
        "",
        "no list at all",
        cut,
        delta,
        &std::fs::read_to_string(&ca).expect("it was written"),
    ] {
        let file = house.pki.write("broken.crl", broken);
        let rejected = gate.try_reload(&format!("mode = \"required\", ca = {ca:?}, crl = [{file:?}]"));
        let Err(ReloadError::Rejected(StartError::Config(problems))) = &rejected else {
            panic!("{broken}: {rejected:?}");
        };
        assert_eq!(problems.len(), 1, "{problems:?}");
        let said = format!("{:?} {}", problems[0].origin, problems[0].message);
        assert!(
            said.contains("portcullis.toml") && said.contains("broken.crl"),
            "{said}"
        );
        assert_eq!(gate.refuses(showing(&house.client(13))).0, Some(44));
        gate.admits(showing(&house.client(14)));
    }
}

#[test]
fn once_there_are_lists_every_issuer_of_a_chain_needs_one() {
    let house = House::new(KIND);
    let auth = format!(
        "mode = \"required\", ca = {:?}, crl = [{:?}]",
        house.ca(),
        house.list_without_the_roots()
    );
    let gate = Gate::open(&auth);
    let (alert, record) = gate.refuses(showing(&house.client(14)));
    assert_eq!((alert, &record["fault"]), (Some(48), &"operator".into()), "{record:#}");
    let picture = gate.stage.proxy.snapshot().upgrade().expect("it runs").picture();
    let warned = picture
        .warnings
        .iter()
        .any(|w| w.message.contains("holds no list of CN=root,O=House"));
    assert!(warned, "{:?}", picture.warnings);
}

#[test]
fn a_list_that_changes_is_taken_without_a_signal_and_ends_who_it_names() {
    let house = House::new(KIND);
    let lists = house.lists(&[]);
    let gate = Gate::open(&format!(
        "mode = \"required\", ca = {:?}, crl = [{lists:?}]",
        house.ca()
    ));
    let files = house.client(13);
    let mut doomed = gate.stage.connect(showing(&files));
    doomed.echo(b"as long as it lasts");
    assert_eq!(house.lists(&[13]), lists, "the same file");
    let taken = || {
        gate.stage
            .proxy
            .metric("portcullis_files_refreshed_total", &["applied"])
            == 1.0
    };
    crate::eventually("the new list", taken);
    is_cut(doomed);
    assert_eq!(gate.refuses(showing(&files)).0, Some(44));
    gate.admits(showing(&house.client(14)));
}
