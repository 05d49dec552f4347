//! Metrics, ledger, report and bill of materials have exactly the figures of a crowd.
use crate::crowd::{ABROAD, ECHOED, HOME, Kind, Stage, expected};
use portcullis_e2e::{command, process::portcullis};
use portcullis_proxy::{
    ledger::{Extract, Row, Span, Terms},
    report::{Adoption, Basis, Class, adoption},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const EVER: Span = Span { from: 0, to: i64::MAX };

/// Connections and requests of rows, by what a word says of them.
fn by<'a, K: Ord>(read: &'a Extract, word: impl Fn(&'a Row, &'a Terms) -> K) -> BTreeMap<K, (u64, u64)> {
    let mut sums: BTreeMap<K, (u64, u64)> = BTreeMap::new();
    for row in &read.rows {
        let sum = sums.entry(word(row, &read.terms[row.terms])).or_default();
        *sum = (sum.0 + row.sums.connections, sum.1 + row.sums.requests);
    }
    sums
}

fn connections<K: Ord>(sums: BTreeMap<K, (u64, u64)>) -> BTreeMap<K, u64> {
    sums.into_iter()
        .map(|(key, (connections, _))| (key, connections))
        .collect()
}

fn metrics_agree(stage: &Stage) {
    let handshakes = expected(|way, kind, resumed| {
        let flags = [resumed, kind.retry].map(|flag| flag.to_string());
        Some((way.site(), kind.version(), kind.group, flags))
    });
    for ((site, version, group, [resumed, retry]), (wanted, _)) in &handshakes {
        let labels = [
            ("site", *site),
            ("version", version),
            ("group", group),
            ("resumed", resumed),
            ("retry", retry),
        ];
        assert_eq!(
            stage.count("portcullis_handshakes_total", &labels),
            *wanted,
            "{labels:?}"
        );
    }
    let all: u64 = handshakes.values().map(|(connections, _)| connections).sum();
    assert_eq!(stage.count("portcullis_handshakes_total", &[]), all);
    for ((site, decision), (wanted, _)) in expected(|way, kind, _| Some((way.site(), kind.decision()))) {
        let labels = [
            ("site", site),
            ("rule", "key_exchange"),
            ("decision", decision),
            ("scope", "connection"),
        ];
        assert_eq!(stage.count("portcullis_policy_total", &labels), wanted, "{labels:?}");
    }
    let labels = [("site", "shop"), ("method", "GET"), ("status", "200")];
    let requests = expected(|way, _, _| Some(way.site()))["shop"].1;
    assert_eq!(stage.count("portcullis_requests_total", &labels), requests);
    assert_eq!(stage.count("portcullis_requests_total", &[]), requests);
}

fn ledger_agrees(read: &Extract) {
    let said = by(read, |row, terms| {
        let words = [&terms.transport, &terms.version, &terms.group, &terms.reason].map(String::as_str);
        let decided = match (terms.exempt, &*terms.would_refuse) {
            (true, "") => "exempt",
            (false, "key_exchange") => "would_refuse",
            (false, "") => "admitted",
            _ => "something else",
        };
        let client = read.clients[row.client].identity.as_str();
        let network = read.clients[row.client].network.as_str();
        let (flags, place) = ((terms.resumed, terms.retry), read.sites[row.site].name.as_str());
        (place, words, decided, (client, network), flags)
    });
    let wanted = expected(|way, kind, resumed| {
        let words = [way.transport(), kind.version(), kind.group, kind.reason];
        let client = kind.shows.map_or("", |_| "CN=agent-7");
        let network = network(kind);
        let flags = (resumed, kind.retry);
        Some((way.site(), words, kind.decision(), (client, network), flags))
    });
    assert_eq!(said, wanted);
    let classes = |_: &Row, terms: &Terms| {
        (
            terms.reason.is_empty(),
            terms.key_exchange.clone(),
            terms.safety.clone(),
        )
    };
    let seen = by(read, classes).into_keys().collect::<Vec<_>>();
    let owned = |(is_safe, class, safety): (bool, &str, &str)| (is_safe, class.to_owned(), safety.to_owned());
    let wanted = [(false, "classical", "none"), (true, "hybrid", "full")];
    assert_eq!(seen, wanted.map(owned));
}

