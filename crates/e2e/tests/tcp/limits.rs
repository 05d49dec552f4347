//! A listener's limits.
use crate::{Stage, ending};
use portcullis_e2e::{
    client::{Client, Offer},
    upstream::Manner,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc,
    thread,
    time::Duration,
};

fn limited(line: &str) -> Stage {
    Stage::set(Manner::Echo, |_, front| front.listener(line))
}

#[test]
fn a_full_listener_lets_the_next_one_wait() {
    let stage = limited("limits = { connections = 2 }");
    let mut first = stage.connect(Offer::default());
    let mut second = stage.connect(Offer::default());
    first.echo(b"one");
    second.echo(b"two");
    let address = stage.proxy.address();
    let (tell, told) = mpsc::channel();
    let third = thread::spawn(move || {
        let mut third = Client::new(Offer::default())
            .connect(address)
            .expect("a place in the end");
        tell.send(()).expect("somebody listens");
        third.echo(b"three");
    });
    let early = told.recv_timeout(Duration::from_millis(300));
    assert!(early.is_err(), "there is no place for a third");
    assert_eq!(stage.proxy.connections(), 2);
    first.close();
    third.join().expect("the third is served once there is a place");
    second.echo(b"still two");
}

#[test]
fn an_address_beyond_its_limit_is_turned_away() {
    let stage = limited("limits = { per_ip = 1 }");
    let mut first = stage.connect(Offer::default());
    let second = Client::new(Offer::default()).connect(stage.proxy.address());
    assert!(second.is_err(), "one connection an address");
    first.echo(b"the first goes on");
    let record = stage.proxy.record_where(|r| r["stage"] == "accept");
    assert_eq!(record["outcome"], "refused", "{record:#}");
    first.close();
    stage.proxy.connections_become(0);
    stage.connect(Offer::default()).echo(b"there is a place again");
}

#[test]
fn a_denied_network_is_turned_away() {
    let stage = limited(r#"deny = ["127.0.0.0/8"]"#);
    assert!(Client::new(Offer::default()).connect(stage.proxy.address()).is_err());
    let record = stage.proxy.record_where(|r| r["stage"] == "accept");
    assert_eq!(record["outcome"], "refused", "{record:#}");
    assert_eq!(stage.upstream.connections(), 0);
}

#[test]
fn a_handshake_that_is_not_finished_in_time_is_ended() {
    let stage = limited(r#"limits = { handshake = "300ms" }"#);
    let mut socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
    let local = socket.local_addr().expect("a connected socket");
    let hello = Client::new(Offer::default()).hello();
    socket.write_all(&hello).expect("it takes a hello");
    let mut flight = Vec::new();
    // A reset ends it as well as a FIN.
    let _ = socket.read_to_end(&mut flight);
    assert_eq!(flight.first(), Some(&22), "the server's flight came");
    let record = stage.proxy.record(local);
    assert_eq!(ending(&record), ["failed", "handshake", "client"]);
    assert_eq!(stage.upstream.connections(), 0);
}

#[test]
fn a_quiet_connection_is_ended_only_where_a_limit_says_so() {
    let stage = limited(r#"limits = { idle = "200ms" }"#);
    let mut conversation = stage.connect(Offer::default());
    conversation.echo(b"and then nothing");
    let local = conversation.local();
    // However it is told, there is an end.
    let _ = conversation.read_to_close();
    let record = stage.proxy.record(local);
    assert_eq!(ending(&record)[1..], ["relay", "closed"], "{record:#}");
}

#[test]
fn handshakes_beyond_the_rate_are_not_begun() {
    let stage = limited("limits = { handshakes_per_second = 1 }");
    let outcomes: Vec<_> = (0..4)
        .map(|_| Client::new(Offer::default()).connect(stage.proxy.address()))
        .collect();
    let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((1..4).contains(&served), "{served} of 4 at once");
}
