//! One object per request: it learns as the request goes on, and tells the access log and the metrics when it is
//! dropped, so that no ending goes uncounted.
use crate::{
    clock,
    failure::{Failure, Outcome, Stage},
    metrics::{Label, Requests},
    plan::{LogFormat, LogQuery},
    record::{Books, policy_words, text_line},
    traces::{self, Attribute, Fact, Place, Said, Trace},
};
use portcullis_tls::{
    failure::Fault,
    negotiated::Negotiated,
    policy::{Decision, Policy},
};
use portcullis_wire::Escaped;
use serde::Serialize;
use std::{
    fmt,
    net::IpAddr,
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

/// What nginx calls a request whose client left before its answer.
const LEFT: u16 = 499;

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
    /// What a policy says, and decided; None: no route's policy, nor a refused connection.
    pub(crate) policy: Option<(Policy, Decision)>,
    ending: Ending,
    /// Its span, where traces are on.
    trace: Option<Box<Traced>>,
}

/// A request's span in the making, and what it says of its connection.
struct Traced {
    trace: Trace,
    connection: Vec<Attribute>,
}

/// What a client typed, for the line.
pub(crate) struct Asked {
    /// Its address; None: it came through a Unix socket.
    pub(crate) client: Option<IpAddr>,
    pub(crate) protocol: &'static str,
    pub(crate) method: Box<str>,
    pub(crate) host: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) user_agent: Box<[u8]>,
    pub(crate) referer: Box<[u8]>,
}

impl Asked {
    /// Without what the log must not tell of queries.
    fn without_secrets(self, query: LogQuery) -> Asked {
        if query == LogQuery::Keep {
            return self;
        }
        let path = redacted(self.path.as_bytes(), query);
        Asked {
            path: String::from_utf8_lossy(&path).into(),
            referer: redacted(&self.referer, query).into(),
            ..self
        }
    }
}

/// A target or address whose query has no values any more, or is gone.
fn redacted(text: &[u8], query: LogQuery) -> Vec<u8> {
    let Some(mark) = text.iter().position(|byte| *byte == b'?') else {
        return text.to_vec();
    };
    let (mut shown, rest) = (text[..mark].to_vec(), &text[mark + 1..]);
    if query == LogQuery::Drop {
        return shown;
    }
    shown.push(b'?');
    for (place, parameter) in rest.split(|byte| *byte == b'&').enumerate() {
        if place > 0 {
            shown.push(b'&');
        }
        // what has no name may be a value by itself
        if let Some(equals) = parameter.iter().position(|byte| *byte == b'=') {
            shown.extend_from_slice(&parameter[..=equals]);
        }
        if !parameter.is_empty() {
            shown.push(b'*');
        }
    }
    shown
}

/// Of whom a request is.
pub(crate) struct Origin<'a> {
    pub(crate) books: &'a Arc<Books>,
    pub(crate) id: RequestId,
    pub(crate) connection: u64,
    pub(crate) site: &'a Label,
    pub(crate) requests: &'a Arc<Requests>,
    pub(crate) facts: Option<&'a Negotiated>,
}

enum Ending {
    /// It still runs; dropped now, it was cut.
    Running,
    Over(Result<(), Failure>),
}

impl RequestRecord {
    /// A request has come; `asked` is what the line says of it, where one is wanted.
    pub(crate) fn new(
        origin: Origin<'_>,
        method: &str,
        trace: Option<Trace>,
        asked: impl FnOnce() -> Asked,
    ) -> RequestRecord {
        let line = origin.books.log.access_format();
        let is_traced = trace.as_ref().is_some_and(|trace| trace.context.is_sampled);
        let trace = trace.map(|trace| {
            let connection = origin.facts.filter(|_| is_traced).map(traces::of_tls);
            Box::new(Traced {
                trace,
                connection: connection.into_iter().flatten().collect(),
            })
        });
        RequestRecord {
            books: origin.books.clone(),
            began: Instant::now(),
            id: origin.id,
            connection: origin.connection,
            site: origin.site.clone(),
            requests: origin.requests.clone(),
            method: known(method),
            asked: (line.is_some() || is_traced).then(|| Box::new(asked().without_secrets(origin.books.log.query()))),
            status: 0,
            upstream_status: 0,
            bytes_in: 0,
            bytes_out: 0,
            upstream: None,
            policy: None,
            ending: Ending::Running,
            trace,
        }
    }

