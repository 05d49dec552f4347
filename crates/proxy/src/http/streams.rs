//! A request that is a stream of a connection, as HTTP/2 and 3 have it: what becomes of it, until its answer flows.
use super::{
    asking::{Forward, View, Way},
    connect::{self, Crossed},
    exchange::Broken,
    h1::Switched,
    lease::Tries,
    origin::{After, fields},
    record::{Asked as Typed, RequestRecord},
    reply::Reply,
    sent::{Inward, Sent},
    streamed::{Answered, Flowing, Streamed, Upload},
    visit::Visit,
    watch::UnderWay,
};
use crate::failure::{Failure, Stage};
use h2::ext::Protocol;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    http::request::Parts,
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::{Asked, Chunks, Field, Fields, Framing, Hop, MAX_FIELDS, NO_FIELD, is_host, is_token};
use std::{cell::RefCell, collections::VecDeque, pin::Pin, rc::Rc};

/// Interim answers on their way to a client that takes them.
#[derive(Clone, Default)]
pub(super) struct Interims(Rc<RefCell<VecDeque<Response<()>>>>);

impl Interims {
    pub(super) fn push(&self, interim: Response<()>) {
        self.0.borrow_mut().push_back(interim);
    }

    pub(super) fn pop(&self) -> Option<Response<()>> {
        self.0.borrow_mut().pop_front()
    }
}

/// A request that was decided about. A library moves what stands for a request several times, so that is small.
pub(super) enum Begun {
    Answered(Response<Answered>),
    Forwarded(Pin<Box<dyn Future<Output = Response<Answered>>>>),
}

impl Begun {
    /// The answer, as soon as it begins.
    pub(super) async fn answered(self) -> Response<Answered> {
        match self {
            Begun::Answered(response) => response,
            Begun::Forwarded(forwarded) => forwarded.await,
        }
    }
}

/// Decides about one request.
pub(super) fn begin(mut request: Request<Sent>, visit: &Rc<Visit>, interims: &Interims) -> Begun {
    let under_way = UnderWay::new(visit);
    let extended = request.extensions_mut().remove::<Protocol>();
    let (parts, body) = request.into_parts();
    let (switching, body) = match (extended, body) {
        (Some(protocol), Sent::Http2(inward)) => {
            let key = connect::websocket_key(visit.connection);
            let switching = Switching { key, inward, protocol };
            (Some(switching), Sent::Nobody)
        }
        (_, body) => (None, body),
    };
    let cookie = cookie(&parts.headers);
    let mut room = [NO_FIELD; MAX_FIELDS];
    let framing = framing(&parts.headers, &body);
    let asked = match parts.method {
        Method::HEAD => Asked::Head,
        _ => Asked::Other,
    };
    let (way, mut record) = match view(
        (&parts, visit.http.limits.fields),
        (&mut room, cookie.as_deref()),
        (&framing, switching.as_ref()),
    ) {
        Ok(view) => visit.decide(&view),
        Err(misfit) => {
            let failure = Failure::failed(Stage::Request, Fault::Client, misfit.why);
            let (reply, record) = visit.misfit((misfit.status, failure), typed(&parts, visit));
            return Begun::Answered(told(&reply, asked, record));
        }
    };
    match way {
        Way::Forward(forward) => {
            let upload = Upload::new(body, &framing, forward.most_body());
            Begun::Forwarded(Box::pin(forward_to(
                (visit.clone(), interims.clone(), under_way),
                forward,
                (upload, switching),
                record,
            )))
        }
        Way::Answer(reply, failure) => {
            record.end(failure.map_or(Ok(()), Err));
            Begun::Answered(told(&reply, asked, record))
        }
    }
}

