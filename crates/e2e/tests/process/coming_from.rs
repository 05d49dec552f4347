//! The page for who comes from another proxy: every line of it does what it says.
use portcullis_e2e::{
    client::{Client, Offer},
    command::run,
    pki::{Algorithm, Files, Pki},
    process::{Process, shell},
    upstream::{Manner, Upstream},
};
use std::{fs, net::SocketAddr, path::Path, process::Command};

const PAGE: &str = include_str!("../../../../docs/coming-from.md");

/// The blocks of a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let starts = PAGE.split("```").skip(1).step_by(2);
    starts
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

/// A folder as Quantum Safe Proxy's users have it, and a backend.
struct Folder {
    pki: Pki,
    upstream: Upstream,
    mldsa: Files,
}

impl Folder {
    fn new() -> Folder {
        let pki = Pki::new();
        let [mldsa, rsa] = [Algorithm::MlDsa65, Algorithm::Rsa].map(|algorithm| pki.server(algorithm));
        let folder = Folder {
            pki,
            upstream: Upstream::start(Manner::Echo),
            mldsa,
        };
        let mldsa = &folder.mldsa;
        for (place, files) in [
            ("certs", mldsa),
            ("certs/hybrid/ml-dsa-65", mldsa),
            ("certs/traditional/rsa", &rsa),
        ] {
            folder.place(place, files);
        }
        folder
    }

    fn place(&self, place: &str, files: &Files) {
        let place = self.pki.folder().join(place);
        fs::create_dir_all(&place).expect("a folder in our own");
        for (name, file) in [
            ("server.crt", &files.chain),
            ("server.key", &files.key),
            ("ca.crt", &files.root),
        ] {
            fs::copy(file, place.join(name)).expect("a file in our own folder");
        }
    }

    /// The text with this run's ports: nothing else of it changes.
    fn here(&self, text: &str) -> String {
        let target = self.upstream.address().to_string();
        let text = text
            .replace("0.0.0.0:8443", "127.0.0.1:0")
            .replace("0.0.0.0:9443", "127.0.0.1:0");
        text.replace("127.0.0.1:6000", &target)
            .replace("127.0.0.1:7000", &target)
    }

    /// A block as a person types it, in this folder.
    fn typed(&self, block: &str) -> Command {
        let script = self.here(block).replacen("\nportcullis ", "\nexec portcullis ", 1);
        let mut command = shell(&script);
        command.current_dir(self.pki.folder());
        command.env("PORTCULLIS_LOG_FORMAT", "json");
        command
    }

    /// Starts a block, and sends bytes through it with each certificate; returns what was said without meaning.
    fn serves(&self, block: &str, schemes: &[&str]) -> Vec<String> {
        let process = Process::serve(self.typed(&format!("\n{block}")));
        let listening = process.event("listening");
        let address = listening["address"].as_str().expect("an address");
        let address: SocketAddr = address.parse().expect("an address of the network");
        for scheme in schemes {
            let offer = Offer::default().signatures(scheme).trusting(self.pki.roots());
            let mut conversation = Client::new(offer).connect(address).expect("a handshake");
            conversation.echo(b"as before");
            assert_eq!(conversation.seen().signature.as_deref(), Some(*scheme), "{block}");
            assert_eq!(conversation.seen().group.as_deref(), Some("X25519MLKEM768"), "{block}");
            conversation.close();
        }
        let said = process
            .said()
            .into_iter()
            .filter(|line| line.contains("without meaning here"));
        said.collect()
    }
}

fn lines_of(language: &str, begins: &str) -> Vec<&'static str> {
    let found: Vec<&str> = blocks(language)
        .into_iter()
        .filter(|block| block.contains(begins))
        .collect();
    assert!(!found.is_empty(), "the page shows {begins}");
    found
}

