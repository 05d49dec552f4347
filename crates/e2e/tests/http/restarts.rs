//! Node's server, killed and started again under load, and failing in each way it can: every request is answered or
//! ends cleanly, and none reaches a server twice that may not.
use crate::{
    Lines, pattern,
    talk::{Answer, Body, Talk},
    toml,
};
use portcullis_e2e::{
    client::{Client, Conversation, Offer},
    command,
    peers::{Home, Peer},
    pki::Pki,
    proxy::Proxy,
    script::Server,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Clients, each of which asks so often: 200 requests a second together.
const CLIENTS: usize = 10;
const EACH: Duration = Duration::from_millis(50);
/// How long, with so much between two restarts.
const LOAD: Duration = Duration::from_secs(8);
const BETWEEN: Duration = Duration::from_millis(700);

/// A server that may be gone for a moment, and the file of the POSTs that reached it.
struct Place {
    peer: Peer,
    address: SocketAddr,
    log: PathBuf,
    protocol: &'static str,
}

impl Place {
    fn new(folder: &Path, name: &str, protocol: &'static str) -> Option<Place> {
        let peer = Peer::find(Home::Node, "node")?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        Some(Place {
            peer,
            address: free.expect("a free port"),
            log: folder.join(name),
            protocol,
        })
    }

    fn start(&self) -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/backends.js");
        let port = self.address.port().to_string();
        let log = self.log.to_str().expect("a temporary name");
        Server::start(&self.peer, &script, &[&*port, log, self.protocol])
    }

    /// What reached it and may not twice.
    fn posts(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn connect(proxy: &Proxy) -> Talk<Conversation> {
    let client = Client::new(Offer::groups("X25519MLKEM768").speaking(&["http/1.1"]));
    Talk::tls(client.connect(proxy.address()).expect("a handshake"))
}

fn ask(talk: &mut Talk<Conversation>, request: &str) -> io::Result<Answer> {
    talk.stream.write_all(request.as_bytes())?;
    talk.answer(Body::Expected)
}

/// How the requests of one method ended: by status, and those that did not end cleanly.
#[derive(Default, Debug)]
struct Endings {
    statuses: BTreeMap<u16, Vec<String>>,
    broken: Vec<(String, String)>,
    /// The lines of those that were not answered with 200.
    lines: Vec<Value>,
}

impl Endings {
    fn count(&self, status: u16) -> usize {
        self.statuses.get(&status).map_or(0, Vec::len)
    }
}

/// One client: GETs and POSTs in turn, each of its own path.
fn load(proxy: &Proxy, client: usize, is_over: &AtomicBool) -> [Endings; 2] {
    let mut endings = [Endings::default(), Endings::default()];
    let mut talk = connect(proxy);
    for n in 0.. {
        if is_over.load(Relaxed) {
            break;
        }
        let due = Instant::now() + EACH;
        let (of, path) = (&mut endings[n % 2], format!("/{client}/{n}"));
        let request = match n % 2 {
            0 => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            _ => format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"),
        };
        match ask(&mut talk, &request) {
            Ok(answer) => {
                if answer.field("connection").as_deref() == Some("close") {
                    talk = connect(proxy);
                }
                of.statuses.entry(answer.status).or_default().push(path);
            }
            Err(error) => {
                of.broken.push((path, error.to_string()));
                talk = connect(proxy);
            }
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    endings
}

/// How clients ask, until it is over.
type Load = fn(&Pki, &Proxy, &AtomicBool) -> [Endings; 2];

fn over_http1(_: &Pki, proxy: &Proxy, is_over: &AtomicBool) -> [Endings; 2] {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || load(proxy, client, is_over)))
            .collect();
        let mut all = [Endings::default(), Endings::default()];
        for client in clients {
            for (all, own) in all.iter_mut().zip(client.join().expect("no panic")) {
                all.broken.extend(own.broken);
                for (status, paths) in own.statuses {
                    all.statuses.entry(status).or_default().extend(paths);
                }
            }
        }
        all
    })
}

