//! Bytes both ways, however either side ends, and what stands in the record afterwards.
use crate::{Stage, both, ending};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    front::Front,
    pki::Pki,
    proxy::Proxy,
    upstream::{Absent, Ended, Manner, Upstream},
    wire::Wire,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// More than all buffers on the way hold together.
const LARGE: usize = 8 * 1024 * 1024;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

const BOTH_VERSIONS: [Versions; 2] = [Versions::Only13, Versions::Only12];

fn offer(versions: Versions) -> Offer {
    Offer::groups("X25519MLKEM768:X25519:P-256").versions(versions)
}

#[test]
fn a_client_that_has_ended_still_gets_the_whole_answer() {
    let answer = bytes(LARGE);
    for versions in BOTH_VERSIONS {
        for with_fin in [false, true] {
            let stage = Stage::set(Manner::AnswerAfterEnd(answer.clone()), |_, front| front);
            let mut conversation = stage.connect(offer(versions));
            conversation.write_all(&bytes(100_000)).expect("it takes the question");
            conversation.end_sending();
            if with_fin {
                conversation.wire().end_sending().expect("an open socket");
            }
            let read = conversation.read_to_close().expect("a proper end");
            assert!(read == answer, "{versions:?}: {} bytes came", read.len());
            let heard = stage.upstream.heard_once();
            assert!(heard.bytes == bytes(100_000));
            assert_eq!(heard.ended, Some(Ended::Properly));
            let record = stage.proxy.record(conversation.local());
            assert_eq!(record["outcome"], "ok", "{record:#}");
            let counted = [&record["bytes_in"], &record["bytes_out"]].map(|n| n.as_u64());
            assert_eq!(counted, [Some(100_000), Some(LARGE as u64)]);
        }
    }
}

#[test]
fn an_upstream_that_has_ended_still_gets_the_whole_question() {
    let speech = bytes(LARGE);
    for versions in BOTH_VERSIONS {
        let stage = Stage::set(Manner::SpeakThenEnd(speech.clone()), |_, front| front);
        let mut conversation = stage.connect(offer(versions));
        let read = conversation.read_to_close().expect("a proper end of its direction");
        assert!(read == speech, "{versions:?}: {} bytes came", read.len());
        conversation.write_all(&bytes(LARGE)).expect("our direction is open");
        conversation.end_sending();
        conversation.wire().end_sending().expect("an open socket");
        let heard = stage.upstream.heard_once();
        assert!(heard.bytes == bytes(LARGE), "{} bytes came", heard.bytes.len());
        assert_eq!(heard.ended, Some(Ended::Properly));
        assert_eq!(stage.proxy.record(conversation.local())["outcome"], "ok");
    }
}

#[test]
fn what_comes_in_one_packet_with_the_finished_is_read_to_its_end() {
    for len in [0, 5, 20_000, 200_000] {
        let stage = Stage::set(Manner::AnswerAfterEnd(b"all of it".to_vec()), |_, front| front);
        let client = Client::new(Offer::groups("X25519MLKEM768").versions(Versions::Only13));
        let wire = Wire::tcp(stage.proxy.address()).expect("it listens").holding_back();
        let mut conversation = client.handshake(wire).expect("a handshake as the client sees it");
        conversation.write_all(&bytes(len)).expect("it is held back");
        conversation.end_sending();
        conversation.release();
        let read = conversation.read_to_close();
        assert_eq!(read.expect("an answer and a proper end"), b"all of it", "{len} bytes");
        assert!(stage.upstream.heard_once().bytes == bytes(len), "{len} bytes");
    }
}

#[test]
fn a_server_that_speaks_first_is_heard() {
    // SPEC 4: a tcp site connects upstream as soon as the client is admitted and waits for no client byte.
    let stage = Stage::set(Manner::SpeakThenEnd(b"220 ready\r\n".to_vec()), |_, front| front);
    let mut conversation = stage.connect(Offer::default());
    assert_eq!(conversation.read_to_close().expect("a proper end"), b"220 ready\r\n");
}

