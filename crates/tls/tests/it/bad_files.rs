//! Files that hold something else than they should: every reader says so, and none falls over.
use crate::lab::{Ca, ED25519, ML_DSA_65, P256, Pair, RSA, server_params};
use portcullis_tls::identity::{Identity, IdentityError, certificates_from_pem, revocation_lists};

/// Whether a file was read.
type Reads = Box<dyn Fn(&[u8]) -> bool>;

/// What reads files of one sort.
struct Reader {
    name: &'static str,
    label: &'static str,
    /// A file that it reads.
    good: Vec<u8>,
    reads: Reads,
}

/// The reader of chains, of keys, of CAs, of revocation lists, and of encrypted keys.
fn readers(pair: Pair, ca: &str) -> [Reader; 5] {
    let Pair { chain, key } = pair;
    let (good_chain, good_key) = (chain.clone().into_bytes(), key.clone().into_bytes());
    [
        Reader {
            name: "chain",
            label: "CERTIFICATE",
            good: good_chain,
            reads: Box::new(move |text| is_read(Identity::from_pem(text, key.as_bytes()))),
        },
        Reader {
            name: "key",
            label: "PRIVATE KEY",
            good: good_key,
            reads: Box::new(move |text| is_read(Identity::from_pem(chain.as_bytes(), text))),
        },
        Reader {
            name: "CA",
            label: "CERTIFICATE",
            good: ca.as_bytes().to_vec(),
            reads: Box::new(|text| is_read(certificates_from_pem(text))),
        },
        Reader {
            name: "CRL",
            label: "X509 CRL",
            good: include_bytes!("../../testdata/crl.pem").to_vec(),
            reads: Box::new(|text| is_read(revocation_lists(text))),
        },
        Reader {
            name: "encrypted key",
            label: "ENCRYPTED PRIVATE KEY",
            good: include_bytes!("../../testdata/p256-encrypted.key").to_vec(),
            reads: Box::new(|text| {
                let chain = include_bytes!("../../testdata/p256.pem");
                is_read(Identity::from_encrypted_pem(chain, text, b"x"))
            }),
        },
    ]
}

/// An error is a sentence.
fn is_read<T, E: std::fmt::Display>(came: Result<T, E>) -> bool {
    came.map_err(|error| assert!(!error.to_string().is_empty())).is_ok()
}

fn p256() -> [Reader; 5] {
    let ca = Ca::new(&P256, "root");
    readers(ca.issue(&P256, server_params()), &ca.pem())
}

/// DER in the sections of PEM.
fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    (text + &format!("-----END {label}-----\n")).into_bytes()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let filled = [0, 1, 2].map(|at| u32::from(three.get(at).copied().unwrap_or(0)));
        let number = filled[0] << 16 | filled[1] << 8 | filled[2];
        for at in 0..4 {
            let letter = char::from(LETTERS[(number >> (18 - 6 * at)) as usize & 63]);
            text.push(if at <= three.len() { letter } else { '=' });
        }
    }
    text
}

fn unbase64(text: &[u8]) -> Vec<u8> {
    let body = text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"-"));
    let (mut bytes, mut number, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in body.flatten().filter_map(|byte| LETTERS.iter().position(|l| l == byte)) {
        number = number << 6 | letter as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((number >> bits & 255) as u8);
        }
    }
    bytes
}

/// SEQUENCEs within one another, this many, each with its true length.
fn nested(depth: usize) -> Vec<u8> {
    let mut headers: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    for _ in 0..depth {
        let header = match length {
            0..128 => vec![0x30, length as u8],
            _ => [&[0x30, 0x84][..], &(length as u32).to_be_bytes()].concat(),
        };
        length += header.len();
        headers.push(header);
    }
    headers.into_iter().rev().flatten().collect()
}

