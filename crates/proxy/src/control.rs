//! The control thread: signals, commands, admin and metrics listeners, names, reload and drain. Nothing of this
//! ever runs on a data core.
use crate::{
    admin::Admin,
    clock, config,
    config::{Loaded, Reading},
    core::{Order, Shared},
    doors::{Doors, Fresh},
    log::Files,
    material::SelfSigned,
    plan::Address,
    reload::{refresh, reload},
    start::{ReloadError, Shutdown, StartError, system},
    upstream,
    watch::{Change, Seen, Watch, Watched},
};
use std::{
    io, mem,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    runtime::{Builder, LocalOptions},
    select,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    task::JoinHandle as Task,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

/// What time alone changes is looked at this often: ticket keys, certificates that expire.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// A collector that takes longer for the last spans does without them.
const LAST_EXPORT: Duration = Duration::from_secs(3);
/// How often a drain looks whether all is done.
const LOOK: Duration = Duration::from_millis(20);

/// What the control thread owns.
pub(crate) struct Control {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: config::Source,
    /// What runs, as it was loaded.
    pub(crate) loaded: Loaded,
    /// What the configuration was last read from, whatever came of it.
    pub(crate) attempted: Reading,
    /// What the files held that it named, if it was rejected.
    pub(crate) rejected: Arc<Seen>,
    pub(crate) self_signed: Option<SelfSigned>,
    pub(crate) cores: Vec<JoinHandle<()>>,
    pub(crate) keeper: JoinHandle<()>,
    pub(crate) writer: JoinHandle<()>,
    pub(crate) shutdown: Shutdown,
}

/// What may be asked of it.
pub(crate) enum Command {
    Address(String, oneshot::Sender<Option<SocketAddr>>),
    Addresses(oneshot::Sender<Vec<(String, Address)>>),
    /// With somebody who waits for the result, or without (a signal).
    Reload(Option<oneshot::Sender<Result<(), ReloadError>>>),
    /// The same with another configuration.
    Switch(Box<config::Source>, oneshot::Sender<Result<(), ReloadError>>),
    /// Read changed files now.
    Refresh(oneshot::Sender<()>),
    Reopen,
    Drain,
    /// Drain; and when it is said again, end at once.
    Interrupt,
    End,
}

/// How the loop ends.
#[derive(PartialEq, Eq)]
enum Ending {
    Drain,
    AtOnce,
}

type Mailbox = (mpsc::UnboundedSender<Command>, mpsc::UnboundedReceiver<Command>);

/// Starts the thread, and returns once admin and metrics listen too.
pub(crate) fn start(control: Control, doors: (Doors, Fresh), mailbox: Mailbox) -> Result<JoinHandle<()>, StartError> {
    let admin = Admin::bind(&control.loaded.plan)?;
    notice(&control.loaded);
    let (ready, started) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        let _log = control.shared.books.log.enter();
        let runtime = match Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
        {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(system("cannot start the control thread")(error)))),
        };
        runtime.block_on(async move {
            match listen_to_signals(control.shutdown, &mailbox.0) {
                Ok(()) => {
                    let _ = ready.send(Ok(()));
                    control.run(doors, mailbox, admin).await;
                }
                Err(error) => drop(ready.send(Err(system("cannot handle signals")(error)))),
            }
        });
    });
    let thread = thread.map_err(system("cannot start a thread"))?;
    match started.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(system("the control thread ended")(io::Error::other(error))),
    }
}

/// What loading said that stops nothing.
pub(crate) fn notice(loaded: &Loaded) {
    for notice in &loaded.notices {
        tracing::warn!(at = %notice.origin, hint = notice.hint.as_deref().unwrap_or_default(), "{}", notice.message);
    }
}

