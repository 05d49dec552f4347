//! Many at once.
use crate::{Stage, both};
use portcullis_e2e::{
    client::{Offer, Versions},
    crowd::{self, Kind},
    front::Front,
    pki::Pki,
    proxy::Proxy,
    upstream::{Manner, Upstream},
};

/// All of these hold a connection open at the same time; each has four descriptors in this process.
const CROWD: usize = 2000;

/// A quarter of the crowd each.
fn kinds(pki: &Pki) -> [Kind; 4] {
    let classical = "ecdsa_secp256r1_sha256";
    let offers = [
        ("pq, ml-dsa", Offer::groups("X25519MLKEM768:X25519")),
        ("pq, ecdsa", Offer::groups("X25519MLKEM768").signatures(classical)),
        (
            "classical 1.3",
            Offer::groups("X25519").signatures(classical).versions(Versions::Only13),
        ),
        ("1.2", Offer::groups("X25519:P-256").versions(Versions::Only12)),
    ];
    let roots = pki.roots();
    offers.map(|(name, offer)| Kind {
        name,
        offer: offer.trusting(roots.clone()),
        count: CROWD / 4,
    })
}

#[test]
fn two_thousand_of_every_kind_are_served_at_once_and_each_gets_its_own_bytes() {
    let files = crowd::raise_file_limit();
    let needed = 4 * CROWD as u64 + 500;
    assert!(
        files >= needed,
        "this test needs {needed} open files, the hard limit is {files}"
    );
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let front = Front::new(&both(&pki), upstream.address()).listener("limits = { connections = 0 }");
    let proxy = Proxy::start(&front.toml());
    let counts = crowd::run(proxy.address(), &kinds(&pki), || {
        assert_eq!(proxy.connections(), CROWD, "all are in at once");
        let open = proxy.metric("portcullis_connections_open", &["listener=\"front\""]);
        assert_eq!(open as usize, CROWD);
        assert_eq!(upstream.connections(), CROWD);
    });
    let expected = [
        ("1.2", "x25519"),
        ("classical 1.3", "x25519"),
        ("pq, ecdsa", "X25519MLKEM768"),
        ("pq, ml-dsa", "X25519MLKEM768"),
    ];
    let expected = expected.map(|(kind, group)| ((kind, group.to_owned()), CROWD / 4));
    assert_eq!(counts, expected.into());
    proxy.connections_become(0);
    assert_books_balance(&proxy);
}

/// Metrics and records agree on what the whole crowd did.
fn assert_books_balance(proxy: &Proxy) {
    let count = |name: &str, labels: &[&str]| proxy.metric(name, labels) as usize;
    assert_eq!(count("portcullis_connections_open", &[]), 0);
    assert_eq!(count("portcullis_connections_total", &["outcome=\"ok\""]), CROWD);
    assert_eq!(
        count("portcullis_handshakes_total", &["key_exchange=\"hybrid\""]),
        CROWD / 2
    );
    let records = proxy.records();
    assert_eq!(records.len(), CROWD, "each has its line");
    assert!(
        records
            .iter()
            .all(|r| r["outcome"] == "ok" && r["bytes_in"] == r["bytes_out"])
    );
    let bytes: u64 = records.iter().filter_map(|r| r["bytes_in"].as_u64()).sum();
    assert_eq!(count("portcullis_bytes_total", &["direction=\"in\""]), bytes as usize);
}

#[test]
fn what_stands_in_the_metrics_stands_in_the_records() {
    let stage = Stage::echo();
    let offers = [
        Offer::groups("X25519MLKEM768"),
        Offer::groups("X25519").signatures("ecdsa_secp256r1_sha256"),
        Offer::groups("X25519:P-256").versions(Versions::Only12),
    ];
    for offer in offers {
        let mut conversation = stage.connect(offer);
        conversation.echo(&[1; 500]);
        conversation.close();
    }
    let records = stage.proxy.all_records();
    let metrics = stage.proxy.metrics();
    for record in &records {
        let text = |field: &str| record[field].as_str().expect("a text").to_owned();
        let name = format!(
            "portcullis_handshakes_total{{site=\"site\",version=\"{}\",group=\"{}\",key_exchange=\"{}\",authentication=\"{}\",resumed=\"false\",retry=\"false\"}}",
            text("version"),
            text("group"),
            text("key_exchange"),
            text("authentication"),
        );
        assert_eq!(metrics.get(&name), Some(&1.0), "{name} in {metrics:#?}");
    }
    assert_eq!(records.len(), 3);
}
