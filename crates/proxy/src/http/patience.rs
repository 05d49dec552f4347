//! How long an exchange waits for whom.
use crate::wheel::{Alarm, Wheel};
use std::{
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// For whom it waits, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// The client: the rest of its body.
    ClientSends,
    /// The client: to take what was answered.
    ClientTakes,
    /// The server: to take the request.
    ServerTakes,
    /// The server: the head of its answer.
    ServerAnswers,
    /// The server: the rest of its answer.
    ServerSends,
}

/// How long each of them may take, and how much must come meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) client: Duration,
    /// For the head of an answer; None: for ever.
    pub(crate) first_byte: Option<Duration>,
    /// For anything else of a server; None: for ever.
    pub(crate) server: Option<Duration>,
    /// What a client must send or take in its time, less is a way to hold a connection; 0: it may take for ever.
    pub(crate) least: u64,
}

/// The watch over one exchange.
pub(crate) struct Patience {
    limits: Limits,
    /// Whom for, and since when.
    wait: Option<(Wait, Instant)>,
    moved: u64,
    alarm: Option<Alarm>,
    wheel: Rc<Wheel>,
}

impl Patience {
    /// Begins with the first wait; `alarm` rings for it, whatever it was set to, or one of its own.
    pub(crate) fn new(limits: Limits, (wheel, alarm): (&Rc<Wheel>, Option<Alarm>)) -> Patience {
        Patience {
            limits,
            wait: None,
            moved: 0,
            alarm,
            wheel: wheel.clone(),
        }
    }

    /// Its alarm, for who waits next.
    pub(crate) fn into_alarm(self) -> Option<Alarm> {
        self.alarm
    }

    /// `Ready` when what is waited for took too long; `moved` counts all bytes that the exchange moved so far.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, wait: Wait, moved: u64) -> Poll<Wait> {
        let (limit, least) = match wait {
            Wait::ClientSends | Wait::ClientTakes if self.limits.least == 0 => (None, 0),
            Wait::ClientSends | Wait::ClientTakes => (Some(self.limits.client), self.limits.least),
            Wait::ServerAnswers => (self.limits.first_byte, 1),
            Wait::ServerTakes | Wait::ServerSends => (self.limits.server, 1),
        };
        let since = match self.wait {
            Some((same, since)) if same == wait && moved - self.moved < least => since,
            _ => {
                // it has just begun
                let now = Instant::now();
                self.wait = Some((wait, now));
                self.moved = moved;
                now
            }
        };
        let Some(limit) = limit else { return Poll::Pending };
        let deadline = since + limit;
        let alarm = self.alarm.get_or_insert_with(|| self.wheel.alarm(deadline));
        alarm.reset(deadline);
        alarm.poll(cx).map(|()| wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wheel::Wheel;
    use std::future::poll_fn;
    use tokio::task::{LocalSet, spawn_local};

    const LIMITS: Limits = Limits {
        client: Duration::from_secs(30),
        first_byte: Some(Duration::from_secs(60)),
        server: Some(Duration::from_secs(90)),
        least: 1000,
    };

    /// When it ran out, if `moved` bytes had moved after so many seconds of waiting.
    async fn ran_out(wait: Wait, moved: impl Fn(u64) -> u64) -> u64 {
        let wheel = Wheel::new();
        let turning = spawn_local(wheel.clone().turn());
        let began = Instant::now();
        let mut patience = Patience::new(LIMITS, (&wheel, None));
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let ended = poll_fn(|cx| {
            while second.poll_tick(cx).is_ready() {}
            patience.poll(cx, wait, moved(began.elapsed().as_secs()))
        });
        assert_eq!(ended.await, wait);
        turning.abort();
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_own_limit_and_a_trickle_does_not_prolong_a_clients() {
        let local = LocalSet::new();
        let cases = local.run_until(async {
            [
                ran_out(Wait::ClientSends, |_| 0).await,
                ran_out(Wait::ServerAnswers, |_| 0).await,
                ran_out(Wait::ServerSends, |_| 0).await,
                // enough until the hundredth second
                ran_out(Wait::ClientTakes, |second| second.min(100) * 100).await,
                // 20 bytes a second: 600 in its time, and 1000 are asked
                ran_out(Wait::ClientSends, |second| second * 20).await,
                ran_out(Wait::ServerSends, |second| second.min(100)).await,
            ]
        });
        assert_eq!(cases.await, [30, 60, 90, 130, 30, 190]);
    }
}
