//! One request whose client speaks HTTP/2 or 3, at a server that speaks HTTP/1.1: the answer's body drives both
//! directions for as long as it is asked for more.
use super::{
    asking::Forward,
    connect::Crossed,
    exchange::{Broken, blame, too_large, too_late},
    h1::lent,
    h2io,
    lease::Lease,
    origin::{After, Head, Origin, Sink, fields, mapped},
    patience::{Patience, Wait},
    record::RequestRecord,
    rules::passes_in_trailers,
    sent::Sent,
    streams::Interims,
    visit::Visit,
    watch::{Held, UnderWay},
};
use hyper::{
    Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header::{HeaderMap, HeaderName, HeaderValue},
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::{Field, Framing, ResponseHead};
use std::{
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A request under way.
pub(super) struct Streamed {
    visit: Rc<Visit>,
    pub(super) forward: Box<Forward>,
    origin: Origin,
    upload: Upload,
    come: Come,
    patience: Patience,
    moved: u64,
}

/// The request's body.
pub(super) struct Upload {
    body: Sent,
    /// Of the last piece, what has not gone.
    piece: Bytes,
    is_chunked: bool,
    is_over: bool,
    pub(super) count: u64,
    most: u64,
}

/// What came of the answer.
struct Come {
    interims: Interims,
    head: Option<Response<()>>,
    frames: VecDeque<Frame<Bytes>>,
    body_out: u64,
    /// What of its length is known.
    framing: Option<Framing>,
    /// The protocol that it goes on in.
    protocol: Option<Box<[u8]>>,
}

impl Come {
    fn new(interims: &Interims) -> Come {
        Come {
            interims: interims.clone(),
            head: None,
            frames: VecDeque::new(),
            body_out: 0,
            framing: None,
            protocol: None,
        }
    }
}

impl Upload {
    pub(super) fn new(body: Sent, framing: &Framing, most: u64) -> Upload {
        Upload {
            is_over: body.is_end_stream(),
            body,
            piece: Bytes::new(),
            is_chunked: matches!(framing, Framing::Chunked(_)),
            count: 0,
            most,
        }
    }

    /// Nothing of it was taken.
    fn is_untouched(&self) -> bool {
        self.count == 0
    }

    /// The next piece, when the one before has gone.
    fn poll_piece(&mut self, cx: &mut Context<'_>, origin: &mut Origin) -> Poll<Result<(), Broken>> {
        let frame = match self.body.poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => {
                self.end(origin, None);
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Some(frame)) => frame?,
        };
        match frame.into_data() {
            Ok(data) => {
                self.count += data.len() as u64;
                if self.count > self.most {
                    return Poll::Ready(Err(too_large()));
                }
                if self.is_chunked && !data.is_empty() {
                    origin.next_piece();
                    origin.gather(&data);
                } else {
                    self.piece = data;
                }
            }
            Err(frame) => self.end(origin, frame.trailers_ref()),
        }
        Poll::Ready(Ok(()))
    }

    /// Trailers can only follow chunks.
    fn end(&mut self, origin: &mut Origin, trailers: Option<&HeaderMap>) {
        self.is_over = true;
        if self.is_chunked {
            origin.next_piece();
            origin.gather_end(trailers.into_iter().flat_map(fields));
        }
    }
}

impl Streamed {
    pub(super) fn new(
        (visit, interims): (&Rc<Visit>, &Interims),
        forward: Box<Forward>,
        (lease, head): (Lease, Head),
        upload: Upload,
    ) -> Streamed {
        Streamed {
            origin: Origin::new(lease, head),
            patience: visit.patience(&forward.upstream, None),
            visit: visit.clone(),
            forward,
            upload,
            come: Come::new(interims),
            moved: 0,
        }
    }

    /// The head of the answer.
    pub(super) async fn head(&mut self) -> Result<Response<()>, Broken> {
        std::future::poll_fn(|cx| {
            let visit = self.visit.clone();
            lent(&visit.core, |scratch| {
                loop {
                    if let Some(head) = self.come.head.take() {
                        return Poll::Ready(Ok(head));
                    }
                    std::task::ready!(self.poll(cx, scratch))?;
                }
            })
        })
        .await
    }

    /// The protocol that the server goes on in, if it does.
    pub(super) fn switched_to(&self) -> Option<&[u8]> {
        self.come.protocol.as_deref()
    }

    /// What remains when it did.
    pub(super) fn into_switched(self) -> (Box<Forward>, Rc<Visit>, After) {
        (self.forward, self.visit, self.origin.after())
    }

    /// What a second try takes: the request's head and body.
    pub(super) fn take_apart(self) -> (Box<Forward>, Vec<u8>, Upload) {
        (self.forward, self.origin.into_head(), self.upload)
    }

    /// Whom it is asked.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Another connection may be asked the same: the server cannot have begun, or asking twice is asking once.
    pub(super) fn may_repeat(&self, broken: &Broken) -> bool {
        broken.failure.fault == Fault::Upstream
            && self.origin.is_silent()
            && self.upload.is_untouched()
            && self.origin.has_its_head()
            && (self.forward.is_idempotent || self.origin.is_unsent())
    }

    /// Moves what can be moved. `Ready` after each read of the answer, and when it is over.
    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<(), Broken>> {
        let upload = self.poll_upload(cx)?;
        if self.origin.is_over() {
            return Poll::Ready(Ok(()));
        }
        let mut sink = ToStream {
            come: &mut self.come,
            forward: &self.forward,
        };
        if let Poll::Ready(read) = self.origin.poll_answer(cx, scratch, &mut sink) {
            let read = read.map_err(|failure| Broken { failure, status: 502 })?;
            self.moved += read as u64;
            return Poll::Ready(Ok(()));
        }
        let answer = match self.origin.has_answered() {
            true => Wait::ServerSends,
            false => Wait::ServerAnswers,
        };
        let late = self.patience.poll(cx, upload.unwrap_or(answer), self.moved);
        late.map(|late| {
            blame(late, &self.origin);
            Err(too_late(late))
        })
    }

    /// From the client to the server. Says for whom it waits; None when all of it went.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<Option<Wait>, Broken> {
        loop {
            let Poll::Ready(sent) = self.origin.poll_send(cx, &self.upload.piece) else {
                return Ok(Some(Wait::ServerTakes));
            };
            let _ = self.upload.piece.split_to(sent);
            self.moved += sent as u64;
            if !self.upload.piece.is_empty() || !self.origin.is_clear() {
                continue;
            }
            if self.upload.is_over {
                return Ok(None);
            }
            match self.upload.poll_piece(cx, &mut self.origin) {
                Poll::Pending => return Ok(Some(Wait::ClientSends)),
                Poll::Ready(piece) => piece?,
            }
        }
    }
}

