//! The body of a request that is a stream of its connection, as it comes.
use super::{exchange::Broken, h3::Receiving};
use crate::failure::{Failure, Stage};
use hyper::body::{Body, Bytes, Frame, Incoming};
use portcullis_tls::failure::Fault;
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// Whoever reads it.
pub(super) enum Sent {
    Http2(Incoming),
    Http3(Box<Receiving>),
}

impl Sent {
    /// Data, or the trailers behind it.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self {
            Sent::Http2(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map(|frame| frame.map(|frame| frame.map_err(|error| gone(&error))))
            }
            Sent::Http3(body) => body.poll_frame(cx),
        }
    }

    /// Nothing of it is to come.
    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Sent::Http2(body) => body.is_end_stream(),
            Sent::Http3(body) => body.is_over(),
        }
    }

    /// What is to come of it, where that was told.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Sent::Http2(body) => body.size_hint().exact(),
            Sent::Http3(body) => body.length(),
        }
    }
}

/// Its client gave the stream up, or broke off: nobody can be told anything any more.
fn gone(error: &hyper::Error) -> Broken {
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let error = format!("its stream ended in the middle of its body: {reason}");
    Broken::gone(Failure::failed(Stage::Request, Fault::Client, error))
}

/// It ended before its end.
pub(super) fn cut(error: &dyn fmt::Display) -> Broken {
    Broken {
        failure: Failure::failed(Stage::Request, Fault::Client, format!("its body: {error}")),
        status: 400,
    }
}
