//! Traces for OpenTelemetry: which requests and connections become spans, where they belong, and their way out. Off unless
//! the configuration names a collector, and then one atomic read is all that a request pays.
mod context;
mod export;
mod span;

pub(crate) use context::Context;
pub(crate) use span::{Attribute, Fact};

use crate::{failure::Failure, plan::TracesPlan};
use arc_swap::ArcSwapOption;
use portcullis_tls::negotiated::Negotiated;
use prometheus_client::metrics::counter::Counter;
use span::Span;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::mpsc::{Sender, channel},
    task::JoinHandle,
};

/// The fields of W3C Trace Context.
pub(crate) const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// What every record asks.
pub(crate) struct Traces {
    on: ArcSwapOption<Tracer>,
    dropped: Counter,
}

/// Traces as one configuration wants them.
struct Tracer {
    plan: TracesPlan,
    queue: Sender<Span>,
    /// Identifiers are hashes of a number that never comes again, with keys that nobody knows.
    keys: [RandomState; 4],
}

/// A span in the making.
pub(crate) struct Trace {
    tracer: Arc<Tracer>,
    /// Its own place; what a server is told.
    pub(crate) context: Context,
    parent: Option<u64>,
}

/// What a server is told of a request's trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) context: Context,
    /// It began before us.
    is_continued: bool,
}

impl Place {
    /// Whether a client's field gives way: we say who asks, and a state belongs to the trace that it was said of.
    pub(crate) fn replaces(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(PARENT) || (!self.is_continued && name.eq_ignore_ascii_case(STATE))
    }
}

/// What a span says in the end.
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) error: Option<String>,
}

impl Traces {
    pub(crate) fn new(dropped: Counter) -> Traces {
        Traces {
            on: ArcSwapOption::empty(),
            dropped,
        }
    }

    /// As this plan has it, from now on; to be called on the control thread. What the plan before had is still sent by the
    /// task that comes back.
    pub(crate) fn switch(&self, plan: Option<&TracesPlan>) -> Option<JoinHandle<()>> {
        let is_same = self.on.load().as_ref().map(|tracer| &tracer.plan) == plan;
        if is_same {
            return None;
        }
        let Some(plan) = plan else {
            self.on.store(None);
            return None;
        };
        let (queue, spans) = channel(export::QUEUE);
        let task = tokio::spawn(export::run(plan.clone(), spans, self.dropped.clone()));
        self.on.store(Some(Arc::new(Tracer {
            plan: plan.clone(),
            queue,
            keys: std::array::from_fn(|_| RandomState::new()),
        })));
        Some(task)
    }

    /// A span begins, by a number of its own, and by who asked where they are believed. None: traces are off.
    pub(crate) fn begin(&self, number: u64, parent: impl FnOnce() -> Option<Context>) -> Option<Trace> {
        let on = self.on.load();
        let tracer = on.as_ref()?;
        let [trace, more, span, chance] = tracer.keys.each_ref().map(|key| key.hash_one(number));
        let own = Context {
            // zero is no identifier
            trace: (u128::from(trace) << 64 | u128::from(more)).max(1),
            span: span.max(1),
            is_sampled: chance % 1_000_000 < u64::from(tracer.plan.per_million),
        };
        let parent = parent();
        let context = match parent {
            Some(parent) => Context {
                span: own.span,
                ..parent
            },
            None => own,
        };
        Some(Trace {
            tracer: Arc::clone(tracer),
            context,
            parent: parent.map(|parent| parent.span),
        })
    }
}

impl Trace {
    /// What a server is told.
    pub(crate) fn place(&self) -> Place {
        Place {
            context: self.context,
            is_continued: self.parent.is_some(),
        }
    }

    /// It is over; asked only if somebody records it.
    pub(crate) fn end(self, traces: &Traces, said: impl FnOnce() -> Said) {
        if !self.context.is_sampled {
            return;
        }
        let said = said();
        let span = Span {
            context: self.context,
            parent: self.parent,
            name: said.name,
            ended: SystemTime::now(),
            took: said.took,
            attributes: said.attributes,
            error: said.error,
        };
        if self.tracer.queue.try_send(span).is_err() {
            traces.dropped.inc();
        }
    }
}

/// What TLS came to, in OpenTelemetry's words where it has some.
pub(crate) fn of_tls(facts: &Negotiated) -> [Attribute; 6] {
    [
        ("tls.protocol.version", facts.version.as_str().into()),
        (
            "tls.curve",
            facts.group.map(|group| group.to_string()).unwrap_or_default().into(),
        ),
        ("tls.resumed", facts.resumed.into()),
        ("portcullis.key_exchange", facts.key_exchange().as_str().into()),
        ("portcullis.authentication", facts.authentication.as_str().into()),
        ("portcullis.safety", facts.safety().as_str().into()),
    ]
}

/// Why something failed, as a span's status says it.
pub(crate) fn why(failure: &Failure) -> String {
    let (stage, fault) = (failure.stage.as_str(), failure.fault.as_str());
    format!("{stage}: {} ({fault})", failure.error)
}
