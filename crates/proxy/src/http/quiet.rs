//! Connections at rest, and how they are told that the world has changed: a drain ends them, and a configuration that
//! leaves nothing of theirs.
use crate::core::Core;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
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

/// One of them. It stays among them while it works too: being told once too often costs less than coming and going.
pub(crate) struct Resting {
    core: Rc<Core>,
    key: u64,
    seen: u64,
    /// Who is told; None: nobody yet.
    waker: Option<Waker>,
}

impl Quiet {
    /// From now on nothing new is begun on a connection.
    pub(crate) fn end(&self) {
        self.is_ending.set(true);
        self.stir();
    }

    /// How often the world has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.get()
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

impl Resting {
    pub(crate) fn new(core: &Rc<Core>) -> Resting {
        let key = core.quiet.next.get();
        core.quiet.next.set(key + 1);
        Resting {
            core: core.clone(),
            key,
            // it has to look once: what changed before it came to rest, nobody told it
            seen: u64::MAX,
            waker: None,
        }
    }

    /// Whether something has changed since it was asked last; the task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> bool {
        let quiet = &self.core.quiet;
        let has_changed = self.seen != quiet.changes.get();
        // who was told is not known any more
        if has_changed || !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.seen = quiet.changes.get();
            self.waker = Some(cx.waker().clone());
            quiet.resting.borrow_mut().insert(self.key, cx.waker().clone());
        }
        has_changed
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        self.core.quiet.resting.borrow_mut().remove(&self.key);
    }
}
