//! Connections at rest, and how they are told that the world has changed: a drain ends them, and a configuration that
//! leaves nothing of theirs.
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    task::{Context, Waker},
};

/// The connections of a core that wait for their next request.
#[derive(Default)]
pub(crate) struct Quiet {
    resting: RefCell<HashMap<u64, Waker>>,
    next: Cell<u64>,
    /// How often the world has changed.
    changes: Cell<u64>,
    /// The proxy is on its way out.
    is_ending: Cell<bool>,
}

/// One of them, as long as it rests.
pub(crate) struct Resting<'a> {
    quiet: &'a Quiet,
    key: u64,
    seen: u64,
}

impl Quiet {
    /// From now on nothing new is begun on a connection.
    pub(crate) fn end(&self) {
        self.is_ending.set(true);
        self.stir();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Tells all of them.
    pub(crate) fn stir(&self) {
        self.changes.set(self.changes.get() + 1);
        // woken outside the borrow: a waker may do as it likes
        let wakers: Vec<Waker> = self.resting.borrow_mut().drain().map(|(_, waker)| waker).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<'a> Resting<'a> {
    pub(crate) fn new(quiet: &'a Quiet) -> Resting<'a> {
        let key = quiet.next.get();
        quiet.next.set(key + 1);
        // it has to look once: what changed before it came to rest, nobody told it
        let seen = u64::MAX;
        Resting { quiet, key, seen }
    }

    /// Whether something has changed since it was asked last; the task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> bool {
        let mut resting = self.quiet.resting.borrow_mut();
        if !resting.get(&self.key).is_some_and(|known| known.will_wake(cx.waker())) {
            resting.insert(self.key, cx.waker().clone());
        }
        std::mem::replace(&mut self.seen, self.quiet.changes.get()) != self.quiet.changes.get()
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.quiet.resting.borrow_mut().remove(&self.key);
    }
}
