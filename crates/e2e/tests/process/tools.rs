//! What looks around: `doctor`, `bench`, the version, colours.
use portcullis_e2e::{
    command::{Finished, run},
    process::{binary, portcullis},
};
use serde_json::Value;
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

use crate::{Site, path};

pub(crate) fn finished(args: &[&str]) -> Finished {
    run(&mut portcullis(args), b"")
}

fn doctor(args: &[&str]) -> (Option<i32>, Value) {
    let finished = finished(&[&["doctor", "--json"], args].concat());
    let said = serde_json::from_str(&finished.stdout);
    (
        finished.status.code(),
        said.unwrap_or_else(|_| panic!("{}", finished.all())),
    )
}

fn check<'a>(said: &'a Value, section: &str, what: &str) -> &'a Value {
    let mut all = said[section]
        .as_array()
        .unwrap_or_else(|| panic!("{section}: {said:#}"))
        .iter();
    let named = |finding: &&Value| finding["check"].as_str().is_some_and(|check| check.contains(what));
    all.find(named)
        .unwrap_or_else(|| panic!("{what} in {section}: {said:#}"))
}

#[test]
fn doctor_proves_this_machine_and_says_what_it_did_not_try() {
    let (code, said) = doctor(&[]);
    assert_eq!((code, &said["good"]), (Some(0), &Value::Bool(true)), "{said:#}");
    let groups: Vec<&str> = said["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .filter_map(|it| it["check"].as_str())
        .collect();
    let expected = [
        "X25519MLKEM768",
        "SecP256r1MLKEM768",
        "SecP384r1MLKEM1024",
        "X25519",
        "secp256r1",
        "secp384r1",
        "MLKEM768",
        "MLKEM1024",
    ];
    assert_eq!(groups, expected);
    for (section, what) in [
        ("signatures", "mldsa65"),
        ("ciphers", "TLS_AES_256_GCM_SHA384"),
        ("kernel", "SO_REUSEPORT"),
    ] {
        assert_eq!(check(&said, section, what)["result"], "ok");
    }
    assert!(check(&said, "ciphers", "TLS_AES_128")["facts"]["encrypt_gb_per_second"].as_f64() > Some(0.0));
    // nothing says where an admin listener or a configuration is
    assert_eq!(check(&said, "running", "instance")["result"], "not tried");
    assert_eq!(check(&said, "configuration", "configuration")["result"], "not tried");
    let text = finished(&["doctor"]);
    assert_eq!(text.status.code(), Some(0));
    assert!(
        text.stdout.ends_with("not tried\n") && !text.stdout.contains('\u{1b}'),
        "{}",
        text.stdout
    );
}

#[test]
fn doctor_knows_how_many_connections_the_file_limit_allows() {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n 512 && exec \"$0\" doctor --json"])
        .arg(binary());
    let finished = run(&mut shell, b"");
    let said: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let files = check(&said, "limits", "open files");
    assert_eq!(
        (&files["result"], &files["facts"]["connections"]),
        (&"warn".into(), &256.into())
    );
}

#[test]
fn doctor_names_a_taken_port_and_a_file_that_is_not_there() {
    let site = Site::new(|front| front);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|at| (at, taken)).expect("an address");
    let at = taken.0.to_string();
    site.rewrite(|mut front| {
        front.listener = format!("listen = [\"{at}\", \"127.0.0.1:0\"]");
        front
    });
    let file = path(&site.file);
    let (code, said) = doctor(&["-c", file]);
    assert_eq!(code, Some(1));
    assert_eq!(check(&said, "ports", &at)["result"], "bad");
    assert_eq!(check(&said, "ports", "127.0.0.1:0")["result"], "ok");
    assert_eq!(check(&said, "files", "contents")["result"], "ok");

    // a key that others may read, then one that is not there at all
    let key = key_of(&said);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("our own file");
    let (_, said) = doctor(&["-c", file]);
    assert_eq!(check(&said, "files", path(&key))["result"], "warn");
    fs::remove_file(&key).expect("our own file");
    let (code, said) = doctor(&["-c", file]);
    assert_eq!(
        (code, &check(&said, "files", path(&key))["result"]),
        (Some(1), &"bad".into())
    );
    assert_eq!(check(&said, "files", "contents")["result"], "not tried");

    fs::write(&site.file, "workrs = 2\n").expect("our own file");
    let (code, said) = doctor(&["-c", file]);
    assert_eq!((code, &said["configuration"][0]["result"]), (Some(1), &"bad".into()));
    assert!(
        said["configuration"][0]["check"]
            .as_str()
            .is_some_and(|at| at.ends_with("portcullis.toml:1"))
    );
    assert_eq!(said["ports"][0]["result"], "not tried");
}

