//! A client's connection that speaks HTTP/3: the library has the frames, we have the streams below it and the requests
//! above. All use of the library stays in this file.
use super::{
    exchange::Broken,
    h2io, limits,
    quiet::Resting,
    sent::{Sent, cut, length},
    streams::{self, Interims},
    visit::Visit,
    watch::{Held, UnderWay, Watch},
};
use crate::{
    failure::{Failure, Stage},
    wheel::Alarm,
};
use bytes::{Buf, Bytes, BytesMut};
use h3::{
    error::{Code, StreamError},
    quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf},
    server::{self, RequestResolver, RequestStream},
};
use hyper::{
    Method, Request, Response,
    body::{Body, Frame},
    header::{self, HeaderMap, HeaderName},
};
use portcullis_tls::failure::Fault;
use quinn::{ConnectionError, ReadError, TransportErrorCode, VarInt, WriteError};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{select, task::JoinSet, time::Instant};

/// The largest id that a request can have: a first GOAWAY with it turns nothing away (RFC 9114 5.2).
const NO_LIMIT: u64 = (1 << 62) - 4;
/// Until the second GOAWAY, which does: what was sent before the first arrived is here by then.
const PARTING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Bytes that the library may take ahead of what it hands over.
const AHEAD: usize = 64 * 1024;
/// And at once.
const READ: usize = 32 * 1024;
/// Pieces of a body are gathered to this, so that a server is not written to packet by packet.
const PIECE: usize = 64 * 1024;
/// Bytes of a stream that is no request's: settings, and for each request a priority.
const CONTROL: (u64, u64) = (64 * 1024, 256);

/// Serves requests until the connection ends.
pub(crate) async fn serve(quic: quinn::Connection, visit: &Rc<Visit>) -> Result<(), Failure> {
    let lane = Rc::new(Lane::new(visit));
    let mut builder = server::builder();
    builder
        .max_field_section_size(visit.http.limits.head_size as u64)
        .send_grease(false);
    let built = builder.build::<_, Bytes>(Quic::new(&quic, &lane)).await;
    let mut h3 = built.map_err(|error| ended(&quic, &error.to_string()))?;
    let mut requests = JoinSet::new();
    let mut parting = Parting::new(visit);
    loop {
        let step = select! {
            biased;
            Some(_) = requests.join_next() => None,
            next = h3.accept() => match next {
                Ok(Some(resolver)) => {
                    if let Some(arrived) = lane.take(resolver.frame_stream.id()) {
                        // boxed: the library of tasks moves its futures about, and this one is large
                        requests.spawn_local(Box::pin(request(resolver, arrived, lane.clone())));
                    }
                    None
                }
                Ok(None) => return Ok(()),
                Err(error) => return over(&quic, &error.to_string(), &lane),
            },
            step = poll_fn(|cx| parting.poll(cx)) => Some(step?),
        };
        if let Some(step) = step {
            let from = match step {
                Step::Announce => NO_LIMIT,
                Step::Refuse => lane.refuse_others(),
                Step::Leave => return leave(&quic),
            };
            let id = StreamId::try_from(from).unwrap_or_else(|_| unreachable!("at most {NO_LIMIT}"));
            let told = h3.inner.shutdown(&mut parting.told, id).await;
            told.map_err(|error| ended(&quic, &error.to_string()))?;
        }
        if lane.has_enough() {
            quic.close(code(Code::H3_EXCESSIVE_LOAD), b"");
            let error = "it asks for more than it waits for";
            return Err(Failure::refused(Stage::Request, Fault::Client, error));
        }
        if parting.is_last && requests.is_empty() {
            return leave(&quic);
        }
    }
}

/// How a connection comes to its end.
struct Parting<'a> {
    resting: Resting,
    watch: Watch,
    visit: &'a Visit,
    /// Until the second GOAWAY.
    alarm: Option<Alarm>,
    is_last: bool,
    told: Option<StreamId>,
}

