//! Idle connections to servers, kept by the core that made them, the last one used first.
use super::{lease::Own, multiplex::Lanes};
use crate::upstream::{Server, Stream};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// Idle connections that one core keeps of one server: more than a core can have in use at once is for nobody.
const KEPT: usize = 128;
/// How often those that rested too long are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(5);

/// A core's idle connections.
#[derive(Default)]
pub(crate) struct Pool {
    /// By server; the place of the server in memory is its key, and its connections keep it there.
    idle: RefCell<BTreeMap<usize, Vec<Resting>>>,
    /// Those that many requests share.
    pub(crate) lanes: Lanes,
}

struct Resting {
    stream: Stream,
    _server: Arc<Server>,
    until: Option<Instant>,
}

impl Pool {
    /// The connection that was used last and is still good. `scratch` is for what it may have said meanwhile.
    pub(crate) fn take(&self, server: &Arc<Server>, scratch: &mut [u8]) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let resting = idle.get_mut(&key(server))?;
        let now = Instant::now();
        while let Some(mut last) = resting.pop() {
            if last.is_due(now) {
                // those below rested longer
                resting.clear();
            } else if is_quiet(&mut last.stream, scratch) {
                return Some(last.stream);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, own: Own) {
        let Own { stream, terms } = own;
        let mut idle = self.idle.borrow_mut();
        let resting = idle.entry(key(&terms.pick.server)).or_default();
        if resting.len() < KEPT {
            resting.push(Resting {
                stream,
                _server: terms.pick.server.clone(),
                until: terms.rest.map(|rest| Instant::now() + rest),
            });
        }
    }

    /// Closes those of a server.
    pub(crate) fn forget(&self, server: &Arc<Server>) {
        self.idle.borrow_mut().remove(&key(server));
    }

    /// Closes those that rested too long.
    fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, resting| {
            resting.retain(|resting| !resting.is_due(now));
            !resting.is_empty()
        });
    }

    /// Sweeps for ever.
    pub(crate) async fn turn(self: Rc<Pool>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.sweep();
            self.lanes.sweep();
        }
    }
}

impl Resting {
    fn is_due(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// A server's place in memory.
pub(super) fn key(server: &Arc<Server>) -> usize {
    Arc::as_ptr(server).addr()
}

/// A server that closed, or says what nobody asked for, is not asked again. It costs no system call: the event loop
/// knows whether something came.
fn is_quiet(stream: &mut Stream, scratch: &mut [u8]) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(stream.poll_read(&mut cx, scratch), Poll::Pending)
}
