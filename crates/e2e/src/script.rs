//! Servers of others, run by scripts of ours that tell their port.
use crate::{PATIENCE, peers::Peer};
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

/// A server whose first line is its port on loopback; dropped, it ends.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Runs a script with these arguments.
    pub fn start<A: AsRef<OsStr>>(peer: &Peer, script: &Path, arguments: &[A]) -> Server {
        Server::run(peer.command().arg(script).args(arguments))
    }

    /// Runs what is complete.
    pub fn run(command: &mut Command) -> Server {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("the peer was found");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (teller, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if teller.send(line).is_err() {
                    return;
                }
            }
        });
        let port = lines.recv_timeout(PATIENCE);
        let port = port.unwrap_or_else(|error| panic!("{command:?} told no port: {error}"));
        let port = port.trim().parse().expect("a port");
        Server {
            child,
            lines,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// The next that it says.
    pub fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("it says more").trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its end of input is its end; that it may be gone already is no matter
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
