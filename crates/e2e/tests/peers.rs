//! Installed peers through the proxy: what real people run. `tests/peers/install.sh` puts them there; a test whose
//! peer is missing says so on stderr, and fails under REQUIRE_PEERS=1.
use portcullis_e2e::{
    PATIENCE,
    browser::headless,
    client::{Client, Offer},
    command::{Finished, run},
    front::Front,
    peers::{Home, Peer, folder},
    pki::{Algorithm, Files, Pki},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_tls::{
    client::{Client as OurClient, ClientSpec, Trust},
    identity::certificates_from_pem,
    negotiated::Version,
    rustls::Stream,
};
use portcullis_wire::registry::Group;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nthrough it!\n";
const HYBRID: &str = "X25519MLKEM768";

/// A proxy before a small web server.
struct Stage {
    pki: Pki,
    upstream: Upstream,
    proxy: Proxy,
}

impl Stage {
    fn set(algorithms: &[Algorithm], change: impl FnOnce(&Pki, Front) -> Front) -> Stage {
        let pki = Pki::new();
        let upstream = Upstream::start(Manner::Answer(ANSWER.to_vec()));
        let files: Vec<Files> = algorithms.iter().map(|a| pki.server(*a)).collect();
        let front = Front::new(&files, upstream.address());
        let proxy = Proxy::start(&change(&pki, front).toml());
        Stage { pki, upstream, proxy }
    }

    /// ML-DSA-65 first, ECDSA P-256 second, as in a fleet.
    fn fleet() -> Stage {
        Stage::set(&[Algorithm::MlDsa65, Algorithm::EcdsaP256], |_, front| front)
    }

    /// The one record there is, of a connection that went well.
    fn record(&self) -> Value {
        let record = self.proxy.record_where(|_| true);
        assert_eq!(record["outcome"], "ok", "{record:#}");
        record
    }
}

fn lists_the_hybrid(peer: &Peer, connect: impl FnOnce(&mut Command, SocketAddr)) -> bool {
    let hybrid = Group::by_name(HYBRID).expect("a group of ours");
    peer.hello(connect).lists(hybrid.id)
}

fn s_client(command: &mut Command, address: SocketAddr) {
    command.args(["s_client", "-servername", "localhost", "-connect", &address.to_string()]);
}

/// A request over s_client, which prints what it negotiated.
fn openssl_request(peer: &Peer, stage: &Stage, more: &[&str]) -> Finished {
    let mut command = peer.command();
    s_client(&mut command, stage.proxy.address());
    let roots = peer.shares(&stage.pki.roots());
    command
        .args(["-ign_eof", "-verify_return_error", "-CAfile"])
        .arg(roots)
        .args(more);
    run(&mut command, b"GET / HTTP/1.0\r\n\r\n")
}

fn curl(command: &mut Command, address: SocketAddr) {
    // By name, so that the certificate is checked and SNI sent.
    let port = address.port();
    command.arg("--silent").arg("--show-error").arg("--verbose");
    command
        .arg("--resolve")
        .arg(format!("localhost:{port}:{}", address.ip()));
    command.arg(format!("https://localhost:{port}/"));
}

fn curl_request(peer: &Peer, stage: &Stage) -> Finished {
    let mut command = peer.command();
    command.arg("--cacert").arg(peer.shares(&stage.pki.roots()));
    curl(&mut command, stage.proxy.address());
    run(&mut command, b"")
}

#[test]
fn trixie_openssl_agrees_with_the_record() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    assert!(lists_the_hybrid(&peer, s_client));
    let stage = Stage::fleet();
    let said = openssl_request(&peer, &stage, &[]);
    assert!(said.stdout.contains("through it!"), "{}", said.all());
    assert!(said.stdout.contains("Negotiated TLS1.3 group: X25519MLKEM768"));
    assert!(said.stdout.contains("Peer signature type: mldsa65"));
    assert!(said.stdout.contains("Verify return code: 0 (ok)"));
    let record = stage.record();
    let facts = ["version", "group", "key_exchange", "signature", "safety"].map(|f| &record[f]);
    assert_eq!(facts, ["1.3", HYBRID, "hybrid", "mldsa65", "full"]);
}