#[test]
fn a_large_echo_is_the_same_both_ways_at_once() {
    let stage = Stage::echo();
    let client = Client::new(Offer::default());
    let payload = bytes(LARGE);
    // Writing all before reading any would fill every buffer and rightly stop; pieces keep both ways busy.
    let mut conversation = client.connect(stage.proxy.address()).expect("a handshake");
    for piece in payload.chunks(60_000) {
        conversation.echo(piece);
    }
    let local = conversation.local();
    conversation.close();
    let record = stage.proxy.record(local);
    let counted = [&record["bytes_in"], &record["bytes_out"]].map(|n| n.as_u64());
    assert_eq!(counted, [Some(LARGE as u64); 2]);
}

#[test]
fn a_backend_that_is_down_ends_the_connection_and_is_blamed() {
    let pki = Pki::new();
    let absent = Absent::down();
    let proxy = Proxy::start(&Front::new(&both(&pki), absent.address()).toml());
    let mut conversation = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    let read = conversation.read(&mut [0; 1]);
    assert!(!matches!(read, Ok(1..)), "there is nothing to read");
    let record = proxy.record(conversation.local());
    assert_eq!(ending(&record), ["failed", "connect", "upstream"]);
    assert!(proxy.metric("portcullis_upstream_failures_total", &["upstream=\"back\""]) >= 1.0);
}

