//! Spans for OpenTelemetry: what a collector is sent, and what a server is told.
use crate::{Lines, Origin, Stage, eventually, origin::Asked, talk::Talk};
use portcullis_e2e::{
    command::run,
    peers::{Home, Peer},
};
use serde_json::Value;
use std::{io::Write, net::TcpListener, sync::Mutex};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A proxy that sends spans to a collector.
fn traced(collector: &Origin, rest: Lines<'_>) -> Stage {
    let top = format!(
        "traces = {{ endpoint = 'http://{}', ratio = 1, service = 'edge' }}",
        collector.address()
    );
    Stage::set(Origin::plain(), Lines { top: &top, ..rest })
}

/// What a collector was sent, once something came.
fn export(collector: &Origin) -> Asked {
    eventually("an export", || !collector.asked().is_empty());
    collector.asked().remove(0)
}

fn spans(export: &Asked) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&export.body).expect("JSON");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array().expect("a list of spans").clone()
}

/// The value of an attribute, whatever its kind.
fn fact(span: &Value, key: &str) -> Option<Value> {
    let mut all = span["attributes"].as_array().expect("a list").iter();
    let found = all.find(|attribute| attribute["key"] == key)?;
    found["value"].as_object()?.values().next().cloned()
}

#[test]
fn a_request_becomes_a_span_and_its_server_is_told_of_it() {
    let collector = Origin::plain();
    let stage = traced(&collector, Lines::default());
    let answer = stage
        .talk()
        .ask("GET /a?token=secret HTTP/1.1\r\nhost: localhost\r\nuser-agent: me\x01\r\n\r\n");
    assert_eq!(answer.status, 400, "a control byte is no part of a request");
    stage
        .talk()
        .ask("GET /a?token=secret HTTP/1.1\r\nhost: localhost\r\nuser-agent: me\r\n\r\n");
    let told = stage.origin.asked()[0]
        .field("traceparent")
        .expect("its server is told");
    let export = export(&collector);
    assert_eq!(export.line(), "POST /v1/traces");
    assert_eq!(export.field("content-type").as_deref(), Some("application/json"));
    assert_eq!(spans(&export).len(), 2);
    let spans = spans(&export);
    let of = |status: &str| {
        spans
            .iter()
            .find(|span| fact(span, "http.response.status_code").is_some_and(|s| s == status))
    };
    assert!(of("400").is_some(), "what is no request is told of too: {spans:#?}");
    let span = of("200").expect("the request's");
    let [_, trace, own, flags] = told.split('-').collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    assert_eq!(
        (span["traceId"].as_str(), span["spanId"].as_str(), flags),
        (Some(trace), Some(own), "01")
    );
    assert_eq!(span.get("parentSpanId"), None);
    let facts = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.path", "/a"),
        ("server.address", "localhost"),
        ("user_agent.original", "me"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.0.0.1"),
        ("tls.protocol.version", "1.3"),
        ("tls.curve", "X25519MLKEM768"),
        ("portcullis.key_exchange", "hybrid"),
        ("portcullis.safety", "full"),
        ("portcullis.site", "site"),
        ("portcullis.upstream", "back"),
    ];
    for (key, value) in facts {
        assert_eq!(
            fact(span, key).as_ref().and_then(Value::as_str),
            Some(value),
            "{key}: {span:#}"
        );
    }
    assert!(!String::from_utf8_lossy(&export.body).contains("secret"));
    decoded(&export);
}

/// OpenTelemetry's own description of the message reads it, field by field.
fn decoded(export: &Asked) {
    let Some(peer) = Peer::find(Home::Python, "python") else {
        return;
    };
    const SCRIPT: &str = "import sys\n\
        from google.protobuf import json_format\n\
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as t\n\
        r = json_format.Parse(sys.stdin.read(), t.ExportTraceServiceRequest())\n\
        for s in r.resource_spans[0].scope_spans[0].spans:\n    \
        assert s.end_time_unix_nano > s.start_time_unix_nano > 1.7e18\n    \
        print(s.name, s.kind, len(s.attributes) > 10)\n";
    let finished = run(peer.command().args(["-c", SCRIPT]), &export.body);
    assert!(finished.stdout.contains("GET 2 True\n"), "{}", finished.all());
}

