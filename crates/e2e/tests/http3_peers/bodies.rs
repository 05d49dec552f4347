//! Bodies large and many.
use super::{Stage, aioquic, curl, large};
use openssl::sha::sha256;
use portcullis_e2e::peers::{Home, Peer};
use serde_json::{Value, json};
use std::{fmt::Write, fs};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[test]
fn twenty_megabytes_go_down_and_up_unchanged_through_curl() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let stage = Stage::web();
    let large = large();
    let sent = peer.shares(&super::file(&stage, "sent", &large)).display().to_string();
    let slot = super::file(&stage, "got", b"");
    let got = peer.shares(&slot);
    let here = portcullis_e2e::peers::folder()
        .join("trixie")
        .join(got.strip_prefix("/").expect("absolute"));
    let into = got.display().to_string();
    let table: [(&[&str], &str); 2] = [
        (&["--output", &into], "/large"),
        (
            &["--output", &into, "--request", "POST", "--upload-file", &sent],
            "/echo",
        ),
    ];
    for (more, path) in table {
        let said = curl(&peer, &stage, more, path);
        assert!(said.status.success(), "{path}: {}", said.all());
        let came = fs::read(&here).expect("curl wrote it");
        assert_eq!((came.len(), sha256(&came)), (large.len(), sha256(&large)), "{path}");
        fs::write(&here, b"").expect("it is ours");
    }
}

#[test]
fn a_hundred_requests_at_once_are_each_answered_with_their_own() {
    let Some(peer) = Peer::find(Home::Quic, "python") else {
        return;
    };
    let stage = Stage::web();
    let requests: Vec<Value> = (0..100)
        .map(|number| json!({ "path": "/echo", "method": "POST", "body": 1_000 + 777 * number }))
        .collect();
    let visits = aioquic(&peer, &stage, json!({ "requests": requests }));
    let answers = visits[0]["answers"].as_array().unwrap_or_else(|| panic!("{visits:?}"));
    assert_eq!(answers.len(), 100);
    for (answer, request) in answers.iter().zip(&requests) {
        assert_eq!(
            (&answer["status"], &answer["length"]),
            (&json!(200), &request["body"]),
            "{answer}"
        );
        assert_eq!(answer["sha256"], answer["sent"], "{request}");
    }
    assert_eq!(stage.record()["outcome"], "ok");
}

#[test]
fn large_bodies_cross_both_ways_on_one_connection() {
    let Some(peer) = Peer::find(Home::Quic, "python") else {
        return;
    };
    let stage = Stage::web();
    let upload = json!({ "path": "/echo", "method": "POST", "body": 4_000_000 });
    let visits = aioquic(
        &peer,
        &stage,
        json!({ "requests": [upload, { "path": "/large" }, upload] }),
    );
    let answers = visits[0]["answers"].as_array().unwrap_or_else(|| panic!("{visits:?}"));
    assert_eq!(answers[1]["sha256"], hex(&sha256(&large())));
    for echoed in [&answers[0], &answers[2]] {
        assert_eq!(echoed["sha256"], echoed["sent"]);
    }
}