impl Control {
    async fn run(mut self, (mut doors, fresh): (Doors, Fresh), (commands, mut inbox): Mailbox, admin: Admin) {
        doors.listen(&self.shared, fresh);
        let mut exporter = None;
        self.attend(&mut exporter);
        let mut admin = admin.serve(&self.shared, &commands);
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::new();
        let mut out_of_time = Vec::new();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pid = std::process::id() as u64,
            cores = self.shared.cores() as u64,
            "started"
        );
        let ending = loop {
            let command = select! {
                command = inbox.recv() => command.unwrap_or(Command::End),
                _ = heartbeat.tick() => {
                    self.shared.tickets.rotate();
                    out_of_time = self.tell_of_time(&out_of_time);
                    doors.close_idle(&self.shared).await;
                    continue;
                }
                change = watch.changed(|| self.watched()) => match change {
                    Change::Configuration => Command::Reload(None),
                    Change::Files => {
                        refresh(&self);
                        continue;
                    }
                },
            };
            match command {
                Command::Reload(answer) => {
                    let result = reload(&mut self, &mut doors, (&mut admin, &commands)).await;
                    self.attend(&mut exporter);
                    if let Some(answer) = answer {
                        let _ = answer.send(result.map_err(ReloadError::Rejected));
                    }
                }
                Command::Switch(config, answer) => {
                    let before = (mem::replace(&mut self.config, *config), self.attempted.clone());
                    let result = reload(&mut self, &mut doors, (&mut admin, &commands)).await;
                    if result.is_err() {
                        (self.config, self.attempted) = before;
                    }
                    self.attend(&mut exporter);
                    let _ = answer.send(result.map_err(ReloadError::Rejected));
                }
                Command::Refresh(answer) => {
                    refresh(&self);
                    let _ = answer.send(());
                }
                Command::Reopen => self.reopen(),
                Command::Drain | Command::Interrupt => break Ending::Drain,
                Command::End => break Ending::AtOnce,
                Command::Address(listener, answer) => drop(answer.send(doors.address(&listener))),
                Command::Addresses(answer) => drop(answer.send(doors.addresses())),
            }
        };
        let shared = Arc::clone(&self.shared);
        self.end(doors, ending, &mut inbox).await;
        drop(admin);
        shared.books.traces.switch(None);
        if let Some(exporter) = exporter {
            let _ = timeout(LAST_EXPORT, exporter).await;
        }
    }

    /// Looks after the upstreams of what runs, and sends its traces.
    fn attend(&self, exporter: &mut Option<Task<()>>) {
        upstream::attend(&self.shared);
        let plan = &self.shared.live.load().plan;
        let started = self.shared.books.traces.switch(plan.traces.as_ref());
        *exporter = started.or(exporter.take());
    }

    /// Certificates that are expired or not yet valid, as a metric, and as a warning where they were not told before.
    fn tell_of_time(&self, told: &[(String, usize)]) -> Vec<(String, usize)> {
        let snapshot = self.shared.live.load();
        let found = snapshot.out_of_time(clock::unix_now());
        let now: Vec<(String, usize)> = found.map(|(_, site, place)| (site.to_owned(), place)).collect();
        for (site, place) in now.iter().filter(|one| !told.contains(one)) {
            tracing::warn!(site = %site, certificate = *place as u64, "certificate is out of its time, others are offered first");
        }
        let labels = snapshot.out_of_time(clock::unix_now()).map(|(label, ..)| label);
        self.shared.books.metrics.out_of_time(labels);
        now
    }

    /// What the configuration was read from, where that is wanted, and all that it names.
    fn watched(&self) -> Watched {
        let snapshot = self.shared.live.load();
        Watched {
            rejected: match snapshot.plan.watch {
                true => Arc::clone(&self.rejected),
                false => Arc::default(),
            },
            configuration: snapshot.plan.watch.then(|| self.attempted.clone()),
            files: Arc::clone(&snapshot.kept.seen),
        }
    }

    /// Files of lines that were moved away are made anew.
    fn reopen(&self) {
        let plan = &self.shared.live.load().plan;
        match Files::open(plan) {
            Ok(files) => {
                self.shared.books.log.switch(&plan.log, files);
                tracing::info!("log reopened");
            }
            Err(error) => tracing::error!(error = %error, "log not reopened"),
        }
    }

    /// Readiness, accepting, connections, in this order; a second signal cuts it short.
    async fn end(self, mut doors: Doors, ending: Ending, inbox: &mut mpsc::UnboundedReceiver<Command>) {
        if ending == Ending::Drain {
            select! {
                // whoever is told that we are ending finds us unready
                biased;
                () = self.drain(&mut doors) => {}
                () = cut(inbox) => tracing::info!("drain cut short"),
            }
        }
        doors.close_all(&self.shared).await;
        let left = self.shared.loads().total();
        self.shared.books.cutting.store(true, Relaxed);
        self.shared.end_cores();
        for core in self.cores {
            // a core that panicked has said so, and its connections were counted as they fell
            let _ = core.join();
        }
        // after the cores: their last connections are in it
        self.shared.books.ledger.end();
        let _ = self.keeper.join();
        tracing::info!(cut = left as u64, "ended");
        self.shared.books.log.end();
        let _ = self.writer.join();
    }

    async fn drain(&self, doors: &mut Doors) {
        let plan = self.shared.live.load().plan.shutdown.clone();
        self.shared.books.draining.store(true, Relaxed);
        tracing::info!(
            delay_s = plan.delay.as_secs(),
            grace_s = plan.grace.as_secs(),
            open = self.shared.loads().total() as u64,
            "draining"
        );
        sleep(plan.delay).await;
        doors.close_all(&self.shared).await;
        self.shared.order_all(|| Order::WindDown);
        let end = Instant::now() + plan.grace;
        select! {
            () = sleep_until(end) => {}
            () = async { while self.shared.loads().total() > 0 { sleep(LOOK).await } } => {}
        }
    }
}

/// A second wish to end.
async fn cut(inbox: &mut mpsc::UnboundedReceiver<Command>) {
    // whoever waits for an answer to something else learns that we are ending when it is dropped
    while !matches!(inbox.recv().await, Some(Command::Interrupt | Command::End) | None) {}
}

/// Signals become commands, if they are ours to handle.
fn listen_to_signals(shutdown: Shutdown, commands: &mpsc::UnboundedSender<Command>) -> io::Result<()> {
    if shutdown == Shutdown::Handle {
        return Ok(());
    }
    let each: [(SignalKind, fn() -> Command); 4] = [
        (SignalKind::hangup(), || Command::Reload(None)),
        (SignalKind::user_defined1(), || Command::Reopen),
        (SignalKind::terminate(), || Command::Interrupt),
        (SignalKind::interrupt(), || Command::Interrupt),
    ];
    for (kind, command) in each {
        let (mut signals, commands) = (signal(kind)?, commands.clone());
        // it ends with the runtime of the control thread
        tokio::spawn(async move { while signals.recv().await.is_some() && commands.send(command()).is_ok() {} });
    }
    Ok(())
}