#[test]
fn quantum_safe_proxys_lines_run_with_another_programs_name() {
    let folder = Folder::new();
    for line in lines_of("sh", "portcullis --listen") {
        assert_eq!(folder.serves(line, &["mldsa65"]), [""; 0]);
    }
    for environment in lines_of("sh", "portcullis --from-env") {
        let said = folder.serves(environment, &["mldsa65"]);
        assert_eq!(said.len(), 1, "one notice: {said:#?}");
        assert!(
            said[0].contains("QUANTUM_SAFE_PROXY_HYBRID_MODE, --from-env"),
            "{said:#?}"
        );
    }
}

#[test]
fn quantum_safe_proxys_files_of_old_and_of_late_are_served() {
    let folder = Folder::new();
    let [line] = lines_of("sh", "--config-file")[..] else {
        panic!("one line for both files")
    };
    let files = blocks("json");
    assert_eq!(files.len(), 2);
    let expected: [(&[&str], &str); 2] = [
        (&["mldsa65"], "hybrid_mode"),
        (&["mldsa65", "rsa_pss_rsae_sha256"], "buffer_size"),
    ];
    for (file, (schemes, key)) in files.iter().zip(expected) {
        folder.pki.write("config.json", &folder.here(file));
        let said = folder.serves(line, schemes);
        assert_eq!(said.len(), 1, "one notice: {said:#?}");
        assert!(said[0].contains(key) && said[0].contains("config.json:"), "{said:#?}");
    }
    fs::create_dir(folder.pki.folder().join("config")).expect("a folder in our own");
    fs::write(folder.pki.folder().join("config/config.json"), folder.here(files[0])).expect("our own folder");
    // its paths are those of the folder it is started in
    folder.serves("portcullis --config-file config/config.json", &["mldsa65"]);
}

#[test]
fn a_default_certificate_of_a_draft_that_is_not_there_says_what_to_make() {
    let folder = Folder::new();
    let finished = run(&mut folder.typed("\nportcullis --from-env --listen 0.0.0.0:8443"), b"");
    assert_eq!(finished.status.code(), Some(2), "{}", finished.all());
    for words in [
        "certs/hybrid/dilithium3/server.crt",
        "no such file",
        "portcullis cert server --dual",
    ] {
        assert!(finished.all().contains(words), "{words} in {}", finished.all());
    }
    // and with a certificate of today in that place it serves
    folder.place("certs/hybrid/dilithium3", &folder.mldsa);
    folder.serves(
        "portcullis --from-env --listen 0.0.0.0:8443 --target 127.0.0.1:6000",
        &["mldsa65"],
    );
}

#[test]
fn the_pages_nginx_file_becomes_the_pages_configuration() {
    let pki = Pki::new();
    let [nginx] = blocks("nginx")[..] else {
        panic!("one file of nginx")
    };
    let file = pki.write("nginx.conf", nginx);
    let [line] = lines_of("sh", "import nginx")[..] else {
        panic!("one line")
    };
    let finished = run(shell(line).current_dir(pki.folder()), b"");
    assert_eq!(finished.status.code(), Some(0), "{}", finished.all());
    let printed = finished.stdout.replace(&path(&file), "nginx.conf");
    assert_eq!(Some(&printed.as_str()), blocks("toml").first());
    let strict = run(
        shell(&format!("{} --strict", line.trim())).current_dir(pki.folder()),
        b"",
    );
    assert_eq!(strict.status.code(), Some(1), "{}", strict.all());
    assert!(
        strict.stderr.contains("nginx.conf:19: proxy_download_rate 1m"),
        "{}",
        strict.stderr
    );
}

#[test]
fn the_other_lines_of_the_page_do_what_they_say() {
    let pki = Pki::new();
    let rpxy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/src/import/golden/rpxy.toml");
    fs::copy(rpxy, pki.folder().join("config.toml")).expect("our own folder");
    for line in lines_of("sh", "import rpxy")
        .into_iter()
        .chain(lines_of("sh", "portcullis check"))
    {
        let finished = run(shell(line).current_dir(pki.folder()), b"");
        assert_eq!(finished.status.code(), Some(0), "{}", finished.all());
        assert!(finished.stdout.contains("[[site]]") || finished.stdout.contains("\"X25519MLKEM768\""));
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
