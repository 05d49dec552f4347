//! Clients that take their time, servers that fail, and the proxy's own comings and goings: every request is answered
//! or ends cleanly, and none is asked twice that may not be.
use crate::{
    Go, Lines, SIDE, Stage,
    origin::{Origin, said},
    pattern,
    talk::{Body, Talk},
    toml,
};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
};

#[test]
fn a_head_that_is_slow_or_too_large_is_refused() {
    let limits = "limits = { head = '500ms', head_size = '8KiB', fields = 20 }";
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            listener: limits,
            ..Lines::default()
        },
    );
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n",
        "x".repeat(9000)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(20));
    let endless = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(9000));
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: loc", 408),
        (&long, 431),
        (&many, 431),
        (&endless, 431),
    ] {
        let mut talk = stage.talk();
        let answer = talk.ask(head);
        assert_eq!(
            (answer.status, answer.field("connection").as_deref()),
            (status, Some("close"))
        );
        assert_eq!(talk.stream.read_to_close().expect("it closes properly"), b"");
    }
    assert_eq!(stage.origin.asked().len(), 0);
}

#[test]
fn ten_thousand_requests_fit_on_one_connection() {
    let stage = Stage::plain();
    let mut talk = stage.talk();
    for batch in 0..100 {
        let requests: String = (0..100)
            .map(|n| format!("GET /{batch}/{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .collect();
        talk.send(requests);
        for n in 0..100 {
            assert_eq!(
                talk.answer(Body::Expected).expect("an answer").text(),
                format!("GET /{batch}/{n}")
            );
        }
    }
    let asked = stage.origin.asked();
    assert_eq!(asked.len(), 10_000);
    let connections: BTreeSet<usize> = asked.iter().map(|asked| asked.connection).collect();
    assert_eq!(connections.len(), 1, "the server's connection is used again");
}

#[test]
fn what_is_no_answer_is_told_as_502_and_a_post_is_asked_once() {
    let origin = Origin::start(|asked, peer| {
        let path = asked.line().split(' ').nth(1).unwrap_or_default().to_owned();
        peer.say(match &*path {
            "/garbage" => b"\x00\x01garbage\r\n\r\n",
            "/both" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "/lengths" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "/half" => b"HTTP/1.1 200 O",
            "/101" => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            _ => b"",
        });
        if path == "/reset" { Go::Reset } else { Go::Close }
    });
    let stage = Stage::set(origin, Lines::default());
    for path in ["/garbage", "/both", "/lengths", "/half", "/101", "/nothing", "/reset"] {
        let mut talk = stage.talk();
        let answer = talk.ask(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab"
        ));
        assert_eq!(answer.status, 502, "{path}");
        let line = stage.line(path);
        let ending = ["outcome", "stage", "fault"].map(|field| line[field].as_str().expect("a text"));
        assert_eq!(ending, ["failed", "request", "upstream"], "{path}");
    }
    assert_eq!(stage.origin.asked().len(), 7, "each was asked once");
}

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    let origin = Origin::start(|asked, peer| {
        match asked.line() {
            "GET /length" => peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
            _ => peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        };
        Go::Close
    });
    let stage = Stage::set(origin, Lines::default());
    for path in ["/length", "/chunks"] {
        let mut talk = stage.talk();
        talk.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(talk.answer(Body::Expected).is_err(), "{path}");
    }
}

#[test]
fn connections_that_servers_close_at_the_wrong_moment_cost_no_get_and_double_no_post() {
    let count = AtomicUsize::new(0);
    let origin = Origin::start(move |asked, peer| {
        peer.say(&said(asked.line()));
        // it never says that it will
        if count.fetch_add(1, Relaxed).is_multiple_of(2) {
            Go::Close
        } else {
            Go::On
        }
    });
    let stage = Stage::set(origin, Lines::default());
    let mut talk = stage.talk();
    for n in 0..300 {
        let get = talk.ask(format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!((get.status, get.text()), (200, format!("GET /{n}")));
        let post = talk.ask(format!(
            "POST /{n} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
        ));
        assert!(matches!(post.status, 200 | 502), "{post:?}");
    }
    let asked = stage.origin.asked();
    let posts: Vec<&str> = asked
        .iter()
        .map(|asked| asked.line())
        .filter(|line| line.starts_with("POST"))
        .collect();
    let distinct: BTreeSet<&str> = posts.iter().copied().collect();
    assert_eq!(posts.len(), distinct.len(), "none came twice");
}

#[test]
fn a_request_whose_head_is_gone_is_not_begun_again_without_it() {
    let seen = Mutex::new(BTreeSet::new());
    let origin = Origin::start(move |asked, peer| {
        let is_first = seen.lock().expect("nothing panics holding it").insert(asked.connection);
        // the second request on a connection finds nobody
        if is_first {
            peer.say(&said(asked.line()))
        } else {
            Go::Close
        }
    });
    let stage = Stage::set(
        origin,
        Lines {
            top: "workers = 1",
            ..Lines::default()
        },
    );
    let chunks = "HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for (request, line, statuses) in [
        (format!("PUT /put {chunks}"), "PUT /put", [200, 502]),
        (format!("POST /post {chunks}"), "POST /post", [502, 502]),
        (
            "GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "GET /get",
            [200, 200],
        ),
    ] {
        // one connection rests
        assert_eq!(
            stage.talk().ask("GET /warm HTTP/1.1\r\nHost: localhost\r\n\r\n").status,
            200
        );
        let answer = stage.talk().ask(&request);
        assert!(statuses.contains(&answer.status), "{line}: {}", answer.status);
        let asked = stage.origin.asked();
        let came = asked.iter().filter(|asked| asked.line() == line).count();
        assert!(came == 1 || line != "POST /post", "{line} came {came} times");
    }
}

