//! Certificates of every algorithm, in order and not: what becomes of them, and what the record says.
use super::house::{Gate, House, KINDS, agent, key, showing};
use portcullis_e2e::{client::Offer, pki::Files};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose};
use time::{Duration, OffsetDateTime};

/// What a row's certificate is, who must be named as its issuer, the alert, the fault and the reason.
type Row<'a> = (Files, &'a str, u8, &'a str, &'a str);

const MIDDLE: &str = "CN=middle,O=House";

fn with(serial: u64, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = agent(serial);
    change(&mut params);
    params
}

fn rows<'a>(house: &House, [stranger, namesake]: [&House; 2]) -> Vec<Row<'a>> {
    let now = OffsetDateTime::now_utc();
    let of = |params| house.issue(&house.middle, params);
    let expired = with(20, |params| params.not_after = now - Duration::days(1));
    let future = with(21, |params| {
        params.not_before = now + Duration::days(1);
    });
    let server = with(22, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let critical = with(23, |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    vec![
        (of(expired), MIDDLE, 45, "client", "expired"),
        (of(future), MIDDLE, 45, "client", "not valid yet"),
        (
            stranger.client(24),
            "CN=middle,O=Strangers",
            48,
            "client",
            "no CA here vouches for it",
        ),
        (
            namesake.client(27),
            MIDDLE,
            51,
            "client",
            "a signature in its chain is wrong",
        ),
        (of(server), MIDDLE, 43, "client", "it is not meant for clients"),
        (
            of(critical),
            MIDDLE,
            42,
            "client",
            "it has a critical extension that we do not know",
        ),
        (house.client(13), MIDDLE, 44, "client", "revoked"),
        (
            house.issue(&house.gone, agent(25)),
            "CN=gone,O=House",
            44,
            "client",
            "revoked",
        ),
        (
            house.issue(&house.unlisted, agent(26)),
            "CN=unlisted,O=House",
            48,
            "operator",
            "crl holds no list of its issuer, or of one above",
        ),
    ]
}

#[test]
fn each_algorithm_gets_in_when_in_order_and_is_refused_by_name_and_reason_when_not() {
    for (name, kind) in KINDS {
        let (house, namesake) = (House::new(kind), House::new(kind));
        let stranger = House::called("Strangers", kind);
        let (ca, lists) = (house.ca(), house.lists(&[13]));
        let gate = Gate::open(&format!("mode = \"optional\", ca = {ca:?}, crl = [{lists:?}]"));
        let record = gate.admits(showing(&house.client(10)));
        assert_eq!(record["client_subject"], "CN=agent-10,O=House", "{name}");
        let class = if name.starts_with("mldsa") { "pq" } else { "classical" };
        assert_eq!(record["client_authentication"], class, "{name}");
        for (files, issuer, alert, fault, reason) in rows(&house, [&stranger, &namesake]) {
            let (got, record) = gate.refuses(showing(&files));
            assert_eq!(got, Some(alert), "{name}: {record:#}");
            let subject = record["client_subject"].as_str().expect("a text");
            assert!(subject.starts_with("CN=agent-"), "{name}: {record:#}");
            assert_eq!(record["client_issuer"], issuer, "{name}");
            assert_ne!(record["client_serial"], "", "{name}");
            assert_eq!(
                record["error"],
                format!("client certificate refused: {reason}"),
                "{name}"
            );
            assert_eq!(
                (&record["stage"], &record["fault"]),
                (&"handshake".into(), &fault.into())
            );
            assert_ne!(record["alert_out"], "", "{name}");
        }
        assert_eq!(gate.stage.upstream.connections(), 1, "{name}: nobody else reached it");
    }
}

#[test]
fn a_chain_of_a_hundred_certificates_is_refused() {
    let house = House::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let gate = Gate::open(&format!("mode = \"required\", ca = {:?}", house.ca()));
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let leaf = agent(30).signed_by(&key, &house.middle).expect("an issuer signs");
    let chain = leaf.pem() + &house.middle.pem().repeat(99);
    let (alert, record) = gate.refuses(showing(&house.files(&chain, &key)));
    assert_eq!(alert, Some(49));
    assert_eq!(record["error"], "client certificate refused: more than 10 certificates");
    assert_eq!(record["client_subject"], "CN=agent-30,O=House");
}

#[test]
fn nobody_without_a_certificate_gets_in_where_one_is_required() {
    let house = House::new(&rcgen::PKCS_ED25519);
    let gate = Gate::open(&format!("mode = \"required\", ca = {:?}", house.ca()));
    let (alert, record) = gate.refuses(Offer::default());
    assert_eq!(alert, Some(116));
    assert_eq!(
        (&record["stage"], &record["fault"]),
        (&"handshake".into(), &"client".into())
    );
}

#[test]
fn a_self_signed_certificate_that_stands_in_the_ca_file_is_accepted_as_itself_and_vouches_for_nobody() {
    for (name, kind) in KINDS {
        let house = House::new(kind);
        let (itself, files) = house.self_signed(agent(40));
        let ca = house.pki.write(
            "both.pem",
            &(std::fs::read_to_string(house.ca()).expect("it was written") + &itself.pem()),
        );
        let gate = Gate::open(&format!(
            "mode = \"required\", ca = {ca:?}, crl = [{:?}]",
            house.lists(&[])
        ));
        let record = gate.admits(showing(&files));
        assert_eq!(record["client_issuer"], "CN=agent-40,O=House", "{name}");
        gate.admits(showing(&house.client(10)));
        let child = house.issue_alone(&itself, agent(41));
        assert_eq!(gate.refuses(showing(&child)).0, Some(48), "{name}: it issues nothing");
        let elsewhere = House::new(kind);
        let (_, twin) = elsewhere.self_signed(agent(40));
        assert_eq!(
            gate.refuses(showing(&twin)).0,
            Some(48),
            "{name}: the name alone is nothing"
        );
    }
}

#[test]
fn a_self_signed_certificate_is_accepted_within_its_time_only() {
    let house = House::new(&rcgen::PKCS_ML_DSA_65);
    let now = OffsetDateTime::now_utc();
    for change in [
        |params: &mut CertificateParams, now| params.not_after = now - Duration::days(1),
        |params: &mut CertificateParams, now| params.not_before = now + Duration::days(1),
    ] {
        let (itself, files) = house.self_signed(with(42, |params| change(params, now)));
        let ca = house.pki.write("itself-ca.pem", &itself.pem());
        let gate = Gate::open(&format!("mode = \"required\", ca = {ca:?}"));
        assert_eq!(gate.refuses(showing(&files)).0, Some(45));
    }
}
