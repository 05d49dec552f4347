//! nginx: a server of files, and one that tells what it was asked.
use super::{Before, Sent, request};
use crate::{
    eventually, pattern,
    talk::{Body, Talk},
};
use portcullis_e2e::peers::{self, Home, Peer};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Stdio},
};

/// nginx in the private root.
pub(super) struct Nginx {
    child: Child,
    pub(super) address: SocketAddr,
    /// Its folder, as this machine sees it.
    folder: PathBuf,
    _peer: Peer,
}

impl Nginx {
    pub(super) fn start() -> Option<Nginx> {
        let peer = Peer::find(Home::Trixie, "nginx")?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let address = free.expect("a free port");
        let pki = tempfile::TempDir::new().expect("a folder");
        let file = pki.path().join("nginx.conf");
        fs::write(&file, NGINX.replace("ADDRESS", &address.to_string())).expect("the folder takes a file");
        let inside = peer.shares(&file);
        let own = inside.parent().expect("a folder");
        let folder = peers::folder()
            .join("trixie")
            .join(own.strip_prefix("/").expect("from its root"));
        fs::create_dir(folder.join("files")).expect("a folder in a folder");
        fs::write(folder.join("files/large"), pattern(20_000_000)).expect("the folder takes a file");
        let mut command = peer.command();
        command
            .arg("-p")
            .arg(own)
            .arg("-c")
            .arg(&inside)
            .args(["-e", "error.log"]);
        let child = command.stdin(Stdio::null()).spawn().expect("the peer was found");
        eventually("nginx listens", || TcpStream::connect(address).is_ok());
        Some(Nginx {
            child,
            address,
            folder,
            _peer: peer,
        })
    }

    /// What its log says from a place on, up to a request of ours, and the next place.
    pub(super) fn told(&self, from: usize, marker: usize) -> (Vec<Value>, usize) {
        let path = format!("/marker{marker}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(Talk::plain(self.address).ask(request).status, 200);
        let mut lines = Vec::new();
        eventually("its log", || {
            let log = fs::read(self.folder.join("told.log")).expect("its log");
            let log = String::from_utf8_lossy(&log).into_owned();
            lines = log.lines().skip(from).map(str::to_owned).collect();
            lines.last().is_some_and(|line| line.contains(&path))
        });
        let told = lines[..lines.len() - 1].iter();
        let told = told.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        (told.collect(), from + lines.len())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }
}

const NGINX: &str = r#"
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 512; }
http {
  log_format told escape=json '{"method":"$request_method","target":"$request_uri","host":"$http_host","port":"$remote_port","text":"$request_body"}';
  map $status $is_whole { 200 1; default 0; }
  access_log told.log told if=$is_whole;
  client_body_buffer_size 1m;
  client_body_temp_path body;
  client_max_body_size 0;
  keepalive_requests 100000;
  server {
    listen ADDRESS default_server;
    root .;
    location /files/ { dav_methods PUT DELETE; }
    location = /none { return 204; }
    # once it has read all of a request, which it never does to answer by itself
    location / { proxy_pass http://ADDRESS; proxy_set_header Host behind; }
  }
  server {
    listen ADDRESS;
    server_name behind;
    access_log off;
    return 200 "fine\n";
  }
}
"#;

#[test]
fn nginx_serves_and_takes_files_through_the_proxy_as_directly() {
    let Some(nginx) = Nginx::start() else { return };
    let before = Before::set(nginx.address);
    for row in [
        ("GET /files/large", "", Sent::Nothing),
        ("HEAD /files/large", "", Sent::Nothing),
        ("GET /files/large", "Range: bytes=5-70000\r\n", Sent::Nothing),
        (
            "GET /files/large",
            "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT\r\n",
            Sent::Nothing,
        ),
        ("GET /files/missing", "", Sent::Nothing),
        ("POST /files/large", "", Sent::Length(10)),
        ("GET /none", "", Sent::Nothing),
        ("POST /else", "", Sent::Length(100_000)),
        ("PUT /else", "", Sent::Chunks(100_000)),
    ] {
        before.compare("nginx", row);
    }
    for (name, sent, length) in [
        ("one", Sent::Length(3_000_000), 3_000_000),
        ("two", Sent::Chunks(3_000_000), 3_000_000),
        ("none", Sent::Length(0), 0),
    ] {
        let expecting = "Expect: 100-continue\r\n";
        let mut talk = before.talk();
        talk.send(request(&format!("PUT /files/{name}"), expecting, sent));
        let mut answer = talk.answer(Body::Expected).expect("an answer");
        if answer.status == 100 {
            answer = talk.answer(Body::Expected).expect("an answer");
        }
        assert_eq!(answer.status, 201, "{name}");
        let file = fs::read(nginx.folder.join("files").join(name)).expect("it took it");
        assert!(file == pattern(length), "{name}: {} bytes", file.len());
        assert_eq!(
            before
                .talk()
                .ask(request(&format!("DELETE /files/{name}"), "", Sent::Nothing))
                .status,
            204
        );
    }
    let (_, from) = nginx.told(0, 0);
    for _ in 0..10 {
        assert_eq!(before.talk().ask(request("GET /", "", Sent::Nothing)).status, 200);
    }
    let ports: BTreeSet<String> = nginx
        .told(from, 1)
        .0
        .iter()
        .map(|told| told["port"].to_string())
        .collect();
    assert_eq!(ports.len(), 1, "its connection is used again");
}
