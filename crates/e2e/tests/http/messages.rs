//! HTTP/1.1 messages, straight through.
use crate::{
    Go, Lines, SIDE, Stage,
    origin::{Origin, said},
    talk::Body,
};

#[test]
fn a_get_over_post_quantum_tls_arrives_as_it_was_asked_and_so_does_its_answer() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 200 Fine\r\nX-One: 1\r\nServer: s\r\nContent-Length: 5\r\n\r\nhello")
    });
    let stage = Stage::set(origin, Lines::default());
    let mut talk = stage.talk();
    let answer = talk.ask("GET /a/b?c=d HTTP/1.1\r\nHost: localhost\r\nX-Two: 2\r\nAccept: */*\r\n\r\n");
    assert!(answer.head.starts_with("HTTP/1.1 200 Fine\r\n"), "{}", answer.head);
    assert_eq!(
        (answer.text(), answer.field("x-one"), answer.field("server")),
        ("hello".into(), Some("1".into()), Some("s".into()))
    );
    let asked = stage.origin.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line(), "GET /a/b?c=d");
    let fields = ["host", "x-two", "accept", "connection", "content-length"].map(|name| asked[0].field(name));
    assert_eq!(
        fields,
        [
            Some("localhost".into()),
            Some("2".into()),
            Some("*/*".into()),
            None,
            None
        ]
    );
    let seen = talk.stream.seen();
    assert_eq!(
        (seen.group.as_deref(), seen.signature.as_deref()),
        (Some("X25519MLKEM768"), Some("mldsa65"))
    );
    assert_eq!(talk.stream.protocol().as_deref(), Some("http/1.1"));
}

