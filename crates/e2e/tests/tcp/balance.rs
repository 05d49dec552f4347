//! Which server of an upstream gets a connection, and what its health has to do with it.
use crate::{ending, eventually};
use portcullis_e2e::{
    PATIENCE,
    client::Versions,
    front::Front,
    pki::{Algorithm, Pki},
    proxy::Proxy,
    server::{Server, Terms},
    upstream::{Absent, Manner, Upstream},
};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// A plain listener before these servers.
fn before<T: ToString>(servers: &[T], lines: &str) -> Front {
    let mut front = Front::new(&[], ([127, 0, 0, 1], 1).into())
        .listener("plain = true")
        .upstream(lines);
    front.servers = servers.iter().map(ToString::to_string).collect();
    front
}

fn addresses(upstreams: &[Upstream]) -> Vec<SocketAddr> {
    upstreams.iter().map(Upstream::address).collect()
}

/// A connection that stands, proven by an echo.
fn connect(proxy: &Proxy) -> TcpStream {
    let mut socket = TcpStream::connect(proxy.address()).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("an open socket");
    socket.write_all(b"there?").expect("it takes bytes");
    socket.read_exact(&mut [0; 6]).expect("an echo");
    socket
}

/// The server that a connection of its own went to.
fn asked(proxy: &Proxy) -> io::Result<String> {
    let mut socket = TcpStream::connect(proxy.address())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let local = socket.local_addr()?;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    socket.shutdown(Shutdown::Write)?;
    let read = socket.read_to_end(&mut Vec::new());
    let record = proxy.record(local);
    read?;
    Ok(record["upstream_server"].as_str().expect("a text").to_owned())
}

#[test]
fn least_connections_go_where_the_fewest_are_by_weight() {
    let upstreams = [(); 2].map(|()| Upstream::start(Manner::Echo));
    let mut front = before(&addresses(&upstreams), "balance = \"least-connections\"");
    let heavy = front.servers.pop().expect("two servers");
    let toml = front.toml().replace(
        &format!("[{:?}]", front.servers[0]),
        &format!("[{:?}, {{ address = {heavy:?}, weight = 3 }}]", front.servers[0]),
    );
    let proxy = Proxy::start(&toml);
    let held: Vec<TcpStream> = (0..8).map(|_| connect(&proxy)).collect();
    let counts = || upstreams.each_ref().map(Upstream::connections);
    assert_eq!(counts(), [2, 6]);
    drop(held);
    proxy.connections_become(0);
    // nothing is held any more: they are counted anew
    let held: Vec<TcpStream> = (0..4).map(|_| connect(&proxy)).collect();
    assert_eq!(counts(), [3, 9]);
    drop(held);
}

#[test]
fn a_client_stays_with_its_server_by_hash_of_its_address() {
    let upstreams: Vec<Upstream> = (0..5).map(|_| Upstream::start(Manner::Echo)).collect();
    let proxy = Proxy::start(&before(&addresses(&upstreams), "balance = { hash = \"source\" }").toml());
    for _ in 0..10 {
        connect(&proxy);
    }
    let counts: Vec<usize> = upstreams.iter().map(Upstream::connections).filter(|n| *n > 0).collect();
    assert_eq!(counts, [10]);
}

#[test]
fn a_backup_serves_when_no_other_does() {
    let (down, backup) = (Absent::down(), Upstream::start(Manner::Echo));
    let toml = before(&[down.address()], "").toml();
    let servers = format!(
        "[\"{}\", {{ address = \"{}\", backup = true }}]",
        down.address(),
        backup.address()
    );
    let proxy = Proxy::start(&toml.replace(&format!("[\"{}\"]", down.address()), &servers));
    (0..3).for_each(|_| drop(connect(&proxy)));
    assert_eq!(backup.connections(), 3);
    // the one that is down was tried first, and then rested
    assert_eq!(proxy.metric("portcullis_upstream_failures_total", &[]), 1.0);
}

#[test]
fn retries_bound_how_many_servers_are_tried() {
    let (down, up) = (Absent::down(), Upstream::start(Manner::Echo));
    for (retries, outcome) in [(0, "failed"), (1, "ok")] {
        let servers = [down.address(), up.address()];
        let proxy = Proxy::start(&before(&servers, &format!("retries = {retries}")).toml());
        let socket = TcpStream::connect(proxy.address()).expect("it listens");
        let local = socket.local_addr().expect("a connected socket");
        socket.shutdown(Shutdown::Write).expect("an open socket");
        let record = proxy.record(local);
        assert_eq!(record["outcome"], outcome, "{record:#?}");
        if outcome == "failed" {
            assert_eq!(ending(&record), ["failed", "connect", "upstream"]);
            assert_eq!(record["error"], format!("{}: connection refused", down.address()));
        }
    }
}

#[test]
fn every_address_of_a_name_is_tried() {
    let upstream = Upstream::start(Manner::Echo);
    // it has an IPv6 address on most machines, where nobody listens
    let proxy = Proxy::start(&before(&[format!("localhost:{}", upstream.address().port())], "").toml());
    (0..4).for_each(|_| drop(connect(&proxy)));
    assert_eq!(upstream.connections(), 4);
    assert_eq!(proxy.metric("portcullis_upstream_failures_total", &[]), 0.0);
}

