//! `start(Source, Shutdown) -> Running`: the whole public API, shared by the binary and the tests.
use crate::{
    admin::unready,
    clock,
    config::{self, Loaded, Problem, Reading},
    control::{self, Command, Control},
    core::{self, Shared},
    doors::{AddressError, Doors},
    key_log,
    ledger::{self, Extract, LedgerError, Span},
    log::{Files, Log, Output},
    material::{Broken, SelfSigned},
    metrics::{Label, Metrics, ReloadResult},
    plan::Address,
    record::Books,
    snapshot::{Ground, Live, Snapshot},
    traces::Traces,
};
use portcullis_tls::{negotiated::Negotiated, tickets::Tickets};
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Weak, atomic::AtomicBool},
    task::{Context, Poll, Wake, Waker},
    thread::{self, JoinHandle, Thread},
};
use tokio::sync::{mpsc, oneshot};

/// What a proxy is made of. A [`config::Source`] is one: `config.into()`.
#[derive(Default)]
pub struct Source {
    /// File, flags and environment; read again at each reload.
    pub config: config::Source,
    /// How certificates for `self-signed` are made, which this crate cannot; None: asking for them is an error.
    pub self_signed: Option<SelfSigned>,
    /// Where those log lines go that belong on standard output; None: there.
    pub output: Option<Output>,
    /// Told of each connection of a tcp site just before its first byte goes upstream; upstreams of http sites are told by
    /// `Portcullis-TLS`.
    pub hook: Option<Hook>,
}

impl From<config::Source> for Source {
    fn from(config: config::Source) -> Source {
        Source {
            config,
            ..Source::default()
        }
    }
}

/// Who ends a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// SIGTERM and SIGINT drain, SIGHUP reloads, SIGUSR1 reopens files.
    Signals,
    /// Only [`Running`]'s methods.
    Handle,
}

/// A connection that was admitted, as its backend will see it come.
pub struct Admitted<'a> {
    /// The address that the backend sees.
    pub from: SocketAddr,
    /// What the client negotiated; None on a plain listener.
    pub negotiated: Option<&'a Negotiated>,
}

