//! JA4, a client's fingerprint: what its hello says of the library that wrote it, in an order that shuffling cannot
//! change. Here as the texts that are to be hashed; the rules are those of FoxIO's technical details of JA4 (the TLS
//! client fingerprint alone, BSD licensed; its siblings are not).
use crate::{Hello, registry::is_grease};

/// What carried a hello.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// TLS over a stream.
    Tcp,
    /// QUIC.
    Quic,
}

/// A fingerprint before its two lists are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Its first part as it stands: transport, version, name, counts and application protocol; ASCII.
    pub head: [u8; HEAD],
    /// The cipher suites, sorted; empty when there is none.
    pub ciphers: String,
    /// The extensions, sorted, and the signature schemes as sent; empty without extensions.
    pub extensions: String,
}

/// Characters of the first part.
pub const HEAD: usize = 10;

impl Parts {
    /// What a hello comes to.
    pub fn of(hello: &Hello, transport: Transport) -> Parts {
        Parts::without((hello, transport), &[])
    }

    /// What the hello of the same client comes to when it has no session to resume; None: this is such a hello.
    pub fn of_first_visit(hello: &Hello, transport: Transport) -> Option<Parts> {
        let resumes = hello.extensions.iter().any(|id| RESUMING.contains(id));
        resumes.then(|| Parts::without((hello, transport), &RESUMING))
    }

    fn without((hello, transport): (&Hello, Transport), left_out: &[u16]) -> Parts {
        let mut ciphers: Vec<u16> = meant(hello.ciphers.iter().map(|id| id.0)).collect();
        let mut extensions: Vec<u16> = meant(hello.extensions.iter().copied()).collect();
        extensions.retain(|id| !left_out.contains(id));
        let head = head(hello, transport, (ciphers.len(), extensions.len()));
        ciphers.sort_unstable();
        // the first part tells of these two
        extensions.retain(|id| ![SERVER_NAME, ALPN].contains(id));
        extensions.sort_unstable();
        Parts {
            head,
            ciphers: listed(ciphers.into_iter()),
            extensions: with_schemes(listed(extensions.into_iter()), hello),
        }
    }
}

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 8446 sections 4.2.11 and 4.2.10: pre_shared_key and early_data.
const RESUMING: [u16; 2] = [41, 42];
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Without the values that only keep servers tolerant.
fn meant(values: impl Iterator<Item = u16>) -> impl Iterator<Item = u16> {
    values.filter(|value| !is_grease(*value))
}

fn head(hello: &Hello, transport: Transport, (ciphers, extensions): (usize, usize)) -> [u8; HEAD] {
    let transport = match transport {
        Transport::Tcp => b't',
        Transport::Quic => b'q',
    };
    let name = match hello.extensions.contains(&SERVER_NAME) {
        true => b'd',
        false => b'i',
    };
    let ([v, w], [c, d], [e, f]) = (version(hello), count(ciphers), count(extensions));
    let [first, last] = protocol(hello.alpn.first());
    [transport, v, w, name, c, d, e, f, first, last]
}

/// The highest version offered; 00 for one that no registry knows.
fn version(hello: &Hello) -> [u8; 2] {
    let highest = match hello.extensions.contains(&SUPPORTED_VERSIONS) {
        true => meant(hello.versions.iter().copied()).max(),
        false => Some(hello.legacy_version),
    };
    match highest {
        Some(0x0304) => *b"13",
        Some(0x0303) => *b"12",
        Some(0x0302) => *b"11",
        Some(0x0301) => *b"10",
        Some(0x0300) => *b"s3",
        Some(0x0002) => *b"s2",
        _ => *b"00",
    }
}

/// Two digits, and no more than they can say.
fn count(n: usize) -> [u8; 2] {
    let n = n.min(99) as u8;
    [b'0' + n / 10, b'0' + n % 10]
}

/// First and last character of the first application protocol; of its hex form where one of them is neither letter
/// nor digit, so that nothing a peer typed gets further.
fn protocol(first: Option<&Vec<u8>>) -> [u8; 2] {
    match first.map(Vec::as_slice) {
        None | Some([]) => *b"00",
        Some(bytes) => {
            let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
            match first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                true => [first, last],
                false => [HEX[usize::from(first >> 4)], HEX[usize::from(last & 0x0f)]],
            }
        }
    }
}

/// `002f,0035,...`
fn listed(ids: impl ExactSizeIterator<Item = u16>) -> String {
    let mut text = String::with_capacity(ids.len() * "1301,".len());
    write_list(&mut text, ids);
    text
}

fn with_schemes(mut text: String, hello: &Hello) -> String {
    let mut schemes = meant(hello.schemes.iter().map(|id| id.0)).peekable();
    if !text.is_empty() && schemes.peek().is_some() {
        text.reserve_exact(hello.schemes.len() * "_0403".len());
        text.push('_');
        write_list(&mut text, schemes);
    }
    text
}