/// What is to be done about it.
enum Step {
    /// Tell the client to begin nothing new.
    Announce,
    /// And refuse what it begins from now on.
    Refuse,
    /// It was told, and has nothing to wait for.
    Leave,
}

impl<'a> Parting<'a> {
    fn new(visit: &'a Rc<Visit>) -> Parting<'a> {
        Parting {
            resting: Resting::new(&visit.core),
            watch: Watch::new(visit),
            visit,
            alarm: None,
            is_last: false,
            told: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Failure>> {
        let is_unwanted = self.resting.poll(cx) && !self.visit.is_wanted();
        let is_idle = match self.watch.poll(cx) {
            Poll::Pending => false,
            Poll::Ready(idle) => {
                idle?;
                true
            }
        };
        if self.told.is_none() && (is_unwanted || is_idle) {
            self.alarm = Some(self.visit.core.wheel.alarm(Instant::now() + PARTING.0));
            return Poll::Ready(Ok(Step::Announce));
        }
        if is_idle {
            return Poll::Ready(Ok(Step::Leave));
        }
        if let Some(alarm) = &mut self.alarm {
            ready!(alarm.poll(cx));
            (self.alarm, self.is_last) = (None, true);
            return Poll::Ready(Ok(Step::Refuse));
        }
        Poll::Pending
    }
}

fn leave(quic: &quinn::Connection) -> Result<(), Failure> {
    quic.close(code(Code::H3_NO_ERROR), b"");
    Ok(())
}

/// A connection that its client ended, or that ended under it.
fn over(quic: &quinn::Connection, error: &str, lane: &Lane) -> Result<(), Failure> {
    match quic.close_reason() {
        Some(ConnectionError::ApplicationClosed(close))
            if [Code::H3_NO_ERROR.value(), 0].contains(&close.error_code.into_inner()) =>
        {
            Ok(())
        }
        // a close of the transport's own, as some libraries end
        Some(ConnectionError::ConnectionClosed(close)) if close.error_code == TransportErrorCode::NO_ERROR => Ok(()),
        // it vanished between requests, which takes nothing from anyone
        Some(ConnectionError::TimedOut) if lane.arrived.borrow().is_empty() && !lane.is_cut.get() => Ok(()),
        _ => Err(ended(quic, error)),
    }
}

fn ended(quic: &quinn::Connection, error: &str) -> Failure {
    let error = match quic.close_reason() {
        Some(ConnectionError::LocallyClosed) | None => error.to_owned(),
        Some(reason) => reason.to_string(),
    };
    Failure::failed(Stage::Request, Fault::Client, error)
}

fn code(code: Code) -> VarInt {
    VarInt::from_u64(code.value()).unwrap_or(VarInt::MAX)
}

/// What the streams of a connection share.
struct Lane {
    visit: Rc<Visit>,
    /// Requests that were accepted and have no task yet.
    arrived: RefCell<HashMap<u64, Arrived>>,
    /// The first id that no request has had.
    next: Cell<u64>,
    /// Requests from this id on are refused.
    refused_from: Cell<u64>,
    answered: Cell<u64>,
    cancelled: Cell<u64>,
    /// A request was under way when the connection was lost.
    is_cut: Cell<bool>,
    /// Bytes read of streams that are no requests.
    control: Cell<u64>,
}

/// What is known of a request's stream beside what the library knows.
struct Arrived {
    stopped: Stopped,
    ahead: Rc<Ahead>,
}

/// The client wants no answer, or has all of it.
type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, quinn::StoppedError>>>>;

impl Lane {
    fn new(visit: &Rc<Visit>) -> Lane {
        Lane {
            visit: visit.clone(),
            arrived: RefCell::default(),
            next: Cell::new(0),
            refused_from: Cell::new(u64::MAX),
            answered: Cell::default(),
            cancelled: Cell::default(),
            is_cut: Cell::default(),
            control: Cell::default(),
        }
    }

    fn take(&self, id: StreamId) -> Option<Arrived> {
        self.arrived.borrow_mut().remove(&id.into_inner())
    }

    /// From which id on.
    fn refuse_others(&self) -> u64 {
        self.refused_from.set(self.next.get());
        self.next.get()
    }

    /// Its client cancels nearly all that it asks for (CVE-2023-44487).
    fn has_enough(&self) -> bool {
        self.cancelled.get() > self.answered.get() + limits::CANCELLED
    }

    /// A request came to nothing.
    fn taken_back(&self, stopped: Result<Option<VarInt>, quinn::StoppedError>) {
        self.cancelled.set(self.cancelled.get() + 1);
        self.is_cut.set(self.is_cut.get() || stopped.is_err());
    }

    fn read_control(&self, count: usize) -> Result<(), StreamErrorIncoming> {
        let read = self.control.get() + count as u64;
        self.control.set(read);
        let (least, each) = CONTROL;
        match read > least + each * (self.next.get() / 4) {
            true => Err(excessive()),
            false => Ok(()),
        }
    }

    fn count(&self, inward: usize, outward: usize) {
        let mut bytes = self.visit.bytes.get();
        bytes.inward += inward as u64;
        bytes.outward += outward as u64;
        self.visit.bytes.set(bytes);
    }
}

type Resolver = RequestResolver<Quic, Bytes>;
type Out = RequestStream<SendHalf, Bytes>;

/// One request, until its answer has arrived or nobody wants it.
async fn request(resolver: Resolver, arrived: Arrived, lane: Rc<Lane>) {
    let Arrived { mut stopped, ahead } = arrived;
    let _under_way = UnderWay::new(&lane.visit);
    let answered = select! {
        biased;
        answered = exchange(resolver, &ahead, &lane.visit) => answered,
        stopped = &mut stopped => return lane.taken_back(stopped),
    };
    match answered {
        true => {
            lane.answered.set(lane.answered.get() + 1);
            // acknowledged to its end, so that a connection that ends after it takes nothing away
            let stopped = stopped.await;
            lane.is_cut.set(lane.is_cut.get() || stopped.is_err());
        }
        false => lane.taken_back(stopped.await),
    }
}

/// Reads a request and answers it. False: it was no request, or was taken back.
async fn exchange(resolver: Resolver, ahead: &Rc<Ahead>, visit: &Rc<Visit>) -> bool {
    let began = Instant::now();
    let head = guarded(ahead, resolver.resolve_request());
    let deadline = visit.http.limits.head.map(|limit| began + limit);
    let (request, stream) = match visit.core.wheel.within(deadline, head).await {
        Some(Ok(Ok(resolved))) => resolved,
        Some(Ok(Err(StreamError::HeaderTooBig { .. }))) => {
            // the library answers that itself
            let why = "the head of its request is beyond limits.head_size";
            let failure = Failure::failed(Stage::Request, Fault::Client, why);
            visit.misfit_elsewhere((431, failure), "HTTP/3.0");
            return false;
        }
        // what is dropped here is reset
        _ => return false,
    };
    let (mut out, inward) = stream.split();
    let length = match length(request.headers()) {
        Ok(length) if !has_connection_fields(request.headers()) => length,
        _ => {
            out.stop_stream(Code::H3_MESSAGE_ERROR);
            return false;
        }
    };
    let mut body = Receiving::new(inward, ahead, length);
    if length.is_none() && !usually_has_body(request.method()) {
        // its end may be a packet behind, and decides how it goes on to a server
        let _ = visit
            .core
            .wheel
            .within(deadline, poll_fn(|cx| body.poll_begin(cx)))
            .await;
    }
    let request = request.map(|()| Sent::Http3(Box::new(body)));
    match respond(request, &mut out, visit).await {
        Ok(()) => true,
        Err(Some(code)) => {
            out.stop_stream(code);
            true
        }
        Err(None) => false,
    }
}

/// Answers, interim answers first. An error says with what the stream is to be reset, if it still can be.
async fn respond(request: Request<Sent>, out: &mut Out, visit: &Rc<Visit>) -> Result<(), Option<Code>> {
    let interims = Interims::default();
    let mut answering = pin!(streams::begin(request, visit, &interims).answered());
    let response = loop {
        let next = poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => interims
                .pop()
                .map_or(Poll::Pending, |interim| Poll::Ready(Err(interim))),
        });
        match next.await {
            Ok(response) => break response,
            Err(interim) => held(visit, out.send_response(interim)).await.map_err(lost)?,
        }
    };
    while let Some(interim) = interims.pop() {
        held(visit, out.send_response(interim)).await.map_err(lost)?;
    }
    let (parts, mut body) = response.into_parts();
    let head = Response::from_parts(parts, ());
    held(visit, out.send_response(head)).await.map_err(lost)?;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|broken| Some(reason(&broken)))?;
        match frame.into_data() {
            Ok(data) => held(visit, out.send_data(data)).await.map_err(lost)?,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                held(visit, out.send_trailers(trailers)).await.map_err(lost)?;
            }
        }
    }
    out.finish().await.map_err(lost)
}

