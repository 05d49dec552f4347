//! What a client of HTTP/2 may say without asking anything: its frames are counted, and what it is given counts for it.
//!
//! The library bounds what a head, its CONTINUATIONs, small DATA and early resets cost. It answers PING and SETTINGS, takes
//! WINDOW_UPDATE and PRIORITY and skips what it does not know for ever, as fast as they come.
use super::limits::{CALM, CALM_PER_ANSWER, CALM_PER_SECOND, GIVEN};
use portcullis_wire::sniff::HTTP2_PREFACE as PREFACE;
use std::time::{Duration, Instant};

/// RFC 9113 4.1: length, type, flags, stream.
const FRAME_HEAD: usize = 9;
/// Types of frames (RFC 9113 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Longest time that counts for a client at once.
const LONGEST: Duration = Duration::from_secs(60);

/// The count of one connection.
pub(super) struct Calm {
    /// Bytes of the preface and of payloads that come before the next frame's head.
    skip: usize,
    /// Of the next head, what came.
    head: [u8; FRAME_HEAD],
    has: usize,
    /// The last stream that the client opened.
    stream: u32,
    left: u32,
    /// What was given, and when, at the last count.
    counted: Given,
    at: Instant,
}

/// What the client asked for and got, so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Given {
    pub(super) bytes: u64,
    pub(super) answers: u64,
}

/// It says more than it asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Restless;

impl Calm {
    pub(super) fn new(now: Instant) -> Calm {
        Calm {
            skip: PREFACE.len(),
            head: [0; FRAME_HEAD],
            has: 0,
            stream: 0,
            left: CALM,
            counted: Given::default(),
            at: now,
        }
    }

    /// Takes note of bytes as they come.
    pub(super) fn note(&mut self, mut bytes: &[u8], given: Given) -> Result<(), Restless> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let more = (FRAME_HEAD - self.has).min(bytes.len());
            self.head[self.has..self.has + more].copy_from_slice(&bytes[..more]);
            self.has += more;
            bytes = &bytes[more..];
            if self.has == FRAME_HEAD {
                self.has = 0;
                self.count(given)?;
            }
        }
        Ok(())
    }

    /// What ends the connection and says why (RFC 9113 6.8, 7).
    pub(super) fn goaway(&self) -> [u8; FRAME_HEAD + 8] {
        let mut frame = [0; FRAME_HEAD + 8];
        frame[2] = 8;
        frame[3] = GOAWAY;
        frame[FRAME_HEAD..FRAME_HEAD + 4].copy_from_slice(&self.stream.to_be_bytes());
        frame[FRAME_HEAD + 4..].copy_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        frame
    }

    /// A frame begins.
    fn count(&mut self, given: Given) -> Result<(), Restless> {
        let [a, b, c, kind, _, stream @ ..] = self.head;
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        if kind == HEADERS {
            self.stream = self.stream.max(u32::from_be_bytes(stream) & 0x7fff_ffff);
        }
        let cost = cost(kind);
        if self.left < cost {
            self.give(given, Instant::now());
        }
        self.left = self.left.checked_sub(cost).ok_or(Restless)?;
        Ok(())
    }

    /// What it was given since the last count, and the time that went by.
    fn give(&mut self, given: Given, now: Instant) {
        let time = now.saturating_duration_since(self.at).min(LONGEST);
        let for_time = time.as_millis() as u64 * u64::from(CALM_PER_SECOND) / 1000;
        let for_answers = (given.answers - self.counted.answers) * u64::from(CALM_PER_ANSWER);
        let for_bytes = (given.bytes - self.counted.bytes) / GIVEN;
        let left = u64::from(self.left) + for_time + for_answers + for_bytes;
        self.left = u32::try_from(left).unwrap_or(CALM).min(CALM);
        (self.counted, self.at) = (given, now);
    }
}

/// What a frame costs, of [`CALM`]: DATA, heads and what continues them are bounded by the library and by streams.
fn cost(kind: u8) -> u32 {
    match kind {
        DATA | HEADERS | CONTINUATION => 0,
        // a request was begun for it, and a server may work on it
        RST_STREAM => 16,
        // each may change the window of every stream
        SETTINGS => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, length: u8) -> Vec<u8> {
        [&[0, 0, length, kind, 0, 0, 0, 0, stream][..], &vec![0; length.into()]].concat()
    }

    /// How many of these a client may send at once.
    fn taken(kind: u8) -> u32 {
        let mut calm = Calm::new(Instant::now());
        calm.note(PREFACE, Given::default()).unwrap();
        let frame = frame(kind, 1, 8);
        // time is given anew while it runs
        let mut count = 0;
        while count < 3 * CALM && calm.note(&frame, Given::default()).is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn frames_that_ask_nothing_are_bounded_and_requests_are_not() {
        for (kind, most) in [
            (6, CALM),
            (4, CALM / 4),
            (3, CALM / 16),
            (2, CALM),
            (8, CALM),
            (200, CALM),
        ] {
            let taken = taken(kind);
            assert!((most..2 * most).contains(&taken), "{kind}: {taken}");
        }
        for kind in [0, 1, 9] {
            assert_eq!(taken(kind), 3 * CALM);
        }
    }

    #[test]
    fn what_a_client_is_given_counts_for_it() {
        let mut calm = Calm::new(Instant::now());
        calm.note(PREFACE, Given::default()).unwrap();
        // a download of which every frame is acknowledged twice, and calls of which each is answered and then measured
        let mut given = Given::default();
        for _ in 0..20 * CALM {
            given.bytes += 16 * 1024;
            calm.note(&[frame(8, 0, 4), frame(8, 1, 4)].concat(), given).unwrap();
        }
        for _ in 0..20 * CALM {
            given.answers += 1;
            calm.note(&[frame(6, 0, 8), frame(8, 1, 4), frame(3, 1, 4)].concat(), given)
                .unwrap();
        }
    }

    #[test]
    fn frames_are_seen_however_they_are_cut() {
        let bytes = [
            PREFACE,
            &frame(4, 0, 6),
            &frame(1, 7, 200),
            &frame(0, 7, 255),
            &frame(1, 9, 1),
        ]
        .concat();
        for step in 1..bytes.len() {
            let mut calm = Calm::new(Instant::now());
            for piece in bytes.chunks(step) {
                calm.note(piece, Given::default()).unwrap();
            }
            assert_eq!((calm.stream, calm.left, calm.skip), (9, CALM - 4, 0), "by {step}");
        }
    }
}
