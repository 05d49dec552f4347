use portcullis_wire::{
    CipherId, GroupId,
    alert::Alert,
    client_hello::HelloError,
    server_hello::{Progress, ServerHello, from_handshake, from_records},
};

use crate::{
    corpus,
    forge::{message, record, records, u16s, vec8, vec16},
};

/// What tshark, which nobody here wrote, reads in each answer.
const EXPECTED: &str = include_str!("../../testdata/answers/expected.txt");

/// SHA-256 of "HelloRetryRequest".
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
const TLS13: (u16, [u8; 2]) = (43, [3, 4]);

#[test]
fn an_answer_says_version_cipher_group_and_whether_it_resumes() {
    let share = share(0x11ec, 1120);
    let tls13 = ServerHello {
        version: 0x0304,
        cipher: CipherId(0x1301),
        group: Some(GroupId(0x11ec)),
        retry: false,
        resumed: false,
    };
    let table: Vec<(Vec<u8>, ServerHello)> = vec![
        (answer([9; 32], &[(43, &TLS13.1), (51, &share)]), tls13.clone()),
        (
            answer([9; 32], &[(51, &share), (43, &TLS13.1), (41, &[0, 0])]),
            ServerHello {
                resumed: true,
                ..tls13.clone()
            },
        ),
        (
            answer([9; 32], &[(43, &TLS13.1)]),
            ServerHello {
                group: None,
                ..tls13.clone()
            },
        ),
        (
            answer(RETRY, &[(43, &TLS13.1), (51, &[0x11, 0xec]), (44, b"cookie")]),
            ServerHello {
                retry: true,
                ..tls13.clone()
            },
        ),
        (
            answer(RETRY, &[(43, &TLS13.1), (44, b"cookie")]),
            ServerHello {
                retry: true,
                group: None,
                ..tls13.clone()
            },
        ),
        (
            answer([9; 32], &[(0xff01, &[0])]),
            ServerHello {
                version: 0x0303,
                group: None,
                ..tls13.clone()
            },
        ),
        (
            without_extensions(),
            ServerHello {
                version: 0x0303,
                group: None,
                ..tls13
            },
        ),
    ];
    for (bytes, expected) in table {
        assert_eq!(from_handshake(&bytes), Ok(Progress::Complete(expected.clone())));
        assert_eq!(
            from_records(&records(&bytes, 40)),
            Ok(Progress::Complete(expected.clone()))
        );
        // A TLS 1.2 server goes on in the same record.
        let flight = record(22, &[bytes.clone(), message(11, &[0; 9])].concat());
        assert_eq!(from_records(&flight), Ok(Progress::Complete(expected)));
        for n in 0..bytes.len() {
            assert_eq!(from_handshake(&bytes[..n]), Ok(Progress::Incomplete), "at {n}");
        }
    }
}

#[test]
fn an_alert_in_place_of_an_answer_is_told() {
    let refusal = Alert::HANDSHAKE_FAILURE.fatal_record();
    assert_eq!(from_records(&refusal), Ok(Progress::Alert(Alert::HANDSHAKE_FAILURE)));
    for n in 0..refusal.len() {
        assert_eq!(from_records(&refusal[..n]), Ok(Progress::Incomplete), "at {n}");
    }
    let warning = [21, 3, 1, 0, 2, 1, 112];
    assert_eq!(from_records(&warning), Ok(Progress::Alert(Alert::UNRECOGNIZED_NAME)));
    assert_eq!(from_records(&[21, 3, 3, 0, 3]), Err(HelloError::Decode("alert")));
    assert_eq!(from_records(&[21, 3, 3, 1]), Err(HelloError::Decode("alert")));
    assert_eq!(
        from_records(&[21, 3, 3, 0, 2, 3]),
        Err(HelloError::Illegal("alert level"))
    );
    assert_eq!(from_records(&[21, 2]), Err(HelloError::NotAClientHello));
}

#[test]
fn a_malformed_answer_is_refused_by_name() {
    use HelloError::{Decode, DuplicateExtension, Illegal, NotAClientHello};
    let share = share(0x001d, 32);
    let table: Vec<(Vec<u8>, HelloError)> = vec![
        (message(1, &[0; 40]), NotAClientHello),
        (message(2, &[3, 3]), Decode("server hello")),
        (body(&[9; 32], &[0; 33], 0, &[]), Decode("session id")),
        (body(&[9; 32], &[], 1, &[]), Illegal("compression method")),
        (body(&[9; 32], &[], 0, &[0]), Decode("server hello")),
        (body(&[9; 32], &[], 0, &[0, 0, 0]), Decode("server hello")),
        (answer([9; 32], &[(43, &[3])]), Decode("extensions")),
        (answer([9; 32], &[(43, &[3, 4, 0])]), Decode("extensions")),
        (answer([9; 32], &[(41, &[0])]), Decode("extensions")),
        (answer([9; 32], &[(51, &[0x11, 0xec])]), Decode("extensions")),
        (answer([9; 32], &[(51, &[0x11, 0xec, 0, 0])]), Decode("extensions")),
        (answer(RETRY, &[(43, &TLS13.1), (51, &share)]), Decode("extensions")),
        (
            answer([9; 32], &[(43, &TLS13.1), (43, &TLS13.1)]),
            DuplicateExtension(43),
        ),
        (answer(RETRY, &[(51, &[0x11, 0xec])]), Illegal("retry without TLS 1.3")),
    ];
    for (bytes, error) in table {
        assert_eq!(from_handshake(&bytes), Err(error), "{bytes:02x?}");
        assert_eq!(from_records(&records(&bytes, 4096)), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn answers_of_real_servers_read_as_wireshark_reads_them() {
    let expected = corpus::sections(EXPECTED);
    assert_eq!(expected.len(), 11);
    for (name, lines) in expected {
        let bytes = corpus::file("answers", name);
        let reading = match from_records(&bytes) {
            Ok(Progress::Alert(alert)) => vec![format!("alert {}", alert.0)],
            Ok(Progress::Complete(answer)) => reading(&answer),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(reading, lines, "{name}");
        for n in 0..bytes.len() {
            assert_eq!(from_records(&bytes[..n]), Ok(Progress::Incomplete), "{name} at {n}");
        }
    }
}

/// Our reading in the form of the file, where TLS 1.3 is two lines.
fn reading(answer: &ServerHello) -> Vec<String> {
    assert!(!answer.resumed);
    let mut lines = vec!["version 0x0303".to_owned(), format!("cipher {:#06x}", answer.cipher.0)];
    if answer.version > 0x0303 {
        lines.push(format!("supported_version {:#06x}", answer.version));
    }
    let word = if answer.retry { "retry_group" } else { "group" };
    lines.extend(answer.group.map(|group| format!("{word} {:#06x}", group.0)));
    lines
}

fn answer(random: [u8; 32], extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let block: Vec<u8> = extensions
        .iter()
        .flat_map(|(id, data)| [u16s(&[*id]), vec16(data)].concat())
        .collect();
    body(&random, &[4; 32], 0, &vec16(&block))
}

fn without_extensions() -> Vec<u8> {
    body(&[9; 32], &[], 0, &[])
}

fn body(random: &[u8], session_id: &[u8], compression: u8, rest: &[u8]) -> Vec<u8> {
    message(
        2,
        &[&[3, 3], random, &vec8(session_id), &[0x13, 0x01, compression], rest].concat(),
    )
}

fn share(group: u16, len: usize) -> Vec<u8> {
    [u16s(&[group]), vec16(&vec![0; len])].concat()
}
