//! Who of those that the CA vouches for may enter.
use super::house::{Gate, House, showing};
use openssl::{hash::MessageDigest, x509::X509};
use portcullis_e2e::{client::Offer, pki::Files};

const KIND: super::house::Kind = &rcgen::PKCS_ECDSA_P256_SHA256;

/// The pin that OpenSSL would compute.
fn pin(files: &Files) -> String {
    let pem = std::fs::read(&files.chain).expect("it was written");
    let leaf = &X509::stack_from_pem(&pem).expect("certificates")[0];
    let key = leaf
        .public_key()
        .expect("a key")
        .public_key_to_der()
        .expect("its encoding");
    let digest = openssl::hash::hash(MessageDigest::sha256(), &key).expect("a digest");
    format!("sha256:{}", openssl::base64::encode_block(&digest))
}

#[test]
fn allow_deny_and_pins_say_who_may_enter_and_deny_wins() {
    let house = House::new(KIND);
    let (seven, eight, other) = (house.client(17), house.client(18), house.client(19));
    let table = [
        (r#"allow = ["DNS:agent-17"]"#.to_owned(), [true, false, false]),
        (
            r#"allow = ["subject:CN=agent-17,O=House", "URI:spiffe://house/agent-18"]"#.to_owned(),
            [true, true, false],
        ),
        (
            r#"allow = ["DNS:agent-1*"], deny = ["CN=agent-18,O=*"]"#.to_owned(),
            [true, false, true],
        ),
        (r#"deny = ["URI:spiffe://house/*"]"#.to_owned(), [false, false, false]),
        (format!("pins = [{:?}]", pin(&other)), [false, false, true]),
        (
            format!("allow = [\"DNS:agent-17\"], pins = [{:?}]", pin(&other)),
            [false, false, false],
        ),
    ];
    for mode in ["required", "optional"] {
        let ca = house.ca();
        let gate = Gate::open(&format!("mode = {mode:?}, ca = {ca:?}"));
        for (lists, admitted) in &table {
            gate.reload(&format!("mode = {mode:?}, ca = {ca:?}, {lists}"));
            for (files, admitted) in [&seven, &eight, &other].into_iter().zip(admitted) {
                if *admitted {
                    gate.admits(showing(files));
                    continue;
                }
                let (alert, record) = gate.refuses(showing(files));
                assert_eq!(alert, Some(49), "{lists}");
                assert_ne!(record["client_subject"], "", "{lists}");
                assert_eq!(
                    (&record["stage"], &record["fault"]),
                    (&"handshake".into(), &"client".into())
                );
            }
        }
    }
}

#[test]
fn optional_admits_nobody_without_a_certificate_where_some_are_allowed_unless_anonymous_may() {
    let house = House::new(KIND);
    let ca = house.ca();
    let allowed = format!("mode = \"optional\", ca = {ca:?}, allow = [\"DNS:agent-17\"]");
    let gate = Gate::open(&allowed);
    assert_eq!(gate.refuses(Offer::default()).0, Some(116));
    gate.reload(&format!("{allowed}, anonymous = true"));
    assert_eq!(gate.admits(Offer::default())["client_authentication"], "none");
    assert_eq!(
        gate.refuses(showing(&house.client(18))).0,
        Some(49),
        "who shows one must be allowed"
    );
    gate.reload(&format!("mode = \"optional\", ca = {ca:?}, deny = [\"DNS:agent-17\"]"));
    assert_eq!(gate.admits(Offer::default())["client_authentication"], "none");
}

#[test]
fn where_client_authentication_must_be_quantum_safe_a_classical_client_is_refused() {
    let (classical, pq) = (House::new(KIND), House::new(&rcgen::PKCS_ML_DSA_44));
    let roots = [&classical, &pq].map(|house| std::fs::read_to_string(house.ca()).expect("it was written"));
    let ca = pq.pki.write("both.pem", &roots.concat());
    let required = "}\npolicy = { client_authentication = \"require\"";
    let gate = Gate::open(&format!("mode = \"optional\", ca = {ca:?} {required}"));
    assert_eq!(gate.admits(showing(&pq.client(17)))["client_authentication"], "pq");
    gate.admits(Offer::default());
    let (alert, record) = gate.refuses(showing(&classical.client(17)));
    assert_eq!(alert, Some(49));
    assert_eq!(
        (&record["stage"], &record["fault"]),
        (&"policy".into(), &"client".into())
    );
    assert_eq!(record["client_subject"], "CN=agent-17,O=House");
    let counted = |decision: &str| {
        let labels = ["rule=\"client_authentication\"", &format!("decision={decision:?}")];
        gate.stage.proxy.metric("portcullis_policy_total", &labels)
    };
    assert_eq!((counted("refused"), counted("admitted")), (1.0, 2.0));
}
