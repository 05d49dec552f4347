//! The binary: signals, exit codes, a second instance, running out of files.
#[path = "process/coming_from.rs"]
mod coming_from;

use openssl::{pkey::PKey, symm::Cipher};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    command::run,
    front::Front,
    pki::{Algorithm, Pki},
    process::{Process, portcullis, portcullis_with_files},
    server::{Server, Terms},
    upstream::{Manner, Upstream},
};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

#[path = "process/ledger.rs"]
mod ledger;
#[path = "process/report.rs"]
mod report;
#[path = "process/shells.rs"]
mod shells;
#[path = "process/tools.rs"]
mod tools;

/// Certificates, a configuration file and a backend.
struct Site {
    pki: Pki,
    upstream: Upstream,
    file: PathBuf,
}

impl Site {
    fn new(change: impl FnOnce(Front) -> Front) -> Site {
        let pki = Pki::new();
        let upstream = Upstream::start(Manner::Echo);
        let file = write(&pki, &upstream, change);
        Site { pki, upstream, file }
    }

    fn rewrite(&self, change: impl FnOnce(Front) -> Front) {
        write(&self.pki, &self.upstream, change);
    }

    fn serve(&self) -> Process {
        Process::serve(portcullis(&["serve", "-c", path(&self.file)]))
    }
}

fn write(pki: &Pki, upstream: &Upstream, change: impl FnOnce(Front) -> Front) -> PathBuf {
    let files = [pki.server(Algorithm::MlDsa65), pki.server(Algorithm::EcdsaP256)];
    let front = change(Front::new(&files, upstream.address()));
    pki.write("portcullis.toml", &front.toml())
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn echo_through(address: SocketAddr, offer: Offer) -> SocketAddr {
    let mut conversation = Client::new(offer).connect(address).expect("a handshake");
    conversation.echo(b"through the binary");
    let local = conversation.local();
    conversation.close();
    local
}

fn record(process: &Process, client: SocketAddr) -> serde_json::Value {
    process.json_line("the connection", |line| {
        line["event"] == "connection" && line["peer"] == client.to_string()
    })
}

#[test]
fn a_sidecar_in_one_line_serves_and_ends_well_when_told() {
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let [mldsa, ecdsa] = [Algorithm::MlDsa65, Algorithm::EcdsaP256].map(|a| pki.server(a));
    let target = upstream.address().to_string();
    for signal in [Signal::TERM, Signal::INT] {
        let process = Process::serve(portcullis(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--target",
            &target,
            "--cert",
            path(&mldsa.chain),
            "--key",
            path(&mldsa.key),
            "--cert",
            path(&ecdsa.chain),
            "--key",
            path(&ecdsa.key),
            "--log-format",
            "json",
        ]));
        let listening = process.event("listening");
        let address = listening["address"].as_str().expect("an address");
        let address = address.parse().expect("an address of the network");
        let client = echo_through(address, Offer::default().trusting(pki.roots()));
        let record = record(&process, client);
        let facts = ["outcome", "group", "signature", "safety"].map(|f| &record[f]);
        assert_eq!(facts, ["ok", "X25519MLKEM768", "mldsa65", "full"]);
        process.signal(signal);
        let (status, said) = process.end();
        assert_eq!(status.code(), Some(0), "{said:#?}");
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}

#[test]
fn self_signed_needs_no_files_and_plain_no_certificates() {
    let upstream = Upstream::start(Manner::Echo);
    let target = upstream.address().to_string();
    let common = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--target",
        &target,
        "--log-format",
        "json",
    ];
    let with = |more| {
        let process = Process::serve(portcullis(&[&common[..], &[more]].concat()));
        let listening = process.event("listening");
        let address: SocketAddr = listening["address"]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address");
        (process, address)
    };
    let (_process, address) = with("--self-signed");
    for (signatures, scheme) in [("", "mldsa65"), ("ecdsa_secp256r1_sha256", "ecdsa_secp256r1_sha256")] {
        let client = Client::new(Offer::default().signatures(signatures));
        let mut conversation = client.connect(address).expect("a handshake");
        conversation.echo(b"self-made");
        assert_eq!(conversation.seen().signature.as_deref(), Some(scheme));
    }
    let (_process, address) = with("--plain");
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.write_all(b"plain").expect("it takes bytes");
    let mut back = [0; 5];
    socket.read_exact(&mut back).expect("an echo");
    assert_eq!(&back, b"plain");
}

