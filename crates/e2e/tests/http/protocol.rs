//! `tests/corpus/http2/frames.txt`: frames as they stand there, sent over TLS, and what comes back.
use crate::{
    Lines, Stage,
    origin::{Origin, said},
};
use portcullis_e2e::{
    client::{Conversation, Offer},
    frames::{PING, SETTINGS, block, frame},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    thread,
    time::Duration,
};

/// RFC 9113 7, by number.
const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];
/// RFC 9113 6, by number.
const TYPES: [&str; 10] = [
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];
/// Of flags, by the table's names.
const FLAGS: [(&str, u8); 5] = [("ES", 1), ("ACK", 1), ("EH", 4), ("PAD", 8), ("PRI", 0x20)];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Connections at once.
const AT_ONCE: usize = 8;
/// What h2spec has: fewer means that some were lost.
const CASES: usize = 147;
/// Those of them that the library takes otherwise than the RFC asks: more need a reason in the table.
const DIFFERENT: usize = 23;

#[derive(Default)]
struct Case {
    name: String,
    lines: Vec<(char, String)>,
}

#[test]
fn frames_are_taken_and_refused_as_the_table_says() {
    let cases = cases();
    assert!(cases.len() >= CASES, "only {} cases", cases.len());
    let different = cases
        .iter()
        .filter(|case| case.lines.iter().any(|(kind, _)| *kind == '!'));
    assert_eq!(different.count(), DIFFERENT);
    let origin = Origin::start(|asked, peer| {
        if asked.line().ends_with("/slow") {
            // the client says the rest meanwhile
            thread::sleep(Duration::from_millis(300));
        }
        peer.say(&said(asked.line()))
    });
    let stage = Stage::set(origin, Lines::default());
    let problems: Vec<String> = thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(AT_ONCE));
        let one = |case: &Case| played(&stage, case).err().map(|why| format!("{}: {why}", case.name));
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().filter_map(one).collect::<Vec<_>>()))
            .collect();
        let parts = parts.into_iter().map(|part| part.join().expect("no panic"));
        parts.flatten().collect()
    });
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/http2/frames.txt");
    let text = fs::read_to_string(path).expect("the table is in the repository");
    let mut cases = Vec::<Case>::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("name: ") {
            cases.push(Case {
                name: name.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let case = cases.last_mut().expect("a name comes first");
        let kind = line.chars().next().expect("no empty line");
        assert!(matches!(kind, '<' | '>' | '!' | 'b'), "a line that is none: {line}");
        case.lines.push((kind, line[1..].trim().to_owned()));
    }
    cases
}

/// A client, and what it saw.
struct Client {
    stream: Conversation,
    unread: Vec<u8>,
    is_closed: bool,
    statuses: BTreeMap<u32, u16>,
    ended: BTreeSet<u32>,
    data: BTreeMap<u32, usize>,
    pongs: Vec<Vec<u8>>,
    acknowledged: usize,
    resets: Vec<(u32, u32)>,
    goaway: Option<u32>,
}

fn played(stage: &Stage, case: &Case) -> Result<(), String> {
    let mut client = Client::connect(stage);
    let is_bare = case.lines.iter().any(|(kind, _)| *kind == 'b');
    if !is_bare {
        client.send(&[PREFACE, &frame((SETTINGS, 0), 0, &[])].concat());
    }
    for (kind, line) in &case.lines {
        match kind {
            '<' => client.send(&bytes(line)),
            '>' => client
                .expect(line)
                .map_err(|why| format!("{line:?}: {why}; {}", client.story()))?,
            _ => {}
        }
    }
    Ok(())
}

impl Client {
    fn connect(stage: &Stage) -> Client {
        let offer = Offer::groups("X25519MLKEM768").speaking(&["h2"]);
        Client {
            stream: stage.connect(offer).stream,
            unread: Vec::new(),
            is_closed: false,
            statuses: BTreeMap::new(),
            ended: BTreeSet::new(),
            data: BTreeMap::new(),
            pongs: Vec::new(),
            acknowledged: 0,
            resets: Vec::new(),
            goaway: None,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // it may have been refused before it is sent whole
        let _ = self.stream.write_all(bytes);
    }

    fn expect(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<u32>().expect("a stream's number");
        match words[..] {
            ["settled"] => {
                self.until(|client| client.acknowledged > 0)?;
                self.acknowledged -= 1;
                Ok(())
            }
            ["alive"] => self.is_alive(),
            ["pong", data] => {
                let data = pieces(&[data]);
                self.until(|client| !client.pongs.is_empty())?;
                match self.pongs.remove(0) == data {
                    true => Ok(()),
                    false => Err("another PING was answered".to_owned()),
                }
            }
            ["data", stream, length] => {
                let (stream, length) = (number(stream), number(length) as usize);
                let came = |client: &Client| client.data.get(&stream).copied().unwrap_or_default();
                self.until(|client| came(client) >= length)?;
                self.is_alive()?;
                (came(self) == length)
                    .then_some(())
                    .ok_or_else(|| format!("{} came", came(self)))
            }
            ["close"] => self.until(|client| client.is_closed),
            ["connection", codes] => {
                self.until(|client| client.is_closed)?;
                let code = self.goaway.map(code);
                let is_one = code.is_some_and(|code| codes.split('|').any(|one| one == code));
                is_one.then_some(()).ok_or_else(|| "it ended otherwise".to_owned())
            }
            ["stream", stream, codes] => {
                let is_one = |number: u32| codes.split('|').any(|one| one == code(number));
                let stream = number(stream);
                self.until(|client| {
                    let mut resets = client.resets.iter();
                    resets.any(|reset| reset.0 == stream && is_one(reset.1)) || client.goaway.is_some_and(is_one)
                })
            }
            [statuses, stream] => {
                let stream = number(stream);
                self.until(|client| client.ended.contains(&stream))?;
                let status = self.statuses[&stream].to_string();
                let is_one = statuses.split('|').any(|one| one == status);
                is_one.then_some(()).ok_or_else(|| format!("answered {status}"))
            }
            _ => panic!("no expectation: {line}"),
        }
    }

    fn is_alive(&mut self) -> Result<(), String> {
        self.send(&frame((PING, 0), 0, b"is alive"));
        self.until(|client| client.pongs.iter().any(|pong| pong == b"is alive"))?;
        self.pongs.retain(|pong| pong != b"is alive");
        match self.resets.is_empty() && self.goaway.is_none() {
            true => Ok(()),
            false => Err("something was reset".to_owned()),
        }
    }

    fn until(&mut self, holds: impl Fn(&Client) -> bool) -> Result<(), String> {
        while !holds(self) {
            if self.is_closed {
                return Err("the connection has ended".to_owned());
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(read @ 1..) => self.unread.extend_from_slice(&buffer[..read]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err("it never came".to_owned());
                }
                Ok(0) | Err(_) => self.is_closed = true,
            }
            self.read_frames();
        }
        Ok(())
    }

    fn read_frames(&mut self) {
        while let Some((head, rest)) = self.unread.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some(payload) = rest.get(..length) else { return };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let (kind, flags, payload) = (head[3], head[4], payload.to_vec());
            self.unread.drain(..9 + length);
            self.hear((kind, flags), stream, &payload);
        }
    }

    fn hear(&mut self, (kind, flags): (u8, u8), stream: u32, payload: &[u8]) {
        let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four octets"));
        match (TYPES[usize::from(kind)], flags & 1) {
            ("DATA", _) => *self.data.entry(stream).or_default() += payload.len(),
            ("HEADERS", _) => {
                // the static table's, with which every head of these begins (RFC 7541 A)
                let status = match payload.first() {
                    Some(0x88) => 200,
                    Some(0x8c) => 400,
                    other => panic!("a status that no case has: {other:?}"),
                };
                self.statuses.entry(stream).or_insert(status);
            }
            ("RST_STREAM", _) => self.resets.push((stream, word(0))),
            ("SETTINGS", 1) => self.acknowledged += 1,
            ("PING", 1) => self.pongs.push(payload.to_vec()),
            ("GOAWAY", _) => self.goaway = Some(word(4)),
            _ => {}
        }
        if kind < 2 && flags & 1 == 1 {
            self.ended.insert(stream);
        }
    }

    fn story(&self) -> String {
        let resets: Vec<_> = self
            .resets
            .iter()
            .map(|(stream, number)| (stream, code(*number)))
            .collect();
        let goaway = self.goaway.map(code);
        let Client {
            is_closed,
            statuses,
            ended,
            data,
            ..
        } = self;
        format!(
            "resets {resets:?}, goaway {goaway:?}, closed {is_closed}, statuses {statuses:?}, ended {ended:?}, data {data:?}"
        )
    }
}

fn code(number: u32) -> &'static str {
    CODES.get(number as usize).copied().unwrap_or("unknown")
}

