use super::Bad;

/// The most bytes of a head. nginx takes four lines of 8 KiB, Node 16 KiB in all.
pub const MAX_HEAD: usize = 32 * 1024;
/// The most bytes of a request line, and of a status line. RFC 9112 section 3 asks for at least 8,000.
pub const MAX_FIRST_LINE: usize = 16 * 1024;

/// Tells when it is worth parsing a head again that came in pieces: once another line has ended. So a head that is
/// sent byte by byte is read once for each of its fields at most, and refused as soon as one line is bad.
#[derive(Clone, Copy, Default, Debug)]
pub struct Awaited {
    seen: usize,
    is_past_a_line: bool,
}

impl Awaited {
    /// Whether a head that begins with the first of `bytes` may now be whole, or bad. Each byte is looked at once;
    /// the next head needs another `Awaited`.
    pub fn may_be_whole(&mut self, bytes: &[u8]) -> bool {
        let has_line = bytes
            .get(self.seen..)
            .is_some_and(|new| memchr::memchr(b'\n', new).is_some());
        self.seen = bytes.len();
        self.is_past_a_line |= has_line;
        // An empty line may stand before a first line that is too long.
        let is_too_long = bytes.len() >= MAX_HEAD || (!self.is_past_a_line && bytes.len() >= MAX_FIRST_LINE + 2);
        has_line || is_too_long
    }
}

/// A head's lines, each ended by CRLF and nothing else.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// The front of the bytes as text, looked at once since that is cheaper than name by name.
    text: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Lines {
            bytes,
            text: text(&bytes[..bytes.len().min(TYPICAL_HEAD)]),
            at: 0,
        }
    }

    /// The first so many bytes of the last line as text.
    pub(super) fn text(&self, line: &'a [u8], length: usize) -> Option<&'a str> {
        let begin = self.at - line.len() - 2;
        self.text
            .get(begin..begin + length)
            .or_else(|| std::str::from_utf8(&line[..length]).ok())
    }

    /// How many bytes the lines so far took.
    pub(super) fn length(&self) -> usize {
        self.at
    }

    /// One empty line before a request is skipped (RFC 9112 section 2.2), a second is not.
    pub(super) fn skip_an_empty_line(&mut self) {
        if self.bytes[self.at..].starts_with(b"\r\n") {
            self.at += 2;
        }
    }

    /// The next line without its end; `None` until it is whole. `most` bounds it with its end, or is answered by `long`.
    pub(super) fn next(&mut self, most: usize, long: Bad) -> Result<Option<&'a [u8]>, Bad> {
        let rest = &self.bytes[self.at..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return if rest.len() >= most {
                Err(long)
            } else {
                self.within(rest.len()).map(|()| None)
            };
        };
        if end >= most {
            return Err(long);
        }
        self.within(end)?;
        let [line @ .., b'\r'] = &rest[..end] else {
            return Err(Bad::syntax("a line ends in LF without CR"));
        };
        self.at += end + 1;
        Ok(Some(line))
    }

    /// The head with so many more bytes, and one at least to come, keeps its bound.
    fn within(&self, more: usize) -> Result<(), Bad> {
        if self.at + more < MAX_HEAD {
            Ok(())
        } else {
            Err(LONG_HEAD)
        }
    }
}

/// So much is looked at ahead: most heads are shorter, and a body behind the head is not read for nothing.
const TYPICAL_HEAD: usize = 1024;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes)
        .or_else(|error| std::str::from_utf8(&bytes[..error.valid_up_to()]))
        .unwrap_or_default()
}

/// Also what a field line says that is too long.
pub(super) const LONG_HEAD: Bad = Bad::new(431, "the head is longer than 32 KiB");