#[test]
fn an_egress_sidecar_trusts_what_the_system_trusts_and_says_so_where_that_is_nothing() {
    let pki = Pki::new();
    let files = pki.server(Algorithm::MlDsa65);
    let server = Server::start(&Terms {
        groups: String::new(),
        versions: Versions::Both,
        certificates: vec![files.clone()],
        client_roots: None,
    });
    let target = format!("localhost:{}", server.address().port());
    let words = "serve --plain --listen 127.0.0.1:0 --log-format json --target-tls --target-policy require --target";
    let words: Vec<&str> = words.split(' ').chain([&*target]).collect();
    let mut command = portcullis(&words);
    command.env("SSL_CERT_FILE", &files.root).env_remove("SSL_CERT_DIR");
    let process = Process::serve(command);
    let address = process.event("listening")["address"]
        .as_str()
        .expect("an address")
        .to_owned();
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.write_all(b"out").expect("it takes bytes");
    let mut back = [0; 3];
    socket.read_exact(&mut back).expect("an echo");
    assert_eq!(&back, b"out");
    drop(socket);
    let record = process.json_line("the record", |line| line["event"] == "connection");
    assert_eq!(
        [&record["upstream_key_exchange"], &record["upstream_signature"]],
        ["hybrid", "mldsa65"]
    );

    let nothing = pki.write("nothing.pem", "");
    let mut command = portcullis(&words);
    command
        .env("SSL_CERT_FILE", &nothing)
        .env("SSL_CERT_DIR", pki.folder().join("none"));
    let finished = run(&mut command, b"");
    assert_eq!(finished.status.code(), Some(2), "{}", finished.all());
    assert!(
        finished.all().contains("this system trusts no certificates"),
        "{}",
        finished.all()
    );
}

#[test]
fn a_second_instance_on_the_same_port_exits_3_and_the_first_goes_on() {
    let site = Site::new(|front| front);
    let first = site.serve();
    let address = first.address("front");
    let taken = Site::new(|mut front| {
        front.listener = format!("listen = [\"{address}\"]");
        front
    });
    let second = Process::spawn(portcullis(&["serve", "-c", path(&taken.file)]));
    let (status, said) = second.end();
    assert_eq!(status.code(), Some(3), "{said:#?}");
    let said = said.join("\n");
    assert!(said.contains(&address.to_string()), "it names the address: {said}");
    echo_through(address, Offer::default());
}

#[test]
fn what_cannot_be_configured_exits_2_with_every_problem_at_once() {
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let files = pki.server(Algorithm::EcdsaP256);
    let front = Front::new(&[files], upstream.address())
        .listener("lissten = \"typo\"")
        .site(r#"tls = { groups = ["x25519kyber768", "X25519"] }"#);
    let file = pki.write("wrong.toml", &front.toml());
    for command in ["serve", "check"] {
        let finished = run(&mut portcullis(&[command, "-c", path(&file)]), b"");
        assert_eq!(finished.status.code(), Some(2), "{}", finished.all());
        let said = finished.stderr;
        assert!(said.contains("lissten") && said.contains("wrong.toml:"), "{said}");
        assert!(said.contains("X25519MLKEM768"), "it names the successor: {said}");
    }
}

#[test]
fn wrong_usage_and_missing_files_exit_2() {
    let missing: [&[&str]; 4] = [
        &["serve", "--no-such-flag"],
        &["no-such-command"],
        &["serve", "-c", "/nonexistent/portcullis.toml"],
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--cert",
            "/nonexistent/c.pem",
            "--key",
            "/nonexistent/k.pem",
        ],
    ];
    for args in missing {
        let finished = run(&mut portcullis(args), b"");
        assert_eq!(finished.status.code(), Some(2), "{args:?}: {}", finished.all());
        assert_ne!(finished.stderr, "", "{args:?}");
    }
    let nothing = run(&mut portcullis(&["serve", "--listen", "127.0.0.1:0"]), b"");
    assert_eq!(nothing.status.code(), Some(2), "{}", nothing.all());
    for way in ["--cert", "--self-signed", "--plain"] {
        assert!(nothing.stderr.contains(way), "it names {way}: {}", nothing.stderr);
    }
}