fn network(kind: &Kind) -> &'static str {
    match kind.from {
        HOME => "127.0.0.0/24",
        ABROAD => "127.0.1.0/24",
        _ => "127.0.2.0/24",
    }
}

/// Bytes by key exchange: what clients counted is in all three, and all three say the same.
fn bytes_agree(stage: &Stage, read: &Extract, report: &Adoption) {
    let of_rows = |wanted: &dyn Fn(&Row, &Terms) -> bool| {
        let rows = read.rows.iter().filter(|row| wanted(row, &read.terms[row.terms]));
        rows.map(|row| row.sums.bytes_in + row.sums.bytes_out).sum::<u64>()
    };
    for (class, is_classical) in [("classical", true), ("hybrid", false)] {
        let all = of_rows(&|_, terms| terms.key_exchange == class);
        let counted = stage.count("portcullis_bytes_total", &[("key_exchange", class)]);
        assert_eq!(all, counted, "{class}");
        let told = stage
            .proxy
            .records()
            .into_iter()
            .filter(|line| line["key_exchange"] == class);
        let told = told.map(|line| ["bytes_in", "bytes_out"].map(|of| line[of].as_u64().expect("a number")));
        assert_eq!(all, told.flatten().sum::<u64>(), "{class}");
        let tcp = expected(|way, kind, _| (kind.is_classical() == is_classical).then(|| way.site()))["db"].0;
        let db = of_rows(&|row, terms| terms.key_exchange == class && read.sites[row.site].name == "db");
        assert_eq!(db, 2 * ECHOED * tcp, "{class}");
        let agents = |row: &Row| read.clients[row.client].user_agents == ["crowd/1"];
        let http1 = of_rows(&|row, terms| terms.key_exchange == class && agents(row) && !is_identity(read, row));
        assert_eq!(http1, stage.http1[&is_classical], "{class}");
        let quic = of_rows(&|_, terms| terms.key_exchange == class && terms.transport == "quic");
        assert!(quic > 0, "{class}");
    }
    let split = report.totals.bytes;
    let [classical, hybrid] = ["classical", "hybrid"].map(|class| of_rows(&|_, terms| terms.key_exchange == class));
    assert_eq!((split.none, split.full, split.confidential), (classical, hybrid, 0));
    assert_eq!(report.exposure.classical_bytes, classical);
}

fn is_identity(read: &Extract, row: &Row) -> bool {
    !read.clients[row.client].identity.is_empty()
}

fn report_agrees(report: &Adoption) {
    let classes = expected(|_, kind, _| Some(kind.is_classical()));
    let totals = [report.totals.connections, report.totals.requests].map(|shares| (shares.none, shares.full));
    let [(pq, pq_requests), (classical, classical_requests)] = [classes[&false], classes[&true]];
    assert_eq!(totals, [(classical, pq), (classical_requests, pq_requests)]);
    let words = |reason| match reason {
        "tls12" => "has nothing newer than TLS 1.2",
        _ => "offers no post-quantum group",
    };
    // an identity is one client however it comes; others are told apart by what their hellos say
    let wanted = expected(|way, kind, _| {
        let by_hello = kind.shows.is_none().then_some(way);
        let who = (way.site(), by_hello, network(kind));
        kind.is_classical().then(|| (who, words(kind.reason)))
    });
    let mut wanted: Vec<_> = wanted
        .into_iter()
        .map(|(((site, by_hello, network), reason), sums)| (site, by_hello.is_none(), network, reason, sums))
        .collect();
    let said = report.clients.iter().filter(|client| client.safety == Class::None);
    let mut said: Vec<_> = said
        .map(|client| {
            let sums = (client.connections, client.requests);
            let is_identity = client.identity == "CN=agent-7";
            let words = (&*client.site, &*client.network, &*client.reason);
            (words.0, is_identity, words.1, words.2, sums)
        })
        .collect();
    wanted.sort_unstable();
    said.sort_unstable();
    assert_eq!(said, wanted);
    // what requiring it of everybody would do: exemptions are for a while
    let names = expected(|way, kind, _| {
        let who = kind.shows.is_none().then_some((way, kind.version(), kind.from));
        kind.is_classical().then_some(who)
    });
    let breaking = report.would_refuse.key_exchange;
    let broken: u64 = names.values().map(|(connections, _)| connections).sum();
    assert_eq!((breaking.clients, breaking.connections), (names.len() as u64, broken));
    let exempt = expected(|_, kind, _| kind.is_exempt().then_some(()))[&()].0;
    assert_eq!(report.refusals.exempt, exempt);
    assert_eq!(
        report.refusals.report_only,
        BTreeMap::from([("key_exchange".to_owned(), broken - exempt)])
    );
    let mut downgraded: Vec<_> = report
        .downgraded
        .iter()
        .map(|one| (&*one.site, &*one.identity, one.by, &*one.safe_group, one.connections))
        .collect();
    downgraded.sort_unstable();
    let back = |site, connections| (site, "CN=agent-7", Basis::Identity, "X25519MLKEM768", connections);
    assert_eq!(downgraded, [back("db", 1), back("shop", 3)]);
}