/// As many clients by `httpx`, over one connection.
fn over_http2(pki: &Pki, proxy: &Proxy, _: &AtomicBool) -> [Endings; 2] {
    let peer = Peer::find(Home::Python, "python").expect("it was found before");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/load.py");
    let mut command = peer.command();
    command
        .arg(script)
        .arg(format!("https://localhost:{}", proxy.address().port()))
        .arg(pki.roots())
        .arg(LOAD.as_secs().to_string());
    let said = command::run(&mut command, b"");
    let told: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.all()));
    ["GET", "POST"].map(|method| Endings {
        statuses: serde_json::from_value(told[method]["statuses"].clone()).expect("paths by status"),
        broken: serde_json::from_value(told[method]["broken"].clone()).expect("paths and errors"),
        lines: Vec::new(),
    })
}

/// Load while the servers are killed and started again, one after the other.
fn endure(places: &[Place], load: Load) -> [Endings; 2] {
    let pki = Pki::new();
    let upstream = format!("http = {:?}", places[0].protocol);
    let lines = Lines {
        upstream: &upstream,
        ..Lines::default()
    };
    let first = places[0].address.to_string();
    let all: Vec<String> = places.iter().map(|place| format!("\"{}\"", place.address)).collect();
    let text = toml(&pki, places[0].address, lines).replace(&format!("\"{first}\""), &all.join(", "));
    let proxy = Proxy::start(&text);
    let is_over = AtomicBool::new(false);
    let mut servers: Vec<Server> = places.iter().map(Place::start).collect();
    let mut restarts = 0;
    let mut endings = thread::scope(|scope| {
        let clients = scope.spawn(|| load(&pki, &proxy, &is_over));
        let started = Instant::now();
        while started.elapsed() < LOAD {
            thread::sleep(BETWEEN);
            let at = restarts % places.len();
            // killed, and gone when this returns
            drop(servers.remove(at));
            servers.insert(at, places[at].start());
            restarts += 1;
        }
        is_over.store(true, Relaxed);
        clients.join().expect("no panic")
    });
    assert!(restarts >= 2, "{restarts}");
    check_broken(&proxy, &endings);
    for (of, method) in endings.iter_mut().zip(["GET", "POST"]) {
        let lines = proxy.lines("request").into_iter();
        let failed = lines.filter(|line| line["method"] == method && line["status"] != 200);
        of.lines = failed.collect();
    }
    endings
}

/// No answer may break off but one that had begun, which must not look complete.
fn check_broken(proxy: &Proxy, endings: &[Endings; 2]) {
    proxy.connections_become(0);
    let lines = proxy.lines("request");
    for (path, error) in endings.iter().flat_map(|of| &of.broken) {
        let line = lines.iter().find(|line| line["path"] == **path);
        let ending = line.map(|line| [&line["upstream_status"], &line["outcome"], &line["fault"]]);
        let broken_off = [Value::from(200), Value::from("failed"), Value::from("upstream")];
        assert_eq!(ending, Some(broken_off.each_ref()), "{path}: {error}");
    }
}

fn check(places: &[Place], [gets, posts]: &[Endings; 2]) {
    let clean = [200, 502, 503, 504];
    for of in [gets, posts] {
        let odd = of.statuses.keys().find(|status| !clean.contains(status));
        assert_eq!(odd, None);
        assert!(of.count(200) > 100, "only {} were answered", of.count(200));
    }
    let reached: Vec<String> = places.iter().flat_map(Place::posts).collect();
    let distinct: BTreeSet<&String> = reached.iter().collect();
    assert_eq!(reached.len(), distinct.len(), "a POST came twice");
    let lost = posts.statuses[&200].iter().find(|path| !distinct.contains(path));
    assert_eq!(lost, None, "it was answered without the server");
}