/// An HTTP server of few words that answers with the status it is told to.
struct Patient {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    checks: Arc<AtomicUsize>,
}

impl Patient {
    fn start() -> Patient {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (status, checks) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
        let (told, counted) = (Arc::clone(&status), Arc::clone(&checks));
        // it ends with the process
        thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 1024];
                let n = socket.read(&mut request).unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..n]).into_owned();
                if text.starts_with("GET /healthz HTTP/1.1\r\n") && text.contains(&format!("\r\nHost: {address}\r\n")) {
                    counted.fetch_add(1, SeqCst);
                }
                // who asked may be gone
                let _ = write!(
                    socket,
                    "HTTP/1.1 {} Word\r\nContent-Length: 0\r\n\r\n",
                    told.load(SeqCst)
                );
            }
        });
        Patient {
            address,
            status,
            checks,
        }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, SeqCst);
    }
}

/// What the metric says of each server.
fn healthy(proxy: &Proxy, patients: &[Patient]) -> Vec<f64> {
    let label = |patient: &Patient| format!(r#"server="{}""#, patient.address);
    let each = patients.iter();
    each.map(|patient| proxy.metric("portcullis_upstream_healthy", &[&label(patient)]))
        .collect()
}

#[test]
fn who_fails_its_checks_gets_nothing_until_it_is_well_and_all_are_tried_when_none_is() {
    let patients = [Patient::start(), Patient::start()];
    let servers = patients.each_ref().map(|patient| patient.address);
    let health = r#"health = { path = "/healthz", interval = "50ms", healthy = 2, unhealthy = 2 }"#;
    let proxy = Proxy::start(&before(&servers, health).toml());
    let become_ = |wanted: [f64; 2]| eventually("the metric", || healthy(&proxy, &patients) == wanted);
    become_([1.0, 1.0]);
    patients[0].answers(503);
    become_([0.0, 1.0]);
    let all = |count: usize| -> Vec<String> { (0..count).map(|_| asked(&proxy).expect("an answer")).collect() };
    assert_eq!(all(6), vec![servers[1].to_string(); 6]);
    patients[1].answers(404);
    become_([0.0, 0.0]);
    let mut tried = all(6);
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried.len(), 2, "with none left, all are tried");
    patients[0].answers(204);
    become_([1.0, 0.0]);
    assert_eq!(all(6), vec![servers[0].to_string(); 6]);
    let checks = || patients.each_ref().map(|patient| patient.checks.load(SeqCst));
    eventually("they go on", || checks().iter().all(|count| *count >= 3));
}

#[test]
fn a_check_without_a_path_is_a_connect() {
    let up = Upstream::start(Manner::Sink);
    let down = Absent::down();
    let front = before(&[up.address(), down.address()], r#"health = { interval = "50ms" }"#);
    let proxy = Proxy::start(&front.toml());
    let says = |address: SocketAddr, wanted: f64| {
        let label = format!(r#"server="{address}""#);
        let metrics = proxy.metrics();
        let mut found = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("portcullis_upstream_healthy") && name.contains(&label));
        found.next().is_some_and(|(_, value)| *value == wanted)
    };
    eventually("one is up and one is down", || {
        says(up.address(), 1.0) && says(down.address(), 0.0)
    });
    for _ in 0..4 {
        let socket = TcpStream::connect(proxy.address()).expect("it listens");
        let local = socket.local_addr().expect("a connected socket");
        socket.shutdown(Shutdown::Write).expect("an open socket");
        drop(socket);
        assert_eq!(proxy.record(local)["upstream_server"], up.address().to_string());
    }
    // no client ever met the one that is down
    assert_eq!(proxy.metric("portcullis_upstream_failures_total", &[]), 0.0);
    // a reload that leaves it out forgets it
    proxy
        .reload(&before(&[up.address()], r#"health = { interval = "60ms" }"#).toml())
        .expect("a good file");
    assert_eq!(
        proxy.metric("portcullis_upstream_healthy", &[&format!("{}", down.address())]),
        0.0
    );
    assert!(
        !proxy
            .metrics()
            .keys()
            .any(|name| name.contains(&down.address().to_string()))
    );
}

#[test]
fn checks_prove_a_server_of_tls_as_connections_do() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let server = Server::start(&Terms {
        groups: String::new(),
        versions: Versions::Both,
        certificates: vec![files.clone()],
        client_roots: None,
    });
    for (root, wanted) in [(&files.root, 1.0), (&pki.server(Algorithm::Rsa).root, 0.0)] {
        let lines = format!("tls = {{ ca = {root:?} }}\nhealth = {{ interval = \"50ms\" }}");
        let proxy = Proxy::start(&before(&[server.address()], &lines).toml());
        eventually("a check was judged", || {
            let metrics = proxy.metrics();
            let mut found = metrics
                .iter()
                .filter(|(name, _)| name.starts_with("portcullis_upstream_healthy"));
            found.next().is_some_and(|(_, value)| *value == wanted)
        });
        let served = server.served();
        assert_eq!(served.is_ok(), wanted == 1.0, "{served:?}");
        assert!(!served.is_ok_and(|served| served.resumed));
        assert_eq!(proxy.metric("portcullis_upstream_handshakes_total", &[]), 0.0);
    }
}
