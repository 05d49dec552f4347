//! A client of HTTP/2 that says what it likes, frame by frame (RFC 9113).
use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

/// A piece of a body.
pub const DATA: u8 = 0;
/// A head, or trailers.
pub const HEADERS: u8 = 1;
/// Once said which stream matters more.
pub const PRIORITY: u8 = 2;
/// Gives a stream up.
pub const RST_STREAM: u8 = 3;
/// What a side can do.
pub const SETTINGS: u8 = 4;
/// Asks for its like.
pub const PING: u8 = 6;
/// Ends a connection and says why.
pub const GOAWAY: u8 = 7;
/// More may be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// More of a head.
pub const CONTINUATION: u8 = 9;
/// Nothing follows on the stream.
pub const END_STREAM: u8 = 1;
/// The head is whole.
pub const END_HEADERS: u8 = 4;
/// The error of a peer that costs too much.
pub const ENHANCE_YOUR_CALM: u32 = 11;
const ACK: u8 = 1;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it says.
    pub payload: Vec<u8>,
}

/// A connection.
pub struct H2<S> {
    /// What is below.
    pub stream: S,
    unread: Vec<u8>,
    /// Came while something else was waited for.
    kept: VecDeque<Frame>,
}

/// RFC 9113 4.1.
pub fn frame((kind, flags): (u8, u8), stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that nobody remembers (RFC 7541 6.2.2).
pub fn block(fields: &[(impl AsRef<str>, impl AsRef<str>)]) -> Vec<u8> {
    let text = |text: &str| -> Vec<u8> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        [&[length.expect("a short text")], text.as_bytes()].concat()
    };
    let each = fields
        .iter()
        .map(|(name, value)| [vec![0], text(name.as_ref()), text(value.as_ref())].concat());
    each.collect::<Vec<_>>().concat()
}

/// `GET` of a path at localhost.
pub fn get(path: &str) -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "localhost"),
    ])
}

impl<S: Read + Write> H2<S> {
    /// Says hello, with settings of its own besides that it remembers no fields.
    pub fn with(mut stream: S, settings: &[(u16, u32)]) -> H2<S> {
        let each = [&[(1, 0)], settings].concat();
        let payload: Vec<u8> = each
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let hello = [PREFACE, &frame((SETTINGS, 0), 0, &payload)].concat();
        stream.write_all(&hello).expect("an open connection");
        H2 {
            stream,
            unread: Vec::new(),
            kept: VecDeque::new(),
        }
    }

    /// The same with no settings of its own.
    pub fn over(stream: S) -> H2<S> {
        H2::with(stream, &[])
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, frame: &[u8]) {
        self.stream.write_all(frame).expect("an open connection");
    }

    /// A request without a body.
    pub fn ask(&mut self, stream: u32, fields: &[(impl AsRef<str>, impl AsRef<str>)]) {
        self.send(&frame((HEADERS, END_HEADERS | END_STREAM), stream, &block(fields)));
    }

    /// A `GET` of a path at localhost.
    pub fn get(&mut self, stream: u32, path: &str) {
        self.send(&frame((HEADERS, END_HEADERS | END_STREAM), stream, &get(path)));
    }

    /// The first frame of this kind on this stream that nobody took yet.
    pub fn wait(&mut self, kind: u8, stream: u32) -> io::Result<Frame> {
        self.wait_for(|frame| frame.kind == kind && frame.stream == stream)
    }

    /// The first frame of these that nobody took yet; others are kept.
    pub fn wait_for(&mut self, wanted: impl Fn(&Frame) -> bool) -> io::Result<Frame> {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return Ok(self.kept.remove(at).expect("it was found there"));
        }
        loop {
            let frame = self.next()?;
            match wanted(&frame) {
                true => return Ok(frame),
                false => self.kept.push_back(frame),
            }
        }
    }

    /// The status of the answer on a stream.
    pub fn status(&mut self, stream: u32) -> String {
        let head = self.wait(HEADERS, stream).expect("an answer");
        status(&head.payload)
    }

    /// The error of the first GOAWAY.
    pub fn goaway(&mut self) -> Option<u32> {
        let frame = self.wait(GOAWAY, 0).ok()?;
        Some(number(&frame.payload[4..]))
    }

    /// The head of a request whose body follows.
    pub fn open(&mut self, stream: u32, fields: &[(impl AsRef<str>, impl AsRef<str>)]) {
        self.send(&frame((HEADERS, END_HEADERS), stream, &block(fields)));
    }

    /// Bytes of a stream, until there are so many.
    pub fn bytes(&mut self, stream: u32, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            bytes.extend(self.wait(DATA, stream).expect("more data").payload);
        }
        bytes
    }

    /// Bytes on a stream.
    pub fn data(&mut self, stream: u32, bytes: &[u8], flags: u8) {
        self.send(&frame((DATA, flags), stream, bytes));
    }

    /// The next frame; settings and pings are answered.
    fn next(&mut self) -> io::Result<Frame> {
        while self.unread.len() < 9 || self.unread.len() < 9 + self.length() {
            let mut buffer = [0; 64 * 1024];
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.unread.extend_from_slice(&buffer[..read]),
            }
        }
        let length = self.length();
        let whole: Vec<u8> = self.unread.drain(..9 + length).collect();
        let frame = Frame {
            kind: whole[3],
            flags: whole[4],
            stream: number(&whole[5..]),
            payload: whole[9..].to_vec(),
        };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let payload: &[u8] = if frame.kind == PING { &frame.payload } else { &[] };
            // it may be closed already
            let _ = self.stream.write_all(&self::frame((frame.kind, ACK), 0, payload));
        }
        Ok(frame)
    }

    fn length(&self) -> usize {
        number(&[&[0], &self.unread[..3]].concat()) as usize
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

/// The first field of an answer's head, which is always its status.
fn status(block: &[u8]) -> String {
    // it says first that it remembers nothing (RFC 7541 6.3)
    let mut bytes = block.iter().copied().skip_while(|byte| byte & 0xe0 == 0x20);
    match bytes.next().expect("a status") {
        0x88 => "200".into(),
        0x89 => "204".into(),
        0x8c => "400".into(),
        0x8d => "404".into(),
        0x8e => "500".into(),
        // the name from the table, the value as it is or by Huffman's code
        0x08 | 0x18 | 0x48 => {
            let length = bytes.next().expect("a length");
            let value: Vec<u8> = bytes.take(usize::from(length & 0x7f)).collect();
            match length & 0x80 {
                0 => String::from_utf8(value).expect("digits"),
                _ => digits(&value),
            }
        }
        other => panic!("no status: {other:#x} in {block:02x?}"),
    }
}

/// The digits of RFC 7541's appendix B: 0, 1 and 2 have five bits, the others six.
fn digits(coded: &[u8]) -> String {
    let bits: String = coded.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut rest, mut text) = (&*bits, String::new());
    while text.len() < 3 {
        let five = u32::from_str_radix(&rest[..5], 2).expect("bits");
        if five < 3 {
            text.push_str(&five.to_string());
            rest = &rest[5..];
        } else {
            let six = u32::from_str_radix(&rest[..6], 2).expect("bits");
            text.push_str(&(six - 0b011001 + 3).to_string());
            rest = &rest[6..];
        }
    }
    text
}
