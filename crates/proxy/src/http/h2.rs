//! A client's connection that speaks HTTP/2: hyper has the frames, we have the requests.
use super::{
    client::Client,
    h2io::{Io, Told},
    limits,
    quiet::Resting,
    sent::Sent,
    streams::{Interims, begin},
    visit::Visit,
    watch::Watch,
};
use crate::failure::{Failure, Stage};
use hyper::{Request, body::Incoming, rt::Executor, server::conn::http2::Builder, service::service_fn};
use portcullis_tls::failure::Fault;
use std::{convert::Infallible, error::Error, future::poll_fn, pin::pin, rc::Rc, task::Poll};

/// Serves streams until the connection ends.
pub(crate) async fn serve(client: Client, visit: &Rc<Visit>) -> Result<(), Failure> {
    let limits = &visit.http.limits;
    let mut http = Builder::new(Here);
    http.max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_send_buf_size(limits::SEND_BUFFER)
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits::PENDING_RESETS)
        .max_local_error_reset_streams(limits::OUR_RESETS)
        .auto_date_header(false);
    if visit.takes_upgrades() {
        http.enable_connect_protocol();
    }
    let mut io = Io::new(client, visit);
    let (failure, told) = match drive(http, &mut io, visit).await {
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
    /// hyper says so.
    Library(hyper::Error),
}

/// Lets hyper serve, and watches over it.
async fn drive(http: Builder<Here>, io: &mut Io, visit: &Rc<Visit>) -> Result<(), Ended> {
    let service = service_fn(|request: Request<Incoming>| {
        let begun = begin(request.map(Sent::Http2), visit, &Interims::default());
        let visit = visit.clone();
        async move {
            let response = begun.answered().await;
            visit.answered.set(visit.answered.get() + 1);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(http.serve_connection(io, service));
    let mut resting = Resting::new(&visit.core);
    let mut watch = Watch::new(visit);
    let mut is_parting = false;
    poll_fn(|cx| {
        if resting.poll(cx) && !visit.is_wanted() {
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(over) = connection.as_mut().poll(cx) {
            return Poll::Ready(over.map_err(Ended::Library));
        }
        if visit.is_turned_away && visit.answered.get() > 0 && !is_parting {
            is_parting = true;
            connection.as_mut().graceful_shutdown();
            cx.waker().wake_by_ref();
        }
        match watch.poll(cx) {
            Poll::Pending => Poll::Pending,
            // it was told good-bye, and takes nothing
            Poll::Ready(Ok(())) if is_parting => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => {
                is_parting = true;
                connection.as_mut().graceful_shutdown();
                connection.as_mut().poll(cx).map_err(Ended::Library)
            }
            Poll::Ready(Err(failure)) => Poll::Ready(Err(Ended::Watched(failure))),
        }
    })
    .await
}

/// Streams run on the connection's own core.
#[derive(Clone)]
struct Here;

impl<F: Future<Output = ()> + 'static> Executor<F> for Here {
    fn execute(&self, stream: F) {
        // it ends with its stream, its limits, or the runtime at the end of a drain
        tokio::task::spawn_local(stream);
    }
}

/// What hyper says of a connection's end: the innermost of its errors names the reason.
fn said(error: &hyper::Error) -> Failure {
    let mut innermost: &dyn Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    Failure::failed(Stage::Request, Fault::Client, format!("HTTP/2: {innermost}"))
}