/// A line's frames.
fn bytes(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["raw", ..] => pieces(&words[1..]),
        ["many", count, ..] => {
            let count: u32 = count.parse().expect("a number");
            let streams = (0..count).map(|n| 2 * n + 1);
            streams.flat_map(|stream| one("HEADERS", stream, &words[2..])).collect()
        }
        [kind, stream, ..] => {
            let hex = stream.strip_prefix("0x").map(|digits| u32::from_str_radix(digits, 16));
            let stream = hex.unwrap_or_else(|| stream.parse());
            one(kind, stream.expect("a number"), &words[2..])
        }
        _ => panic!("no frame: {line}"),
    }
}

fn one(kind: &str, stream: u32, words: &[&str]) -> Vec<u8> {
    let known = TYPES.iter().position(|known| *known == kind);
    let kind = match known {
        Some(kind) => u8::try_from(kind).expect("ten types"),
        None => number_of(kind),
    };
    let (flags, words) = words.split_at(words.iter().take_while(|word| word.starts_with('+')).count());
    let flags = flags
        .iter()
        .map(|flag| number_of(&flag[1..]))
        .fold(0, |all, flag| all | flag);
    frame((kind, flags), stream, &pieces(words))
}

fn number_of(name: &str) -> u8 {
    match name.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).expect("two digits"),
        None => FLAGS.iter().find(|flag| flag.0 == name).expect("a flag of the table").1,
    }
}

