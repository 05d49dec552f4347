//! TLS that passes through: what the record says of it is what both ends say, and no key is held between them.
use crate::{both, ending};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    front::{Front, certificates},
    guests::refusal,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    server::{Server, Terms},
    upstream::{Manner, Upstream},
    wire::{FirstFlight, Wire},
};
use serde_json::Value;

fn server(pki: &Pki, groups: &str) -> Server {
    Server::start(&Terms {
        groups: groups.to_owned(),
        versions: Versions::Both,
        certificates: vec![pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256)],
        client_roots: None,
    })
}

/// A proxy without a key before this server.
fn before(server: &Server, lines: &str) -> Proxy {
    let front = Front::new(&[], server.address())
        .site("mode = 'passthrough'")
        .site(lines);
    Proxy::start(&front.toml())
}

fn text(record: &Value, fields: [&str; 5]) -> [String; 5] {
    fields.map(|field| record[field].as_str().expect("a text").to_owned())
}

const TLS: [&str; 5] = ["version", "group", "key_exchange", "authentication", "safety"];

#[test]
fn what_both_ends_came_to_is_seen_as_it_passes() {
    let pki = Pki::new();
    let server = server(&pki, "X25519MLKEM768:SecP384r1MLKEM1024:X25519:P-256");
    let proxy = before(&server, "");
    let roots = pki.roots();
    let classical = || Offer::groups("X25519").versions(Versions::Only13);
    let table = [
        (
            Offer::groups("X25519MLKEM768"),
            ["1.3", "X25519MLKEM768", "hybrid", "unknown", "unknown"],
            false,
        ),
        (
            Offer::groups("*P-384:SecP384r1MLKEM1024"),
            ["1.3", "SecP384r1MLKEM1024", "hybrid", "unknown", "unknown"],
            true,
        ),
        (classical(), ["1.3", "X25519", "classical", "unknown", "none"], false),
        (
            Offer::groups("P-256").versions(Versions::Only12),
            ["1.2", "", "classical", "classical", "none"],
            false,
        ),
    ];
    for (offer, expected, retry) in table {
        let flights = [
            FirstFlight::Whole,
            FirstFlight::CutAt(100),
            FirstFlight::InRecordsOf(300),
        ];
        for flight in flights {
            let client = Client::new(offer.clone().trusting(roots.clone()));
            let wire = Wire::tcp(proxy.address()).expect("it listens").cutting(flight);
            let mut conversation = client.handshake(wire).expect("the server lets it in");
            conversation.echo(&[7; 300_000]);
            let (seen, local) = (conversation.seen(), conversation.local());
            conversation.close();
            let record = proxy.record(local);
            assert_eq!(text(&record, TLS), expected, "{record:#}");
            assert_eq!((&record["retry"], &record["outcome"]), (&retry.into(), &"ok".into()));
            assert_eq!(record["cipher"], seen.cipher.as_str());
            assert_eq!(
                (&record["signature"], &record["sni"]),
                (&"".into(), &"localhost".into())
            );
            assert!(record["bytes_in"].as_u64() > Some(300_000), "bytes of TLS: {record:#}");
        }
    }
    let hybrid = ["site=\"site\"", "key_exchange=\"hybrid\"", "authentication=\"unknown\""];
    assert_eq!(proxy.metric("portcullis_handshakes_total", &hybrid), 6.0);
    // a session of the server's own passes too
    let client = Client::new(Offer::groups("X25519MLKEM768"));
    let mut conversation = client.connect(proxy.address()).expect("the server lets it in");
    conversation.echo(b"a ticket comes along");
    conversation.close();
    let session = client.session().expect("a session came");
    let mut again = client.resume(proxy.address(), &session).expect("it resumes");
    again.echo(b"hello again");
    let local = again.local();
    again.close();
    assert_eq!(proxy.record(local)["resumed"], true);
}

#[test]
fn a_classical_offer_is_refused_before_the_server_hears_of_it() {
    let pki = Pki::new();
    let server = server(&pki, "");
    let proxy = before(&server, "policy = 'require'");
    for offer in [
        Offer::groups("X25519").versions(Versions::Only13),
        Offer::groups("X25519:P-256").versions(Versions::Only12),
    ] {
        let wire = Wire::tcp(proxy.address()).expect("it listens");
        let local = wire.local().expect("a TCP connection");
        assert_eq!(refusal(Client::new(offer).handshake(wire)), Some(71));
        let record = proxy.record(local);
        assert_eq!(ending(&record), ["refused", "policy", "client"]);
        assert_eq!(record["upstream"], "", "nobody was asked: {record:#}");
        let policy = record["policy"].as_str().expect("a text");
        assert!(policy.starts_with("key_exchange=require:refused,"), "{policy}");
    }
    assert_eq!(
        refusal(Client::new(Offer::groups("X25519MLKEM768")).connect(proxy.address())),
        None
    );
}

