//! The corpus of ambiguous requests, sent as it stands: what is refused never reaches a server, and what is accepted
//! reaches it once, as it is understood, framed without a doubt.
use crate::{
    Lines, SIDE, Stage,
    http1_corpus::{self, Case, Heard, Request},
    origin::{Asked, Origin},
    talk::{Body, Talk},
};
use std::{io::Write, net::TcpStream, thread};

/// What may follow a case on its connection.
const SECOND: &str = "GET /second HTTP/1.1\r\nHost: a.example\r\n\r\n";
/// Connections at once; each has a proxy's listener and a server of its own.
const AT_ONCE: usize = 4;

#[test]
fn no_ambiguous_request_reaches_a_server_and_every_other_does_once_as_it_is_understood() {
    let mut cases = http1_corpus::requests();
    // without TLS it is what it says
    cases.retain(|case| case.name != "HTTP/2's preface");
    assert!(cases.len() >= 300, "only {} cases", cases.len());
    let problems: Vec<String> = thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(AT_ONCE));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || all(part))).collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("no panic"))
            .collect()
    });
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

fn all(cases: &[Case]) -> Vec<String> {
    let stage = Stage::set(
        Origin::plain(),
        Lines {
            more: SIDE,
            ..Lines::default()
        },
    );
    let each = cases.iter().flat_map(|case| {
        let is_open = case.heard.contains(&Heard::More);
        let second = (!is_open).then(|| sent(&stage, case, SECOND));
        [Some(sent(&stage, case, "")), second]
    });
    each.flatten().filter_map(Result::err).collect()
}

/// Sends a case and what follows it on a fresh connection; an error says what was wrong.
fn sent(stage: &Stage, case: &Case, second: &str) -> Result<(), String> {
    stage.origin.forget();
    let mut talk = stage.side();
    // it may be refused before it is sent whole
    let _ = talk.stream.write_all(&[&case.sent[..], second.as_bytes()].concat());
    let ended = answers(&mut talk, case, second);
    drop(talk);
    let asked = stage.origin.asked();
    let wrong = |what: String| format!("{:?} with {second:?}: {what}\n  reached: {asked:#?}", case.name);
    ended.map_err(wrong)?;
    let accepted = case.heard.iter().filter_map(|heard| match heard {
        Heard::Request(request) => Some(request),
        Heard::Refused(_) | Heard::More => None,
    });
    let accepted: Vec<&Request> = accepted.collect();
    let (own, more) = asked.split_at(accepted.len().min(asked.len()));
    if own.len() < accepted.len()
        || more
            .iter()
            .any(|asked| second.is_empty() || asked.line() != "GET /second")
        || more.len() > 1
    {
        return Err(wrong(format!("{} requests were to arrive", accepted.len())));
    }
    let mut pairs = accepted.into_iter().zip(own);
    match pairs.find_map(|(request, asked)| difference(request, asked)) {
        Some(what) => Err(wrong(what)),
        None => Ok(()),
    }
}

/// Reads what is to be answered, and to the end where one is due.
fn answers(talk: &mut Talk<TcpStream>, case: &Case, second: &str) -> Result<(), String> {
    for heard in &case.heard {
        let (status, body) = match heard {
            Heard::Request(request) if request.method == "HEAD" => (200, Body::Never),
            Heard::Request(_) => (200, Body::Expected),
            Heard::Refused(status) => (*status, Body::Expected),
            Heard::More => return Ok(()),
        };
        let answer = talk
            .answer(body)
            .map_err(|error| format!("no answer {status}: {error}"))?;
        if answer.status != status {
            return Err(format!("answered {} for {status}: {:?}", answer.status, answer.text()));
        }
        if answer.field("connection").as_deref() == Some("close") {
            let rest = talk.rest().unwrap_or_default();
            return match rest.is_empty() {
                true => Ok(()),
                false => Err("more behind the last answer".to_owned()),
            };
        }
    }
    if second.is_empty() {
        return Ok(());
    }
    match talk.answer(Body::Expected) {
        // the connection may be closed instead
        Err(_) => Ok(()),
        Ok(answer) if answer.text() == "GET /second" => Ok(()),
        Ok(answer) => Err(format!("the second was answered {answer:?}")),
    }
}

fn difference(request: &Request, asked: &Asked) -> Option<String> {
    let line = format!("{} {}", request.method, request.target);
    let host = asked.field("host").unwrap_or_default();
    let wanted = if request.host == "-" { "" } else { &request.host };
    if asked.line() != line || !host.eq_ignore_ascii_case(wanted) {
        return Some(format!("it arrived as {:?} for {host:?}", asked.line()));
    }
    if asked.body != request.body.clone().unwrap_or_default() {
        return Some(format!(
            "another body arrived: {:?}",
            String::from_utf8_lossy(&asked.body)
        ));
    }
    let trailers = String::from_utf8_lossy(&request.trailers).to_lowercase();
    let strange = asked
        .trailers
        .lines()
        .find(|line| !trailers.contains(&line.to_lowercase()));
    strange.map(|line| format!("a trailer from nowhere: {line:?}"))
}
