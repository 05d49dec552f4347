//! Files that change under a running proxy: taken without a signal, and only when they are whole.
use crate::{Stage, eventually};
use portcullis_e2e::{
    client::{Client, Offer},
    front::{Front, certificates},
    pki::{Algorithm, Files, Holder, Pki, credentials},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The scheme that a name's certificate signs with, as OpenSSL sees it.
fn scheme(proxy: &Proxy, name: &str) -> String {
    let client = Client::new(Offer::default().named(name));
    let mut conversation = client.connect(proxy.address()).expect("a handshake");
    conversation.echo(b"good day");
    conversation.seen().signature.expect("a full handshake")
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("a name in UTF-8")
}

/// One site on one ECDSA pair, whose files a test may change.
fn one_site() -> (Pki, Upstream, Files, Proxy) {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let files = pki.server(Algorithm::EcdsaP256);
    let proxy = Proxy::start(&Front::new(std::slice::from_ref(&files), upstream.address()).toml());
    (pki, upstream, files, proxy)
}

fn failed(proxy: &Proxy) -> f64 {
    proxy.metric("portcullis_files_failed", &["site=\"site\""])
}

#[test]
fn a_renamed_pair_is_taken_without_a_signal_and_open_connections_go_on() {
    let (pki, _upstream, files, proxy) = one_site();
    let mut held = Client::new(Offer::default())
        .connect(proxy.address())
        .expect("a handshake");
    let made = credentials(Algorithm::MlDsa44, Holder::Server);
    pki.write(name(&files.chain), &made.chain);
    pki.write(name(&files.key), &made.key);
    eventually("the new certificate", || scheme(&proxy, "a.test") == "mldsa44");
    held.echo(b"before and after");
    held.close();
    assert_eq!(proxy.metric("portcullis_files_refreshed_total", &["applied"]), 1.0);
    assert_eq!(proxy.metric("portcullis_reloads_total", &[]), 0.0);
    let expiry = "portcullis_certificate_not_after_timestamp_seconds";
    assert!(proxy.metric(expiry, &["algorithm=\"ML-DSA-44\""]) > 0.0);
    assert_eq!(proxy.metric(expiry, &["ECDSA"]), 0.0);
}

#[test]
fn a_key_before_its_chain_and_a_half_written_file_keep_the_last_good_pair() {
    let (pki, _upstream, files, proxy) = one_site();
    let made = credentials(Algorithm::Ed25519, Holder::Server);
    pki.write(name(&files.key), &made.key);
    eventually("the pair that does not fit is seen", || failed(&proxy) == 1.0);
    assert_eq!(scheme(&proxy, "a.test"), "ecdsa_secp256r1_sha256");
    let half = made.chain.split_at(made.chain.len() / 3).0;
    fs::write(&files.chain, half).expect("the file takes it");
    let told = || proxy.lines("changed file is of no use, the last good one stays");
    eventually("the half is seen", || told().len() == 2);
    assert_eq!(scheme(&proxy, "a.test"), "ecdsa_secp256r1_sha256");
    proxy.running().refresh().expect("it runs");
    fs::write(&files.chain, &made.chain).expect("the file takes it");
    eventually("the whole pair", || scheme(&proxy, "a.test") == "ed25519");
    assert_eq!(failed(&proxy), 0.0);
    let told = told();
    assert_eq!(told.len(), 2, "each change is told once: {told:#?}");
    assert!(told.iter().all(|line| line["level"] == "error"));
    assert!(told[0]["error"].as_str().expect("a text").contains(name(&files.key)));
    assert!(told[0]["at"].as_str().expect("a text").contains("portcullis.toml:"));
}

#[test]
fn a_broken_site_keeps_its_certificate_while_others_are_renewed() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let (one, two) = (pki.server(Algorithm::EcdsaP256), pki.server(Algorithm::EcdsaP384));
    let second = certificates(std::slice::from_ref(&two));
    let front = Front::new(std::slice::from_ref(&one), upstream.address())
        .site(r#"names = ["a.test"]"#)
        .more(&format!(
            "[[site]]\nname = \"two\"\nnames = [\"b.test\"]\n{second}\nupstream = \"back\""
        ));
    let proxy = Proxy::start(&front.toml());
    fs::remove_file(&one.chain).expect("it was there");
    let made = credentials(Algorithm::MlDsa65, Holder::Server);
    pki.write(name(&two.chain), &made.chain);
    pki.write(name(&two.key), &made.key);
    eventually("the second site's certificate", || {
        scheme(&proxy, "b.test") == "mldsa65"
    });
    assert_eq!(scheme(&proxy, "a.test"), "ecdsa_secp256r1_sha256");
    assert_eq!(failed(&proxy), 1.0);
    assert_eq!(proxy.metric("portcullis_files_failed", &["site=\"two\""]), 0.0);
    assert!(proxy.metric("portcullis_files_refreshed_total", &["kept"]) > 0.0);
    // a reload is all or nothing, as ever
    assert!(proxy.running().reload().is_err());
    assert_eq!(scheme(&proxy, "b.test"), "mldsa65");
}

#[test]
fn a_client_ca_that_changes_decides_who_gets_in_and_a_broken_one_does_not() {
    let mut ca = PathBuf::new();
    let stage = Stage::set(Manner::Echo, |pki, front| {
        ca = pki.write("ca.pem", &credentials(Algorithm::EcdsaP256, Holder::Client).root);
        front.site(&format!("client_auth = {{ mode = \"required\", ca = {ca:?} }}"))
    });
    let enters = |algorithm: Algorithm| {
        let offer = Offer::default().presenting(stage.pki.client(algorithm));
        let connected = Client::new(offer).connect(stage.proxy.address());
        connected.is_ok_and(|mut conversation| conversation.exchange(b"hello").is_ok())
    };
    assert!(enters(Algorithm::EcdsaP256) && !enters(Algorithm::MlDsa65));
    stage
        .pki
        .write("ca.pem", &credentials(Algorithm::MlDsa65, Holder::Client).root);
    eventually("the new CA", || enters(Algorithm::MlDsa65));
    assert!(!enters(Algorithm::EcdsaP256), "the old one is gone");
    fs::write(&ca, "no certificate").expect("the file takes it");
    eventually("the broken CA is seen", || failed(&stage.proxy) == 1.0);
    assert!(enters(Algorithm::MlDsa65) && !enters(Algorithm::EcdsaP256));
}

#[test]
fn the_configuration_is_read_again_when_it_changes_only_where_watch_is_on() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let files = pki.server(Algorithm::EcdsaP256);
    let front = Front::new(std::slice::from_ref(&files), upstream.address());
    let strict = |front: &Front| front.clone().site(r#"policy = "require""#).toml();
    let admits = |proxy: &Proxy| Client::new(Offer::groups("X25519")).connect(proxy.address()).is_ok();
    let watching = front.clone().top("watch = true");
    let (proxy, unwatched) = (Proxy::start(&watching.toml()), Proxy::start(&front.toml()));
    assert!(admits(&proxy) && admits(&unwatched));
    unwatched.write(&strict(&front));
    proxy.write("this is = not TOML [");
    let rejected = || proxy.metric("portcullis_reloads_total", &["rejected"]);
    eventually("the broken file is refused", || rejected() == 1.0);
    assert!(admits(&proxy));
    proxy.write(&strict(&watching));
    eventually("the new policy", || !admits(&proxy));
    assert_eq!(rejected(), 1.0, "a broken file is tried once");
    assert!(admits(&unwatched), "it waits for a signal");
    assert_eq!(unwatched.metric("portcullis_reloads_total", &[]), 0.0);
}

#[test]
fn a_configuration_that_comes_before_its_files_is_taken_when_they_are_there() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let old = pki.server(Algorithm::EcdsaP256);
    let front = |files: &Files| Front::new(std::slice::from_ref(files), upstream.address()).top("watch = true");
    let proxy = Proxy::start(&front(&old).toml());
    let new = Files {
        chain: pki.folder().join("late.pem"),
        key: pki.folder().join("late.key"),
        root: old.root.clone(),
    };
    proxy.write(&front(&new).toml());
    let reloads = |result: &str| proxy.metric("portcullis_reloads_total", &[result]);
    let told = || proxy.lines("reload rejected, the old configuration runs on");
    eventually("it is refused", || reloads("rejected") == 1.0);
    let made = credentials(Algorithm::MlDsa44, Holder::Server);
    pki.write("late.pem", &made.chain);
    eventually("it is refused without its key", || reloads("rejected") == 2.0);
    // the certificate that serves meanwhile goes on being renewed
    let renewed = credentials(Algorithm::EcdsaP384, Holder::Server);
    pki.write(name(&old.chain), &renewed.chain);
    pki.write(name(&old.key), &renewed.key);
    eventually("the old one's renewal", || {
        scheme(&proxy, "a.test") == "ecdsa_secp384r1_sha384"
    });
    pki.write("late.key", &made.key);
    eventually("it is taken", || scheme(&proxy, "a.test") == "mldsa44");
    assert_eq!((reloads("rejected"), reloads("applied")), (2.0, 1.0));
    let told = told();
    assert_eq!(told.len(), 2, "each change is told once: {told:#?}");
    assert!(
        told[1]["error"]
            .as_str()
            .expect("a text")
            .contains("late.key: no such file")
    );
}

