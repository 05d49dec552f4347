//! A client's connection that speaks HTTP/1.1: request after request, until one of us has enough.
use super::{
    asking::{Asking, Forward, Understood, Way},
    client::Client,
    exchange::{Broken, Exchange, Upload},
    origin::Origin,
    passing::Passing,
    pool::Lease,
    quiet::Resting,
    reply::Reply,
    tunnel,
    visit::Visit,
};
use crate::{
    failure::{Failure, Stage},
    farewell,
    relay::Downstream,
};
use portcullis_tls::failure::Fault;
use portcullis_wire::http1::{Awaited, Framing};
use std::{
    future::poll_fn,
    io::IoSlice,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// Serves requests until the connection ends.
pub(crate) async fn serve(client: Client, visit: &Rc<Visit>) -> Result<(), Failure> {
    let mut connection = Connection { client, visit };
    loop {
        match connection.next().await? {
            Next::Request(asking) => {
                // on the heap, so that a connection between requests holds no room for one
                match Box::pin(connection.request(*asking)).await? {
                    After::Next => {}
                    After::Close => return connection.close().await,
                    After::Switched(up) => return tunnel::run(connection.client, *up, visit).await,
                }
            }
            Next::Refused(reply, failure) => {
                connection.put(&reply, Closing::Yes);
                connection.close().await?;
                return Err(*failure);
            }
            Next::Ended => return Ok(()),
        }
    }
}

struct Connection<'a> {
    client: Client,
    visit: &'a Rc<Visit>,
}

/// What a client comes up with.
enum Next {
    Request(Box<Asking>),
    /// What is no request, or none in time.
    Refused(Reply, Box<Failure>),
    /// It closed, or said nothing for too long, between two requests.
    Ended,
}

/// What follows a request.
enum After {
    Next,
    Close,
    /// Both ends speak another protocol.
    Switched(Box<Switched>),
}

/// A server that goes on in another protocol, and what it said of it already.
pub(crate) struct Switched {
    pub(crate) up: Lease,
    pub(crate) early: Vec<u8>,
}

/// Whether an answer is the last of its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Yes,
    No,
}

/// What reading came to.
enum Filled {
    Some,
    End,
    /// The proxy would have this connection end, and it is between two requests.
    Unwanted,
    Failed(Failure),
}

impl Connection<'_> {
    /// The next request, as soon as its head is whole.
    async fn next(&mut self) -> Result<Next, Failure> {
        let limits = &self.visit.http.limits;
        let mut awaited = Awaited::default();
        let mut began = (!self.client.inbox.is_empty()).then(Instant::now);
        loop {
            if awaited.may_be_whole(self.client.inbox.bytes()) {
                match self.visit.understand(self.client.inbox.bytes()) {
                    Ok(Understood::Whole(asking)) => return Ok(Next::Request(asking)),
                    Ok(Understood::Partial) => {}
                    Err(bad) => return Ok(refused(Reply::error(bad.status()), bad.to_string())),
                }
            }
            let deadline = match began {
                Some(began) => limits.head.map(|limit| began + limit),
                None => limits.idle.map(|limit| Instant::now() + limit),
            };
            let filled = self.visit.core.wheel.within(deadline, self.fill(began.is_none())).await;
            match (filled, began) {
                (Some(Filled::Some), _) => began = began.or_else(|| Some(Instant::now())),
                (None | Some(Filled::End | Filled::Unwanted | Filled::Failed(_)), None) => return Ok(Next::Ended),
                (None, Some(_)) => return Ok(refused(Reply::error(408), "the head of its request comes too slowly")),
                (Some(Filled::Failed(failure)), Some(_)) => return Err(failure),
                (Some(Filled::End | Filled::Unwanted), Some(_)) => return Err(left()),
            }
        }
    }

    /// Reads once. At rest, it also ends when the proxy would have it end.
    async fn fill(&mut self, is_resting: bool) -> Filled {
        let (client, visit) = (&mut self.client, self.visit);
        let mut resting = is_resting.then(|| {
            client.rest();
            Resting::new(&visit.core.quiet)
        });
        poll_fn(|cx| {
            if let Some(resting) = &mut resting
                && resting.poll(cx)
                && !visit.is_wanted()
            {
                return Poll::Ready(Filled::Unwanted);
            }
            lent(visit, |scratch| client.poll_fill(cx, scratch)).map(|filled| match filled {
                Ok(0) => Filled::End,
                Ok(_) => Filled::Some,
                Err(failure) => Filled::Failed(failure),
            })
        })
        .await
    }

    async fn request(&mut self, asking: Asking) -> Result<After, Failure> {
        self.client.inbox.consume(asking.length);
        let Asking { way, mut record, .. } = asking;
        unimplemented!()
    }

    /// Hands over an answer of our own.
    fn put(&mut self, reply: &Reply, closing: Closing) {
        let mut out = Vec::with_capacity(512);
        reply.write(&mut out, closing == Closing::Yes);
        self.client.put(&[IoSlice::new(&out)]);
    }

    /// Ends the connection so that what was said last arrives.
    async fn close(&mut self) -> Result<(), Failure> {
        self.client.close();
        poll_fn(|cx| self.client.poll_flush(cx)).await?;
        farewell::say(&self.visit.core.wheel, self.client.socket(), &[]).await;
        Ok(())
    }
}