/// Makes an answer of what a server says.
struct ToStream<'a> {
    come: &'a mut Come,
    forward: &'a Forward,
}

impl Sink for ToStream<'_> {
    fn interim(&mut self, head: &ResponseHead<'_>) {
        let mut interim = Response::new(());
        *interim.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::PROCESSING);
        let fields = interim.headers_mut();
        self.forward
            .interim_fields(head, |name, value| append(fields, name, value));
        self.come.interims.push(interim);
    }

    fn head(&mut self, head: &ResponseHead<'_>) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let fields = response.headers_mut();
        fields.reserve(head.fields.len());
        self.forward
            .answer_fields(head, |name, value| append(fields, name, value));
        self.come.framing = Some(head.framing.clone());
        if head.status == 101 {
            let mut fields = head.fields.iter();
            let upgrade = fields.find(|field| field.name.eq_ignore_ascii_case("upgrade"));
            self.come.protocol = upgrade.map(|field| field.value.into());
        }
        self.come.head = Some(response);
    }

    fn data(&mut self, bytes: &[u8]) {
        self.come.body_out += bytes.len() as u64;
        self.come.frames.push_back(Frame::data(Bytes::copy_from_slice(bytes)));
    }

    fn end<'t>(&mut self, trailers: impl Iterator<Item = Field<'t>>) {
        let trailers = mapped(trailers.filter(|field| passes_in_trailers(field.name)));
        if !trailers.is_empty() {
            self.come.frames.push_back(Frame::trailers(trailers));
        }
    }
}