#[test]
fn included_files_are_watched_and_new_ones_are_noticed() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let files = pki.server(Algorithm::EcdsaP256);
    let sites = tempfile::tempdir().expect("a temporary folder");
    let site = |name: &str, policy: &str| {
        let site = format!(
            "[[site]]\nnames = [{name:?}]\n{}\nupstream = \"back\"\npolicy = \"file:{policy}\"\n",
            certificates(std::slice::from_ref(&files))
        );
        fs::write(sites.path().join(format!("{name}.toml")), site).expect("the folder takes a file");
    };
    let policy = |file: &str, word: &str| fs::write(sites.path().join(file), word).expect("the folder takes a file");
    policy("policy", "observe\n");
    policy("strict", "require\n");
    site("one.test", "policy");
    let include = format!("watch = true\ninclude = [\"{}/*.toml\"]", sites.path().display());
    let proxy = Proxy::start(
        &Front::new(std::slice::from_ref(&files), upstream.address())
            .top(&include)
            .toml(),
    );
    let admits = |name: &str| {
        let client = Client::new(Offer::groups("X25519").named(name));
        client.connect(proxy.address()).is_ok()
    };
    assert!(admits("one.test") && admits("two.test"));
    site("two.test", "strict");
    eventually("a new file", || !admits("two.test"));
    assert!(admits("one.test"));
    policy("policy", "require\n");
    eventually("a changed value", || !admits("one.test"));
    site("two.test", "none");
    let rejected = || proxy.metric("portcullis_reloads_total", &["rejected"]);
    eventually("a missing file is refused", || rejected() == 1.0);
    policy("none", "observe\n");
    eventually("a file that came", || admits("two.test"));
    fs::remove_file(sites.path().join("one.test.toml")).expect("it is there");
    eventually("a file that went", || admits("one.test"));
    assert_eq!(rejected(), 1.0);
}

