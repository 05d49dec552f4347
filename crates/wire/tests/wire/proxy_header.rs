//! The PROXY protocol's header.
use crate::forge::Random;
use portcullis_wire::proxy_header::{Extension, Header, LONGEST, Progress, ProxyHeaderError, Verified, Writer, read};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("a short header").to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

fn proxied(source: &str, destination: &str) -> Progress {
    Progress::Whole(Header::Proxied {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    })
}

const ITSELF: Progress = Progress::Whole(Header::Itself);

/// Reads as a socket would give it: never more than is asked for. What is left is not the header's.
fn read_from(bytes: &[u8]) -> (Result<Progress, ProxyHeaderError>, usize) {
    let mut taken = 0;
    loop {
        match read(&bytes[..taken]) {
            Ok(Progress::More(n)) if taken < bytes.len() => {
                assert!(n > 0);
                taken += n.min(bytes.len() - taken);
            }
            other => return (other, taken),
        }
    }
}

#[test]
fn headers_of_both_versions_are_read_and_nothing_behind_them() {
    let four = [192, 0, 2, 7, 198, 51, 100, 9, 0x9c, 0x40, 0x01, 0xbb];
    let mut six = [0; 36];
    six[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    six[15] = 1;
    six[16..20].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    six[31] = 2;
    six[32..].copy_from_slice(&[0x9c, 0x40, 0x01, 0xbb]);
    let table: Vec<(Vec<u8>, Progress)> = vec![
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.9 40000 443\r\n".to_vec(),
            proxied("192.0.2.7:40000", "198.51.100.9:443"),
        ),
        (
            b"PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n".to_vec(),
            proxied("[2001:db8::1]:0", "[2001:db8::2]:65535"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), ITSELF),
        (b"PROXY UNKNOWN ffff::1 whatever it says 1 2\r\n".to_vec(), ITSELF),
        (v2(0x21, 0x11, &four), proxied("192.0.2.7:40000", "198.51.100.9:443")),
        (
            v2(0x21, 0x11, &[&four[..], &[0x04, 0, 3, 1, 2, 3]].concat()),
            proxied("192.0.2.7:40000", "198.51.100.9:443"),
        ),
        (
            v2(0x21, 0x21, &six),
            proxied("[2001:db8::1]:40000", "[2001:db8::2]:443"),
        ),
        (v2(0x20, 0x11, &four), ITSELF),
        (v2(0x20, 0x00, &[]), ITSELF),
        (v2(0x21, 0x00, &[]), ITSELF),
        (v2(0x21, 0x12, &four), ITSELF),
        (v2(0x21, 0x31, &[7; 216]), ITSELF),
        (
            v2(0x21, 0x11, &[&four[..], &vec![9; LONGEST - 16 - 12]].concat()),
            proxied("192.0.2.7:40000", "198.51.100.9:443"),
        ),
    ];
    for (header, meaning) in table {
        for behind in [&b"\x16\x03\x01\x02\x00"[..], b"\r\n", b""] {
            let bytes = [&header, behind].concat();
            assert_eq!(
                read_from(&bytes),
                (Ok(meaning), header.len()),
                "{}",
                header.escape_ascii()
            );
        }
        for short in 0..header.len() {
            assert!(
                matches!(read(&header[..short]), Ok(Progress::More(n)) if n <= header.len() - short),
                "{short}"
            );
        }
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_it_shows() {
    use ProxyHeaderError::{Malformed, Missing, TooLong};
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    let table: Vec<(Vec<u8>, ProxyHeaderError)> = vec![
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Missing),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(), Missing),
        (b"PROXIES".to_vec(), Missing),
        (b"\r\n\r\n\0\r\nQUIX".to_vec(), Missing),
        (
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            Malformed("a family that is neither TCP4, TCP6 nor UNKNOWN"),
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n".to_vec(),
            Malformed("its line has not six words"),
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".to_vec(),
            Malformed("its line has not six words"),
        ),
        (
            b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            Malformed("its line has not six words"),
        ),
        (b"PROXY TCP4 ::1 1.2.3.4 1 2\r\n".to_vec(), Malformed("an address")),
        (b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n".to_vec(), Malformed("an address")),
        (b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n".to_vec(), Malformed("an address")),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n".to_vec(), Malformed("a port")),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n".to_vec(), Malformed("a port")),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n".to_vec(), Malformed("a port")),
        (
            b"PROXY TCP4 \xff.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            Malformed("bytes that are no text"),
        ),
        (long, TooLong),
        (v2(0x11, 0x11, &[0; 12]), Malformed("a version that is not 2")),
        (
            v2(0x22, 0x11, &[0; 12]),
            Malformed("a command that is neither LOCAL nor PROXY"),
        ),
        (v2(0x21, 0x41, &[0; 12]), Malformed("an unknown family")),
        (v2(0x21, 0x13, &[0; 12]), Malformed("an unknown family")),
        (v2(0x21, 0x11, &[0; 11]), Malformed("too short for its addresses")),
        (v2(0x21, 0x21, &[0; 35]), Malformed("too short for its addresses")),
        (v2(0x21, 0x31, &[0; 215]), Malformed("too short for its addresses")),
        (v2(0x21, 0x11, &vec![0; LONGEST - 15]), TooLong),
    ];
    for (bytes, error) in table {
        let (read, _) = read_from(&bytes);
        assert_eq!(read, Err(error), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_we_write_is_what_we_read() {
    let table = [
        (
            Some(("192.0.2.7:1", "198.51.100.9:443")),
            proxied("192.0.2.7:1", "198.51.100.9:443"),
        ),
        (
            Some(("[2001:db8::1]:1", "[2001:db8::2]:2")),
            proxied("[2001:db8::1]:1", "[2001:db8::2]:2"),
        ),
        (
            Some(("[::ffff:192.0.2.7]:1", "198.51.100.9:2")),
            proxied("192.0.2.7:1", "198.51.100.9:2"),
        ),
        (
            Some(("192.0.2.7:1", "[2001:db8::2]:2")),
            proxied("[::ffff:192.0.2.7]:1", "[2001:db8::2]:2"),
        ),
        (None, ITSELF),
    ];
    for (addresses, meaning) in table {
        let addresses = addresses.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
        let header = Writer::proxied(addresses)
            .extension(Extension::Authority, &[b'a'; 10_000])
            .tls(
                Verified::Certificate,
                &[(Extension::SslVersion, b"TLSv1.3"), (Extension::SslGroup, b"")],
            )
            .finish();
        assert_eq!(read(&header), Ok(meaning));
    }
    assert_eq!(read(&Writer::local().finish()), Ok(ITSELF));
    let exact = Writer::proxied(None)
        .extension(Extension::Alpn, b"h2")
        .tls(Verified::Nothing, &[(Extension::SslVersion, b"TLSv1.3")])
        .finish();
    let expected: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x17\x01\x00\x02h2\x20\x00\x0f\x01\0\0\0\x01\x21\0\x07TLSv1.3";
    assert_eq!(exact, expected);
}

#[test]
fn noise_never_panics_and_never_asks_for_more_than_the_longest() {
    let mut random = Random::new(9);
    for round in 0..20_000 {
        let mut bytes = random.bytes(140);
        let door: &[u8] = [
            SIGNATURE,
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x20",
            b"PROXY ",
            b"PROXY TCP4 1.2.3.4 ",
        ][round % 4];
        if door.len() <= bytes.len() {
            bytes[..door.len()].copy_from_slice(door);
        }
        for len in 0..bytes.len() {
            if let Ok(Progress::More(n)) = read(&bytes[..len]) {
                assert!(n > 0 && len + n <= LONGEST);
            }
        }
    }
}