/// A small generator of the same numbers every time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// One thing goes wrong with these bytes.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(7) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.below(256) as u8,
            2 => bytes.truncate(at.max(1)),
            3 if bytes.len() > 32 => drop(bytes.drain(at..end)),
            4 => bytes[at..end].fill([0, 0xff, 0x80, 0x30][self.below(4)]),
            5 => bytes.insert(at, self.below(256) as u8),
            _ => {
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

fn utf16(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

/// Nothing of this can be read as what `reader` is for.
fn worthless(reader: &Reader) -> Vec<(&'static str, Vec<u8>)> {
    let Reader { good, label, .. } = reader;
    let der = unbase64(good);
    let mut random = Random(7);
    let noise: Vec<u8> = (0..4096).map(|_| random.below(256) as u8).collect();
    let text = String::from_utf8(good.clone()).unwrap();
    let end = text.find("-----END").unwrap();
    vec![
        ("empty", Vec::new()),
        ("blank", b" \r\n\t\n".to_vec()),
        ("noise", noise.clone()),
        ("noise as its content", pem(label, &noise)),
        ("no content", pem(label, &[])),
        ("PEM cut within its content", good[..end / 2].to_vec()),
        ("PEM without its end", good[..end].to_vec()),
        ("PEM without its begin", good[10..].to_vec()),
        ("DER cut in half", pem(label, &der[..der.len() / 2])),
        ("DER without its last byte", pem(label, &der[..der.len() - 1])),
        (
            "DER with the length of gigabytes",
            pem(label, &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]),
        ),
        ("DER of no length", pem(label, &[0x30, 0x80, 0, 0])),
        ("wrong label", pem("SOMETHING ELSE", &der)),
        (
            "end of another label",
            text.replace("-----END ", "-----END X").into_bytes(),
        ),
        ("NUL bytes", vec![0; 4096]),
        ("NUL bytes within", text.replace('\n', "\0").into_bytes()),
        ("only the begin, often", "-----BEGIN ".repeat(20_000).into_bytes()),
        (
            "begin of no end, often",
            format!("-----BEGIN {label}-----\n").repeat(2000).into_bytes(),
        ),
        ("UTF-16", utf16(good)),
        ("deep nesting", pem(label, &nested(50_000))),
        ("deep nesting in DER", nested(50_000)),
    ]
}

#[test]
fn good_files_are_read() {
    for reader in p256() {
        assert!((reader.reads)(&reader.good), "{}", reader.name);
        let again = pem(reader.label, &unbase64(&reader.good));
        assert!((reader.reads)(&again), "{} through our own PEM", reader.name);
    }
}

#[test]
fn what_is_harmless_is_read() {
    for reader in p256() {
        let text = String::from_utf8(reader.good.clone()).unwrap();
        let table = [
            ("a byte order mark", format!("\u{feff}{text}")),
            ("lines of Windows", text.replace('\n', "\r\n")),
            ("text around it", format!("Bag Attributes\n{text}trailing")),
            ("NUL bytes after it", format!("{text}\0\0\0")),
        ];
        for (what, bytes) in table {
            assert!((reader.reads)(bytes.as_bytes()), "{}: {what}", reader.name);
        }
    }
}

#[test]
fn what_is_worthless_is_refused() {
    for reader in p256() {
        for (what, bytes) in worthless(&reader) {
            assert!(!(reader.reads)(&bytes), "{}: {what}", reader.name);
        }
    }
}

#[test]
fn each_reader_refuses_what_is_for_another() {
    let [_, key, ca, crl, locked] = p256();
    for (reader, wrong) in [
        (&key, &ca),
        (&key, &crl),
        (&ca, &key),
        (&ca, &crl),
        (&crl, &ca),
        (&crl, &key),
        (&key, &locked),
        (&locked, &key),
        (&locked, &crl),
    ] {
        assert!(
            !(reader.reads)(&wrong.good),
            "{} in the place of {}",
            wrong.name,
            reader.name
        );
    }
    let twice = [&key.good[..], &key.good].concat();
    assert!(!(key.reads)(&twice), "two keys");
}

#[test]
fn a_megabyte_of_names_is_no_identity_and_named_as_such() {
    let mut params = server_params();
    let names = (0..20_000).map(|at| {
        let name = format!("{at:05}.a-name-that-is-rather-long-as-names-go.example");
        rcgen::SanType::DnsName(name.try_into().unwrap())
    });
    params.subject_alt_names.extend(names);
    let pair = Ca::new(&P256, "root").issue(&P256, params);
    assert!(pair.chain.len() > 1_000_000);
    let read = certificates_from_pem(pair.chain.as_bytes()).unwrap();
    assert_eq!(read[0].1.dns_names.len(), 20_002);
    // webpki reads no extension of more than 64 KiB: the certificate is at fault, not the key
    match Identity::from_pem(pair.chain.as_bytes(), pair.key.as_bytes()) {
        Err(IdentityError::BadCertificate { index: 1, problem }) => assert!(problem.contains("64 KiB"), "{problem}"),
        other => panic!("{other:?}"),
    }
}

/// Mutations of each file as text and as DER.
const MUTATIONS: usize = 300;

#[test]
fn no_damage_makes_a_reader_fall_over() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0, 0);
    for algorithm in [&P256, &ED25519, &RSA, &ML_DSA_65] {
        let ca = Ca::new(algorithm, "root");
        for reader in readers(ca.issue(algorithm, server_params()), &ca.pem()) {
            let der = unbase64(&reader.good);
            for turn in 0..2 * MUTATIONS {
                let mut bytes = if turn % 2 == 0 {
                    reader.good.clone()
                } else {
                    der.clone()
                };
                for _ in 0..=random.below(3) {
                    random.damage(&mut bytes);
                }
                if turn % 2 == 1 && turn % 8 != 7 {
                    bytes = pem(reader.label, &bytes);
                }
                // it comes back, which is all that is asked
                *(if (reader.reads)(&bytes) {
                    &mut read
                } else {
                    &mut refused
                }) += 1;
            }
        }
    }
    // the damage is neither always nor never fatal, so that the readers were really entered
    assert!(read > 100 && refused > 1000, "{read} read, {refused} refused");
}
