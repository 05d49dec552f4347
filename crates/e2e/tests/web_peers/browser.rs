//! A page in Chromium that opens WebSockets and tells what it heard.
use super::{Algorithm, Home, Peer, Stage, node};
use portcullis_e2e::{browser::headless, script::Server};
use serde_json::{Value, json};
use std::process::{Child, Stdio};

/// Dropped, it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it may have gone by itself
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A browser whose machine is busy may open a connection of its own for any WebSocket: it is asked again then.
const TRIES: usize = 5;

#[test]
fn a_page_over_http2_opens_websockets_both_ways_and_reports_what_they_echoed() {
    let (Some(peer), Some((_, mut server))) = (Peer::find(Home::Browser, "chromium"), node()) else {
        return;
    };
    let over_http2 = (0..TRIES).find(|_| sockets(&peer, &mut server) == ["CONNECT", "GET"]);
    assert!(over_http2.is_some(), "never by extended CONNECT in {TRIES} visits");
}

/// How the page opened its sockets: RFC 8441 over its own connection, or an upgrade over one of HTTP/1.1.
fn sockets(peer: &Peer, server: &mut Server) -> Vec<String> {
    let stage = Stage::before(server.address);
    let mut command = headless(peer, &stage.pki, Algorithm::EcdsaP256);
    // it stays until it is ended
    command.args(["--remote-debugging-port=0", &format!("{}/page", stage.urls()[0])]);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let browser = Running(quiet.spawn().expect("the peer was found"));
    let said = server.line();
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let socket = json!({ "how": "4001 true", "protocol": "peers", "same": true });
    assert_eq!(said, json!({ "page": "h2", "sockets": [socket, socket] }));
    drop(browser);
    let records = stage.proxy.all_records();
    for record in records.iter().filter(|record| record["alpn"] != "") {
        assert_eq!(record["group"], "X25519MLKEM768", "{record:#}");
    }
    let of = |path: &str| {
        let lines = stage.proxy.lines("request").into_iter();
        let lines = lines.filter(|line| line["path"] == path);
        let told =
            lines.map(|line| ["method", "status", "upstream_status", "outcome"].map(|field| line[field].clone()));
        told.collect::<Vec<_>>()
    };
    assert_eq!(of("/page"), [[json!("GET"), json!(200), json!(200), json!("ok")]]);
    assert_eq!(of("/report"), [[json!("POST"), json!(200), json!(200), json!("ok")]]);
    let extended = [json!("CONNECT"), json!(200), json!(101), json!("ok")];
    let upgrade = [json!("GET"), json!(101), json!(101), json!("ok")];
    let opened = of("/socket");
    assert!(
        opened.iter().all(|told| [&extended, &upgrade].contains(&told)),
        "{opened:?}"
    );
    let methods = opened
        .iter()
        .map(|[method, ..]| method.as_str().unwrap_or_default().to_owned());
    methods.collect()
}