/// See [`Source::hook`]. It runs on a data core: it must not block.
pub type Hook = Arc<dyn Fn(&Admitted<'_>) + Send + Sync>;

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or a file it names.
    #[error("{}", config::render(.0))]
    Config(Vec<Problem>),
    /// An address it should listen on.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A file that the configuration names.
    #[error("{key}: {}: {error}", path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The system.
    #[error("{what}: {error}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The new configuration cannot run.
    #[error(transparent)]
    Rejected(#[from] StartError),
    /// The proxy is on its way out.
    #[error("the proxy is shutting down")]
    Ending,
}

/// A running proxy. Dropped, it ends at once, open connections included; [`Running::drain`] and [`Running::wait`] let
/// them finish.
pub struct Running {
    commands: mpsc::UnboundedSender<Command>,
    control: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// Loads, builds, binds and starts; nothing runs unless all of it does. When it returns, every listener accepts.
pub fn start(source: Source, shutdown: Shutdown) -> Result<Running, StartError> {
    let mut attempted = Reading::default();
    let loaded = config::load_noting(&source.config, &mut attempted).map_err(StartError::Config)?;
    let metrics = Arc::new(Metrics::new());
    let output = source.output.unwrap_or_else(|| Box::new(io::stdout()));
    let files = Files::open(&loaded.plan)?;
    let (log, writer) = Log::start(&loaded.plan.log, files, output, metrics.clone())?;
    let _here = log.enter();
    let started = assemble(&loaded, source.self_signed, source.hook, (log.clone(), metrics));
    let (shared, mailboxes, doors, (self_signed, keeper)) = started.inspect_err(|_| log.end())?;
    let mut cores = Vec::new();
    for (index, orders) in mailboxes.into_iter().enumerate() {
        cores.push(core::start(index, shared.clone(), orders).map_err(system("cannot start a thread"))?);
    }
    let (commands, inbox) = mpsc::unbounded_channel();
    let control = Control {
        shared: shared.clone(),
        config: source.config,
        loaded,
        attempted,
        rejected: Arc::default(),
        self_signed,
        cores,
        keeper,
        writer,
        shutdown,
    };
    let control = control::start(control, doors, (commands.clone(), inbox));
    let control = control.inspect_err(|_| {
        shared.end_cores();
        shared.books.ledger.end();
        log.end();
    })?;
    Ok(Running {
        commands,
        control: Some(control),
        shared,
    })
}

type Assembled = (
    Arc<Shared>,
    core::Mailboxes,
    (Doors, crate::doors::Fresh),
    (Option<SelfSigned>, JoinHandle<()>),
);

/// The first snapshot, its sockets, and what is shared.
fn assemble(
    loaded: &Loaded,
    self_signed: Option<SelfSigned>,
    hook: Option<Hook>,
    (log, metrics): (Log, Arc<Metrics>),
) -> Result<Assembled, StartError> {
    let tickets = Tickets::new();
    let ground = Ground {
        tickets: &tickets,
        metrics: &metrics,
        self_signed: self_signed.as_ref(),
        key_log: key_log::of(&loaded.plan, &log),
        previous: None,
        broken: Broken::Refuses(None),
    };
    let snapshot = Snapshot::build(loaded, &ground).map_err(|unbuilt| StartError::Config(unbuilt.problems))?;
    let cores = loaded.plan.workers.unwrap_or_else(cores);
    let doors = Doors::default();
    let fresh = doors.bind(&snapshot, cores)?;
    metrics.loaded(ReloadResult::Applied, clock::unix_now());
    let (ledger, keeper) = ledger::start(&loaded.plan, cores, (&log, &metrics))?;
    let books = Books {
        log,
        traces: Traces::new(metrics.traces_dropped.clone()),
        metrics,
        ledger,
        nowhere: Label::from("none"),
        draining: AtomicBool::new(false),
        cutting: AtomicBool::new(false),
    };
    let (shared, mailboxes) = Shared::new(cores, (Live::new(snapshot), tickets), Arc::new(books), hook);
    shared.live.load().take_over(&shared, half_the_files());
    shared.live.load().tell_of_worries(&shared.books.metrics);
    Ok((shared, mailboxes, (doors, fresh), (self_signed, keeper)))
}

/// What a build would come to, for `check`: everything but the sockets.
pub fn inspect(loaded: &Loaded, self_signed: Option<&SelfSigned>) -> Result<Snapshot, Vec<Problem>> {
    let (tickets, metrics) = (Tickets::new(), Metrics::new());
    let ground = Ground {
        tickets: &tickets,
        metrics: &metrics,
        self_signed,
        key_log: None,
        previous: None,
        broken: Broken::Refuses(None),
    };
    Snapshot::build(loaded, &ground).map_err(|unbuilt| unbuilt.problems)
}

/// What it is asked is answered by the control thread within milliseconds, a reload within the time that its files
/// take; the asking thread waits, which may be one of an event loop.
impl Running {
    /// Where a listener listens, if on an address of the network; its first, if on several.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.ask(|answer| Command::Address(listener.to_owned(), answer))?
    }

    /// Every listener by its name, with an address as it really is: port 0 has become a port.
    pub fn addresses(&self) -> Vec<(String, Address)> {
        self.ask(Command::Addresses).unwrap_or_default()
    }

    /// What `/readyz` answers: it accepts, is not on its way out, and every site has a certificate that is valid now.
    pub fn is_ready(&self) -> bool {
        self.control.as_ref().is_some_and(|control| !control.is_finished()) && unready(&self.shared).is_none()
    }

    /// Reads the configuration again and switches to it; an error changes nothing.
    pub fn reload(&self) -> Result<(), ReloadError> {
        let answer = self.ask(|answer| Command::Reload(Some(answer)));
        answer.ok_or(ReloadError::Ending)?
    }

    /// Switches to a configuration from elsewhere, which is the one read again from now on; an error changes nothing.
    pub fn switch(&self, config: config::Source) -> Result<(), ReloadError> {
        let answer = self.ask(|answer| Command::Switch(Box::new(config), answer));
        answer.ok_or(ReloadError::Ending)?
    }

    /// Reads again, now, the certificate and CA files that changed; the watch does the same by itself within seconds.
    pub fn refresh(&self) -> Result<(), ReloadError> {
        self.ask(Command::Refresh).ok_or(ReloadError::Ending)
    }

    /// Fails readiness, stops accepting after the delay, ends when all is done or the grace is over.
    pub fn drain(&self) {
        // an error means that it has ended already
        let _ = self.commands.send(Command::Drain);
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> String {
        self.shared.books.metrics.render()
    }

    /// What the ledger says of a span of time, everything included that is over by now.
    pub fn ledger(&self, span: Span) -> Result<Extract, LedgerError> {
        waited(self.shared.books.ledger.extract(span)).ok_or(LedgerError::Ended)?
    }

    /// Waits until every log line of what has happened so far is written.
    pub fn flush_log(&self) {
        self.shared.books.log.flush();
    }

    /// The configuration that runs: for tests that ask whether an old one is gone.
    pub fn snapshot(&self) -> Weak<Snapshot> {
        Arc::downgrade(&self.shared.live.full())
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.shared.loads().total()
    }

    /// The same of each core.
    pub fn connections_per_core(&self) -> Vec<usize> {
        self.shared.loads().all()
    }

    /// Runs until it is drained, and returns when the last connection is over. It blocks: from an event loop, call it
    /// on a thread of its own.
    pub fn wait(mut self) {
        self.join();
    }

    /// None if it has ended.
    fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, wait) = oneshot::channel();
        self.commands.send(command(answer)).ok()?;
        waited(wait)
    }

    fn join(&mut self) {
        if let Some(control) = self.control.take() {
            // a panic there was printed where it happened; there is nothing left to end
            let _ = control.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.control.is_some() {
            let _ = self.commands.send(Command::End);
            self.join();
        }
    }
}

/// Waits for an answer on any thread; the channel's own way panics on one of an event loop.
fn waited<T>(mut answer: oneshot::Receiver<T>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut answer).poll(&mut context) {
            Poll::Ready(answer) => return answer.ok(),
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// Half the files we may open: a connection has two.
pub(crate) fn half_the_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |n| n as usize / 2)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
