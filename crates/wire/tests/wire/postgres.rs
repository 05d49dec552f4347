//! PostgreSQL's first bytes.
use portcullis_wire::postgres::{Opening, REQUEST_LEN, fatal, opening};

const SSL: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

#[test]
fn a_first_packet_means_what_the_manual_says() {
    let mut cancel = vec![0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];
    cancel.extend([1; 8]);
    let table: [(&[u8], Opening); 11] = [
        (b"", Opening::Unsure),
        (SSL, Opening::SslRequest),
        (&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30], Opening::GssRequest),
        (&cancel, Opening::Cancel),
        // protocol 3.0, and 3.2 as of PostgreSQL 18
        (b"\0\0\0\x17\0\x03\0\0user\0agent-7\0\0", Opening::Startup),
        (b"\0\0\0\x17\0\x03\0\x02user\0agent-7\0\0", Opening::Startup),
        (&[22, 3, 1, 2, 0, 1, 0, 1, 252], Opening::Tls),
        // a request of another length, and a first packet longer than PostgreSQL takes
        (&[0, 0, 0, 9, 0x04, 0xd2, 0x16, 0x2f, 0], Opening::Other),
        (&[0, 1, 0, 0, 0, 3, 0, 0], Opening::Other),
        (b"GET / HTTP/1.1\r\n", Opening::Other),
        (&[0; 64], Opening::Other),
    ];
    for (bytes, meaning) in table {
        assert_eq!(opening(bytes), meaning, "{bytes:?}");
    }
}

#[test]
fn an_answer_never_changes_when_more_bytes_come() {
    let all: [&[u8]; 4] = [SSL, &[22, 3, 1, 2, 0, 1, 0, 1, 252], &[0; 64], b"GET / HTTP/1.1"];
    for bytes in all {
        let mut said = Opening::Unsure;
        for len in 0..=bytes.len() {
            let now = opening(&bytes[..len]);
            assert!(said == Opening::Unsure || now == said, "{bytes:?} at {len}");
            assert!(now != Opening::Unsure || len < REQUEST_LEN, "{bytes:?} at {len}");
            said = now;
        }
    }
}

#[test]
fn a_fatal_error_states_its_own_length() {
    let bytes = fatal("28000", "tls only");
    assert_eq!(bytes, b"E\0\0\0\x24SFATAL\0VFATAL\0C28000\0Mtls only\0\0");
    assert_eq!(bytes.len(), 0x24 + 1);
}
