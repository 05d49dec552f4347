//! The crate from outside, in handshakes that never leave memory.

mod choice;
mod handshakes;
mod lab;
