//! A stream of HTTP/2: its request, and its answer piece by piece, as far as its client has room.
use super::{
    connect,
    h2io::Broken,
    sent::{Inward, Sent, length},
    streamed::Answered,
    streams::{Begun, Interims, begin},
    visit::Visit,
};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use hyper::{
    Request, Response,
    body::{Body, Frame},
};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Decides about a request, and answers it on the connection's own core. What that holds is small: it is moved.
pub(super) fn serve((request, mut respond): (Request<RecvStream>, SendResponse<Bytes>), visit: &Rc<Visit>) {
    let Ok(length) = length(request.headers()) else {
        return respond.send_reset(Reason::PROTOCOL_ERROR);
    };
    let interims = Interims::default();
    let request = request.map(|stream| Sent::Http2(Inward::new(stream, length)));
    let begun = begin(request, visit, &interims);
    // it ends with its stream, its limits, or the runtime at the end of a drain
    tokio::task::spawn_local(answer((begun, interims), respond, visit.clone()));
}

/// What is dropped unfinished is reset by the library.
async fn answer((begun, interims): (Begun, Interims), mut respond: SendResponse<Bytes>, visit: Rc<Visit>) {
    let Some(response) = answered(begun, &interims, &mut respond).await else {
        return;
    };
    visit.answered.set(visit.answered.get() + 1);
    let (head, body) = response.into_parts();
    let is_over = body.is_end_stream();
    match (respond.send_response(Response::from_parts(head, ()), is_over), body) {
        (Ok(out), Answered::Switched(crossed)) => connect::run(out, *crossed, visit).await,
        (Ok(out), body) if !is_over => flow(out, body).await,
        (Ok(_), _) => {}
        (Err(_), Answered::Switched(crossed)) => crossed.never(),
        (Err(_), _) => respond.send_reset(Reason::INTERNAL_ERROR),
    }
}

async fn flow(out: SendStream<Bytes>, body: Answered) {
    let mut outward = Outward { out, body, piece: None };
    if let Some(reason) = poll_fn(|cx| outward.poll(cx)).await {
        outward.out.send_reset(reason);
    }
}

/// The answer, interim answers first. None: its client does not wait for it any more.
async fn answered(begun: Begun, interims: &Interims, respond: &mut SendResponse<Bytes>) -> Option<Response<Answered>> {
    let mut answered = pin!(begun.answered());
    poll_fn(|cx| {
        let answer = answered.as_mut().poll(cx);
        while let Some(interim) = interims.pop() {
            if respond.send_informational(interim).is_err() {
                return Poll::Ready(None);
            }
        }
        match answer {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        }
    })
    .await
}

/// The body of an answer on its way.
struct Outward {
    out: SendStream<Bytes>,
    body: Answered,
    /// What there is no room for yet, and whether it is the last.
    piece: Option<(Bytes, bool)>,
}

impl Outward {
    /// Ready when it is over; with a reason where it must not look complete.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reason>> {
        loop {
            // it also wakes this when its client gives the stream up
            if self.out.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            if let Some((piece, is_last)) = self.piece.take() {
                match self.poll_room(cx) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => return Poll::Ready(None),
                    Poll::Pending => {
                        self.piece = Some((piece, is_last));
                        return Poll::Pending;
                    }
                }
                if self.out.send_data(piece, is_last).is_err() || is_last {
                    return Poll::Ready(None);
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(over) = self.take(frame) {
                        return Poll::Ready(over);
                    }
                }
                Some(Err(broken)) => return Poll::Ready(Some(reason(&broken))),
                None => {
                    // it may be gone meanwhile
                    let _ = self.out.send_data(Bytes::new(), true);
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Room for one byte is room for a piece: the library keeps what is beyond, and the next piece waits for it.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.out.capacity() == 0 {
            match ready!(self.out.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }

    /// Data that waits for room, or the trailers, which are the end.
    fn take(&mut self, frame: Frame<Bytes>) -> Option<Option<Reason>> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                // no more than that: what is reserved is not for other streams
                self.out.reserve_capacity(1);
                self.piece = Some((data, self.body.is_end_stream()));
            }
            Err(frame) => {
                self.out.reserve_capacity(0);
                // it may be gone meanwhile
                let _ = self.out.send_trailers(frame.into_trailers().unwrap_or_default());
                return Some(None);
            }
        }
        None
    }
}

/// Why an answer breaks off: in the words of a server of HTTP/2, where it is one.
fn reason(broken: &Broken) -> Reason {
    let theirs = broken.1.as_ref().and_then(h2::Error::reason);
    theirs.unwrap_or(Reason::INTERNAL_ERROR)
}
