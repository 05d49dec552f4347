//! What the control thread does for upstreams: asks servers how they are, and looks their names up. No data core waits for it.
use super::{Server, Stream, Upstream, opening, server::Dialler};
use crate::{core::Shared, failure::describe, plan::HealthPlan};
use std::{
    cell::RefCell,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    task::{spawn_blocking, spawn_local},
    time::{Instant, sleep, timeout_at},
};

/// Names are looked up this often: the system's resolver does not tell how long an answer holds.
const RESOLVE: Duration = Duration::from_secs(30);
/// And this often while there is no address at all: what starts beside us may come up in a moment.
const RESOLVE_SOON: Duration = Duration::from_secs(1);
/// The first checks after a start are spread over so long.
const SPREAD: Duration = Duration::from_secs(1);
/// A status line is shorter, and all that is read.
const MOST_ANSWER: usize = 512;
/// What is read at once in a check's handshake.
const SCRATCH: usize = 16 * 1024;

/// Begins to look after those upstreams that nobody looks after yet. Their tasks end with the configuration.
pub(crate) fn attend(shared: &Arc<Shared>) {
    for upstream in &shared.live.load().upstreams {
        if upstream.is_attended() {
            continue;
        }
        let held = || (Arc::clone(shared), Arc::downgrade(upstream));
        if upstream.has_names() {
            spawn_local(keep_resolving(held()));
        }
        if upstream.plan.health.is_some() {
            for place in 0..upstream.servers.len() {
                spawn_local(keep_checking(held(), place));
            }
        }
    }
}

type Held = (Arc<Shared>, Weak<Upstream>);

/// The upstream, while it is in use.
fn in_use((shared, upstream): &Held) -> Option<Arc<Upstream>> {
    let upstream = upstream.upgrade()?;
    let snapshot = shared.live.load();
    let is_live = snapshot.upstreams.iter().any(|live| Arc::ptr_eq(live, &upstream));
    is_live.then_some(upstream)
}

async fn keep_resolving(held: Held) {
    loop {
        let Some(upstream) = in_use(&held) else { return };
        let pause = if upstream.lacks_addresses() {
            RESOLVE_SOON
        } else {
            jittered(RESOLVE)
        };
        drop(upstream);
        sleep(pause).await;
        let Some(upstream) = in_use(&held) else { return };
        let log = held.0.books.log.clone();
        // on a thread of the runtime's pool: a resolver may take seconds
        let resolved = spawn_blocking(move || {
            let _log = log.enter();
            upstream.resolve();
        });
        if resolved.await.is_err() {
            return;
        }
    }
}

/// How a server did lately.
#[derive(Default)]
struct Streak {
    good: usize,
    bad: usize,
    /// It has been judged: before that the first check decides.
    is_judged: bool,
}

async fn keep_checking(held: Held, place: usize) {
    let mut streak = Streak::default();
    sleep(SPREAD.mul_f64(random())).await;
    loop {
        let Some(upstream) = in_use(&held) else { return };
        let Some(plan) = upstream.plan.health.clone() else {
            return;
        };
        let server = Arc::clone(&upstream.servers[place]);
        let result = check(&server, &plan, &opening::of_ours(upstream.plan.opening)).await;
        if let Some(healthy) = streak.judge(result.is_ok(), &plan) {
            let is_new = server.found(healthy);
            held.0
                .books
                .metrics
                .upstream_health(&upstream.name, &server.name, healthy);
            if is_new {
                tell(&upstream, &server, &result);
            }
        }
        drop(upstream);
        sleep(jittered(plan.interval)).await;
    }
}

impl Streak {
    /// What a check makes of a server, where it changes anything.
    fn judge(&mut self, is_good: bool, plan: &HealthPlan) -> Option<bool> {
        let (row, wanted) = match is_good {
            true => {
                self.bad = 0;
                self.good += 1;
                (self.good, plan.healthy)
            }
            false => {
                self.good = 0;
                self.bad += 1;
                (self.bad, plan.unhealthy)
            }
        };
        if !self.is_judged || row >= wanted {
            self.is_judged = true;
            return Some(is_good);
        }
        None
    }
}

