//! One object per request: it learns as the request goes on, and tells the access log and the metrics when it is
//! dropped, so that no ending goes uncounted.
use crate::{
    clock,
    failure::{Failure, Outcome, Stage},
    metrics::{Label, Requests},
    plan::LogFormat,
    record::{Books, text_line},
};
use portcullis_tls::failure::Fault;
use portcullis_wire::Escaped;
use serde::Serialize;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

/// An identifier that two requests are unlikely to share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RequestId(pub(crate) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is known of one request.
pub(crate) struct RequestRecord {
    books: Arc<Books>,
    began: Instant,
    pub(crate) id: RequestId,
    connection: u64,
    site: Label,
    requests: Arc<Requests>,
    method: &'static str,
    /// Kept only where a line is wanted.
    asked: Option<Box<Asked>>,
    /// What the client was answered; 0: nothing.
    pub(crate) status: u16,
    pub(crate) upstream_status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    upstream: Option<(Label, Arc<str>)>,
    ending: Ending,
}

/// What a client typed, for the line.
pub(crate) struct Asked {
    pub(crate) method: Box<str>,
    pub(crate) host: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) user_agent: Box<[u8]>,
    pub(crate) referer: Box<[u8]>,
}

/// Of whom a request is.
pub(crate) struct Origin<'a> {
    pub(crate) books: &'a Arc<Books>,
    pub(crate) id: RequestId,
    pub(crate) connection: u64,
    pub(crate) site: &'a Label,
    pub(crate) requests: &'a Arc<Requests>,
}

enum Ending {
    /// It still runs; dropped now, it was cut.
    Running,
    Over(Result<(), Failure>),
}

impl RequestRecord {
    /// A request has come; `asked` is what the line says of it, where one is wanted.
    pub(crate) fn new(origin: Origin<'_>, method: &str, asked: impl FnOnce() -> Asked) -> RequestRecord {
        let line = origin.books.log.access_format();
        RequestRecord {
            books: origin.books.clone(),
            began: Instant::now(),
            id: origin.id,
            connection: origin.connection,
            site: origin.site.clone(),
            requests: origin.requests.clone(),
            method: known(method),
            asked: line.map(|_| Box::new(asked())),
            status: 0,
            upstream_status: 0,
            bytes_in: 0,
            bytes_out: 0,
            upstream: None,
            ending: Ending::Running,
        }
    }

    /// A server was found for it.
    pub(crate) fn sent_to(&mut self, upstream: &Label, server: &Arc<str>) {
        self.upstream = Some((upstream.clone(), server.clone()));
    }

    /// It is over.
    pub(crate) fn end(&mut self, result: Result<(), Failure>) {
        self.ending = Ending::Over(result);
    }

    /// What the end of a request was that nobody reported.
    fn settle(&mut self) {
        if let Ending::Running = self.ending {
            let (fault, error) = match self.books.cutting.load(Relaxed) {
                true => (Fault::Operator, "cut when the grace of the shutdown was over"),
                false => (Fault::Client, "its connection or stream ended"),
            };
            self.end(Err(Failure::failed(Stage::Request, fault, error)));
        }
    }

    fn line(&self) -> Line<'_> {
        let failure = match &self.ending {
            Ending::Over(Err(failure)) => Some(failure),
            Ending::Over(Ok(())) | Ending::Running => None,
        };
        let asked = self.asked.as_deref();
        let shown = |bytes: &[u8]| Escaped(bytes).to_string();
        Line {
            ts: clock::timestamp(),
            event: "request",
            request_id: self.id.to_string(),
            connection_id: format!("{:016x}", self.connection),
            site: &self.site.0,
            method: asked.map(|a| shown(a.method.as_bytes())).unwrap_or_default(),
            host: asked.map(|a| shown(a.host.as_bytes())).unwrap_or_default(),
            path: asked.map(|a| shown(a.path.as_bytes())).unwrap_or_default(),
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            user_agent: asked.map(|a| shown(&a.user_agent)).unwrap_or_default(),
            referer: asked.map(|a| shown(&a.referer)).unwrap_or_default(),
            upstream: self.upstream.as_ref().map_or("", |(name, _)| &name.0),
            upstream_server: self.upstream.as_ref().map_or("", |(_, server)| server),
            upstream_status: self.upstream_status,
            duration_us: self.began.elapsed().as_micros() as u64,
            outcome: failure.map_or(Outcome::Ok, |f| f.outcome).as_str(),
            stage: failure.map_or("", |f| f.stage.as_str()),
            fault: failure.map_or("", |f| f.fault.as_str()),
            error: failure.map_or("", |f| &f.error),
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        self.settle();
        self.requests.count(self.method, self.status, self.began.elapsed());
        if let Some(format) = self.books.log.access_format().filter(|_| self.asked.is_some()) {
            self.books.log.access(self.line().render(format));
        }
    }
}

/// A method as metrics know it: the registered ones of RFC 9110 and RFC 5789, never what a client invents.
fn known(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}

/// SPEC 6's line, field by field in its order.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    event: &'static str,
    request_id: String,
    connection_id: String,
    site: &'a str,
    method: String,
    host: String,
    path: String,
    status: u16,
    bytes_in: u64,
    bytes_out: u64,
    user_agent: String,
    referer: String,
    upstream: &'a str,
    upstream_server: &'a str,
    upstream_status: u16,
    duration_us: u64,
    outcome: &'static str,
    stage: &'static str,
    fault: &'static str,
    error: &'a str,
}

impl Line<'_> {
    fn render(&self, format: LogFormat) -> String {
        match format {
            LogFormat::Json => {
                let mut line = serde_json::to_string(self).expect("a struct of strings and numbers is JSON");
                line.push('\n');
                line
            }
            LogFormat::Text => text_line(self, &self.ts, self.event),
        }
    }
}
