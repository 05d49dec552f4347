//! Installed peers: the stacks of real people, put there by `tests/peers/install.sh`.
use crate::{PATIENCE, command};
use portcullis_wire::{
    Hello,
    client_hello::{self, Progress},
};
use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    iter,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
};
use tempfile::TempDir;

/// Where a peer lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// The private Debian trixie root: OpenSSL 3.5.
    Trixie,
    /// PostgreSQL 17 in the same root, as the user that it asks for.
    Postgres,
    /// Node from PyPI.
    Node,
    /// What the folders of `examples/` and `tests/peers` ask of pip.
    Python,
    /// Autobahn's suite for WebSocket.
    Autobahn,
    /// Python with clients of HTTP/3.
    Quic,
    /// This machine's own packages: OpenSSL 3.0, the classical world.
    Here,
    /// This machine's browser, with its own TLS.
    Browser,
    /// A shell or a formatter of this machine, which speaks no TLS.
    Tool,
}

/// Go finds itself by /proc, which the private root has only while something is installed there, and would compile its
/// library again in every folder.
const GO: [&str; 5] = [
    "env",
    "GOROOT=/usr/lib/go-1.24",
    "GOCACHE=/var/cache/go",
    "GOTELEMETRY=off",
    "GOTOOLCHAIN=local",
];

/// A program of a home, ready to be run.
pub struct Peer {
    home: Home,
    program: &'static str,
    folder: PathBuf,
    // Where a peer in a root of its own finds files of ours.
    shared: Option<TempDir>,
}

impl Peer {
    /// The peer; None, said loudly, when it is not installed. With REQUIRE_PEERS=1 that fails the test.
    pub fn find(home: Home, program: &'static str) -> Option<Peer> {
        match Peer::installed(home, program) {
            Ok(peer) => {
                // .ci/run counts the tests that had their peers.
                let test = thread::current().name().unwrap_or("a test").to_owned();
                say(&format!("peer ran: {program} ({home:?}) in {test}"));
                Some(peer)
            }
            Err(why) => {
                let required = env::var("REQUIRE_PEERS").is_ok_and(|v| v == "1");
                assert!(!required, "{program} ({home:?}): {why}");
                say(&format!("skipped: {program} ({home:?}): {why}"));
                None
            }
        }
    }

    /// The command, to be completed with arguments.
    pub fn command(&self) -> Command {
        match self.home {
            Home::Here | Home::Browser | Home::Tool => Command::new(self.program),
            Home::Node => Command::new(self.folder.join("node/bin").join(self.program)),
            Home::Python => Command::new(self.folder.join("python/bin").join(self.program)),
            Home::Autobahn => Command::new(self.folder.join("autobahn").join(self.program)),
            Home::Quic => Command::new(self.folder.join("quic/bin").join(self.program)),
            Home::Trixie | Home::Postgres => {
                let mut command = Command::new("chroot");
                if self.home == Home::Postgres {
                    command.arg("--userspec=postgres:postgres");
                }
                command.arg(self.folder.join("trixie")).arg(self.path());
                command
            }
        }
    }

