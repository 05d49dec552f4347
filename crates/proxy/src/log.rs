//! One writer thread for everything that is written; the data cores only hand lines over.
//!
//! Events go through `tracing`, with a subscriber of this proxy's own on each of its threads, so that several
//! proxies in one process (tests, a library's users) keep apart. Access lines are written by their records.
use crate::{
    clock,
    metrics::Metrics,
    plan::{AccessLog, LogFormat, LogLevel, LogPlan, LogQuery, Plan},
    start::{StartError, system},
};
use std::{
    fmt::{self, Write as _},
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::Registry,
};

/// Lines that may wait for the writer: at 400 bytes each, 6 MB; beyond, lines are dropped and counted.
const QUEUE: usize = 16 * 1024;

/// Where lines that belong on standard output go.
pub type Output = Box<dyn Write + Send>;

/// The handle that every thread has.
#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<Line>,
    shape: Arc<Shape>,
    metrics: Arc<Metrics>,
}

/// What a reload may change.
struct Shape {
    level: AtomicU8,
    format: AtomicU8,
    access: AtomicU8,
    query: AtomicU8,
}

enum Line {
    Event(String),
    Access(String),
    Key(String),
    To(Files),
    Flush(SyncSender<()>),
    End,
}

/// The files that lines go to instead of the output.
#[derive(Default)]
pub(crate) struct Files {
    access: Option<File>,
    keys: Option<File>,
}

impl Files {
    /// Opens what a plan names, before anything is switched to it.
    pub(crate) fn open(plan: &Plan) -> Result<Files, StartError> {
        let mut appending = OpenOptions::new();
        appending.create(true).append(true);
        let access = match &plan.log.access {
            AccessLog::File(path) => Some(open(&appending, "log.access", path)?),
            AccessLog::Stdout | AccessLog::Off => None,
        };
        // a file that is there keeps the mode that its owner gave it
        let secret = appending.mode(0o600);
        let keys = plan.key_log.as_deref().map(|path| open(secret, "--key-log", path));
        Ok(Files {
            access,
            keys: keys.transpose()?,
        })
    }
}

fn open(how: &OpenOptions, key: &'static str, path: &Path) -> Result<File, StartError> {
    how.open(path).map_err(|error| StartError::File {
        key,
        path: path.to_owned(),
        error,
    })
}

impl Log {
    /// Starts the writer.
    pub(crate) fn start(
        plan: &LogPlan,
        files: Files,
        output: Output,
        metrics: Arc<Metrics>,
    ) -> Result<(Log, JoinHandle<()>), StartError> {
        let (lines, queue) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write(&queue, output, files));
        let writer = writer.map_err(system("cannot start a thread"))?;
        let shape = Shape {
            level: AtomicU8::new(0),
            format: AtomicU8::new(0),
            access: AtomicU8::new(0),
            query: AtomicU8::new(0),
        };
        let log = Log {
            lines,
            shape: Arc::new(shape),
            metrics,
        };
        log.shape(plan);
        Ok((log, writer))
    }

    /// Switches to another plan, whose files were opened before.
    pub(crate) fn switch(&self, plan: &LogPlan, files: Files) {
        self.shape(plan);
        // control thread: it may wait for the writer
        let _ = self.lines.send(Line::To(files));
    }

    /// Makes this the subscriber of the calling thread until the guard goes.
    pub(crate) fn enter(&self) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(Registry::default().with(Events(self.clone())))
    }

    /// How access lines look; None when none are wanted.
    pub(crate) fn access_format(&self) -> Option<LogFormat> {
        let wanted = self.shape.access.load(Relaxed) == 1 && self.shape.level.load(Relaxed) >= LogLevel::Info as u8;
        wanted.then(|| self.format())
    }

    /// What access lines tell of queries.
    pub(crate) fn query(&self) -> LogQuery {
        let query = self.shape.query.load(Relaxed);
        let is_it = |word: &LogQuery| *word as u8 == query;
        [LogQuery::Keep, LogQuery::Names]
            .into_iter()
            .find(is_it)
            .unwrap_or(LogQuery::Drop)
    }

    /// Hands an access line over.
    pub(crate) fn access(&self, line: String) {
        self.hand(Line::Access(line));
    }

    /// Hands a line of the key log over.
    pub(crate) fn key(&self, line: String) {
        self.hand(Line::Key(line));
    }

    /// Waits until all lines handed over so far are written.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.lines.send(Line::Flush(done)).is_ok() {
            // an error means that the writer has ended, and then all is written
            let _ = wait.recv();
        }
    }

    /// Ends the writer after what it has.
    pub(crate) fn end(&self) {
        let _ = self.lines.send(Line::End);
    }

    fn shape(&self, plan: &LogPlan) {
        self.shape.level.store(plan.level as u8, Relaxed);
        self.shape.format.store(plan.format as u8, Relaxed);
        self.shape.query.store(plan.query as u8, Relaxed);
        self.shape
            .access
            .store(u8::from(plan.access != AccessLog::Off), Relaxed);
    }

    fn format(&self) -> LogFormat {
        let format = self.shape.format.load(Relaxed);
        let is_it = |word: &LogFormat| *word as u8 == format;
        [LogFormat::Json, LogFormat::Common, LogFormat::Combined]
            .into_iter()
            .find(is_it)
            .unwrap_or(LogFormat::Text)
    }

    fn hand(&self, line: Line) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.metrics.log_dropped.inc();
        }
    }
}

