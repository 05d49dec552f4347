//! Certificates of every algorithm, in order and not: what becomes of them, and what the record says.
use super::house::{Gate, House, KINDS, agent, key, showing};
use portcullis_e2e::{client::Offer, pki::Files};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// What is wrong with a certificate, its issuer, and what must come of it: alert, fault and reason.
struct Row {
    what: &'static str,
    files: Files,
    issuer: &'static str,
    alert: u8,
    fault: &'static str,
    reason: &'static str,
}

const MIDDLE: &str = "CN=middle,O=House";

fn with(serial: u64, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = agent(serial);
    change(&mut params);
    params
}

fn rows(house: &House, [stranger, namesake]: [&House; 2]) -> Vec<Row> {
    let now = OffsetDateTime::now_utc();
    let of = |params| house.issue(&house.middle, params);
    let row = |what, files, (alert, reason)| Row {
        what,
        files,
        issuer: MIDDLE,
        alert,
        fault: "client",
        reason,
    };
    let expired = with(20, |params| params.not_after = now - Duration::days(1));
    let future = with(21, |params| params.not_before = now + Duration::days(1));
    let server = with(22, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let critical = with(23, |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    let no_ca = (48, "no CA here vouches for it");
    let wrong = (51, "a signature in its chain is wrong");
    let strange = (42, "it has a critical extension that we do not know");
    let no_list = (48, "crl holds no list of its issuer, or of one above");
    vec![
        row("expired", of(expired), (45, "expired")),
        row("not valid yet", of(future), (45, "not valid yet")),
        Row {
            issuer: "CN=middle,O=Strangers",
            ..row("of another CA", stranger.client(24), no_ca)
        },
        row("of another CA with the same name", namesake.client(27), wrong),
        row("for servers only", of(server), (43, "it is not meant for clients")),
        row("with an unknown critical extension", of(critical), strange),
        row("revoked", house.client(13), (44, "revoked")),
        Row {
            issuer: "CN=gone,O=House",
            ..row(
                "of a revoked intermediate",
                house.issue(&house.gone, agent(25)),
                (44, "revoked"),
            )
        },
        Row {
            issuer: "CN=unlisted,O=House",
            fault: "operator",
            ..row(
                "of an intermediate without a list",
                house.issue(&house.unlisted, agent(26)),
                no_list,
            )
        },
    ]
}

/// The table of the documentation, made anew by this run.
fn same_as_documented(outcomes: &BTreeMap<&'static str, Vec<String>>) {
    let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let mut table = format!(
        "| client certificate | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for (what, cells) in outcomes {
        table += &format!("| {what} | {} |\n", cells.join(" | "));
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/client-certificates.md");
    let written = std::fs::read_to_string(page).expect("the page is part of the repository");
    let (begin, end) = ("<!-- made by the tests -->\n", "<!-- end -->");
    let (before, rest) = written.split_once(begin).expect("the table has a place");
    let (documented, after) = rest.split_once(end).expect("the table has an end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page, format!("{before}{begin}{table}{end}{after}")).expect("the page can be written");
        return;
    }
    assert_eq!(documented, table, "UPDATE_DOCS=1 writes it");
}

#[test]
fn each_algorithm_gets_in_when_in_order_and_is_refused_by_name_and_reason_when_not() {
    let mut outcomes: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut note = |what, outcome| outcomes.entry(what).or_default().push(outcome);
    for (name, kind) in KINDS {
        let (house, namesake) = (House::new(kind), House::new(kind));
        let stranger = House::called("Strangers", kind);
        let (ca, lists) = (house.ca(), house.lists(&[13]));
        let gate = Gate::open(&format!("mode = \"optional\", ca = {ca:?}, crl = [{lists:?}]"));
        let record = gate.admits(showing(&house.client(10)));
        assert_eq!(record["client_subject"], "CN=agent-10,O=House", "{name}");
        let class = if name.starts_with("mldsa") { "pq" } else { "classical" };
        assert_eq!(record["client_authentication"], class, "{name}");
        note("in order", "admitted".to_owned());
        for row in rows(&house, [&stranger, &namesake]) {
            let (alert, record) = gate.refuses(showing(&row.files));
            assert_eq!(alert, Some(row.alert), "{name}: {record:#}");
            let subject = record["client_subject"].as_str().expect("a text");
            assert!(subject.starts_with("CN=agent-"), "{name}: {record:#}");
            assert_ne!(record["client_serial"], "", "{name}");
            let told = ["client_issuer", "stage", "fault", "error"].map(|field| record[field].clone());
            let error = format!("client certificate refused: {}", row.reason);
            assert_eq!(
                told,
                [row.issuer, "handshake", row.fault, &error],
                "{name}: {}",
                row.what
            );
            note(row.what, record["alert_out"].as_str().expect("a text").to_owned());
        }
        assert_eq!(gate.stage.upstream.connections(), 1, "{name}: nobody else reached it");
    }
    same_as_documented(&outcomes);
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
        // as `openssl req -x509` makes them: it may sign itself, and so may vouch for others
        let of_a_ca = with(39, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        let (ca, of_ca) = house.self_signed(of_a_ca);
        let (itself, files) = house.self_signed(agent(40));
        let root = std::fs::read_to_string(house.ca()).expect("it was written");
        let ca = house.pki.write("both.pem", &(root + &itself.pem() + &ca.pem()));
        let gate = Gate::open(&format!(
            "mode = \"required\", ca = {ca:?}, crl = [{:?}]",
            house.lists(&[])
        ));
        let record = gate.admits(showing(&files));
        assert_eq!(record["client_issuer"], "CN=agent-40,O=House", "{name}");
        gate.admits(showing(&of_ca));
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
