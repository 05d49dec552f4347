//! Every folder of `examples/` that has a neighbour, README.md and the book in `docs/`, as their pages say: the commands
//! are read from there, and run with the real programs. `tests/peers/install.sh` puts them there; a test whose programs
//! are missing says so on stderr, and fails under REQUIRE_PEERS=1.
use page::blocks;
use place::Place;
use portcullis_e2e::peers::{Home, folder};
use serde_json::Value;
use std::{os::unix::fs::symlink, thread, time::Duration};

mod book;
mod deploy;
mod library;
mod monitoring;
mod page;
mod place;

const CURL: (Home, &str) = (Home::Trixie, "curl");

/// Longer than every deadline that a connection has by default (10 s): what is silent for so long and goes on is cut
/// by nothing but TCP keep-alive.
const SILENCE: Duration = Duration::from_secs(12);

/// Does what the page says, and finds every connection of its own clients quantum-safe.
fn follow(place: &mut Place, example: &str) {
    let blocks = blocks(&place::page(example));
    assert!(blocks.len() >= 4, "certificates, two servers and a question");
    place.follow(&blocks);
    let asked = blocks
        .iter()
        .any(|block| block.commands.contains("portcullis selftest"));
    let safe = connections(place);
    let whole = |record: &&Value| record["safety"] == "full" && record["group"] == "X25519MLKEM768";
    assert!(safe.iter().any(|record| whole(&record)), "{safe:#?}");
    // the self-test comes as all sorts of clients; nobody else does
    if !asked {
        for record in safe.iter().filter(|record| record["stage"] != "hello") {
            assert!(whole(&record) && record["outcome"] == "ok", "{record:#}");
        }
    }
}

/// The access lines so far; at least one, waited for.
fn connections(place: &Place) -> Vec<Value> {
    let proxy = place.serving("portcullis serve");
    let is_one = |line: &Value| line["event"] == "connection";
    proxy.json_line("a connection", is_one);
    let lines = proxy.said();
    let lines = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(is_one).collect()
}

fn web(example: &str, programs: &[(Home, &'static str)]) {
    let programs = [programs, &[CURL]].concat();
    if let Some(mut place) = Place::set(example, &programs) {
        follow(&mut place, example);
    }
}

#[test]
fn node_with_express() {
    let Some(mut place) = Place::set("express", &[(Home::Node, "node"), CURL]) else {
        return;
    };
    let installed = folder().join("express/node_modules");
    symlink(installed, place.path().join("node_modules")).expect("the folder takes a link");
    follow(&mut place, "express");
}

#[test]
fn flask() {
    web("flask", &[(Home::Python, "flask")]);
}

#[test]
fn cheroot() {
    web("cheroot", &[(Home::Python, "python")]);
}

#[test]
fn uvicorn() {
    web("uvicorn", &[(Home::Python, "uvicorn")]);
}

#[test]
fn gunicorn() {
    web("gunicorn", &[(Home::Python, "gunicorn")]);
}

#[test]
fn redis_and_a_subscriber_that_hears_nothing_for_long() {
    let programs = ["redis-server", "redis-cli", "redis-benchmark"].map(|name| (Home::Trixie, name));
    let Some(mut place) = Place::set("redis", &programs) else {
        return;
    };
    follow(&mut place, "redis");
    let subscriber = place.serving("redis-cli");
    subscriber.line("21.5");
    thread::sleep(SILENCE);
    let publish = "redis-cli --tls --cacert pki/ca.pem -h localhost -p 6380 publish meters after-a-while";
    assert_eq!(place.run(publish).stdout.trim(), "1", "still subscribed");
    subscriber.line("after-a-while");
    // what the page says of names: a certificate for another one will do
    place.run("portcullis cert server --issuer pki/ca-mldsa65.pem --name elsewhere.example --file elsewhere --out pki");
    let elsewhere = "portcullis serve --listen 127.0.0.1:6390 --target 127.0.0.1:6379 --admin off \
                     --cert pki/elsewhere.pem --key pki/elsewhere.key";
    place.serve(elsewhere, &["started"]);
    let ping = "redis-cli --tls --cacert pki/ca.pem --sni localhost -h localhost -p 6390 ping";
    assert_eq!(place.run(ping).stdout.trim(), "PONG");
}

#[test]
fn mosquitto_and_a_subscriber_that_only_pings_for_long() {
    let programs = ["mosquitto", "mosquitto_sub", "mosquitto_pub"].map(|name| (Home::Trixie, name));
    let Some(mut place) = Place::set("mosquitto", &programs) else {
        return;
    };
    follow(&mut place, "mosquitto");
    assert_eq!(connections(&place)[0]["alpn"], "mqtt");
    let subscriber = place.serving("mosquitto_sub");
    subscriber.line("21.5");
    thread::sleep(SILENCE);
    place.run("mosquitto_pub --cafile pki/ca.pem -h localhost -p 8883 -t meters/7 -m after-a-while");
    subscriber.line("after-a-while");
}

#[test]
fn postgres_by_direct_tls_and_by_request() {
    let programs = ["psql", "postgres", "initdb"].map(|name| (Home::Postgres, name));
    let Some(mut place) = Place::set("postgres", &programs) else {
        return;
    };
    follow_postgres(&mut place);
    let check = place.run("portcullis check").stdout;
    assert!(check.contains("protocol      postgres, ALPN postgresql"), "{check}");
    let served = |record: &&Value| record["outcome"] == "ok";
    let records = connections(&place);
    let protocols: Vec<&Value> = records.iter().filter(served).map(|record| &record["alpn"]).collect();
    assert_eq!(protocols, ["postgresql", "postgresql"], "by direct TLS, and by request");
    let psql = |before: &str, query: &str| {
        let direct =
            "host=localhost user=app dbname=postgres sslmode=verify-full sslrootcert=pki/ca.pem sslnegotiation=direct";
        place.run(&format!(
            "export PGPASSWORD='correct horse'; {before} psql '{direct}' -c '{query}'"
        ))
    };
    let waited = psql("", &format!("select pg_sleep({}), 42", SILENCE.as_secs()));
    assert!(waited.stdout.contains("42"), "{}", waited.all());
    let bound = place.run(
        "! PGPASSWORD='correct horse' psql 'host=localhost user=app dbname=postgres sslmode=require \
         sslrootcert=pki/ca.pem channel_binding=require' -c 'select 1'",
    );
    assert!(bound.stderr.contains("channel binding"), "{}", bound.all());
    // Ctrl-C: psql asks in the clear, nobody listens, and the query runs to its end
    let interrupted = psql(
        "! timeout --signal INT 2",
        "create table ran as select pg_sleep(4) is null as slept",
    );
    assert!(
        interrupted.all().contains("Cancel request sent"),
        "{}",
        interrupted.all()
    );
    let rows = psql("", "select count(*) + 41 from ran");
    assert!(rows.stdout.contains("42"), "{}", rows.all());
    let refused = |record: &Value| record["error"] == "a postgresql cancel request in the clear";
    assert!(connections(&place).iter().any(refused));
}

/// One of its clients is to be refused.
fn follow_postgres(place: &mut Place) {
    place.follow(&blocks(&place::page("postgres")));
    for record in connections(place) {
        let facts = ["outcome", "group", "safety"].map(|field| record[field].as_str());
        let in_the_clear = record["error"] == "a postgresql session in the clear";
        let whole = facts == [Some("ok"), Some("X25519MLKEM768"), Some("full")];
        assert!(whole || in_the_clear, "{record:#}");
    }
}
