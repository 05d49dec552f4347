//! The ClientHello, read once and whole, however it is cut; and a decent word to what is not TLS.
use crate::{
    core::Core,
    failure::{Failure, Stage},
    farewell,
    socket::Socket,
};
use portcullis_tls::failure::Fault;
use portcullis_wire::{
    Hello,
    client_hello::{self, HelloError, MAX_HELLO, Progress},
    sniff::{Sniffed, sniff},
};
use std::{future::poll_fn, io, task::Poll};

/// What a connection may send before its hello is whole, record headers included. A byte more and an allocator
/// gives 20 KiB, and with the 5 of the connection itself the 24 KiB of DESIGN would be passed.
const MAX_BUFFER: usize = MAX_HELLO;

/// The buffer grows by at least so much, for clients that send byte by byte, and by no more than it must:
/// doubling would hold 32 KiB where 16 do.
const GROWTH: usize = 2 * 1024;

/// What was read.
pub(crate) struct Peeked {
    pub(crate) hello: Box<Hello>,
    /// Every byte read so far, for rustls to read again.
    pub(crate) bytes: Vec<u8>,
}

/// Why no hello came.
pub(crate) enum NoHello {
    /// Closed before its first byte.
    Silent,
    Failed(Failure),
}

/// Reads the hello. The caller holds the deadline.
pub(crate) async fn hello(core: &Core, socket: &mut Socket) -> Result<Peeked, NoHello> {
    let mut bytes = Vec::new();
    loop {
        let read = poll_fn(|cx| {
            let mut result = Poll::Pending;
            let room = MAX_BUFFER - bytes.len();
            core.scratch(&mut |piece| {
                result = socket.poll_read(cx, &mut piece[..room]).map_ok(|n| {
                    keep(&mut bytes, &piece[..n]);
                    n
                });
            });
            result
        });
        let read = read.await.map_err(|e| unreadable(bytes.is_empty(), &e))?;
        if read == 0 {
            return Err(closed(&bytes));
        }
        match client_hello::from_records(&bytes) {
            Ok(Progress::Complete(hello)) => return Ok(Peeked { hello, bytes }),
            Ok(Progress::Incomplete) if bytes.len() < MAX_BUFFER => {}
            Ok(Progress::Incomplete) => return Err(refuse(core, socket, &bytes, HelloError::TooLong).await),
            Err(error) => return Err(refuse(core, socket, &bytes, error).await),
        }
    }
}

/// Adds a piece that fits; the buffer never takes more than it may hold.
fn keep(bytes: &mut Vec<u8>, piece: &[u8]) {
    if bytes.capacity() - bytes.len() < piece.len() {
        let room = MAX_BUFFER - bytes.len();
        bytes.reserve_exact(piece.len().max(GROWTH).min(room));
    }
    bytes.extend_from_slice(piece);
}

fn closed(bytes: &[u8]) -> NoHello {
    if bytes.is_empty() {
        return NoHello::Silent;
    }
    NoHello::Failed(Failure::failed(
        Stage::Hello,
        Fault::Client,
        "closed in the middle of its hello",
    ))
}

fn unreadable(nothing_yet: bool, error: &io::Error) -> NoHello {
    if nothing_yet {
        return NoHello::Silent;
    }
    NoHello::Failed(Failure::io(Stage::Hello, Fault::Client, error))
}

/// Says why not, as far as the peer's own protocol allows.
async fn refuse(core: &Core, socket: &mut Socket, bytes: &[u8], error: HelloError) -> NoHello {
    let what = match sniff(bytes) {
        Sniffed::Tls => {
            let alert = error.alert();
            farewell::say(&core.wheel, socket, &alert.fatal_record()).await;
            let failure = Failure::failed(Stage::Hello, Fault::Client, error.to_string());
            return NoHello::Failed(failure.answering(alert));
        }
        Sniffed::Http1 => {
            farewell::say(&core.wheel, socket, HTTP_400.as_bytes()).await;
            "a plain http request on a tls port"
        }
        Sniffed::Http2 => "a plain http/2 preface on a tls port",
        Sniffed::PostgresTls => "a postgresql request for tls: not in this version",
        Sniffed::Unsure | Sniffed::Other => "not tls",
    };
    NoHello::Failed(Failure::refused(Stage::Hello, Fault::Client, what))
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
