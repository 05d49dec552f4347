use super::{Bad, Field, Step, fields, hop::is_hop_by_hop, token::is_same_to_a_gateway};

/// The most bytes of trailers: a quarter of a head's.
pub const MAX_TRAILERS: usize = 8 * 1024;

/// A chunked body (RFC 9112 section 7.1), and the trailers behind it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Chunks {
    state: State,
    /// What is left of this chunk, or its size as far as it was read.
    left: u64,
    /// Digits of this size.
    digits: u8,
    /// Bytes of extensions in the whole body.
    extensions: u16,
    /// Whole lines of trailers that were checked, then one as far as it came.
    trailers: Vec<u8>,
    /// Where that line begins.
    line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataEnd,
    Trailer,
    TrailerEnd,
    Done,
}

impl Chunks {
    /// The trailers once the body is done; none before.
    pub fn trailers(&self) -> Trailers<'_> {
        Trailers {
            rest: if self.is_done() { &self.trailers } else { b"" },
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// One piece of payload, and all framing before and behind it.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Bad> {
        let mut step = Step::default();
        while self.state != State::Done {
            let rest = &input[step.consumed..];
            let Some(&byte) = rest.first() else { break };
            if self.state == State::Data {
                if !step.data.is_empty() {
                    break;
                }
                let taken = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                step.data = step.consumed..step.consumed + taken;
                step.consumed += taken;
                self.left -= taken as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.framing(byte)?;
                step.consumed += 1;
            }
        }
        Ok(step)
    }

    /// What a byte that is no payload leads to.
    fn framing(&mut self, byte: u8) -> Result<State, Bad> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeEnd),
            (State::Size, b';') if self.digits > 0 => self.extension(),
            (State::Size, _) => self.size(byte),
            (State::Extension, b'\r') => Ok(State::SizeEnd),
            // Nobody reads extensions; what could end a line elsewhere must not stand in one.
            (State::Extension, b'\t' | b' '..=b'~') => self.extension(),
            (State::Extension, _) => Err(Bad::syntax("a chunk's extension holds a control byte")),
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 { State::Trailer } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataEnd),
            (State::DataEnd, b'\n') => Ok(State::Size),
            (State::DataCr | State::DataEnd, _) => Err(Bad::syntax("a chunk is longer than its size")),
            (State::Trailer, b'\r') => Ok(State::TrailerEnd),
            (State::Trailer, b'\n') => Err(BARE),
            (State::Trailer, _) => self.trailer(byte),
            (State::TrailerEnd, b'\n') => self.trailer_line(),
            _ => Err(BARE),
        }
    }

    fn size(&mut self, byte: u8) -> Result<State, Bad> {
        let digit = char::from(byte)
            .to_digit(16)
            .ok_or(Bad::syntax("a chunk's size is no plain number"))?;
        if self.digits == MOST_DIGITS {
            return Err(Bad::syntax("a chunk's size is too long"));
        }
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn extension(&mut self) -> Result<State, Bad> {
        self.extensions += 1;
        if self.extensions > MOST_EXTENSIONS {
            return Err(Bad::syntax("more than 4 KiB of chunk extensions"));
        }
        Ok(State::Extension)
    }

    fn trailer(&mut self, byte: u8) -> Result<State, Bad> {
        self.trailers.push(byte);
        if self.trailers.len() > MAX_TRAILERS {
            return Err(Bad::new(431, "the trailers are longer than 8 KiB"));
        }
        Ok(State::Trailer)
    }

    fn trailer_line(&mut self) -> Result<State, Bad> {
        let line = &self.trailers[self.line..];
        if line.is_empty() {
            return Ok(State::Done);
        }
        if is_forbidden(fields::field(line)?.name) {
            return Err(Bad::syntax("a trailer that may only stand in the head"));
        }
        self.trailers.push(b'\n');
        self.line = self.trailers.len();
        Ok(State::Trailer)
    }
}

const BARE: Bad = Bad::syntax("a line in a chunked body ends without CRLF");

/// So that a size also fits what counts with a sign.
const MOST_DIGITS: u8 = 15;

/// In one body: an endless one of extensions would be work for nothing (CVE-2023-39326 was that).
const MOST_EXTENSIONS: u16 = 4096;

/// The fields behind a chunked body.
#[derive(Clone, Debug)]
pub struct Trailers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Trailers<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        fields::field(line).ok()
    }
}

/// What says where a message ends, where it goes, who sent it, or what it is, comes too late in a trailer
/// (RFC 9110 section 6.5.1).
fn is_forbidden(name: &str) -> bool {
    const NAMES: [&str; 22] = [
        "authorization",
        "cache-control",
        "client-cert",
        "client-cert-chain",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "max-forwards",
        "portcullis-client",
        "portcullis-tls",
        "range",
        "set-cookie",
        "trailer",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    ];
    is_hop_by_hop(name) || NAMES.iter().any(|forbidden| is_same_to_a_gateway(name, forbidden))
}
