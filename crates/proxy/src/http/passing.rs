//! An answer on its way to a client that speaks HTTP/1.1 or 1.0.
use super::{client::Client, origin::Sink};
use portcullis_wire::http1::{Framing, ResponseHead, is_hop_by_hop, write};
use std::io::IoSlice;

/// How an answer is passed on, and how far it is.
pub(crate) struct Passing {
    /// What is written with the next piece.
    line: Vec<u8>,
    /// The client speaks HTTP/1.0: no chunks, no interim answers.
    is_old: bool,
    /// The client's connection may carry another request.
    pub(crate) persists: bool,
    is_chunked: bool,
    /// Of the answer's head, once it came.
    pub(crate) status: Option<u16>,
    pub(crate) body_out: u64,
}

/// Both, for the time of a read.
pub(crate) struct ToClient<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) passing: &'a mut Passing,
}

impl Passing {
    pub(crate) fn new(line: Vec<u8>, is_old: bool, persists: bool) -> Passing {
        Passing { line, is_old, persists, is_chunked: false, status: None, body_out: 0 }
    }

    /// The buffer, for the next.
    pub(crate) fn into_line(self) -> Vec<u8> {
        self.line
    }
}

impl ToClient<'_> {
    /// Hands over what was gathered; at the end of each read.
    pub(crate) fn hand_over(&mut self) {
        if !self.passing.line.is_empty() {
            self.client.put(&[IoSlice::new(&self.passing.line)]);
            self.passing.line.clear();
        }
    }
}
