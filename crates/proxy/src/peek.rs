//! The ClientHello, read once and whole, however it is cut; and a decent word to what is not TLS.
use crate::{
    core::Core,
    failure::{Failure, Stage},
    farewell,
    plan::Protocol,
    socket::Socket,
};
use portcullis_tls::failure::Fault;
use portcullis_wire::{
    Hello,
    client_hello::{self, HelloError, MAX_HELLO, Progress},
    postgres::{self, Opening},
    sniff::{Sniffed, sniff},
};
use std::{future::poll_fn, task::Poll};

/// What a connection may send before its hello is whole, record headers included. A byte more and an allocator
/// gives 20 KiB, and with the 5 of the connection itself the 24 KiB of DESIGN would be passed.
const MAX_BUFFER: usize = MAX_HELLO;

/// The buffer grows by at least so much, for clients that send byte by byte, and by no more than it must:
/// doubling would hold 32 KiB where 16 do.
const GROWTH: usize = 2 * 1024;

/// What was read.
pub(crate) struct Peeked {
    pub(crate) hello: Box<Hello>,
    /// Every byte of TLS read so far, for rustls to read again.
    pub(crate) bytes: Vec<u8>,
    /// In which protocol the client asked for TLS first.
    pub(crate) asked_in: Protocol,
}

/// Why no hello came.
pub(crate) enum NoHello {
    /// Closed before its first byte.
    Silent,
    Failed(Failure),
}

/// Reads the hello, and before it what the protocol has there. The caller holds the deadline.
pub(crate) async fn hello((core, socket): (&Core, &mut Socket), before: Protocol) -> Result<Peeked, NoHello> {
    let mut reading = Reading {
        core,
        socket,
        bytes: Vec::new(),
        has_begun: false,
    };
    let asked_in = match before {
        Protocol::Any => Protocol::Any,
        Protocol::Postgres => reading.postgres().await?,
    };
    loop {
        match client_hello::from_records(&reading.bytes) {
            Ok(Progress::Complete(hello)) => {
                return Ok(Peeked {
                    hello,
                    bytes: reading.bytes,
                    asked_in,
                });
            }
            Ok(Progress::Incomplete) if reading.bytes.len() < MAX_BUFFER => reading.more().await?,
            Ok(Progress::Incomplete) => return Err(reading.refuse(HelloError::TooLong).await),
            Err(error) => return Err(reading.refuse(error).await),
        }
    }
}

/// A connection's first bytes, as they come.
struct Reading<'a> {
    core: &'a Core,
    socket: &'a mut Socket,
    bytes: Vec<u8>,
    /// It has said something, if only before TLS.
    has_begun: bool,
}