#[test]
fn trixie_openssl_agrees_on_every_group() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    assert!(lists_the_hybrid(&peer, s_client));
    // A key of a classical group is shown as such, with that group's own words for it.
    let all = [
        (HYBRID, "Negotiated TLS1.3 group: X25519MLKEM768"),
        ("SecP256r1MLKEM768", "Negotiated TLS1.3 group: SecP256r1MLKEM768"),
        ("SecP384r1MLKEM1024", "Negotiated TLS1.3 group: SecP384r1MLKEM1024"),
        ("MLKEM768", "Negotiated TLS1.3 group: MLKEM768"),
        ("MLKEM1024", "Negotiated TLS1.3 group: MLKEM1024"),
        ("X25519", "Peer Temp Key: X25519, 253 bits"),
        ("secp256r1", "Peer Temp Key: ECDH, prime256v1, 256 bits"),
        ("secp384r1", "Peer Temp Key: ECDH, secp384r1, 384 bits"),
    ];
    let names = all.map(|(name, _)| name);
    let stage = Stage::set(&[Algorithm::EcdsaP256], |_, front| {
        front.site(&format!("tls = {{ groups = {names:?} }}"))
    });
    for (name, line) in all {
        let said = openssl_request(&peer, &stage, &["-groups", name]);
        assert!(said.stdout.lines().any(|l| l == line), "{name}: {}", said.all());
        let record = stage.proxy.record_where(|r| r["group"] == name);
        assert_eq!(record["outcome"], "ok", "{record:#}");
    }
}

#[test]
fn trixie_openssl_proves_itself_with_ml_dsa() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    assert!(lists_the_hybrid(&peer, s_client));
    let stage = Stage::set(&[Algorithm::MlDsa87], |pki, front| {
        let ca = pki.roots();
        front.site(&format!("client_auth = {{ mode = \"required\", ca = {ca:?} }}"))
    });
    let mine = stage.pki.client(Algorithm::MlDsa65);
    let [chain, key] = [&mine.chain, &mine.key].map(|file| peer.shares(file).display().to_string());
    let said = openssl_request(&peer, &stage, &["-cert", &chain, "-cert_chain", &chain, "-key", &key]);
    assert!(said.stdout.contains("through it!"), "{}", said.all());
    let record = stage.record();
    let facts = ["signature", "client_authentication", "client_subject"].map(|f| &record[f]);
    assert_eq!(facts, ["mldsa87", "pq", "CN=agent-7"]);
}

#[test]
fn trixie_curl_agrees_with_the_record() {
    let Some(peer) = Peer::find(Home::Trixie, "curl") else {
        return;
    };
    assert!(lists_the_hybrid(&peer, curl));
    let stage = Stage::fleet();
    let said = curl_request(&peer, &stage);
    assert_eq!(said.stdout, "through it!\n", "{}", said.stderr);
    let negotiated = "SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384 / X25519MLKEM768 / id-ml-dsa-65";
    assert!(said.stderr.contains(negotiated), "{}", said.stderr);
    let record = stage.record();
    let facts = ["cipher", "group", "signature", "safety"].map(|f| &record[f]);
    assert_eq!(facts, ["TLS_AES_256_GCM_SHA384", HYBRID, "mldsa65", "full"]);
}

