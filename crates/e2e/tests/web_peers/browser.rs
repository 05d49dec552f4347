//! A page in Chromium that opens WebSockets and tells what it heard.
use super::{Algorithm, Home, Peer, Stage, node};
use portcullis_e2e::browser::headless;
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

#[test]
fn a_page_over_http2_opens_websockets_both_ways_and_reports_what_they_echoed() {
    let (Some(peer), Some((_, mut server))) = (Peer::find(Home::Browser, "chromium"), node()) else {
        return;
    };
    let stage = Stage::before(server.address);
    let mut command = headless(&peer, &stage.pki, Algorithm::EcdsaP256);
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
    let of = |path: &str| {
        let lines = stage.proxy.lines("request").into_iter();
        let lines = lines.filter(|line| line["path"] == path);
        let told =
            lines.map(|line| ["method", "status", "upstream_status", "outcome"].map(|field| line[field].clone()));
        told.collect::<Vec<_>>()
    };
    assert_eq!(of("/page"), [[json!("GET"), json!(200), json!(200), json!("ok")]]);
    assert_eq!(of("/report"), [[json!("POST"), json!(200), json!(200), json!("ok")]]);
    // RFC 8441 over the page's connection, an upgrade over one of HTTP/1.1
    let extended = [json!("CONNECT"), json!(200), json!(101), json!("ok")];
    let upgrade = [json!("GET"), json!(101), json!(101), json!("ok")];
    assert_eq!(of("/socket"), [extended, upgrade]);
    let alpn = |protocol: &str| records.iter().find(|record| record["alpn"] == protocol);
    for protocol in ["h2", "http/1.1"] {
        let record = alpn(protocol).unwrap_or_else(|| panic!("nothing over {protocol}: {records:#?}"));
        assert_eq!(record["group"], "X25519MLKEM768");
    }
}
