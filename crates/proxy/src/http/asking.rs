//! A request as it is understood: which site and route it belongs to, and what is sent on for it.
use super::{
    answer::{self, Answer, Pages, Visited},
    forwarded::Told,
    limits,
    origin::Head,
    record::{Asked as Typed, Origin as RecordOrigin, RequestId, RequestRecord},
    reply::Reply,
    routes::Route,
    rules::Rules,
    service::Service,
    sticky::Sticky,
    visit::Visit,
};
use crate::{
    failure::{Failure, Stage},
    plan::{Balance, HashOn},
    upstream::{Key, Server, Upstream},
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::{
    self, Asked, Bad, Field, Framing, Hop, MAX_FIELDS, NO_FIELD, RequestHead, ResponseHead, Target, Version,
};
use std::{cell::RefCell, net::IpAddr, rc::Rc, sync::Arc};

/// RFC 7838 3.
pub(super) const ALT_SVC: &str = "alt-svc";

/// Of what is no request the line tells so much of the first word: no registered method is longer than 17 (RFC 3253).
const MOST_TOLD_METHOD: usize = 32;
/// And so much of the second.
const MOST_TOLD_PATH: usize = 1024;

/// A request's head, as far as it came.
pub(crate) enum Understood {
    Whole(Box<Asking>),
    Partial,
    /// Beyond `limits.head_size` or `limits.fields`: 431.
    TooLong,
}

/// A request of an HTTP/1.1 client.
pub(crate) struct Asking {
    /// The bytes of its head.
    pub(crate) length: usize,
    pub(crate) framing: Framing,
    pub(crate) version: Version,
    pub(crate) persists: bool,
    pub(crate) is_head: bool,
    /// None once it was taken.
    pub(crate) way: Option<Way>,
    pub(crate) record: RequestRecord,
}

/// What becomes of a request.
pub(crate) enum Way {
    Forward(Box<Forward>),
    /// Answered here; with why, where that is no answer that the operator wanted.
    Answer(Reply, Option<Failure>),
}

/// A request that goes on.
pub(crate) struct Forward {
    pub(crate) service: Arc<Service>,
    /// What its upstream is told of the connection.
    pub(crate) told: Rc<Told>,
    pub(crate) route: Arc<Route>,
    pub(crate) upstream: Arc<Upstream>,
    /// What chooses its server, where that is not the address.
    pub(crate) key: Option<Box<[u8]>>,
    /// What holds its client to a server.
    pub(crate) sticky: Option<Sticky>,
    /// What its answer says of that, where the client did not know it.
    pub(crate) set_cookie: RefCell<Option<String>>,
    pub(crate) client: Option<IpAddr>,
    /// What its answer says of QUIC.
    pub(crate) alternative: Option<Rc<str>>,
    /// Its head as HTTP/1.1 has it; HTTP/2 makes its own of that.
    pub(crate) head: Vec<u8>,
    /// Where the server's own host is put into the head.
    pub(crate) host_ends: Option<usize>,
    /// What the client would rather read, for errors.
    pub(crate) accept: Vec<u8>,
    pub(crate) asked: Asked,
    /// The client takes trailers (`TE`).
    pub(crate) takes_trailers: bool,
    /// Sent twice it does what it does once (RFC 9110 9.2.2).
    pub(crate) is_idempotent: bool,
}

/// A request as every protocol has it.
pub(crate) struct View<'a> {
    pub(crate) method: &'a str,
    /// As logs call it: `HTTP/1.1`.
    pub(crate) protocol: &'static str,
    /// As it was sent; `*` for the server itself.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) host: &'a str,
    pub(crate) fields: &'a [Field<'a>],
    pub(crate) hop: Hop<'a>,
    pub(crate) upgrade: Option<&'a [u8]>,
    pub(crate) framing: &'a Framing,
}

impl Visit {
    /// Reads a request from the front of `bytes`, and decides about it.
    pub(crate) fn understand(&self, bytes: &[u8]) -> Result<Understood, Bad> {
        let mut fields = [NO_FIELD; MAX_FIELDS];
        let limits = &self.http.limits;
        let Some(head) = http1::request(bytes, &mut fields)? else {
            return match bytes.len() > limits.head_size {
                true => Ok(Understood::TooLong),
                false => Ok(Understood::Partial),
            };
        };
        if head.length > limits.head_size || head.fields.len() > limits.fields {
            return Ok(Understood::TooLong);
        }
        let view = View::of(&head);
        let (way, record) = self.decide(&view);
        Ok(Understood::Whole(Box::new(Asking {
            length: head.length,
            version: head.version,
            persists: head.persists,
            is_head: head.method == "HEAD",
            way: Some(way),
            record,
            framing: head.framing,
        })))
    }