/// Python's ssl has no call for the group; its message callback shows the ServerHello, and Python reads it itself.
const PYTHON: &str = r#"
import json, socket, ssl, sys
host, port, roots = sys.argv[1:4]
said = {"openssl": ssl.OPENSSL_VERSION}
def look(connection, direction, version, content, message, data):
    if direction == "read" and int(message) == 2:
        at = 4 + 2 + 32
        at += 1 + data[at] + 2 + 1 + 2
        while at < len(data):
            kind, size = int.from_bytes(data[at:at + 2]), int.from_bytes(data[at + 2:at + 4])
            if kind == 51:
                said["group"] = int.from_bytes(data[at + 4:at + 6])
            at += 4 + size
context = ssl.create_default_context(cafile=None if roots == "none" else roots)
context._msg_callback = look
with socket.create_connection((host, int(port)), 30) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as tls:
        said["version"], said["cipher"] = tls.version(), tls.cipher()[0]
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := tls.recv(4096):
            answer += piece
        said["answer"] = answer.decode().splitlines()[-1]
print(json.dumps(said))
"#;

fn python(command: &mut Command, address: SocketAddr) {
    command.arg("-c").arg(PYTHON);
    command.arg(address.ip().to_string()).arg(address.port().to_string());
}

#[test]
fn trixie_python_agrees_with_the_record() {
    let Some(peer) = Peer::find(Home::Trixie, "python3") else {
        return;
    };
    assert!(lists_the_hybrid(&peer, |command, address| {
        python(command, address);
        command.arg("none");
    }));
    let stage = Stage::fleet();
    let mut command = peer.command();
    python(&mut command, stage.proxy.address());
    let finished = run(command.arg(peer.shares(&stage.pki.roots())), b"");
    let said: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.all()));
    let record = stage.record();
    let hybrid = Group::by_name(HYBRID).expect("a group of ours");
    assert_eq!(said["group"], hybrid.id.0);
    assert_eq!([&said["version"], &said["answer"]], ["TLSv1.3", "through it!"]);
    assert_eq!(said["cipher"], record["cipher"]);
    let facts = ["group", "signature", "safety"].map(|f| &record[f]);
    assert_eq!(facts, [HYBRID, "mldsa65", "full"]);
}

const NODE: &str = r#"
const tls = require("tls"), fs = require("fs");
const [host, port, roots] = process.argv.slice(1);
const options = { host, port, servername: "localhost" };
if (roots !== "none") options.ca = fs.readFileSync(roots);
let answer = "";
const socket = tls.connect(options, () => {
  const said = { version: socket.getProtocol(), cipher: socket.getCipher().standardName, key: socket.getEphemeralKeyInfo() };
  socket.on("data", (piece) => (answer += piece));
  socket.on("end", () => console.log(JSON.stringify({ ...said, answer: answer.trim().split("\n").pop() })));
  socket.write("GET / HTTP/1.0\r\n\r\n");
});
socket.on("error", (error) => { console.error(error.message); process.exitCode = 1; });
"#;

fn node(command: &mut Command, address: SocketAddr) {
    command.arg("-e").arg(NODE);
    command.arg(address.ip().to_string()).arg(address.port().to_string());
}

#[test]
fn node_agrees_with_the_record() {
    let Some(peer) = Peer::find(Home::Node, "node") else {
        return;
    };
    assert!(lists_the_hybrid(&peer, |command, address| {
        node(command, address);
        command.arg("none");
    }));
    let stage = Stage::fleet();
    let mut command = peer.command();
    node(&mut command, stage.proxy.address());
    let finished = run(command.arg(peer.shares(&stage.pki.roots())), b"");
    let said: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.all()));
    let record = stage.record();
    assert_eq!(said["key"], serde_json::json!({ "type": "TLSGroup", "name": HYBRID }));
    assert_eq!([&said["version"], &said["answer"]], ["TLSv1.3", "through it!"]);
    assert_eq!(said["cipher"], record["cipher"]);
    let facts = ["group", "signature", "safety"].map(|f| &record[f]);
    assert_eq!(facts, [HYBRID, "mldsa65", "full"]);
}