/// A folder as Kubernetes mounts a secret: `tls.crt -> ..data/tls.crt`, `..data -> ..N`, and `..data` is replaced.
struct Mounted {
    folder: PathBuf,
    swaps: usize,
}

impl Mounted {
    fn swap(&mut self, algorithm: Algorithm) {
        self.swaps += 1;
        let version = self.folder.join(format!("..{}", self.swaps));
        fs::create_dir_all(&version).expect("a new folder");
        let made = credentials(algorithm, Holder::Server);
        fs::write(version.join("tls.crt"), made.chain).expect("it takes a file");
        fs::write(version.join("tls.key"), made.key).expect("it takes a file");
        let draft = self.folder.join("..data_tmp");
        symlink(&version, &draft).expect("a new link");
        fs::rename(&draft, self.folder.join("..data")).expect("a rename within one folder");
        if self.swaps > 2 {
            let old = self.folder.join(format!("..{}", self.swaps - 2));
            fs::remove_dir_all(old).expect("the old version is there");
        }
    }

    fn files(&self) -> Files {
        let [chain, key, root] = ["tls.crt", "tls.key", "ca.crt"].map(|file| {
            symlink(Path::new("..data").join(file), self.folder.join(file)).expect("a new link");
            self.folder.join(file)
        });
        Files { chain, key, root }
    }
}