    /// What becomes of a request, and the record that will tell of it.
    pub(crate) fn decide(&self, view: &View<'_>) -> (Way, RequestRecord) {
        let site = self.site(view.host);
        let known = site.as_ref().ok().and_then(|site| site.service.http());
        self.requests.borrow_mut().call(view.field("user-agent"));
        let mut record = self.record(known, (view.spoken_method(), view.fields), || {
            let fields = view.fields.iter().copied();
            view.typed(self.told.client(fields, &self.http.trusted_proxies))
        });
        let way = match known {
            _ if self.is_turned_away => self.too_many(known, view, record.id),
            Some(_) if self.redirect.is_some() => Way::Answer(self.to_https(view), None),
            Some(service) => match service.decide(self, view, &mut record) {
                Way::Answer(reply, failure) => Way::Answer(reply.announcing(self.alternative.as_deref()), failure),
                forward => forward,
            },
            None => {
                let failure = Failure::refused(Stage::Route, Fault::Client, "no site of that host on this connection");
                Way::Answer(self.error(421, record.id), Some(failure))
            }
        };
        (way, record)
    }

    /// What is no request: the answer to it, and the record that says why, at the site of the handshake.
    pub(crate) fn misfit(&self, (status, failure): (u16, Failure), asked: Typed) -> (Reply, RequestRecord) {
        let mut record = self.nondescript(asked);
        let reply = self.error(status, record.id);
        record.status = status;
        record.bytes_out = reply.body.len() as u64;
        record.end(Err(failure));
        (reply, record)
    }

    /// The same, where somebody else answers it, without a body.
    pub(crate) fn misfit_elsewhere(&self, (status, failure): (u16, Failure), protocol: &'static str) {
        let mut record = self.nondescript(Typed {
            protocol,
            ..self.glimpse(b"")
        });
        record.status = status;
        record.end(Err(failure));
    }

    fn nondescript(&self, asked: Typed) -> RequestRecord {
        let site = self.site.as_ref().and_then(|site| site.service.http());
        let method = asked.method.clone();
        self.record(site, (&method, &[]), || asked)
    }

    fn record(
        &self,
        site: Option<&Arc<Service>>,
        (method, fields): (&str, &[Field<'_>]),
        asked: impl FnOnce() -> Typed,
    ) -> RequestRecord {
        let books = &self.core.shared.books;
        let (label, requests) = match site {
            Some(service) => (&service.name, &service.requests),
            None => (&books.nowhere, &self.core.shared.nowhere_requests),
        };
        self.requests.borrow_mut().count += 1;
        let is_led = self.led_to.borrow().is_some();
        if let (None, Some(service), false) = (&self.site, site, is_led) {
            *self.led_to.borrow_mut() = Some(service.name.clone());
        }
        let origin = RecordOrigin {
            books,
            id: RequestId(self.core.request_id()),
            connection: self.connection,
            site: label,
            requests,
            facts: self.facts.as_deref(),
        };
        let trace = books.traces.begin(origin.id.0, || self.told.trace(fields));
        RequestRecord::new(origin, method, trace, asked)
    }

    /// As much of a request line as can be told of what is none.
    pub(crate) fn glimpse(&self, bytes: &[u8]) -> Typed {
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
        let mut words = line.unwrap_or_default().split(|byte| *byte == b' ');
        let mut word = |most: usize| {
            let word = words.next().unwrap_or_default();
            String::from_utf8_lossy(&word[..word.len().min(most)]).into()
        };
        Typed {
            client: self.told.client(std::iter::empty(), &self.http.trusted_proxies),
            protocol: "HTTP/1.1",
            method: word(MOST_TOLD_METHOD),
            path: word(MOST_TOLD_PATH),
            host: "".into(),
            user_agent: [].into(),
            referer: [].into(),
        }
    }

    /// The listener has all the connections that it may.
    fn too_many(&self, site: Option<&Arc<Service>>, view: &View<'_>, id: RequestId) -> Way {
        let accept = view
            .fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case("accept"));
        let request_id = id.to_string();
        let reader = answer::Reader {
            accept: accept.map_or(b"", |field| field.value),
            request_id: &request_id,
        };
        let answer = match site {
            Some(service) => service.error(503, reader.accept, id),
            None => Pages::default().error(503, reader),
        };
        let wait = limits::COME_AGAIN.as_secs().to_string();
        Way::Answer(
            answer.with("retry-after", wait).into(),
            Some(Failure::too_many_connections()),
        )
    }
}

impl Visit {
    /// The same place over TLS (SPEC 4, `redirect_from`).
    fn to_https(&self, view: &View<'_>) -> Reply {
        let visited = Visited {
            host: view.host,
            path: view.path,
            query: view.query,
        };
        Answer::redirect(308, answer::to_https(visited, self.redirect.unwrap_or(443))).into()
    }
}

impl<'a> View<'a> {
    fn of(head: &'a RequestHead<'a>) -> View<'a> {
        let (path, query) = match head.target {
            Target::Origin { path, query } => (path, query),
            Target::Asterisk => ("*", None),
        };
        View {
            method: head.method,
            protocol: match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
            },
            path,
            query,
            host: head.host,
            fields: head.fields,
            hop: head.hop,
            upgrade: head.upgrade,
            framing: &head.framing,
        }
    }

    /// As its client said it: HTTP/2 asks for another protocol by CONNECT (RFC 8441 4).
    fn spoken_method(&self) -> &'a str {
        match self.upgrade {
            Some(_) if self.protocol == "HTTP/2.0" => "CONNECT",
            _ => self.method,
        }
    }

    /// The first field of a name; empty where there is none.
    fn field(&self, name: &str) -> &'a [u8] {
        let found = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map_or(&b""[..], |field| field.value)
    }

    /// For the access line.
    fn typed(&self, client: Option<IpAddr>) -> Typed {
        let path = match self.query {
            Some(query) => format!("{}?{query}", self.path).into(),
            None => self.path.into(),
        };
        Typed {
            client,
            protocol: self.protocol,
            method: self.spoken_method().into(),
            host: self.host.into(),
            path,
            user_agent: self.field("user-agent").into(),
            referer: self.field("referer").into(),
        }
    }
}

