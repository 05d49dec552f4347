//! The library as its users have it: its examples, run with OpenSSL as their client, and what may be asked of it.
use portcullis_e2e::{
    client::{Client, Offer},
    front::Front,
    pki::{Algorithm, Files, Pki},
    process::{Process, example},
    upstream::{Manner, Upstream},
};
use portcullis_proxy::{ReloadError, Running, Shutdown, config::Source, plan::Address, start};
use rustix::process::Signal;
use std::{fs, io, net::SocketAddr, path::Path};

struct Lab {
    pki: Pki,
    backend: Upstream,
}

impl Lab {
    fn new() -> Lab {
        Lab {
            pki: Pki::new(),
            backend: Upstream::start(Manner::Echo),
        }
    }

    fn target(&self) -> String {
        self.backend.address().to_string()
    }

    /// OpenSSL says the group, the signature and what comes back.
    fn asks(&self, address: SocketAddr, offer: Offer) -> (String, String) {
        let connected = Client::new(offer.trusting(self.pki.roots())).connect(address);
        let mut conversation = connected.unwrap_or_else(|failed| panic!("{failed}"));
        conversation.echo(b"through the library");
        let seen = conversation.seen();
        conversation.close();
        (seen.group.unwrap_or_default(), seen.signature.unwrap_or_default())
    }
}

fn listening(process: &Process) -> SocketAddr {
    let line = process.line("listening on ");
    let address = line.rsplit(' ').next().expect("a line has a last word");
    address.parse().expect("an address of the network")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in ASCII")
}

const HYBRID: &str = "X25519MLKEM768";

#[test]
fn the_example_of_a_sidecar_serves_until_its_input_ends() {
    let lab = Lab::new();
    let Files { chain, key, .. } = lab.pki.server(Algorithm::MlDsa65);
    let mut command = example("sidecar");
    command.args(["127.0.0.1:0", &lab.target(), text(&chain), text(&key)]);
    let mut process = Process::spawn_waiting(command);
    let asked = lab.asks(listening(&process), Offer::default());
    assert_eq!(asked, (HYBRID.to_owned(), "mldsa65".to_owned()));
    process.end_input();
    let (status, said) = process.end();
    assert!(status.success(), "{said:#?}");
    assert!(!example("sidecar").output().expect("it runs").status.success());
}