#[test]
fn a_backend_that_never_answers_the_connect_is_given_up() {
    let pki = Pki::new();
    let deaf = Absent::deaf();
    let front = Front::new(&both(&pki), deaf.address()).upstream(r#"timeouts = { connect = "200ms" }"#);
    let proxy = Proxy::start(&front.toml());
    let mut conversation = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    let read = conversation.read(&mut [0; 1]);
    assert!(!matches!(read, Ok(1..)), "there is nothing to read");
    let record = proxy.record(conversation.local());
    assert_eq!(ending(&record), ["failed", "connect", "upstream"]);
}

#[test]
fn a_failed_connect_tries_the_next_server() {
    let pki = Pki::new();
    let (down, deaf, upstream) = (Absent::down(), Absent::deaf(), Upstream::start(Manner::Echo));
    let mut front = Front::new(&both(&pki), upstream.address()).upstream(r#"timeouts = { connect = "200ms" }"#);
    front.servers.insert(0, down.address().to_string());
    front.servers.insert(1, deaf.address().to_string());
    let proxy = Proxy::start(&front.toml());
    for _ in 0..6 {
        let client = Client::new(Offer::default());
        let mut conversation = client.connect(proxy.address()).expect("a handshake");
        conversation.echo(b"somebody is there");
        let local = conversation.local();
        conversation.close();
        let record = proxy.record(local);
        assert_eq!(record["outcome"], "ok");
        assert_eq!(record["upstream_server"], upstream.address().to_string());
    }
}

#[test]
fn several_servers_take_turns() {
    let pki = Pki::new();
    let upstreams = [(); 3].map(|()| Upstream::start(Manner::Echo));
    let mut front = Front::new(&both(&pki), upstreams[0].address());
    front.servers = upstreams.iter().map(|u| u.address().to_string()).collect();
    let proxy = Proxy::start(&front.toml());
    for _ in 0..6 {
        let client = Client::new(Offer::default());
        client.connect(proxy.address()).expect("a handshake").echo(b"next");
    }
    assert_eq!(upstreams.map(|u| u.connections()), [2; 3]);
}

#[test]
fn a_reset_of_the_backend_is_no_proper_end_for_the_client() {
    let stage = Stage::set(Manner::ResetAfter(10), |_, front| front);
    let mut conversation = stage.connect(Offer::default());
    conversation.write_all(&[7; 10]).expect("it takes ten bytes");
    let end = conversation.read_to_close();
    assert!(end.is_err(), "a broken stream does not look finished: {end:?}");
    let record = stage.proxy.record(conversation.local());
    assert_eq!(ending(&record), ["failed", "relay", "upstream"], "{record:#}");
    assert_eq!(record["bytes_in"], 10, "what was counted stands");
}

#[test]
fn a_reset_of_the_client_is_no_proper_end_for_the_backend() {
    let stage = Stage::echo();
    let mut conversation = stage.connect(Offer::default());
    conversation.echo(&[7; 1000]);
    let local = conversation.local();
    conversation.reset();
    let heard = stage.upstream.heard_once();
    assert_eq!(heard.ended, Some(Ended::Broken));
    let record = stage.proxy.record(local);
    assert_eq!(ending(&record), ["failed", "relay", "client"], "{record:#}");
    let counted = [&record["bytes_in"], &record["bytes_out"]].map(|n| n.as_u64());
    assert_eq!(counted, [Some(1000); 2], "what was counted stands");
}

#[test]
fn a_backend_that_reads_nothing_holds_the_client_back_and_no_one_else() {
    let stage = Stage::set(Manner::Mute, |_, front| front);
    let mut stuck = stage.connect(Offer::default());
    stuck.wire().impatient();
    // Buffers fill, then writing stops: the proxy does not take what it cannot pass on.
    let piece = [0; 64 * 1024];
    let mut taken = 0;
    while stuck.write_all(&piece).is_ok() {
        taken += piece.len();
        assert!(taken < 256 * 1024 * 1024, "the proxy takes without end");
    }
    let other = stage.connect(Offer::default());
    assert_eq!(other.seen().version, "TLSv1.3");
}

#[test]
fn unix_sockets_and_ipv6_are_listened_on_and_connected_to() {
    let pki = Pki::new();
    let (door, back) = (pki.folder().join("door.sock"), pki.folder().join("back.sock"));
    let upstream = Upstream::unix(&back, Manner::Echo);
    let nowhere = "127.0.0.1:1".parse().expect("an address");
    let mut front = Front::new(&both(&pki), nowhere);
    front.servers = vec![format!("unix:{}", back.display())];
    front.listener = format!("listen = [\"[::1]:0\", \"unix:{}\"]", door.display());
    let proxy = Proxy::start(&front.toml());
    let client = Client::new(Offer::groups("X25519MLKEM768"));
    let mut over_ipv6 = client.connect(proxy.address()).expect("a handshake over IPv6");
    assert!(over_ipv6.local().is_ipv6());
    over_ipv6.echo(b"six");
    over_ipv6.close();
    let wire = Wire::unix(&door).expect("a socket to connect to");
    let mut over_unix = client.handshake(wire).expect("a handshake over a Unix socket");
    over_unix.echo(b"local");
    over_unix.close();
    assert_eq!(upstream.connections(), 2);
    let record = proxy.record_where(|r| r["peer"] == "unix");
    assert_eq!([&record["outcome"], &record["group"]], ["ok", "X25519MLKEM768"]);
    drop(proxy);
    assert!(!door.exists(), "the socket's file goes with the listener");
}

#[test]
fn a_plain_listener_relays_bytes_as_they_are() {
    let upstream = Upstream::start(Manner::Echo);
    let front = Front::new(&[], upstream.address()).listener("plain = true");
    let proxy = Proxy::start(&front.toml());
    let mut socket = TcpStream::connect(proxy.address()).expect("it listens");
    let local = socket.local_addr().expect("a connected socket");
    socket.write_all(b"in the clear").expect("it takes bytes");
    socket.shutdown(std::net::Shutdown::Write).expect("an open socket");
    let mut back = String::new();
    socket.read_to_string(&mut back).expect("an echo and an end");
    assert_eq!(back, "in the clear");
    let record = proxy.record(local);
    assert_eq!([&record["outcome"], &record["safety"]], ["ok", "plain"]);
}
