//! A server that speaks HTTP/2: one stream of a connection that others use too.
use super::{Head, MAX_INTERIM, Sink, fields, mapped};
use crate::{
    failure::{Failure, Stage},
    http::{multiplex::Seat, rules::passes_in_trailers},
};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use hyper::{
    Request, Response, Uri,
    header::{self, HeaderMap, HeaderValue},
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::{Asked, Chunks, Field, Framing, Hop, ResponseHead, Version};
use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A body goes by pieces of about this: as large as a frame usually may be (RFC 9113 6.5.2).
const PIECE: usize = 16 * 1024;
/// What a head counts for in a turn: few are longer.
const HEAD: usize = 1024;

/// A request under way.
pub(crate) struct Http2 {
    pub(super) seat: Seat,
    /// As HTTP/1.1 has it, for another try.
    head: Vec<u8>,
    asked: Asked,
    /// None once it was sent.
    request: Option<Request<()>>,
    body: Body,
    stream: Option<SendStream<Bytes>>,
    /// What else must go before the body's next piece.
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    /// It takes no more of the request; its answer may still come.
    is_deaf: bool,
    /// The server said that it did nothing.
    is_refused: bool,
    reset: Option<Reason>,
    answer: Answer,
}

/// What of the request's body is to come.
enum Body {
    /// So much; 0: all went.
    Left(u64),
    Open,
    /// What waits is the last of it, and these trailers follow.
    Ending(HeaderMap),
}

enum Answer {
    /// The request has not gone, or could not.
    Unasked(Option<Failure>),
    Awaited {
        response: ResponseFuture,
        interim: u8,
    },
    Flowing(RecvStream),
    Over,
}

impl Http2 {
    pub(super) fn new(seat: Seat, head: Head) -> Http2 {
        let (request, body) = match request(&head, seat.scheme) {
            Some((request, body)) => (Some(request), body),
            None => (None, Body::Left(0)),
        };
        let problem = request
            .is_none()
            .then(|| failed("the request cannot be said in HTTP/2"));
        Http2 {
            seat,
            head: head.bytes,
            asked: head.asked,
            is_deaf: problem.is_some(),
            request,
            body,
            stream: None,
            out: Vec::new(),
            sent: 0,
            is_refused: false,
            reset: None,
            answer: Answer::Unasked(problem),
        }
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Poll<usize> {
        if self.request.is_some() {
            ready!(self.poll_ask(cx));
        }
        while !self.is_deaf {
            let Some(stream) = &mut self.stream else { break };
            let is_own = self.sent < self.out.len();
            let waiting = if is_own { &self.out[self.sent..] } else { body };
            if waiting.is_empty() {
                self.finish();
                return Poll::Ready(0);
            }
            if matches!(self.body, Body::Left(0)) {
                // no more was told of: nobody is there to take it
                break;
            }
            let Some(room) = ready!(poll_room(stream, cx, waiting.len().min(PIECE))) else {
                self.is_deaf = true;
                break;
            };
            let piece = &waiting[..waiting.len().min(room)];
            let length = piece.len();
            let is_last = matches!(self.body, Body::Left(left) if left == length as u64);
            self.is_deaf = stream.send_data(Bytes::copy_from_slice(piece), is_last).is_err();
            if let Body::Left(left) = &mut self.body {
                *left = left.saturating_sub(length as u64);
            }
            match is_own {
                true => self.sent += length,
                false => return Poll::Ready(length),
            }
        }
        // nobody listens: the rest is for nobody
        Poll::Ready(body.len())
    }

    /// Sends the head, when the connection takes another.
    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut asked = ready!(self.seat.requests.poll_ready(cx));
        if asked.is_ok()
            && let Some(request) = self.request.take()
        {
            let is_last = matches!(self.body, Body::Left(0));
            asked = match self.seat.requests.send_request(request, is_last) {
                Ok((response, stream)) => {
                    self.stream = Some(stream);
                    self.answer = Answer::Awaited { response, interim: 0 };
                    return Poll::Ready(());
                }
                Err(error) => Err(error),
            };
        }
        if let Err(error) = asked {
            // not a byte went
            self.is_refused = true;
            self.is_deaf = true;
            self.request = None;
            self.answer = Answer::Unasked(Some(failed(format!("HTTP/2: {error}"))));
        }
        Poll::Ready(())
    }

    /// Says that the request is over, when it is.
    fn finish(&mut self) {
        let (Body::Ending(trailers), Some(stream)) = (&mut self.body, &mut self.stream) else {
            return;
        };
        let trailers = std::mem::take(trailers);
        let ended = match trailers.is_empty() {
            true => stream.send_data(Bytes::new(), true),
            false => stream.send_trailers(trailers),
        };
        self.is_deaf |= ended.is_err();
        self.body = Body::Left(0);
    }

    pub(super) fn is_clear(&self) -> bool {
        self.is_deaf || (self.request.is_none() && self.sent == self.out.len())
    }

    pub(super) fn is_unsent(&self) -> bool {
        self.request.is_some() || self.is_refused
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    pub(super) fn reset(&self) -> Option<Reason> {
        self.reset
    }

    /// The body ends behind what waits.
    pub(super) fn end(&mut self, trailers: HeaderMap) {
        self.body = Body::Ending(trailers);
    }

    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>, sink: &mut impl Sink) -> Poll<Result<usize, Failure>> {
        let came = match &mut self.answer {
            Answer::Unasked(problem) => match problem.take() {
                Some(problem) => return Poll::Ready(Err(problem)),
                None => return Poll::Pending,
            },
            Answer::Awaited { response, interim } => {
                if let Poll::Ready(Some(Ok(head))) = response.poll_informational(cx) {
                    *interim += 1;
                    if *interim > MAX_INTERIM {
                        return Poll::Ready(Err(failed("too many interim answers")));
                    }
                    told(&head, Framing::Empty, |head| sink.interim(head));
                    return Poll::Ready(Ok(HEAD));
                }
                match ready!(Pin::new(response).poll(cx)) {
                    Ok(head) => return Poll::Ready(self.begin(head, sink)),
                    Err(error) => Err(error),
                }
            }
            Answer::Flowing(stream) => ready!(poll_body(stream, cx, sink)),
            Answer::Over => Ok(None),
        };
        match came {
            Ok(Some(length)) => Poll::Ready(Ok(length)),
            Ok(None) => {
                self.answer = Answer::Over;
                Poll::Ready(Ok(0))
            }
            Err(error) => {
                // RFC 9113 6.8, 8.7: streams above the last that a GOAWAY names, and those refused, were not looked at
                let is_refused = error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM);
                self.is_refused = is_refused && error.is_remote();
                self.reset = error.reason().filter(|_| error.is_reset() && error.is_remote());
                Poll::Ready(Err(failed(format!("HTTP/2: {error}"))))
            }
        }
    }

    fn begin(&mut self, response: Response<RecvStream>, sink: &mut impl Sink) -> Result<usize, Failure> {
        let (parts, stream) = response.into_parts();
        let length = content_length(&parts.headers)?;
        let is_over = stream.is_end_stream();
        let framing = match parts.status.as_u16() {
            204 | 304 => Framing::Empty,
            _ if self.asked == Asked::Head => Framing::Empty,
            _ if is_over => Framing::Length(0),
            _ => length.map_or(Framing::Chunked(Chunks::default()), Framing::Length),
        };
        let head = Response::from_parts(parts, ());
        told(&head, framing, |head| sink.head(head));
        self.answer = match is_over {
            true => {
                sink.end(std::iter::empty());
                Answer::Over
            }
            false => Answer::Flowing(stream),
        };
        Ok(HEAD)
    }

    pub(super) fn has_answered(&self) -> bool {
        matches!(self.answer, Answer::Flowing(_) | Answer::Over)
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.answer, Answer::Unasked(_) | Answer::Awaited { interim: 0, .. })
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.answer, Answer::Over)
    }

    pub(super) fn into_head(self) -> Vec<u8> {
        self.head
    }
}