#[test]
fn bodies_with_a_length_and_in_chunks_arrive_whole_with_their_trailers() {
    let stage = Stage::plain();
    let mut talk = stage.talk();
    let answer = talk.ask("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabcde");
    assert_eq!((answer.status, answer.text()), (200, "POST /length".into()));
    let answer = talk.ask("PUT /empty HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((answer.status, answer.text()), (200, "PUT /empty".into()));
    let answer = talk.ask(
        "POST /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2;e=v\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n",
    );
    // a trailer that would frame the message makes it ambiguous, or is left out: it never arrives
    if answer.status == 200 {
        let asked = stage.origin.asked();
        let last = asked.last().expect("it was answered");
        assert_eq!((&last.body[..], &*last.trailers), (&b"abcde"[..], "X-Sum: 7\r\n"));
    } else {
        assert_eq!(answer.status, 400);
        talk = stage.talk();
    }
    let answer = talk.ask(
        "POST /t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let asked = stage.origin.asked();
    let (first, last) = (&asked[0], &asked[asked.len() - 1]);
    assert_eq!(
        (&first.body[..], first.field("content-length")),
        (&b"abcde"[..], Some("5".into()))
    );
    assert_eq!(asked[1].field("content-length"), Some("0".into()));
    assert_eq!(
        (
            &last.body[..],
            last.field("content-length"),
            last.trailers.to_lowercase()
        ),
        (&b"abcde"[..], None, "x-sum: 7\r\n".into())
    );
}

#[test]
fn chunked_answers_keep_their_trailers_and_those_until_the_close_are_framed() {
    let origin = Origin::start(|asked, peer| match asked.line() {
        "GET /chunks" => peer.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 9\r\n\r\n",
        ),
        _ => {
            peer.say(b"HTTP/1.1 200 OK\r\n\r\nuntil the end");
            Go::Close
        }
    });
    let stage = Stage::set(
        origin,
        Lines {
            more: SIDE,
            ..Lines::default()
        },
    );
    let mut talk = stage.talk();
    let answer = talk.ask("GET /chunks HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\n\r\n");
    assert_eq!(
        (answer.text(), answer.trailers.to_lowercase()),
        ("abcdefg".into(), "x-sum: 9\r\n".into())
    );
    let answer = talk.ask("GET /close HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(
        (answer.text(), answer.field("transfer-encoding")),
        ("until the end".into(), Some("chunked".into()))
    );
    let answer = talk.ask("GET /chunks HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(answer.text(), "abcdefg", "the connection goes on");
    // who speaks HTTP/1.0 knows no chunks: the close ends the body
    for line in [
        "GET /chunks HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        "GET /chunks HTTP/1.0\r\n\r\n",
    ] {
        let mut old = stage.side();
        let answer = old.ask(line);
        assert_eq!(answer.field("transfer-encoding"), None);
        match answer.status {
            200 => assert_eq!(answer.text(), "abcdefg"),
            status => assert!(status == 400 || status == 421, "{status} without a host"),
        }
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let origin = Origin::start(|asked, peer| match asked.line() {
        "HEAD /chunks" => peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "GET /204" => peer.say(b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"),
        "GET /304" => peer.say(b"HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 77\r\n\r\n"),
        line if line.starts_with("HEAD") => peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        line => peer.say(&said(line)),
    });
    let stage = Stage::set(origin, Lines::default());
    let mut talk = stage.talk();
    let upgrade = "HEAD /up HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let steps: [(&str, u16, Option<&str>); 5] = [
        ("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, Some("1234")),
        ("HEAD /chunks HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, None),
        (upgrade, 200, Some("1234")),
        ("GET /204 HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, None),
        ("GET /304 HTTP/1.1\r\nHost: localhost\r\n\r\n", 304, Some("77")),
    ];
    for (request, status, length) in steps {
        let answer = talk.ask(request);
        assert_eq!(
            (answer.status, answer.field("content-length").as_deref()),
            (status, length),
            "{request}"
        );
        let next = talk.ask("GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(next.text(), "GET /next", "after {request}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let stage = Stage::plain();
    let mut talk = stage.talk();
    let each = (0..50).map(|n| match n % 3 {
        0 => format!("POST /{n} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"),
        1 => {
            format!("POST /{n} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        }
        _ => format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    });
    talk.send(each.collect::<String>());
    for n in 0..50 {
        let method = if n % 3 == 2 { "GET" } else { "POST" };
        let answer = talk.answer(Body::Expected).expect("an answer");
        assert_eq!(answer.text(), format!("{method} /{n}"));
    }
    assert_eq!(stage.origin.asked().len(), 50);
}

#[test]
fn interim_answers_are_passed_on_and_who_expects_is_told_to_continue() {
    let origin = Origin::at_heads(|asked, peer| {
        if asked.line() == "GET /hints" {
            return peer.say(&[b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", &said("done")[..]].concat());
        }
        assert_eq!(asked.field("expect").as_deref(), Some("100-continue"));
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n");
        let mut whole = asked.clone();
        peer.rest_of(&mut whole);
        peer.say(&said(&String::from_utf8_lossy(&whole.body)))
    });
    let stage = Stage::set(
        origin,
        Lines {
            more: SIDE,
            ..Lines::default()
        },
    );
    let mut talk = stage.talk();
    let hints = talk.ask("GET /hints HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((hints.status, hints.field("link").as_deref()), (103, Some("</a.css>")));
    assert_eq!(talk.answer(Body::Expected).expect("the answer").text(), "done");
    let interim = talk.ask("POST /up HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(interim.status, 100);
    talk.send("body");
    assert_eq!(talk.answer(Body::Expected).expect("the answer").text(), "body");
    // HTTP/1.0 knows no interim answers
    let old = stage.side().ask("GET /hints HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!((old.status, old.text()), (200, "done".into()));
}

#[test]
fn what_a_route_does_to_answers_it_does_not_to_interim_ones() {
    let origin = Origin::start(|_, peer| {
        peer.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nServer: s\r\nLink: </b.js>\r\n\r\nHTTP/1.1 200 OK\r\nServer: s\r\nLink: </c>\r\nContent-Length: 0\r\n\r\n")
    });
    let site = "[[site.route]]\nupstream = 'back'\nheaders = { security = true, response = { set = { Link = '<l>' }, add = { X-A = 'b' }, remove = ['Server'] } }";
    let stage = Stage::set(
        origin,
        Lines {
            site,
            ..Lines::default()
        },
    );
    let mut talk = stage.talk();
    let hints = talk.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(
        hints.head,
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nServer: s\r\nLink: </b.js>\r\n\r\n"
    );
    let answer = talk.answer(Body::Expected).expect("the answer");
    let fields = ["link", "server", "x-a", "x-content-type-options"].map(|name| answer.field(name));
    assert_eq!(
        fields,
        [Some("<l>".into()), None, Some("b".into()), Some("nosniff".into())]
    );
}

#[test]
fn an_old_client_is_closed_on_unless_it_asks_to_stay() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            more: SIDE,
            ..Lines::default()
        },
    );
    let mut old = stage.side();
    let answer = old.ask("GET /a HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(
        (answer.text(), answer.field("connection")),
        ("GET /a".into(), Some("keep-alive".into()))
    );
    let answer = old.ask("GET /b HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(
        (answer.text(), answer.field("connection")),
        ("GET /b".into(), Some("close".into()))
    );
    assert_eq!(old.rest().expect("an end"), b"");
    let mut polite = stage.talk();
    let answer = polite.ask("GET /c HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.field("connection").as_deref(), Some("close"));
    assert_eq!(polite.stream.read_to_close().expect("a close_notify"), b"");
    assert_eq!(stage.origin.asked()[2].field("connection"), None);
}

#[test]
fn an_upgrade_becomes_a_tunnel_and_another_answer_leaves_http() {
    let origin = Origin::start(|asked, peer| match asked.field("upgrade").as_deref() {
        Some("websocket") => {
            peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst");
            while let Ok(bytes) = peer.exactly(4) {
                peer.say(&[b"<", &bytes[..], b">"].concat());
            }
            Go::Close
        }
        _ => peer.say(&said(asked.line())),
    });
    let stage = Stage::set(origin, Lines::default());
    let mut talk = stage.talk();
    // h2c is no protocol to upgrade to, and never asked of a server
    let no = talk.ask("GET /h2c HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n");
    assert_eq!(no.text(), "GET /h2c");
    let mut talk = match no.field("connection").as_deref() {
        Some("close") => stage.talk(),
        _ => talk,
    };
    talk.send(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearl",
    );
    let switched = talk.answer(Body::Never).expect("an answer");
    assert_eq!(
        (switched.status, switched.field("upgrade").as_deref()),
        (101, Some("websocket"))
    );
    assert_eq!(
        switched.field("connection").map(|c| c.to_lowercase()).as_deref(),
        Some("upgrade")
    );
    assert_eq!(talk.exactly(5 + 6).expect("what came with it"), b"first<earl>");
    for word in ["ping", "pong"] {
        talk.send(word);
        assert_eq!(talk.exactly(6).expect("an echo"), format!("<{word}>").as_bytes());
    }
    talk.stream.end_sending();
    assert_eq!(talk.stream.read_to_close().expect("it ends properly"), b"");
    let line = stage.line("/ws");
    assert_eq!((&line["status"], &line["outcome"]), (&101.into(), &"ok".into()));
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&12.into(), &23.into()));
}
