//! A connection of many streams: it ends when nobody asks anything any more, and when its client does not take what it
//! asked for.
use super::{limits, visit::Visit};
use crate::{
    failure::{Failure, Stage},
    wheel::Alarm,
};
use portcullis_tls::failure::Fault;
use std::{
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// How often it is looked at: as often as a body's rate is.
const LOOK: Duration = limits::BODY_RATE_OVER;

/// One request under way, as long as this lives.
pub(super) struct UnderWay(Rc<Visit>);

impl UnderWay {
    pub(super) fn new(visit: &Rc<Visit>) -> UnderWay {
        visit.under_way.set(visit.under_way.get() + 1);
        UnderWay(visit.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

/// An answer of which something waits for its client, as long as this lives.
pub(super) struct Held(Rc<Visit>);

impl Held {
    pub(super) fn new(visit: &Rc<Visit>) -> Held {
        visit.held.set(visit.held.get() + 1);
        Held(visit.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.set(self.0.held.get() - 1);
    }
}

/// The watch over one connection.
pub(super) struct Watch {
    visit: Rc<Visit>,
    alarm: Alarm,
    /// Since when nothing was asked.
    idle_since: Option<Instant>,
    /// Bytes that the client had taken at the last look.
    taken: u64,
    /// Something waited for it then.
    was_held: bool,
}

impl Watch {
    pub(super) fn new(visit: &Rc<Visit>) -> Watch {
        let now = Instant::now();
        Watch {
            visit: visit.clone(),
            alarm: visit.core.wheel.alarm(now + LOOK),
            idle_since: Some(now),
            taken: 0,
            was_held: false,
        }
    }

    /// `Ready(Ok)` when the connection is idle for too long, an error when its client takes too little.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            ready!(self.alarm.poll(cx));
            let now = Instant::now();
            self.alarm.reset(now + LOOK);
            let (is_held, taken) = (self.visit.held.get() > 0, self.visit.bytes.get().outward);
            let rate = self.visit.http.limits.body_rate;
            let least = rate * LOOK.as_secs();
            if self.was_held && is_held && taken - self.taken < least {
                let error = "it takes its answers too slowly";
                return Poll::Ready(Err(Failure::failed(Stage::Request, Fault::Client, error)));
            }
            (self.was_held, self.taken) = (is_held, taken);
            let since = match self.visit.under_way.get() {
                0 => *self.idle_since.get_or_insert(now),
                _ => {
                    self.idle_since = None;
                    continue;
                }
            };
            if self.visit.http.limits.idle.is_some_and(|limit| now >= since + limit) {
                self.idle_since = None;
                return Poll::Ready(Ok(()));
            }
        }
    }
}
