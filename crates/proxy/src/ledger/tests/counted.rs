//! What is counted is written, folded and read again, and no sum is lost.
use super::{Kept, hello, hybrid, negotiated, one};
use crate::ledger::{
    Admission, Agent, Facts, Sums, Told, extract, fold,
    store::ROWS_IN_MEMORY,
    table::{ENTRIES, Table},
    write::write,
};
use portcullis_tls::{fingerprint::Ja4, negotiated::Authentication};
use portcullis_wire::ja4::Transport;
use std::net::Ipv4Addr;

#[test]
fn what_is_counted_is_what_is_read() {
    let mut kept = Kept::in_memory();
    kept.shape.labels.insert("shop".into(), "personal data".into());
    for _ in 0..3 {
        kept.count((1, 1), hybrid(), one(10));
    }
    kept.flush();
    kept.count((1, 1), hybrid(), one(10));
    kept.count(
        (2, 1),
        Facts::of(&negotiated(0x001d, Authentication::Classical), "tcp"),
        one(5),
    );
    kept.flush();
    let read = kept.extract();
    let rows: Vec<_> = read
        .rows
        .iter()
        .map(|row| (row.sums.connections, row.sums.bytes_in))
        .collect();
    assert_eq!(rows, [(4, 40), (1, 5)]);
    let (first, second) = (read.rows[0], read.rows[1]);
    assert_eq!(
        (
            read.sites[first.site].name.as_str(),
            read.sites[first.site].label.as_str()
        ),
        ("shop", "personal data")
    );
    let client = &read.clients[first.client];
    assert_eq!(client.network, "10.0.1.0/24");
    assert_eq!(
        (client.ja4.len(), client.identity.as_str(), client.completed_ml_dsa),
        (36, "", None)
    );
    let offer = &read.offers[first.offer];
    assert_eq!(
        (offer.versions.join(","), offer.groups.join(","), offer.shares.join(",")),
        ("1.3".into(), "X25519MLKEM768,sect163k1".into(), "X25519MLKEM768".into()),
        "without GREASE"
    );
    let terms = &read.terms[first.terms];
    assert_eq!(
        (
            terms.group.as_str(),
            terms.key_exchange.as_str(),
            terms.safety.as_str(),
            terms.admission.as_str()
        ),
        ("X25519MLKEM768", "hybrid", "confidential", "admitted")
    );
    assert_eq!(read.terms[second.terms].safety, "none");
    let over_time: u64 = read.over_time.iter().map(|moment| moment.sums.connections).sum();
    assert_eq!(over_time, 5);
}

#[test]
fn only_who_completed_a_handshake_gets_a_name() {
    let mut kept = Kept::in_memory();
    let refused = Facts::without(Admission::Refused, None, "tcp");
    kept.count((1, 1), refused, one(0));
    kept.flush();
    assert!(kept.extract().clients.iter().all(extract::Client::is_others));
    // whoever has a name is refused under it
    kept.count((1, 1), hybrid(), one(0));
    kept.count((1, 1), refused, one(0));
    kept.flush();
    let read = kept.extract();
    let named = |row: &&extract::Row| !read.clients[row.client].is_others();
    assert_eq!(read.rows.iter().filter(named).count(), 2);
    assert_eq!(kept.total().connections, 3);
}

#[test]
fn names_of_a_network_beyond_its_allowance_go_to_the_others() {
    let mut kept = Kept::in_memory();
    for number in 0..500 {
        kept.count((number, 1), hybrid(), one(1));
    }
    kept.count((7, 2), hybrid(), one(1));
    kept.flush();
    let read = kept.extract();
    // each name spends one for itself and one for its offer
    assert_eq!(
        read.clients
            .iter()
            .filter(|client| client.network == "10.0.1.0/24")
            .count(),
        32
    );
    assert_eq!(
        read.clients
            .iter()
            .filter(|client| client.network == "10.0.2.0/24")
            .count(),
        1
    );
    assert_eq!(
        kept.total(),
        Sums {
            connections: 501,
            requests: 1002,
            bytes_in: 501,
            bytes_out: 1503,
            ..Sums::default()
        }
    );
}

#[test]
fn a_full_table_takes_names_away_and_keeps_sums() {
    let mut kept = Kept::in_memory();
    let more = ENTRIES as u32 + 1000;
    for number in 0..more {
        kept.count((1, number), hybrid(), one(1));
    }
    let mut tables = kept.ledger.take();
    assert_eq!(tables[0].drops(), (1000, 0));
    write(&mut kept.store, &tables, (&kept.shape, &mut kept.names), 0).unwrap();
    assert_eq!(kept.total().connections, u64::from(more));
    assert_eq!(
        kept.extract().clients.len(),
        ENTRIES + 1,
        "the named ones and the others"
    );
}

