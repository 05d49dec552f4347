//! A page in Chromium that opens a WebSocket and tells what it heard.
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
fn a_page_over_http2_opens_a_websocket_and_reports_what_it_echoed() {
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
    let wanted = json!({ "how": "4001 true", "protocol": "peers", "h2": "h2", "same": true, "heard": 3 });
    assert_eq!(said, wanted);
    drop(browser);
    stage.proxy.connections_become(0);
    let of = |path: &str| {
        let lines = stage.proxy.lines("request").into_iter();
        let mut lines = lines.filter(|line| line["path"] == path);
        lines.next().unwrap_or_else(|| panic!("no line of {path}"))
    };
    assert_eq!([&of("/page")["status"], &of("/report")["status"]], [200, 200]);
    let socket = of("/socket");
    assert_eq!(
        [&socket["status"], &socket["outcome"]],
        [&json!(101), &json!("ok")],
        "{socket:#}"
    );
    let records = stage.proxy.records();
    let alpn = |protocol: &str| records.iter().find(|record| record["alpn"] == protocol);
    for protocol in ["h2", "http/1.1"] {
        let record = alpn(protocol).unwrap_or_else(|| panic!("nothing over {protocol}: {records:#?}"));
        assert_eq!(record["group"], "X25519MLKEM768");
    }
}
