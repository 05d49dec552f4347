//! A place of its own for an example: its files as on a fresh clone, its programs by their usual names, and a network
//! in which every port is free. What runs there ends with it.
use crate::page::{Block, Kind, holds};
use portcullis_e2e::{
    command::{Finished, run},
    peers::{Home, Peer, folder},
    process::{Process, binary},
};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// An example on its own.
pub(crate) struct Place {
    // before the folder, so that nothing writes there any more when it goes
    serving: Vec<(String, Process)>,
    network: Network,
    folder: TempDir,
}

impl Place {
    /// A copy of `examples/NAME` with these programs at hand; None, said loudly, where one is not installed.
    pub(crate) fn set(example: &str, programs: &[(Home, &'static str)]) -> Option<Place> {
        let place = Place::empty(programs)?;
        copy(&examples().join(example), place.path());
        Some(place)
    }

    /// An empty folder with these programs at hand, likewise.
    pub(crate) fn empty(programs: &[(Home, &'static str)]) -> Option<Place> {
        let peers: Option<Vec<Peer>> = programs.iter().map(|(home, name)| Peer::find(*home, name)).collect();
        let peers = peers?;
        // seen under the same name from inside and outside the peers' root, where there is one
        let root = folder().join("trixie/tmp");
        let folder = if peers.is_empty() {
            TempDir::new()
        } else {
            TempDir::new_in(root)
        };
        let folder = folder.expect("somewhere takes a folder");
        open_to_all(folder.path());
        let place = Place {
            serving: Vec::new(),
            network: Network::open(),
            folder,
        };
        fs::create_dir(place.path().join(PROGRAMS)).expect("the folder takes another");
        symlink(binary(), place.path().join(PROGRAMS).join("portcullis")).expect("the folder takes a link");
        for peer in &peers {
            place.program(peer.program(), &peer.script(&inside(place.path())));
        }
        Some(place)
    }

    /// Puts a script at hand.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let file = self.path().join(PROGRAMS).join(name);
        fs::write(&file, script).expect("the folder takes a file");
        open_to_all(&file);
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its page's commands, in order.
    pub(crate) fn follow(&mut self, blocks: &[Block]) {
        for block in blocks {
            thread::sleep(READER);
            let commands = &block.commands;
            match &block.kind {
                Kind::Runs => says(block, &self.run(commands)),
                Kind::Fails => {
                    let finished = run(&mut self.command(commands), b"");
                    assert!(!finished.status.success(), "{commands}: {}", finished.all());
                    says(block, &finished);
                }
                Kind::Serves => self.serve(commands, &block.says),
                Kind::Ends => self.end(),
                Kind::File(name) => {
                    fs::write(self.path().join(name), format!("{commands}\n")).expect("the folder takes a file");
                }
                Kind::Ci => {}
            }
        }
    }

    /// Ctrl-C in every terminal; whatever serves ends.
    pub(crate) fn end(&mut self) {
        // everybody in this process tree but its first process and the shell itself
        self.run("kill -s INT -- -1");
        for (_, process) in self.serving.drain(..) {
            process.end();
        }
    }

    /// Commands that run on, once they have said this.
    pub(crate) fn serve(&mut self, commands: &str, says: &[impl AsRef<str>]) {
        let process = Process::spawn(self.command(commands));
        for line in says {
            process.line_where(line.as_ref(), |said| holds(said, line.as_ref()));
        }
        self.serving.push((commands.to_owned(), process));
    }

    /// Commands that end well.
    pub(crate) fn run(&self, commands: &str) -> Finished {
        let finished = run(&mut self.command(commands), b"");
        assert!(finished.status.success(), "{commands}: {}", finished.all());
        finished
    }

    /// What serves by a command that begins so.
    pub(crate) fn serving(&self, command: &str) -> &Process {
        let mut serving = self.serving.iter();
        let found = serving.find(|(line, _)| line.starts_with(command));
        &found.unwrap_or_else(|| panic!("the page does not serve {command}")).1
    }

    fn command(&self, commands: &str) -> Command {
        let mut command = self.network.enter();
        command.args(["bash", "-euo", "pipefail", "-c", commands]);
        command.current_dir(self.path()).env_clear();
        let programs = self.path().join(PROGRAMS);
        command
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()))
            .env("HOME", self.path());
        command
    }
}

/// Who types commands is no faster; some servers do not say when they listen, and a record may come after the answer.
const READER: Duration = Duration::from_millis(500);

fn says(block: &Block, finished: &Finished) {
    for line in &block.says {
        let all = finished.all();
        assert!(holds(&all, line), "{}: no {line:?}: {all}", block.commands);
    }
}

const PROGRAMS: &str = "programs";

/// A network and a process tree without anybody else.
struct Network {
    holder: Child,
}

impl Network {
    fn open() -> Network {
        // It ends with its input, whatever becomes of this process, and all that runs inside ends with it.
        let first = "ip link set lo up && echo up && exec cat";
        let holder = Command::new("unshare")
            .args(["--net", "--pid", "--fork", "--kill-child", "sh", "-c", first])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = holder.expect("unshare is part of the system");
        let mut said = String::new();
        let mut stdout = BufReader::new(holder.stdout.take().expect("piped"));
        let read = stdout.read_line(&mut said);
        assert!(
            read.is_ok() && said == "up\n",
            "no network of its own: needs root and iproute2"
        );
        Network { holder }
    }

    fn enter(&self) -> Command {
        let of = |kind: &str| format!("/proc/{}/ns/{kind}", self.holder.id());
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", of("net")));
        command.arg(format!("--pid={}", of("pid_for_children"))).arg("--");
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // the kernel ends all that runs in the tree when its first process ends
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// The page of an example.
pub(crate) fn page(example: &str) -> String {
    text(example, "README.md")
}

/// A file of an example.
pub(crate) fn text(example: &str, file: &str) -> String {
    let file = examples().join(example).join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A path in the peers' root, as programs there see it.
pub(crate) fn inside(path: &Path) -> PathBuf {
    let root = folder().join("trixie");
    Path::new("/").join(path.strip_prefix(root).expect("it lies in the root"))
}

/// Files only: an example has no folders of its own.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the example is a folder") {
        let entry = entry.expect("a folder lists what it has");
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("the folder takes a file");
        }
    }
}

/// Servers that give up root must get there too.
pub(crate) fn open_to_all(path: &Path) {
    let all = fs::Permissions::from_mode(0o777);
    fs::set_permissions(path, all).expect("our own file");
}