impl Forward {
    /// The most that a request's body may come to.
    pub(crate) fn most_body(&self) -> u64 {
        self.route.most_body()
    }

    /// The fields of an interim answer, as they go to the client.
    pub(crate) fn interim_fields(&self, head: &ResponseHead<'_>, put: impl FnMut(&str, &[u8])) {
        Rules::interim((head.fields.iter().copied(), &head.hop), put);
    }

    fn fields(&self, head: &ResponseHead<'_>, put: impl FnMut(&str, &[u8])) {
        let fields = head.fields.iter().copied();
        self.route.rules.response((fields, &head.hop), &self.told, put);
    }

    /// The fields of an answer, as they go to the client; its length too, where the body has one.
    pub(crate) fn answer_fields(&self, head: &ResponseHead<'_>, mut put: impl FnMut(&str, &[u8])) {
        // what a server says of itself is not about us; what the operator says of us is
        let alternative = self.alternative.as_deref();
        let ours = alternative.filter(|_| !self.route.rules.removes_from_response(ALT_SVC));
        self.fields(head, |name, value| {
            if ours.is_none() || !name.eq_ignore_ascii_case(ALT_SVC) {
                put(name, value);
            }
        });
        if let Some(value) = ours {
            put(ALT_SVC, value.as_bytes());
        }
        if let Some(line) = &*self.set_cookie.borrow() {
            put("set-cookie", line.as_bytes());
        }
        if !matches!(head.framing, Framing::Chunked(_) | Framing::UntilClose) {
            let is_length = |field: &&Field<'_>| field.name.eq_ignore_ascii_case("content-length");
            if let Some(length) = head.fields.iter().find(is_length) {
                put("content-length", length.value);
            }
        }
    }

    /// The head for this server.
    pub(crate) fn head_for(&mut self, server: &str) -> Head {
        let mut bytes = std::mem::take(&mut self.head);
        if let Some(at) = self.host_ends {
            bytes.splice(at..at, server.bytes());
        }
        Head {
            bytes,
            asked: self.asked,
            takes_trailers: self.takes_trailers,
        }
    }

    /// Takes a head back that was for this server.
    pub(crate) fn take_back(&mut self, mut head: Vec<u8>, server: &str) {
        if let Some(at) = self.host_ends {
            head.drain(at..at + server.len());
        }
        self.head = head;
    }

    /// An error in answer to it.
    pub(crate) fn error(&self, status: u16, id: RequestId) -> Reply {
        let reply = Reply::from(self.service.error(status, &self.accept, id));
        reply.announcing(self.alternative.as_deref())
    }

    /// What its server is chosen by.
    pub(crate) fn key(&self) -> Key<'_> {
        match (&self.upstream.plan.balance, &self.key, self.client) {
            (Balance::StickyCookie, Some(key), _) => std::str::from_utf8(key).map_or(Key::Any, Key::Held),
            (_, Some(key), _) => Key::Bytes(key),
            (Balance::Hash(HashOn::Source), None, Some(client)) => Key::Source(client),
            _ => Key::Any,
        }
    }

    /// Tells the client where it is from now on, unless it knows.
    pub(crate) fn stick_to(&self, server: &Server) {
        let is_known = self.key.as_deref() == Some(server.id.as_bytes());
        let sticky = self.sticky.as_ref().filter(|_| !is_known);
        *self.set_cookie.borrow_mut() = sticky.map(|sticky| sticky.line(server));
    }
}
