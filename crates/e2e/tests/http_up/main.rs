//! The proxy's http mode towards servers that speak HTTP/2: gRPC's own client and server, Node's server, and curl.
use portcullis_e2e::{
    command,
    front::Front,
    peers::{Home, Peer},
    pki::{Algorithm, Pki},
    proxy::Proxy,
    script::Server,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

mod grpc;
mod requests;
mod websocket;

fn start(peer: &Peer, script: &str, arguments: &[&Path]) -> Server {
    let serve = script.ends_with(".py").then_some(Path::new("serve"));
    let arguments: Vec<&Path> = serve.into_iter().chain(arguments.iter().copied()).collect();
    Server::start(peer, &beside(script), &arguments)
}

fn beside(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http_up").join(script)
}

/// In the clear towards clients, and as the line says towards the server.
fn plain(server: SocketAddr, line: &str) -> Proxy {
    // one core, so that it tells how many connections there are
    let front = Front::new(&[], server).top("workers = 1").listener("plain = true");
    let front = front.upstream(line);
    Proxy::start(&front.toml().replace(r#"mode = "tcp""#, r#"mode = "http""#))
}

/// What curl says of an address behind the proxy.
fn curl(proxy: &Proxy, path: &str, arguments: &[&str]) -> command::Finished {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "60"]).args(arguments);
    command.arg(format!("http://{}{path}", proxy.address()));
    command::run(&mut command, b"")
}
