//! Bodies whose every byte is known.
use crate::Outcome;
use bytes::Bytes;
use std::{error::Error, fmt};

/// A prime, so that what is moved by a power of two is not what it should be.
const PERIOD: usize = 65_521;
/// What is sent at once.
const PIECE: usize = 64 * 1024;

/// Makes a body piece by piece, or compares one that comes.
#[derive(Clone)]
pub(crate) struct Known {
    twice: Bytes,
    at: usize,
}

/// A body that is not what it should be.
#[derive(Debug)]
pub(crate) struct Garbled {
    at: usize,
}

impl Known {
    pub(crate) fn new() -> Known {
        // Knuth's multiplier: its upper bits follow no short cycle
        let byte = |at: usize| ((at % PERIOD) as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0];
        Known {
            twice: (0..PERIOD + PIECE).map(byte).collect(),
            at: 0,
        }
    }

    /// The next piece of a body that has so many bytes in all, until none is left.
    pub(crate) fn next_of(&mut self, length: usize) -> Option<Bytes> {
        let size = PIECE.min(length - self.at);
        let from = self.at % PERIOD;
        self.at += size;
        (size > 0).then(|| self.twice.slice(from..from + size))
    }

    /// Compares what came next.
    pub(crate) fn compare(&mut self, came: &[u8]) -> Result<(), Garbled> {
        for piece in came.chunks(PIECE) {
            let from = self.at % PERIOD;
            if self.twice[from..from + piece.len()] != *piece {
                return Err(Garbled { at: self.at });
            }
            self.at += piece.len();
        }
        Ok(())
    }

    /// Another body.
    pub(crate) fn again(self) -> Known {
        Known { at: 0, ..self }
    }

    /// All of it came.
    pub(crate) fn ended_at(&self, length: usize) -> Outcome {
        match self.at == length {
            true => Ok(()),
            false => Err(format!("{} bytes of {length}", self.at).into()),
        }
    }

    /// Bytes so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrong within the piece at byte {}", self.at)
    }
}

impl Error for Garbled {}