fn pieces(words: &[&str]) -> Vec<u8> {
    words.iter().flat_map(|word| piece(word)).collect()
}

fn piece(word: &str) -> Vec<u8> {
    if let Some((method, path)) = head_of(word) {
        let fields = [
            (":method", method),
            (":scheme", "https"),
            (":path", path),
            (":authority", "localhost"),
        ];
        return block(&fields);
    }
    if let Some(digits) = word
        .strip_prefix('x')
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let octets = digits
            .as_bytes()
            .chunks(2)
            .map(|two| std::str::from_utf8(two).expect("ASCII"));
        return octets.map(|two| u8::from_str_radix(two, 16).expect("digits")).collect();
    }
    if let Some(text) = word.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return text.as_bytes().to_vec();
    }
    if let Some((count, what)) = word.split_once('*').filter(|(count, _)| !count.is_empty()) {
        let what = match what.strip_prefix('\'') {
            Some(text) => text.as_bytes()[..1].to_vec(),
            None => piece(what),
        };
        return what.repeat(count.parse().expect("a number"));
    }
    let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("no piece: {word}"));
    block(&[(name, value)])
}

fn head_of(word: &str) -> Option<(&'static str, &'static str)> {
    match word {
        "GET" => Some(("GET", "/")),
        "HEAD" => Some(("HEAD", "/")),
        "POST" => Some(("POST", "/")),
        "SLOW" => Some(("GET", "/slow")),
        _ => None,
    }
}