/// How much of so much the server takes now; None: nothing, ever.
fn poll_room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>, wanted: usize) -> Poll<Option<usize>> {
    stream.reserve_capacity(wanted);
    loop {
        match stream.capacity() {
            0 => match ready!(stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(None),
            },
            room => return Poll::Ready(Some(room)),
        }
    }
}

/// The next piece of an answer's body, or its end with its trailers.
fn poll_body(
    stream: &mut RecvStream,
    cx: &mut Context<'_>,
    sink: &mut impl Sink,
) -> Poll<Result<Option<usize>, h2::Error>> {
    if let Some(data) = ready!(stream.poll_data(cx)?) {
        if !data.is_empty() {
            sink.data(&data);
        }
        // the server may send as much again: nothing more is taken from here until the client took this
        stream.flow_control().release_capacity(data.len())?;
        return Poll::Ready(Ok(Some(data.len())));
    }
    let trailers = ready!(stream.poll_trailers(cx)?).unwrap_or_default();
    sink.end(fields(&trailers).filter(|field| passes_in_trailers(field.name)));
    Poll::Ready(Ok(None))
}

/// The same request as HTTP/2 says it (RFC 9113 8.3.1), and what body follows. The head is one that we wrote.
fn request(head: &Head, scheme: &str) -> Option<(Request<()>, Body)> {
    let text = head.bytes.strip_suffix(b"\r\n\r\n")?;
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let (mut host, mut body, mut kept) = (None, Body::Left(0), Vec::new());
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let field = Field {
            name: std::str::from_utf8(&line[..colon]).ok()?,
            value: line[colon + 1..].trim_ascii(),
        };
        match field.name {
            "host" => host = Some(field.value),
            "transfer-encoding" => body = Body::Open,
            "connection" | "upgrade" => {}
            "content-length" => {
                body = Body::Left(std::str::from_utf8(field.value).ok()?.parse().ok()?);
                kept.push(field);
            }
            _ => kept.push(field),
        }
    }
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(host?)
        .path_and_query(&*escaped(target));
    let mut request = Request::builder().method(method).uri(uri.build().ok()?).body(()).ok()?;
    *request.headers_mut() = mapped(kept.into_iter());
    if head.takes_trailers {
        // RFC 9113 8.2.2: the one word that TE may say
        request
            .headers_mut()
            .insert(header::TE, HeaderValue::from_static("trailers"));
    }
    *request.version_mut() = hyper::Version::HTTP_2;
    Some((request, body))
}

