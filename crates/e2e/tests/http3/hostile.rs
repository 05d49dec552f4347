//! Those who send first packets and no more.
use crate::{Stage, eventually, origin::Origin, run, talk::Talk};
use portcullis_e2e::{
    PATIENCE,
    pki::{Algorithm, Pki},
    process::{Process, portcullis},
    proxy::Proxy,
};
use portcullis_tls::{
    client::{Client, ClientSpec, Trust},
    negotiated::Version,
    quic::{ALPN, Acceptor, VERSION},
};
use portcullis_wire::registry::Group;
use quinn::{ClientConfig, EndpointConfig};
use quinn_proto::Endpoint;
use serde_json::Value;
use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Handshakes in flight from addresses that may be forged.
const UNPROVEN: usize = 512;
/// What a flood may make the proxy grow by: 128 KiB for each of them, however whole their hellos.
const FLOOD_MEMORY: u64 = 64 * 1024 * 1024;

/// A client that says the first thing, by hand.
struct Opener {
    client: Client,
    acceptor: Acceptor,
}

impl Opener {
    /// Its hello has a share of ML-KEM, and so needs two packets.
    fn new() -> Opener {
        let group = |name: &str| Group::by_name(name).expect("a group of ours").id;
        let client = Client::build(ClientSpec {
            versions: vec![Version::Tls13],
            groups: vec![group("X25519MLKEM768"), group("X25519")],
            schemes: None,
            trust: Trust::Anyone,
            identity: None,
            alpn: vec![ALPN.to_vec()],
            resumption: 0,
        });
        Opener {
            client: client.expect("groups that are known"),
            acceptor: Acceptor::new(),
        }
    }

    /// The datagrams of a connection's first flight, with ids that no other has.
    fn flight(&self, to: SocketAddr) -> Vec<Vec<u8>> {
        let mut config = EndpointConfig::default();
        config.supported_versions(vec![VERSION]);
        let mut endpoint = Endpoint::new(Arc::new(config), None, false, None);
        let (crypto, _asked) = self.client.over_quic(&self.acceptor);
        let now = Instant::now();
        let begun = endpoint.connect(now, ClientConfig::new(crypto), to, "localhost");
        let (_, mut connection) = begun.expect("a name that is one");
        let mut datagrams = Vec::new();
        loop {
            let mut datagram = Vec::new();
            if connection.poll_transmit(now, 1, &mut datagram).is_none() {
                break;
            }
            datagrams.push(datagram);
        }
        assert_eq!(datagrams.len(), 2, "a hello of two packets");
        datagrams
    }
}

/// From an address of its own on the loopback.
fn socket(last: u8) -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).expect("a free port")
}

fn send(socket: &UdpSocket, datagrams: &[Vec<u8>], to: SocketAddr) -> usize {
    let sent = datagrams
        .iter()
        .map(|datagram| socket.send_to(datagram, to).expect("loopback takes it"));
    sent.sum()
}

