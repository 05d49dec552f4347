use std::ops::Range;

use super::{Bad, Chunks};

/// Where a body ends, and how much of it is still to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Framing {
    /// No body.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks, the last of which is empty.
    Chunked(Chunks),
    /// What comes until the peer closes.
    UntilClose,
}

/// What [`Framing::step`] found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Step {
    /// How many bytes of the input are done with; the next step begins behind them.
    pub consumed: usize,
    /// The payload among them, within the input; empty when only framing was consumed.
    pub data: Range<usize>,
}

impl Framing {
    /// Takes up the next bytes, at most one piece of payload at a time. What is left of the input after the body is
    /// done belongs to the next message; nothing consumed means that the body is done or the input empty.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Bad> {
        match self {
            Framing::Empty => Ok(Step::default()),
            Framing::Length(left) => {
                let taken = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= taken as u64;
                Ok(Step {
                    consumed: taken,
                    data: 0..taken,
                })
            }
            Framing::Chunked(chunks) => chunks.step(input),
            Framing::UntilClose => Ok(Step {
                consumed: input.len(),
                data: 0..input.len(),
            }),
        }
    }

    /// Whether the whole body was taken up.
    pub fn is_done(&self) -> bool {
        match self {
            Framing::Empty | Framing::Length(0) => true,
            Framing::Chunked(chunks) => chunks.is_done(),
            Framing::Length(_) | Framing::UntilClose => false,
        }
    }

    /// The peer closed: the end of a body that lasts until then, an error within any other.
    pub fn ended(&mut self) -> Result<(), Bad> {
        if *self == Framing::UntilClose {
            *self = Framing::Empty;
        }
        if self.is_done() {
            Ok(())
        } else {
            Err(Bad::syntax("the connection closed within the body"))
        }
    }

    /// The fields that followed the last chunk.
    pub fn trailers(&self) -> Option<&Chunks> {
        match self {
            Framing::Chunked(chunks) if chunks.is_done() => Some(chunks),
            _ => None,
        }
    }
}