#[test]
fn a_broken_certificate_stops_a_start_and_not_a_running_proxy() {
    let site = Site::new(|front| front);
    let chain = site.pki.server(Algorithm::EcdsaP256).chain;
    let process = site.serve();
    let address = process.address("front");
    site.pki
        .write(chain.file_name().and_then(|n| n.to_str()).expect("a name"), "broken");
    process.signal(Signal::HUP);
    let rejected = process.event("reload rejected, the old configuration runs on");
    assert!(
        rejected.to_string().contains(path(&chain)),
        "it names the file: {rejected}"
    );
    let classical = || {
        Offer::default()
            .signatures("ecdsa_secp256r1_sha256")
            .trusting(site.pki.roots())
    };
    echo_through(address, classical());
    // the watch may have seen the file by then, and has a line of its own
    let told = process
        .said()
        .iter()
        .filter(|line| line.contains("reload rejected"))
        .count();
    assert_eq!(told, 1, "one error line");
    assert_eq!(rejected["level"], "error");
    let second = Process::spawn(portcullis(&["serve", "-c", path(&site.file)]));
    let (status, said) = second.end();
    assert_eq!(status.code(), Some(2), "{said:#?}");
    // Repaired, the next SIGHUP takes the new policy too.
    site.rewrite(|front| front.site(r#"policy = { key_exchange = "require" }"#));
    process.signal(Signal::HUP);
    process.event("reloaded");
    echo_through(address, classical());
    assert!(Client::new(Offer::groups("X25519")).connect(address).is_err());
}

#[test]
fn sigterm_lets_open_connections_finish() {
    let site = Site::new(|front| front.top("shutdown = { grace = \"20s\" }"));
    let process = site.serve();
    let address = process.address("front");
    let mut conversation = Client::new(Offer::default()).connect(address).expect("a handshake");
    conversation.echo(b"before");
    process.signal(Signal::TERM);
    process.event("closed");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    conversation.echo(b"after");
    let local = conversation.local();
    conversation.close();
    let record = record(&process, local);
    assert_eq!(record["outcome"], "ok");
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
fn a_storm_of_knocks_neither_holds_a_drain_up_nor_starves_who_is_in() {
    let site = Site::new(|front| front);
    let process = site.serve();
    let address = process.address("front");
    // One on each of two cores, so that each has somebody to starve.
    let client = Client::new(Offer::default());
    let mut inside = [(); 2].map(|()| client.connect(address).expect("a handshake"));
    let calm = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !calm.load(Ordering::Relaxed) {
                    if TcpStream::connect(address).is_err() {
                        break;
                    }
                }
            });
        }
        process.signal(Signal::TERM);
        process.event("draining");
        let served: Vec<_> = (0..20)
            .map(|_| {
                inside
                    .iter_mut()
                    .all(|c| c.exchange(b"still in").is_ok_and(|back| back == b"still in"))
            })
            .collect();
        // The storm lasts as long as somebody listens; it must not be the storm that ends it.
        calm.store(true, Ordering::Relaxed);
        assert_eq!(served, [true; 20]);
    });
    for conversation in inside {
        let local = conversation.local();
        conversation.close();
        assert_eq!(record(&process, local)["outcome"], "ok");
    }
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{} lines", said.len());
}

