//! Asks a TLS server what it negotiates, by real handshakes over a socket, and judges the answers.
//!
//! A [`SelfTest`] makes one handshake per [`Offer`]; [`judge`] holds what was [`Seen`] against what the
//! [`Expectation`] promises, by rules of its own: it shares no decision with the server it tests.
//! [`memory`] makes handshakes without a socket, and [`mod@bench`] measures what they cost.

pub mod bench;
mod expectation;
mod handshake;
mod judge;
pub mod memory;
mod offer;
mod over_quic;
mod promise;
mod report;
mod selftest;
pub mod table;
mod target;
mod transport;

pub use expectation::{Expectation, Held, Site};
pub use handshake::{Failure, Outcome, Seen};
pub use judge::judge;
pub use offer::{Offer, Question, Schemes};
pub use report::{Report, Row, Summary, TargetRow, TargetVerdict};
pub use selftest::{SelfTest, Trust};
pub use target::{Address, BadTarget, Target};
pub use transport::Transport;
