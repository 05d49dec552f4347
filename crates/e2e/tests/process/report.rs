//! `portcullis report` after a crowd whose members are known.
use crate::{Site, echo_through, path};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer, Versions},
    command::{Finished, run},
    peers::{Home, Peer},
    pki::Algorithm,
    process::{Process, portcullis},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// What each client of the crowd sends, and gets back.
const SAID: &[u8] = b"through the binary";

/// A proxy with a ledger in a file and an admin listener on an address.
struct Stage {
    site: Site,
    process: Process,
    admin: SocketAddr,
    token: PathBuf,
    ledger: PathBuf,
}

impl Stage {
    fn start() -> Stage {
        let admin = free_address();
        let site = Site::new(|front| {
            front
                .top(r#"ledger = { path = "ledger.db" }"#)
                .top(&format!(r#"admin = {{ listen = "{admin}", token_file = "token" }}"#))
                .site(r#"label = "cardholder""#)
                .site(r#"client_auth = { mode = "optional", ca = "roots.pem" }"#)
                .site("tls = { resumption = { tickets = 0 } }")
        });
        let token = site.pki.write("token", "a-token-of-a-test");
        let roots = fs::read(site.pki.roots()).expect("the roots");
        site.pki.write("roots.pem", &String::from_utf8(roots).expect("PEM"));
        Stage {
            process: site.serve(),
            ledger: site.pki.folder().join("ledger.db"),
            site,
            admin,
            token,
        }
    }

    /// Three that are fully safe, one with the classical certificate, three classical of which one went back.
    fn crowd(&self) {
        let front = self.process.address("front");
        let agent = |offer: Offer| offer.presenting(self.site.pki.client(Algorithm::EcdsaP256));
        for _ in 0..2 {
            echo_through(front, Offer::groups("X25519MLKEM768"));
        }
        echo_through(front, agent(Offer::groups("X25519MLKEM768")));
        echo_through(
            front,
            Offer::groups("X25519MLKEM768").signatures("ecdsa_secp256r1_sha256"),
        );
        echo_through(front, Offer::groups("X25519").signatures("ecdsa_secp256r1_sha256"));
        echo_through(front, Offer::default().versions(Versions::Only12));
        // the ledger keeps whole seconds, and what is later must be seen to be
        thread::sleep(Duration::from_millis(2100));
        echo_through(front, agent(Offer::groups("X25519")));
        // refused before it was negotiated: it counts in no share
        let refused = Client::new(Offer::groups("MLKEM512").versions(Versions::Only13)).connect(front);
        assert!(refused.is_err(), "the site has no such group");
    }

    fn report(&self, args: &[&str]) -> Finished {
        let file = path(&self.site.file);
        report(&[&["-c", file], args].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        let finished = self.report(&[&["--json"], args].concat());
        assert_eq!(finished.status.code(), Some(0), "{}", finished.all());
        serde_json::from_str(&finished.stdout).expect("JSON")
    }
}

fn report(args: &[&str]) -> Finished {
    run(&mut portcullis(&[&["report"], args].concat()), b"")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket")
}

fn shares(full: u64, confidential: u64, none: u64) -> Value {
    json!({ "full": full, "confidential": confidential, "none": none })
}

fn get(stage: &Stage, target: &str) -> Value {
    let mut socket = TcpStream::connect(stage.admin).expect("the admin listener");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let token = fs::read_to_string(&stage.token).expect("the token");
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn the_report_of_a_crowd_has_exactly_its_figures() {
    let stage = Stage::start();
    stage.crowd();
    let figures = stage.json(&[]);
    let bytes = 2 * SAID.len() as u64;
    assert_eq!(figures["totals"]["connections"], shares(3, 1, 3), "{figures:#}");
    assert_eq!(figures["totals"]["bytes"], shares(3 * bytes, bytes, 3 * bytes));
    assert_eq!(figures["totals"]["requests"], shares(0, 0, 0));
    let site = &figures["sites"][0];
    assert_eq!([&site["site"], &site["label"]], ["site", "cardholder"]);
    assert_eq!(figures["exposure"]["classical_bytes"], 3 * bytes);
    assert_eq!(figures["exposure"]["by_label"]["cardholder"], 3 * bytes);
    assert_eq!(figures["refusals"]["failed"], 1);
    let breaking = &figures["would_refuse"];
    assert_eq!(
        [
            &breaking["key_exchange"]["clients"],
            &breaking["key_exchange"]["connections"]
        ],
        [3, 3]
    );
    // the identity went back, the two others offer no group or no version that would do
    let classical = figures["clients"]
        .as_array()
        .expect("clients")
        .iter()
        .filter(|c| c["safety"] == "none");
    let mut reasons: Vec<_> = classical.map(|c| c["reason"].as_str().unwrap_or_default()).collect();
    reasons.sort_unstable();
    let expected = [
        "has nothing newer than TLS 1.2",
        "offers no post-quantum group",
        "offers no post-quantum group",
    ];
    assert_eq!(reasons, expected);
    let downgraded = figures["downgraded"].as_array().expect("a list");
    assert_eq!(downgraded.len(), 1, "{figures:#}");
    let facts = ["by", "is_guess", "safe_group"].map(|key| &downgraded[0][key]);
    assert_eq!(facts, [&json!("identity"), &json!(false), &json!("X25519MLKEM768")]);
    // the same by HTTP
    let mut served = get(&stage, "/v1/adoption?since=7d");
    served["to"] = figures["to"].clone();
    assert_eq!(served, figures);
    let of_site = get(&stage, "/v1/adoption?site=site");
    assert_eq!(of_site["totals"], figures["totals"]);
}

#[test]
fn people_spreadsheets_and_inventories_get_theirs() {
    let stage = Stage::start();
    stage.crowd();
    let page = stage.report(&[]);
    assert_eq!(page.status.code(), Some(0), "{}", page.all());
    let sentences = [
        "requiring PQ key exchange on site now would refuse 3 clients, 42.9 % of connections, 42.9 % of bytes in the last 7 days",
        "who is still classical, the heaviest first",
        "offers no post-quantum group",
        "X25519MLKEM768 until ",
        "label cardholder",
        "handshakes that failed: 1",
    ];
    for sentence in sentences {
        assert!(page.stdout.contains(sentence), "{sentence}\n{}", page.stdout);
    }
    let table = stage.report(&["--csv"]);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(
        lines[0].starts_with("\"client\",\"identity\",\"ja4\""),
        "{}",
        table.all()
    );
    assert_eq!(
        lines.iter().filter(|line| line.contains(",\"none\",")).count(),
        3,
        "{}",
        table.stdout
    );
    let bill = stage.report(&["--cbom"]);
    let bill: Value = serde_json::from_str(&bill.stdout).expect("JSON");
    let components = bill["components"].as_array().expect("components");
    let names: Vec<_> = components.iter().filter_map(|it| it["name"].as_str()).collect();
    for name in [
        "X25519MLKEM768",
        "ML-KEM-768",
        "ML-DSA-65",
        "ECDSA P-256",
        "TLS 1.3",
        "TLS 1.2",
        "SHA-384",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let certificates = components
        .iter()
        .filter(|it| it["cryptoProperties"]["assetType"] == "certificate");
    assert!(certificates.count() >= 2, "of both chains: {bill:#}");
}

/// By the schema that CycloneDX publishes, as the project's own Python package carries it.
#[test]
fn the_bill_of_materials_is_valid() {
    let Some(python) = Peer::find(Home::Python, "python3") else {
        return;
    };
    let stage = Stage::start();
    stage.crowd();
    let bill = stage.report(&["--cbom"]);
    let validate = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))";
    let validated = |bill: &str| run(python.command().args(["-c", validate]), bill.as_bytes());
    let good = validated(&bill.stdout);
    assert_eq!(good.status.code(), Some(0), "{}", good.all());
    let broken = validated(&bill.stdout.replace("\"kem\"", "\"kerm\""));
    assert_eq!(broken.status.code(), Some(1), "it would not notice: {}", broken.all());
}

#[test]
fn a_ledgers_file_and_other_instances_tell_the_same() {
    let stage = Stage::start();
    stage.crowd();
    let figures = stage.json(&[]);
    let totals = figures["totals"].clone();
    let (admin, token) = (format!("http://{}", stage.admin), path(&stage.token));
    let other = Stage::start();
    echo_through(other.process.address("front"), Offer::groups("X25519"));
    let asked = report(&["--json", "--from", &admin, "--token-file", token]);
    assert_eq!(json_of(&asked)["totals"], totals, "{}", asked.all());
    let wrong = report(&["--from", &admin]);
    assert_eq!(wrong.status.code(), Some(3), "{}", wrong.all());
    assert!(wrong.stderr.contains("token"), "{}", wrong.stderr);
    // what both keep, and one of them twice
    let elsewhere = format!("http://{}", other.admin);
    let both = report(&["--json", "--from", &admin, &elsewhere, &admin, "--token-file", token]);
    assert_eq!(
        json_of(&both)["totals"]["connections"],
        shares(3, 1, 4),
        "{}",
        both.all()
    );
    // a proxy that has ended leaves its file
    other.process.signal(Signal::TERM);
    other.process.end();
    let read = report(&["--json", "-c", path(&other.site.file)]);
    assert_eq!(
        json_of(&read)["totals"]["connections"],
        shares(0, 0, 1),
        "{}",
        read.all()
    );
    assert!(
        read.stderr.contains("no running proxy answers: reading "),
        "{}",
        read.stderr
    );
    let ledger = path(&other.ledger);
    let both = report(&["--json", "--ledger", ledger, "--from", &admin, "--token-file", token]);
    assert_eq!(
        json_of(&both)["totals"]["connections"],
        shares(3, 1, 4),
        "{}",
        both.all()
    );
    // one that is being written can be read
    let in_use = report(&["--json", "--ledger", path(&stage.ledger)]);
    assert_eq!(in_use.status.code(), Some(0), "{}", in_use.all());
}

fn json_of(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.all()))
}

#[test]
fn what_cannot_be_reported_is_told_in_clear_words() {
    let stage = Stage::start();
    let empty = stage.report(&[]);
    assert_eq!(empty.status.code(), Some(0), "{}", empty.all());
    assert_eq!(empty.stdout, "no connection with TLS ended in the last 7 days\n");
    let foreign = stage
        .site
        .pki
        .write("notes.txt", "no ledger, only words, and more than a header of them\n");
    let gone = Path::new("/nonexistent/ledger.db");
    let address = free_address().to_string();
    let table = [
        (vec!["--ledger", path(gone)], 2, "no ledger there"),
        (vec!["--ledger", path(&foreign)], 2, "no ledger of portcullis"),
        (
            vec!["--site", "shpo", "-c", path(&stage.site.file)],
            2,
            "no connection of a site \"shpo\"",
        ),
        (
            vec!["--from", "https://127.0.0.1:1"],
            2,
            "unix:PATH or http://HOST:PORT",
        ),
        (vec!["--from", &address], 3, "cannot connect"),
        (vec!["--from", "unix:/nonexistent/admin.sock"], 3, "cannot connect"),
        (vec!["--since", "soon"], 2, "it takes a time such as 12h, 7d or 4w"),
        (vec!["--json", "--csv"], 2, "cannot be used with"),
        (
            vec!["-c", "/nonexistent/portcullis.toml"],
            2,
            "/nonexistent/portcullis.toml",
        ),
    ];
    for (args, code, words) in table {
        let finished = report(&args);
        assert_eq!(finished.status.code(), Some(code), "{args:?}: {}", finished.all());
        assert!(finished.stderr.contains(words), "{args:?}: {}", finished.stderr);
        assert_eq!(finished.stdout, "", "{args:?}");
    }
}