/// Asks servers until one answers, as far as that is safe.
async fn forward_to(
    (visit, interims, _under_way): (Rc<Visit>, Interims, UnderWay),
    mut forward: Box<Forward>,
    (mut upload, switching): (Upload, Option<Switching>),
    mut record: RequestRecord,
) -> Response<Answered> {
    if switching.is_some() && !forward.upstream.plan.takes_upgrades() {
        let error = "its upstream speaks HTTP/2, where nothing is switched";
        let failure = Failure::failed(Stage::Request, Fault::Operator, error);
        return failed(&forward, Broken { failure, status: 501 }, record);
    }
    let mut tries = Tries::default();
    loop {
        let lease = match forward.lease(&visit.core, &mut tries.tried).await {
            Ok(lease) => lease,
            Err(failure) => return failed(&forward, tries.ended(failure), record),
        };
        let server = lease.terms().pick.server.clone();
        record.sent_to(&forward.upstream.name, &server.name);
        let head = forward.head_for(&server.name);
        let mut streamed = Box::new(Streamed::new((&visit, &interims), forward, (lease, head), upload));
        match streamed.head().await {
            Ok(head) => {
                return match switching {
                    Some(switching) => switching.answer(head, streamed, record),
                    None => flowing(head, streamed, record),
                };
            }
            Err(broken) if streamed.may_repeat(&broken) && tries.may_repeat(&streamed.forward) => {
                tries.failed(&visit.core, streamed.origin(), broken);
                let head;
                (forward, head, upload) = streamed.take_apart();
                forward.take_back(head, &server.name);
            }
            Err(broken) => return failed(&streamed.forward, broken, record),
        }
    }
}

fn flowing(head: Response<()>, streamed: Box<Streamed>, mut record: RequestRecord) -> Response<Answered> {
    record.status = head.status().as_u16();
    record.upstream_status = record.status;
    head.map(|()| Answered::Flowing(Box::new(Flowing::new(streamed, record))))
}

/// What an extended CONNECT asks for (RFC 8441 4).
struct Switching {
    protocol: Protocol,
    /// What a server of WebSockets wants to be shown.
    key: String,
    inward: Inward,
}

impl Switching {
    /// A name that may stand in `Upgrade` (RFC 9110 7.8). The library lets any text through, and behind h2c would be requests
    /// that nobody here reads.
    fn is_sound(&self) -> bool {
        let mut words = self.protocol.as_str().split('/');
        let is_token = |word: &str| is_token(word.as_bytes());
        words.clone().count() <= 2 && words.clone().all(is_token) && !words.any(|word| word.eq_ignore_ascii_case("h2c"))
    }

    fn is_websocket(&self) -> bool {
        self.protocol.as_str().eq_ignore_ascii_case("websocket")
    }

    /// 101 becomes 200. Any other answer goes on as it is, unless its client would take it for that.
    fn answer(self, head: Response<()>, streamed: Box<Streamed>, mut record: RequestRecord) -> Response<Answered> {
        let status = head.status();
        if status != StatusCode::SWITCHING_PROTOCOLS && !status.is_success() {
            return flowing(head, streamed, record);
        }
        record.upstream_status = status.as_u16();
        let agreed = streamed.switched_to();
        let is_agreed = agreed.is_some_and(|agreed| agreed.eq_ignore_ascii_case(self.protocol.as_str().as_bytes()));
        let (forward, visit, after) = streamed.into_switched();
        let (After::Switched(up, early), true) = (after, is_agreed) else {
            let error = format!("it was asked to switch protocols, and answered {status}");
            let failure = Failure::failed(Stage::Request, Fault::Upstream, error);
            return failed(&forward, Broken { failure, status: 502 }, record);
        };
        record.status = 200;
        let switched = Switched { up, early, record };
        let crossed = Crossed::new(self.inward, switched, &visit);
        let mut response = head.map(|()| Answered::Switched(Box::new(crossed)));
        *response.status_mut() = StatusCode::OK;
        // what belongs to HTTP/1.1's handshake
        response.headers_mut().remove(header::SEC_WEBSOCKET_ACCEPT);
        response
    }
}

fn failed(forward: &Forward, broken: Broken, mut record: RequestRecord) -> Response<Answered> {
    if broken.is_gone() {
        // nobody hears it: the record does not say that anybody did
        let reply = forward.error(400, record.id);
        record.end(Err(broken.failure));
        return whole(&reply, forward.asked);
    }
    let reply = forward.error(broken.status, record.id);
    record.end(Err(broken.failure));
    told(&reply, forward.asked, record)
}

/// An answer of our own, and the record of its request.
fn told(reply: &Reply, asked: Asked, mut record: RequestRecord) -> Response<Answered> {
    record.status = reply.status;
    record.bytes_out = if asked == Asked::Head {
        0
    } else {
        reply.body.len() as u64
    };
    whole(reply, asked)
}

