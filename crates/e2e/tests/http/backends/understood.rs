//! The corpus of ambiguous requests, with real servers behind that write down what they understood.
use super::{Before, KINDS, nginx::Nginx, start};
use crate::{
    http1_corpus::{self, Case, Heard, Request},
    talk::{Answer, Body, Talk},
};
use serde_json::Value;
use std::{
    io::{self, Write},
    net::TcpStream,
    thread,
};

/// Requests of the corpus that a server must have understood: each refuses some of those that are odd.
const LEAST: usize = 60;

#[test]
fn no_real_server_understands_a_request_of_the_corpus_twice_or_otherwise() {
    let mut cases = http1_corpus::requests();
    // without TLS it is what it says
    cases.retain(|case| case.name != "HTTP/2's preface");
    let mut servers = Vec::new();
    for kind in &KINDS {
        let Some(server) = start(kind) else { return };
        servers.push((kind.name, server));
    }
    let Some(nginx) = Nginx::start() else { return };
    let problems: Vec<String> = thread::scope(|scope| {
        let cases = &cases;
        let each = servers.iter().map(|(name, server)| {
            let address = server.address;
            scope.spawn(move || {
                let before = Before::set(address);
                play(&before, name, cases, || before.told())
            })
        });
        let mut each: Vec<_> = each.collect();
        let nginx = &nginx;
        each.push(scope.spawn(move || {
            let before = Before::set(nginx.address);
            let (mut from, mut marker) = (0, 0);
            play(&before, "nginx", cases, || {
                marker += 1;
                let (told, next) = nginx.told(from, marker);
                from = next;
                told
            })
        }));
        each.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
    });
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

fn play(before: &Before, name: &str, cases: &[Case], mut told: impl FnMut() -> Vec<Value>) -> Vec<String> {
    let (mut problems, mut understood) = (Vec::new(), Vec::new());
    for case in cases {
        let mut talk = before.side();
        // it may be refused before it is sent whole
        let _ = talk.stream.write_all(&case.sent);
        hear(&mut talk, case);
        drop(talk);
        let told = told();
        if let Some(why) = unlike(name, case, &told) {
            problems.push(format!("{name}: {:?}: {why}: {told:#?}", case.name));
        }
        understood.extend(told);
    }
    if understood.len() < LEAST {
        problems.push(format!("{name}: it understood only {}", understood.len()));
    }
    before.proxy.connections_become(0);
    let lines = before.proxy.lines("request");
    let mut forwarded: Vec<&Value> = lines.iter().filter(|line| line["upstream_server"] != "").collect();
    for one in &understood {
        // its path is as the client wrote it
        let is_it = |line: &&Value| line["method"] == one["method"];
        match forwarded.iter().position(is_it) {
            Some(at) => drop(forwarded.remove(at)),
            None => problems.push(format!("{name}: no line of its own tells of {one}")),
        }
    }
    problems
}

/// Reads what comes; servers refuse some of what is only odd, as they like.
fn hear(talk: &mut Talk<TcpStream>, case: &Case) {
    for heard in &case.heard {
        let body = match heard {
            Heard::Request(request) if request.method == "HEAD" => Body::Never,
            Heard::Request(_) | Heard::Refused(_) => Body::Expected,
            Heard::More => return,
        };
        // an interim answer is ours and may come before a server heard of anything
        let answer = std::iter::repeat_with(|| talk.answer(body)).find(|answer| !is_interim(answer));
        match answer {
            Some(Ok(answer)) if answer.field("connection").as_deref() != Some("close") => {}
            _ => return,
        }
    }
}

fn is_interim(answer: &io::Result<Answer>) -> bool {
    answer.as_ref().is_ok_and(|answer| (100..200).contains(&answer.status))
}

/// Why what a server was told is not what the case holds: in order, each at most once, and as it is.
fn unlike(name: &str, case: &Case, told: &[Value]) -> Option<String> {
    let accepted = case.heard.iter().filter_map(|heard| match heard {
        Heard::Request(request) => Some(request),
        Heard::Refused(_) | Heard::More => None,
    });
    let mut accepted = accepted.peekable();
    for one in told {
        if !accepted.any(|request| is_as_told(name, request, one)) {
            return Some(format!("nothing of it is {one}"));
        }
    }
    None
}

fn is_as_told(name: &str, request: &Request, told: &Value) -> bool {
    let text = |field: &str| told[field].as_str().unwrap_or_default();
    let host = if request.host == "-" { "" } else { &*request.host };
    let body = request.body.as_deref().unwrap_or_default();
    // nginx does not tell
    let is_body = told["body"]
        .as_str()
        .is_none_or(|told| told == openssl::base64::encode_block(body));
    text("method") == request.method
        && text("target") == as_read(name, &request.target)
        && text("host").trim_matches('-').eq_ignore_ascii_case(host)
        && is_body
}

/// What two of them make of a target that every other leaves as it is.
fn as_read(name: &str, target: &str) -> String {
    match name {
        // Python's http.server takes slashes at the front for one, and routes here do too
        "flask" if target.starts_with("//") => format!("/{}", target.trim_start_matches('/')),
        // ASGI has no word for an empty query
        "uvicorn" => target.strip_suffix('?').unwrap_or(target).to_owned(),
        _ => target.to_owned(),
    }
}