#[test]
fn a_server_that_chose_classical_is_cut_off_where_report_only_named_it() {
    let pki = Pki::new();
    let server = server(&pki, "X25519");
    let offer = || Offer::groups("*X25519MLKEM768:*X25519").versions(Versions::Only13);
    let policy = "policy = { key_exchange = 'require', report_only = true, exempt = [{ sni = 'old.test', until = '2999-12-31' }] }";
    let proxy = before(&server, policy);
    let visit = |proxy: &Proxy, offer: Offer| {
        let wire = Wire::tcp(proxy.address()).expect("it listens");
        let local = wire.local().expect("a TCP connection");
        let alert = refusal(Client::new(offer).handshake(wire));
        let policy = proxy.record(local)["policy"].as_str().expect("a text").to_owned();
        (alert, policy.split(',').next().unwrap_or_default().to_owned())
    };
    let word = |decision: &str| format!("key_exchange=require:{decision}");
    assert_eq!(visit(&proxy, offer()), (None, word("would_refuse")));
    assert_eq!(visit(&proxy, offer().named("old.test")), (None, word("exempt")));
    let proxy = before(&server, &policy.replace("report_only = true, ", ""));
    assert_eq!(visit(&proxy, offer()), (Some(71), word("refused")));
    assert_eq!(visit(&proxy, offer().named("old.test")), (None, word("exempt")));
    let refused = ["scope=\"connection\"", "rule=\"key_exchange\"", "decision=\"refused\""];
    assert_eq!(proxy.metric("portcullis_policy_total", &refused), 1.0);
}

#[test]
fn three_modes_share_a_port_by_the_name_that_is_asked_for() {
    let pki = Pki::new();
    let (server, echo) = (server(&pki, ""), Upstream::start(Manner::Echo));
    let own = certificates(&both(&pki));
    let more = format!(
        r#"
[[site]]
name = "passed"
names = ["passed.test"]
mode = "passthrough"
upstream = "own"
[[site]]
name = "web"
names = ["web.test"]
mode = "http"
{own}
[[site.route]]
respond = "health"
[upstream.own]
servers = ["{}"]
send_proxy = 2
"#,
        server.address()
    );
    // without the header the server would take it for TLS that is none
    let more = more.replace("send_proxy = 2\n", "");
    let front = Front::new(&both(&pki), echo.address()).more(&more);
    let proxy = Proxy::start(&front.toml());
    let connect = |name: &str| Client::new(Offer::default().named(name)).connect(proxy.address());
    let site_of = |local| proxy.record(local)["site"].clone();
    for (name, site) in [("passed.test", "passed"), ("else.test", "site")] {
        let mut conversation = connect(name).expect("it is let in");
        conversation.echo(b"as ever");
        let local = conversation.local();
        conversation.close();
        assert_eq!(site_of(local), site);
    }
    assert_eq!(echo.connections(), 1, "the other went to the server itself");
    let mut web = connect("web.test").expect("it is let in");
    let answer = web
        .exchange(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
        .expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn the_hello_goes_on_as_it_came_behind_a_header_where_one_is_asked_for() {
    let sink = Upstream::start(Manner::Sink);
    let front = Front::new(&[], sink.address())
        .site("mode = 'passthrough'")
        .upstream("send_proxy = 2");
    let proxy = Proxy::start(&front.toml());
    let hello = Client::new(Offer::groups("X25519MLKEM768")).hello();
    let mut wire = Wire::tcp(proxy.address()).expect("it listens");
    std::io::Write::write_all(&mut wire, &hello).expect("an open socket");
    let heard = sink.heard_when(|heard| heard.iter().any(|one| one.bytes.ends_with(&hello)));
    let bytes = &heard[0].bytes;
    assert!(
        bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n"),
        "version 2 of the PROXY protocol"
    );
    let local = wire.local().expect("a TCP connection");
    drop(wire);
    assert_eq!(ending(&proxy.record(local)), ["failed", "handshake", "client"]);
}
