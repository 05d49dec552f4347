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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes no more than so much at once, across pieces.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }
        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            let taken = all.len().min(self.1);
            self.0.extend_from_slice(&all[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_byte_goes_once_however_little_a_writer_takes() {
        for room in [1, 2, 3, 7, 100, 100_000] {
            let (mut outbox, mut writer) = (Outbox::default(), Narrow(Vec::new(), room));
            let records: Vec<Vec<u8>> = (0..200_u8).map(|i| vec![i; usize::from(i % 9)]).collect();
            for record in &records {
                outbox.push(record.clone());
            }
            while !outbox.is_empty() {
                assert!(outbox.write_to(&mut writer).unwrap() > 0);
            }
            assert_eq!(writer.0, records.concat());
            assert!(outbox.records.capacity() <= KEPT, "a quiet one holds nothing");
            assert_eq!(outbox.write_to(&mut writer).unwrap(), 0);
        }
    }
}
