//! The body of a request that is a stream of its connection, as it comes.
use super::{exchange::Broken, h3::Receiving};
use crate::failure::{Failure, Stage};
use bytes::Bytes;
use h2::RecvStream;
use hyper::{
    body::Frame,
    header::{self, HeaderMap},
};
use portcullis_tls::failure::Fault;
use std::{
    fmt,
    task::{Context, Poll, ready},
};

/// Whoever reads it.
pub(super) enum Sent {
    Http2(Inward),
    Http3(Box<Receiving>),
    /// Nobody: what comes is for another protocol.
    Nobody,
}

/// What a stream of HTTP/2 brings.
pub(super) struct Inward {
    stream: RecvStream,
    /// What was announced; the library holds the stream to it.
    length: Option<u64>,
    is_over: bool,
}

impl Inward {
    pub(super) fn new(stream: RecvStream, length: Option<u64>) -> Inward {
        Inward {
            stream,
            length,
            is_over: false,
        }
    }

    /// Data; room for as much again is given at once. A stream that its client resets has not ended, whatever it says.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = ready!(self.stream.poll_data(cx));
        if let Some(Ok(data)) = &data {
            // fails for a stream that is gone, of which nothing more comes
            let _ = self.stream.flow_control().release_capacity(data.len());
        }
        Poll::Ready(data)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.is_over {
            if let Some(data) = ready!(self.poll_data(cx)) {
                return Poll::Ready(Some(data.map(Frame::data)));
            }
            self.is_over = true;
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)).transpose())
    }
}

impl Sent {
    /// Data, or the trailers behind it.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Sent::Http2(body) => {
                let frame = body.poll_frame(cx);
                frame.map(|frame| frame.map(|frame| frame.map_err(|error| gone(&error))))
            }
            Sent::Http3(body) => body.poll_frame(cx),
            Sent::Nobody => Poll::Ready(None),
        }
    }

    /// Nothing of it is to come.
    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Sent::Http2(body) => body.stream.is_end_stream(),
            Sent::Http3(body) => body.is_over(),
            Sent::Nobody => true,
        }
    }

    /// What is to come of it, where that was told.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Sent::Http2(body) => body.length,
            Sent::Http3(body) => body.length(),
            Sent::Nobody => None,
        }
    }
}

/// Its client gave the stream up, or broke off: nobody can be told anything any more.
fn gone(error: &h2::Error) -> Broken {
    let error = format!("its stream ended in the middle of its body: {error}");
    Broken::gone(Failure::failed(Stage::Request, Fault::Client, error))
}

/// It ended before its end.
pub(super) fn cut(error: &dyn fmt::Display) -> Broken {
    Broken {
        failure: Failure::failed(Stage::Request, Fault::Client, format!("its body: {error}")),
        status: 400,
    }
}

/// The length that a request announces; RFC 9110 8.6: the same several times is as good as once.
pub(super) fn length(fields: &HeaderMap) -> Result<Option<u64>, ()> {
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    let is_number = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
    let is_one = lengths.all(|other| other == first);
    let length = first.to_str().ok().filter(|_| is_number && is_one);
    length.and_then(|text| text.parse().ok()).map(Some).ok_or(())
}
