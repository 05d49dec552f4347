//! One coarse clock per core for every deadline. A timer of the runtime costs two system calls when it is set
//! (it wakes its own event loop); these cost an entry in a map, and nearly all are taken out before their time.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// How late a deadline may be noticed. The shortest one that is set here is a second.
const TICK: Duration = Duration::from_millis(50);

/// The deadlines of a core.
pub(crate) struct Wheel {
    start: Instant,
    alarms: RefCell<BTreeMap<Key, Waker>>,
    next: Cell<u64>,
    /// Every alarm of a tick up to this one has rung.
    turned: Cell<u64>,
    /// Rung when the first alarm is set on a wheel that stands.
    set: Notify,
}

/// Tick, and a number of its own.
type Key = (u64, u64);

/// A deadline that wakes its task. One that is moved to a later time stays where it is, and looks again when it rings:
/// a connection that keeps its alarm over all its requests seldom touches the map.
pub(crate) struct Alarm {
    wheel: Rc<Wheel>,
    at: Instant,
    set: Option<Set>,
}

/// An alarm as the wheel has it.
struct Set {
    key: Key,
    waker: Waker,
}

impl Wheel {
    pub(crate) fn new() -> Rc<Wheel> {
        Rc::new(Wheel {
            start: Instant::now(),
            alarms: RefCell::default(),
            next: Cell::new(0),
            turned: Cell::new(0),
            set: Notify::new(),
        })
    }

    /// Turns for ever; stands still while no alarm is set.
    pub(crate) async fn turn(self: Rc<Wheel>) {
        loop {
            if self.alarms.borrow().is_empty() {
                self.set.notified().await;
            }
            sleep(TICK).await;
            let now = self.tick(Instant::now());
            self.turned.set(now);
            loop {
                let due = self
                    .alarms
                    .borrow_mut()
                    .first_entry()
                    .filter(|e| e.key().0 <= now)
                    .map(|e| e.remove());
                // woken outside the borrow: a waker may do as it likes
                let Some(waker) = due else { break };
                waker.wake();
            }
        }
    }

    /// An alarm for this moment.
    pub(crate) fn alarm(self: &Rc<Wheel>, at: Instant) -> Alarm {
        Alarm {
            wheel: self.clone(),
            at,
            set: None,
        }
    }

    /// The future's result, or None when the deadline came first.
    pub(crate) async fn within<T>(
        self: &Rc<Wheel>,
        deadline: Option<Instant>,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(deadline) = deadline else {
            return Some(future.await);
        };
        let (mut alarm, mut future) = (self.alarm(deadline), pin!(future));
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => alarm.poll(cx).map(|()| None),
        })
        .await
    }

    /// Rounded up, so that no alarm rings early.
    fn tick(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.start).as_millis() / TICK.as_millis()) as u64
    }

    fn set(&self, at: Instant, waker: Waker) -> Key {
        let key = (self.tick(at) + 1, self.next.get());
        self.next.set(key.1 + 1);
        let mut alarms = self.alarms.borrow_mut();
        if alarms.is_empty() {
            self.set.notify_one();
        }
        alarms.insert(key, waker);
        key
    }
}

impl Alarm {
    /// Ready when its time has come.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(set) = &mut self.set
            && set.key.0 > self.wheel.turned.get()
        {
            if !set.waker.will_wake(cx.waker()) {
                set.waker.clone_from(cx.waker());
                self.wheel.alarms.borrow_mut().insert(set.key, cx.waker().clone());
            }
            return Poll::Pending;
        }
        self.set = None;
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let key = self.wheel.set(self.at, cx.waker().clone());
        let waker = cx.waker().clone();
        self.set = Some(Set { key, waker });
        Poll::Pending
    }

    /// Moves it.
    pub(crate) fn reset(&mut self, at: Instant) {
        if at < self.at && self.set.as_ref().is_some_and(|set| set.key.0 > self.wheel.tick(at) + 1) {
            self.unset();
        }
        self.at = at;
    }

    fn unset(&mut self) {
        if let Some(set) = self.set.take() {
            self.wheel.alarms.borrow_mut().remove(&set.key);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.unset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::task::{LocalSet, spawn_local};

    async fn on_a_wheel<F: Future>(test: impl FnOnce(Rc<Wheel>) -> F) -> F::Output {
        let wheel = Wheel::new();
        let local = LocalSet::new();
        local
            .run_until(async {
                spawn_local(wheel.clone().turn());
                test(wheel).await
            })
            .await
    }

    async fn is_pending(alarm: &mut Alarm) -> bool {
        poll_fn(|cx| Poll::Ready(alarm.poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_noticed_within_two_ticks_and_never_early() {
        on_a_wheel(|wheel| async move {
            for milliseconds in [0, 1, 49, 50, 51, 730, 10_000] {
                let limit = Duration::from_millis(milliseconds);
                let before = Instant::now();
                let never = std::future::pending::<()>();
                assert_eq!(wheel.within(Some(before + limit), never).await, None);
                let took = before.elapsed();
                assert!(
                    took >= limit && took <= limit + 2 * TICK + Duration::from_millis(2),
                    "{limit:?}: {took:?}"
                );
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_time_leaves_no_alarm() {
        on_a_wheel(|wheel| async move {
            let soon = sleep(Duration::from_millis(120));
            assert_eq!(
                wheel.within(Some(Instant::now() + Duration::from_secs(1)), soon).await,
                Some(())
            );
            assert!(wheel.alarms.borrow().is_empty());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_is_moved_rings_at_its_new_time() {
        on_a_wheel(|wheel| async move {
            let before = Instant::now();
            let mut alarm = wheel.alarm(before + Duration::from_millis(200));
            assert!(is_pending(&mut alarm).await);
            alarm.reset(before + Duration::from_millis(900));
            assert!(is_pending(&mut alarm).await);
            assert_eq!(wheel.alarms.borrow().len(), 1, "it did not move yet");
            poll_fn(|cx| alarm.poll(cx)).await;
            assert!(before.elapsed() >= Duration::from_millis(900));
            let before = Instant::now();
            alarm.reset(before + Duration::from_millis(900));
            assert!(is_pending(&mut alarm).await);
            alarm.reset(before + Duration::from_millis(200));
            poll_fn(|cx| alarm.poll(cx)).await;
            assert!((200..=310).contains(&before.elapsed().as_millis()));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_wakes_whoever_polled_it_last() {
        on_a_wheel(|wheel| async move {
            let mut alarm = wheel.alarm(Instant::now() + Duration::from_millis(200));
            assert!(alarm.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            poll_fn(|cx| alarm.poll(cx)).await;
        })
        .await;
    }
}