#[test]
fn this_debian_s_openssl_is_classical_and_served() {
    let Some(peer) = Peer::find(Home::Here, "openssl") else {
        return;
    };
    assert!(!lists_the_hybrid(&peer, s_client), "OpenSSL 3.0 knows no hybrid");
    for (flag, version) in [("-tls1_3", "1.3"), ("-tls1_2", "1.2")] {
        let stage = Stage::fleet();
        let said = openssl_request(&peer, &stage, &[flag]);
        assert!(said.stdout.contains("through it!"), "{}", said.all());
        assert!(said.stdout.contains("Server Temp Key: X25519"), "{}", said.all());
        assert!(said.stdout.contains("Peer signature type: ECDSA"), "{}", said.all());
        let record = stage.record();
        let facts = ["version", "group", "key_exchange", "safety"].map(|f| &record[f]);
        assert_eq!(facts, [version, "X25519", "classical", "none"]);
    }
}

#[test]
fn this_debian_s_curl_is_classical_and_served() {
    let Some(peer) = Peer::find(Home::Here, "curl") else {
        return;
    };
    assert!(!lists_the_hybrid(&peer, curl), "on OpenSSL 3.0 it knows no hybrid");
    let stage = Stage::fleet();
    let said = curl_request(&peer, &stage);
    assert_eq!(said.stdout, "through it!\n", "{}", said.stderr);
    // Version and suite are all that this curl tells; the group stands in the record alone.
    let negotiated = "SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384\n";
    assert!(said.stderr.contains(negotiated), "{}", said.stderr);
    let record = stage.record();
    let facts = ["version", "group", "signature", "safety"].map(|f| &record[f]);
    assert_eq!(facts, ["1.3", "X25519", "ecdsa_secp256r1_sha256", "none"]);
}

