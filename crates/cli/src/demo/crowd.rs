//! A mixed crowd that visits the demo, so that its report has something to say: who is safe, who is asked again, who is
//! still classical, and who went back.
use super::Ports;
use anyhow::{Context, ensure};
use portcullis_tls::{
    client::{Client, ClientSpec, Trust},
    identity::certificates_from_pem,
    negotiated::Version,
    rustls::{self, pki_types::CertificateDer},
};
use portcullis_wire::{GroupId, SchemeId, registry::Scheme};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Between two rounds of visits: a page of a dashboard moves, and nobody's machine is busy.
const PAUSE: Duration = Duration::from_secs(10);
/// A visit to this machine's own loopback that takes longer goes nowhere.
const PATIENCE: Duration = Duration::from_secs(10);

const X25519_ML_KEM_768: GroupId = GroupId(0x11ec);
const X25519: GroupId = GroupId(0x001d);
const SECP256R1: GroupId = GroupId(0x0017);

/// Somebody who comes again and again.
struct Visitor {
    /// How it calls itself; a client of the echo does not.
    agent: &'static str,
    place: Place,
    versions: &'static [Version],
    /// In its order; a share comes for the first.
    groups: &'static [GroupId],
    signatures: Signatures,
    /// Times per round.
    visits: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Asks the page what was negotiated.
    Page,
    /// Sends the echo so many bytes.
    Echo(usize),
}

/// What a visitor can verify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signatures {
    All,
    MlDsa,
    Classical,
}

const BOTH: &[Version] = &[Version::Tls13, Version::Tls12];
const NEW: &[Version] = &[Version::Tls13];
const OLD: &[Version] = &[Version::Tls12];

/// Those who come in each round.
const CROWD: [Visitor; 5] = [
    Visitor {
        agent: "browser/156",
        place: Place::Page,
        versions: BOTH,
        groups: &[X25519_ML_KEM_768, X25519, SECP256R1],
        signatures: Signatures::All,
        visits: 6,
    },
    Visitor {
        agent: "fleet-agent/2",
        place: Place::Echo(256 * 1024),
        versions: NEW,
        groups: &[X25519_ML_KEM_768],
        signatures: Signatures::MlDsa,
        visits: 3,
    },
    Visitor {
        agent: "careful-client/3 (lists it, sends no share)",
        place: Place::Page,
        versions: NEW,
        groups: &[X25519, X25519_ML_KEM_768],
        signatures: Signatures::All,
        visits: 2,
    },
    Visitor {
        agent: "old-phone/9",
        place: Place::Page,
        versions: NEW,
        groups: &[X25519, SECP256R1],
        signatures: Signatures::Classical,
        visits: 2,
    },
    Visitor {
        agent: "meter/1 (TLS 1.2)",
        place: Place::Echo(64 * 1024),
        versions: OLD,
        groups: &[SECP256R1],
        signatures: Signatures::Classical,
        visits: 1,
    },
];

/// One program before and after somebody turned hybrids off: safe in the first round, classical from then on.
const BEFORE: Visitor = Visitor {
    agent: "desktop-app/7",
    place: Place::Page,
    versions: BOTH,
    groups: &[X25519_ML_KEM_768, X25519],
    signatures: Signatures::Classical,
    visits: 1,
};
const AFTER: Visitor = Visitor {
    groups: &[X25519],
    ..BEFORE
};

/// Whom they visit, and by what they know it.
struct Hosts {
    page: SocketAddr,
    echo: SocketAddr,
    roots: Vec<CertificateDer<'static>>,
}

/// The crowd, on a thread of its own; it goes home when this goes.
pub(super) struct Crowd {
    home: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Crowd {
    /// Makes the first round, and then one after each pause.
    pub(super) fn invite(ports: &Ports, ca: &Path) -> anyhow::Result<Crowd> {
        let hosts = Hosts::new(ports, ca)?;
        hosts.round(&BEFORE)?;
        let (go_home, called) = channel();
        let rounds = move || {
            while called.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                // the proxy's own log says what became of a visit
                let _ = hosts.round(&AFTER);
            }
        };
        let thread = thread::Builder::new().name("crowd".into()).spawn(rounds)?;
        Ok(Crowd {
            home: Some((go_home, thread)),
        })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some((go_home, thread)) = self.home.take() {
            drop(go_home);
            // nothing there panics, and if it did it said so
            let _ = thread.join();
        }
    }
}

impl Hosts {
    fn new(ports: &Ports, ca: &Path) -> anyhow::Result<Hosts> {
        let first = |addresses: &[SocketAddr]| addresses.first().copied().context("the demo listens nowhere");
        let roots = fs::read(ca).with_context(|| ca.display().to_string())?;
        let roots = certificates_from_pem(&roots)?;
        Ok(Hosts {
            page: first(&ports.page)?,
            echo: first(&ports.echo)?,
            roots: roots.into_iter().map(|(der, _)| der).collect(),
        })
    }

    fn round(&self, changing: &Visitor) -> anyhow::Result<()> {
        for visitor in CROWD.iter().chain([changing]) {
            let client = Client::build(ClientSpec {
                versions: visitor.versions.to_vec(),
                groups: visitor.groups.to_vec(),
                schemes: visitor.signatures.ids(),
                trust: Trust::Roots(self.roots.clone()),
                identity: None,
                alpn: Vec::new(),
                resumption: 0,
            })?;
            for _ in 0..visitor.visits {
                let visited = self.visit(visitor, &client);
                visited.with_context(|| format!("{} at the demo", visitor.agent))?;
            }
        }
        Ok(())
    }

    fn visit(&self, visitor: &Visitor, client: &Client) -> anyhow::Result<()> {
        let address = match visitor.place {
            Place::Page => self.page,
            Place::Echo(_) => self.echo,
        };
        let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut connection = client.connect("localhost".try_into()?)?;
        let mut stream = rustls::Stream::new(&mut connection.tls, &mut socket);
        match visitor.place {
            Place::Page => ask(&mut stream, visitor.agent, address.port())?,
            Place::Echo(bytes) => shout(&mut stream, bytes)?,
        }
        connection.tls.send_close_notify();
        while connection.tls.wants_write() {
            connection.tls.write_tls(&mut socket)?;
        }
        Ok(())
    }
}

fn ask(stream: &mut (impl Read + Write), agent: &str, port: u16) -> anyhow::Result<()> {
    let request = format!(
        "GET /api/negotiated HTTP/1.1\r\nhost: localhost:{port}\r\nuser-agent: {agent}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

/// In pieces that fit into sockets, since one thread both shouts and listens.
fn shout(stream: &mut (impl Read + Write), bytes: usize) -> anyhow::Result<()> {
    let (piece, mut heard) = ([b'!'; 16 * 1024], [0; 16 * 1024]);
    for _ in 0..bytes / piece.len() {
        stream.write_all(&piece)?;
        stream.read_exact(&mut heard)?;
        ensure!(heard == piece, "the echo says something else");
    }
    Ok(())
}

impl Signatures {
    /// The schemes to send; None for all.
    fn ids(self) -> Option<Vec<SchemeId>> {
        let is_ml_dsa = match self {
            Signatures::All => return None,
            Signatures::MlDsa => true,
            Signatures::Classical => false,
        };
        let all = Scheme::all().iter().map(|scheme| scheme.id);
        Some(all.filter(|id| id.is_ml_dsa() == is_ml_dsa).collect())
    }
}
