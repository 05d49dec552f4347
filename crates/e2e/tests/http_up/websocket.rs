//! WebSockets over HTTP/2 as the Python library h2 speaks it, at the server `websockets`.
use super::{Home, Peer, beside, command, plain, start};

const SCRIPT: &str = "websocket_peer.py";

#[test]
fn a_websocket_over_http_2_reaches_a_server_of_http_1_1() {
    let Some(peer) = Peer::find(Home::Python, "python") else {
        return;
    };
    let server = start(&peer, SCRIPT, &[]);
    let proxy = plain(server.address, "");
    let mut command = peer.command();
    command.arg(beside(SCRIPT));
    command.args(["ask", &proxy.address().to_string()]);
    let finished = command::run(&mut command, b"");
    assert_eq!(finished.stdout, "all came back\n", "{}", finished.all());
    let line = &proxy.requests_become(1)[0];
    assert_eq!(
        (&line["method"], &line["status"], &line["outcome"]),
        (&"CONNECT".into(), &200.into(), &"ok".into())
    );
}
