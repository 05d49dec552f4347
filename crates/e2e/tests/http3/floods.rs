//! Many at once, and those who mean no good.
use crate::{
    Lines, Stage, eventually,
    origin::{Go, Origin},
    run,
    talk::{Offer, Talk, request},
};
use h3::error::Code;
use hyper::Method;
use std::{collections::HashMap, net::UdpSocket, sync::Arc, time::Duration};

#[test]
fn a_hundred_streams_at_once_are_answered_each_with_its_own() {
    let stage = Stage::plain();
    run(async {
        let talk = Arc::new(Talk::begin(stage.address()).await);
        let asked: Vec<_> = (0..300)
            .map(|at| {
                let talk = Arc::clone(&talk);
                tokio::spawn(async move { (at, talk.get(&format!("/{at}")).await.text()) })
            })
            .collect();
        for asked in asked {
            let (at, text) = asked.await.expect("no panic");
            assert_eq!(text, format!("GET /{at}"));
        }
    });
    assert_eq!(stage.origin.asked().len(), 300);
}

#[test]
fn who_takes_back_nearly_all_that_they_ask_for_is_cut_off() {
    let origin = Origin::start(|_, peer| {
        // it answers nothing
        let _ = peer.until(b"never");
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    run(async {
        let talk = Talk::begin(stage.address()).await;
        for at in 0..10_000 {
            let Ok(mut stream) = talk.send(request(Method::GET, "/")).await else {
                break;
            };
            stream.stop_sending(Code::H3_REQUEST_CANCELLED);
            stream.stop_stream(Code::H3_REQUEST_CANCELLED);
            assert!(at < 5_000, "it goes on for ever");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ended = talk.ended().await;
        assert!(ended.contains("H3_EXCESSIVE_LOAD"), "{ended}");
    });
    let record = stage.proxy.record_where(|_| true);
    assert_eq!(
        (&record["outcome"], &record["fault"]),
        (&"refused".into(), &"client".into())
    );
}

#[test]
fn limits_hold_for_quic_as_for_tcp_and_are_told() {
    let table = [
        ("deny = ['127.0.0.0/8']", 0, "accept", "address denied"),
        ("limits = { per_ip = 2 }", 2, "accept", "limit per_ip reached"),
        ("limits = { connections = 2 }", 2, "accept", "limit connections reached"),
        (
            "limits = { handshakes_per_second = 1 }",
            1,
            "handshake",
            "more handshakes a second than the limit",
        ),
        (
            "proxy_protocol = { from = ['127.0.0.0/8'] }",
            0,
            "proxy_header",
            "a PROXY protocol header is required from this address, and QUIC has none",
        ),
    ];
    for (listener, fit, stage_name, error) in table {
        let lines = Lines {
            listener,
            top: "workers = 1",
            ..Lines::default()
        };
        let stage = Stage::set(Origin::plain(), lines);
        run(async {
            let mut held = Vec::new();
            for _ in 0..fit {
                held.push(Talk::begin(stage.address()).await);
            }
            let refused = Talk::offering(stage.address(), &Offer::default()).await;
            assert!(refused.is_err(), "{listener}");
        });
        let record = stage.proxy.record_where(|record| record["outcome"] == "refused");
        assert_eq!(
            (&record["stage"], &record["error"]),
            (&stage_name.into(), &error.into()),
            "{listener}"
        );
    }
}

/// What so many clients send first, caught on its way to nobody: half a hello each.
fn caught(count: usize) -> Vec<Vec<u8>> {
    let trap = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = trap.local_addr().expect("a bound socket");
    trap.set_nonblocking(true).expect("an open socket takes options");
    run(async {
        // by the id that a client chose, which stands behind a byte, the version and a length
        let mut caught = HashMap::new();
        let offer = Offer::default();
        let (endpoint, config) = (offer.endpoint(), offer.config());
        while caught.len() < count {
            let connecting = endpoint.connect_with(config.clone(), address, "localhost");
            let connecting = connecting.expect("a name that is one");
            // its driver sends, and gets no answer
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let mut datagram = [0; 2048];
            while let Ok((length, _)) = trap.recv_from(&mut datagram) {
                let id: [u8; 8] = datagram[6..14].try_into().expect("eight bytes");
                caught.entry(id).or_insert_with(|| datagram[..length].to_vec());
            }
            drop(connecting);
        }
        caught.into_values().take(count).collect()
    })
}

#[test]
fn half_a_hello_delays_nobody_and_ends_by_its_deadline() {
    let lines = Lines {
        listener: "limits = { handshake = '2s' }",
        top: "workers = 1",
        ..Lines::default()
    };
    let stage = Stage::set(Origin::plain(), lines);
    let hostile = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    hostile.send_to(&caught(1)[0], stage.address()).expect("it is sent");
    run(async {
        let talk = Talk::begin(stage.address()).await;
        assert_eq!(talk.get("/a").await.status(), 200);
    });
    let record = stage.proxy.record(hostile.local_addr().expect("a bound socket"));
    let known = (&record["stage"], &record["error"]);
    assert_eq!(known, (&"hello".into(), &"deadline passed".into()));
}

#[test]
fn under_a_flood_of_first_packets_addresses_are_proven_first() {
    /// Handshakes that may run for addresses that may be forged.
    const UNPROVEN: usize = 512;
    /// The first byte of a Retry packet, without its lower half (RFC 9000 17.2.5).
    const RETRY: u8 = 0xf0;
    let lines = Lines {
        listener: "limits = { handshake = '60s' }",
        top: "workers = 1",
        ..Lines::default()
    };
    let stage = Stage::set(Origin::plain(), lines);
    let flood = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    flood.set_nonblocking(true).expect("an open socket takes options");
    let mut datagram = [0; 2048];
    let mut retries = || {
        let mut retries = 0;
        while let Ok(length) = flood.recv(&mut datagram) {
            retries += usize::from(length > 0 && datagram[0] & 0xf0 == RETRY);
        }
        retries
    };
    let mut sent_back = 0;
    for (sent, datagram) in caught(UNPROVEN + 200).iter().enumerate() {
        flood.send_to(datagram, stage.address()).expect("it is sent");
        // no more than its queue holds, nor ours
        if sent % 20 == 0 {
            eventually("they are taken", || {
                sent_back += retries();
                stage.proxy.connections() + 20 > sent.min(UNPROVEN)
            });
        }
    }
    eventually("they are sent back", || {
        sent_back += retries();
        sent_back >= 100
    });
    let open = stage.proxy.connections();
    assert!(open <= UNPROVEN, "{open}");
    run(async {
        let other = Offer {
            from: [127, 0, 0, 2],
            ..Offer::default()
        };
        let talk = Talk::offering(stage.address(), &other)
            .await
            .expect("it proves its address");
        assert_eq!(talk.get("/a").await.status(), 200);
    });
}

#[test]
fn a_frame_that_never_ends_takes_no_memory_and_its_stream_ends() {
    let stage = Stage::plain();
    run(async {
        let talk = Talk::begin(stage.address()).await;
        // HEADERS of 1 GiB, and then as much as is taken
        let (mut send, mut recv) = talk.quic.open_bi().await.expect("a stream");
        let begun = send.write_all(&[0x01, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await;
        begun.expect("it is sent");
        let piece = vec![0; 64 * 1024];
        let mut sent = 0;
        while send.write_all(&piece).await.is_ok() {
            sent += piece.len();
            assert!(sent < 16 * 1024 * 1024, "{sent} bytes of one head were taken");
        }
        assert_eq!(recv.read_to_end(1024).await.expect("its end"), b"", "it has no answer");
        assert_eq!(talk.get("/after").await.status(), 200);
    });
}
