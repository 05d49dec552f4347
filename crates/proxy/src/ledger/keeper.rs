//! The ledger's thread: takes what cores counted every few seconds and writes it; what cannot be written waits.
use super::{
    Ledger,
    error::LedgerError,
    extract::{self, Extract, Span},
    fold,
    names::Names,
    store::Store,
    table::{Table, WAITING},
    write::{self, Shape},
};
use crate::{
    clock,
    log::Log,
    metrics::{FlushResult, Metrics},
    plan::{LedgerPlan, Plan},
    start::{StartError, system},
};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// What a kill may lose.
const FLUSH: Duration = Duration::from_secs(5);
/// Of its capacity so much may be written before the rows are counted again.
const GROWTH: usize = 20;

/// What the thread is told.
pub(super) enum Order {
    /// A table is filling up.
    Flush,
    /// Another configuration, and what was counted under the old one.
    To(Wish, Vec<Table>),
    Read(Span, oneshot::Sender<Result<Extract, LedgerError>>),
    End,
}

/// What a configuration says of the ledger.
pub(super) struct Wish {
    plan: LedgerPlan,
    shape: Shape,
}

impl Wish {
    pub(super) fn of(plan: &Plan) -> Wish {
        let labels = plan.sites.iter().filter(|site| !site.label.is_empty());
        let labels = labels.map(|site| (Arc::from(site.name.as_str()), site.label.clone()));
        Wish {
            shape: Shape {
                labels: labels.collect(),
            },
            plan: plan.ledger.clone(),
        }
    }
}

/// Starts the thread, with tables for so many cores.
pub(crate) fn start(
    plan: &Plan,
    cores: usize,
    (log, metrics): (&Log, &Arc<Metrics>),
) -> Result<(Arc<Ledger>, JoinHandle<()>), StartError> {
    let (ledger, orders) = Ledger::new(cores);
    let ledger = Arc::new(ledger);
    let wish = Wish::of(plan);
    ledger.addresses.store(plan.ledger.addresses as u8, Relaxed);
    let keeper = Keeper {
        ledger: ledger.clone(),
        metrics: metrics.clone(),
        store: None,
        path: None,
        waiting: Table::new(WAITING),
        names: Names::default(),
        shape: Shape::default(),
        keep: None,
        aged: 0,
        grown: 0,
        troubled: false,
    };
    let log = log.clone();
    let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || {
        let _log = log.enter();
        keeper.run(wish, &orders);
    });
    Ok((ledger, thread.map_err(system("cannot start a thread"))?))
}

/// What the thread owns.
struct Keeper {
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    /// None while its file cannot be had.
    store: Option<Store>,
    /// The file that is wanted; None: memory.
    path: Option<PathBuf>,
    waiting: Table,
    names: Names,
    shape: Shape,
    /// Seconds that buckets are kept.
    keep: Option<i64>,
    /// The hour in which old buckets were last looked for.
    aged: i64,
    /// Rows written since they were counted.
    grown: usize,
    /// Something is wrong, and was told.
    troubled: bool,
}

