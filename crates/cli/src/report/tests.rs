//! The page of a small world, word by word.
use super::page;
use portcullis_proxy::{
    ledger::{Client, Extract, Moment, Offer, Row, Site, Sums, Terms, UpstreamRow},
    report::{Adoption, Since, adoption},
};

/// 2026-11-13T00:00:00Z
const BEGIN: i64 = 1_794_528_000;
const DAY: i64 = 86_400;

/// A shop with a card label and an api, a week of them.
pub(super) fn extract() -> Extract {
    let site = |name: &str, label: &str| Site {
        name: name.into(),
        label: label.into(),
    };
    let mut extract = Extract {
        instance: "one".into(),
        from: BEGIN,
        to: BEGIN + 7 * DAY,
        sites: vec![site("shop", "cardholder"), site("api", "")],
        offers: vec![offer("X25519MLKEM768,X25519", "mldsa65"), offer("X25519", "")],
        terms: vec![full(), hybrid(), classical(), refused()],
        clients: clients(),
        ..Extract::default()
    };
    // site, client, offer, terms, connections, bytes, days
    let rows = [
        (0, 0, 0, 0, 40, 4_000_000, (0, 6)),
        (0, 1, 0, 1, 900, 95_000_000, (0, 6)),
        (0, 2, 1, 2, 30, 400_000, (3, 6)),
        (0, 3, 1, 2, 2, 1_000, (0, 1)),
        (0, 3, 0, 1, 5, 9_000, (2, 6)),
        (0, 4, 1, 2, 20, 20_000, (4, 6)),
        (0, 4, 0, 0, 20, 20_000, (0, 3)),
        (0, 5, 1, 3, 7, 0, (0, 6)),
        (1, 0, 0, 0, 100, 1_000_000, (0, 6)),
    ];
    for (site, client, offer, terms, connections, bytes, (first, last)) in rows {
        let sums = Sums {
            connections,
            requests: connections * 2,
            bytes_in: bytes / 4,
            bytes_out: bytes - bytes / 4,
            ..Sums::default()
        };
        let (first_seen, last_seen) = (BEGIN + first * DAY, BEGIN + last * DAY);
        extract.rows.push(Row {
            site,
            client,
            offer,
            terms,
            sums,
            first_seen,
            last_seen,
        });
        extract.over_time.push(Moment {
            bucket: first_seen,
            width: DAY,
            site,
            terms,
            sums,
        });
    }
    extract.upstreams = vec![upstream("10.0.0.5:8443", 0), upstream("10.0.0.6:8443", 2)];
    extract
}

pub(super) fn figures() -> Adoption {
    adoption(&extract())
}

fn clients() -> Vec<Client> {
    let client = |identity: &str, ja4: &str, network: &str, agents: &[&str]| Client {
        identity: identity.into(),
        ja4: ja4.into(),
        network: network.into(),
        user_agents: agents.iter().map(|agent| (*agent).to_owned()).collect(),
        completed_ml_dsa: (identity == "CN=agent-7").then_some(BEGIN),
    };
    let openssl30 = "t13d311000_e8f1e7e78f70_1f22a2ca17c4";
    let chromium = "t13d1517h2_8daaf6152771_cb7bf5808d99";
    vec![
        client("CN=agent-7", "", "192.0.2.0/24", &[]),
        client("", chromium, "198.51.100.0/24", &["Mozilla/5.0"]),
        client("", openssl30, "203.0.113.0/24", &["=cmd|' /C calc'!A0"]),
        client("CN=moved", "", "192.0.2.0/24", &[]),
        client("CN=went-back", openssl30, "192.0.2.0/24", &[]),
        Client::default(),
    ]
}

fn offer(groups: &str, schemes: &str) -> Offer {
    let words = |list: &str| list.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    Offer {
        versions: vec!["1.3".into(), "1.2".into()],
        groups: words(groups),
        shares: Vec::new(),
        schemes: words(schemes),
    }
}

fn full() -> Terms {
    Terms {
        admission: "admitted".into(),
        transport: "tcp".into(),
        version: "1.3".into(),
        group: "X25519MLKEM768".into(),
        key_exchange: "hybrid".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        signature: "mldsa65".into(),
        authentication: "pq".into(),
        client_authentication: "pq".into(),
        safety: "full".into(),
        ..Terms::default()
    }
}

fn hybrid() -> Terms {
    Terms {
        signature: "ecdsa_secp256r1_sha256".into(),
        authentication: "classical".into(),
        authentication_reason: "site_order".into(),
        client_authentication: "none".into(),
        safety: "confidential".into(),
        ..full()
    }
}

fn classical() -> Terms {
    Terms {
        group: "X25519".into(),
        key_exchange: "classical".into(),
        safety: "none".into(),
        reason: "no_pq_group".into(),
        whatif_key_exchange: true,
        whatif_authentication: true,
        ..hybrid()
    }
}

fn refused() -> Terms {
    Terms {
        admission: "refused".into(),
        refused_by: "key_exchange".into(),
        ..classical()
    }
}

fn upstream(server: &str, terms: usize) -> UpstreamRow {
    UpstreamRow {
        upstream: "backend".into(),
        server: server.into(),
        terms,
        connections: 7,
        first_seen: BEGIN,
        last_seen: BEGIN + DAY,
    }
}

fn plain(styled: &str) -> String {
    anstream::adapter::strip_str(styled).to_string()
}

#[test]
fn the_page_is_the_golden_one() {
    let golden = include_str!("golden.txt");
    assert_eq!(plain(&page::render(&figures(), Since::Ago(7 * DAY))), golden);
}

#[test]
fn a_ledger_without_connections_is_told_in_a_line() {
    let empty = Extract {
        instance: "one".into(),
        ..Extract::default()
    };
    let figures = adoption(&empty);
    assert_eq!(
        page::render(&figures, Since::Ago(DAY)),
        "no connection with TLS ended in the last day\n"
    );
}
