//! Records of our own behind rustls' handshake, with rustls' client and with a forger that has its keys.
use crate::{
    forger::{ALERT, DATA, Forger, HANDSHAKE, Pair, ends, open, open_in_pieces, pair, said, times},
    lab::{feed, outgoing},
};
use portcullis_tls::{
    records::{MAX_RECORD, Records},
    rustls::{AlertDescription, ClientConnection, Error, PeerMisbehaved as Misbehaved},
};
use portcullis_wire::{alert::Alert, registry::Cipher};
use std::io::{BufRead, IoSlice, Write};

fn suites() -> impl Iterator<Item = &'static Cipher> {
    Cipher::all().iter()
}

fn new_suites() -> impl Iterator<Item = &'static Cipher> {
    suites().filter(|suite| suite.tls13)
}

fn old_suites() -> impl Iterator<Item = &'static Cipher> {
    suites().filter(|suite| !suite.tls13)
}

fn first(mut suites: impl Iterator<Item = &'static Cipher>) -> &'static Cipher {
    suites.next().unwrap()
}

fn forged(suite: &Cipher) -> (Forger, Records) {
    pair(&ends(suite), &[]).forge()
}

/// Bytes of which any wrong order shows.
fn story(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

/// What a client makes of bytes.
fn received(client: &mut ClientConnection, mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets().unwrap();
        drain(client, &mut all);
    }
    all
}

fn drain(client: &mut ClientConnection, all: &mut Vec<u8>) {
    while let Ok(piece) = client.reader().fill_buf().map(<[u8]>::to_vec)
        && !piece.is_empty()
    {
        client.reader().consume(piece.len());
        all.extend(piece);
    }
}

#[test]
fn bytes_pass_both_ways_with_every_suite_however_they_are_cut() {
    for suite in suites() {
        let ends = ends(suite);
        for cut in [1, 2, 5, 6, 21, 1448, 16_406, 16_500, 65_536, 1 << 20] {
            let Pair {
                mut client,
                mut records,
                behind,
            } = pair(&ends, &[]);
            assert!(behind.is_empty());
            let length = if cut < 100 { 20_000 } else { 300_000 };
            let story = story(length);
            client.set_buffer_limit(None);
            client.writer().write_all(&story).unwrap();
            client.send_close_notify();
            let up = outgoing(&mut client);
            let plain = open_in_pieces(&mut records, &up, std::iter::repeat(cut)).unwrap();
            assert!(plain == story, "{} cut at {cut}", suite.name);
            assert!(records.has_closed());
            let pieces: Vec<IoSlice<'_>> = story.chunks(cut.max(100)).map(IoSlice::new).collect();
            records.seal(&pieces);
            records.close();
            assert!(received(&mut client, &said(&mut records)) == story, "{}", suite.name);
            assert!(client.process_new_packets().unwrap().peer_has_closed());
        }
    }
}

#[test]
fn what_comes_behind_the_handshake_is_not_lost() {
    for suite in suites() {
        let ahead = story(40_000);
        let Pair {
            mut records, behind, ..
        } = pair(&ends(suite), &ahead);
        // in TLS 1.2 the client is the first that is done only when a session is resumed
        assert_eq!(suite.tls13, !behind.is_empty());
        if suite.tls13 {
            assert!(open(&mut records, &behind).unwrap() == ahead);
        }
    }
}

#[test]
fn records_are_as_few_as_hold_what_is_sealed() {
    let (mut forger, mut records) = forged(first(suites()));
    let story = story(40_000);
    records.seal(&[]);
    records.seal(&[IoSlice::new(&[])]);
    assert!(!records.wants_write(), "nothing makes no record");
    records.seal(&[
        IoSlice::new(&story[..10]),
        IoSlice::new(&[]),
        IoSlice::new(&story[10..]),
    ]);
    let sealed = forger.read(&said(&mut records));
    let lengths: Vec<usize> = sealed.iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(lengths, [16_384, 16_384, 7_232]);
    let all: Vec<u8> = sealed.into_iter().flat_map(|(_, payload)| payload).collect();
    assert!(all == story);
}

#[test]
fn padding_is_taken_off() {
    for suite in new_suites() {
        let (mut forger, mut records) = forged(suite);
        let mut bytes = forger.padded(DATA, b"one", 1);
        bytes.extend(forger.padded(DATA, b"two", 16_384 - 3));
        bytes.extend(forger.padded(DATA, b"", 100));
        bytes.extend(forger.padded(DATA, &[0, 0, 0], 7));
        bytes.extend(forger.record(DATA, &story(16_384)));
        let expected = [b"onetwo\0\0\0".as_slice(), &story(16_384)].concat();
        assert!(open(&mut records, &bytes).unwrap() == expected);
    }
}

#[test]
fn keys_are_updated_whoever_asks() {
    for suite in new_suites() {
        let Pair {
            mut client,
            mut records,
            ..
        } = pair(&ends(suite), &[]);
        for round in 0..100_u8 {
            client.writer().write_all(&[round, 1]).unwrap();
            // it asks for ours as well
            client.refresh_traffic_keys().unwrap();
            client.writer().write_all(&[round, 2]).unwrap();
            let up = outgoing(&mut client);
            assert_eq!(open(&mut records, &up).unwrap(), [round, 1, round, 2]);
            assert!(!records.wants_write(), "the answer comes with what is said next");
            records.seal(&[IoSlice::new(&[round, 3])]);
            assert_eq!(received(&mut client, &said(&mut records)), [round, 3]);
        }
    }
}

#[test]
fn however_often_new_keys_are_asked_for_one_answer_is_owed() {
    let (mut forger, mut records) = forged(first(new_suites()));
    let asking = forger.record(HANDSHAKE, &[24, 0, 0, 1, 1]);
    open(&mut records, &asking).unwrap();
    records.seal(&[IoSlice::new(b"x")]);
    let sealed = said(&mut records);
    assert_eq!(forger.read(&sealed[..5 + 5 + 17]), [(HANDSHAKE, vec![24, 0, 0, 1, 0])]);
    assert_eq!(sealed.len(), 5 + 5 + 17 + 5 + 1 + 17, "one record under the new keys");
}

#[test]
fn a_key_update_may_come_in_pieces() {
    let (mut forger, mut records) = forged(first(new_suites()));
    for byte in [24, 0, 0, 1] {
        let piece = forger.record(HANDSHAKE, &[byte]);
        assert_eq!(open(&mut records, &piece).unwrap(), []);
    }
    let last = forger.record(HANDSHAKE, &[0]);
    assert_eq!(open(&mut records, &last).unwrap(), []);
    let old = forger.record(DATA, b"under the old keys");
    assert_eq!(open(&mut records, &old), Err(Error::DecryptError));
}

#[test]
fn a_flipped_bit_opens_nothing() {
    for suite in suites() {
        let ends = ends(suite);
        let length = pair(&ends, &[]).forge().0.record(DATA, b"attack").len();
        for place in 0..length {
            let (mut forger, mut records) = pair(&ends, &[]).forge();
            let mut record = forger.record(DATA, b"attack");
            record[place] ^= 1 << (place % 8);
            let follows = forger.record(DATA, b"at dawn");
            let mut buffer = [record, follows].concat();
            let came = buffer.len();
            match records.open(&mut buffer, came) {
                // a length that says more than came
                Ok(opened) => assert_eq!((opened.filled, opened.rest), (0, 0), "{} at {place}", suite.name),
                Err(_) => assert!(records.open(&mut buffer, came).is_err()),
            }
        }
    }
}

#[test]
fn records_left_out_doubled_or_out_of_order_open_nothing() {
    for suite in suites() {
        let ends = ends(suite);
        for order in [[1, 0, 2], [0, 0, 1], [0, 2, 1], [1, 1, 1]] {
            let (mut forger, mut records) = pair(&ends, &[]).forge();
            let sent: Vec<Vec<u8>> = (0..3_u8).map(|i| forger.record(DATA, &[i])).collect();
            let bytes: Vec<u8> = order.iter().flat_map(|place| sent[*place].clone()).collect();
            assert_eq!(open(&mut records, &bytes), Err(Error::DecryptError), "{order:?}");
        }
    }
}

#[test]
fn a_truncated_record_is_waited_for_and_never_longer_than_it_says() {
    for suite in suites() {
        let (mut forger, mut records) = forged(suite);
        let record = forger.record(DATA, &story(16_384));
        assert!(record.len() <= MAX_RECORD);
        for length in 0..record.len() {
            let mut buffer = record[..length].to_vec();
            let opened = records.open(&mut buffer, length).unwrap();
            assert_eq!((opened.filled, opened.rest), (0, 0));
            let whole = if length < 5 { 5 } else { record.len() };
            assert_eq!(opened.lacks, whole - length);
        }
        assert!(open(&mut records, &record).unwrap() == story(16_384));
    }
}

#[test]
fn empty_records_among_others_are_borne() {
    for suite in suites() {
        let (mut forger, mut records) = forged(suite);
        for _ in 0..10 {
            let empty = times(32, || forger.record(DATA, b""));
            assert_eq!(open(&mut records, &empty).unwrap(), []);
            let full = forger.record(DATA, b"x");
            assert_eq!(open(&mut records, &full).unwrap(), b"x");
        }
    }
}

#[test]
fn key_updates_are_bounded_where_no_data_comes() {
    let (mut forger, mut records) = forged(first(new_suites()));
    let update = forger.record(HANDSHAKE, &[24, 0, 0, 1, 0]);
    open(&mut records, &update).unwrap();
    let Pair {
        mut client,
        mut records,
        ..
    } = pair(&ends(first(new_suites())), &[]);
    for _ in 0..32 {
        client.refresh_traffic_keys().unwrap();
        open(&mut records, &outgoing(&mut client)).unwrap();
    }
    client.writer().write_all(b"x").unwrap();
    open(&mut records, &outgoing(&mut client)).unwrap();
    for _ in 0..32 {
        client.refresh_traffic_keys().unwrap();
        open(&mut records, &outgoing(&mut client)).unwrap();
    }
    client.refresh_traffic_keys().unwrap();
    let too_many = Error::from(Misbehaved::TooManyKeyUpdateRequests);
    assert_eq!(open(&mut records, &outgoing(&mut client)), Err(too_many));
}

#[test]
fn renegotiation_is_declined_once() {
    for suite in old_suites() {
        let (mut forger, mut records) = forged(suite);
        // in pieces, as a hello that is longer than a record comes
        let hello = [&[1, 0, 0x4e, 0x20][..], &story(20_000)].concat();
        let pieces = hello
            .chunks(7_000)
            .map(|piece| forger.record(HANDSHAKE, piece))
            .collect::<Vec<_>>();
        let bytes = [pieces.concat(), forger.record(DATA, b"x")].concat();
        assert_eq!(open(&mut records, &bytes).unwrap(), b"x");
        assert_eq!(forger.read(&said(&mut records)), [(ALERT, vec![1, 100])]);
    }
}

#[test]
fn nothing_follows_a_close() {
    for suite in suites() {
        let (mut forger, mut records) = forged(suite);
        let bytes = [
            forger.record(DATA, b"x"),
            forger.record(ALERT, &[1, 0]),
            forger.record(DATA, b"y"),
            vec![255; 100],
        ]
        .concat();
        assert_eq!(open(&mut records, &bytes).unwrap(), b"x");
        assert!(records.has_closed());
        assert_eq!(open(&mut records, &[255; 100]).unwrap(), []);
        records.seal(&[IoSlice::new(b"still sent")]);
        records.close();
        records.seal(&[IoSlice::new(b"not any more")]);
        records.close();
        records.fatal(Alert::INTERNAL_ERROR);
        let expected = [(DATA, b"still sent".to_vec()), (ALERT, vec![1, 0])];
        assert_eq!(forger.read(&said(&mut records)), expected);
    }
}

#[test]
fn user_canceled_is_borne() {
    for suite in suites() {
        let (mut forger, mut records) = forged(suite);
        let bytes = [forger.record(ALERT, &[1, 90]), forger.record(DATA, b"x")].concat();
        assert_eq!(open(&mut records, &bytes).unwrap(), b"x");
    }
}

#[test]
fn an_alert_after_the_handshake_reaches_the_client_with_every_suite() {
    for suite in suites() {
        let Pair {
            mut client,
            mut records,
            ..
        } = pair(&ends(suite), &[]);
        records.fatal(Alert::ACCESS_DENIED);
        let denied = Error::AlertReceived(AlertDescription::AccessDenied);
        assert_eq!(feed(&mut client, &said(&mut records)), Err(denied), "{}", suite.name);
    }
}

#[test]
fn a_key_that_has_sealed_its_share_is_changed_before_more_is_sealed() {
    for suite in new_suites() {
        let Pair {
            mut client,
            mut records,
            ..
        } = pair(&ends(suite), &[]);
        records.lower_key_limit(5);
        let story = story(20 * 16_384);
        records.seal(&[IoSlice::new(&story)]);
        let down = said(&mut records);
        // two tickets and two records under the first key, four under each that follows
        assert_eq!(down.len() - story.len(), 20 * 22 + 5 * 27, "five updates");
        assert!(received(&mut client, &down) == story, "{}", suite.name);
        // it was asked for new keys as often, and answers once
        open(&mut records, &{
            client.writer().write_all(b"x").unwrap();
            outgoing(&mut client)
        })
        .unwrap();
    }
}

#[test]
fn tls12_ends_where_its_keys_have_sealed_their_share() {
    for suite in old_suites() {
        let (mut forger, mut records) = forged(suite);
        // the first is the handshake's
        records.lower_key_limit(4);
        for byte in 0..10 {
            records.seal(&[IoSlice::new(&[byte])]);
        }
        let mut down = Vec::new();
        let end = loop {
            match records.write_to(&mut down) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(end.kind(), std::io::ErrorKind::Other);
        let data = |byte| (DATA, vec![byte]);
        assert_eq!(forger.read(&down), [data(0), data(1), data(2), (ALERT, vec![1, 0])]);
    }
}
