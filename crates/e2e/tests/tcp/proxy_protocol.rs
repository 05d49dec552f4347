//! The PROXY protocol: read from those who speak for others, written to servers that ask for it.
use crate::{Stage, both, ending};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer},
    front::Front,
    pki::{Algorithm, Files, Pki},
    proxy::Proxy,
    server::{Server, Terms},
    upstream::{Manner, Upstream},
    wire::Wire,
};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// From 192.0.2.7:40000 to 198.51.100.9:443.
const FOUR: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 9, 0x9c, 0x40, 0x01, 0xbb];

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("a short header").to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

fn behind(from: &str) -> Stage {
    Stage::set(Manner::Echo, |_, front| {
        front.listener(&format!("proxy_protocol = {{ from = [{from:?}] }}"))
    })
}

/// Says this, piece by piece, and then shakes hands.
fn introduced(address: SocketAddr, pieces: &[&[u8]]) -> (SocketAddr, bool) {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.set_nodelay(true).expect("an open socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    let local = socket.local_addr().expect("a connected socket");
    for piece in pieces {
        socket.write_all(piece).expect("it takes bytes");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let shaken = Client::new(Offer::default()).handshake(Wire::over(socket).expect("an open socket"));
    let mut conversation = match shaken {
        Err(_) => return (local, false),
        Ok(conversation) => conversation,
    };
    conversation.echo(b"introduced");
    conversation.close();
    (local, true)
}

fn record_of(proxy: &Proxy, direct: SocketAddr) -> Value {
    proxy.record_where(|record| record["direct_peer"] == direct.to_string())
}

#[test]
fn the_client_that_a_header_names_is_the_peer_from_then_on() {
    let stage = behind("127.0.0.0/8");
    let one = b"PROXY TCP4 192.0.2.7 198.51.100.9 40000 443\r\n";
    let two = v2(0x21, 0x11, &[&FOUR[..], &[0x04, 0, 2, 0, 0]].concat());
    let local = v2(0x20, 0, &[]);
    let bytes: Vec<&[u8]> = one.chunks(1).collect();
    let table: [(&[&[u8]], Option<&str>); 6] = [
        (&[one], Some("192.0.2.7:40000")),
        (&bytes, Some("192.0.2.7:40000")),
        (&[&two], Some("192.0.2.7:40000")),
        (&[&two[..5], &two[5..17], &two[17..]], Some("192.0.2.7:40000")),
        (&[&local], None),
        (&[b"PROXY UNKNOWN\r\n"], None),
    ];
    for (pieces, peer) in table {
        let (direct, shaken) = introduced(stage.proxy.address(), pieces);
        let record = record_of(&stage.proxy, direct);
        assert!(shaken, "{record:#?}");
        let expected = peer.map_or_else(|| direct.to_string(), str::to_owned);
        assert_eq!([&record["peer"], &record["outcome"]], [&*expected, "ok"]);
    }
}

#[test]
fn without_a_good_header_nobody_comes_in_from_there() {
    let stage = behind("127.0.0.1/32");
    let table: [&[u8]; 4] = [
        b"",
        b"PROXY TCP4 192.0.2.7 198.51.100.9 40000\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.9 040000 443\r\n",
        &v2(0x31, 0x11, &FOUR),
    ];
    for header in table {
        let (direct, shaken) = introduced(stage.proxy.address(), &[header]);
        assert!(!shaken, "{}", header.escape_ascii());
        let record = record_of(&stage.proxy, direct);
        assert_eq!(ending(&record), ["failed", "proxy_header", "client"], "{record:#?}");
    }
    assert_eq!(stage.upstream.connections(), 0);
}

#[test]
fn from_elsewhere_no_header_is_read() {
    let stage = behind("192.0.2.0/24");
    let (direct, shaken) = introduced(stage.proxy.address(), &[]);
    assert!(shaken);
    assert_eq!(stage.proxy.record(direct)["outcome"], "ok");
    let (direct, shaken) = introduced(
        stage.proxy.address(),
        &[b"PROXY TCP4 192.0.2.7 198.51.100.9 40000 443\r\n"],
    );
    assert!(!shaken);
    let record = stage.proxy.record(direct);
    assert_eq!(ending(&record), ["refused", "hello", "client"], "{record:#?}");
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for_and_a_knock_is_none() {
    let stage = Stage::set(Manner::Echo, |_, front| {
        front
            .listener("proxy_protocol = { from = [\"127.0.0.1/32\"] }")
            .listener("limits = { hello = \"200ms\" }")
    });
    let mut socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
    let local = socket.local_addr().expect("a connected socket");
    socket.write_all(&SIGNATURE[..7]).expect("it takes bytes");
    assert!(!matches!(socket.read(&mut [0; 1]), Ok(1..)));
    let record = record_of(&stage.proxy, local);
    assert_eq!(ending(&record), ["failed", "proxy_header", "client"]);
    assert_eq!(record["error"], "deadline passed");
    let before = stage.proxy.records().len();
    drop(TcpStream::connect(stage.proxy.address()).expect("it listens"));
    stage.proxy.connections_become(0);
    assert_eq!(stage.proxy.records().len(), before, "who knocks is not logged");
}

#[test]
fn lists_and_limits_are_of_the_client_that_is_named() {
    let stage = Stage::set(Manner::Echo, |_, front| {
        front
            .listener("proxy_protocol = { from = [\"127.0.0.1/32\"] }")
            .listener("deny = [\"192.0.2.7/32\"]")
            .listener("limits = { per_ip = 1 }")
    });
    let header = |host: u8| format!("PROXY TCP4 192.0.2.{host} 198.51.100.9 40000 443\r\n").into_bytes();
    let (direct, shaken) = introduced(stage.proxy.address(), &[&header(7)]);
    assert!(!shaken);
    let record = record_of(&stage.proxy, direct);
    assert_eq!(
        [&record["error"], &record["peer"]],
        ["address denied", "192.0.2.7:40000"]
    );
    // one connection of each client at once, though all come from one address
    let hold = |host: u8| {
        let mut socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
        socket.write_all(&header(host)).expect("it takes bytes");
        Client::new(Offer::default()).handshake(Wire::over(socket).expect("an open socket"))
    };
    let mut held = [hold(8).expect("a handshake"), hold(9).expect("a handshake")];
    held.iter_mut().for_each(|conversation| conversation.echo(b"there"));
    assert!(hold(8).is_err());
    let record = stage
        .proxy
        .record_where(|record| record["error"] == "limit per_ip reached");
    assert_eq!(record["peer"], "192.0.2.8:40000");
}

/// What stands in a header of version 2: addresses, and extensions by type.
struct Told {
    addresses: Vec<u8>,
    extensions: Vec<(u8, Vec<u8>)>,
    rest: Vec<u8>,
}

fn extensions(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        all.push((*kind, value.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    all
}

fn told(bytes: &[u8], command: u8, family: u8) -> Told {
    assert_eq!(&bytes[..12], SIGNATURE);
    assert_eq!(bytes[12..14], [command, family]);
    let len = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let (inside, rest) = bytes[16..].split_at(len);
    let (addresses, more) = inside.split_at(if family == 0x11 { 12 } else { 0 });
    Told {
        addresses: addresses.to_vec(),
        extensions: extensions(more),
        rest: rest.to_vec(),
    }
}

impl Told {
    fn text(&self, kind: u8) -> Option<String> {
        let found = self.extensions.iter().find(|(other, _)| *other == kind)?;
        Some(String::from_utf8(found.1.clone()).expect("a text"))
    }
}

#[test]
fn a_server_is_told_who_connected_and_what_its_tls_came_to() {
    let pki = Pki::new();
    let mine = pki.client(Algorithm::MlDsa65);
    let upstream = Upstream::start(Manner::Sink);
    let front = Front::new(&both(&pki), upstream.address())
        .site(&format!(
            "client_auth = {{ mode = \"optional\", ca = {:?} }}",
            mine.root
        ))
        .upstream("send_proxy = 2");
    let proxy = Proxy::start(&front.toml());
    let offers = [None, Some(mine)];
    for (index, certificate) in offers.into_iter().enumerate() {
        let has_certificate = certificate.is_some();
        let offer = Offer {
            certificate,
            ..Offer::default()
        };
        let mut conversation = Client::new(offer).connect(proxy.address()).expect("a handshake");
        let local = conversation.local();
        conversation.write_all(b"the first byte").expect("it takes bytes");
        conversation.close();
        let record = proxy.record(local);
        let heard = upstream.heard_when(|heard| heard.len() > index && heard[index].closed);
        let told = told(&heard[index].bytes, 0x21, 0x11);
        assert_eq!(told.rest, b"the first byte");
        let ports = [local.port().to_be_bytes(), proxy.address().port().to_be_bytes()].concat();
        assert_eq!(told.addresses, [&[127, 0, 0, 1, 127, 0, 0, 1][..], &ports].concat());
        assert_eq!(told.text(0x02).as_deref(), Some("localhost"));
        assert_eq!(told.text(0x05).as_deref(), record["id"].as_str());
        let (_, ssl) = told.extensions.iter().find(|(kind, _)| *kind == 0x20).expect("TLS");
        // SSL alone, or with a certificate of this connection and session; verified is zero
        let flags: [u8; 5] = if has_certificate {
            [7, 0, 0, 0, 0]
        } else {
            [1, 0, 0, 0, 1]
        };
        assert_eq!(ssl[..5], flags);
        let inside = extensions(&ssl[5..]);
        let text = |kind: u8| {
            inside
                .iter()
                .find(|(other, _)| *other == kind)
                .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        assert_eq!(text(0x21).as_deref(), Some("TLSv1.3"));
        assert_eq!(text(0x22).as_deref(), has_certificate.then_some("agent-7"));
        assert_eq!(text(0x23).as_deref(), record["cipher"].as_str());
        assert_eq!(text(0x26).as_deref(), Some("X25519MLKEM768"));
        assert_eq!(text(0x27).as_deref(), Some("mldsa65"));
    }
}

#[test]
fn what_came_in_by_a_header_goes_on_by_one_and_checks_speak_for_themselves() {
    let upstream = Upstream::start(Manner::Sink);
    let front = Front::new(&[], upstream.address())
        .listener("plain = true")
        .listener("proxy_protocol = { from = [\"127.0.0.1/32\"] }")
        .upstream("send_proxy = 2\nhealth = { interval = \"10m\" }");
    let proxy = Proxy::start(&front.toml());
    let checked = upstream.heard_when(|heard| !heard.is_empty() && heard[0].closed);
    assert!(told(&checked[0].bytes, 0x20, 0).rest.is_empty());
    let mut socket = TcpStream::connect(proxy.address()).expect("it listens");
    socket.write_all(&v2(0x21, 0x11, &FOUR)).expect("it takes bytes");
    socket.write_all(b"through two").expect("it takes bytes");
    socket.shutdown(Shutdown::Write).expect("an open socket");
    let heard = upstream.heard_when(|heard| heard.len() > 1 && heard[1].ended.is_some());
    let told = told(&heard[1].bytes, 0x21, 0x11);
    assert_eq!((told.addresses, told.rest), (FOUR.to_vec(), b"through two".to_vec()));
    assert!(told.extensions.iter().all(|(kind, _)| *kind != 0x20));
}

#[test]
fn the_header_goes_before_tls_to_a_server_behind_another_proxy() {
    let pki = Pki::new();
    let files: Files = pki.server(Algorithm::MlDsa65);
    let server = Server::start(&Terms {
        groups: String::new(),
        versions: portcullis_e2e::client::Versions::Both,
        certificates: vec![files.clone()],
        client_roots: None,
    });
    // the second proxy takes the header off and passes TLS on as bytes
    let second = Front::new(&[], server.address())
        .listener("plain = true")
        .listener("proxy_protocol = { from = [\"127.0.0.1/32\"] }");
    let second = Proxy::start(&second.toml());
    let tls = format!("tls = {{ ca = {:?} }}\nsend_proxy = 2", files.root);
    let first = Front::new(&[], second.address())
        .listener("plain = true")
        .upstream(&tls);
    let first = Proxy::start(&first.toml());
    let mut socket = TcpStream::connect(first.address()).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    let local = socket.local_addr().expect("a connected socket");
    socket.write_all(b"two proxies").expect("it takes bytes");
    socket.shutdown(Shutdown::Write).expect("an open socket");
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).expect("an echo");
    assert_eq!(heard, b"two proxies");
    assert_eq!(first.record(local)["upstream_key_exchange"], "hybrid");
    assert_eq!(
        second.record(local)["outcome"],
        "ok",
        "the second knows who connected to the first"
    );
}