#[test]
fn a_drain_ends_what_rests_at_once_and_loses_no_download() {
    const LENGTH: usize = 30_000_000;
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::start(move |asked, peer| {
        if asked.line() != "GET /big" {
            return peer.say(&said("small"));
        }
        let body = pattern(LENGTH);
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes());
        peer.say(&body[..1000]);
        // the rest when the drain has begun
        let waited = wait.lock().expect("nothing panics holding it").recv();
        waited.expect("the test says when");
        peer.say(&body[1000..])
    });
    let stage = Stage::set(origin, Lines::default());
    let mut idle = stage.talk();
    assert_eq!(idle.ask("GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
    let mut busy = stage.talk();
    busy.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stage.origin.asked_when(2);
    stage.proxy.running().drain();
    assert_eq!(
        idle.stream.read_to_close().expect("it ends properly"),
        b"",
        "nothing runs on it"
    );
    go.send(()).expect("the server waits");
    let answer = busy.answer(Body::Expected).expect("all of it");
    assert!(answer.body == pattern(LENGTH), "it arrives unchanged");
}

#[test]
fn a_reload_takes_effect_on_connections_that_are_kept() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            more: SIDE,
            ..Lines::default()
        },
    );
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (mut kept, mut plain) = (stage.talk(), stage.side());
    assert_eq!((kept.ask(request).status, plain.ask(request).status), (200, 200));
    let fixed = "[[site.route]]\nrespond = { status = 410 }";
    let side = SIDE.replace("upstream = \"back\"", fixed);
    let lines = Lines {
        site: fixed,
        more: &side,
        ..Lines::default()
    };
    let text = toml(&stage.pki, stage.origin.address(), lines);
    stage.proxy.reload(&text).expect("a good file");
    // it ends, so that the next one finds what is new
    assert_eq!(kept.stream.read_to_close().expect("it ends properly"), b"");
    assert_eq!(stage.talk().ask(request).status, 410);
    let mut after = match std::io::Write::write_all(&mut plain.stream, request.as_bytes()) {
        Ok(()) => plain,
        Err(_) => ask_anew(&stage, request),
    };
    let answer = after
        .answer(Body::Expected)
        .or_else(|_| ask_anew(&stage, request).answer(Body::Expected));
    assert_eq!(answer.expect("an answer").status, 410);
}

fn ask_anew(stage: &Stage, request: &str) -> Talk<std::net::TcpStream> {
    let mut talk = stage.side();
    talk.send(request);
    talk
}

#[test]
fn a_client_that_takes_nothing_holds_back_its_server_and_no_other_client() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let sent = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&sent);
    let origin = Origin::start(move |asked, peer| {
        if asked.line() != "GET /big" {
            return peer.say(&said(asked.line()));
        }
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes());
        for piece in pattern(LENGTH).chunks(64 * 1024) {
            if peer.say(piece) != Go::On {
                return Go::Close;
            }
            count.fetch_add(piece.len(), Relaxed);
        }
        Go::On
    });
    let stage = Stage::set(
        origin,
        Lines {
            top: "workers = 1",
            ..Lines::default()
        },
    );
    let mut slow = stage.talk();
    slow.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stage.origin.asked_when(1);
    let mut other = stage.talk();
    for n in 0..200 {
        let answer = other.ask(format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 200);
    }
    // what the sockets on the way hold is far less
    assert!(
        sent.load(Relaxed) < LENGTH / 2,
        "{} bytes are kept somewhere",
        sent.load(Relaxed)
    );
    let answer = slow.answer(Body::Expected).expect("all of it, late");
    assert!(answer.body == pattern(LENGTH), "it arrives unchanged");
}