#[test]
fn the_grace_ends_what_does_not_end_and_says_so() {
    let site = Site::new(|front| front.top("shutdown = { grace = \"200ms\" }"));
    let process = site.serve();
    let mut conversation = Client::new(Offer::default())
        .connect(process.address("front"))
        .expect("a handshake");
    conversation.echo(b"and then silence");
    process.signal(Signal::TERM);
    let record = record(&process, conversation.local());
    let ending = ["outcome", "stage", "fault"].map(|f| &record[f]);
    assert_eq!(ending, ["failed", "relay", "operator"], "{record:#}");
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
fn exhausted_descriptors_are_survived_and_released() {
    // No limit of connections, so that the files are what runs out.
    let site = Site::new(|front| front.listener("limits = { connections = 0 }"));
    let process = Process::serve(portcullis_with_files(64, &["serve", "-c", path(&site.file)]));
    let address = process.address("front");
    let mut established = Client::new(Offer::default()).connect(address).expect("a handshake");
    established.echo(b"early");
    // More than 64, all said nothing yet; the kernel queues what the proxy cannot accept.
    let crowd: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(address).expect("a place in the queue"))
        .collect();
    let failed = process.event("accept failed");
    assert_eq!(failed["level"], "warn", "{failed}");
    established.echo(b"who is in stays in");
    drop(crowd);
    for _ in 0..5 {
        echo_through(address, Offer::default());
    }
    process.signal(Signal::TERM);
    established.close();
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
fn selftest_passes_while_the_promise_holds_and_fails_when_pq_is_taken_off() {
    let site = Site::new(|front| front);
    let process = site.serve();
    let address = process.address("front").to_string();
    let roots = site.pki.roots();
    let selftest = |expect: &str| {
        let args = ["selftest", &address, "--json", "--expect", expect, "--ca", path(&roots)];
        run(
            &mut portcullis(&[&args[..], &["--server-name", "localhost"]].concat()),
            b"",
        )
    };
    let finished = selftest("prefer");
    assert_eq!(finished.status.code(), Some(0), "{}", finished.all());
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(report["pass"], true);
    let hybrid = report["handshakes"].as_array().expect("a list").iter();
    let hybrid = hybrid.filter(|h| h["group"] == "X25519MLKEM768" && h["key_exchange"] == "hybrid");
    assert!(hybrid.count() > 0, "{report:#}");
    site.rewrite(|front| front.site(r#"tls = { groups = ["X25519"] }"#));
    process.signal(Signal::HUP);
    process.event("reloaded");
    let finished = selftest("prefer");
    assert_eq!(finished.status.code(), Some(1), "{}", finished.all());
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(report["pass"], false);
}

/// One request to an HTTP listener, and its whole answer.
fn get(mut socket: impl Read + Write, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("it takes a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn metrics_and_health_are_served_and_the_admin_socket_commands_work() {
    let site = Site::new(|front| front);
    let socket = site.pki.folder().join("admin.sock");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let metrics = free.local_addr().expect("a bound socket");
    drop(free);
    site.rewrite(|front| {
        front
            .top(&format!("admin = {{ listen = \"unix:{}\" }}", socket.display()))
            .top(&format!("metrics = {{ listen = \"{metrics}\" }}"))
    });
    let process = site.serve();
    let client = echo_through(process.address("front"), Offer::groups("X25519MLKEM768"));
    record(&process, client);
    let ask = |target: &str| get(TcpStream::connect(metrics).expect("it listens"), target);
    assert!(ask("/healthz").starts_with("HTTP/1.1 200"));
    assert!(ask("/readyz").starts_with("HTTP/1.1 200"));
    let scraped = ask("/metrics");
    let handshakes = scraped.lines().find(|l| l.starts_with("portcullis_handshakes_total{"));
    assert!(
        handshakes.is_some_and(|l| l.contains("group=\"X25519MLKEM768\"") && l.ends_with(" 1")),
        "{scraped}"
    );
    assert!(ask("/v1/status").starts_with("HTTP/1.1 404"), "only three paths here");
    let unix = || std::os::unix::net::UnixStream::connect(&socket).expect("it listens");
    assert!(get(unix(), "/v1/status").starts_with("HTTP/1.1 200"));
    let admin = format!("unix:{}", socket.display());
    let tell = |command: &str| run(&mut portcullis(&[command, "--admin", &admin]), b"");
    let status = tell("status");
    assert_eq!(status.status.code(), Some(0), "{}", status.all());
    assert!(
        status.stdout.contains(&process.address("front").to_string()),
        "{}",
        status.stdout
    );
    let reload = tell("reload");
    assert_eq!(reload.status.code(), Some(0), "{}", reload.all());
    process.event("reloaded");
    site.pki.write("portcullis.toml", "broken = [");
    let reload = tell("reload");
    assert_ne!(reload.status.code(), Some(0), "a reload that was rejected is not well");
    let drain = tell("drain");
    assert_eq!(drain.status.code(), Some(0), "{}", drain.all());
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
fn the_demo_proves_itself_and_ends_when_told() {
    let process = Process::spawn(portcullis(&["demo", "--no-open"]));
    process.line("ready");
    process.signal(Signal::TERM);
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("X25519MLKEM768")), "{said:#?}");
}

#[test]
fn sigusr1_makes_the_key_log_anew() {
    let site = Site::new(|front| front);
    let keys = site.pki.folder().join("keys.log");
    let process = Process::serve(portcullis(&["serve", "-c", path(&site.file), "--key-log", path(&keys)]));
    let connect = || {
        let client = Client::new(Offer::default());
        let mut conversation = client.connect(process.address("front")).expect("a handshake");
        conversation.echo(b"secret");
        let local = conversation.local();
        conversation.close();
        // lines of secrets are written before that of their connection
        record(&process, local);
        client.secrets()
    };
    let lines = |file: &Path| {
        let text = fs::read_to_string(file).expect("the key log is there");
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let mut first = connect();
    let moved = site.pki.folder().join("keys.old");
    fs::rename(&keys, &moved).expect("it is there");
    first.extend(connect());
    assert_eq!(lines(&moved), sorted(first.clone()), "until it is told");
    process.signal(Signal::USR1);
    process.event("log reopened");
    let second = connect();
    assert_eq!(lines(&keys), sorted(second));
    assert_eq!(lines(&moved), sorted(first));
    let mode = fs::metadata(&keys).expect("the key log is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn check_says_what_becomes_of_whom_and_which_exemptions_end() {
    let policy = "policy = { key_exchange = 'require', exempt = [{ cidr = '192.0.2.0/24', until = '2026-01-31', reason = 'old meters' }, { sni = 'old.test', until = '2999-12-31' }] }";
    let site = Site::new(|front| front.site(policy));
    let check = |more: &[&str]| {
        let checked = run(
            &mut portcullis(&[&["check", "-c", path(&site.file)][..], more].concat()),
            b"",
        );
        (checked.status.code(), checked.stdout)
    };
    let (code, text) = check(&[]);
    assert_eq!(code, Some(0), "{text}");
    let expected = [
        "    site site requires key_exchange\n      but not of 192.0.2.0/24 until 2026-01-31: old meters\n      but not of old.test until 2999-12-31\n",
        "    TLS 1.3 that lists X25519MLKEM768 behind X25519  admitted\n",
        "    TLS 1.3 with classical groups alone              refused (key_exchange)\n",
        "the exemption of 192.0.2.0/24 is over since the end of 2026-01-31",
    ];
    for line in expected {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    assert_eq!(check(&["--strict"]).0, Some(1));
    let (_, json) = check(&["--json", "--explain"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let policy = &json["sites"][0]["policies"][0];
    assert_eq!(
        (&policy["of"], &policy["exempt"][0]["until"]),
        (&"site site".into(), &"2026-01-31".into())
    );
    let verdict = |place: usize| json["sites"][0]["clients"][place]["decision"].clone();
    assert_eq!(
        [0, 1, 2, 3, 4].map(verdict),
        ["admitted", "admitted", "admitted", "refused", "refused"]
    );
    let values = json["values"].as_array().expect("a list");
    let exempt = values.iter().filter(|value| value["key"] == "site.site.policy.exempt");
    assert_eq!(exempt.count(), 2);
}

#[test]
fn check_shows_what_compression_saves_and_opens_encrypted_keys() {
    let site = Site::new(|front| front);
    let check = |more: &[&str]| {
        let checked = run(
            &mut portcullis(&[&["check", "-c", path(&site.file)][..], more].concat()),
            b"",
        );
        assert_eq!(checked.status.code(), Some(0), "{}", checked.all());
        checked.stdout
    };
    let sizes = |text: &str| {
        let report: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let flight = report["sites"][0]["certificates"][1]["flights"][0].clone();
        let whole = flight["bytes"].as_u64().expect("a number");
        let compressed = ["brotli", "zlib"].map(|word| flight["compressed"][word].as_u64());
        (whole, compressed)
    };
    let (whole, compressed) = sizes(&check(&["--json"]));
    for bytes in compressed {
        let bytes = bytes.expect("a chain that is smaller compressed");
        assert!(bytes < whole, "{bytes} of {whole}");
    }
    assert!(check(&[]).contains(" with brotli, "), "{}", check(&[]));
    site.rewrite(|front| front.site("tls = { certificate_compression = false }"));
    assert_eq!(sizes(&check(&["--json"])).1, [None, None]);

    let plain = fs::read(site.pki.server(Algorithm::EcdsaP256).key).expect("a key of ours");
    let key = PKey::private_key_from_pem(&plain).expect("a key of ours");
    let pem = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"sesame");
    let pem = String::from_utf8(pem.expect("OpenSSL encrypts it")).expect("PEM is ASCII");
    let chain = site.pki.server(Algorithm::EcdsaP256).chain;
    site.pki.write("locked.key", &pem);
    // paths are relative to the file that names them
    let entry = format!("{{ chain = {chain:?}, key = \"locked.key\", passphrase_file = \"locked.pass\" }}");
    let front = Front::new(&[], site.upstream.address()).site(&format!("certificates = [{entry}]"));
    site.pki.write("portcullis.toml", &front.toml());
    site.pki.write("locked.pass", "sesame\n");
    assert!(check(&[]).contains("ECDSA P-256"), "{}", check(&[]));
    site.pki.write("locked.pass", "barley\n");
    let refused = run(&mut portcullis(&["check", "-c", path(&site.file)]), b"");
    assert_eq!(refused.status.code(), Some(2), "{}", refused.all());
    assert!(
        refused
            .stderr
            .contains("locked.key: key: the passphrase is not the key's")
    );
}

#[test]
fn what_cert_encrypts_serve_opens_with_the_line_that_it_prints() {
    let pki = Pki::new();
    let upstream = Upstream::start(Manner::Echo);
    let passphrase = pki.write("passphrase", "open sesame\n");
    let cert = |args: &[&str]| {
        let made = run(
            &mut portcullis(&[&["cert"][..], args, &["--out", path(pki.folder())]].concat()),
            b"",
        );
        assert_eq!(made.status.code(), Some(0), "{}", made.all());
        made.stdout
    };
    cert(&["ca", "--algorithm", "ml-dsa-65"]);
    let issuer = pki.folder().join("ca.pem");
    let server = ["server", "--algorithm", "ml-dsa-65", "--name", "localhost", "--issuer"];
    let said = cert(&[&server[..], &[path(&issuer), "--passphrase-file", path(&passphrase)]].concat());
    let line = said.split("portcullis serve ").nth(1).expect("how to serve it");
    let target = upstream.address().to_string();
    let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    args.extend(line.split_whitespace());
    let at = args.iter().position(|arg| *arg == "127.0.0.1:6000").expect("a target");
    args[at] = &target;
    let process = Process::serve(portcullis(&args));
    let listening = process.event("listening");
    let address = listening["address"].as_str().expect("an address");
    echo_through(
        address.parse().expect("an address of the network"),
        Offer::default().trusting(issuer),
    );
}