    /// What a server is told of its trace.
    pub(crate) fn place(&self) -> Option<Place> {
        self.trace.as_ref().map(|traced| traced.trace.place())
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

    /// `%h - - %t "%r" %>s %b` of Apache, whose readers want a number for each status.
    fn common(&self, asked: &Asked) -> String {
        let host = asked
            .client
            .map_or_else(|| "-".to_owned(), |client| client.to_canonical().to_string());
        let time = clock::log_time(self.began.elapsed());
        let status = match self.status {
            0 => LEFT,
            status => status,
        };
        let bytes = match self.bytes_out {
            0 => "-".to_owned(),
            bytes => bytes.to_string(),
        };
        let [method, path] = [&asked.method, &asked.path].map(|text| Escaped(text.as_bytes()));
        let protocol = asked.protocol;
        format!("{host} - - [{time}] \"{method} {path} {protocol}\" {status} {bytes}")
    }

    /// The same, and where it came from, and with what.
    fn combined(&self, asked: &Asked) -> String {
        let [referer, agent] = [&asked.referer, &asked.user_agent].map(|text| match text.is_empty() {
            true => "-".to_owned(),
            false => Escaped(text).to_string(),
        });
        format!("{} \"{referer}\" \"{agent}\"\n", self.common(asked))
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.ending {
            Ending::Over(Err(failure)) => Some(failure),
            Ending::Over(Ok(())) | Ending::Running => None,
        }
    }

    /// Its span, in the words of OpenTelemetry's conventions for HTTP servers.
    fn span(&self, connection: Vec<Attribute>) -> Said {
        let asked = self.asked.as_deref();
        let typed =
            |text: fn(&Asked) -> &[u8]| Fact::from(asked.map(|a| Escaped(text(a)).to_string()).unwrap_or_default());
        let path = |asked: &Asked| asked.path.split('?').next().unwrap_or_default().to_owned();
        let protocol = asked.and_then(|a| a.protocol.strip_prefix("HTTP/")).unwrap_or_default();
        let upstream = self.upstream.as_ref();
        let mut attributes = vec![
            ("http.request.method", Fact::from(self.method)),
            ("http.response.status_code", u64::from(self.status).into()),
            (
                "url.path",
                asked
                    .map(|a| Escaped(path(a).as_bytes()).to_string())
                    .unwrap_or_default()
                    .into(),
            ),
            ("server.address", typed(|a| a.host.as_bytes())),
            ("user_agent.original", typed(|a| &a.user_agent)),
            ("network.protocol.version", protocol.into()),
            (
                "client.address",
                asked
                    .and_then(|a| a.client)
                    .map(|ip| ip.to_string())
                    .unwrap_or_default()
                    .into(),
            ),
            ("http.request.body.size", self.bytes_in.into()),
            ("http.response.body.size", self.bytes_out.into()),
            ("portcullis.request_id", self.id.to_string().into()),
            ("portcullis.connection_id", format!("{:016x}", self.connection).into()),
            ("portcullis.site", (&*self.site.0).into()),
            ("portcullis.upstream", upstream.map_or("", |(name, _)| &name.0).into()),
            (
                "portcullis.upstream_server",
                upstream.map_or("", |(_, server)| server).into(),
            ),
        ];
        attributes.extend(connection);
        let is_fault = self.status == 0 || self.status >= 500;
        Said {
            name: self.method.trim_start_matches('_').to_owned(),
            took: self.began.elapsed(),
            attributes,
            // a client's mistake is no error of a server's span
            error: self.failure().filter(|_| is_fault).map(traces::why),
        }
    }

    fn line(&self) -> Line<'_> {
        let failure = self.failure();
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
            policy: self
                .policy
                .map(|(policy, decision)| policy_words(policy, Some(decision)))
                .unwrap_or_default(),
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
        if let Some(traced) = self.trace.take() {
            let Traced { trace, connection } = *traced;
            trace.end(&self.books.traces, || self.span(connection));
        }
        let (Some(format), Some(asked)) = (self.books.log.access_format(), &self.asked) else {
            return;
        };
        self.books.log.access(match format {
            LogFormat::Json => self.line().json(),
            LogFormat::Text => {
                let line = self.line();
                text_line(&line, &line.ts, line.event)
            }
            LogFormat::Common => self.common(asked) + "\n",
            LogFormat::Combined => self.combined(asked),
        });
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
    policy: String,
    duration_us: u64,
    outcome: &'static str,
    stage: &'static str,
    fault: &'static str,
    error: &'a str,
}

impl Line<'_> {
    fn json(&self) -> String {
        let mut line = serde_json::to_string(self).expect("a struct of strings and numbers is JSON");
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_tell_what_the_log_may_hold() {
        let table = [
            ("/a", "/a", "/a"),
            ("/a?", "/a?", "/a"),
            ("/a?token=s3cret&next=/b?c=d", "/a?token=*&next=*", "/a"),
            ("/a?s3cret", "/a?*", "/a"),
            ("/a?x=&&y", "/a?x=*&&*", "/a"),
            ("https://h/p?sig=1;exp=2#x", "https://h/p?sig=*", "https://h/p"),
        ];
        for (text, names, nothing) in table {
            let shown = |query| String::from_utf8(redacted(text.as_bytes(), query)).unwrap();
            assert_eq!((&*shown(LogQuery::Names), &*shown(LogQuery::Drop)), (names, nothing));
        }
    }
}
