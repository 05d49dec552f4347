//! What hyper also accepts, it must read as we do: as many requests, for the same things, with the same bodies.
#![no_main]
use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming, rt, server::conn::http1, service::service_fn};
use libfuzzer_sys::fuzz_target;
use portcullis_wire::http1::{Bad, MAX_FIELDS, NO_FIELD, Target, request};

#[derive(PartialEq, Eq, Debug)]
struct Heard {
    method: String,
    path: String,
    query: Option<String>,
    body: Vec<u8>,
}

/// What follows the requests that we read.
enum End {
    /// No request.
    Known,
    /// What its server makes of it: the last one asks for another protocol.
    Open,
}

fuzz_target!(|data: &[u8]| {
    let mut ours = Vec::new();
    let end = read(data, &mut ours);
    let (theirs, is_good) = hyper(data);
    let both = ours.len().min(theirs.len());
    assert_eq!(ours[..both], theirs[..both]);
    // hyper may stop before us only where it refuses, and go on only where we refuse or cannot know.
    assert!(
        theirs.len() >= ours.len() || !is_good,
        "hyper misses {:?}",
        &ours[both..]
    );
    assert!(
        theirs.len() <= ours.len() || !matches!(end, Ok(End::Known)),
        "hyper also hears {:?}",
        &theirs[both..]
    );
});

fn read(mut data: &[u8], heard: &mut Vec<Heard>) -> Result<End, Bad> {
    loop {
        let mut fields = [NO_FIELD; MAX_FIELDS];
        let Some(mut head) = request(data, &mut fields)? else {
            return Ok(End::Known);
        };
        data = &data[head.length..];
        let mut body = Vec::new();
        while !head.framing.is_done() && !data.is_empty() {
            let step = head.framing.step(data)?;
            body.extend_from_slice(&data[step.data]);
            data = &data[step.consumed..];
        }
        if !head.framing.is_done() {
            return Ok(End::Known);
        }
        let (path, query) = match head.target {
            Target::Asterisk => ("*", None),
            Target::Origin { path, query } => (path, query),
        };
        heard.push(Heard {
            method: head.method.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            body,
        });
        if head.upgrade.is_some() {
            return Ok(End::Open);
        }
        if !head.persists {
            return Ok(End::Known);
        }
    }
}

/// What a service behind hyper is given, and whether hyper was content with all of it.
fn hyper(data: &[u8]) -> (Vec<Heard>, bool) {
    let heard = RefCell::new(Vec::new());
    let is_content = Cell::new(true);
    let service = service_fn(async |asked: Request<Incoming>| {
        let (head, body) = asked.into_parts();
        match body.collect().await {
            Ok(body) => heard.borrow_mut().push(Heard {
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                query: head.uri.query().map(str::to_owned),
                body: body.to_bytes().to_vec(),
            }),
            // more trailers than it takes, for one: the connection then ends as if nothing had been wrong
            Err(_) => is_content.set(false),
        }
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(All(data), service));
    let mut context = Context::from_waker(Waker::noop());
    // All bytes are there, so hyper waits for nobody but itself.
    for _ in 0..100_000 {
        if let Poll::Ready(end) = connection.as_mut().poll(&mut context) {
            return (heard.take(), end.is_ok() && is_content.get());
        }
    }
    panic!("hyper waits for what is there");
}

/// A connection that brings these bytes, then closes, and takes whatever is written.
struct All<'a>(&'a [u8]);

impl rt::Read for All<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, rest) = self.0.split_at(self.0.len().min(into.remaining()));
        into.put_slice(now);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for All<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
