//! Keys encrypted under a passphrase, as OpenSSL writes them.
use crate::eventually;
use openssl::{pkey::PKey, symm::Cipher};
use portcullis_e2e::{
    client::{Client, Offer},
    front::Front,
    pki::{Algorithm, Holder, Pki, credentials},
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use portcullis_proxy::{StartError, config::Problem};

const SESAME: &str = "open sesame, \u{e4}\u{f6}\u{fc}";

/// What `openssl pkcs8 -topk8` writes.
fn encrypted(key: &str, cipher: Cipher, passphrase: &str) -> String {
    let key = PKey::private_key_from_pem(key.as_bytes()).expect("a key of ours");
    let pem = key.private_key_to_pem_pkcs8_passphrase(cipher, passphrase.as_bytes());
    String::from_utf8(pem.expect("OpenSSL encrypts it")).expect("PEM is ASCII")
}

/// A proxy whose key and passphrase lie in files of these contents.
fn start(pki: &Pki, upstream: &Upstream, (algorithm, key, passphrase): (Algorithm, &str, &str)) -> Started {
    let chain = pki.write("site.pem", &credentials(algorithm, Holder::Server).chain);
    let (key, passphrase) = (pki.write("site.key", key), pki.write("site.pass", passphrase));
    let entry = format!("{{ chain = {chain:?}, key = {key:?}, passphrase_file = {passphrase:?} }}");
    let front = Front::new(&[], upstream.address()).site(&format!("certificates = [{entry}]"));
    Proxy::try_start(&front.toml())
}

type Started = Result<Proxy, StartError>;

fn scheme(proxy: &Proxy) -> String {
    let client = Client::new(Offer::default());
    let mut conversation = client.connect(proxy.address()).expect("a handshake");
    conversation.echo(b"unlocked");
    conversation.seen().signature.expect("a full handshake")
}

#[test]
fn a_key_that_openssl_encrypted_serves() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let ciphers = [Cipher::aes_128_cbc(), Cipher::aes_192_cbc(), Cipher::aes_256_cbc()];
    let algorithms = [
        Algorithm::EcdsaP256,
        Algorithm::Rsa,
        Algorithm::Ed25519,
        Algorithm::MlDsa65,
    ];
    for (at, algorithm) in algorithms.into_iter().enumerate() {
        let plain = credentials(algorithm, Holder::Server).key;
        let key = encrypted(&plain, ciphers[at % 3], SESAME);
        assert!(key.contains("BEGIN ENCRYPTED PRIVATE KEY"), "{key}");
        for line in [SESAME.to_owned(), format!("{SESAME}\n"), format!("{SESAME}\r\nmore")] {
            let proxy = start(&pki, &upstream, (algorithm, &key, &line)).expect("a good key");
            // OpenSSL and we agree on the hash of an RSA signature
            let kind = algorithm.scheme().split('_').next().expect("a name");
            assert!(scheme(&proxy).starts_with(kind), "{algorithm:?}");
        }
    }
}

fn problem(started: Started) -> Problem {
    match started {
        Err(StartError::Config(mut problems)) if problems.len() == 1 => problems.remove(0),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it starts"),
    }
}

#[test]
fn a_key_that_stays_closed_is_an_error_that_names_the_file() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let plain = credentials(Algorithm::EcdsaP256, Holder::Server).key;
    let key = encrypted(&plain, Cipher::aes_256_cbc(), SESAME);
    let foreign = encrypted(&plain, Cipher::des_ede3_cbc(), SESAME);
    let table: [(&str, &str, &str, &str); 5] = [
        (&key, "open barley\n", "site.key", "the passphrase is not the key's"),
        (&key, "", "site.pass", "its first line is empty"),
        (&key, "\n", "site.pass", "its first line is empty"),
        (&plain, SESAME, "site.key", "not encrypted"),
        (&foreign, SESAME, "site.key", "encrypted in a way"),
    ];
    for (key, passphrase, file, says) in table {
        let told = problem(start(&pki, &upstream, (Algorithm::EcdsaP256, key, passphrase)));
        assert!(told.message.contains(file) && told.message.contains(says), "{told:?}");
        assert!(told.hint.is_some(), "{told:?}");
        assert!(!told.message.contains("sesame"), "{told:?}");
    }
    let files = pki.server(Algorithm::EcdsaP256);
    let absent = format!(
        "certificates = [{{ chain = {:?}, key = {:?}, passphrase_file = 'absent' }}]",
        files.chain, files.key
    );
    let told = problem(Proxy::try_start(
        &Front::new(&[], upstream.address()).site(&absent).toml(),
    ));
    assert!(told.message.contains("absent: no such file"), "{told:?}");
    let without = Front::new(&[], upstream.address()).site(&format!(
        "certificates = [{{ chain = {:?}, key = {:?} }}]",
        files.chain,
        pki.write("locked.key", &key)
    ));
    let told = problem(Proxy::try_start(&without.toml()));
    assert!(told.message.contains("locked.key: key: encrypted"), "{told:?}");
    assert!(told.hint.is_some_and(|hint| hint.contains("passphrase_file")));
}

#[test]
fn a_new_key_is_taken_once_its_new_passphrase_is_there() {
    let (pki, upstream) = (Pki::new(), Upstream::start(Manner::Echo));
    let plain = credentials(Algorithm::EcdsaP256, Holder::Server).key;
    let key = encrypted(&plain, Cipher::aes_256_cbc(), SESAME);
    let proxy = start(&pki, &upstream, (Algorithm::EcdsaP256, &key, SESAME)).expect("a good key");
    let made = credentials(Algorithm::MlDsa44, Holder::Server);
    pki.write("site.pem", &made.chain);
    pki.write("site.key", &encrypted(&made.key, Cipher::aes_256_cbc(), "another"));
    let failed = || proxy.metric("portcullis_files_failed", &["site=\"site\""]);
    eventually("the closed key is seen", || failed() == 1.0);
    assert_eq!(scheme(&proxy), "ecdsa_secp256r1_sha256");
    pki.write("site.pass", "another\n");
    eventually("the open key", || scheme(&proxy) == "mldsa44");
    assert_eq!(failed(), 0.0);
}