/// The writer thread: writes all there is, then flushes, then waits.
fn write(queue: &Receiver<Line>, output: Output, files: Files) {
    let mut writer = Writer {
        output: io::BufWriter::new(output),
        access: None,
        keys: None,
    };
    writer.turn_to(files);
    let mut next = queue.recv().ok();
    while let Some(line) = next {
        // a full disk or a closed pipe must not stop the proxy, and there is nowhere left to say it
        let _ = match line {
            Line::Event(text) => writer.output.write_all(text.as_bytes()),
            Line::Access(text) => match &mut writer.access {
                Some(file) => file.write_all(text.as_bytes()),
                None => writer.output.write_all(text.as_bytes()),
            },
            // without a file: of a connection that began before a reload took it away
            Line::Key(text) => writer
                .keys
                .as_mut()
                .map_or(Ok(()), |file| file.write_all(text.as_bytes())),
            Line::To(files) => {
                writer.turn_to(files);
                Ok(())
            }
            Line::Flush(done) => {
                writer.flush();
                let _ = done.send(());
                Ok(())
            }
            Line::End => break,
        };
        next = queue.try_recv().ok().or_else(|| {
            writer.flush();
            queue.recv().ok()
        });
    }
    writer.flush();
}

/// What the writer thread writes to.
struct Writer {
    output: io::BufWriter<Output>,
    access: Option<io::BufWriter<File>>,
    keys: Option<io::BufWriter<File>>,
}

impl Writer {
    /// The files before are flushed as they go.
    fn turn_to(&mut self, files: Files) {
        self.access = files.access.map(io::BufWriter::new);
        self.keys = files.keys.map(io::BufWriter::new);
    }

    /// Each on its own: one full disk must not hold the others back.
    fn flush(&mut self) {
        // who reads a connection's line finds its secrets
        let _ = self.keys.as_mut().map_or(Ok(()), Write::flush);
        let _ = self.access.as_mut().map_or(Ok(()), Write::flush);
        let _ = self.output.flush();
    }
}

/// The subscriber: makes a line of an event.
struct Events(Log);

impl<S: Subscriber> Layer<S> for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // libraries below us may say what only their developers need
        metadata.target().starts_with("portcullis")
            && level(*metadata.level()) as u8 <= self.0.shape.level.load(Relaxed)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = level(*event.metadata().level());
        let line = match self.0.format() {
            LogFormat::Text | LogFormat::Common | LogFormat::Combined => fields.text(level),
            LogFormat::Json => fields.json(level),
        };
        self.0.hand(Line::Event(line));
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG | Level::TRACE => LogLevel::Debug,
    }
}

impl LogLevel {
    /// `error`, `warn`, `info` or `debug`
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

#[derive(Default)]
struct Fields {
    event: String,
    rest: Vec<(&'static str, serde_json::Value)>,
}

impl Fields {
    fn text(&self, level: LogLevel) -> String {
        let mut line = format!("{} {} {}", clock::timestamp(), level.as_str(), self.event);
        for (name, value) in &self.rest {
            // writing to a String cannot fail
            let _ = match value {
                serde_json::Value::String(s) if !needs_quotes(s) => write!(line, " {name}={s}"),
                value => write!(line, " {name}={value}"),
            };
        }
        line.push('\n');
        line
    }

    fn json(self, level: LogLevel) -> String {
        let mut object = serde_json::Map::new();
        object.insert("ts".into(), clock::timestamp().into());
        object.insert("level".into(), level.as_str().into());
        object.insert("event".into(), self.event.into());
        object.extend(self.rest.into_iter().map(|(name, value)| (name.into(), value)));
        format!("{}\n", serde_json::Value::Object(object))
    }
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.event = text;
        } else {
            self.rest.push((field.name(), text.into()));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.rest.push((field.name(), value.into()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.rest.push((field.name(), value.into()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.rest.push((field.name(), value.into()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.rest.push((field.name(), value.into()));
    }
}

/// A value that would be read wrongly in `key=value` form.
pub(crate) fn needs_quotes(value: &str) -> bool {
    value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'))
}
