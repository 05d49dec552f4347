//! A connection's life: clients that move, configurations that change, and ends that lose nothing.
use crate::{
    Lines, Stage, eventually,
    origin::{Go, Origin, said},
    pattern, run, sum,
    talk::{Stream, Talk, request},
    toml,
};
use bytes::Buf;
use hyper::Method;
use std::{
    io::Write,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

const WORKERS: Lines<'_> = Lines {
    top: "workers = 4\nshutdown = { delay = '0s', grace = '30s' }",
    listener: "",
    site: "",
    upstream: "",
};
/// More than any window.
const LARGE: usize = 20 * 1024 * 1024;

/// Sends half of a large body, and the rest when it is let.
fn halting() -> (Origin, Arc<AtomicBool>) {
    let goes_on = Arc::new(AtomicBool::new(false));
    let is_let = Arc::clone(&goes_on);
    let origin = Origin::start(move |asked, peer| {
        if asked.line() != "GET /large" {
            return peer.say(&said(asked.line()));
        }
        let body = pattern(LARGE);
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
        peer.say(&body[..LARGE / 2]);
        eventually("leave to go on", || is_let.load(Relaxed));
        peer.socket.write_all(&body[LARGE / 2..]).map_or(Go::Close, |()| Go::On)
    });
    (origin, goes_on)
}

#[test]
fn a_client_that_moves_two_hundred_times_goes_on() {
    let stage = Stage::set(Origin::plain(), WORKERS);
    let first = run(async {
        let talk = Talk::begin(stage.address()).await;
        let first = talk.local();
        for turn in 0..200 {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            talk.endpoint.rebind(socket).expect("it moves");
            let answer = talk.get(&format!("/{turn}")).await;
            assert_eq!((answer.status(), answer.text()), (200, format!("GET /{turn}")));
        }
        assert_eq!(talk.quic.close_reason(), None);
        talk.quic.close(0x100_u32.into(), b"");
        talk.endpoint.wait_idle().await;
        first
    });
    assert_eq!(stage.proxy.record(first)["outcome"], "ok");
    assert_eq!(stage.proxy.records().len(), 1, "it was one connection all along");
    assert_eq!(stage.origin.asked().len(), 200);
}

#[test]
fn a_reload_lets_downloads_end_and_serves_what_is_new() {
    let (origin, goes_on) = halting();
    let stage = Stage::set(origin, WORKERS);
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut large = talk.send(request(Method::GET, "/large")).await.expect("it is sent");
        large.finish().await.expect("it ends");
        assert_eq!(large.recv_response().await.expect("a head").status(), 200);
        let changed = Lines {
            site: "[[site.route]]\npath = '/new'\nrespond = { status = 418 }\n[[site.route]]\nupstream = 'back'",
            ..WORKERS
        };
        let changed = toml(&stage.pki, stage.origin.address(), changed);
        stage.proxy.reload(&changed).expect("it is good");
        let other = Talk::begin(stage.address()).await;
        assert_eq!(other.get("/new").await.status(), 418);
        goes_on.store(true, Relaxed);
        assert_eq!(sum(&body_of(&mut large).await), sum(&pattern(LARGE)));
    });
}

#[test]
fn what_is_switched_off_ends_what_runs_well_and_comes_back_on_the_same_port() {
    let (origin, goes_on) = halting();
    let stage = Stage::set(origin, WORKERS);
    let with = toml(&stage.pki, stage.origin.address(), WORKERS);
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut large = talk.send(request(Method::GET, "/large")).await.expect("it is sent");
        large.finish().await.expect("it ends");
        assert_eq!(large.recv_response().await.expect("a head").status(), 200);
        let without = with.replace("http3 = true", "http3 = false");
        stage.proxy.reload(&without).expect("it is good");
        let refused = Talk::offering(stage.address(), &Default::default()).await;
        assert!(refused.is_err(), "nobody comes in any more");
        // it comes back before the last of the old ones has gone
        stage.proxy.reload(&with).expect("it is good");
        assert_eq!(Talk::begin(stage.address()).await.get("/a").await.status(), 200);
        goes_on.store(true, Relaxed);
        assert_eq!(sum(&body_of(&mut large).await), sum(&pattern(LARGE)));
        stage.proxy.reload(&without).expect("it is good");
    });
}

async fn body_of(stream: &mut Stream) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(mut piece) = stream.recv_data().await.expect("more") {
        body.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    body
}

#[test]
fn a_drain_finishes_what_runs_and_tells_the_client_to_begin_nothing_new() {
    let (origin, goes_on) = halting();
    let stage = Stage::set(origin, WORKERS);
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut large = talk.send(request(Method::GET, "/large")).await.expect("it is sent");
        large.finish().await.expect("it ends");
        assert_eq!(large.recv_response().await.expect("a head").status(), 200);
        stage.proxy.running().drain();
        let told = loop {
            if let Err(told) = talk.ask(request(Method::GET, "/more"), b"").await {
                break told;
            }
        };
        assert!(told.contains("closing"), "{told}");
        goes_on.store(true, Relaxed);
        assert_eq!(sum(&body_of(&mut large).await), sum(&pattern(LARGE)));
        drop(large);
        let ended = talk.ended().await;
        assert!(ended.contains("H3_NO_ERROR"), "{ended}");
    });
    assert_eq!(stage.line("/large")["outcome"], "ok");
    let record = stage.proxy.record_where(|_| true);
    assert_eq!(record["outcome"], "ok", "{record:#}");
}

#[test]
fn posts_that_race_a_drain_are_done_once_or_refused_untouched() {
    let stage = Stage::set(Origin::plain(), WORKERS);
    let (done, refused) = run(async {
        let talk = Talk::begin(stage.address()).await;
        let (mut done, mut refused) = (0, 0);
        stage.proxy.running().drain();
        for turn in 0..2000 {
            let post = request(Method::POST, &format!("/{turn}"));
            match talk.ask(post, b"once").await {
                Ok(answer) => {
                    assert_eq!(answer.status(), 200);
                    done += 1;
                }
                Err(_) => {
                    refused += 1;
                    if refused > 20 {
                        break;
                    }
                }
            }
        }
        (done, refused)
    });
    assert!(refused > 0, "it has ended");
    assert_eq!(stage.origin.asked().len(), done, "what was refused reached nobody");
}

#[test]
fn a_client_that_vanishes_is_found_and_what_it_asked_for_ends() {
    let (origin, _) = halting();
    let lines = Lines {
        listener: "limits = { idle = '2s' }",
        ..WORKERS
    };
    let stage = Stage::set(origin, lines);
    let local = run(async {
        let talk = Talk::begin(stage.address()).await;
        let local = talk.local();
        let mut large = talk.send(request(Method::GET, "/large")).await.expect("it is sent");
        large.finish().await.expect("it ends");
        assert_eq!(large.recv_response().await.expect("a head").status(), 200);
        // dropped without a word: the runtime goes with its sockets
        std::mem::forget((large, talk));
        local
    });
    let record = stage.proxy.record(local);
    assert_eq!(
        (&record["outcome"], &record["fault"]),
        (&"failed".into(), &"client".into())
    );
    stage.proxy.connections_become(0);
}
