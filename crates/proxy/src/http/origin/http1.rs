//! A server that speaks HTTP/1.1: one request at a time over a connection of its own.
use super::{After, Head, MAX_INTERIM, Sink};
use crate::http::lease::Own;
use crate::{
    failure::{Failure, Stage},
    relay::SCRATCH,
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::{self, Asked, Bad, Framing, MAX_FIELDS, NO_FIELD};
use std::{
    io::IoSlice,
    task::{Context, Poll, ready},
};

/// Reads begin with so much and double while they come back full: what waits when a client stops taking stays in
/// proportion to the traffic.
const FIRST_WINDOW: usize = 16 * 1024;

/// A request under way to a server.
pub(crate) struct Http1 {
    pub(super) own: Own,
    /// The request's head, and what else must go before the body's next piece.
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    /// Pieces of a body went or go behind the head.
    pub(super) is_behind_head: bool,
    /// It takes no more of the request; its answer may still come.
    is_deaf: bool,
    asked: Asked,
    answer: Answer,
    window: usize,
}

enum Answer {
    /// Its head has not come whole: this much of it has, after so many interim ones.
    Awaited {
        partial: Vec<u8>,
        interim: u8,
    },
    Flowing {
        framing: Framing,
        persists: bool,
    },
    /// The server's connection may carry another request.
    Over {
        persists: bool,
    },
    /// From here on it is another protocol; this came of it already.
    Switched(Vec<u8>),
}

impl Http1 {
    pub(super) fn new(own: Own, head: Head) -> Http1 {
        Http1 {
            own,
            out: head.bytes,
            sent: 0,
            is_behind_head: false,
            is_deaf: false,
            asked: head.asked,
            answer: Answer::Awaited {
                partial: Vec::new(),
                interim: 0,
            },
            window: FIRST_WINDOW,
        }
    }

    /// Writes what waits and then of `body` what fits; says how much of it was taken. `Ready(0)` with a body that is
    /// not empty cannot be: then it is `Pending`.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Poll<usize> {
        while !self.is_deaf {
            let waiting = &self.out[self.sent..];
            if waiting.is_empty() && body.is_empty() {
                let flushed = ready!(self.own.stream.poll_flush(cx));
                self.is_deaf = flushed.is_err();
                return Poll::Ready(0);
            }
            let pieces = [IoSlice::new(waiting), IoSlice::new(body)];
            let written = match (waiting.is_empty(), body.is_empty()) {
                (true, _) => self.own.stream.poll_write(cx, body),
                (_, true) => self.own.stream.poll_write(cx, waiting),
                _ => self.own.stream.poll_write_vectored(cx, &pieces),
            };
            match ready!(written) {
                Ok(written) => {
                    let own = written.min(waiting.len());
                    self.sent += own;
                    if written > own {
                        return Poll::Ready(written - own);
                    }
                }
                // it may have answered before it closed: the answer tells, or its absence does
                Err(_) => self.is_deaf = true,
            }
        }
        // nobody listens: the rest is for nobody
        Poll::Ready(body.len())
    }

    /// What waits before the body was written; more may be put into `out`.
    pub(super) fn is_clear(&self) -> bool {
        self.is_deaf || self.sent == self.out.len()
    }

    /// Not a byte of the request was taken.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent == 0
    }

    /// Reads once and passes on what came. `Ready` after each read.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        sink: &mut impl Sink,
    ) -> Poll<Result<usize, Failure>> {
        let window = self.window.min(scratch.len());
        let read = ready!(self.own.stream.poll_read(cx, &mut scratch[..window]));
        let read = read.map_err(|e| Failure::io(Stage::Request, Fault::Upstream, &e))?;
        self.resize(read);
        match read {
            0 => self.ended(sink)?,
            read => self.take(&scratch[..read], sink)?,
        }
        Poll::Ready(Ok(read))
    }

    /// The answer has begun: from here on the client cannot be told another.
    pub(super) fn has_answered(&self) -> bool {
        !matches!(self.answer, Answer::Awaited { .. })
    }

    /// Not a byte of an answer came.
    pub(super) fn is_silent(&self) -> bool {
        matches!(&self.answer, Answer::Awaited { partial, interim: 0 } if partial.is_empty())
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.answer, Answer::Over { .. } | Answer::Switched(_))
    }

    /// What becomes of the connection.
    pub(super) fn after(self) -> After {
        match self.answer {
            Answer::Switched(early) => After::Switched(self.own, early),
            Answer::Over { persists: true } if !self.is_deaf && self.sent == self.out.len() => After::Rests(self.own),
            _ => After::Nothing,
        }
    }

    fn take(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Failure> {
        match &mut self.answer {
            Answer::Awaited { partial, .. } if partial.is_empty() => self.take_heads(bytes, sink),
            Answer::Awaited { partial, .. } => {
                partial.extend_from_slice(bytes);
                let whole = std::mem::take(partial);
                self.take_heads(&whole, sink)
            }
            Answer::Flowing { .. } => self.take_body(bytes, sink),
            // what nobody asked for
            Answer::Over { persists } => {
                *persists = false;
                Ok(())
            }
            Answer::Switched(early) => {
                early.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn take_heads(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), Failure> {
        loop {
            let mut fields = [NO_FIELD; MAX_FIELDS];
            let Some(head) = http1::response(bytes, &mut fields, self.asked).map_err(bad)? else {
                self.keep(bytes);
                return Ok(());
            };
            let rest = &bytes[head.length..];
            match head.status {
                101 => {
                    sink.head(&head);
                    self.answer = Answer::Switched(rest.to_vec());
                    return Ok(());
                }
                ..200 => {
                    self.count_interim()?;
                    sink.interim(&head);
                }
                _ => {
                    sink.head(&head);
                    let (framing, persists) = (head.framing.clone(), head.persists);
                    self.answer = Answer::Flowing { framing, persists };
                    return self.take_body(rest, sink);
                }
            }
            bytes = rest;
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    fn count_interim(&mut self) -> Result<(), Failure> {
        if let Answer::Awaited { interim, .. } = &mut self.answer {
            *interim += 1;
            if *interim > MAX_INTERIM {
                return Err(wrong("too many interim answers"));
            }
        }
        Ok(())
    }

    /// The codec bounds what a head may come to.
    fn keep(&mut self, bytes: &[u8]) {
        if let Answer::Awaited { partial, .. } = &mut self.answer {
            *partial = bytes.to_vec();
        }
    }

    fn take_body(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), Failure> {
        let Answer::Flowing { framing, persists } = &mut self.answer else {
            return Ok(());
        };
        while !framing.is_done() && !bytes.is_empty() {
            let step = framing.step(bytes).map_err(bad)?;
            if !step.data.is_empty() {
                sink.data(&bytes[step.data]);
            }
            bytes = &bytes[step.consumed..];
        }
        if framing.is_done() {
            // what follows the end was not asked for: such a server is not asked again
            let persists = *persists && bytes.is_empty();
            end(framing, sink);
            self.answer = Answer::Over { persists };
        }
        Ok(())
    }

    /// The server closed.
    fn ended(&mut self, sink: &mut impl Sink) -> Result<(), Failure> {
        match &mut self.answer {
            Answer::Awaited { .. } => Err(wrong("closed before it answered")),
            Answer::Flowing { framing, .. } => {
                framing
                    .ended()
                    .map_err(|_| wrong("closed in the middle of its answer"))?;
                end(framing, sink);
                self.answer = Answer::Over { persists: false };
                Ok(())
            }
            Answer::Over { persists } => {
                *persists = false;
                Ok(())
            }
            Answer::Switched(_) => Ok(()),
        }
    }

    fn resize(&mut self, read: usize) {
        if read >= self.own.stream.full(self.window) {
            self.window = (self.window * 2).min(SCRATCH);
        } else if read < self.window / 8 {
            self.window = (self.window / 2).max(FIRST_WINDOW);
        }
    }
}

fn end(framing: &Framing, sink: &mut impl Sink) {
    sink.end(framing.trailers().into_iter().flat_map(|chunks| chunks.trailers()));
}

/// What the server said is not HTTP/1.1, or not only.
fn bad(bad: Bad) -> Failure {
    Failure::failed(Stage::Request, Fault::Upstream, format!("its answer: {bad}"))
}

fn wrong(what: &'static str) -> Failure {
    Failure::failed(Stage::Request, Fault::Upstream, what)
}
