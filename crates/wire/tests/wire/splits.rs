use portcullis_wire::client_hello::{HelloError, MAX_RECORDS, Progress, from_handshake, from_records};

use crate::{
    corpus,
    forge::{Forge, record, records},
};

#[test]
fn a_hello_cut_at_every_byte_is_incomplete_until_it_is_whole() {
    for (name, bytes) in corpus::hellos() {
        let whole = from_records(&bytes);
        assert!(matches!(whole, Ok(Progress::Complete(_))), "{name}: {whole:?}");
        for n in 0..bytes.len() {
            assert_eq!(from_records(&bytes[..n]), Ok(Progress::Incomplete), "{name} at {n}");
        }
        let more = [bytes, vec![0xff; 100]].concat();
        assert_eq!(from_records(&more), whole, "{name}");
    }
}

#[test]
fn a_handshake_stream_cut_at_every_byte_is_incomplete_until_it_is_whole() {
    for (name, bytes) in corpus::hellos() {
        let message = corpus::message(&bytes);
        for n in 0..message.len() {
            assert_eq!(from_handshake(&message[..n]), Ok(Progress::Incomplete), "{name} at {n}");
        }
        assert_eq!(from_handshake(&message), from_records(&bytes), "{name}");
    }
}

#[test]
fn records_of_every_size_carry_the_same_hello() {
    for (name, bytes) in corpus::hellos() {
        let message = corpus::message(&bytes);
        let whole = from_records(&bytes);
        for size in 1..=message.len() {
            let read = from_records(&records(&message, size));
            if message.len().div_ceil(size) <= MAX_RECORDS {
                assert_eq!(read, whole, "{name} in records of {size}");
            } else {
                assert_eq!(read, Err(HelloError::TooManyRecords), "{name} in records of {size}");
            }
        }
    }
}

#[test]
fn a_hello_in_records_of_one_byte_is_read_and_cut_anywhere_is_incomplete() {
    let message = Forge::bare().message();
    let bytes = records(&message, 1);
    assert_eq!(from_records(&bytes), from_handshake(&message));
    for n in 0..bytes.len() {
        assert_eq!(from_records(&bytes[..n]), Ok(Progress::Incomplete), "at {n}");
    }
}

#[test]
fn one_record_more_than_the_limit_is_refused_before_it_begins() {
    let most = Forge::bare().with(21, vec![0; 100]).message();
    let endless = records(&most[..MAX_RECORDS], 1);
    assert_eq!(from_records(&endless[..endless.len() - 1]), Ok(Progress::Incomplete));
    assert_eq!(from_records(&endless), Err(HelloError::TooManyRecords));
    // The last record allowed may still bring all that is missing.
    let (first, rest) = most.split_at(MAX_RECORDS - 1);
    let full = [records(first, 1), record(22, rest)].concat();
    assert_eq!(from_records(&full), from_handshake(&most));
}

#[test]
fn another_record_between_the_parts_of_a_hello_is_refused() {
    let message = Forge::tls13().message();
    let (first, second) = message.split_at(40);
    for kind in [20, 21, 23, 24] {
        let mixed = [record(22, first), record(kind, &[1]), record(22, second)].concat();
        assert_eq!(from_records(&mixed), Err(HelloError::NotAClientHello), "{kind}");
    }
}

#[test]
fn the_corpus_has_a_hello_in_several_records() {
    let bytes = corpus::file("hellos", "openssl35-many-records");
    assert_eq!(bytes.len() - corpus::message(&bytes).len(), 4 * 5);
}
