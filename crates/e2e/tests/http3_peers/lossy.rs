//! A link that loses datagrams and brings others late.
use super::{Lines, Stage, beside, file, large};
use openssl::sha::sha256;
use portcullis_e2e::{
    command::run,
    peers::{self, Home, Peer},
    pki::Algorithm,
};
use serde_json::{Value, json};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Between one client and a server.
struct Link {
    port: u16,
    is_over: Arc<AtomicBool>,
}

/// What becomes of datagrams. Both numbers are odd to each other, so that no packet meets the same fate each time that
/// it is sent.
#[derive(Clone, Copy)]
struct Fate {
    /// Every so manieth is lost.
    lost: usize,
    /// Of the rest every so manieth comes after the two behind it.
    late: usize,
}

impl Link {
    fn to(server: SocketAddr, fate: Fate) -> Link {
        let bind = || Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
        let (near, far) = (bind(), bind());
        far.connect(server).expect("loopback has a way");
        let is_over = Arc::new(AtomicBool::new(false));
        let client: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let port = near.local_addr().expect("it is bound").port();
        for socket in [&near, &far] {
            let patience = Some(Duration::from_millis(10));
            socket.set_read_timeout(patience).expect("an open socket takes options");
        }
        let (up, down) = (Arc::clone(&client), client);
        let (from, into, over) = (Arc::clone(&near), Arc::clone(&far), Arc::clone(&is_over));
        thread::spawn(move || {
            carry((&over, fate), &from, |peer, datagram| {
                *up.lock().expect("nothing panics holding it") = Some(peer);
                let _ = into.send(datagram);
            });
        });
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            carry((&over, fate), &far, |_, datagram| {
                if let Some(peer) = *down.lock().expect("nothing panics holding it") {
                    let _ = near.send_to(datagram, peer);
                }
            });
        });
        Link { port, is_over }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

/// One direction, until it is over.
fn carry((is_over, fate): (&AtomicBool, Fate), from: &UdpSocket, send: impl Fn(SocketAddr, &[u8])) {
    let (mut buffer, mut count, mut late) = ([0; 65_536], 0, Vec::new());
    while !is_over.load(Relaxed) {
        let came = from.recv_from(&mut buffer).ok();
        if let Some((length, peer)) = came {
            count += 1;
            let datagram = &buffer[..length];
            if count % fate.lost == 0 {
                continue;
            }
            if count % fate.late == 0 {
                late.push((count, peer, datagram.to_vec()));
            } else {
                send(peer, datagram);
            }
        }
        // what waits for others does not wait when none come
        let is_due = |since: usize| came.is_none() || count >= since + 2;
        late.retain(|(since, peer, datagram)| {
            if is_due(*since) {
                send(*peer, datagram);
            }
            !is_due(*since)
        });
    }
}

#[test]
fn the_largest_chains_of_both_sides_arrive_over_a_link_that_loses_and_mixes() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    let stage = Stage::set(&[Algorithm::MlDsa87], |pki| Lines {
        site: format!("client_auth = {{ mode = \"required\", ca = {:?} }}", pki.roots()),
        ..Lines::default()
    });
    let shown = stage.pki.client(Algorithm::MlDsa87);
    let roots = peer.shares(&stage.pki.roots());
    let [chain, key] = [&shown.chain, &shown.key].map(|file| peer.shares(file));
    for _ in 0..5 {
        let link = Link::to(stage.proxy.address(), Fate { lost: 7, late: 3 });
        let mut command = peer.command();
        command.args(["-sS", "--http3-only", "--cacert"]).arg(&roots);
        command.arg("--cert").arg(&chain).arg("--key").arg(&key);
        let said = run(command.arg(link.url("/")), b"");
        assert_eq!(said.stdout, "GET /", "{}; {:#?}", said.stderr, stage.proxy.records());
    }
    // a record may be long in coming: the client's goodbye is a datagram too
    for asked in stage.origin.asked_when(5) {
        let told = ["portcullis-tls", "portcullis-client"].map(|name| asked.field(name).unwrap_or_default());
        assert!(
            told[0].contains("signature=mldsa87") && told[0].contains("safety=full"),
            "{told:?}"
        );
        assert!(told[1].contains("authentication=pq"), "{told:?}");
    }
}

#[test]
fn bodies_cross_a_link_that_loses_and_mixes_unchanged() {
    let (Some(curl), Some(python)) = (Peer::find(Home::Trixie, "curl"), Peer::find(Home::Quic, "python")) else {
        return;
    };
    let stage = Stage::web();
    let link = Link::to(stage.proxy.address(), Fate { lost: 29, late: 5 });
    let body = &large()[..400_000];
    let sent = curl.shares(&file(&stage, "sent", body));
    let got = curl.shares(&file(&stage, "got", b""));
    let here = peers::folder()
        .join("trixie")
        .join(got.strip_prefix("/").expect("absolute"));
    let mut command = curl.command();
    command
        .args(["-sS", "--http3-only", "--cacert"])
        .arg(curl.shares(&stage.pki.roots()))
        .args(["--request", "POST", "--upload-file"])
        .arg(sent)
        .arg("--output")
        .arg(&got);
    let said = run(command.arg(link.url("/echo")), b"");
    assert!(said.status.success(), "{}", said.all());
    assert_eq!(sha256(&fs::read(here).expect("curl wrote it")), sha256(body));

    let link = Link::to(stage.proxy.address(), Fate { lost: 29, late: 5 });
    let requests: Vec<Value> = (0..10)
        .map(|number| json!({ "path": "/echo", "method": "POST", "body": 10_000 * number + 1 }))
        .collect();
    let plan = json!({ "ca": stage.pki.roots(), "port": link.port, "name": "localhost", "requests": requests });
    let mut command = python.command();
    let done = run(command.arg(beside("aio.py")), plan.to_string().as_bytes());
    let visits: Vec<Value> =
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.all()));
    let answers = visits[0]["answers"].as_array().unwrap_or_else(|| panic!("{visits:?}"));
    assert_eq!(answers.len(), 10);
    for answer in answers {
        assert_eq!(
            (&answer["status"], &answer["sha256"]),
            (&json!(200), &answer["sent"]),
            "{answer}"
        );
    }
}
