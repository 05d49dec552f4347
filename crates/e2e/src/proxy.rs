//! The proxy in this process, with its file, its log and its metrics at hand.
use crate::PATIENCE;
use portcullis_proxy::{ReloadError, Running, Shutdown, Snapshot, Source, StartError, config, start};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, Weak},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A running proxy; dropped, it ends.
pub struct Proxy {
    running: Running,
    output: Arc<Output>,
    file: PathBuf,
    _folder: TempDir,
}

#[derive(Default)]
struct Output {
    bytes: Mutex<Vec<u8>>,
    grown: Condvar,
}

struct Sink(Arc<Output>);

impl Proxy {
    /// Runs a configuration that must run.
    pub fn start(toml: &str) -> Proxy {
        Proxy::try_start(toml).unwrap_or_else(|error| panic!("it does not start: {error}\n{toml}"))
    }

    /// Runs a configuration, or says why it cannot run.
    pub fn try_start(toml: &str) -> Result<Proxy, StartError> {
        Proxy::start_with(toml, &[])
    }

    /// The same under flags, each with its value.
    pub fn start_with(toml: &str, flags: &[(&str, &str)]) -> Result<Proxy, StartError> {
        let flags = flags
            .iter()
            .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]));
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("portcullis.toml");
        fs::write(&file, toml).expect("the temporary folder takes a file");
        let output = Arc::new(Output::default());
        let source = Source {
            config: config::Source {
                file: Some(file.clone()),
                flags: flags.collect(),
                ..config::Source::default()
            },
            output: Some(Box::new(Sink(Arc::clone(&output)))),
            ..Source::default()
        };
        Ok(Proxy {
            running: start(source, Shutdown::Handle)?,
            output,
            file,
            _folder: folder,
        })
    }

    /// The address of the listener `front`.
    pub fn address(&self) -> SocketAddr {
        self.address_of("front")
    }

    /// The address of a listener.
    pub fn address_of(&self, listener: &str) -> SocketAddr {
        let address = self.running.address(listener);
        address.unwrap_or_else(|| panic!("no listener {listener} with an address"))
    }

    /// Writes another configuration and switches to it.
    pub fn reload(&self, toml: &str) -> Result<(), ReloadError> {
        self.write(toml);
        self.running.reload()
    }

    /// Writes another configuration and says nothing.
    pub fn write(&self, toml: &str) {
        fs::write(&self.file, toml).expect("the temporary folder takes a file");
    }

    /// The configuration that runs now, without holding it.
    pub fn snapshot(&self) -> Weak<Snapshot> {
        self.running.snapshot()
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.running.connections()
    }

    /// Waits until so many connections are open.
    pub fn connections_become(&self, wanted: usize) {
        let started = Instant::now();
        while self.connections() != wanted {
            let open = self.connections();
            assert!(
                started.elapsed() < PATIENCE,
                "{open} connections are open, not {wanted}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The proxy's own handle.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Metrics by name with labels, as a scrape shows them.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.running.metrics();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| line.rsplit_once(' '));
        samples
            .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
            .collect()
    }

    /// The sum of a metric over all samples whose labels contain each of these.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let all = self.metrics();
        let wanted = all.iter().filter(|(key, _)| {
            let (base, rest) = key.split_once('{').unwrap_or((key, ""));
            base == name && labels.iter().all(|label| rest.contains(label))
        });
        wanted.map(|(_, value)| value).sum()
    }

    /// All access lines written so far.
    pub fn records(&self) -> Vec<Value> {
        self.lines("connection")
    }

    /// All access lines, once every connection has ended: a client may be gone before its line is written.
    pub fn all_records(&self) -> Vec<Value> {
        self.connections_become(0);
        self.records()
    }

    /// All lines of an event written so far.
    pub fn lines(&self, event: &str) -> Vec<Value> {
        self.running.flush_log();
        let lines = self.output.lines();
        lines.into_iter().filter(|line| line["event"] == event).collect()
    }

    /// The access line of a client's connection, waited for.
    pub fn record(&self, client: SocketAddr) -> Value {
        self.record_where(|line| line["peer"] == client.to_string())
    }

    /// The first access line of this kind, waited for.
    pub fn record_where(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = |lines: &[Value]| lines.iter().find(|line| wanted(line)).cloned();
        self.found("connection", found)
    }

    /// The line of the request with this path, waited for.
    pub fn request(&self, path: &str) -> Value {
        let found = |lines: &[Value]| lines.iter().find(|line| line["path"] == path).cloned();
        self.found("request", found)
    }

    /// The lines of all requests, once there are so many.
    pub fn requests_become(&self, count: usize) -> Vec<Value> {
        self.found("request", |lines| (lines.len() >= count).then(|| lines.to_vec()))
    }

    /// What is looked for among the lines of an event, waited for.
    fn found<T>(&self, event: &str, find: impl Fn(&[Value]) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let lines = self.lines(event);
            if let Some(found) = find(&lines) {
                return found;
            }
            let left = PATIENCE.saturating_sub(started.elapsed());
            assert!(!left.is_zero(), "not what was waited for: {lines:#?}");
            self.output.wait(left);
        }
    }
}

impl Output {
    /// The whole lines so far; what follows them is still being written.
    fn lines(&self) -> Vec<Value> {
        let bytes = self.bytes.lock().expect("nothing panics holding it").clone();
        let whole = bytes.split_inclusive(|byte| *byte == b'\n');
        let whole = whole.filter(|line| line.ends_with(b"\n"));
        whole
            .map(|line| serde_json::from_slice(line).expect("a JSON line"))
            .collect()
    }

    /// Waits until there may be more, but not long: what came since the last look is not told.
    fn wait(&self, left: Duration) {
        let bytes = self.bytes.lock().expect("nothing panics holding it");
        let waited = self.grown.wait_timeout(bytes, left.min(Duration::from_millis(50)));
        drop(waited.expect("nothing panics holding it"));
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .bytes
            .lock()
            .expect("nothing panics holding it")
            .extend_from_slice(bytes);
        self.0.grown.notify_all();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
