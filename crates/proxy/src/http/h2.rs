//! A client's connection that speaks HTTP/2: the library has the frames, we have the requests.
use super::{
    client::Client,
    h2io::{Io, Told},
    h2stream, limits,
    quiet::Resting,
    visit::Visit,
    watch::Watch,
};
use crate::failure::{Failure, Stage};
use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake};
use portcullis_tls::failure::Fault;
use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Serves streams until the connection ends.
pub(crate) async fn serve(client: Client, visit: &Rc<Visit>) -> Result<(), Failure> {
    let mut io = Io::new(client, visit);
    let (failure, told) = match drive(&mut io, visit).await {
        Ok(()) => return Ok(()),
        Err(Ended::Watched(failure)) => (failure, Told::No),
        // the library forgets what it was told by the connection
        Err(Ended::Library(error)) => match io.failure.take() {
            Some(failure) => (failure, Told::No),
            None => (said(&error), Told::Yes),
        },
    };
    io.cut(told).await;
    Err(failure)
}

/// How a connection ended badly.
enum Ended {
    /// Its client was idle for too long, or took too little.
    Watched(Failure),
    /// The library says so.
    Library(h2::Error),
}

/// Lets the library serve, and watches over it.
async fn drive(io: &mut Io, visit: &Rc<Visit>) -> Result<(), Ended> {
    let mut serving = Serving {
        state: State::Begins(handshake(io, visit)),
        visit,
        is_leaving: false,
    };
    let mut resting = Resting::new(&visit.core);
    let mut watch = Watch::new(visit);
    let mut is_parting = false;
    poll_fn(|cx| {
        if resting.poll(cx) && !visit.is_wanted() {
            serving.leave();
        }
        if let Poll::Ready(over) = serving.poll(cx) {
            return Poll::Ready(over.map_err(Ended::Library));
        }
        if visit.is_turned_away && visit.answered.get() > 0 && !is_parting {
            is_parting = true;
            serving.leave();
            cx.waker().wake_by_ref();
        }
        match watch.poll(cx) {
            Poll::Pending => Poll::Pending,
            // it was told good-bye, and takes nothing
            Poll::Ready(Ok(())) if is_parting => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => {
                is_parting = true;
                serving.leave();
                serving.poll(cx).map_err(Ended::Library)
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Err(Ended::Watched(failure))),
        }
    })
    .await
}

fn handshake<'a>(io: &'a mut Io, visit: &Visit) -> Handshake<&'a mut Io, Bytes> {
    let limits = &visit.http.limits;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .initial_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_send_buffer_size(limits::SEND_BUFFER)
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits::PENDING_RESETS)
        .max_local_error_reset_streams(Some(limits::OUR_RESETS));
    if visit.takes_upgrades() {
        builder.enable_connect_protocol();
    }
    builder.handshake(io)
}

/// A connection, and its streams as they come.
struct Serving<'a> {
    state: State<'a>,
    visit: &'a Rc<Visit>,
    is_leaving: bool,
}

enum State<'a> {
    Begins(Handshake<&'a mut Io, Bytes>),
    Serves(Connection<&'a mut Io, Bytes>),
}

impl Serving<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.state {
                State::Begins(handshake) => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    if self.is_leaving {
                        connection.graceful_shutdown();
                    }
                    self.state = State::Serves(connection);
                }
                State::Serves(connection) => match ready!(connection.poll_accept(cx)) {
                    Some(stream) => h2stream::serve(stream?, self.visit),
                    None => return Poll::Ready(Ok(())),
                },
            }
        }
    }

    /// No more streams than are under way.
    fn leave(&mut self) {
        self.is_leaving = true;
        if let State::Serves(connection) = &mut self.state {
            connection.graceful_shutdown();
        }
    }
}

/// What the library says of a connection's end.
fn said(error: &h2::Error) -> Failure {
    Failure::failed(Stage::Request, Fault::Client, format!("HTTP/2: {error}"))
}