/// What may not stand in a URI (RFC 3986 2), and which the library does not take, in its escapes.
fn escaped(target: &[u8]) -> Cow<'_, [u8]> {
    const ESCAPES: [(u8, &[u8]); 4] = [(b'"', b"%22"), (b'<', b"%3C"), (b'>', b"%3E"), (b'`', b"%60")];
    let escape = |byte: &u8| ESCAPES.iter().find(|(escaped, _)| escaped == byte);
    if !target.iter().any(|byte| escape(byte).is_some()) {
        return Cow::Borrowed(target);
    }
    let as_it_goes = |byte: &u8| escape(byte).map_or(vec![*byte], |(_, escape)| escape.to_vec());
    target.iter().flat_map(as_it_goes).collect()
}

/// A head as sinks take it.
fn told(head: &Response<()>, framing: Framing, take: impl FnOnce(&ResponseHead<'_>)) {
    let fields: Vec<Field<'_>> = fields(head.headers()).collect();
    take(&ResponseHead {
        status: head.status().as_u16(),
        reason: "",
        version: Version::Http11,
        fields: &fields,
        framing,
        persists: true,
        hop: Hop::default(),
        length: 0,
    });
}

/// One plain number or none, as in HTTP/1.1; the library holds the stream to it.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| {
        let length: u64 = text.parse().ok()?;
        (length.to_string() == text).then_some(length)
    });
    match (length, values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(failed("its answer: Content-Length is no plain number")),
    }
}

fn failed(error: impl Into<Cow<'static, str>>) -> Failure {
    Failure::failed(Stage::Request, Fault::Upstream, error)
}

#[cfg(test)]
mod tests;