#[test]
fn a_trace_goes_on_for_those_who_are_believed_only() {
    let ask = |stage: &Stage, parent: &str| {
        let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nTraceParent: {parent}\r\ntracestate: a=1\r\n\r\n");
        stage.talk().ask(request);
        let asked = stage.origin.asked().pop().expect("it came");
        (
            asked.field("traceparent").expect("always told"),
            asked.field("tracestate"),
        )
    };
    let collector = Origin::plain();
    let stage = traced(
        &collector,
        Lines {
            listener: "trusted_proxies = ['127.0.0.1']",
            ..Lines::default()
        },
    );
    let (told, state) = ask(&stage, PARENT);
    assert!(
        told.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && told.ends_with("-01"),
        "{told}"
    );
    assert!(
        !told.contains("00f067aa0ba902b7") && state.as_deref() == Some("a=1"),
        "{told} {state:?}"
    );
    let span = spans(&export(&collector)).remove(0);
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    // nobody records it, and neither do we
    let (told, _) = ask(&stage, &PARENT.replace("-01", "-00"));
    assert!(
        told.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && told.ends_with("-00"),
        "{told}"
    );
    drop(stage);
    assert!(
        collector.asked().iter().flat_map(spans).count() == 1,
        "{:?}",
        collector.asked()
    );

    let stage = traced(&collector, Lines::default());
    let (told, state) = ask(&stage, PARENT);
    assert!(
        !told.contains("4bf92f3577b34da6a3ce929d0e0e4736") && state.is_none(),
        "{told} {state:?}"
    );
    let off = Stage::plain();
    assert_eq!(
        ask(&off, PARENT),
        (PARENT.to_owned(), Some("a=1".to_owned())),
        "off, it is nobody's business"
    );
}

#[test]
fn a_connection_of_a_tcp_site_is_a_span_and_so_is_one_that_failed() {
    let collector = Origin::plain();
    let more = "[[listener]]\nname = 'raw'\nmode = 'tcp'\nplain = true\nlisten = ['127.0.0.1:0']\n\
                [[site]]\nname = 'echo'\nlisteners = ['raw']\nupstream = 'back'\n";
    let stage = traced(
        &collector,
        Lines {
            more,
            ..Lines::default()
        },
    );
    let mut raw = Talk::plain(stage.proxy.address_of("raw"));
    assert_eq!(raw.ask("GET /raw HTTP/1.1\r\nhost: a\r\n\r\n").status, 200);
    drop(raw);
    let mut no_tls = Talk::plain(stage.proxy.address());
    no_tls.stream.write_all(b"SSH-2.0-x\r\n").expect("it was accepted");
    let _ = no_tls.rest();
    let mut all = Vec::new();
    eventually("both spans", || {
        all = collector.asked().iter().flat_map(spans).collect();
        all.len() >= 2
    });
    let of = |site: &str| {
        all.iter()
            .find(|span| fact(span, "portcullis.site").is_some_and(|value| value == site))
    };
    let echo = of("echo").expect("the connection");
    assert_eq!((&echo["name"], echo.get("status")), (&Value::from("connection"), None));
    let failed = of("none").expect("the failure");
    assert_eq!(failed["status"]["code"], 2, "{failed:#}");
}

#[test]
fn a_collector_that_is_busy_is_asked_again() {
    let answers = Mutex::new(vec!["200 OK", "503 Service Unavailable"]);
    let collector = Origin::start(move |_, peer| {
        let status = answers.lock().expect("nobody panics").pop().unwrap_or("200 OK");
        peer.say(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}").as_bytes())
    });
    let stage = traced(&collector, Lines::default());
    stage.talk().ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    eventually("a second attempt", || collector.asked().len() == 2);
    let asked = collector.asked();
    assert_eq!(asked[0].body, asked[1].body);
    assert_eq!(stage.proxy.metric("portcullis_traces_dropped_total", &[]), 0.0);
}

#[test]
fn a_collector_that_is_gone_costs_spans_and_nothing_else() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let top = format!("traces = {{ endpoint = 'http://{gone}', ratio = 1 }}");
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            top: &top,
            ..Lines::default()
        },
    );
    let mut talk = stage.talk();
    for _ in 0..3 {
        assert_eq!(talk.ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").status, 200);
    }
    eventually("spans given up", || {
        stage.proxy.metric("portcullis_traces_dropped_total", &[]) >= 3.0
    });
}
