use std::{collections::BTreeMap, fmt::Display, fs, path::PathBuf};

use portcullis_wire::{
    Hello,
    client_hello::{Progress, from_records},
    ja4::{Parts, Transport},
    registry,
};

/// What tshark, which nobody here wrote, reads in each hello.
const EXPECTED: &str = include_str!("../../testdata/hellos/expected.txt");

#[test]
fn every_captured_hello_reads_as_wireshark_reads_it() {
    let mut expected = sections(EXPECTED);
    assert!(expected.len() >= 30, "{}", expected.len());
    for (name, bytes) in hellos() {
        let Ok(Progress::Complete(hello)) = from_records(&bytes) else {
            panic!("{name} is not read");
        };
        let expected = expected
            .remove(name.as_str())
            .unwrap_or_else(|| panic!("nothing is expected of {name}"));
        let expected: Vec<String> = expected.into_iter().filter_map(without_tolerance_values).collect();
        assert_eq!(reading(&hello), expected, "{name}");
    }
    assert!(expected.is_empty(), "no file for {expected:?}");
}

/// Wireshark 4.4 leaves the GREASE among signature schemes in JA4, against its definition (FoxIO-LLC/ja4 issue 305). The
/// hash of it is compared in `tls`, which can hash.
fn without_tolerance_values(line: &str) -> Option<String> {
    let Some(parts) = line.strip_prefix("ja4_r ") else {
        return (!line.starts_with("ja4 ")).then(|| line.to_owned());
    };
    let is_grease = |id: &&str| u16::from_str_radix(id, 16).is_ok_and(registry::is_grease);
    let part = |part: &str| {
        part.split(',')
            .filter(|id| !is_grease(id))
            .collect::<Vec<_>>()
            .join(",")
    };
    Some(format!(
        "ja4_r {}",
        parts.split('_').map(part).collect::<Vec<_>>().join("_")
    ))
}

#[test]
fn every_captured_hello_is_in_the_table_of_clients() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for (name, _) in hellos() {
        assert!(readme.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

#[test]
fn the_clients_that_offer_post_quantum_groups_are_the_new_ones() {
    let offers = |name: &str| {
        let bytes = file("hellos", name);
        let Ok(Progress::Complete(hello)) = from_records(&bytes) else {
            panic!("{name} is not read");
        };
        let safe = |(group, _): &(portcullis_wire::GroupId, usize)| {
            group.key_exchange().is_some_and(|class| class.is_quantum_safe())
        };
        hello.key_shares.iter().any(safe)
    };
    for new in ["openssl35", "curl814", "python313", "node24", "go124", "chromium"] {
        assert!(offers(new), "{new}");
    }
    for old in ["openssl30", "curl788", "python311", "node20", "gnutls37", "gnutls38"] {
        assert!(!offers(old), "{old}");
    }
}

/// Every hello of the corpus: its name and its records.
pub(crate) fn hellos() -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder()).expect("the corpus");
    let paths = files.map(|file| file.expect("a readable folder").path());
    let mut hellos: Vec<(String, Vec<u8>)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a readable file"))
        })
        .collect();
    hellos.sort();
    hellos
}

pub(crate) fn folder() -> PathBuf {
    testdata("hellos")
}

/// One file of the corpus: `hellos` or `answers`.
pub(crate) fn file(folder: &str, name: &str) -> Vec<u8> {
    fs::read(testdata(folder).join(name).with_extension("bin")).expect("a file of the corpus")
}

/// The sections of an `expected.txt`: a name and its lines.
pub(crate) fn sections(text: &'static str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let sections = text.split("\n[").skip(1);
    sections
        .map(|section| section.split_once("]\n").expect("a name in brackets"))
        .map(|(name, lines)| (name, lines.lines().filter(|line| !line.is_empty()).collect()))
        .collect()
}

/// The handshake message inside well-formed records.
pub(crate) fn message(mut records: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = records {
        let (payload, after) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        message.extend_from_slice(payload);
        records = after;
    }
    message
}

fn testdata(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}

/// Our reading in the form of the file; a line only for what the client sent.
fn reading(hello: &Hello) -> Vec<String> {
    let has = |id: u16| hello.extensions.contains(&id);
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let lines = [
        (true, line("len", [hello.len])),
        (true, line("legacy_version", hex([hello.legacy_version]))),
        (true, line("ciphers", hex(hello.ciphers.iter().map(|cipher| cipher.0)))),
        (true, line("extensions", hello.extensions.iter())),
        (has(0), line("sni", hello.sni.iter())),
        (has(16), line("alpn", hello.alpn.iter().map(text))),
        (has(43), line("versions", hex(hello.versions.iter().copied()))),
        (has(10), line("groups", hex(hello.groups.iter().map(|group| group.0)))),
        (
            has(51),
            line("shares", hex(hello.key_shares.iter().map(|share| share.0.0))),
        ),
        (
            has(51),
            line("share_lengths", hello.key_shares.iter().map(|share| share.1)),
        ),
        (
            has(13),
            line("schemes", hex(hello.schemes.iter().map(|scheme| scheme.0))),
        ),
    ];
    // Of a ticket we keep only that there is one; OpenSSL's has 32 bytes.
    let psk = hello.psk.then(|| "psk_identities 32".to_owned());
    let Parts {
        head,
        ciphers,
        extensions,
    } = Parts::of(hello, Transport::Tcp);
    let ja4 = format!("ja4_r {}_{ciphers}_{extensions}", text(&head.to_vec()));
    lines
        .into_iter()
        .filter(|(sent, _)| *sent)
        .map(|(_, line)| line)
        .chain(psk)
        .chain([ja4])
        .collect()
}

fn line<T: Display>(name: &str, values: impl IntoIterator<Item = T>) -> String {
    values
        .into_iter()
        .fold(name.to_owned(), |line, value| format!("{line} {value}"))
}

fn hex(values: impl IntoIterator<Item = u16>) -> impl Iterator<Item = String> {
    values.into_iter().map(|value| format!("{value:#06x}"))
}
