//! How sessions are kept: tickets, a store, a secret of several processes.
use crate::eventually;
use portcullis_e2e::{
    client::{Client, Offer, Session, Versions},
    front::Front,
    pki::{Algorithm, Pki},
    process::{Process, portcullis},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_proxy::StartError;
use std::net::SocketAddr;

const SECRET: &str = "a secret of thirty-two bytes: 0123456789";
const OTHER: &str = "another secret of thirty-two bytes: 01234";

/// A site of one name that resumes as this line says.
struct Fleet {
    pki: Pki,
    upstream: Upstream,
}

impl Fleet {
    fn new() -> Fleet {
        Fleet {
            pki: Pki::new(),
            upstream: Upstream::start(Manner::Echo),
        }
    }

    fn toml(&self, resumption: &str) -> String {
        let files = self.pki.server(Algorithm::EcdsaP256);
        let front = Front::new(&[files], self.upstream.address());
        front
            .site(&format!("tls = {{ resumption = {{ {resumption} }} }}"))
            .toml()
    }

    fn sharing(&self, secret: &str, content: &str) -> String {
        let path = self.pki.write(secret, content);
        self.toml(&format!("secret_file = {path:?}"))
    }

    /// The binary, in a process of its own.
    fn instance(&self, toml: &str, name: &str) -> (Process, SocketAddr) {
        let file = self.pki.write(name, toml);
        let command = portcullis(&["serve", "-c", file.to_str().expect("UTF-8")]);
        let process = Process::serve(command);
        let address = process.address("front");
        (process, address)
    }
}

fn client(versions: Versions) -> Client {
    Client::new(Offer::default().versions(versions))
}

fn session(client: &Client, address: SocketAddr) -> Session {
    let mut conversation = client.connect(address).expect("a handshake");
    conversation.echo(b"tickets come along");
    conversation.close();
    client.session().expect("a session came")
}

fn resumes(client: &Client, address: SocketAddr, session: &Session) -> bool {
    let mut conversation = client.resume(address, session).expect("a handshake");
    conversation.echo(b"resumed or not");
    let seen = conversation.seen();
    conversation.close();
    seen.resumed
}

#[test]
fn processes_with_one_secret_resume_each_others_sessions_and_others_do_not() {
    let fleet = Fleet::new();
    let shared = fleet.sharing("tickets.secret", SECRET);
    let (_one, one) = fleet.instance(&shared, "one.toml");
    let (_two, two) = fleet.instance(&shared, "two.toml");
    let (_three, three) = fleet.instance(&fleet.sharing("other.secret", OTHER), "three.toml");
    let client = client(Versions::Only13);
    for (from, to, resumed) in [
        (one, two, true),
        (two, one, true),
        (one, three, false),
        (three, two, false),
    ] {
        let ticket = session(&client, from);
        assert_eq!(resumes(&client, to, &ticket), resumed, "{from} to {to}");
    }
}

#[test]
fn no_tls_12_session_leaves_its_process_through_a_shared_secret() {
    let fleet = Fleet::new();
    let shared = fleet.sharing("tickets.secret", SECRET);
    let (one, two) = (Proxy::start(&shared), Proxy::start(&shared));
    let client = client(Versions::Only12);
    let kept = session(&client, one.address());
    assert!(!resumes(&client, two.address(), &kept));
    assert!(resumes(&client, one.address(), &kept), "where it began it does");
}

#[test]
fn a_changed_secret_is_taken_without_a_signal_and_ends_old_sessions() {
    let fleet = Fleet::new();
    let shared = fleet.sharing("tickets.secret", SECRET);
    let (one, two) = (Proxy::start(&shared), Proxy::start(&shared));
    let client = client(Versions::Only13);
    // OpenSSL offers a session once
    let [old, older, oldest] = [(); 3].map(|()| session(&client, one.address()));
    assert!(resumes(&client, two.address(), &oldest));
    fleet.pki.write("tickets.secret", "too short");
    let failed = |proxy: &Proxy| proxy.metric("portcullis_files_failed", &[]);
    eventually("the short secret is seen", || failed(&one) == 1.0);
    assert!(resumes(&client, one.address(), &older), "the last good one stays");
    fleet.pki.write("tickets.secret", OTHER);
    let applied = |proxy: &Proxy| proxy.metric("portcullis_files_refreshed_total", &["applied"]) == 1.0;
    eventually("the new secret", || applied(&one) && applied(&two));
    assert!(!resumes(&client, one.address(), &old));
    let new = session(&client, one.address());
    assert!(resumes(&client, two.address(), &new));
    assert_eq!(failed(&one), 0.0);
}

#[test]
fn a_short_or_missing_secret_stops_the_start() {
    let fleet = Fleet::new();
    let missing = fleet.pki.folder().join("missing.secret");
    let short = fleet.sharing("tickets.secret", "thirty-one bytes are not enough");
    for (toml, wanted) in [
        (short, "has 31 bytes, 32 at least"),
        (fleet.toml(&format!("secret_file = {missing:?}")), "no such file"),
    ] {
        let Err(StartError::Config(problems)) = Proxy::try_start(&toml) else {
            panic!("it starts with {toml}");
        };
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(wanted), "{problems:?}");
        assert!(
            problems[0].message.contains(".secret"),
            "it names the file: {problems:?}"
        );
    }
}

#[test]
fn no_tickets_means_no_resumption_in_any_version() {
    let fleet = Fleet::new();
    let proxy = Proxy::start(&fleet.toml("tickets = 0"));
    for versions in [Versions::Only13, Versions::Only12] {
        let client = client(versions);
        let mut conversation = client.connect(proxy.address()).expect("a handshake");
        conversation.echo(b"no ticket comes along");
        conversation.close();
        if let Some(session) = client.session() {
            assert!(!resumes(&client, proxy.address(), &session), "{versions:?}");
        }
    }
}

#[test]
fn a_store_keeps_as_many_sessions_as_it_is_told() {
    let fleet = Fleet::new();
    let roots = fleet.pki.roots();
    let front = Front::new(&[fleet.pki.server(Algorithm::EcdsaP256)], fleet.upstream.address());
    let store = |cache: usize| {
        let tls = format!("tls = {{ resumption = {{ tickets = 1, cache = {cache} }} }}");
        let mutual = format!("client_auth = {{ mode = \"optional\", ca = {roots:?} }}");
        Proxy::start(&front.clone().site(&tls).site(&mutual).toml())
    };
    for (cache, survives) in [(4, false), (64, true)] {
        let proxy = store(cache);
        let client = client(Versions::Only13);
        let first = session(&client, proxy.address());
        for _ in 0..16 {
            session(&client, proxy.address());
        }
        assert_eq!(
            resumes(&client, proxy.address(), &first),
            survives,
            "a store of {cache}"
        );
    }
}