/// Both were checked by the codec, which allows less.
fn append(fields: &mut HeaderMap, name: &str, value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}

/// The body of an answer.
pub(super) enum Answered {
    /// Ours.
    Whole(Option<Bytes>),
    /// A server's, as it comes.
    Flowing(Box<Flowing>),
    /// None: both ends speak another protocol.
    Switched(Box<Crossed>),
}

/// A body as it comes, and the record that tells of it when it ends.
pub(super) struct Flowing {
    streamed: Option<Box<Streamed>>,
    record: RequestRecord,
    held: Option<Held>,
    _under_way: UnderWay,
}

impl Flowing {
    pub(super) fn new(streamed: Box<Streamed>, record: RequestRecord) -> Flowing {
        let mut flowing = Flowing {
            held: None,
            _under_way: UnderWay::new(&streamed.visit),
            streamed: Some(streamed),
            record,
        };
        flowing.settle();
        flowing
    }

    /// Gives the server's connection back as soon as all of the answer is here.
    fn settle(&mut self) {
        if let Some(streamed) = self.streamed.take_if(|streamed| streamed.is_over()) {
            self.record.bytes_in = streamed.upload.count;
            self.record.bytes_out = streamed.come.body_out;
            self.record.end(Ok(()));
            let is_told = streamed.has_gone();
            let Streamed { origin, visit, .. } = *streamed;
            if let (true, After::Rests(own)) = (is_told, origin.after()) {
                visit.core.pool.keep(own);
            }
        }
    }
}

impl Streamed {
    /// All of the answer came and went; what of the request has not come yet is for nobody.
    fn is_over(&self) -> bool {
        self.origin.is_over() && self.come.frames.is_empty()
    }

    /// All of the request went.
    fn has_gone(&self) -> bool {
        self.upload.is_over && self.upload.piece.is_empty()
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = h2io::Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2io::Broken>>> {
        match &mut *self {
            Answered::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Answered::Flowing(flowing) => flowing.poll_frame(cx),
            Answered::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answered::Whole(body) => body.is_none(),
            Answered::Flowing(flowing) => flowing.streamed.is_none(),
            Answered::Switched(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answered::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            // its length, where one was told, stands in the head
            Answered::Flowing(flowing) if flowing.streamed.is_none() => SizeHint::with_exact(0),
            Answered::Flowing(_) | Answered::Switched(_) => SizeHint::default(),
        }
    }
}

impl Flowing {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2io::Broken>>> {
        loop {
            let Some(streamed) = &mut self.streamed else {
                return Poll::Ready(None);
            };
            if let Some(frame) = streamed.come.frames.pop_front() {
                // until it is asked for the next, its client is busy with this one
                self.held.get_or_insert_with(|| Held::new(&streamed.visit));
                self.settle();
                return Poll::Ready(Some(Ok(frame)));
            }
            self.held = None;
            if streamed.is_over() {
                self.settle();
                return Poll::Ready(None);
            }
            let visit = streamed.visit.clone();
            match lent(&visit.core, |scratch| streamed.poll(cx, scratch)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(broken)) => {
                    let reset = streamed.origin.reset().map(h2::Error::from);
                    self.record.bytes_in = streamed.upload.count;
                    self.record.bytes_out = streamed.come.body_out;
                    self.record.end(Err(broken.failure.clone()));
                    self.streamed = None;
                    return Poll::Ready(Some(Err(h2io::Broken(broken.failure, reset))));
                }
            }
        }
    }
}
