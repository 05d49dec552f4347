//! The server's side of one request: what is sent to it, and its answer as it comes, whatever protocol either side
//! speaks.
mod http1;
mod http2;

use super::{
    lease::{Lease, Own, Terms},
    rules::passes_in_trailers,
};
use crate::failure::Failure;
use http1::Http1;
use http2::Http2;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use portcullis_wire::http1::{Asked, Field, ResponseHead, write};
use std::task::{Context, Poll};

/// Interim answers before the one that counts; nobody needs more than a 100 and some 103.
const MAX_INTERIM: u8 = 16;

/// Takes an answer, piece by piece and in order.
pub(crate) trait Sink {
    /// An interim answer.
    fn interim(&mut self, head: &ResponseHead<'_>);
    /// The answer's head.
    fn head(&mut self, head: &ResponseHead<'_>);
    /// A piece of its body.
    fn data(&mut self, bytes: &[u8]);
    /// Its end, and the trailers behind it.
    fn end<'t>(&mut self, trailers: impl Iterator<Item = Field<'t>>);
}

/// What follows an answer on its connection.
pub(crate) enum After {
    /// It may carry another request.
    Rests(Own),
    /// It goes on in another protocol, of which this came already.
    Switched(Own, Vec<u8>),
    /// It is closed, or others' too.
    Nothing,
}

/// A request's head as it is sent.
pub(crate) struct Head {
    /// As HTTP/1.1 has it: HTTP/2 is made of the same, so that both say the same.
    pub(crate) bytes: Vec<u8>,
    pub(crate) asked: Asked,
    /// The client takes trailers: HTTP/2 passes that on.
    pub(crate) takes_trailers: bool,
}

/// A request under way to a server.
pub(crate) enum Origin {
    Http1(Http1),
    Http2(Box<Http2>),
}

impl Origin {
    pub(crate) fn new(lease: Lease, head: Head) -> Origin {
        match lease {
            Lease::Own(own) => Origin::Http1(Http1::new(own, head)),
            Lease::Shared(seat) => Origin::Http2(Box::new(Http2::new(seat, head))),
        }
    }

    /// The server that it was sent to.
    pub(crate) fn terms(&self) -> &Terms {
        match self {
            Origin::Http1(one) => &one.own.terms,
            Origin::Http2(two) => &two.seat.terms,
        }
    }

    /// Writes what waits and then of `body` what fits; says how much of it was taken. `Ready(0)` with a body that is
    /// not empty cannot be: then it is `Pending`.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Poll<usize> {
        match self {
            Origin::Http1(one) => one.poll_send(cx, body),
            Origin::Http2(two) => two.poll_send(cx, body),
        }
    }

    /// What waits before the body was written; more may be put behind it.
    pub(crate) fn is_clear(&self) -> bool {
        match self {
            Origin::Http1(one) => one.is_clear(),
            Origin::Http2(two) => two.is_clear(),
        }
    }

    /// The server did nothing with the request: not a byte of it was taken, or it said so.
    pub(crate) fn is_unsent(&self) -> bool {
        match self {
            Origin::Http1(one) => one.is_unsent(),
            Origin::Http2(two) => two.is_unsent(),
        }
    }

    /// The server said that it did nothing, or its connection is about to end: that says nothing against it.
    pub(crate) fn is_refused(&self) -> bool {
        match self {
            Origin::Http1(_) => false,
            Origin::Http2(two) => two.is_refused(),
        }
    }

    /// Forgets what was written, to make room for the next piece of a body whose length nobody told. The request cannot
    /// be repeated any more.
    pub(crate) fn next_piece(&mut self) {
        let (out, sent) = self.out();
        out.clear();
        *sent = 0;
    }

    /// How much of that piece is there.
    pub(crate) fn gathered(&self) -> usize {
        match self {
            Origin::Http1(one) => one.out.len(),
            Origin::Http2(two) => two.out.len(),
        }
    }

    /// Puts more of the body behind that piece.
    pub(crate) fn gather(&mut self, data: &[u8]) {
        match self {
            Origin::Http1(one) => {
                write::chunk_size(&mut one.out, data.len());
                one.out.extend_from_slice(data);
                one.out.extend_from_slice(write::CRLF);
            }
            Origin::Http2(two) => two.out.extend_from_slice(data),
        }
    }

    /// Puts the end of the body behind it, with what trailers may pass.
    pub(crate) fn gather_end<'t>(&mut self, trailers: impl Iterator<Item = Field<'t>>) {
        let trailers = trailers.filter(|field| passes_in_trailers(field.name));
        match self {
            Origin::Http1(one) => write::last_chunk(&mut one.out, trailers),
            Origin::Http2(two) => two.end(mapped(trailers)),
        }
    }

    /// Reads once and passes on what came. `Ready` after each read.
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        sink: &mut impl Sink,
    ) -> Poll<Result<usize, Failure>> {
        match self {
            Origin::Http1(one) => one.poll_answer(cx, scratch, sink),
            Origin::Http2(two) => two.poll_answer(cx, sink),
        }
    }

    /// The answer has begun: from here on the client cannot be told another.
    pub(crate) fn has_answered(&self) -> bool {
        match self {
            Origin::Http1(one) => one.has_answered(),
            Origin::Http2(two) => two.has_answered(),
        }
    }

    /// Nothing of an answer came.
    pub(crate) fn is_silent(&self) -> bool {
        match self {
            Origin::Http1(one) => one.is_silent(),
            Origin::Http2(two) => two.is_silent(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        match self {
            Origin::Http1(one) => one.is_over(),
            Origin::Http2(two) => two.is_over(),
        }
    }

    /// Why the server reset the stream, where it did.
    pub(crate) fn reset(&self) -> Option<h2::Reason> {
        match self {
            Origin::Http1(_) => None,
            Origin::Http2(two) => two.reset(),
        }
    }

    /// It took too long: nobody else is sent over its connection.
    pub(crate) fn distrust(&self) {
        if let Origin::Http2(two) = self {
            two.seat.distrust();
        }
    }

    /// What becomes of the server's connection after the answer.
    pub(crate) fn after(self) -> After {
        match self {
            Origin::Http1(one) => one.after(),
            Origin::Http2(_) => After::Nothing,
        }
    }

    /// The head as it was, for another try.
    pub(crate) fn into_head(self) -> Vec<u8> {
        match self {
            Origin::Http1(one) => one.out,
            Origin::Http2(two) => two.into_head(),
        }
    }

    fn out(&mut self) -> (&mut Vec<u8>, &mut usize) {
        match self {
            Origin::Http1(one) => (&mut one.out, &mut one.sent),
            Origin::Http2(two) => (&mut two.out, &mut two.sent),
        }
    }
}

/// Fields as the libraries have them; names become lower case.
pub(super) fn mapped<'f>(fields: impl Iterator<Item = Field<'f>>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // both were checked by the codec, which allows less
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) {
            map.append(name, value);
        }
    }
    map
}

/// The other way round.
pub(super) fn fields(map: &HeaderMap) -> impl Iterator<Item = Field<'_>> {
    map.iter().map(|(name, value)| Field {
        name: name.as_str(),
        value: value.as_bytes(),
    })
}
