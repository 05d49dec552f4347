//! A connection that is passed through: the hello says where to, the server's says what came of it, and between them
//! we hold no key.
mod first_words;

use crate::{
    clock,
    core::Core,
    failure::{Failure, Stage, describe},
    farewell,
    record::{AskedForClients, Record},
    relay::{Downstream, Idle, relay},
    socket::Socket,
    upstream::{Stream, Upstream},
};
use first_words::{FirstWords, Said};
use portcullis_tls::{
    failure::Fault,
    negotiated::{Authentication, Negotiated},
    policy::{Able, Case, Client, Decision, Demand, Prospect, RuleName, Scope, decide},
};
use portcullis_wire::{GroupId, Hello, alert::Alert};
use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// What is behind a site that is passed through.
#[derive(Clone)]
pub(crate) struct Through {
    pub(crate) upstream: Arc<Upstream>,
    /// What is demanded of its connections.
    pub(crate) demands: Arc<[Demand]>,
}

/// A client whose hello was read, and nothing answered.
pub(crate) struct Greeted {
    pub(crate) socket: Socket,
    pub(crate) hello: Box<Hello>,
    /// As it came.
    pub(crate) bytes: Vec<u8>,
}

/// Connects, passes the hello on, looks at the answer, and relays.
pub(crate) async fn pass(
    core: &Core,
    mut greeted: Greeted,
    through: &Through,
    (record, deadline, idle): (&mut Record, Option<Instant>, Option<Duration>),
) -> Result<(), Failure> {
    record.reach(Stage::Policy);
    let decision = through.judge(&greeted.hello, None, record);
    if let Some(rule) = decision.refused_by() {
        record.decided(decision, AskedForClients::No);
        return Err(turn_away(core, &mut greeted.socket, rule).await);
    }
    record.reach(Stage::Connect);
    let told = record.told(greeted.socket.local_address());
    let (up, pick) = Box::pin(through.upstream.connect(core, &told)).await?;
    record.connected(&through.upstream.name, &pick.server.name, up.negotiated());
    core.admitted(up.socket(), record);
    record.reach(Stage::Handshake);
    let Greeted {
        mut socket,
        hello,
        bytes,
    } = greeted;
    let mut up = up;
    let mut opening = Opening {
        record,
        through,
        hello: &hello,
        inward: bytes,
        outward: Vec::new(),
        words: FirstWords::default(),
        is_known: false,
    };
    let opened = poll_fn(|cx| {
        let mut result = Poll::Pending;
        core.scratch(&mut |scratch| result = opening.poll(cx, (&mut socket, &mut up), scratch));
        result
    });
    match core.wheel.within(deadline, opened).await {
        None => return Err(Failure::failed(Stage::Handshake, Fault::Client, "deadline passed")),
        Some(Err(Broken::Refused(rule))) => {
            up.socket().reset_on_close();
            return Err(turn_away(core, &mut socket, rule).await);
        }
        Some(Err(Broken::Failed(failure))) => {
            up.socket().reset_on_close();
            socket.reset_on_close();
            return Err(failure);
        }
        Some(Ok(())) => {}
    }
    drop(hello);
    record.reach(Stage::Relay);
    let idle = idle.map(|limit| Idle::new(limit, &core.wheel));
    let ends = (Downstream::Plain(socket), up);
    relay(ends, (idle, None), &mut record.bytes, |read| core.scratch(read)).await
}

async fn turn_away(core: &Core, socket: &mut Socket, rule: RuleName) -> Failure {
    let alert = Alert::INSUFFICIENT_SECURITY;
    farewell::say(&core.wheel, socket, &alert.fatal_record()).await;
    let error = format!("policy requires {rule} to be quantum-safe");
    Failure::refused(Stage::Policy, Fault::Client, error).answering(alert)
}

