//! What is refused before any route is asked: told to the client, and in the log and the metrics, once each.
use crate::{Lines, SIDE, Stage, eventually, origin::Origin, talk::Talk};
use portcullis_e2e::{client::Offer, frames::H2};
use serde_json::Value;

fn texts<const N: usize>(line: &Value, names: [&str; N]) -> [String; N] {
    names.map(|name| match &line[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

#[test]
fn what_is_no_request_has_a_line_and_is_counted_once() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            listener: "limits = { head = '300ms', head_size = '8KiB' }",
            ..Lines::default()
        },
    );
    let long = format!(
        "PUT /long?a=secret HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(9000)
    );
    let table: [(&str, [&str; 3]); 4] = [
        (
            "GET /both HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            ["GET", "/both", "400"],
        ),
        (&long, ["PUT", "/long?a=*", "431"]),
        ("BREW /slow HTTP/1.1\r\nHost: lo", ["BREW", "/slow", "408"]),
        ("\x01\x02 \r\n\r\n", ["\\x01\\x02", "", "400"]),
    ];
    for (bytes, wanted) in &table {
        let answer = stage.talk().ask(bytes);
        assert_eq!(answer.status.to_string(), wanted[2]);
        let id = answer.text();
        let line = stage.proxy.requests_become(1).pop().expect("it was waited for");
        assert!(id.contains(line["request_id"].as_str().expect("a text")), "{id}");
    }
    let lines = stage.proxy.requests_become(table.len());
    assert_eq!(lines.len(), table.len());
    for (line, (_, wanted)) in lines.iter().zip(&table) {
        assert_eq!(texts(line, ["method", "path", "status"]), *wanted);
        assert_eq!(
            texts(line, ["site", "outcome", "stage", "fault"]),
            ["site", "failed", "request", "client"]
        );
    }
    let counted = |labels: &[&str]| stage.proxy.metric("portcullis_requests_total", labels);
    assert_eq!(counted(&["method=\"GET\"", "status=\"400\""]), 1.0);
    assert_eq!(counted(&["method=\"PUT\"", "status=\"431\""]), 1.0);
    assert_eq!(counted(&["method=\"_OTHER\""]), 2.0);
    assert_eq!(counted(&[]), 4.0);
    assert_eq!(stage.origin.asked().len(), 0);
}

#[test]
fn an_h2_request_that_is_none_has_a_line_and_is_counted_once() {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            listener: "limits = { fields = 20 }",
            ..Lines::default()
        },
    );
    let pseudo = |path: &str| -> Vec<(String, String)> {
        [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "localhost"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    };
    let mut host = pseudo("/host");
    host.push(("host".into(), "other.test".into()));
    let mut many = pseudo("/many?x=y");
    many.extend((0..30).map(|n| (format!("x-{n}"), String::new())));
    let mut connect = vec![(":method".to_owned(), "CONNECT".to_owned())];
    connect.push((":authority".into(), "localhost:22".into()));
    let mut h2 = H2::over(stage.connect(Offer::default().speaking(&["h2"])).stream);
    for (at, (fields, status)) in [(host, "400"), (many, "431"), (connect, "501")].into_iter().enumerate() {
        let stream = 2 * at as u32 + 1;
        h2.ask(stream, &fields);
        assert_eq!(h2.status(stream), status);
    }
    let lines = stage.proxy.requests_become(3);
    let told: Vec<[String; 4]> = lines
        .iter()
        .map(|line| texts(line, ["method", "host", "path", "status"]))
        .collect();
    let wanted = [
        ["GET", "localhost", "/host", "400"],
        ["GET", "localhost", "/many?x=*", "431"],
        ["CONNECT", "localhost:22", "", "501"],
    ];
    assert_eq!(told, wanted);
    assert_eq!(stage.proxy.metric("portcullis_requests_total", &["site=\"site\""]), 3.0);
    assert_eq!(stage.origin.asked().len(), 0);
}

const ONE: &str = "limits = { connections = 1 }";

#[test]
fn a_full_listener_answers_503_and_says_when_to_come_again() {
    let side = SIDE.replace("plain = true", &format!("plain = true\n{ONE}"));
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            listener: ONE,
            more: &side,
            ..Lines::default()
        },
    );
    let get = "GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (mut only, mut plain) = (stage.talk(), stage.side());
    assert_eq!((only.ask(get).status, plain.ask(get).status), (200, 200));
    let is_told = |answer: crate::talk::Answer| {
        let told = ["retry-after", "connection"].map(|name| answer.field(name));
        assert_eq!((answer.status, told), (503, [Some("2".into()), Some("close".into())]));
    };
    let full = "GET /full HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut told = stage.talk();
    let at = told.stream.local().to_string();
    is_told(told.ask(full));
    assert_eq!(told.stream.read_to_close().expect("it closes properly"), b"");
    is_told(stage.side().ask(full));
    let mut h2 = H2::over(stage.connect(Offer::default().speaking(&["h2"])).stream);
    h2.get(1, "/full");
    assert_eq!((h2.status(1), h2.goaway()), ("503".into(), Some(0)));
    let record = stage.proxy.record_where(|line| line["peer"] == at);
    assert_eq!(
        texts(&record, ["outcome", "stage", "fault", "error"]),
        ["refused", "accept", "operator", "limit connections reached"]
    );
    let refused = ["outcome=\"refused\"", "stage=\"accept\""];
    eventually("all three are counted", || {
        stage.proxy.metric("portcullis_connections_total", &refused) == 3.0
    });
    let lines = stage.proxy.requests_become(5);
    let mut full = lines.iter().filter(|line| line["path"] == "/full");
    assert!(full.all(|line| texts(line, ["status", "outcome", "stage"]) == ["503", "refused", "accept"]));
    // those that it has are served, and when one goes another comes
    assert_eq!(only.ask(get).status, 200);
    only.stream.close();
    eventually("there is room", || stage.talk().ask(get).status == 200);
    assert!(stage.origin.asked().iter().all(|asked| asked.line() == "GET /one"));
}

#[test]
fn who_says_nothing_to_a_full_listener_holds_no_place_for_long() {
    let side = SIDE.replace("plain = true", &format!("plain = true\n{ONE}"));
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            more: &side,
            ..Lines::default()
        },
    );
    let get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut only = stage.side();
    assert_eq!(only.ask(get).status, 200);
    // more than are told at once: the others wait in accept
    let silent: Vec<Talk<_>> = (0..400).map(|_| stage.side()).collect();
    eventually("some are told", || stage.proxy.connections() > 200);
    assert!(
        stage.proxy.connections() < 300,
        "{} are open",
        stage.proxy.connections()
    );
    let answer = stage.side().ask(get);
    assert_eq!(answer.status, 503, "its turn comes when those before it had theirs");
    drop(silent);
    assert_eq!(only.ask(get).status, 200);
}
