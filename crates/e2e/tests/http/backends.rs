//! Servers that people run, behind us: what they answer is the same as directly, byte for byte, and what they understand
//! is what we understood.
use crate::{
    Lines, SIDE, pattern,
    talk::{Answer, Body, Talk},
    toml,
};
use portcullis_e2e::{
    client::{Client, Conversation, Offer},
    peers::{Home, Peer},
    pki::Pki,
    proxy::Proxy,
    script::Server,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

mod nginx;
mod understood;

/// What each does besides HTTP/1.1's least.
struct Kind {
    name: &'static str,
    keeps: Keeps,
    /// Sends 100 to those who wait for it.
    continues: bool,
    /// A switch of protocols, what is said then, and what is said back.
    upgrade: Option<(&'static str, &'static [u8], &'static [u8])>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeps {
    Connections,
    /// It speaks HTTP/1.0.
    Nothing,
}

const CHAT: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
const SOCKET: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const KINDS: [Kind; 5] = [
    Kind {
        name: "node",
        keeps: Keeps::Connections,
        continues: true,
        upgrade: Some((CHAT, b"said and said again", b"said and said again")),
    },
    Kind {
        name: "uvicorn",
        keeps: Keeps::Connections,
        continues: true,
        // RFC 6455 5.7: "hi", masked with nothing, and as a server sends it
        upgrade: Some((SOCKET, b"\x81\x82\0\0\0\0hi", b"\x81\x02hi")),
    },
    Kind {
        name: "gunicorn",
        keeps: Keeps::Connections,
        continues: true,
        upgrade: None,
    },
    Kind {
        name: "cheroot",
        keeps: Keeps::Connections,
        continues: true,
        upgrade: None,
    },
    Kind {
        name: "flask",
        keeps: Keeps::Nothing,
        continues: false,
        upgrade: None,
    },
];

/// How a request's body goes.
#[derive(Clone, Copy)]
enum Sent {
    Nothing,
    Length(usize),
    Chunks(usize),
    ChunksAndTrailers(usize),
}

/// Of every server.
const REQUESTS: [(&str, &str, Sent); 21] = [
    ("GET /what?q=a%20b&c=%2F", "", Sent::Nothing),
    ("GET /", "X-Two: 1\r\nX-Two: 2\r\nCookie: a=b; c=d\r\n", Sent::Nothing),
    ("DELETE /thing", "", Sent::Nothing),
    ("OPTIONS /thing", "", Sent::Nothing),
    ("HEAD /large", "", Sent::Nothing),
    ("HEAD /missing", "", Sent::Nothing),
    ("HEAD /stream", "", Sent::Nothing),
    ("GET /none", "", Sent::Nothing),
    ("HEAD /none", "", Sent::Nothing),
    ("GET /same", "If-None-Match: \"same\"\r\n", Sent::Nothing),
    ("GET /missing", "", Sent::Nothing),
    ("GET /large", "", Sent::Nothing),
    ("GET /stream", "", Sent::Nothing),
    ("POST /echo", "", Sent::Length(0)),
    ("PUT /echo", "", Sent::Length(1)),
    ("PATCH /echo", "", Sent::Length(100_000)),
    ("POST /echo", "", Sent::Length(3_000_000)),
    ("POST /echo", "", Sent::Chunks(0)),
    ("PUT /echo", "", Sent::Chunks(100_000)),
    ("POST /sum", "", Sent::Chunks(3_000_000)),
    ("DELETE /sum", "", Sent::Length(10)),
];

/// A server with the application of `backends.py`.
fn start(kind: &Kind) -> Option<Server> {
    let beside = |script: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http").join(script);
    match kind.name {
        "node" => {
            let peer = Peer::find(Home::Node, "node")?;
            Some(Server::start::<&str>(&peer, &beside("backends.js"), &[]))
        }
        name => {
            let peer = Peer::find(Home::Python, "python")?;
            Some(Server::start(&peer, &beside("backends.py"), &[name]))
        }
    }
}

/// The proxy before it.
struct Before {
    _pki: Pki,
    proxy: Proxy,
    server: SocketAddr,
}

impl Before {
    fn set(server: SocketAddr) -> Before {
        let pki = Pki::new();
        let lines = Lines {
            top: "workers = 1",
            more: SIDE,
            ..Lines::default()
        };
        let proxy = Proxy::start(&toml(&pki, server, lines));
        Before {
            _pki: pki,
            proxy,
            server,
        }
    }

    fn direct(&self) -> Talk<TcpStream> {
        Talk::plain(self.server)
    }

    fn talk(&self) -> Talk<Conversation> {
        let client = Client::new(Offer::groups("X25519MLKEM768").speaking(&["http/1.1"]));
        Talk::tls(client.connect(self.proxy.address()).expect("a handshake"))
    }

    fn side(&self) -> Talk<TcpStream> {
        Talk::plain(self.proxy.address_of("side"))
    }

    /// What the application was asked since it was asked this last.
    fn told(&self) -> Vec<Value> {
        let said = self.direct().ask("GET /told HTTP/1.1\r\nHost: localhost\r\n\r\n");
        serde_json::from_slice(&said.body).expect("what it was told")
    }

    /// The same answer both ways.
    fn compare(&self, name: &str, (line, fields, sent): (&str, &str, Sent)) -> Answer {
        let request = request(line, fields, sent);
        let [direct, proxied] = [self.direct().ask(&request), self.talk().ask(&request)];
        let wanted = plain_form(&direct, &direct);
        let came = plain_form(&proxied, &direct);
        assert_eq!(came, wanted, "{name}: {line}");
        assert!(
            proxied.body == direct.body,
            "{name}: {line}: {} bytes of {}",
            proxied.body.len(),
            direct.body.len()
        );
        proxied
    }
}

fn request(line: &str, fields: &str, sent: Sent) -> Vec<u8> {
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}");
    let chunked = |length: usize| {
        let body = pattern(length);
        let chunks = body
            .chunks(7001)
            .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        [head, chunks.collect::<Vec<_>>().concat(), b"0\r\n".to_vec()].concat()
    };
    match sent {
        Sent::Nothing => format!("{head}\r\n").into_bytes(),
        Sent::Length(length) => {
            let head = format!("{head}Content-Length: {length}\r\n\r\n").into_bytes();
            [head, pattern(length)].concat()
        }
        Sent::Chunks(length) => [chunked(length), b"\r\n".to_vec()].concat(),
        Sent::ChunksAndTrailers(length) => [chunked(length), b"x-sum: 42\r\n\r\n".to_vec()].concat(),
    }
}

/// What of an answer must be the same: not what is of each connection, nor a length that the proxy got to know.
fn plain_form(answer: &Answer, direct: &Answer) -> (u16, Vec<String>, String) {
    let own = ["connection:", "keep-alive:", "transfer-encoding:", "date:"];
    let mut lines: Vec<String> = answer.head.lines().skip(1).map(str::to_lowercase).collect();
    let has_length = direct.field("content-length").is_some();
    lines.retain(|line| !own.iter().any(|name| line.starts_with(name)));
    lines.retain(|line| has_length || !line.starts_with("content-length:"));
    lines.sort_unstable();
    (answer.status, lines, answer.trailers.to_lowercase())
}

#[test]
fn real_servers_answer_through_the_proxy_as_they_do_directly() {
    for kind in &KINDS {
        let Some(server) = start(kind) else { return };
        let before = Before::set(server.address);
        for row in REQUESTS {
            before.compare(kind.name, row);
        }
        if kind.name == "node" {
            let answer = before.compare(kind.name, ("POST /trailers", "", Sent::ChunksAndTrailers(1000)));
            assert_eq!(answer.trailers, "x-sum: 42\r\n");
        }
        before.told();
        for _ in 0..10 {
            assert_eq!(before.talk().ask(request("GET /", "", Sent::Nothing)).status, 200);
        }
        let ports: BTreeSet<String> = before.told().iter().map(|told| told["port"].to_string()).collect();
        let wanted = if kind.keeps == Keeps::Connections { 1 } else { 10 };
        assert_eq!(ports.len(), wanted, "{}", kind.name);
    }
}

#[test]
fn real_servers_say_continue_and_switch_through_the_proxy() {
    for kind in &KINDS {
        let Some(server) = start(kind) else { return };
        let before = Before::set(server.address);
        let direct = continued(&mut before.direct(), kind);
        assert_eq!(continued(&mut before.talk(), kind), direct, "{}", kind.name);
        let Some(upgrade) = kind.upgrade else { continue };
        let direct = switched(&mut before.direct(), upgrade);
        assert_eq!(switched(&mut before.talk(), upgrade), direct, "{}", kind.name);
    }
}

fn continued<S: Read + Write>(talk: &mut Talk<S>, kind: &Kind) -> (u16, String) {
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    talk.send(head);
    if kind.continues {
        let interim = talk.answer(Body::Never).expect("it says to go on");
        assert_eq!(interim.status, 100, "{}", kind.name);
    }
    talk.send("hello");
    let answer = talk.answer(Body::Expected).expect("an answer");
    (answer.status, answer.text())
}

fn switched<S: Read + Write>(talk: &mut Talk<S>, (head, said, heard): (&str, &[u8], &[u8])) -> (u16, Option<String>) {
    let answer = talk.ask(head);
    for _ in 0..3 {
        talk.send(said);
        assert_eq!(talk.exactly(heard.len()).expect("it answers"), heard);
    }
    (answer.status, answer.field("sec-websocket-accept"))
}
