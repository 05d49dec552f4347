//! `portcullis cert`: what it makes is taken by OpenSSL, in this process, and by `serve`.
mod foreign;

use openssl::{
    nid::Nid,
    pkey::{PKey, Private},
    stack::Stack,
    x509::{
        CrlStatus, X509, X509Crl, X509PurposeId, X509Ref, X509Req, X509StoreContext, store::X509StoreBuilder,
        verify::X509VerifyFlags,
    },
};
use portcullis_e2e::{
    client::{Client, Offer},
    command::{Finished, run},
    peers::{Home, Peer},
    process::{Process, portcullis},
    upstream::{Manner, Upstream},
};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const ALGORITHMS: [&str; 9] = [
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
    "ecdsa-p256",
    "ecdsa-p384",
    "ed25519",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
];

/// A folder that `portcullis cert` works in.
struct Workshop {
    folder: TempDir,
}

impl Workshop {
    fn new() -> Workshop {
        Workshop {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `portcullis cert` said to this line.
    fn tried(&self, line: &str) -> Finished {
        let words: Vec<&str> = ["cert"].into_iter().chain(line.split_whitespace()).collect();
        run(portcullis(&words).current_dir(self.folder.path()), b"")
    }

    fn cert(&self, line: &str) -> String {
        let finished = self.tried(line);
        assert!(finished.status.success(), "{line}: {}", finished.all());
        finished.stdout
    }

    fn certificates(&self, name: &str) -> Vec<X509> {
        X509::stack_from_pem(&self.read(name)).expect("PEM that OpenSSL reads")
    }

    fn key(&self, name: &str) -> PKey<Private> {
        PKey::private_key_from_pem(&self.read(name)).expect("a key that OpenSSL reads")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file that was written")
    }
}

/// OpenSSL's verdict on a chain, as `openssl verify -x509_strict -purpose`.
fn verify(root: &X509Ref, chain: &[X509], purpose: X509PurposeId) -> Result<(), String> {
    let mut store = X509StoreBuilder::new().expect("a store");
    store.add_cert(root.to_owned()).expect("a root");
    store.set_flags(X509VerifyFlags::X509_STRICT).expect("flags");
    store.set_purpose(purpose).expect("a purpose");
    let mut rest = Stack::new().expect("a stack");
    for certificate in &chain[1..] {
        rest.push(certificate.clone()).expect("room");
    }
    let mut context = X509StoreContext::new().expect("a context");
    context
        .init(&store.build(), &chain[0], &rest, |context| {
            let good = context.verify_cert()?;
            Ok(match good {
                true => Ok(()),
                false => Err(context.error().error_string().to_owned()),
            })
        })
        .expect("OpenSSL gives a verdict")
}

#[test]
fn a_chain_of_every_algorithm_passes_strict_verification() {
    for algorithm in ALGORITHMS {
        let shop = Workshop::new();
        shop.cert(&format!("ca --algorithm {algorithm}"));
        shop.cert(&format!(
            "ca --algorithm {algorithm} --issuer ca.pem --path-length 1 --file upper"
        ));
        shop.cert(&format!("ca --algorithm {algorithm} --issuer upper.pem --file lower"));
        let line = format!("--algorithm {algorithm} --issuer lower.pem --name");
        shop.cert(&format!("server {line} *.shop.example --name ::1"));
        shop.cert(&format!(
            "client {line} spiffe://corp/agent-7 --name ops@example.com --subject CN=agent-7,O=Corp"
        ));
        let root = shop.certificates("ca.pem").remove(0);
        for (stem, purpose, other) in [
            ("_.shop.example", X509PurposeId::SSL_SERVER, X509PurposeId::SSL_CLIENT),
            ("client", X509PurposeId::SSL_CLIENT, X509PurposeId::SSL_SERVER),
        ] {
            let chain = shop.certificates(&format!("{stem}.pem"));
            assert_eq!(chain.len(), 3, "{algorithm}: the root is left out");
            assert_eq!(verify(&root, &chain, purpose), Ok(()), "{algorithm} {stem}");
            assert!(verify(&root, &chain, other).is_err(), "{algorithm} {stem}");
            assert!(verify(&root, &chain[..2], purpose).is_err(), "{algorithm} {stem}");
            let key = shop.key(&format!("{stem}.key"));
            let public = chain[0].public_key().expect("a key that OpenSSL knows");
            assert!(public.public_eq(&key), "{algorithm} {stem}");
        }
        let client = shop.certificates("client.pem").remove(0);
        let names = client.subject_alt_names().expect("names");
        assert_eq!(names[0].uri(), Some("spiffe://corp/agent-7"));
        assert_eq!(names[1].email(), Some("ops@example.com"));
        let subject = client.subject_name();
        let parts = [Nid::ORGANIZATIONNAME, Nid::COMMONNAME].map(|nid| subject.entries_by_nid(nid).next());
        let parts = parts.map(|part| part.expect("a part").data().as_slice().to_vec());
        assert_eq!(parts, [b"Corp".to_vec(), b"agent-7".to_vec()]);
    }
}

#[test]
fn an_authority_made_by_openssl_issues_through_us() {
    for (kind, key) in foreign::keys() {
        let shop = Workshop::new();
        let certificate = foreign::root(&key);
        fs::write(shop.path("ca.pem"), certificate.to_pem().expect("PEM")).expect("a file");
        fs::write(shop.path("ca.key"), key.private_key_to_pem_pkcs8().expect("PEM")).expect("a file");
        shop.cert("server --issuer ca.pem --name localhost");
        let chain = shop.certificates("localhost.pem");
        assert_eq!(
            verify(&certificate, &chain, X509PurposeId::SSL_SERVER),
            Ok(()),
            "{kind}"
        );
    }
}

#[test]
fn the_dual_layout_is_served_as_it_is() {
    let shop = Workshop::new();
    shop.cert("ca --dual");
    let said = shop.cert("server --dual --issuer ca-mldsa65.pem --issuer ca-ecdsa-p256.pem --name localhost");
    let line = said.lines().find_map(|line| line.strip_prefix("to serve: portcullis "));
    let upstream = Upstream::start(Manner::Echo);
    let target = upstream.address().to_string();
    let words = line.expect("a line to use").replace("127.0.0.1:6000", &target);
    let more = ["--listen", "127.0.0.1:0", "--log-format", "json"];
    let words: Vec<&str> = words.split_whitespace().chain(more).collect();
    let mut command = portcullis(&words);
    command.current_dir(shop.folder.path());
    let process = Process::serve(command);
    let listening = process.event("listening");
    let address = listening["address"].as_str().and_then(|text| text.parse().ok());
    for (signatures, expected) in [("", "mldsa65"), ("ecdsa_secp256r1_sha256", "ecdsa_secp256r1_sha256")] {
        let offer = Offer::default().signatures(signatures).trusting(shop.path("ca.pem"));
        let mut conversation = Client::new(offer)
            .connect(address.expect("an address"))
            .expect("a handshake");
        assert_eq!(conversation.seen().signature.as_deref(), Some(expected));
        conversation.echo(b"through it");
    }
}

#[test]
fn keys_are_their_owners_and_nothing_is_overwritten_unless_forced() {
    let shop = Workshop::new();
    shop.cert("ca");
    let before = shop.read("ca.key");
    let mode = fs::metadata(shop.path("ca.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = shop.tried("ca");
    assert_eq!(again.status.code(), Some(2));
    assert!(again.stderr.contains("ca.pem is there already"), "{}", again.stderr);
    assert_eq!(shop.read("ca.key"), before);
    shop.cert("ca --force");
    assert_ne!(shop.read("ca.key"), before);
    let mode = fs::metadata(shop.path("ca.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn wrong_usage_is_exit_2_and_names_what_to_do() {
    let shop = Workshop::new();
    shop.cert("ca --path-length 0");
    let cases = [
        ("server --name localhost", "--issuer pki/ca.pem"),
        ("server --issuer ca.pem", "at least one name"),
        ("client --issuer ca.pem", "--subject"),
        ("server --issuer missing.pem --name a", "missing.pem"),
        ("server --issuer ca.pem --name a..b", "a..b"),
        ("ca --issuer ca.pem", "path length"),
        ("ca --algorithm dilithium3", "ml-dsa-65"),
        ("server --issuer ca.pem --issuer-key ca.pem --name a", "--issuer-key"),
        ("ca --algorithm ed25519 --algorithm rsa-2048 --dual", "--dual"),
    ];
    for (line, expected) in cases {
        let finished = shop.tried(line);
        assert_eq!(finished.status.code(), Some(2), "{line}: {}", finished.all());
        assert!(finished.stderr.contains(expected), "{line}: {}", finished.stderr);
    }
    // nothing was left behind
    assert_eq!(fs::read_dir(shop.folder.path()).expect("a folder").count(), 2);
}

#[test]
fn an_encrypted_issuer_key_is_opened_by_openssl_and_by_us() {
    let shop = Workshop::new();
    fs::write(shop.path("secret"), "open sesame\nnot this line\n").expect("a file");
    fs::write(shop.path("wrong"), "open barley\n").expect("a file");
    shop.cert("ca --passphrase-file secret");
    let text = shop.read("ca.key");
    assert!(text.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let key = PKey::private_key_from_pem_passphrase(&text, b"open sesame").expect("OpenSSL opens it");
    let root = shop.certificates("ca.pem").remove(0);
    assert!(root.public_key().expect("a key").public_eq(&key));
    // and what OpenSSL encrypts is opened here
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let foreign = key
        .private_key_to_pem_pkcs8_passphrase(cipher, b"open sesame")
        .expect("PEM");
    fs::write(shop.path("ca.key"), foreign).expect("a file");
    shop.cert("server --issuer ca.pem --issuer-passphrase-file secret --name localhost");
    let chain = shop.certificates("localhost.pem");
    assert_eq!(verify(&root, &chain, X509PurposeId::SSL_SERVER), Ok(()));
    for flags in ["", "--issuer-passphrase-file wrong"] {
        let finished = shop.tried(&format!("server --issuer ca.pem --name other {flags}"));
        assert_eq!(finished.status.code(), Some(2), "{}", finished.all());
        assert!(finished.stderr.contains("passphrase"), "{}", finished.stderr);
    }
}

#[test]
fn trixie_openssl_checks_keys_requests_lists_and_chains() {
    let Some(peer) = Peer::find(Home::Trixie, "openssl") else {
        return;
    };
    for algorithm in ALGORITHMS {
        let shop = Workshop::new();
        shop.cert(&format!("ca --algorithm {algorithm}"));
        shop.cert(&format!(
            "server --algorithm {algorithm} --issuer ca.pem --name localhost"
        ));
        shop.cert(&format!("csr --algorithm {algorithm} --name localhost --file asked"));
        shop.cert("crl ca.crl --issuer ca.pem");
        let shared = |name: &str| peer.shares(&shop.path(name));
        let [ca, server] = ["ca.pem", "localhost.pem"].map(shared);
        let checks: [(&[&str], &[&Path]); 5] = [
            (&["pkey", "-check", "-noout", "-in"], &[&shared("localhost.key")]),
            (&["req", "-verify", "-noout", "-in"], &[&shared("asked.csr")]),
            (
                &["crl", "-verify", "-noout", "-in"],
                &[&shared("ca.crl"), Path::new("-CAfile"), &ca],
            ),
            (
                &["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"],
                &[&ca, &server],
            ),
            (
                &["verify", "-x509_strict", "-crl_check", "-CAfile"],
                &[&ca, Path::new("-CRLfile"), &shared("ca.crl"), &server],
            ),
        ];
        for (words, files) in checks {
            let finished = run(peer.command().args(words).args(files), b"");
            assert!(finished.status.success(), "{algorithm} {words:?}: {}", finished.all());
        }
        shop.cert("crl ca.crl --issuer ca.pem --revoke localhost.pem");
        let mut command = peer.command();
        command.args(["verify", "-crl_check", "-CAfile"]).args([
            &ca,
            Path::new("-CRLfile"),
            &shared("ca.crl"),
            &server,
        ]);
        let finished = run(&mut command, b"");
        assert!(
            finished.stderr.contains("certificate revoked"),
            "{algorithm}: {}",
            finished.all()
        );
    }
}

#[test]
fn requests_of_openssl_are_signed_by_us() {
    for (kind, key) in foreign::keys().into_iter().chain(foreign::ml_dsa_keys()) {
        let shop = Workshop::new();
        shop.cert("ca");
        fs::write(shop.path("shop.csr"), foreign::request(&key)).expect("a file");
        shop.cert("sign shop.csr --issuer ca.pem --days 30");
        let root = shop.certificates("ca.pem").remove(0);
        let chain = shop.certificates("shop.pem");
        assert_eq!(verify(&root, &chain, X509PurposeId::SSL_SERVER), Ok(()), "{kind}");
        assert!(chain[0].public_key().expect("a key").public_eq(&key), "{kind}");
        let names = chain[0].subject_alt_names().expect("names");
        assert_eq!(names[0].dnsname(), Some("shop.example"), "{kind}");
        shop.cert("sign shop.csr --issuer ca.pem --purpose client --name spiffe://corp/x --file other");
        let other = shop.certificates("other.pem");
        assert_eq!(verify(&root, &other, X509PurposeId::SSL_CLIENT), Ok(()), "{kind}");
        assert_eq!(
            other[0].subject_alt_names().expect("names")[0].uri(),
            Some("spiffe://corp/x")
        );
    }
}

#[test]
fn a_request_whose_sender_does_not_hold_the_key_is_refused() {
    let shop = Workshop::new();
    shop.cert("ca");
    for (kind, key) in foreign::keys().into_iter().chain(foreign::ml_dsa_keys()) {
        let text = foreign::request(&key);
        let mut der = X509Req::from_pem(&text).expect("a request").to_der().expect("DER");
        // within the signature, at its end
        let last = der.len() - 1;
        der[last] ^= 1;
        let forged = X509Req::from_der(&der).expect("still a request").to_pem().expect("PEM");
        fs::write(shop.path("shop.csr"), forged).expect("a file");
        for line in ["sign shop.csr --issuer ca.pem", "inspect shop.csr"] {
            let finished = shop.tried(line);
            assert_eq!(finished.status.code(), Some(2), "{kind}: {}", finished.all());
            assert!(finished.stderr.contains("hold the key"), "{kind}: {}", finished.stderr);
        }
        assert!(!shop.path("shop.pem").exists());
    }
}

#[test]
fn requests_of_ours_are_verified_by_openssl() {
    for algorithm in ALGORITHMS {
        let shop = Workshop::new();
        shop.cert(&format!(
            "csr --algorithm {algorithm} --name shop.example --name 10.0.0.5"
        ));
        let request = X509Req::from_pem(&shop.read("shop.example.csr")).expect("a request");
        let key = shop.key("shop.example.key");
        assert!(request.verify(&key).expect("a verdict"), "{algorithm}");
        assert!(request.public_key().expect("a key").public_eq(&key), "{algorithm}");
    }
}

#[test]
fn a_revocation_list_grows_and_openssl_finds_the_revoked_in_it() {
    for algorithm in ALGORITHMS {
        let shop = Workshop::new();
        shop.cert(&format!("ca --algorithm {algorithm}"));
        shop.cert("client --issuer ca.pem --subject a --file a --algorithm ed25519");
        shop.cert("client --issuer ca.pem --subject b --file b --algorithm ed25519");
        let root = shop.certificates("ca.pem").remove(0);
        let key = root.public_key().expect("a key");
        shop.cert("crl ca.crl --issuer ca.pem");
        let said = shop.cert("crl ca.crl --issuer ca.pem --revoke a.pem --reason key-compromise");
        assert!(
            said.contains("number    02") && said.contains("key-compromise"),
            "{said}"
        );
        shop.cert("crl ca.crl --issuer ca.pem --revoke 0A:0b");
        let list = X509Crl::from_pem(&shop.read("ca.crl")).expect("a list");
        assert!(list.verify(&key).expect("a verdict"), "{algorithm}");
        assert_eq!(list.get_revoked().map_or(0, |all| all.len()), 2, "{algorithm}");
        let revoked = |name: &str| {
            let certificate = shop.certificates(name).remove(0);
            matches!(list.get_by_cert(&certificate), CrlStatus::Revoked(_))
        };
        assert!(revoked("a.pem") && !revoked("b.pem"), "{algorithm}");
        let listed = shop.cert("crl ca.crl --list-only");
        assert!(listed.contains("number    03") && listed.contains("0a0b"), "{listed}");
    }
}

#[test]
fn a_list_of_another_issuer_is_not_continued() {
    let shop = Workshop::new();
    shop.cert("ca --file one --subject same");
    shop.cert("ca --file two --subject same");
    shop.cert("crl one.crl --issuer one.pem");
    let before = shop.read("one.crl");
    let refused = shop.tried("crl one.crl --issuer two.pem --revoke 01");
    assert_eq!(refused.status.code(), Some(2), "{}", refused.all());
    assert_eq!(shop.read("one.crl"), before);
}

#[test]
fn inspect_says_what_stands_in_files_and_what_a_server_sends() {
    let shop = Workshop::new();
    shop.cert("ca --dual");
    shop.cert("server --dual --issuer ca-mldsa65.pem --issuer ca-ecdsa-p256.pem --name localhost");
    let upstream = Upstream::start(Manner::Echo);
    let target = upstream.address().to_string();
    let mut command = portcullis(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--target",
        &target,
        "--log-format",
        "json",
    ]);
    for stem in ["localhost-mldsa65", "localhost-ecdsa-p256"] {
        command.args(["--cert", &format!("{stem}.pem"), "--key", &format!("{stem}.key")]);
    }
    command.current_dir(shop.folder.path());
    let process = Process::serve(command);
    let listening = process.event("listening");
    let address = listening["address"].as_str().expect("an address");
    let said = shop.cert(&format!("inspect {address} ca.pem localhost-mldsa65.key --json"));
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let facts = |at: usize| ["key", "key_level", "signature"].map(|f| said[at]["items"][0][f].clone());
    assert_eq!(facts(0), [json!("ML-DSA-65"), json!(3), json!("ML-DSA-65")]);
    assert_eq!(facts(1), [json!("ECDSA P-256"), json!(0), json!("ecdsa-with-SHA256")]);
    let classes = [0, 1, 2].map(|at: usize| said[at]["authentication"].clone());
    assert_eq!(classes, [json!("pq"), json!("classical"), json!(null)]);
    assert_eq!(said[2]["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(said[2]["problems"], json!([]));
    assert_eq!(
        said[3]["items"][0],
        json!({ "kind": "key", "algorithm": "ML-DSA-65", "encrypted": false })
    );
}

#[test]
fn inspect_ends_as_its_findings_ask() {
    let shop = Workshop::new();
    shop.cert("ca");
    shop.cert("client --issuer ca.pem --subject a --file a");
    fs::write(
        shop.path("long.pem"),
        [shop.read("a.pem"), shop.read("ca.pem")].concat(),
    )
    .expect("a file");
    fs::write(shop.path("broken.pem"), &shop.read("a.pem")[..500]).expect("a file");
    let cases = [
        ("inspect long.pem", 0),
        ("inspect long.pem --strict", 1),
        ("inspect a.pem ca.pem --strict", 0),
        ("inspect broken.pem", 2),
        ("inspect missing.pem", 2),
        ("inspect 127.0.0.1:1", 1),
    ];
    for (line, expected) in cases {
        let finished = shop.tried(line);
        assert_eq!(finished.status.code(), Some(expected), "{line}: {}", finished.all());
    }
}