/// Everything that comes until nothing has for a while.
fn heard(socket: &UdpSocket, quiet: Duration) -> Vec<Vec<u8>> {
    socket
        .set_read_timeout(Some(quiet))
        .expect("an open socket takes options");
    let (mut all, mut buffer) = (Vec::new(), [0; 65_536]);
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        match socket.recv(&mut buffer) {
            Ok(length) => all.push(buffer[..length].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    all
}

#[test]
fn half_a_hello_delays_nobody() {
    let stage = Stage::set(
        Origin::plain(),
        crate::Lines {
            top: "workers = 1",
            listener: "limits = { hello = '3s', handshake = '60s' }",
            ..crate::Lines::default()
        },
    );
    let opener = Opener::new();
    let halves: Vec<UdpSocket> = (0..100).map(|_| socket(1)).collect();
    for half in &halves {
        send(half, &opener.flight(stage.address())[..1], stage.address());
    }
    eventually("a hundred connections", || stage.proxy.connections() == halves.len());
    let text = run(async {
        let talk = Talk::begin(stage.address()).await;
        let text = talk.get("/meanwhile").await.text();
        assert!(stage.proxy.connections() > halves.len() / 2, "the halves still wait");
        text
    });
    assert_eq!(text, "GET /meanwhile");
    let halves_told = || -> Vec<Value> {
        let records = stage.proxy.records().into_iter();
        records.filter(|record| record["stage"] == "hello").collect()
    };
    eventually("the records of the halves", || halves_told().len() == halves.len());
    for record in halves_told() {
        let told = ["outcome", "fault", "error", "sni"].map(|name| record[name].as_str().unwrap_or_default());
        assert_eq!(told, ["failed", "client", "deadline passed", ""], "{record:#}");
        assert_eq!(record["handshake_bytes_out"], 0, "{record:#}");
    }
}

/// quinn begins a datagram while anything of the three times is left, and sends it whole.
const DATAGRAM: usize = 1200;

/// RFC 9000 8.1, with the largest chain there is.
#[test]
fn an_address_that_nobody_proved_gets_three_times_what_it_sent_and_no_more() {
    let pki = Pki::new();
    let origin = Origin::plain();
    let toml = crate::toml(
        &pki,
        origin.address(),
        crate::Lines {
            listener: "limits = { hello = '1s', handshake = '4s' }",
            ..crate::Lines::default()
        },
    );
    let largest = portcullis_e2e::front::certificates(&[pki.server(Algorithm::MlDsa87)]);
    let lines = toml.lines().map(|line| match line.starts_with("certificates") {
        true => &largest,
        false => line,
    });
    let proxy = Proxy::start(&lines.collect::<Vec<_>>().join("\n"));
    let opener = Opener::new();
    for packets in [2, 1] {
        let own = socket(1);
        let sent = send(&own, &opener.flight(proxy.address())[..packets], proxy.address());
        // retransmissions come at growing intervals, and the handshake's deadline ends them
        let came: usize = heard(&own, Duration::from_secs(3)).iter().map(Vec::len).sum();
        assert!(came < 3 * sent + DATAGRAM, "{came} bytes for {sent}");
        let least = if packets == 2 { 2 * sent } else { 1 };
        assert!(came >= least, "{came} bytes for {sent}: less than an answer has");
    }
    let record = proxy.record_where(|record| record["sni"] == "localhost");
    assert_eq!(
        [&record["outcome"], &record["stage"], &record["fault"]],
        ["failed", "handshake", "client"]
    );
    // a hello that came in time leaves the rest of the handshake its own
    assert!(
        record["duration_us"].as_u64().is_some_and(|us| us >= 4_000_000),
        "{record:#}"
    );
    // what was chosen is known although hardly any of it went out
    assert!(
        record["handshake_bytes_out"]
            .as_u64()
            .is_some_and(|bytes| bytes > 20_000),
        "{record:#}"
    );
}

/// RFC 9000 17.2.5: a long header of type 3.
fn is_retry(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0xf0 == 0xf0)
}

#[test]
fn a_flood_of_first_packets_meets_a_retry_and_who_answers_it_is_served() {
    let stage = Stage::set(
        Origin::plain(),
        crate::Lines {
            top: "workers = 1",
            listener: "limits = { connections = 20000, hello = '5m', handshake = '5m' }",
            ..crate::Lines::default()
        },
    );
    let opener = Opener::new();
    let flood: Vec<UdpSocket> = (2..6).map(socket).collect();
    for own in &flood {
        own.set_nonblocking(true).expect("an open socket takes options");
    }
    let (mut retries, mut sent, started) = (0, 0, Instant::now());
    while retries < 100 {
        for own in &flood {
            sent += 1;
            send(own, &opener.flight(stage.address())[..1], stage.address());
            let mut buffer = [0; 2048];
            while let Ok(length) = own.recv(&mut buffer) {
                retries += usize::from(is_retry(&buffer[..length]));
            }
        }
        // what the socket has no room for is lost, and nothing is proven by it
        if sent % 64 == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        let open = stage.proxy.connections();
        assert!(
            started.elapsed() < 3 * PATIENCE,
            "{open} connections after {sent} first packets"
        );
    }
    let open = stage.proxy.connections();
    assert!(
        open <= UNPROVEN,
        "{open} connections were made for addresses that nobody proved"
    );
    let text = run(async { Talk::begin(stage.address()).await.get("/honest").await.text() });
    assert_eq!(text, "GET /honest");
    // a Retry keeps nothing here
    assert!(stage.proxy.connections() <= open + 1);
}

/// Forged addresses of one volley, whose answers are waited for.
const VOLLEY: u16 = 64;

/// A volley of whole hellos, the dearest thing to forge, from addresses that sent nothing before. How many were asked to
/// prove their address.
fn volley(opener: &Opener, number: u16, to: SocketAddr) -> usize {
    let [high, low] = number.to_be_bytes();
    let address = |place: u16| Ipv4Addr::new(127, 1 + high, low, u8::try_from(place).expect("a small number"));
    let sockets: Vec<UdpSocket> = (1..=VOLLEY)
        .map(|place| UdpSocket::bind((address(place), 0)).expect("a free port"))
        .collect();
    for own in &sockets {
        own.set_nonblocking(true).expect("an open socket takes options");
        send(own, &opener.flight(to), to);
    }
    thread::sleep(Duration::from_millis(10));
    let mut buffer = [0; 2048];
    let first = sockets
        .iter()
        .filter_map(|own| Some((own.recv(&mut buffer).ok()?, buffer)));
    first.filter(|(length, bytes)| is_retry(&bytes[..*length])).count()
}

#[test]
fn a_flood_from_20_000_addresses_costs_bounded_memory() {
    let (pki, origin, folder) = (Pki::new(), Origin::plain(), TempDir::new().expect("a temporary folder"));
    let lines = crate::Lines {
        listener: "limits = { connections = 50000, hello = '20s', handshake = '20s' }",
        ..crate::Lines::default()
    };
    let file = folder.path().join("portcullis.toml");
    let toml = crate::toml(&pki, origin.address(), lines).replace("level = \"debug\"", "level = \"info\"");
    fs::write(&file, toml).expect("the temporary folder takes a file");
    // a process of its own: other tests run in this one
    let args = [
        "serve",
        "-c",
        file.to_str().expect("a path in UTF-8"),
        "--log-format",
        "json",
    ];
    let process = Process::serve(portcullis(&args));
    let (to, opener) = (process.address("front"), Opener::new());
    let ask = |path: &str| run(async { Talk::begin(to).await.get(path).await.text() });
    assert_eq!(ask("/before"), "GET /before");
    let (before, mut most, mut retries) = (process.resident(), 0, 0);
    for number in 0..20_000 / VOLLEY {
        retries += volley(&opener, number, to);
        most = most.max(process.resident().saturating_sub(before));
        if number % 100 == 99 {
            assert_eq!(ask("/meanwhile"), "GET /meanwhile");
        }
    }
    assert!(
        retries > 10_000,
        "{retries} of 20,000 were asked to prove their address"
    );
    assert!(most <= FLOOD_MEMORY, "it grew by {most} bytes");
    assert_eq!(ask("/after"), "GET /after");
    let after = process.resident().saturating_sub(before);
    assert!(after <= FLOOD_MEMORY, "{after} bytes more than before");
}

#[test]
fn what_is_not_quic_is_not_answered() {
    let stage = Stage::plain();
    let own = socket(1);
    let flight = Opener::new().flight(stage.address());
    let mut other_version = flight[0].clone();
    other_version[1..5].copy_from_slice(&[0x6b, 0x33, 0x43, 0xcf]);
    let mut changed = flight[0].clone();
    *changed.last_mut().expect("it is not empty") ^= 1;
    let table: [(&str, &[u8], usize); 6] = [
        ("nothing", b"", 0),
        ("text", b"GET / HTTP/1.1\r\n\r\n", 0),
        ("a short hello", &flight[0][..600], 0),
        // a version that RFC 9369 knows and we do not: those that we speak, which is less than came
        ("another version", &other_version, 1),
        ("a packet that was changed", &changed, 0),
        ("zeros", &[0; 1200], 0),
    ];
    for (what, bytes, answers) in table {
        own.send_to(bytes, stage.address()).expect("loopback takes it");
        let came = heard(&own, Duration::from_millis(300));
        assert_eq!(came.len(), answers, "{what}");
        assert!(came.iter().all(|answer| answer.len() <= bytes.len()), "{what}");
    }
    let text = run(async { Talk::begin(stage.address()).await.get("/after").await.text() });
    assert_eq!(text, "GET /after");
}

#[test]
fn limits_of_a_listener_hold_over_quic() {
    let stage = Stage::set(
        Origin::plain(),
        crate::Lines {
            listener: "limits = { connections = 20, per_ip = 3 }",
            ..crate::Lines::default()
        },
    );
    run(async {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(Talk::begin(stage.address()).await);
        }
        let fourth = Talk::offering(stage.address(), &crate::talk::Offer::default()).await;
        assert!(fourth.is_err(), "a fourth of one address");
        assert_eq!(held[0].get("/held").await.text(), "GET /held");
        drop(held);
    });
    let record = stage.proxy.record_where(|record| record["outcome"] == "refused");
    assert_eq!(
        [&record["stage"], &record["fault"]],
        ["accept", "operator"],
        "{record:#}"
    );
    let refused = |record: &Value| record["peer"].as_str().and_then(|peer| peer.parse::<SocketAddr>().ok());
    assert_eq!(
        refused(&record).map(|peer| peer.ip()),
        Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
    );
}