impl Through {
    /// Of a hello, what any server could make of it; once the server has spoken, what it made.
    fn judge(&self, hello: &Hello, negotiated: Option<&Negotiated>, record: &Record) -> Decision {
        let is_safe = |group: &GroupId| group.key_exchange().is_some_and(|class| class.is_quantum_safe());
        let is_new = hello.offers_tls13();
        let able = Able {
            key_exchange: is_new && hello.groups.iter().any(is_safe),
            authentication: is_new && hello.schemes.iter().any(|scheme| scheme.is_ml_dsa()),
        };
        let case = Case {
            // the server's choice is not ours to improve: it stands, reported or enforced
            scope: match negotiated {
                Some(_) => Scope::Request,
                None => Scope::Connection,
            },
            able,
            negotiated,
            client: Client {
                address: record.peer().address(),
                sni: hello.sni.as_deref(),
            },
            now: clock::unix_now(),
        };
        let mut decision = decide(&case, &self.demands);
        if negotiated.is_some_and(|facts| facts.authentication == Authentication::Unknown) && able.authentication {
            decision.outlook.authentication = Prospect::Unproven;
        }
        decision
    }
}

/// Until the server's hello is known.
struct Opening<'a> {
    record: &'a mut Record,
    through: &'a Through,
    hello: &'a Hello,
    /// To the server, and to the client, that has not gone yet.
    inward: Vec<u8>,
    outward: Vec<u8>,
    words: FirstWords,
    is_known: bool,
}

enum Broken {
    Refused(RuleName),
    Failed(Failure),
}

/// What one side may have on its way before the other is asked for more.
const HELD: usize = 64 * 1024;

impl Opening<'_> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (down, up): (&mut Socket, &mut Stream),
        scratch: &mut [u8],
    ) -> Poll<Result<(), Broken>> {
        loop {
            let sent = drain(&mut self.inward, |bytes| up.poll_write(cx, bytes));
            self.record.bytes.inward += sent.map_err(|error| failed(Fault::Upstream, &error))?;
            let sent = drain(&mut self.outward, |bytes| down.poll_write(cx, bytes));
            self.record.bytes.outward += sent.map_err(|error| failed(Fault::Client, &error))?;
            if self.is_known && self.inward.is_empty() && self.outward.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let heard = !self.is_known && self.listen(cx, up, scratch)?;
            let asked = !self.is_known && self.inward.len() < HELD && self.ask(cx, down, scratch)?;
            if !heard && !asked {
                return Poll::Pending;
            }
        }
    }

    /// From the server; what it says goes on unless it is refused.
    fn listen(&mut self, cx: &mut Context<'_>, up: &mut Stream, scratch: &mut [u8]) -> Result<bool, Broken> {
        let read = match up.poll_read(cx, scratch) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.map_err(|error| failed(Fault::Upstream, &error))?,
        };
        let bytes = &scratch[..read];
        match self.words.take(bytes) {
            Said::More if read > 0 => {}
            Said::More | Said::Nothing => self.is_known = true,
            Said::Hello(facts) => {
                self.is_known = true;
                let decision = self.through.judge(self.hello, Some(&facts), self.record);
                self.record.negotiated_as(*facts);
                self.record.reach(Stage::Policy);
                self.record.decided(decision, AskedForClients::No);
                if let Some(rule) = decision.refused_by() {
                    return Err(Broken::Refused(rule));
                }
            }
        }
        self.outward.extend_from_slice(bytes);
        Ok(true)
    }

    /// From the client: its second hello, or what it sends ahead.
    fn ask(&mut self, cx: &mut Context<'_>, down: &mut Socket, scratch: &mut [u8]) -> Result<bool, Broken> {
        let read = match down.poll_read(cx, scratch) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.map_err(|error| failed(Fault::Client, &error))?,
        };
        if read == 0 {
            let error = "closed in the middle of the handshake";
            return Err(Broken::Failed(Failure::failed(Stage::Handshake, Fault::Client, error)));
        }
        self.inward.extend_from_slice(&scratch[..read]);
        Ok(true)
    }
}

fn failed(fault: Fault, error: &io::Error) -> Broken {
    Broken::Failed(Failure::failed(Stage::Handshake, fault, describe(error)))
}

/// Writes what can be written, and says how much that was.
fn drain(bytes: &mut Vec<u8>, mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>) -> io::Result<u64> {
    let mut sent = 0;
    while sent < bytes.len() {
        match write(&bytes[sent..]) {
            Poll::Ready(written) => sent += written?,
            Poll::Pending => break,
        }
    }
    bytes.drain(..sent);
    Ok(sent as u64)
}
