//! Bodies, trailers, interim answers, and streams that end before their time.
use crate::{
    Lines, Stage,
    origin::{Go, Origin, said},
    pattern, run, sum,
    talk::{Talk, answer, request},
    until,
};
use bytes::{Buf, Bytes};
use h3::error::Code;
use hyper::{HeaderMap, Method, header::HeaderValue};
use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Larger than all buffers on the way together.
const LARGE: usize = 100 * 1024 * 1024;

#[test]
fn a_hundred_megabytes_arrive_unchanged_both_ways() {
    let origin = Origin::start(|asked, peer| {
        if asked.line().starts_with("POST") {
            return peer.say(&said(&sum(&asked.body)));
        }
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
        peer.say(&pattern(LARGE))
    });
    let stage = Stage::set(origin, Lines::default());
    let body = pattern(LARGE);
    let wanted = sum(&body);
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut post = request(Method::POST, "/length");
        post.headers_mut().insert("content-length", HeaderValue::from(LARGE));
        assert_eq!(talk.ask(post, &body).await.expect("an answer").text(), wanted);
        let post = request(Method::POST, "/chunks");
        assert_eq!(talk.ask(post, &body).await.expect("an answer").text(), wanted);
        let got = talk.get("/down").await;
        assert_eq!(got.field("content-length"), Some(&*LARGE.to_string()));
        assert_eq!(sum(&got.body), wanted);
    });
    let line = stage.line("/length");
    assert_eq!((&line["bytes_in"], &line["outcome"]), (&LARGE.into(), &"ok".into()));
    assert_eq!(stage.line("/down")["bytes_out"], LARGE);
}

#[test]
fn trailers_go_both_ways_and_interim_answers_come_first() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
    });
    let stage = Stage::set(origin, Lines::default());
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut post = request(Method::POST, "/");
        post.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        let mut stream = talk.send(post).await.expect("it is sent");
        stream.send_data(Bytes::from_static(b"up")).await.expect("it is sent");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-up", HeaderValue::from_static("9"));
        stream.send_trailers(trailers).await.expect("it is sent");
        stream.finish().await.expect("it ends");
        let answer = answer(&mut stream).await.expect("an answer");
        let [interim] = &answer.interims[..] else {
            panic!("{:?}", answer.interims)
        };
        assert_eq!(interim.status().as_u16(), 103);
        assert_eq!(interim.headers()["link"], "</a.css>");
        assert_eq!((answer.status(), &*answer.text()), (200, "abc"));
        assert_eq!(answer.trailers.expect("trailers")["x-sum"], "7");
    });
    let asked = stage.origin.asked_when(1);
    assert_eq!((&asked[0].body[..], &*asked[0].trailers), (&b"up"[..], "x-up: 9\r\n"));
}

#[test]
fn an_answer_comes_before_the_body_s_end_and_the_rest_is_not_wanted() {
    let origin = Origin::at_heads(|_, peer| {
        peer.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut stream = talk.send(request(Method::POST, "/early")).await.expect("it is sent");
        stream.send_data(Bytes::from_static(b"a")).await.expect("it is sent");
        let answer = answer(&mut stream).await.expect("an answer");
        assert_eq!((answer.status(), &*answer.text()), (403, "no"));
        let piece = Bytes::from(pattern(1024 * 1024));
        let refused = loop {
            if let Err(refused) = stream.send_data(piece.clone()).await {
                break refused.to_string();
            }
        };
        assert!(refused.contains("H3_NO_ERROR"), "{refused}");
        assert_eq!(talk.get("/next").await.status(), 403);
    });
}

#[test]
fn who_does_not_read_holds_up_only_their_own_stream_and_its_server() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let origin = Origin::start(move |asked, peer| {
        if asked.line() != "GET /large" {
            return peer.say(&said("small"));
        }
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes());
        for piece in pattern(LARGE).chunks(64 * 1024) {
            if peer.socket.write_all(piece).is_err() {
                return Go::Close;
            }
            count.fetch_add(piece.len(), Relaxed);
        }
        Go::On
    });
    let stage = Stage::set(origin, Lines::default());
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut large = talk.send(request(Method::GET, "/large")).await.expect("it is sent");
        large.finish().await.expect("it ends");
        assert_eq!(large.recv_response().await.expect("a head").status(), 200);
        for _ in 0..20 {
            assert_eq!(talk.get("/small").await.text(), "small");
        }
        let held = sent.load(Relaxed);
        // the client's window, ours, and what two pairs of sockets hold
        assert!(held < 24 * 1024 * 1024, "{held} bytes were taken for nobody");
        let mut read = 0;
        while let Some(piece) = large.recv_data().await.expect("more") {
            read += piece.remaining();
        }
        assert_eq!(read, LARGE);
    });
}

#[test]
fn a_request_that_is_taken_back_ends_at_its_server_too() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let origin = Origin::start(move |_, peer| {
        // it answers nothing, and waits for the other end to go
        let _ = peer.until(b"never");
        count.fetch_add(1, Relaxed);
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let mut stream = talk.send(request(Method::GET, "/slow")).await.expect("it is sent");
        stream.finish().await.expect("it ends");
        until("it comes", || !stage.origin.asked().is_empty()).await;
        stream.stop_sending(Code::H3_REQUEST_CANCELLED);
        drop(stream);
        // the connection lives on and says so
        until("its server is told", || ended.load(Relaxed) == 1).await;
        drop(talk);
    });
    let line = stage.line("/slow");
    assert_eq!((&line["fault"], &line["status"]), (&"client".into(), &0.into()));
}

#[test]
fn a_body_that_its_client_breaks_off_never_looks_complete() {
    // the first chunk of each request, and all that came behind it
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let origin = Origin::at_heads(move |_, peer| {
        let hear = |bytes| hears.lock().expect("nothing panics holding it").push(bytes);
        hear(peer.until(b"abc\r\n").expect("the first chunk"));
        let mut rest = Vec::new();
        while let Ok(byte) = peer.exactly(1) {
            rest.extend(byte);
        }
        hear(rest);
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    let count = || heard.lock().expect("nothing panics holding it").len();
    let reasons = [Code::H3_NO_ERROR, Code::H3_REQUEST_CANCELLED, Code::H3_INTERNAL_ERROR];
    run(async {
        let talk = Talk::begin(stage.address()).await;
        for (n, reason) in reasons.into_iter().enumerate() {
            let post = request(Method::POST, &format!("/{n}"));
            let mut stream = talk.send(post).await.expect("it is sent");
            stream.send_data(Bytes::from_static(b"abc")).await.expect("it is sent");
            until("its server has that", || count() == 2 * n + 1).await;
            stream.stop_stream(reason);
            until("its server is told", || count() == 2 * n + 2).await;
        }
    });
    for rest in heard
        .lock()
        .expect("nothing panics holding it")
        .iter()
        .skip(1)
        .step_by(2)
    {
        assert_eq!(String::from_utf8_lossy(rest), "");
    }
    for n in 0..reasons.len() {
        let line = stage.line(&format!("/{n}"));
        assert_eq!((&line["outcome"], &line["fault"]), (&"failed".into(), &"client".into()));
    }
}

#[test]
fn a_server_that_breaks_off_is_never_taken_for_one_that_is_done() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    run(async {
        let talk = Talk::begin(stage.address()).await;
        let broken = talk
            .ask(request(Method::GET, "/half"), b"")
            .await
            .expect_err("it is not whole");
        assert!(broken.contains("H3_INTERNAL_ERROR"), "{broken}");
    });
    assert_eq!(stage.line("/half")["fault"], "upstream");
}