#[test]
fn the_example_with_a_file_reloads_and_drains_by_signals() {
    let lab = Lab::new();
    let file = lab.pki.roots().with_file_name("portcullis.toml");
    let front =
        |algorithm| Front::new(&[lab.pki.server(algorithm)], lab.backend.address()).top("admin = { listen = \"off\" }");
    fs::write(&file, front(Algorithm::MlDsa65).toml()).expect("the folder takes a file");
    let mut command = example("from_file");
    command.arg(&file);
    let process = Process::spawn(command);
    let address = listening(&process);
    assert_eq!(lab.asks(address, Offer::default()).1, "mldsa65");
    fs::write(&file, front(Algorithm::EcdsaP256).toml()).expect("the folder takes a file");
    process.signal(Signal::HUP);
    process.event("reloaded");
    assert_eq!(lab.asks(address, Offer::default()).1, "ecdsa_secp256r1_sha256");
    process.signal(Signal::TERM);
    let (status, said) = process.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn the_example_with_the_environment_takes_it() {
    let lab = Lab::new();
    let Files { chain, key, .. } = lab.pki.server(Algorithm::MlDsa65);
    let mut command = example("from_environment");
    command
        .env("PORTCULLIS_LISTEN", "127.0.0.1:0")
        .env("PORTCULLIS_TARGET", lab.target())
        .env("PORTCULLIS_CERT", &chain)
        .env("PORTCULLIS_KEY", &key)
        .env("PORTCULLIS_GROUPS", "SecP384r1MLKEM1024")
        .env("PORTCULLIS_ADMIN", "off");
    let process = Process::spawn(command);
    let (group, _) = lab.asks(listening(&process), Offer::groups("SecP384r1MLKEM1024"));
    assert_eq!(group, "SecP384r1MLKEM1024");
    process.signal(Signal::TERM);
    let (status, said) = process.end();
    assert!(status.success(), "{said:#?}");
}

#[test]
fn the_example_with_two_certificates_tells_who_got_which() {
    let lab = Lab::new();
    let [pq, classical] = [Algorithm::MlDsa65, Algorithm::EcdsaP256].map(|algorithm| lab.pki.server(algorithm));
    let mut command = example("dual_certificates");
    command
        .arg(lab.target())
        .args([&pq.chain, &pq.key, &classical.chain, &classical.key]);
    let mut process = Process::spawn_waiting(command);
    let address = listening(&process);
    let modern = lab.asks(address, Offer::default());
    assert_eq!(modern, (HYBRID.to_owned(), "mldsa65".to_owned()));
    process.line("X25519MLKEM768, authentication pq");
    let old = lab.asks(address, Offer::groups("X25519").signatures("ecdsa_secp256r1_sha256"));
    assert_eq!(old, ("x25519".to_owned(), "ecdsa_secp256r1_sha256".to_owned()));
    process.line("X25519, authentication classical");
    process.end_input();
    assert!(process.end().0.success());
}

/// A proxy in this process, configured in code.
fn in_code(lab: &Lab, algorithm: Algorithm) -> Source {
    to(lab, lab.target(), algorithm)
}

fn to(lab: &Lab, target: impl Into<String>, algorithm: Algorithm) -> Source {
    let Files { chain, key, .. } = lab.pki.server(algorithm);
    Source::default()
        .flag("listen", "127.0.0.1:0")
        .flag("target", target)
        .flag("cert", text(&chain))
        .flag("key", text(&key))
        .flag("admin", "off")
}

fn run(config: Source) -> Running {
    let source = portcullis_proxy::Source {
        config,
        output: Some(Box::new(io::sink())),
        ..portcullis_proxy::Source::default()
    };
    start(source, Shutdown::Handle).unwrap_or_else(|error| panic!("{error}"))
}

fn address(running: &Running) -> SocketAddr {
    match &running.addresses()[..] {
        [(_, Address::Ip(address))] => *address,
        other => panic!("one listener on the network, not {other:?}"),
    }
}

#[test]
fn a_proxy_in_code_switches_to_another_configuration_and_back_from_none() {
    let lab = Lab::new();
    let running = run(in_code(&lab, Algorithm::MlDsa65));
    let before = address(&running);
    assert_ne!(before.port(), 0);
    assert!(running.is_ready());
    let broken = in_code(&lab, Algorithm::EcdsaP256).flag("groups", "nonsense");
    assert!(matches!(running.switch(broken), Err(ReloadError::Rejected(_))));
    assert_eq!(lab.asks(before, Offer::default()).1, "mldsa65");
    // what was refused is not what is read again
    running.reload().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lab.asks(before, Offer::default()).1, "mldsa65");
    // a name that nothing before had asked for
    let named = lab.target().replace("127.0.0.1", "localhost");
    let other = running.switch(to(&lab, named, Algorithm::EcdsaP256));
    other.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        lab.asks(address(&running), Offer::default()).1,
        "ecdsa_secp256r1_sha256"
    );
    running.reload().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        lab.asks(address(&running), Offer::default()).1,
        "ecdsa_secp256r1_sha256"
    );
    running.drain();
    running.wait();
}

#[test]
fn a_proxy_may_be_asked_from_an_event_loop_and_two_live_side_by_side() {
    let lab = Lab::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an event loop");
    runtime.block_on(async {
        let both = [Algorithm::MlDsa65, Algorithm::EcdsaP256].map(|algorithm| run(in_code(&lab, algorithm)));
        let signatures = both.each_ref().map(|running| {
            running.reload().unwrap_or_else(|error| panic!("{error}"));
            lab.asks(address(running), Offer::default()).1
        });
        assert_eq!(signatures, ["mldsa65", "ecdsa_secp256r1_sha256"]);
        both.iter().for_each(Running::drain);
        assert!(
            both.iter()
                .all(|running| matches!(running.reload(), Err(ReloadError::Ending)))
        );
        assert!(!both.iter().any(Running::is_ready));
    });
}
