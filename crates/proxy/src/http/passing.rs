//! An answer on its way to a client that speaks HTTP/1.1 or 1.0.
use super::{asking::Forward, client::Client, origin::Sink, reply::Manner};
use portcullis_wire::http1::{Field, Framing, ResponseHead, Version, write};
use std::io::IoSlice;

/// How an answer is passed on, and how far it is.
pub(crate) struct Passing {
    /// What is written with the next piece.
    line: Vec<u8>,
    /// HTTP/1.0 knows no chunks and no interim answers.
    version: Version,
    /// The client's connection may carry another request.
    pub(crate) persists: bool,
    is_chunked: bool,
    /// Of the answer's head, once it came.
    pub(crate) status: u16,
    pub(crate) body_out: u64,
}

/// Both, and the rules for the answer, for the time of a read.
pub(crate) struct ToClient<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) passing: &'a mut Passing,
    pub(crate) forward: &'a Forward,
}

impl Passing {
    pub(crate) fn new(line: Vec<u8>, version: Version, persists: bool) -> Passing {
        Passing {
            line,
            version,
            persists,
            is_chunked: false,
            status: 0,
            body_out: 0,
        }
    }

    fn is_old(&self) -> bool {
        self.version == Version::Http10
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

    fn status_line(&mut self, head: &ResponseHead<'_>) {
        let line = &mut self.passing.line;
        if head.reason.is_empty() {
            return write::status_line(line, head.status);
        }
        line.extend_from_slice(b"HTTP/1.1 ");
        write::decimal(line, u64::from(head.status));
        line.push(b' ');
        line.extend_from_slice(head.reason.as_bytes());
        line.extend_from_slice(write::CRLF);
    }
}

impl Sink for ToClient<'_> {
    fn interim(&mut self, head: &ResponseHead<'_>) {
        if self.passing.is_old() {
            return;
        }
        self.status_line(head);
        let line = &mut self.passing.line;
        self.forward
            .interim_fields(head, |name, value| write::field(line, name, value));
        line.extend_from_slice(write::CRLF);
    }

    fn head(&mut self, head: &ResponseHead<'_>) {
        self.status_line(head);
        let Passing { line, .. } = &mut *self.passing;
        self.forward
            .answer_fields(head, |name, value| write::field(line, name, value));
        self.passing.status = head.status;
        if head.status == 101 {
            let protocol = head
                .fields
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case("upgrade"));
            write::field(&mut self.passing.line, "connection", b"upgrade");
            write::field(
                &mut self.passing.line,
                "upgrade",
                protocol.map_or(b"", |protocol| protocol.value),
            );
        } else {
            let is_open = matches!(head.framing, Framing::Chunked(_) | Framing::UntilClose);
            self.passing.is_chunked = is_open && !self.passing.is_old();
            // without chunks only the close can end it
            self.passing.persists &= !is_open || self.passing.is_chunked;
            if self.passing.is_chunked {
                write::field(&mut self.passing.line, "transfer-encoding", b"chunked");
            } else if head.framing == Framing::Length(0) && !has_length(head) {
                // HTTP/2 may leave it out
                write::field(&mut self.passing.line, "content-length", b"0");
            }
            let manner = Manner::of(self.passing.persists, self.passing.version);
            manner.write(&mut self.passing.line);
        }
        self.passing.line.extend_from_slice(write::CRLF);
    }

    fn data(&mut self, bytes: &[u8]) {
        self.passing.body_out += bytes.len() as u64;
        let line = &mut self.passing.line;
        if self.passing.is_chunked {
            // gathered, so that a read's many chunks leave in few records
            write::chunk_size(line, bytes.len());
            line.extend_from_slice(bytes);
            line.extend_from_slice(write::CRLF);
        } else {
            // with what is gathered, so that a head and its body leave in one record
            self.client.put(&[IoSlice::new(line), IoSlice::new(bytes)]);
            line.clear();
        }
    }

    fn end<'t>(&mut self, trailers: impl Iterator<Item = Field<'t>>) {
        if self.passing.is_chunked {
            write::last_chunk(&mut self.passing.line, trailers);
        }
    }
}

fn has_length(head: &ResponseHead<'_>) -> bool {
    let mut fields = head.fields.iter();
    fields.any(|field| field.name.eq_ignore_ascii_case("content-length"))
}
