//! The handshake that leads to records of our own: cut in every way, broken in some, and the same as rustls' otherwise.
use crate::{
    forger::{Ends, ends, open},
    lab::{feed, outgoing, read},
};
use portcullis_tls::{
    records::Handshake,
    rustls::{
        AlertDescription, ClientConnection, Error, HandshakeKind, InvalidMessage, PeerMisbehaved, ServerConnection,
        server::{ProducesTickets, ServerSessionMemoryCache},
    },
    server::Choice,
};
use portcullis_wire::{Hello, registry::Cipher};
use std::{io::Write, sync::Arc};

fn begun((server, config): &Ends) -> (ClientConnection, Vec<u8>, Hello, Choice, Handshake) {
    let mut client = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    let up = outgoing(&mut client);
    let hello = read(&up);
    let choice = server.choose(&hello).unwrap();
    let handshake = Handshake::new(&choice.config).unwrap();
    (client, up, hello, choice, handshake)
}

/// What the client answers to the server's first flight.
fn second_flight(client: &mut ClientConnection, handshake: &mut Handshake) -> Vec<u8> {
    let down = handshake.outgoing().to_vec();
    handshake.written(down.len());
    feed(client, &down).unwrap();
    outgoing(client)
}

#[test]
fn it_may_come_byte_by_byte() {
    for suite in Cipher::all() {
        let ends = ends(suite);
        let (mut client, mut up, hello, choice, mut handshake) = begun(&ends);
        while !up.is_empty() {
            for byte in &up {
                handshake.take(&[*byte]).unwrap();
            }
            up = second_flight(&mut client, &mut handshake);
        }
        assert!(handshake.is_over());
        ends.0.negotiated_by_hand(&hello, &choice, &handshake).unwrap();
        assert_eq!(handshake.server_name(), Some("localhost"));
        assert!(handshake.finish().unwrap().1.is_empty());
    }
}

#[test]
fn what_follows_it_in_one_read_is_not_shown_to_it() {
    for suite in Cipher::all() {
        let (mut client, up, .., mut handshake) = begun(&ends(suite));
        handshake.take(&up).unwrap();
        let mut up = second_flight(&mut client, &mut handshake);
        // which it would refuse
        up.extend_from_slice(&[99; 50]);
        handshake.take(&up).unwrap();
        assert!(handshake.is_over(), "{}", suite.name);
        handshake.take(&[99; 50]).unwrap();
        assert_eq!(handshake.finish().unwrap().1, [99; 100]);
    }
}

#[test]
fn a_finished_that_does_not_open_is_answered_with_its_alert() {
    for suite in Cipher::all() {
        let (mut client, up, .., mut handshake) = begun(&ends(suite));
        handshake.take(&up).unwrap();
        let mut up = second_flight(&mut client, &mut handshake);
        *up.last_mut().unwrap() ^= 1;
        assert_eq!(handshake.take(&up), Err(Error::DecryptError), "{}", suite.name);
        assert!(!handshake.is_over());
        let heard = feed(&mut client, handshake.outgoing());
        assert_eq!(
            heard,
            Err(Error::AlertReceived(AlertDescription::BadRecordMac)),
            "{}",
            suite.name
        );
        assert!(handshake.finish().is_err());
    }
}

#[test]
fn a_header_that_no_record_has_is_not_waited_for() {
    let (_, up, .., mut handshake) = begun(&ends(&Cipher::all()[0]));
    handshake.take(&up).unwrap();
    let wrong = Error::from(InvalidMessage::InvalidContentType);
    assert_eq!(handshake.take(&[99, 3, 3, 0x40, 0]), Err(wrong));
}

#[test]
fn an_alert_instead_of_the_end_is_told() {
    let (_, up, .., mut handshake) = begun(&ends(&Cipher::all()[0]));
    handshake.take(&up).unwrap();
    let refused = handshake.take(&[21, 3, 3, 0, 2, 2, 48]);
    assert_eq!(refused, Err(Error::AlertReceived(AlertDescription::UnknownCA)));
}