/// To HEAD without the body, but with its length: the library would send it (RFC 9110 9.3.2).
fn whole(reply: &Reply, asked: Asked) -> Response<Answered> {
    let body = (!reply.body.is_empty() && asked != Asked::Head).then(|| reply.body.clone());
    let mut response = Response::new(Answered::Whole(body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.fields {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if !reply.body.is_empty() || asked == Asked::Head {
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    }
    response
}

/// As logs call it.
fn protocol(parts: &Parts) -> &'static str {
    match parts.version {
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/2.0",
    }
}

const NO_HOST: &str = "it has not one good host";

/// What is no request: the status that it is answered with, and why.
struct Misfit {
    status: u16,
    why: &'static str,
}

fn misfit(status: u16, why: &'static str) -> Misfit {
    Misfit { status, why }
}

/// What the line tells of it.
fn typed(parts: &Parts, visit: &Visit) -> Typed {
    let field = |name: HeaderName| parts.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    Typed {
        client: visit.told.client(fields(&parts.headers), &visit.http.trusted_proxies),
        protocol: protocol(parts),
        method: parts.method.as_str().into(),
        host: String::from_utf8_lossy(authority.unwrap_or(field(header::HOST))).into(),
        path: parts.uri.path_and_query().map_or("", |path| path.as_str()).into(),
        user_agent: field(header::USER_AGENT).into(),
        referer: field(header::REFERER).into(),
    }
}

/// A request as its rules see it, or why it is none.
fn view<'a>(
    (parts, most_fields): (&'a Parts, usize),
    (room, cookie): (&'a mut Fields<'a>, Option<&'a [u8]>),
    (framing, switching): (&'a Framing, Option<&'a Switching>),
) -> Result<View<'a>, Misfit> {
    if parts.method == Method::CONNECT && switching.is_none() {
        return Err(misfit(501, "CONNECT is for other proxies"));
    }
    if switching.is_some_and(|switching| !switching.is_sound()) {
        return Err(misfit(400, "no protocol that anything could go on in"));
    }
    if switching.is_some() && parts.headers.contains_key(header::CONTENT_LENGTH) {
        return Err(misfit(400, "what goes on in another protocol has no length"));
    }
    let mut count = 0;
    let others = parts
        .headers
        .iter()
        .filter(|(name, _)| *name != header::HOST && *name != header::COOKIE && *name != header::SEC_WEBSOCKET_KEY);
    let others = others.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let key = switching.filter(|switching| switching.is_websocket());
    let key = key.map(|switching| ("sec-websocket-key", switching.key.as_bytes()));
    for (name, value) in others.chain(cookie.map(|cookie| ("cookie", cookie))).chain(key) {
        *room
            .get_mut(count)
            .filter(|_| count < most_fields)
            .ok_or(misfit(431, "more fields than limits.fields"))? = Field { name, value };
        count += 1;
    }
    let (path, query) = (parts.uri.path(), parts.uri.query());
    // the library lets bytes through that an HTTP/1.1 request line must not hold
    if query.is_some_and(|query| !query.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'#')) {
        return Err(misfit(400, "bytes that no query may hold"));
    }
    Ok(View {
        // as HTTP/1.1 asks for it, so that the same routes take it
        method: switching.map_or(parts.method.as_str(), |_| "GET"),
        protocol: protocol(parts),
        path,
        query,
        host: host(parts)?,
        fields: &room[..count],
        hop: Hop::default(),
        upgrade: switching.map(|switching| switching.protocol.as_str().as_bytes()),
        framing,
    })
}

/// RFC 9113 8.3.1: `:authority` or `Host`, and where both stand, the same.
fn host(parts: &Parts) -> Result<&str, Misfit> {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let mut fields = parts.headers.get_all(header::HOST).iter();
    let field = fields
        .next()
        .map(|value| value.to_str().map_err(|_| misfit(400, NO_HOST)))
        .transpose()?;
    let host = match (authority, field) {
        (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => {
            return Err(misfit(400, "its authority and its Host differ"));
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) => return Err(misfit(400, NO_HOST)),
    };
    match is_host(host.as_bytes()) && fields.next().is_none() {
        true => Ok(host),
        false => Err(misfit(400, NO_HOST)),
    }
}

/// RFC 9113 8.2.3: the pieces of a cookie are put together again for HTTP/1.1.
fn cookie(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    let mut whole = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(piece.as_bytes());
    }
    Some(whole)
}

/// How the body goes on to a server of HTTP/1.1. The library holds a stream to the length that it announces.
fn framing(headers: &HeaderMap, body: &Sent) -> Framing {
    match body.length() {
        Some(length) if headers.contains_key(header::CONTENT_LENGTH) => Framing::Length(length),
        _ if body.is_end_stream() => Framing::Empty,
        _ => Framing::Chunked(Chunks::default()),
    }
}