#[test]
fn require_turns_the_classical_world_away_and_lets_trixie_in() {
    let Some(old) = Peer::find(Home::Here, "openssl") else {
        return;
    };
    let Some(new) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    assert!(!lists_the_hybrid(&old, s_client));
    assert!(lists_the_hybrid(&new, s_client));
    let stage = Stage::set(&[Algorithm::MlDsa65, Algorithm::EcdsaP256], |_, front| {
        front.site(r#"policy = { key_exchange = "require" }"#)
    });
    let said = openssl_request(&old, &stage, &[]);
    assert!(!said.status.success());
    assert!(said.all().contains("SSL alert number 71"), "{}", said.all());
    assert_eq!(stage.upstream.connections(), 0, "the backend saw nothing");
    let said = openssl_request(&new, &stage, &[]);
    assert!(said.stdout.contains("through it!"), "{}", said.all());
    let records = stage.proxy.all_records();
    let count = |outcome: &str| records.iter().filter(|record| record["outcome"] == outcome).count();
    assert_eq!(
        [count("refused"), count("ok"), records.len()],
        [1, 1, 2],
        "{records:#?}"
    );
}

/// The page at `/`, as Chromium shows it. It takes the leaf of `trusted` for a good one, whoever issued it.
fn browse(peer: &Peer, stage: &Stage, trusted: Algorithm) -> Finished {
    let mut command = headless(peer, &stage.pki, trusted);
    command
        .arg("--dump-dom")
        .arg(format!("https://localhost:{}/", stage.proxy.address().port()));
    // `run` ends it after PATIENCE by its own process
    run(&mut command, b"")
}

#[test]
fn chromium_gets_the_certificate_it_can_use() {
    let Some(peer) = Peer::find(Home::Browser, "chromium") else {
        return;
    };
    let stage = Stage::set(&[Algorithm::EcdsaP256, Algorithm::MlDsa65], |_, front| front);
    let said = browse(&peer, &stage, Algorithm::EcdsaP256);
    assert!(said.stdout.contains("through it!"), "{}", said.all());
    let record = stage.proxy.record_where(|record| record["bytes_out"] != 0);
    let facts = ["version", "group", "key_exchange", "signature"].map(|f| &record[f]);
    assert_eq!(facts, ["1.3", HYBRID, "hybrid", "ecdsa_secp256r1_sha256"]);
}

#[test]
fn chromium_refuses_a_private_ml_dsa_chain_and_the_record_says_so() {
    let Some(peer) = Peer::find(Home::Browser, "chromium") else {
        return;
    };
    let stage = Stage::fleet();
    let said = browse(&peer, &stage, Algorithm::EcdsaP256);
    assert!(!said.stdout.contains("through it!"), "{}", said.all());
    let record = stage
        .proxy
        .record_where(|record| record["alert_in"] == "certificate_unknown");
    let error = record["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("the client refused the ML-DSA chain"), "{record:#}");
    assert_eq!([&record["fault"], &record["stage"]], ["client", "handshake"]);
    let offered = record["offered_groups"].as_array().expect("a list");
    assert!(offered.iter().any(|group| group == HYBRID), "{record:#}");
    assert_eq!(stage.upstream.connections(), 0, "the backend saw nothing");
}

/// Lines of `-msg` that tell of a compressed certificate, in one direction.
fn compressed(said: &Finished, direction: &str) -> usize {
    let tells = |line: &&str| line.starts_with(direction) && line.ends_with("CompressedCertificate");
    said.stdout.lines().filter(tells).count()
}

#[test]
fn trixie_openssl_gets_and_sends_compressed_chains() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    let asking = |pki: &Pki, front: Front| {
        let ca = pki.roots();
        front.site(&format!("client_auth = {{ mode = \"required\", ca = {ca:?} }}"))
    };
    let stage = Stage::set(&[Algorithm::Rsa], asking);
    let client = stage.pki.client(Algorithm::EcdsaP256);
    let (chain, key) = (peer.shares(&client.chain), peer.shares(&client.key));
    let [chain, key] = [&chain, &key].map(|file| file.to_str().expect("UTF-8"));
    let shown = ["-cert", chain, "-cert_chain", chain, "-key", key, "-msg"];
    let bytes = |more: &[&str]| {
        let said = openssl_request(&peer, &stage, &[&shown, more].concat());
        assert!(said.stdout.contains("through it!"), "{}", said.all());
        let seen = [compressed(&said, "<<<"), compressed(&said, ">>>")];
        let record = stage.proxy.all_records().pop().expect("its record");
        let bytes = ["handshake_bytes_out", "handshake_bytes_in"].map(|field| record[field].as_u64());
        (seen, bytes.map(|bytes| bytes.expect("a number")))
    };
    let (seen, [sent, received]) = bytes(&[]);
    assert_eq!(seen, [1, 1]);
    let (seen, [sent_whole, received_whole]) = bytes(&["-no_rx_cert_comp", "-no_tx_cert_comp"]);
    assert_eq!(seen, [0, 0]);
    assert!(sent < sent_whole, "{sent} of {sent_whole}");
    assert!(received < received_whole, "{received} of {received_whole}");
}

#[test]
fn our_client_takes_a_chain_that_trixie_openssl_compressed() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    let pki = Pki::new();
    let files = pki.server(Algorithm::EcdsaP256);
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let address = free.expect("a free port");
    let mut command = peer.command();
    command.args(["s_server", "-www", "-naccept", "1", "-msg", "-cert_comp", "-accept"]);
    command
        .arg(address.to_string())
        .arg("-cert")
        .arg(peer.shares(&files.chain));
    command.arg("-cert_chain").arg(peer.shares(&files.chain));
    command.arg("-key").arg(peer.shares(&files.key));
    let serving = thread::spawn(move || run(&mut command, b""));
    let roots = certificates_from_pem(&fs::read(&files.root).expect("a root of ours")).expect("a certificate");
    let client = OurClient::build(ClientSpec {
        versions: vec![Version::Tls13],
        groups: vec![Group::by_name(HYBRID).expect("a group of ours").id],
        schemes: None,
        trust: Trust::Roots(roots.into_iter().map(|(der, _)| der).collect()),
        identity: None,
        alpn: Vec::new(),
        resumption: 0,
    });
    let client = client.expect("a client");
    let mut connection = client
        .connect("localhost".try_into().expect("a name"))
        .expect("a client");
    let mut socket = arrive(address);
    let mut stream = Stream::new(&mut connection.tls, &mut socket);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a handshake");
    let mut page = Vec::new();
    // it may leave without a word once the page is sent
    let _ = stream.read_to_end(&mut page);
    assert!(page.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&page));
    assert!(!connection.peer_chain().is_empty());
    drop(socket);
    let said = serving.join().expect("it only runs a program");
    assert_eq!(compressed(&said, ">>>"), 1, "{}", said.all());
}