#[test]
fn what_never_becomes_a_message_is_not_kept_without_end() {
    let (.., mut handshake) = begun(&ends(&Cipher::all()[0]));
    let too_large = Err(Error::from(InvalidMessage::HandshakePayloadTooLarge));
    // a hello of 65,000 bytes, one in each record
    let mut sent = handshake.take(&[22, 3, 1, 0, 4, 1, 0, 0xfd, 0xe8]);
    let mut records = 0;
    while sent.is_ok() {
        sent = handshake.take(&[22, 3, 1, 0, 1, 7]);
        records += 1;
    }
    assert_eq!(sent, too_large);
    assert!(records < 300, "{records}");
}

#[test]
fn a_message_that_spans_the_change_of_keys_is_refused() {
    let ends = ends(&Cipher::all()[0]);
    let (_, up, .., mut handshake) = begun(&ends);
    // the hello, and the beginning of another message in the same record
    let mut together = up.clone();
    together.extend_from_slice(&[24, 0, 0]);
    let length = u16::try_from(together.len() - 5).unwrap().to_be_bytes();
    together[3..5].copy_from_slice(&length);
    let refused = Error::from(PeerMisbehaved::KeyEpochWithPendingFragment);
    assert_eq!(handshake.take(&together), Err(refused));
}

#[test]
fn sessions_are_resumed() {
    for suite in Cipher::all() {
        let ends = ends(suite);
        for turn in 0..3 {
            let (mut client, mut up, hello, choice, mut handshake) = begun(&ends);
            while !up.is_empty() {
                handshake.take(&up).unwrap();
                up = second_flight(&mut client, &mut handshake);
            }
            let facts = ends.0.negotiated_by_hand(&hello, &choice, &handshake).unwrap();
            assert_eq!(facts.resumed, turn > 0, "{}", suite.name);
            let kind = if turn > 0 {
                HandshakeKind::Resumed
            } else {
                HandshakeKind::Full
            };
            assert_eq!(client.handshake_kind(), Some(kind));
        }
    }
}

/// A server's way to be stateful: early data is taken only so.
#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }
    fn lifetime(&self) -> u32 {
        0
    }
    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// Leaves a client with a session in which it may send early data, of a server that took it under our name before us.
fn predecessor((server, config): &Ends) {
    let mut client = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    let mut up = outgoing(&mut client);
    let mut config = (*server.choose(&read(&up)).unwrap().config).clone();
    config.max_early_data_size = 16_384;
    config.ticketer = Arc::new(NoTickets);
    config.session_storage = ServerSessionMemoryCache::new(8);
    let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
    while !up.is_empty() {
        feed(&mut tls, &up).unwrap();
        feed(&mut client, &outgoing(&mut tls)).unwrap();
        up = outgoing(&mut client);
    }
}

/// As much of it as rustls passes over: 16 KiB, and each record counts again when the next one comes.
#[test]
fn early_data_is_passed_over_and_what_follows_is_not() {
    for suite in Cipher::all().iter().filter(|suite| suite.tls13) {
        for (length, piece) in [
            (1, 1),
            (1, 1_000),
            (5_000, 1),
            (8_000, 100),
            (8_000, 7_000),
            (8_000, 100_000),
        ] {
            let (server, config) = ends(suite);
            let mut config = (*config).clone();
            config.enable_early_data = true;
            let ends = (server, Arc::new(config));
            predecessor(&ends);
            let mut client = ClientConnection::new(Arc::clone(&ends.1), "localhost".try_into().unwrap()).unwrap();
            let early = vec![7; length];
            client.early_data().unwrap().write_all(&early).unwrap();
            let mut up = outgoing(&mut client);
            let hello = read(&up);
            let choice = ends.0.choose(&hello).unwrap();
            let mut handshake = Handshake::new(&choice.config).unwrap();
            while !up.is_empty() {
                for piece in up.chunks(piece) {
                    handshake.take(piece).unwrap();
                }
                up = second_flight(&mut client, &mut handshake);
                if handshake.outgoing().is_empty() && !client.is_handshaking() && !handshake.is_over() {
                    client.writer().write_all(b"late").unwrap();
                    up.extend(outgoing(&mut client));
                }
            }
            assert!(!client.is_early_data_accepted());
            assert!(!ends.0.negotiated_by_hand(&hello, &choice, &handshake).unwrap().resumed);
            let (mut records, behind) = handshake.finish().unwrap();
            assert_eq!(
                open(&mut records, &behind).unwrap(),
                b"late",
                "{} {length} {piece}",
                suite.name
            );
        }
    }
}