/// The first key among the files that doctor looked at.
fn key_of(said: &Value) -> PathBuf {
    let files = said["files"].as_array().expect("files").iter();
    let mut names = files.filter_map(|finding| finding["check"].as_str());
    PathBuf::from(names.find(|name| name.ends_with(".key")).expect("a key"))
}

#[test]
fn doctor_names_the_instance_that_runs_and_does_not_blame_it_for_its_ports() {
    let socket = TempDir::new().expect("a folder");
    let admin = format!("admin = {{ listen = \"unix:{}/admin.sock\" }}", socket.path().display());
    let site = Site::new(|front| front.top(&admin));
    let first = site.serve();
    let at = first.address("front");
    site.rewrite(|front| {
        let mut front = front.top(&admin);
        front.listener = format!("listen = [\"{at}\"]");
        front
    });
    let (code, said) = doctor(&["-c", path(&site.file)]);
    let instance = check(&said, "running", "instance");
    assert_eq!(instance["result"], "ok", "{said:#}");
    assert_eq!(instance["facts"]["version"], env!("CARGO_PKG_VERSION"));
    let pid = instance["facts"]["pid"].as_u64().expect("a pid");
    assert!(Path::new(&format!("/proc/{pid}/exe")).exists());
    let port = check(&said, "ports", &at.to_string());
    assert!(
        port["found"]
            .as_str()
            .is_some_and(|found| found.contains(&pid.to_string())),
        "{port}"
    );
    assert_eq!(code, Some(0), "{said:#}");
    assert_eq!(check(&said, "ports", "admin")["result"], "ok");
    drop(first);
    let (_, said) = doctor(&["-c", path(&site.file)]);
    assert_eq!(check(&said, "running", "instance")["result"], "info");
}

#[test]
fn bench_prints_what_was_selected_and_refuses_what_it_does_not_know() {
    let only = "X25519,X25519MLKEM768,mldsa65,TLS_AES_128_GCM_SHA256";
    let json = finished(&["bench", "--json", "--seconds", "1", "--only", only]);
    assert_eq!((json.status.code(), json.stderr.as_str()), (Some(0), ""));
    let said: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let rows = |key: &str| said[key].as_array().map(Vec::len);
    assert_eq!(
        (rows("handshakes"), rows("resumption"), rows("records")),
        (Some(3), Some(2), Some(1))
    );
    let sentence = said["comparison"]["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.contains("X25519MLKEM768 costs") && sentence.contains("ML-DSA-65"),
        "{sentence}"
    );
    let text = finished(&["bench", "--seconds", "1", "--only", "P-256"]);
    assert!(
        text.stdout.contains("secp256r1  ") && !text.stdout.contains('█'),
        "{}",
        text.stdout
    );
    let wrong = finished(&["bench", "--only", "dilithium3"]);
    assert_eq!((wrong.status.code(), wrong.stdout.as_str()), (Some(2), ""));
    assert!(wrong.stderr.contains("mldsa65"), "{}", wrong.stderr);
}

/// On a terminal of its own, as `script` makes one.
fn on_terminal(args: &str, environment: &[(&str, &str)]) -> String {
    let line = format!("{} {args}", binary().display());
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
    command
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("CLICOLOR");
    command.envs(environment.iter().copied());
    run(&mut command, b"").stdout
}