/// Connects to somebody who may take a moment until he listens.
fn arrive(address: SocketAddr) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(socket) => return socket,
            Err(_) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn chromium_gets_a_compressed_chain() {
    let Some(peer) = Peer::find(Home::Browser, "chromium") else {
        return;
    };
    let bytes = |setting: &str| {
        let stage = Stage::set(&[Algorithm::Rsa], |_, front| {
            front.site(&format!("tls = {{ certificate_compression = {setting} }}"))
        });
        let said = browse(&peer, &stage, Algorithm::Rsa);
        assert!(said.stdout.contains("through it!"), "{}", said.all());
        // once it has its page it closes as it likes, which may be a reset
        let record = stage.proxy.record_where(|record| record["bytes_out"] != 0);
        record["handshake_bytes_out"].as_u64().expect("a number")
    };
    // it offers brotli alone, and RSA's signatures are all of one length
    let (compressed, whole) = (bytes("true"), bytes("false"));
    assert!(compressed + 100 < whole, "{compressed} of {whole}");
}

#[test]
fn a_key_that_the_openssl_command_encrypted_serves() {
    for (home, algorithm) in [(Home::Here, "ED25519"), (Home::Trixie, "ML-DSA-65")] {
        let Some(peer) = Peer::find(home, "openssl") else {
            return;
        };
        let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
        let openssl = |args: &[&str], input: &str| {
            let said = run(peer.command().args(args), input.as_bytes());
            assert!(said.status.success(), "{}", said.all());
            said.stdout
        };
        let genpkey = ["genpkey", "-algorithm", algorithm, "-aes256", "-pass", "pass:sesame"];
        let key = openssl(&genpkey, "");
        assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{key}");
        let shared = peer.shares(&pki.write("a.key", &key));
        let shared = shared.to_str().expect("UTF-8");
        let request = ["req", "-x509", "-key", shared, "-passin", "pass:sesame"];
        let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
        let chain = openssl(&[&request[..], &subject].concat(), "");
        let opened = openssl(&["pkey", "-passin", "pass:sesame"], &key);
        let anew = openssl(&["pkcs8", "-topk8", "-passout", "pass:barley"], &opened);
        for (key, passphrase) in [(&key, "sesame\n"), (&anew, "barley\n")] {
            let files = [("a.pem", &*chain), ("a.key", key), ("a.pass", passphrase)];
            let [chain, key, pass] = files.map(|(name, text)| pki.write(name, text));
            let entry = format!("{{ chain = {chain:?}, key = {key:?}, passphrase_file = {pass:?} }}");
            let front = Front::new(&[], upstream.address()).site(&format!("certificates = [{entry}]"));
            let proxy = Proxy::start(&front.toml());
            let mut conversation = Client::new(Offer::default())
                .connect(proxy.address())
                .expect("a handshake");
            conversation.echo(b"unlocked");
        }
    }
}

