//! The proxy's http mode towards servers that speak HTTP/2: gRPC's own client and server, Node's server, and curl.
use portcullis_e2e::{
    command,
    front::Front,
    peers::{Home, Peer},
    pki::{Algorithm, Pki},
    proxy::Proxy,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

mod grpc;
mod requests;

/// A server that tells its port; dropped, it ends.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(peer: &Peer, script: &str, arguments: &[&Path]) -> Server {
        let mut command = peer.command();
        command.arg(beside(script));
        if script.ends_with(".py") {
            command.arg("serve");
        }
        Server::run(command.args(arguments))
    }

    fn run(command: &mut Command) -> Server {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("the peer was found");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        lines.read_line(&mut port).expect("it tells its port");
        let port = port.trim().parse().expect("a port");
        Server {
            child,
            lines,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// The next that it says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it says more");
        line.trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its end of input is its end; that it may be gone already is no matter
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