impl Reading<'_> {
    /// Adds what comes next.
    async fn more(&mut self) -> Result<(), NoHello> {
        let Reading {
            core, socket, bytes, ..
        } = self;
        let read = poll_fn(|cx| {
            let mut result = Poll::Pending;
            let room = MAX_BUFFER - bytes.len();
            core.scratch(&mut |piece| {
                result = socket.poll_read(cx, &mut piece[..room]).map_ok(|n| {
                    keep(bytes, &piece[..n]);
                    n
                });
            });
            result
        });
        match (read.await, self.has_begun) {
            (Ok(0) | Err(_), false) => Err(NoHello::Silent),
            (Ok(0), true) => {
                let what = "closed in the middle of its hello";
                Err(NoHello::Failed(Failure::failed(Stage::Hello, Fault::Client, what)))
            }
            (Err(error), true) => Err(NoHello::Failed(Failure::io(Stage::Hello, Fault::Client, &error))),
            (Ok(_), _) => {
                self.has_begun = true;
                Ok(())
            }
        }
    }

    /// PostgreSQL's request for TLS, if the client makes one, and its answer. Nothing but TLS is let in.
    async fn postgres(&mut self) -> Result<Protocol, NoHello> {
        let mut gss_was_asked = false;
        loop {
            let alone = self.bytes.len() == postgres::REQUEST_LEN;
            match postgres::opening(&self.bytes) {
                Opening::Unsure => self.more().await?,
                // what is neither is refused as on any other port
                Opening::Tls | Opening::Other => return Ok(Protocol::Any),
                Opening::SslRequest if alone => {
                    self.answer(postgres::YES).await?;
                    return Ok(Protocol::Postgres);
                }
                Opening::GssRequest if alone && !gss_was_asked => {
                    self.answer(postgres::NO).await?;
                    gss_was_asked = true;
                }
                Opening::SslRequest | Opening::GssRequest => {
                    return Err(not_tls("more than a postgresql request for tls before its answer"));
                }
                // a client waits for no answer to it
                Opening::Cancel => return Err(not_tls("a postgresql cancel request in the clear")),
                Opening::Startup => {
                    // invalid_authorization_specification, as PostgreSQL's own server where it takes TLS only
                    let words = postgres::fatal(
                        "28000",
                        "this server takes connections over TLS only: use sslmode=require or better",
                    );
                    farewell::say(&self.core.wheel, self.socket, &words).await;
                    return Err(not_tls("a postgresql session in the clear"));
                }
            }
        }
    }

    /// Answers what was asked in the clear, which is then forgotten.
    async fn answer(&mut self, mut words: &[u8]) -> Result<(), NoHello> {
        self.bytes.clear();
        while !words.is_empty() {
            let wrote = poll_fn(|cx| self.socket.poll_write(cx, words)).await;
            let wrote = wrote.map_err(|error| NoHello::Failed(Failure::io(Stage::Hello, Fault::Client, &error)))?;
            words = &words[wrote..];
        }
        Ok(())
    }

    /// Says why not, as far as the peer's own protocol allows.
    async fn refuse(&mut self, error: HelloError) -> NoHello {
        let what = match sniff(&self.bytes) {
            Sniffed::Tls => {
                let alert = error.alert();
                farewell::say(&self.core.wheel, self.socket, &alert.fatal_record()).await;
                let failure = Failure::failed(Stage::Hello, Fault::Client, error.to_string());
                return NoHello::Failed(failure.answering(alert));
            }
            Sniffed::Http1 => {
                farewell::say(&self.core.wheel, self.socket, HTTP_400.as_bytes()).await;
                "a plain http request on a tls port"
            }
            Sniffed::Http2 => "a plain http/2 preface on a tls port",
            Sniffed::PostgresTls => "a postgresql request for tls, and no site here has protocol = \"postgres\"",
            Sniffed::Unsure | Sniffed::Other => "not tls",
        };
        not_tls(what)
    }
}

fn not_tls(what: &'static str) -> NoHello {
    NoHello::Failed(Failure::refused(Stage::Hello, Fault::Client, what))
}

/// Adds a piece that fits; the buffer never takes more than it may hold.
fn keep(bytes: &mut Vec<u8>, piece: &[u8]) {
    if bytes.capacity() - bytes.len() < piece.len() {
        let room = MAX_BUFFER - bytes.len();
        bytes.reserve_exact(piece.len().max(GROWTH).min(room));
    }
    bytes.extend_from_slice(piece);
}

const HTTP_400: &str = "HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 77\r\n\
    Connection: close\r\n\
    \r\n\
    this port speaks TLS, and a plain HTTP request came: use https:// instead\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_never_takes_more_than_it_may_hold_however_a_hello_comes() {
        for step in [1, 7, 274, 1460, 2047, 2049, 5000, 16_000, MAX_BUFFER] {
            let mut bytes = Vec::new();
            while bytes.len() < MAX_BUFFER {
                let next = step.min(MAX_BUFFER - bytes.len());
                keep(&mut bytes, &vec![7; next]);
                assert!(
                    bytes.capacity() <= MAX_BUFFER,
                    "{} after steps of {step}",
                    bytes.capacity()
                );
            }
        }
    }

    #[test]
    fn the_400_states_its_own_length() {
        let (head, body) = HTTP_400.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{}",
            body.len()
        );
    }
}
