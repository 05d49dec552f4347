//! HTTP/1.1 requests: the corpus, whole and in every two pieces.
use portcullis_wire::Escaped;
use portcullis_wire::http1::{
    Awaited, Bad, Framing, MAX_FIELDS, NO_FIELD, RequestHead, Target, Version, path, request, write,
};

use crate::{
    forge::Random,
    http1_corpus::{Heard, Request, requests},
    random::damage,
};

#[test]
fn every_request_of_the_corpus_is_understood_or_refused_as_it_says() {
    let cases = requests();
    assert!(cases.len() >= 600, "only {} cases", cases.len());
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let heard = Reader::heard([&case.sent[..]]);
            (heard != case.heard).then(|| format!("{}\n    is {heard:?}\n    not {:?}\n", case.name, case.heard))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn a_request_cut_anywhere_is_understood_the_same() {
    for case in requests() {
        // The long ones are long for their lengths' sake: some cuts and all near the end will do.
        let len = case.sent.len();
        for cut in (0..len).filter(|cut| len < 1000 || cut % 509 == 0 || cut + 30 > len) {
            let (front, back) = case.sent.split_at(cut);
            assert_eq!(Reader::heard([front, back]), case.heard, "{} cut at {cut}", case.name);
        }
    }
}

#[test]
fn a_request_byte_by_byte_is_understood_the_same() {
    for case in requests() {
        assert_eq!(Reader::heard(case.sent.chunks(1)), case.heard, "{}", case.name);
    }
}

#[test]
fn a_damaged_request_is_understood_or_refused_the_same_in_any_pieces() {
    let mut random = Random::new(7);
    let cases = requests();
    for round in 0..6_000 {
        let mut sent = cases[round % cases.len()].sent.clone();
        sent.truncate(1000);
        for _ in 0..=random.below(3) {
            damage(&mut sent, &mut random);
        }
        let whole = Reader::heard([&sent[..]]);
        let cut = random.below(sent.len() + 1);
        assert_eq!(
            Reader::heard([&sent[..cut], &sent[cut..]]),
            whole,
            "{:?} cut at {cut}",
            Escaped(&sent)
        );
        let size = 1 + random.below(9);
        assert_eq!(
            Reader::heard(sent.chunks(size)),
            whole,
            "{:?} by {size}",
            Escaped(&sent)
        );
    }
}

#[test]
fn an_early_answer_never_changes() {
    for case in requests() {
        let mut fields = [NO_FIELD; MAX_FIELDS];
        let whole = request(&case.sent, &mut fields);
        let len = case.sent.len();
        for cut in (0..len).filter(|cut| len < 1000 || cut % 509 == 0) {
            let mut fields = [NO_FIELD; MAX_FIELDS];
            let early = request(&case.sent[..cut], &mut fields);
            assert!(
                matches!(early, Ok(None)) || early == whole,
                "{} at {cut}: {early:?}",
                case.name
            );
        }
    }
}

#[test]
fn a_head_byte_by_byte_is_parsed_once_for_each_line_at_most() {
    for case in requests() {
        let (mut awaited, mut parses) = (Awaited::default(), 0);
        for end in 1..=case.sent.len() {
            let mut fields = [NO_FIELD; MAX_FIELDS];
            let so_far = &case.sent[..end];
            let is_worth_it = awaited.may_be_whole(so_far);
            parses += usize::from(is_worth_it);
            if end > 1000 && end % 101 != 0 && !is_worth_it {
                continue;
            }
            let is_open = matches!(request(so_far, &mut fields), Ok(None));
            assert!(
                is_open || is_worth_it || case.heard == [Heard::Refused(414)],
                "{} at {end}",
                case.name
            );
            if !is_open {
                break;
            }
        }
        let lines = case.sent.iter().filter(|byte| **byte == b'\n').count();
        assert!(
            parses <= lines + 3 && parses <= MAX_FIELDS + 4,
            "{}: {parses} parses",
            case.name
        );
    }
}

#[test]
fn a_head_tells_all_that_a_proxy_must_know() {
    let bytes =
        b"\r\nPOST http://A.Example:8443/x?y HTTP/1.1\r\nHost: a.example:8443\r\nConnection: Upgrade, X-Hop\r\n\
        Upgrade: websocket\r\nExpect: 100-Continue\r\nX-Hop:  1 \r\nTransfer-Encoding: chunked\r\n\r\nrest";
    let mut fields = [NO_FIELD; MAX_FIELDS];
    let head = request(bytes, &mut fields).unwrap().unwrap();
    assert_eq!((head.method, head.version), ("POST", Version::Http11));
    assert_eq!(
        head.target,
        Target::Origin {
            path: "/x",
            query: Some("y")
        }
    );
    assert_eq!(head.host, "a.example:8443");
    assert_eq!(head.fields.len(), 6);
    assert_eq!((head.fields[4].name, head.fields[4].value), ("X-Hop", &b"1"[..]));
    assert!(matches!(head.framing, Framing::Chunked(_)) && !head.framing.is_done());
    assert!(head.persists && head.expects_continue);
    assert!(head.hop.names("x-hop") && head.hop.names("UPGRADE") && !head.hop.names("host"));
    assert_eq!(head.hop.iter().collect::<Vec<_>>(), ["Upgrade", "X-Hop"]);
    assert_eq!(head.upgrade, Some(&b"websocket"[..]));
    assert_eq!(&bytes[head.length..], b"rest");
}

#[test]
fn a_connection_persists_as_its_version_and_options_say() {
    let cases = [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: X-A, CLOSE\r\n", false),
        ("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, connection, persists) in cases {
        let text = format!("GET / {version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(with_head(&text, |head| head.persists), persists, "{text}");
    }
}

#[test]
fn an_upgrade_is_meant_only_where_connection_says_so() {
    let cases = [
        ("HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", true),
        ("HTTP/1.1", "Upgrade: websocket\r\n", false),
        ("HTTP/1.1", "Connection: upgrade\r\n", false),
        ("HTTP/1.1", "Connection: upgrade\r\nUpgrade:\r\n", false),
        ("HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n", false),
        ("HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
    ];
    for (version, upgrade, is_meant) in cases {
        let text = format!("GET / {version}\r\nHost: a\r\n{upgrade}\r\n");
        assert_eq!(with_head(&text, |head| head.upgrade.is_some()), is_meant, "{text}");
    }
}

#[test]
fn http_10_waits_for_no_100() {
    assert!(!with_head("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", |head| {
        head.expects_continue
    }));
}

fn with_head<T>(text: &str, ask: impl FnOnce(RequestHead<'_>) -> T) -> T {
    let mut fields = [NO_FIELD; MAX_FIELDS];
    ask(request(text.as_bytes(), &mut fields).expect("accepted").expect("whole"))
}

/// A connection's reader, as a driver would write it.
#[derive(Default)]
pub(crate) struct Reader {
    unread: Vec<u8>,
    awaited: Awaited,
    open: Option<(Request, Framing)>,
    heard: Vec<Heard>,
}

impl Reader {
    pub(crate) fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Heard> {
        let mut reader = Reader::default();
        for piece in pieces {
            reader.unread.extend_from_slice(piece);
            if let Err(bad) = reader.read() {
                reader.heard.push(Heard::Refused(bad.status()));
                return reader.heard;
            }
        }
        if reader.open.is_some() || !reader.unread.is_empty() {
            reader.heard.push(Heard::More);
        }
        reader.heard
    }

    fn read(&mut self) -> Result<(), Bad> {
        loop {
            if self.open.is_none() && !self.head()? {
                return Ok(());
            }
            if !self.body()? {
                return Ok(());
            }
        }
    }

    fn head(&mut self) -> Result<bool, Bad> {
        if !self.awaited.may_be_whole(&self.unread) {
            return Ok(false);
        }
        let mut fields = [NO_FIELD; MAX_FIELDS];
        let Some(head) = request(&self.unread, &mut fields)? else {
            return Ok(false);
        };
        let target = match head.target {
            Target::Asterisk => "*".to_owned(),
            Target::Origin { path, query } => {
                path::normal(path)?.into_owned() + &query.map(|query| format!("?{query}")).unwrap_or_default()
            }
        };
        let request = Request {
            method: head.method.to_owned(),
            target,
            host: if head.host.is_empty() { "-" } else { head.host }.to_owned(),
            body: (head.framing != Framing::Empty).then(Vec::new),
            trailers: Vec::new(),
        };
        let length = head.length;
        self.open = Some((request, head.framing));
        self.unread.drain(..length);
        self.awaited = Awaited::default();
        Ok(true)
    }

    fn body(&mut self) -> Result<bool, Bad> {
        let Some((mut request, mut framing)) = self.open.take() else {
            return Ok(false);
        };
        while !framing.is_done() && !self.unread.is_empty() {
            let step = framing.step(&self.unread)?;
            assert!(step.consumed > 0 && step.data.end <= step.consumed);
            request
                .body
                .get_or_insert_default()
                .extend_from_slice(&self.unread[step.data]);
            self.unread.drain(..step.consumed);
        }
        let is_done = framing.is_done();
        if is_done {
            for trailer in framing.trailers().into_iter().flat_map(|chunks| chunks.trailers()) {
                write::field(&mut request.trailers, trailer.name, trailer.value);
            }
            self.heard.push(Heard::Request(request));
        } else {
            self.open = Some((request, framing));
        }
        Ok(is_done)
    }
}
