//! nghttp2's own client and its load.
use super::{Home, Peer, Stage, node};
use portcullis_e2e::command::{Finished, run};
use serde_json::Value;
use std::{fs, process::Command};

/// What nghttp prints; it takes any certificate.
fn nghttp(peer: &Peer, arguments: &[&str]) -> Finished {
    let mut command = peer.command();
    let said = run(command.arg("--no-verify-peer").args(arguments), b"");
    assert!(said.status.success(), "{arguments:?}: {}", said.all());
    said
}

/// The group of every connection of these, from our own access lines.
fn groups(stage: &Stage) -> Vec<Value> {
    let records = stage.proxy.all_records().into_iter();
    let tls = records.filter(|line| line["listener"] != "side");
    tls.map(|line| line["group"].clone()).collect()
}

#[test]
fn nghttp_gets_pages_and_trailers_and_posts_bodies_with_and_without_tls() {
    let (Some(peer), Some((_, server))) = (Peer::find(Home::Trixie, "nghttp"), node()) else {
        return;
    };
    let stage = Stage::before(server.address);
    let file = stage.pki.folder().join("body");
    let body: String = (0..60_000).map(|number| format!("{number},")).collect();
    fs::write(&file, &body).expect("the folder takes a file");
    let shared = peer.shares(&file).display().to_string();
    for url in stage.urls() {
        let told = nghttp(&peer, &[&format!("{url}/a%20page?q=1")]).stdout;
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
        assert_eq!([&told["method"], &told["url"]], ["GET", "/a%20page?q=1"]);
        let echoed = nghttp(&peer, &["--data", &shared, &format!("{url}/echo")]);
        assert!(echoed.stdout == body, "{}", echoed.stderr);
        let sum = nghttp(
            &peer,
            &[
                "--data",
                &shared,
                "--no-content-length",
                "--trailer",
                "x-sum: 42",
                &format!("{url}/sum"),
            ],
        );
        let sum: Value = serde_json::from_str(&sum.stdout).expect("what it counted");
        assert_eq!(
            [&sum["length"], &sum["trailers"]["x-sum"]],
            [&Value::from(body.len()), &Value::from("42")]
        );
        let seen = nghttp(&peer, &["--verbose", "--no-dep", &format!("{url}/trailers")]).stdout;
        let trailer = seen.find("x-sum: 42").unwrap_or_else(|| panic!("{seen}"));
        assert!(seen.find(":status: 200").is_some_and(|head| head < trailer), "{seen}");
        let many: Vec<String> = (0..50).map(|n| format!("{url}/many?{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let answered = nghttp(&peer, &many).stdout;
        assert_eq!(answered.matches("\"method\":\"GET\"").count(), 50, "{answered}");
    }
    let groups = groups(&stage);
    assert!(
        groups.len() >= 5 && groups.iter().all(|group| group == "X25519MLKEM768"),
        "{groups:?}"
    );
}

/// 10,000 requests in all over both listeners, in both versions.
#[test]
fn all_requests_of_h2load_are_answered_with_success_over_the_hybrid() {
    let (Some(peer), Some((_, server))) = (Peer::find(Home::Trixie, "h2load"), node()) else {
        return;
    };
    let stage = Stage::before(server.address);
    for url in stage.urls() {
        for (version, count) in [("--alpn-list=h2", 4000), ("--h1", 1000)] {
            let mut command: Command = peer.command();
            command.args([
                "--clients=8",
                "--max-concurrent-streams=16",
                "--groups=X25519MLKEM768",
                version,
            ]);
            command.arg(format!("--requests={count}")).arg(format!("{url}/page"));
            let said = run(&mut command, b"");
            let all = format!(
                "requests: {count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout"
            );
            assert!(said.stdout.contains(&all), "{}", said.all());
            assert!(
                said.stdout.contains(&format!("status codes: {count} 2xx,")),
                "{}",
                said.all()
            );
        }
    }
    let groups = groups(&stage);
    assert!(
        groups.len() == 16 && groups.iter().all(|group| group == "X25519MLKEM768"),
        "{groups:?}"
    );
    let lines = stage.proxy.lines("request");
    assert_eq!(lines.len(), 10_000);
    assert!(
        lines
            .iter()
            .all(|line| line["outcome"] == "ok" && line["status"] == 200)
    );
}
