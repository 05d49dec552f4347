//! PostgreSQL's request for TLS in the clear, TLS at once, and application protocols.
use crate::{Stage, both, ending};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer},
    front::certificates,
    upstream::Manner,
    wire::Wire,
};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

const SSL: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSS: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
const CANCEL: &[u8] = &[0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2];
const STARTUP: &[u8] = b"\0\0\0\x17\0\x03\0\0user\0agent-7\0\0";

/// The site of `localhost` speaks PostgreSQL, that of `other.test` does not.
fn database() -> Stage {
    Stage::set(Manner::Echo, |pki, front| {
        let certificates = certificates(&both(pki));
        let web = format!("[[site]]\nname = \"web\"\nnames = [\"other.test\"]\n{certificates}\nupstream = \"back\"");
        front.site("protocol = \"postgres\"").more(&web)
    })
}

fn open(stage: &Stage) -> (TcpStream, SocketAddr) {
    let socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
    let set = socket.set_read_timeout(Some(PATIENCE));
    set.expect("an open socket takes options");
    let local = socket.local_addr().expect("a connected socket");
    (socket, local)
}

/// Asks in the clear, and gets this one byte.
fn asks(socket: &mut TcpStream, request: &[u8], answer: u8) {
    socket.write_all(request).expect("an open socket");
    let mut said = [0];
    socket.read_exact(&mut said).expect("an answer of one byte");
    assert_eq!(said, [answer]);
}

/// What comes until the end, and the record.
fn refused(stage: &Stage, bytes: &[u8]) -> (Vec<u8>, Value) {
    let (mut socket, local) = open(stage);
    socket.write_all(bytes).expect("an open socket");
    let mut all = Vec::new();
    // it may end with a reset
    let _ = socket.read_to_end(&mut all);
    let record = stage.proxy.record(local);
    assert_eq!(ending(&record), ["refused", "hello", "client"], "{record:#}");
    assert_eq!(stage.upstream.connections(), 0);
    (all, record)
}

#[test]
fn tls_follows_a_request_for_it_however_it_is_cut() {
    let stage = database();
    let client = Client::new(Offer::groups("X25519MLKEM768").speaking(&["postgresql"]));
    for at in 0..SSL.len() {
        let (mut socket, local) = open(&stage);
        socket.set_nodelay(true).expect("an open socket takes options");
        socket.write_all(&SSL[..at]).expect("an open socket");
        asks(&mut socket, &SSL[at..], b'S');
        let conversation = client.handshake(Wire::over(socket).expect("an open socket"));
        let mut conversation = conversation.unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(conversation.protocol().as_deref(), Some("postgresql"));
        conversation.echo(b"select 1");
        conversation.close();
        let record = stage.proxy.record(local);
        let facts = ["outcome", "group", "alpn", "safety"].map(|field| &record[field]);
        assert_eq!(facts, ["ok", "X25519MLKEM768", "postgresql", "full"]);
    }
}

#[test]
fn gssapi_is_declined_once_and_tls_may_follow() {
    let stage = database();
    let (mut socket, _) = open(&stage);
    asks(&mut socket, GSS, b'N');
    asks(&mut socket, SSL, b'S');
    let conversation = Client::new(Offer::default()).handshake(Wire::over(socket).expect("an open socket"));
    conversation
        .unwrap_or_else(|failed| panic!("{failed}"))
        .echo(b"select 1");
    let (mut socket, local) = open(&stage);
    asks(&mut socket, GSS, b'N');
    socket.write_all(GSS).expect("an open socket");
    assert_eq!(ending(&stage.proxy.record(local)), ["refused", "hello", "client"]);
}

#[test]
fn tls_at_once_is_taken_too_and_a_request_only_where_it_is_spoken() {
    let stage = database();
    stage.connect(Offer::default()).echo(b"direct");
    // its own site has it, another on the same port has not
    let (mut socket, local) = open(&stage);
    asks(&mut socket, SSL, b'S');
    let client = Client::new(Offer::default().named("other.test"));
    let failed = client.handshake(Wire::over(socket).expect("an open socket")).err();
    assert_eq!(failed.and_then(|failed| failed.alert), Some(112));
    assert_eq!(ending(&stage.proxy.record(local)), ["refused", "route", "client"]);
    stage.connect(Offer::default().named("other.test")).echo(b"tls at once");
    // a port without any
    let stage = Stage::echo();
    let (answer, record) = refused(&stage, SSL);
    assert_eq!(answer, b"");
    assert!(record["error"].to_string().contains("postgres"), "{record:#}");
}

#[test]
fn nothing_but_tls_is_let_in() {
    let stage = database();
    // bytes that came in the clear must never pass for bytes that were encrypted
    let hello = Client::new(Offer::default()).hello();
    assert_eq!(refused(&stage, &[SSL, &hello].concat()).0, b"");
    assert_eq!(refused(&stage, CANCEL).0, b"");
    let (answer, _) = refused(&stage, STARTUP);
    assert_eq!(answer[..1], *b"E", "an error as PostgreSQL writes it");
    assert!(String::from_utf8_lossy(&answer).contains("sslmode=require"));
    assert!(
        refused(&stage, b"GET / HTTP/1.1\r\n\r\n")
            .0
            .starts_with(b"HTTP/1.1 400 ")
    );
    assert_eq!(refused(&stage, &[0; 64]).0, b"");
}

#[test]
fn a_site_chooses_its_protocol_and_ignores_them_where_it_names_none() {
    let stage = Stage::set(Manner::Echo, |_, front| {
        front.site(r#"tls = { alpn = ["mqtt", "x-amqp"] }"#)
    });
    let table: [(&[&str], Option<&str>); 4] = [
        (&["x-amqp", "mqtt"], Some("mqtt")),
        (&["http/1.1", "x-amqp"], Some("x-amqp")),
        (&["mqtt"], Some("mqtt")),
        (&[], None),
    ];
    for (offered, chosen) in table {
        let mut conversation = stage.connect(Offer::default().speaking(offered));
        conversation.echo(b"hello");
        assert_eq!(conversation.protocol().as_deref(), chosen, "{offered:?}");
    }
    // RFC 7301 3.2: no_application_protocol
    let failed = Client::new(Offer::default().speaking(&["http/1.1"])).connect(stage.proxy.address());
    assert_eq!(failed.err().and_then(|failed| failed.alert), Some(120));
    let record = stage.proxy.record_where(|record| record["outcome"] != "ok");
    assert_eq!(ending(&record), ["failed", "handshake", "client"], "{record:#}");
    let ignoring = Stage::echo();
    let conversation = ignoring.connect(Offer::default().speaking(&["http/1.1"]));
    assert_eq!(conversation.protocol(), None);
}