#[test]
fn trixie_openssl_gets_a_raw_public_key_where_it_asks_for_one() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    let stage = Stage::set(&[Algorithm::MlDsa65], |_, front| {
        front.site("tls = { raw_public_keys = true }")
    });
    let bytes = |more: &[&str]| {
        let mut command = peer.command();
        s_client(&mut command, stage.proxy.address());
        command.args(["-ign_eof", "-showcerts"]).args(more);
        let said = run(&mut command, b"GET / HTTP/1.0\r\n\r\n");
        assert!(said.stdout.contains("through it!"), "{}", said.all());
        let record = stage.proxy.all_records().pop().expect("its record");
        assert_eq!(record["signature"], "mldsa65", "{record:#}");
        let sent = record["handshake_bytes_out"].as_u64().expect("a number");
        (said.stdout, sent)
    };
    let (chain, sent_chain) = bytes(&[]);
    let (raw, sent) = bytes(&["-enable_server_rpk"]);
    let pem = fs::read(stage.pki.server(Algorithm::MlDsa65).chain).expect("a chain of ours");
    let leaf = openssl::x509::X509::from_pem(&pem).expect("a certificate");
    let key = leaf.public_key().and_then(|key| key.public_key_to_der());
    let key: Vec<String> = key.expect("a public key").iter().map(|b| format!("{b:02x}")).collect();
    assert!(raw.contains("Server-to-client raw public key negotiated"), "{raw}");
    // it prints the key's 1952 bytes in hexadecimal, with colons and in lines
    let printed: String = raw.split_whitespace().collect();
    assert!(printed.contains(&key[key.len() - 1952..].join(":")), "{raw}");
    assert!(chain.contains("BEGIN CERTIFICATE") && !raw.contains("BEGIN CERTIFICATE"));
    // both certificates bear a signature of 3309 bytes
    assert!(sent + 2 * 3309 < sent_chain, "{sent} of {sent_chain}");
}

/// Those of the private root, whose versions stay as they are; the machine's own may be newer than the table.
#[test]
fn the_fingerprints_that_report_knows_are_those_that_clients_have() {
    let [Some(python), Some(_), Some(_)] = [
        Peer::find(Home::Tool, "python3"),
        Peer::find(Home::Trixie, "tshark"),
        Peer::find(Home::Trixie, "firefox-esr"),
    ] else {
        return;
    };
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let made = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut command = python.command();
    command
        .arg(format!("{repository}/tests/corpus/known.py"))
        .args(["--keep-going", "--root"])
        .arg(folder().join("trixie"))
        .arg("--node")
        .arg(folder().join("node/bin/node"))
        .arg("--out")
        .arg(made.path());
    // it bounds each client by itself, and all of them may take longer than any one program
    let finished = command.output().expect("python3 runs");
    let (said, complained) = [&finished.stdout, &finished.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .into();
    assert!(finished.status.success(), "{said}{complained}");
    let table = format!("{repository}/crates/proxy/src/report/clients.tsv");
    let table = fs::read_to_string(table).expect("the table");
    let names = [
        "OpenSSL 3.5",
        "curl 8.14",
        "Python 3.13",
        "Java 21",
        "GnuTLS 3.8",
        "wget 1.25",
        "NSS 3.110",
        "Firefox 140",
        "psql 17",
    ];
    for name in names {
        let seen = said.lines().filter_map(|line| {
            let (called, ja4) = line.split_once(" (root): ")?;
            (called == name).then_some(ja4)
        });
        let seen: Vec<&str> = seen.collect();
        assert!(!seen.is_empty(), "{name}: {said}{complained}");
        for ja4 in seen {
            assert!(table.contains(&format!("\n{ja4}\t{name}\n")), "{name}: {ja4}");
        }
    }
    // what was not there keeps its lines, so that none is lost
    let made = fs::read_to_string(made.path()).expect("the new table");
    let lost: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("\tOpenSSL 3.5") && !made.contains(line))
        .collect();
    assert_eq!(lost, Vec::<&str>::new());
}