/// As long as it waits for its client to take something.
async fn held<T>(visit: &Rc<Visit>, sending: impl Future<Output = T>) -> T {
    let _held = Held::new(visit);
    sending.await
}

/// What could not be sent.
fn lost(error: StreamError) -> Option<Code> {
    match error {
        StreamError::HeaderTooBig { .. } => Some(Code::H3_INTERNAL_ERROR),
        _ => None,
    }
}

/// Why an answer breaks off: what a server of HTTP/2 said, in the words of HTTP/3.
fn reason(broken: &h2io::Broken) -> Code {
    match broken.1.as_ref().and_then(h2::Error::reason) {
        Some(h2::Reason::CANCEL) => Code::H3_REQUEST_CANCELLED,
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Code::H3_EXCESSIVE_LOAD,
        Some(h2::Reason::NO_ERROR) => Code::H3_NO_ERROR,
        _ => Code::H3_INTERNAL_ERROR,
    }
}

/// RFC 9114 4.2: fields of a connection make a request malformed.
fn has_connection_fields(fields: &HeaderMap) -> bool {
    const FIELDS: [HeaderName; 4] = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    let te = fields.get_all(header::TE).iter();
    FIELDS.iter().any(|name| fields.contains_key(name))
        || fields.contains_key("proxy-connection")
        || te
            .into_iter()
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

fn usually_has_body(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE | Method::CONNECT
    )
}

