//! The real binary, in a process of its own.
use crate::{PATIENCE, command};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

/// A running `portcullis`; dropped, it is killed.
pub struct Process {
    child: Child,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// The binary, built once per run of the tests into the folder that they run from. Cargo gives a package's tests the
/// path of its own binaries only.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--bin", "portcullis"]).join("portcullis"))
}

/// An example of the library, built likewise.
pub fn example(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| build(&["--examples"]).join("examples"));
    alone(Command::new(folder.join(name)), &[])
}

/// A command of the binary that sees nothing of the surrounding environment's settings.
pub fn portcullis(args: &[&str]) -> Command {
    alone(Command::new(binary()), args)
}

/// A shell that finds the binary by its name, as someone types it.
pub fn shell(script: &str) -> Command {
    let folder = binary().parent().expect("a binary lies in a folder");
    let path = env::var("PATH").unwrap_or_default();
    let mut shell = alone(Command::new("sh"), &["-c", script]);
    shell.env("PATH", format!("{}:{path}", folder.display()));
    shell
}

/// The binary in a process that may open so many files.
pub fn portcullis_with_files(files: usize, args: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
        .arg(binary());
    alone(shell, args)
}

impl Process {
    /// Starts a command and reads along.
    pub fn spawn(command: Command) -> Process {
        Process::reading(command, Stdio::null())
    }

    /// The same with an input that does not end until it is told to.
    pub fn spawn_waiting(command: Command) -> Process {
        Process::reading(command, Stdio::piped())
    }

    /// Ends its input.
    pub fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    fn reading(mut command: Command, input: Stdio) -> Process {
        let spawned = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Said::default());
        follow(child.stdout.take().expect("piped"), &said);
        follow(child.stderr.take().expect("piped"), &said);
        Process { child, said }
    }

    /// Starts a command that serves, and waits until it has started.
    pub fn serve(command: Command) -> Process {
        let process = Process::spawn(command);
        process.event("started");
        process
    }

    /// The address of a listener, as the log tells it.
    pub fn address(&self, listener: &str) -> SocketAddr {
        let line = self.json_line(&format!("listening on {listener}"), |line| {
            line["event"] == "listening" && line["listener"] == listener
        });
        let address = line["address"].as_str().expect("an address");
        address.parse().expect("an address of the network")
    }

    /// Waits for a log line of an event. It needs `--log-format json`.
    pub fn event(&self, event: &str) -> Value {
        self.json_line(event, |line| line["event"] == event)
    }

    /// Waits for a JSON line of this kind.
    pub fn json_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str(line).ok().filter(|line| wanted(line));
        self.line_by(what, parse)
    }

    /// Waits for a line that contains a text.
    pub fn line(&self, text: &str) -> String {
        self.line_where(text, |line| line.contains(text))
    }

    /// Waits for a line of this kind.
    pub fn line_where(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.line_by(what, |line| wanted(line).then(|| line.to_owned()))
    }

    /// All lines so far, of both outputs.
    pub fn said(&self) -> Vec<String> {
        self.said.lines.lock().expect("nothing panics holding it").clone()
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux tells of our child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.expect("a number of kB") * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = kill_process(pid.expect("a process id"), signal);
        sent.expect("our own child takes signals");
    }

    /// Waits until it ends by itself.
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = command::wait(&mut self.child);
        // The readers end with their pipes; they hold the other handles.
        let started = Instant::now();
        while Arc::strong_count(&self.said) > 1 && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        (status, self.said())
    }

    fn line_by<T>(&self, what: &str, take: impl Fn(&str) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let said = self.said();
            if let Some(found) = said.iter().find_map(|line| take(line)) {
                return found;
            }
            let ended = Arc::strong_count(&self.said) == 1;
            let late = started.elapsed() > PATIENCE;
            assert!(!ended && !late, "it never said {what}:\n{}", said.join("\n"));
            let lines = self.said.lines.lock().expect("nothing panics holding it");
            let woken = self.said.more.wait_timeout(lines, Duration::from_millis(50));
            drop(woken.expect("nothing panics holding it"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn alone(mut command: Command, args: &[&str]) -> Command {
    command.args(args).env_clear();
    // What a build with coverage or another allocator needs may stay; our own settings may not.
    let ours = |name: &str| name.contains("PORTCULLIS") || name.contains("QUANTUM_SAFE_PROXY");
    let elsewhere = ["XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY", "SSLKEYLOGFILE", "LISTEN_FDS"];
    let kept = env::vars().filter(|(name, _)| !ours(name) && !elsewhere.contains(&name.as_str()));
    command.envs(kept);
    command
}

/// Builds this of the workspace, and says in which folder it is.
fn build(what: &[&str]) -> PathBuf {
    let this = env::current_exe().expect("a program knows where it is");
    let folder = this.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let target = folder.parent().expect("target/PROFILE");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace's features, so that nothing is built that `cargo test --workspace` has not built already.
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--workspace", "--profile", profile])
        .args(what)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo runs").success(), "the binary builds");
    folder.to_owned()
}

fn follow(from: impl Read + Send + 'static, said: &Arc<Said>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            // A pipe that breaks ends like one that is closed.
            let Ok(line) = line else { return };
            said.lines.lock().expect("nothing panics holding it").push(line);
            said.more.notify_all();
        }
    });
}
