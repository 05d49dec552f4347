//! The web's own programs through the proxy's http mode: clients and servers of HTTP/2 and WebSocket that we did not write.
use portcullis_e2e::{
    front::Front,
    peers::{self, Home, Peer},
    pki::{Algorithm, Pki},
    proxy::Proxy,
    script::Server,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

mod browser;
mod clients;
mod nghttp;
mod websocket;

/// Certificates, and the proxy before a server: `front` over TLS, `side` in the clear.
struct Stage {
    pki: Pki,
    proxy: Proxy,
}

const SIDE: &str = r#"
[[listener]]
name = "side"
mode = "http"
plain = true
listen = ["127.0.0.1:0"]
[[site]]
name = "plain"
listeners = ["side"]
upstream = "back"
"#;

impl Stage {
    fn before(server: SocketAddr) -> Stage {
        let pki = Pki::new();
        let front = Front::new(&[pki.server(Algorithm::EcdsaP256)], server)
            .listener(r#"mode = "http""#)
            .site(r#"listeners = ["front"]"#)
            .more(SIDE);
        let proxy = Proxy::start(&front.toml().replace("mode = \"tcp\"\n", ""));
        Stage { pki, proxy }
    }

    /// Both ways in.
    fn urls(&self) -> [String; 2] {
        [
            format!("https://localhost:{}", self.proxy.address().port()),
            format!("http://127.0.0.1:{}", self.proxy.address_of("side").port()),
        ]
    }
}

/// Node, and its server.
fn node() -> Option<(Peer, Server)> {
    let peer = Peer::find(Home::Node, "node")?;
    let modules = peers::folder().join("ws/node_modules");
    let mut command = peer.command();
    let server = Server::run(command.env("NODE_PATH", modules).arg(beside("server.js")));
    Some((peer, server))
}

fn beside(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/web_peers")
        .join(script)
}