#[test]
fn colours_and_bars_are_for_terminals_and_no_color_is_honoured() {
    for command in ["doctor", "--help", "serve --help", "bench --seconds 1 --only X25519"] {
        let bare = finished(&command.split(' ').collect::<Vec<&str>>());
        assert!(!bare.all().contains('\u{1b}'), "{command}: {}", bare.all());
        let coloured = on_terminal(command, &[]);
        assert!(coloured.contains("\u{1b}["), "{command}: {coloured}");
        let plain = on_terminal(command, &[("NO_COLOR", "1")]);
        let styled = ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[32m", "\u{1b}[4m"]
            .iter()
            .any(|code| plain.contains(code));
        assert!(!styled, "{command}: {plain:?}");
    }
    let bars = on_terminal("bench --seconds 1 --only X25519", &[]);
    assert!(bars.contains('█') && bars.contains('%'), "{bars}");
    let mut forced = portcullis(&["doctor"]);
    let forced = run(forced.env("CLICOLOR_FORCE", "1"), b"");
    assert!(forced.stdout.contains("\u{1b}["));
}

#[test]
fn help_is_wrapped_to_the_terminal() {
    for command in ["--help", "serve --help", "cert server --help", "bench --help"] {
        let widest = |columns: &str| {
            let mut help = portcullis(&command.split(' ').collect::<Vec<&str>>());
            let said = run(help.env("COLUMNS", columns), b"").stdout;
            said.lines().map(|line| line.chars().count()).max().expect("help")
        };
        assert!(widest("60") <= 60, "{command}: {}", widest("60"));
        assert!(widest("120") > 60, "{command}");
    }
}

/// The build script as Cargo would run it, on sources that lie somewhere else.
fn built(script: &Path, sources: &Path) -> String {
    let finished = run(
        Command::new(script)
            .env("CARGO_MANIFEST_DIR", sources)
            .env_remove("PORTCULLIS_BUILD_COMMIT"),
        b"",
    );
    assert!(finished.status.success(), "{}", finished.all());
    let line = finished
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("cargo::rustc-env=PORTCULLIS_BUILT_COMMIT="));
    line.expect("the commit, known or not").to_owned()
}

#[test]
fn the_build_knows_its_commit_without_git_and_does_without_a_commit() {
    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";
    let folder = TempDir::new().expect("a folder");
    let script = folder.path().join("build");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/build.rs");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let compiled = run(rustc.args(["--edition", "2024", "-o"]).arg(&script).arg(source), b"");
    assert!(compiled.status.success(), "{}", compiled.all());

    let root = folder.path().join("portcullis");
    let cli = root.join("crates/cli");
    fs::create_dir_all(&cli).expect("our own folder");
    assert_eq!(built(&script, &cli), "", "a tarball");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("our own folder");
        fs::write(file, text).expect("our own file");
    };
    write(".git/HEAD", HASH);
    assert_eq!(built(&script, &cli), "", "a repository further above is another's");
    write("portcullis/.git/HEAD", HASH);
    assert_eq!(built(&script, &cli), HASH[..12], "a detached head");
    write("portcullis/.git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(built(&script, &cli), "", "a branch that is nowhere");
    write(
        "portcullis/.git/packed-refs",
        &format!("# pack-refs\n{HASH} refs/heads/main\n"),
    );
    assert_eq!(built(&script, &cli), HASH[..12], "a packed branch");
    let newer = HASH.replace("0123", "fedc");
    write("portcullis/.git/refs/heads/main", &format!("{newer}\n"));
    assert_eq!(built(&script, &cli), newer[..12], "a branch that moved on since");
    fs::rename(root.join(".git"), folder.path().join("store")).expect("our own folder");
    write("store/worktrees/a/HEAD", "ref: refs/heads/main\n");
    write("store/worktrees/a/commondir", "../..\n");
    write(
        "portcullis/.git",
        &format!("gitdir: {}\n", folder.path().join("store/worktrees/a").display()),
    );
    assert_eq!(built(&script, &cli), newer[..12], "a worktree");
}

#[test]
fn the_version_tells_what_the_binary_is_made_of() {
    let long = finished(&["--version"]);
    for fact in ["rustls ", "aws-lc-rs ", "target ", "profile "] {
        assert!(
            long.stdout.lines().any(|line| line.starts_with(fact)),
            "{fact}: {}",
            long.stdout
        );
    }
    assert_eq!(finished(&["-V"]).stdout.lines().count(), 1);
}