/// How far the library has read ahead on a stream. It takes all that comes until it has a whole frame, and a frame may
/// be of any length.
struct Ahead {
    held: Cell<usize>,
    was_refused: Cell<bool>,
    /// Bytes taken since something came of them.
    stuck: Cell<usize>,
    most: usize,
}

impl Ahead {
    fn new(most: usize) -> Ahead {
        Ahead {
            held: Cell::default(),
            was_refused: Cell::default(),
            stuck: Cell::default(),
            most,
        }
    }

    /// It may read on.
    fn admits(&self) -> bool {
        let admits = self.held.get() < AHEAD;
        self.was_refused.set(!admits);
        admits
    }

    fn read(&self, count: usize) {
        self.held.set(self.held.get() + count);
    }

    /// So much came of it.
    fn taken(&self, count: usize) {
        self.held.set(self.held.get().saturating_sub(count));
        self.stuck.set(0);
    }

    /// Nothing came of it: whether that was for want of more, of which there may be some.
    fn goes_on(&self) -> Result<bool, TooMuch> {
        if !self.was_refused.replace(false) {
            return Ok(false);
        }
        // all that it holds is one frame's that is not whole
        let stuck = self.stuck.get() + self.held.replace(0);
        self.stuck.set(stuck);
        match stuck > self.most {
            true => Err(TooMuch),
            false => Ok(true),
        }
    }
}

/// A frame that is longer than any that could be meant well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct TooMuch;

