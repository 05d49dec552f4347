//! Programs of others, run to their end.
use crate::PATIENCE;
use std::{
    io::{Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a program left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Finished {
    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a program with this input, and kills it when it takes too long.
pub fn run(command: &mut Command, input: &[u8]) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    // A program that ends without reading all is judged by how it ended.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let status = wait(&mut child);
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        let bytes = reader.join().expect("a reader only reads");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Finished {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// Waits for the end; a program that takes too long is killed, and the test with it.
pub fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("our own child");
            let status = child.wait().expect("our own child");
            panic!("it does not end by itself: {status}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        // What came before an error is what there is.
        let _ = from.read_to_end(&mut all);
        all
    })
}
