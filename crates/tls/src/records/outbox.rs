//! Sealed records on their way to a socket.
use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
};

/// Records that one write takes at most: 1 MiB, more than a socket does.
const AT_ONCE: usize = 64;
/// Places that a quiet connection may keep.
const KEPT: usize = 4;

/// A queue of records, of which the first may have gone in part.
#[derive(Default)]
pub(super) struct Outbox {
    records: VecDeque<Vec<u8>>,
    written: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, record: Vec<u8>) {
        if !record.is_empty() {
            self.records.push_back(record);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Writes once.
    pub(super) fn write_to(&mut self, writer: &mut impl Write) -> io::Result<usize> {
        let mut pieces = [IoSlice::new(&[]); AT_ONCE];
        let mut count = 0;
        for (piece, record) in pieces.iter_mut().zip(&self.records) {
            let begin = if count == 0 { self.written } else { 0 };
            *piece = IoSlice::new(&record[begin..]);
            count += 1;
        }
        let written = match &pieces[..count] {
            [] => return Ok(0),
            pieces => writer.write_vectored(pieces)?,
        };
        self.consume(written);
        Ok(written)
    }

    fn consume(&mut self, count: usize) {
        self.written += count;
        while let Some(first) = self.records.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.records.pop_front();
        }
        if self.records.is_empty() && self.records.capacity() > KEPT {
            self.records = VecDeque::new();
        }
    }
}