/// A future that reads a stream.
async fn guarded<T>(ahead: &Ahead, reading: impl Future<Output = T>) -> Result<T, TooMuch> {
    let mut reading = pin!(reading);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(read) = reading.as_mut().poll(cx) {
                return Poll::Ready(Ok(read));
            }
            if !ahead.goes_on()? {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// A request's body, as it comes.
pub(super) struct Receiving {
    stream: RequestStream<RecvHalf, Bytes>,
    ahead: Rc<Ahead>,
    /// What was announced.
    length: Option<u64>,
    count: u64,
    /// Data that came before it was asked for.
    first: Option<Bytes>,
    trailers: Option<HeaderMap>,
    is_in_trailers: bool,
    is_over: bool,
}

impl Receiving {
    fn new(stream: RequestStream<RecvHalf, Bytes>, ahead: &Rc<Ahead>, length: Option<u64>) -> Receiving {
        Receiving {
            stream,
            ahead: ahead.clone(),
            length,
            count: 0,
            first: None,
            trailers: None,
            is_in_trailers: false,
            is_over: false,
        }
    }

    /// Nothing of it is to come.
    pub(super) fn is_over(&self) -> bool {
        self.is_over || self.length == Some(0)
    }

    /// What is to come of it, where that was told.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// `Ready` when its first data came, or it turned out to have none.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.poll_data(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Some(data))) => {
                self.first = Some(data);
                Poll::Ready(())
            }
            Poll::Ready(Ok(None)) => {
                self.is_in_trailers = true;
                match self.stream.poll_recv_trailers(cx) {
                    Poll::Ready(Ok(None)) => self.is_over = true,
                    Poll::Ready(Ok(trailers)) => self.trailers = trailers,
                    Poll::Ready(Err(_)) | Poll::Pending => {}
                }
                Poll::Ready(())
            }
            // it is told when the body is read
            Poll::Ready(Err(_)) => Poll::Ready(()),
        }
    }

    /// Data, or the trailers behind it.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(data) = self.first.take() {
            self.count += data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.is_in_trailers {
            if let Some(data) = ready!(self.poll_gathered(cx))? {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            self.is_in_trailers = true;
        }
        let trailers = match self.trailers.take() {
            Some(trailers) => Ok(Some(trailers)),
            None => ready!(self.stream.poll_recv_trailers(cx)),
        };
        self.is_over = true;
        match trailers {
            Err(error) => Poll::Ready(Some(Err(cut(&error)))),
            Ok(_) if self.length.is_some_and(|length| length != self.count) => Poll::Ready(Some(Err(odd_length()))),
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    /// As much as is here.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        let Some(first) = ready!(self.poll_data(cx))? else {
            return Poll::Ready(Ok(None));
        };
        self.count += first.len() as u64;
        if first.len() >= PIECE {
            return Poll::Ready(Ok(Some(first)));
        }
        let mut gathered = BytesMut::from(first);
        while gathered.len() < PIECE {
            // an end or an error is found again by the next poll
            match self.poll_data(cx) {
                Poll::Ready(Ok(Some(data))) => {
                    self.count += data.len() as u64;
                    gathered.extend_from_slice(&data);
                }
                Poll::Ready(Ok(None)) => {
                    self.is_in_trailers = true;
                    break;
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => break,
            }
        }
        match self.length.is_some_and(|length| self.count > length) {
            true => Poll::Ready(Err(odd_length())),
            false => Poll::Ready(Ok(Some(gathered.freeze()))),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        loop {
            match self.stream.poll_recv_data(cx) {
                Poll::Ready(Ok(data)) => {
                    let data = data.map(|mut data| data.copy_to_bytes(data.remaining()));
                    self.ahead.taken(data.as_ref().map_or(0, Bytes::len));
                    return Poll::Ready(Ok(data));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(cut(&error))),
                Poll::Pending => match self.ahead.goes_on() {
                    Ok(true) => {}
                    Ok(false) => return Poll::Pending,
                    Err(TooMuch) => return Poll::Ready(Err(cut(&"a frame longer than any may be"))),
                },
            }
        }
    }
}

fn odd_length() -> Broken {
    cut(&"its length is not what it said")
}

/// A connection of quinn as the library sees it.
struct Quic {
    quic: quinn::Connection,
    lane: Rc<Lane>,
    requests: Option<Accepting<(quinn::SendStream, quinn::RecvStream)>>,
    others: Option<Accepting<quinn::RecvStream>>,
}

type Accepting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>>>>;

/// Our half of a stream.
struct SendHalf {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
    lane: Rc<Lane>,
}

/// The client's half.
struct RecvHalf {
    stream: quinn::RecvStream,
    /// None: of a stream that is no request.
    ahead: Option<Rc<Ahead>>,
    lane: Rc<Lane>,
}

/// Both.
struct Both {
    out: SendHalf,
    inward: RecvHalf,
}

impl Quic {
    fn new(quic: &quinn::Connection, lane: &Rc<Lane>) -> Quic {
        Quic {
            quic: quic.clone(),
            lane: lane.clone(),
            requests: None,
            others: None,
        }
    }

    /// A request's stream, unless requests are refused by now.
    fn admit(&self, (send, recv): (quinn::SendStream, quinn::RecvStream)) -> Option<Both> {
        let (mut send, mut recv, lane) = (send, recv, &self.lane);
        let id = VarInt::from(recv.id()).into_inner();
        if id >= lane.refused_from.get() {
            // either fails where the client has reset it already
            let _ = send.reset(code(Code::H3_REQUEST_REJECTED));
            let _ = recv.stop(code(Code::H3_REQUEST_REJECTED));
            return None;
        }
        lane.next.set(lane.next.get().max(id + 4));
        let ahead = Rc::new(Ahead::new(lane.visit.http.limits.head_size + AHEAD));
        let arrived = Arrived {
            stopped: Box::pin(send.stopped()),
            ahead: ahead.clone(),
        };
        lane.arrived.borrow_mut().insert(id, arrived);
        Some(Both {
            out: SendHalf::new(send, lane),
            inward: RecvHalf {
                stream: recv,
                ahead: Some(ahead),
                lane: lane.clone(),
            },
        })
    }
}

impl quic::Connection<Bytes> for Quic {
    type RecvStream = RecvHalf;
    type OpenStreams = Quic;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<RecvHalf, ConnectionErrorIncoming>> {
        let accepting = self.others.get_or_insert_with(|| {
            let quic = self.quic.clone();
            Box::pin(async move { quic.accept_uni().await })
        });
        let accepted = ready!(accepting.as_mut().poll(cx));
        self.others = None;
        Poll::Ready(accepted.map_err(of_connection).map(|stream| RecvHalf {
            stream,
            ahead: None,
            lane: self.lane.clone(),
        }))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Both, ConnectionErrorIncoming>> {
        loop {
            let accepting = self.requests.get_or_insert_with(|| {
                let quic = self.quic.clone();
                Box::pin(async move { quic.accept_bi().await })
            });
            let accepted = ready!(accepting.as_mut().poll(cx));
            self.requests = None;
            if let Some(both) = self.admit(accepted.map_err(of_connection)?) {
                return Poll::Ready(Ok(both));
            }
        }
    }

    fn opener(&self) -> Quic {
        Quic::new(&self.quic, &self.lane)
    }
}

impl quic::OpenStreams<Bytes> for Quic {
    type BidiStream = Both;
    type SendStream = SendHalf;

    /// A server opens no requests.
    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        let connection_error = ConnectionErrorIncoming::InternalError("a server opens no requests".into());
        Poll::Ready(Err(StreamErrorIncoming::ConnectionErrorIncoming { connection_error }))
    }

    /// A client leaves room for these three from the start, or breaks RFC 9114 6.2; then there is nothing to wait for.
    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<SendHalf, StreamErrorIncoming>> {
        let mut opening = pin!(self.quic.open_uni());
        let opened = match opening.as_mut().poll(cx) {
            Poll::Ready(opened) => opened.map_err(of_connection),
            Poll::Pending => Err(ConnectionErrorIncoming::InternalError("no room for our streams".into())),
        };
        let opened = opened.map(|stream| SendHalf::new(stream, &self.lane));
        Poll::Ready(
            opened.map_err(|connection_error| StreamErrorIncoming::ConnectionErrorIncoming { connection_error }),
        )
    }

    fn close(&mut self, why: Code, reason: &[u8]) {
        self.quic.close(code(why), reason);
    }
}

impl SendHalf {
    fn new(stream: quinn::SendStream, lane: &Rc<Lane>) -> SendHalf {
        SendHalf {
            stream,
            writing: None,
            lane: lane.clone(),
        }
    }
}

impl quic::SendStream<Bytes> for SendHalf {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(data) = self.writing.as_mut().filter(|data| data.has_remaining()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data.chunk())).map_err(unwritten)?;
            data.advance(written);
            self.lane.count(0, written);
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        let finished = self.stream.finish();
        Poll::Ready(finished.map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, reason: u64) {
        // it fails where the stream is over, and then there is nothing to reset
        let _ = self.stream.reset(VarInt::from_u64(reason).unwrap_or(VarInt::MAX));
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl quic::RecvStream for RecvHalf {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if self.ahead.as_ref().is_some_and(|ahead| !ahead.admits()) {
            // who asked finds out by `Ahead::goes_on`
            return Poll::Pending;
        }
        let chunk = ready!(pin!(self.stream.read_chunk(READ, true)).poll(cx)).map_err(unread)?;
        let Some(chunk) = chunk else {
            return Poll::Ready(Ok(None));
        };
        self.lane.count(chunk.bytes.len(), 0);
        match &self.ahead {
            Some(ahead) => ahead.read(chunk.bytes.len()),
            None => self.lane.read_control(chunk.bytes.len())?,
        }
        Poll::Ready(Ok(Some(chunk.bytes)))
    }

    fn stop_sending(&mut self, reason: u64) {
        // it fails where all of it came
        let _ = self.stream.stop(VarInt::from_u64(reason).unwrap_or(VarInt::MAX));
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl Drop for RecvHalf {
    /// What nobody reads any more needs not be sent (RFC 9114 4.1); it fails where all of it came.
    fn drop(&mut self) {
        let _ = self.stream.stop(code(Code::H3_NO_ERROR));
    }
}

impl quic::SendStream<Bytes> for Both {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.out.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.out.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.out.poll_finish(cx)
    }

    fn reset(&mut self, reason: u64) {
        self.out.reset(reason);
    }

    fn send_id(&self) -> StreamId {
        self.out.send_id()
    }
}

impl quic::RecvStream for Both {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.inward.poll_data(cx)
    }

    fn stop_sending(&mut self, reason: u64) {
        self.inward.stop_sending(reason);
    }

    fn recv_id(&self) -> StreamId {
        self.inward.recv_id()
    }
}

impl quic::BidiStream<Bytes> for Both {
    type SendStream = SendHalf;
    type RecvStream = RecvHalf;

    fn split(self) -> (SendHalf, RecvHalf) {
        (self.out, self.inward)
    }
}

fn id(id: quinn::StreamId) -> StreamId {
    let id = VarInt::from(id).into_inner();
    StreamId::try_from(id).unwrap_or_else(|_| unreachable!("both have 62 bits"))
}

fn excessive() -> StreamErrorIncoming {
    StreamErrorIncoming::StreamTerminated {
        error_code: Code::H3_EXCESSIVE_LOAD.value(),
    }
}

fn of_connection(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => ConnectionErrorIncoming::ApplicationClose {
            error_code: close.error_code.into_inner(),
        },
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        error => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}

fn unread(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated {
            error_code: code.into_inner(),
        },
        ReadError::ConnectionLost(error) => StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: of_connection(error),
        },
        error => StreamErrorIncoming::Unknown(Box::new(error)),
    }
}

fn unwritten(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated {
            error_code: code.into_inner(),
        },
        WriteError::ConnectionLost(error) => StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: of_connection(error),
        },
        error => StreamErrorIncoming::Unknown(Box::new(error)),
    }
}