#[test]
fn a_server_that_restarts_under_load_costs_clean_errors_and_doubles_no_post() {
    one_restarts("1.1", over_http1);
}

#[test]
fn a_server_of_http2_that_restarts_under_load_costs_clean_errors_and_doubles_no_post() {
    one_restarts("h2c", over_http1);
}

#[test]
fn two_servers_that_restart_in_turn_cost_no_get() {
    two_restart("1.1", over_http1);
}

#[test]
fn two_servers_of_http2_that_restart_in_turn_cost_no_get() {
    two_restart("h2c", over_http1);
}

#[test]
fn clients_of_http2_lose_no_get_either_and_double_no_post() {
    if Peer::find(Home::Python, "python").is_some() {
        two_restart("1.1", over_http2);
        two_restart("h2c", over_http2);
    }
}

fn one_restarts(protocol: &'static str, load: Load) {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let Some(place) = Place::new(folder.path(), "posts", protocol) else {
        return;
    };
    let places = [place];
    let endings = endure(&places, load);
    check(&places, &endings);
}

fn two_restart(protocol: &'static str, load: Load) {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let places = ["one", "two"].map(|name| Place::new(folder.path(), name, protocol));
    let [Some(one), Some(two)] = places else { return };
    let places = [one, two];
    let endings = endure(&places, load);
    check(&places, &endings);
    let [gets, _] = endings;
    assert!(gets.statuses.keys().eq([&200]), "{:#?}", gets.lines);
}

#[test]
fn a_server_that_is_slow_resets_or_closes_is_told_of_and_used_again() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let Some(place) = Place::new(folder.path(), "posts", "1.1") else {
        return;
    };
    let _server = place.start();
    let pki = Pki::new();
    let lines = Lines {
        upstream: "timeouts = { first_byte = \"500ms\" }",
        ..Lines::default()
    };
    let proxy = Proxy::start(&toml(&pki, place.address, lines));
    let body = String::from_utf8_lossy(&pattern(100_000)).into_owned();
    let long = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let posts = [
        ("/slow", "Content-Length: 1\r\n\r\nx", Some(504)),
        ("/never", "Content-Length: 1\r\n\r\nx", Some(504)),
        ("/reset", "Content-Length: 1\r\n\r\nx", Some(502)),
        ("/reset", &long, Some(502)),
        ("/reset-within", &long, Some(502)),
        ("/half-close", "Content-Length: 1\r\n\r\nx", Some(502)),
        ("/cut", "Content-Length: 1\r\n\r\nx", None),
        ("/reset-body", "Content-Length: 1\r\n\r\nx", None),
    ];
    for (path, rest, status) in posts {
        let mut talk = connect(&proxy);
        let answer = ask(&mut talk, &format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{rest}"));
        // one that breaks off must not look whole
        let came = answer.as_ref().ok().map(|answer| answer.status);
        assert_eq!(came, status, "{path}: {answer:?}");
        let again = ask(
            &mut connect(&proxy),
            "POST /fine HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        );
        assert_eq!(again.expect("an answer").status, 200, "after {path}");
    }
    for (path, status) in [("/reset", 502), ("/half-close", 502), ("/never", 504)] {
        let answer = ask(
            &mut connect(&proxy),
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        );
        assert_eq!(answer.expect("an answer").status, status, "{path}");
    }
    let mut reached = place.posts();
    reached.retain(|path| path != "/fine");
    // what is reset within its body never came whole
    let wanted = [
        "/slow",
        "/never",
        "/reset",
        "/reset",
        "/half-close",
        "/cut",
        "/reset-body",
    ];
    assert_eq!(reached, wanted, "each came once");
    proxy.connections_become(0);
    for line in proxy.lines("request") {
        let is_fine = line["path"] == "/fine";
        let wanted = if is_fine { ["ok", ""] } else { ["failed", "upstream"] };
        assert_eq!([&line["outcome"], &line["fault"]], wanted, "{line:#}");
    }
}
