//! `--key-log`: what it holds is what the client holds, and an unusable file stops everything.
use crate::{both, eventually};
use portcullis_e2e::{
    client::{Client, Offer, Versions},
    front::Front,
    pki::{Algorithm, Holder, Pki, credentials},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_proxy::{ReloadError, StartError};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const NO_CLIENTS: &str = "";
/// Then each connection has a configuration of its own.
const CLIENTS: &str = "client_auth = { mode = 'optional', ca = ROOTS }";

/// A proxy with a key log in the folder of its certificates.
struct Logged {
    pki: Pki,
    _upstream: Upstream,
    toml: String,
    proxy: Proxy,
    file: PathBuf,
}

impl Logged {
    fn start(clients: &str) -> Logged {
        let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
        let front = Front::new(&both(&pki), upstream.address());
        let ca = format!("{:?}", pki.roots());
        let toml = front.site(&clients.replace("ROOTS", &ca)).toml();
        let file = pki.folder().join("keys.log");
        let proxy = start(&toml, &file).unwrap_or_else(|error| panic!("{error}"));
        Logged {
            pki,
            _upstream: upstream,
            toml,
            proxy,
            file,
        }
    }

    fn lines(&self) -> Vec<String> {
        self.proxy.running().flush_log();
        lines(&self.file)
    }
}

fn start(toml: &str, file: &Path) -> Result<Proxy, StartError> {
    Proxy::start_with(toml, &[("key-log", file.to_str().expect("UTF-8"))])
}

/// In order: either side has its own.
fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("the key log is there");
    sorted(text.lines().map(str::to_owned).collect())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn the_key_log_holds_the_lines_that_the_client_holds() {
    for clients in [NO_CLIENTS, CLIENTS] {
        compare(&Logged::start(clients));
    }
}

fn compare(logged: &Logged) {
    let offers = [
        ("1.3", Offer::default().versions(Versions::Only13)),
        ("1.2", Offer::default().versions(Versions::Only12)),
        ("retry", Offer::groups("*X25519:X25519MLKEM768")),
        (
            "client certificate",
            Offer::default().presenting(logged.pki.client(Algorithm::EcdsaP256)),
        ),
    ];
    let mut all = Vec::new();
    for (what, offer) in offers {
        let client = Client::new(offer);
        let mut conversation = client.connect(logged.proxy.address()).expect("a handshake");
        conversation.echo(b"secret");
        conversation.close();
        let wanted = if what == "1.2" { 1 } else { 5 };
        assert_eq!(client.secrets().len(), wanted, "{what}");
        all.extend(client.secrets());
        assert_eq!(logged.lines(), sorted(all.clone()), "{what}");
    }
    assert_eq!(logged.proxy.metrics()["portcullis_log_dropped_total"], 0.0);
}

#[test]
fn the_key_log_is_its_owners_alone_and_is_warned_of() {
    let logged = Logged::start(NO_CLIENTS);
    let mode = fs::metadata(&logged.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let said = format!("whoever reads {:?} can decrypt all traffic", logged.file);
    let warned = logged.proxy.lines(&said);
    assert_eq!(warned.len(), 1);
    assert_eq!(
        (&warned[0]["level"], &warned[0]["at"]),
        (&"warn".into(), &"--key-log".into())
    );
}

#[test]
fn a_reload_makes_the_file_anew_and_appends_to_one_that_is_there() {
    let logged = Logged::start(NO_CLIENTS);
    let connect = || {
        let client = Client::new(Offer::default());
        client.connect(logged.proxy.address()).unwrap().echo(b"x");
        client.secrets()
    };
    let mut first = connect();
    assert_eq!(logged.lines(), sorted(first.clone()));
    logged.proxy.reload(&logged.toml).unwrap();
    first.extend(connect());
    eventually("lines of both", || logged.lines() == sorted(first.clone()));
    let moved = logged.pki.folder().join("keys.old");
    fs::rename(&logged.file, &moved).unwrap();
    logged.proxy.reload(&logged.toml).unwrap();
    let second = connect();
    assert_eq!(logged.lines(), sorted(second));
    assert_eq!(lines(&moved), sorted(first));
}

#[test]
fn files_that_change_leave_the_key_log_as_it_is() {
    let logged = Logged::start(NO_CLIENTS);
    let connect = || {
        let client = Client::new(Offer::default());
        let mut conversation = client.connect(logged.proxy.address()).expect("a handshake");
        conversation.echo(b"x");
        (conversation.seen().signature, client.secrets())
    };
    let (_, mut all) = connect();
    let files = logged.pki.server(Algorithm::MlDsa65);
    let made = credentials(Algorithm::MlDsa44, Holder::Server);
    for (file, text) in [(&files.chain, &made.chain), (&files.key, &made.key)] {
        fs::write(file, text).expect("the file takes it");
    }
    logged.proxy.running().refresh().expect("it runs");
    let (scheme, secrets) = connect();
    assert_eq!(scheme.as_deref(), Some("mldsa44"), "the site was built again");
    all.extend(secrets);
    eventually("lines of both", || logged.lines() == sorted(all.clone()));
}

#[test]
fn a_key_log_that_cannot_be_written_is_an_error_that_names_the_flag() {
    let logged = Logged::start(NO_CLIENTS);
    let folder = logged.pki.folder();
    let error = start(&logged.toml, folder).err().expect("a folder is no file");
    let told = format!("--key-log: {}: ", folder.display());
    assert!(error.to_string().starts_with(&told), "{error}");
    assert!(matches!(error, StartError::File { .. }));
    fs::remove_file(&logged.file).unwrap();
    fs::create_dir(&logged.file).unwrap();
    let refused = logged.proxy.reload(&logged.toml).unwrap_err();
    assert!(matches!(
        refused,
        ReloadError::Rejected(StartError::File { key: "--key-log", .. })
    ));
}
