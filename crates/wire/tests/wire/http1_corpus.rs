//! Reads `tests/corpus/http1/requests.txt`; how it is written stands at its head.

/// One entry.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) heard: Vec<Heard>,
}

/// What a strict reader makes of a part of what was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Request(Request),
    Refused(u16),
    More,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path in its normal form, and the query.
    pub(crate) target: String,
    /// `-` for none.
    pub(crate) host: String,
    pub(crate) body: Option<Vec<u8>>,
    /// One line each.
    pub(crate) trailers: Vec<u8>,
}

pub(crate) fn requests() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/http1/requests.txt");
    let text = std::fs::read_to_string(path).expect("the corpus is in the repository");
    let (mut cases, mut escaped) = (Vec::<Case>::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("name: ") {
            cases.push(Case {
                name: name.to_owned(),
                sent: Vec::new(),
                heard: Vec::new(),
            });
            escaped.clear();
        } else if let Some(part) = line.strip_prefix("< ") {
            escaped.push_str(part);
        } else if let (Some(expected), Some(case)) = (line.strip_prefix("> "), cases.last_mut()) {
            // Only now: a repeated text may go over lines.
            case.sent = bytes(&escaped);
            case.heard.push(heard(expected));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "a line that is none: {line}");
        }
    }
    cases
}

fn heard(line: &str) -> Heard {
    if line == "more" {
        return Heard::More;
    }
    if let Ok(status) = line.parse() {
        return Heard::Refused(status);
    }
    let mut quoted = line.splitn(4, ' ');
    let mut word = || quoted.next().expect("method, target and host").to_owned();
    let (method, target, host) = (word(), bytes(&word()), bytes(&word()));
    let mut texts = quoted
        .next()
        .map(|rest| rest.trim_matches('"').split("\" \"").map(bytes))
        .into_iter()
        .flatten();
    Heard::Request(Request {
        method,
        target: String::from_utf8(target).expect("ASCII"),
        host: String::from_utf8(host).expect("ASCII"),
        body: texts.next(),
        trailers: texts.next().unwrap_or_default(),
    })
}

fn bytes(escaped: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), escaped);
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let (kind, behind) = rest[at + 1..].split_at(1);
        rest = behind;
        match kind {
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "t" => out.push(b'\t'),
            "\\" => out.push(b'\\'),
            "x" => {
                let (digits, behind) = rest.split_at(2);
                out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                rest = behind;
            }
            "*" => {
                let (times, behind) = rest.split_once('(').expect("a text to repeat");
                let (text, behind) = behind.split_once(')').expect("its end");
                out.extend(bytes(text).repeat(times.parse().expect("a number")));
                rest = behind;
            }
            _ => panic!("no escape: \\{kind}"),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