fn tell(upstream: &Upstream, server: &Server, result: &Result<(), String>) {
    let (name, server) = (&*upstream.name.0, &*server.name);
    match result {
        Ok(()) => tracing::info!(upstream = name, server, "server healthy"),
        Err(error) => tracing::warn!(upstream = name, server, error = %error, "server unhealthy"),
    }
    if upstream.servers.iter().all(|server| !server.is_healthy()) {
        tracing::warn!(upstream = name, "no server is healthy, all of them are tried");
    }
}

async fn check(server: &Server, plan: &HealthPlan, opening: &[u8]) -> Result<(), String> {
    let scratch = RefCell::new(vec![0; SCRATCH]);
    let deadline = Instant::now() + plan.timeout;
    let mut stream = server.dial(Dialler::Check(&scratch), deadline, opening).await?;
    let Some(path) = &plan.path else { return Ok(()) };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: portcullis-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        server.authority()
    );
    let asked = timeout_at(deadline, ask(&mut stream, request.as_bytes())).await;
    let answer = match asked {
        Err(_) => return Err("no answer in time".into()),
        Ok(answer) => answer.map_err(|error| describe(&error).into_owned())?,
    };
    let status = status_of(&answer).ok_or("the answer is no HTTP/1.1")?;
    let is_good = match plan.status.is_empty() {
        true => (200..400).contains(&status),
        false => plan.status.contains(&status),
    };
    if is_good {
        Ok(())
    } else {
        Err(format!("{path} answers {status}"))
    }
}

/// The beginning of the answer, its first line at least.
async fn ask(stream: &mut Stream, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut sent = 0;
    while sent < request.len() {
        sent += poll_fn(|cx| stream.poll_write(cx, &request[sent..])).await?;
    }
    poll_fn(|cx| stream.poll_flush(cx)).await?;
    let (mut answer, mut buffer) = (Vec::new(), vec![0; SCRATCH]);
    while answer.len() < MOST_ANSWER && !answer.contains(&b'\n') {
        match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await? {
            0 => break,
            n => answer.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(answer)
}

/// `HTTP/1.1 200 OK` (RFC 9112 4)
fn status_of(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let code = rest.strip_prefix(b" ")?.get(..3)?;
    let ends = matches!(rest.get(4), Some(b' ' | b'\r' | b'\n'));
    let code = std::str::from_utf8(code)
        .ok()
        .filter(|_| minor.is_ascii_digit() && ends)?;
    code.parse().ok().filter(|code| (100..600).contains(code))
}

/// Within a tenth of it, so that many checks do not keep step.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * random())
}

/// From 0 to 1.
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(healthy: usize, unhealthy: usize) -> HealthPlan {
        HealthPlan {
            path: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy,
            unhealthy,
            status: Vec::new(),
        }
    }

    #[test]
    fn the_first_check_decides_and_then_so_many_in_a_row() {
        let plan = plan(2, 3);
        let mut streak = Streak::default();
        let checks = [false, true, false, true, true, false, false, true, false, false, false];
        let said = checks.map(|is_good| streak.judge(is_good, &plan));
        let changes = [
            Some(false),
            None,
            None,
            None,
            Some(true),
            None,
            None,
            None,
            None,
            None,
            Some(false),
        ];
        assert_eq!(said, changes);
    }

    #[test]
    fn a_status_line_is_read_strictly() {
        let table: [(&[u8], Option<u16>); 9] = [
            (b"HTTP/1.1 200 OK\r\n", Some(200)),
            (b"HTTP/1.0 503 Busy\r\nX: y", Some(503)),
            (b"HTTP/1.1 204\r\n", Some(204)),
            (b"HTTP/1.1 2000 OK\r\n", None),
            (b"HTTP/1.1 +20 OK\r\n", None),
            (b"HTTP/2 200\r\n", None),
            (b"HTTP/1.1 999 OK\r\n", None),
            (b"SSH-2.0-OpenSSH\r\n", None),
            (b"", None),
        ];
        for (answer, status) in table {
            assert_eq!(status_of(answer), status, "{}", String::from_utf8_lossy(answer));
        }
    }
}