fn write_list(text: &mut String, ids: impl Iterator<Item = u16>) {
    for (index, id) in ids.enumerate() {
        if index > 0 {
            text.push(',');
        }
        for shift in [12, 8, 4, 0] {
            text.push(char::from(HEX[usize::from(id >> shift & 0x0f)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CipherId, SchemeId};

    /// The example of the technical details (FoxIO-LLC/ja4, technical_details/JA4.md, "Example" and "Raw Output"), with
    /// the GREASE around it that its text says to ignore.
    fn example() -> Hello {
        let ciphers = [
            0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let extensions = [
            0x4a4a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
            0xff01, 0x000b, 0x000a, 0x0015, 0xfafa,
        ];
        let schemes = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x1a1a, 0x0806, 0x0601];
        Hello {
            legacy_version: 0x0303,
            ciphers: ciphers.map(CipherId).to_vec(),
            extensions: extensions.to_vec(),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            versions: vec![0x5a5a, 0x0304, 0x0303],
            schemes: schemes.map(SchemeId).to_vec(),
            ..Hello::default()
        }
    }

    fn head_of(change: impl FnOnce(&mut Hello)) -> String {
        let mut hello = example();
        change(&mut hello);
        let parts = Parts::of(&hello, Transport::Tcp);
        String::from_utf8(parts.head.to_vec()).unwrap()
    }

    #[test]
    fn the_published_example_comes_out() {
        let parts = Parts::of(&example(), Transport::Tcp);
        assert_eq!(parts.head, *b"t13d1516h2");
        let ciphers = "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9";
        assert_eq!(parts.ciphers, ciphers);
        let extensions = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01";
        let schemes = "0403,0804,0401,0503,0805,0501,0806,0601";
        assert_eq!(parts.extensions, format!("{extensions}_{schemes}"));
        let mut without = example();
        without.schemes = Vec::new();
        assert_eq!(Parts::of(&without, Transport::Tcp).extensions, extensions);
    }

    #[test]
    fn a_client_that_resumes_is_the_same_as_before() {
        let first = example();
        assert_eq!(Parts::of_first_visit(&first, Transport::Tcp), None);
        let mut again = example();
        again.extensions.extend(RESUMING);
        let known = Parts::of(&first, Transport::Tcp);
        assert_ne!(Parts::of(&again, Transport::Tcp), known);
        assert_eq!(Parts::of_first_visit(&again, Transport::Tcp), Some(known));
    }

    /// The same text, "ALPN Extension Value".
    #[test]
    fn letters_of_the_protocol_follow_the_published_table() {
        let table: [(&[u8], &str); 10] = [
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
            (b"\x30\xab\xcd\x31", "01"),
            (b"\"\n", "2a"),
            (b"", "00"),
        ];
        for (protocol, letters) in table {
            let head = head_of(|hello| hello.alpn = vec![protocol.to_vec()]);
            assert_eq!(&head[8..], letters, "{protocol:?}");
        }
        assert_eq!(head_of(|hello| hello.alpn.clear()), "t13d151600");
    }

    #[test]
    fn the_version_is_the_highest_of_the_extension_or_the_old_field() {
        let table: [(&[u16], u16, &str); 7] = [
            (&[0x0303, 0x0304], 0x0301, "13"),
            (&[0x0303, 0x0302], 0x0304, "12"),
            (&[0x7f1c], 0x0303, "00"),
            (&[], 0x0302, "11"),
            (&[], 0x0301, "10"),
            (&[], 0x0300, "s3"),
            (&[], 0x0305, "00"),
        ];
        for (listed, legacy, version) in table {
            let head = head_of(|hello| {
                hello.legacy_version = legacy;
                hello.versions = listed.to_vec();
                if listed.is_empty() {
                    // as the parser leaves it
                    hello.versions = vec![legacy.min(0x0303)];
                    hello.extensions.retain(|id| *id != SUPPORTED_VERSIONS);
                }
            });
            assert_eq!(&head[1..3], version, "{listed:x?} {legacy:x}");
        }
    }

    #[test]
    fn a_missing_name_and_long_lists_show() {
        let head = head_of(|hello| {
            hello.extensions.retain(|id| *id != SERVER_NAME);
            hello.ciphers = (0..150).map(CipherId).collect();
        });
        assert_eq!(head, "t13i9915h2");
        assert_eq!(Parts::of(&example(), Transport::Quic).head, *b"q13d1516h2");
    }

    #[test]
    fn nothing_listed_leaves_nothing_to_hash() {
        let hello = Hello {
            schemes: vec![SchemeId(0x0403)],
            extensions: vec![0x0000, 0x0010, 0x2a2a],
            ..Hello::default()
        };
        let parts = Parts::of(&hello, Transport::Tcp);
        assert_eq!((parts.ciphers.as_str(), parts.extensions.as_str()), ("", ""));
        assert_eq!(parts.head, *b"t00d000200");
    }
}