fn bill_agrees(stage: &Stage) {
    let file = stage.pki.folder().join("ledger.db");
    let mut command = portcullis(&["report", "--cbom", "--ledger", file.to_str().expect("UTF-8")]);
    let said = command::run(&mut command, b"");
    assert_eq!(said.status.code(), Some(0), "{}", said.all());
    let bill: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let components = bill["components"].as_array().expect("components");
    let names: BTreeSet<&str> = components.iter().filter_map(|one| one["name"].as_str()).collect();
    let seen = |name: &str| -> BTreeMap<String, u64> {
        let one = components.iter().find(|one| one["name"] == name);
        let one = one.unwrap_or_else(|| panic!("{name} is not among {names:?}"));
        let places = one["evidence"]["occurrences"].as_array().expect("a list").iter();
        let count = |place: &Value| place["additionalContext"].as_str()?.split(' ').next()?.parse().ok();
        let pair = |place: &Value| {
            (
                place["location"].as_str().unwrap_or_default().to_owned(),
                count(place).unwrap_or(0),
            )
        };
        places.map(pair).collect()
    };
    let at_sites = |say: &dyn Fn(&Kind) -> bool| {
        let sums = expected(|way, kind, _| say(kind).then(|| format!("site {}", way.site())));
        connections(sums)
    };
    let hybrid = at_sites(&|kind| !kind.is_classical());
    assert_eq!(seen("X25519MLKEM768"), hybrid);
    assert_eq!(seen("ML-KEM-768"), hybrid);
    assert_eq!(seen("X25519"), at_sites(&|_| true), "alone, or in a hybrid");
    assert_eq!(seen("TLS 1.2"), at_sites(&|kind| kind.version() == "1.2"));
    assert_eq!(seen("TLS 1.3"), at_sites(&|kind| kind.version() == "1.3"));
    // ECDSA and SHA-256 are those of TLS 1.2, which has no ML-DSA
    let all = [
        "AES-256-GCM",
        "ECDSA P-256",
        "ML-DSA-65",
        "ML-KEM-768",
        "SHA-256",
        "SHA-384",
        "TLS 1.2",
        "TLS 1.3",
        "X25519",
        "X25519MLKEM768",
    ];
    assert_eq!(names, BTreeSet::from(all));
}

#[test]
fn a_crowd_over_tcp_and_three_http_has_exactly_its_figures_everywhere() {
    let mut stage = Stage::open();
    stage.be_visited();
    let read = stage.proxy.running().ledger(EVER).expect("the ledger can be read");
    let report = adoption(&read);
    metrics_agree(&stage);
    ledger_agrees(&read);
    bytes_agree(&stage, &read, &report);
    report_agrees(&report);
    bill_agrees(&stage);
}