    /// Its name.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// A shell script that runs it; `folder` is where it runs, as it sees it itself.
    pub fn script(&self, folder: &Path) -> String {
        let command = self.command();
        let mut words: Vec<&OsStr> = iter::once(command.get_program()).chain(command.get_args()).collect();
        if matches!(self.home, Home::Trixie | Home::Postgres) {
            let within = ["sh", "-c", "'cd \"$0\" && HOME=$0 exec \"$@\"'"].map(OsStr::new);
            let program = words.len() - 1;
            let go: &[&str] = if self.program == "go" { &GO } else { &[] };
            let within = within.into_iter().chain([folder.as_os_str()]);
            words.splice(program..program, within.chain(go.iter().map(OsStr::new)));
        }
        let words: Vec<_> = words.into_iter().map(OsStr::to_string_lossy).collect();
        format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))
    }

    /// Where a program of the private root is, in there.
    fn path(&self) -> PathBuf {
        let places: &[&str] = match self.home {
            Home::Postgres => &["usr/lib/postgresql/17/bin"],
            _ => &["usr/bin", "usr/sbin"],
        };
        let mut paths = places.iter().map(|place| Path::new(place).join(self.program));
        // a link may lead to a place that only the root itself knows
        let is_there = |path: &PathBuf| fs::symlink_metadata(self.folder.join("trixie").join(path)).is_ok();
        Path::new("/").join(paths.find(is_there).unwrap_or_default())
    }

    /// A copy of a file where the peer can read it, by the path it has there.
    pub fn shares(&self, file: &Path) -> PathBuf {
        let Some(shared) = &self.shared else {
            return file.to_owned();
        };
        let name = file.file_name().expect("a file has a name");
        let copy = shared.path().join(name);
        fs::copy(file, &copy).expect("the peer's folder takes a file");
        let root = self.folder.join("trixie");
        let inside = copy.strip_prefix(root).expect("it lies in the root");
        Path::new("/").join(inside)
    }

    /// What the peer offers when it is asked to connect to an address: its ClientHello, read raw.
    pub fn hello(&self, connect: impl FnOnce(&mut Command, SocketAddr)) -> Hello {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let catcher = thread::spawn(move || catch_hello(&listener));
        let mut command = self.command();
        connect(&mut command, address);
        // It fails: nobody answers its hello.
        let finished = command::run(&mut command, b"");
        assert!(!finished.status.success(), "{}", finished.all());
        // Wakes a catcher to whom nobody came.
        drop(std::net::TcpStream::connect(address));
        let caught = catcher.join().expect("a catcher only reads");
        caught.unwrap_or_else(|| panic!("{command:?} sent no hello: {}", finished.all()))
    }

    fn installed(home: Home, program: &'static str) -> Result<Peer, String> {
        let folder = folder();
        let install = "run tests/peers/install.sh";
        let mut shared = None;
        match home {
            Home::Here => {
                let ask = if program == "openssl" { "version" } else { "--version" };
                let found = Command::new(program).arg(ask).output();
                let found = found.map_err(|error| format!("{error}; {install}"))?;
                let version = String::from_utf8_lossy(&found.stdout).replace('/', " ");
                if !version.contains("OpenSSL 3.0") {
                    return Err(format!("not on OpenSSL 3.0: {version}"));
                }
            }
            Home::Browser | Home::Tool => {
                if program == "unshare" && !rustix::process::geteuid().is_root() {
                    return Err("a network of its own needs root".to_owned());
                }
                let found = Command::new(program).arg("--version").output();
                found.map_err(|error| format!("{error}; {install}"))?;
            }
            Home::Node => {
                let binary = folder.join("node/bin").join(program);
                let found = fs::metadata(&binary);
                found.map_err(|error| format!("{}: {error}; {install}", binary.display()))?;
            }
            Home::Python | Home::Quic => {
                let place = folder.join(if home == Home::Quic { "quic" } else { "python" });
                let binary = place.join("bin").join(program);
                let complete = fs::metadata(place.join(".complete")).and_then(|_| fs::metadata(&binary));
                complete.map_err(|error| format!("{}: {error}; {install}", binary.display()))?;
            }
            Home::Autobahn => {
                let complete = fs::metadata(folder.join("autobahn/.complete"));
                complete.map_err(|error| format!("{error}; {install}"))?;
            }
            Home::Trixie | Home::Postgres => {
                if !rustix::process::geteuid().is_root() {
                    return Err("chroot needs root".to_owned());
                }
                let root = folder.join("trixie");
                let complete = fs::metadata(root.join(".complete"));
                complete.map_err(|error| format!("{}: {error}; {install}", root.display()))?;
                let place = TempDir::new_in(root.join("tmp"));
                shared = Some(place.map_err(|error| error.to_string())?);
            }
        }
        let peer = Peer {
            home,
            program,
            folder,
            shared,
        };
        if peer.shared.is_some() && peer.path() == Path::new("/") {
            return Err(format!("not in {}; {install}", peer.folder.join("trixie").display()));
        }
        Ok(peer)
    }
}

/// Writes a line past the test runner's capture, so that it is seen when the test passes.
fn say(line: &str) {
    let mut stderr = io::stderr();
    let written = stderr.write_all(format!("{line}\n").as_bytes());
    written.expect("somewhere to write");
}

/// The folder of install.sh: $PEERS, else portcullis-peers in the cache folder.
pub fn folder() -> PathBuf {
    let cache = || match env::var_os("XDG_CACHE_HOME") {
        Some(cache) if !cache.is_empty() => PathBuf::from(cache),
        _ => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"),
    };
    match env::var_os("PEERS") {
        Some(peers) if !peers.is_empty() => PathBuf::from(peers),
        _ => cache().join("portcullis-peers"),
    }
}

fn catch_hello(listener: &TcpListener) -> Option<Hello> {
    let (mut socket, _) = listener.accept().expect("somebody comes");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("an open socket takes options");
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(n @ 1..) => bytes.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
        match client_hello::from_records(&bytes) {
            Ok(Progress::Complete(hello)) => return Some(*hello),
            Ok(Progress::Incomplete) => {}
            Err(error) => panic!("a hello we cannot read: {error:?}"),
        }
    }
}