impl Keeper {
    fn run(mut self, wish: Wish, orders: &mpsc::Receiver<Order>) {
        self.turn_to(wish);
        let mut due = Instant::now() + FLUSH;
        loop {
            let order = orders.recv_timeout(due.saturating_duration_since(Instant::now()));
            match order {
                Ok(Order::Flush) | Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.flush();
                    due = Instant::now() + FLUSH;
                }
                Ok(Order::To(wish, tables)) => {
                    self.flush_these(tables);
                    self.turn_to(wish);
                }
                // who asked may be gone
                Ok(Order::Read(span, answer)) => drop(answer.send(self.read(span))),
                Ok(Order::End) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush();
        let lost = self.waiting.connections();
        if lost > 0 {
            self.metrics.ledger_dropped.inc_by(lost);
            tracing::error!(connections = lost, "ledger not written at the end, these are lost");
        }
    }

    /// Another file, or the same one under other rules.
    fn turn_to(&mut self, Wish { plan, shape }: Wish) {
        self.shape = shape;
        let keep = plan.keep.map(|keep| i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
        if self.keep != keep {
            self.keep = keep;
            self.aged = 0;
        }
        let stays = self
            .store
            .as_ref()
            .is_some_and(|store| store.path() == plan.path.as_deref());
        self.path = plan.path;
        if stays {
            return;
        }
        self.store = None;
        self.aged = 0;
        let Some(path) = &self.path else {
            return self.remember_only();
        };
        match Store::open(path) {
            Ok(store) => self.store = Some(store),
            // it will be free again
            Err(error @ LedgerError::Locked(_)) => self.trouble(&error.to_string()),
            Err(error) => {
                tracing::warn!(error = %error, "ledger is kept in memory until a reload finds its file");
                self.path = None;
                self.remember_only();
            }
        }
    }

    /// A ledger that ends with the process.
    fn remember_only(&mut self) {
        match Store::in_memory() {
            Ok(store) => self.store = Some(store),
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    fn read(&mut self, span: Span) -> Result<Extract, LedgerError> {
        self.flush();
        let Some(store) = &mut self.store else {
            return Err(LedgerError::Locked(self.path.clone().unwrap_or_default()));
        };
        let path = store.path().unwrap_or_else(|| "memory".as_ref()).to_owned();
        extract::of(&mut store.connection, span).map_err(|error| LedgerError::of(&path, error))
    }

    /// Writes all that waits, or lets it wait on.
    fn flush(&mut self) {
        let tables = self.ledger.take();
        self.flush_these(tables);
    }

    fn flush_these(&mut self, mut tables: Vec<Table>) {
        tables.push(std::mem::replace(&mut self.waiting, Table::new(WAITING)));
        let now = clock::unix_now();
        let result = match tables.iter().all(Table::is_empty) {
            true => Ok(()),
            false => self.write(&tables, now),
        };
        if let Err(error) = result {
            for table in tables {
                self.waiting.absorb(table, |entry| self.ledger.unnamed(entry));
            }
            let (nameless, lost) = self.waiting.drops();
            self.metrics.ledger_dropped.inc_by(nameless + lost);
            self.metrics.ledger_flushed(FlushResult::Failed, self.waiting.len());
            self.trouble(&error.to_string());
            return;
        }
        let dropped: u64 = tables
            .iter_mut()
            .map(|table| table.drops())
            .map(|(nameless, lost)| nameless + lost)
            .sum();
        self.metrics.ledger_dropped.inc_by(dropped);
        if let Err(error) = self.tidy(now) {
            self.trouble(&error.to_string());
        } else if std::mem::take(&mut self.troubled) {
            tracing::info!("ledger is written again");
        }
    }

    fn write(&mut self, tables: &[Table], now: i64) -> Result<(), LedgerError> {
        if self.store.as_ref().is_some_and(Store::is_gone) {
            self.store = None;
        }
        if self.store.is_none() {
            self.store = Some(match &self.path {
                Some(path) => Store::open(path)?,
                None => Store::in_memory().map_err(|error| LedgerError::of("memory".as_ref(), error))?,
            });
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        let written = write::write(store, tables, (&self.shape, &mut self.names), now);
        match written {
            Ok(()) => {
                self.grown += tables.iter().map(Table::len).sum::<usize>();
                self.metrics.ledger_flushed(FlushResult::Written, 0);
                Ok(())
            }
            Err(error) => {
                let error = LedgerError::of(store.path().unwrap_or_else(|| "memory".as_ref()), error);
                // what is wrong with an open file may be right with the same one opened anew; memory has no second life
                if self.path.is_some() && !matches!(error, LedgerError::Locked(_)) {
                    self.store = None;
                }
                Err(error)
            }
        }
    }

    /// Keeps it small.
    fn tidy(&mut self, now: i64) -> Result<(), LedgerError> {
        let hour = now.div_euclid(3600);
        let Some(store) = &mut self.store else { return Ok(()) };
        let path = store.path().unwrap_or_else(|| "memory".as_ref()).to_owned();
        let failed = |error| LedgerError::of(&path, error);
        if self.aged != hour {
            fold::age(&mut store.connection, now, self.keep).map_err(failed)?;
            self.aged = hour;
            self.grown = usize::MAX;
        }
        if self.grown >= store.capacity() / GROWTH {
            let capacity = store.capacity();
            fold::fold(&mut store.connection, capacity).map_err(failed)?;
            self.metrics
                .ledger_rows(fold::named_rows(&store.connection).map_err(failed)?);
            self.grown = 0;
        }
        Ok(())
    }

    /// Told once, until it is over.
    fn trouble(&mut self, error: &str) {
        if !std::mem::replace(&mut self.troubled, true) {
            tracing::warn!(error, "ledger not written, its figures wait in memory");
        }
    }
}
