//! Servers of others, run by scripts of ours that tell their port.
use crate::peers::Peer;
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A server whose first line is its port on loopback; dropped, it ends.
pub struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
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
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        lines.read_line(&mut port).expect("it tells its port");
        let port = port
            .trim()
            .parse()
            .unwrap_or_else(|error| panic!("{command:?} told no port: {error}: {port:?}"));
        Server {
            child,
            lines,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// The next that it says; empty at its end.
    pub fn line(&mut self) -> String {
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