#[test]
fn five_hundred_swaps_under_load_lose_no_connection() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let folder = pki.folder().join("mounted");
    let mut mounted = Mounted { folder, swaps: 0 };
    mounted.swap(Algorithm::EcdsaP256);
    let proxy = Proxy::start(&Front::new(&[mounted.files()], upstream.address()).toml());
    let (over, served, address) = (AtomicBool::new(false), AtomicUsize::new(0), proxy.address());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let client = Client::new(Offer::default());
                while !over.load(Ordering::Relaxed) {
                    let mut conversation = client.connect(address).expect("a handshake");
                    conversation.echo(b"come what may");
                    conversation.close();
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..500 {
            let algorithm = [Algorithm::MlDsa44, Algorithm::EcdsaP256][swap % 2];
            mounted.swap(algorithm);
            proxy.running().refresh().expect("it runs");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(served.load(Ordering::Relaxed) > 0);
    assert!(proxy.metric("portcullis_files_refreshed_total", &["applied"]) >= 500.0);
    assert_eq!(failed(&proxy), 0.0);
    assert_eq!(
        proxy.metric("portcullis_connections_total", &["outcome=\"failed\""]),
        0.0
    );
    // and by itself, as in a cluster, where nobody calls
    mounted.swap(Algorithm::Ed25519);
    eventually("the swapped folder", || scheme(&proxy, "a.test") == "ed25519");
}

/// One handshake every 5 ms, come what may: a due one that found nobody free is made up for at once.
const EVERY: Duration = Duration::from_millis(5);
const HANDSHAKES: usize = 2000;
/// Enough that those under way never keep a due one waiting, unless a handshake takes 80 ms.
const CLIENTS: usize = 16;

#[test]
fn five_hundred_swaps_at_two_hundred_handshakes_a_second_lose_none() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let folder = pki.folder().join("mounted");
    let mut mounted = Mounted { folder, swaps: 0 };
    mounted.swap(Algorithm::EcdsaP256);
    let proxy = Proxy::start(&Front::new(&[mounted.files()], upstream.address()).toml());
    let (next, address, began) = (AtomicUsize::new(0), proxy.address(), Instant::now());
    let due = |number: usize, every: Duration| {
        let moment = every * u32::try_from(number).expect("a small number");
        thread::sleep(moment.saturating_sub(began.elapsed()));
    };
    let served: usize = thread::scope(|scope| {
        let client = || {
            let (client, mut served) = (Client::new(Offer::default()), 0);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= HANDSHAKES {
                    return served;
                }
                due(number, EVERY);
                let mut conversation = client.connect(address).expect("a handshake");
                conversation.echo(b"come what may");
                conversation.close();
                served += 1;
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for swap in 0..500 {
            due(swap, EVERY * 4);
            mounted.swap([Algorithm::MlDsa44, Algorithm::EcdsaP256][swap % 2]);
            proxy.running().refresh().expect("it runs");
        }
        let served = clients.into_iter().map(|client| client.join().expect("each is served"));
        served.sum()
    });
    assert_eq!(served, HANDSHAKES);
    let handshakes = || proxy.metric("portcullis_handshakes_total", &["resumed=\"false\""]);
    eventually("all are counted", || handshakes() == HANDSHAKES as f64);
    let over = || proxy.metric("portcullis_connections_total", &["outcome=\"ok\""]);
    eventually("all are over", || over() == HANDSHAKES as f64);
    assert!(proxy.metric("portcullis_files_refreshed_total", &["applied"]) >= 500.0);
    assert_eq!(failed(&proxy), 0.0);
}