#[test]
fn the_heaviest_and_the_most_recent_keep_their_names_and_sums_stay() {
    let mut kept = Kept::in_memory();
    let heavy = |number: u32| number.is_multiple_of(100);
    for number in 0..3000 {
        kept.count((1, number), hybrid(), one(if heavy(number) { 1 << 40 } else { 1 }));
    }
    kept.flush();
    // as if all of that had been an hour ago
    kept.store
        .connection
        .execute("UPDATE tally SET bucket = bucket - 3600", [])
        .unwrap();
    for number in 10_000..11_000 {
        kept.count((1, number), hybrid(), one(1));
    }
    kept.flush();
    let before = kept.total();
    assert_eq!(
        fold::fold(&mut kept.store.connection, 5000).unwrap(),
        0,
        "there is room"
    );
    let folded = fold::fold(&mut kept.store.connection, 2000).unwrap();
    assert_eq!(kept.total(), before);
    let read = kept.extract();
    assert_eq!(read.folded, folded as u64);
    let has = |number: u32| {
        let network = format!("{}/24", Ipv4Addr::from(0x0a00_0000 + (number << 8)));
        read.clients.iter().any(|client| client.network == network)
    };
    assert!((0..3000).filter(|number| heavy(*number)).all(has), "the heaviest");
    assert_eq!(
        (10_000..11_000).filter(|number| has(*number)).count(),
        750,
        "the most recent"
    );
    assert!(fold::named_rows(&kept.store.connection).unwrap() <= 1500);
    assert!(read.over_time.len() == 2, "the others stay in their hours");
}

#[test]
fn old_hours_become_days_and_what_is_too_old_goes() {
    let mut kept = Kept::in_memory();
    kept.count((1, 1), hybrid(), one(1));
    kept.flush();
    let bucket: i64 = kept
        .store
        .connection
        .query_row("SELECT bucket FROM tally", [], |row| row.get(0))
        .unwrap();
    // one more, two hours earlier
    let sql = "INSERT INTO tally SELECT bucket - 7200, width, site, client, offer, terms, 1, 0, 0, 0, 0, 0, first_seen - 7200, last_seen - 7200 FROM tally";
    kept.store.connection.execute(sql, []).unwrap();
    let day = 86_400;
    fold::age(&mut kept.store.connection, bucket + day / 2, None).unwrap();
    assert!(
        kept.extract().over_time.iter().all(|moment| moment.width == 3600),
        "yesterday has its hours"
    );
    fold::age(&mut kept.store.connection, bucket + 3 * day, Some(10 * day)).unwrap();
    let over_time = kept.extract().over_time;
    assert!(
        over_time
            .iter()
            .all(|moment| moment.width == day && moment.bucket % day == 0),
        "{over_time:?}"
    );
    assert_eq!(kept.total().connections, 2);
    fold::age(&mut kept.store.connection, bucket + 12 * day, Some(10 * day)).unwrap();
    assert_eq!(kept.extract().clients, [], "and nothing is left of it");
    let left: i64 = kept
        .store
        .connection
        .query_row("SELECT count(*) FROM terms", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn user_agents_are_bounded_escaped_and_the_most_used_come_first() {
    let mut kept = Kept::in_memory();
    for number in 0..20 {
        let hello = hello(1);
        let offered = kept.ledger.offered(0, (&hello, Ja4::of(&hello, Transport::Tcp)));
        let agent = Agent {
            name: format!("agent-{number}<").into_bytes().into(),
            requests: 1 + number,
        };
        let facts = hybrid();
        let told = Told {
            site: &kept.site,
            identity: None,
            from: None,
            offered: Some(&offered),
            facts,
            sums: one(0),
            agents: &[agent],
        };
        kept.ledger.connection(0, told);
        kept.flush();
    }
    let read = kept.extract();
    assert_eq!(read.clients[0].user_agents.len(), 8);
    assert_eq!(read.clients[0].user_agents[0], "agent-19\\x3c");
}

#[test]
fn a_proof_of_ml_dsa_stays_with_its_client() {
    let mut kept = Kept::in_memory();
    kept.count((1, 1), hybrid(), one(0));
    kept.flush();
    assert_eq!(kept.extract().clients[0].completed_ml_dsa, None);
    kept.count(
        (1, 1),
        Facts::of(&negotiated(0x11ec, Authentication::Pq), "tcp"),
        one(0),
    );
    kept.flush();
    let proven = kept.extract().clients[0].completed_ml_dsa;
    assert!(proven.is_some());
    kept.count((1, 1), hybrid(), one(0));
    kept.flush();
    assert_eq!(kept.extract().clients[0].completed_ml_dsa, proven);
}

#[test]
fn what_could_not_be_written_is_written_later_and_once() {
    let mut kept = Kept::in_memory();
    for number in 0..100 {
        kept.count((number, 1), hybrid(), one(1));
    }
    let tables = kept.ledger.take();
    kept.store
        .connection
        .execute_batch("ALTER TABLE user_agent RENAME TO gone")
        .unwrap();
    assert!(write(&mut kept.store, &tables, (&kept.shape, &mut kept.names), 0).is_err());
    kept.store
        .connection
        .execute_batch("ALTER TABLE gone RENAME TO user_agent")
        .unwrap();
    let mut waiting = Table::new(4 * ENTRIES);
    tables
        .into_iter()
        .for_each(|table| waiting.absorb(table, |entry| kept.ledger.unnamed(entry)));
    write(&mut kept.store, &[waiting], (&kept.shape, &mut kept.names), 0).unwrap();
    assert_eq!(kept.total().connections, 100);
    assert_eq!(
        kept.extract().clients.len(),
        33,
        "32 names, since the allowance was given back, and the others"
    );
}

#[test]
fn memory_holds_less_than_a_file() {
    assert_eq!(Kept::in_memory().store.capacity(), ROWS_IN_MEMORY);
}
