//! Hellos over QUIC, whole, cut and wrong.
use super::{Door, h3, meet, over_quic};
use crate::lab::{ML_DSA_65, P256, connect, groups, identity, offer, outgoing, spec};
use portcullis_tls::{
    client::{Client, ClientSpec},
    negotiated::Version,
    quic::{Acceptor, End, Handshake, VERSION},
    server::Refusal,
};
use portcullis_wire::{alert::Alert, client_hello::HelloError};
use quinn::crypto::Session;
use quinn_proto::{Side, transport_parameters::TransportParameters};

fn no_parameters() -> TransportParameters {
    TransportParameters::read(Side::Client, &mut &[][..]).expect("each of them may be left out")
}

/// A session that nothing but this test feeds.
fn alone(door: Door) -> (Box<dyn Session>, Handshake<Door>) {
    let (config, handshake) = Acceptor::new().begin(door);
    (config.start_session(VERSION, &no_parameters()), handshake)
}

/// What a client says first.
fn hello(client: &Client) -> Vec<u8> {
    let (config, _asked) = client.over_quic(&Acceptor::new());
    let session = config.start_session(VERSION, "localhost", &no_parameters());
    said(&mut *session.expect("the name is one"))
}

fn said(session: &mut dyn Session) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.write_handshake(&mut bytes).is_some() {}
    bytes
}

#[tokio::test]
async fn a_hello_beyond_what_tls_allows_is_refused_by_its_length() {
    let site = over_quic(spec(&[&identity(&P256)]));
    // 63 protocols of 255 bytes are 16 KiB, and 250 of them nearly all that an extension holds
    for protocols in [64, 250] {
        let asking = Client::build(ClientSpec {
            alpn: vec![vec![b'a'; 255]; protocols],
            ..offer()
        });
        let met = meet(Door::of(&site), &asking.unwrap(), "localhost").await;
        assert_eq!(met.alert(), Alert::ILLEGAL_PARAMETER);
        assert_eq!(met.outcome.end, End::NoHello(HelloError::TooLong));
        assert!(met.outcome.hello.is_none());
        assert!(met.outcome.bytes_in < 2_000, "{}", met.outcome.bytes_in);
    }
}

#[test]
fn nothing_is_chosen_before_the_hello_is_whole_however_it_is_cut() {
    let site = over_quic(spec(&[&identity(&ML_DSA_65)]));
    let bytes = hello(&h3(offer()));
    for step in [1, 3, 100, 1_162, bytes.len() - 1, bytes.len()] {
        let (mut session, handshake) = alone(Door::of(&site));
        let mut pieces = bytes.chunks(step).peekable();
        while let Some(piece) = pieces.next() {
            session.read_handshake(piece).unwrap();
            assert_eq!(
                said(&mut *session).is_empty(),
                pieces.peek().is_some(),
                "in pieces of {step}"
            );
            assert_eq!(handshake.has_hello(), pieces.peek().is_none());
        }
        let outcome = handshake.take().unwrap();
        assert_eq!(outcome.hello.unwrap().len, bytes.len());
        assert_eq!(outcome.bytes_in, bytes.len() as u64);
        assert_eq!(outcome.end, End::Unfinished);
        assert!(session.is_handshaking());
    }
}

#[test]
fn what_is_no_hello_is_refused_at_its_first_wrong_byte() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let long = [1, 0, 0x40, 0];
    let table: [(&[u8], HelloError, Alert); 6] = [
        (&[0], HelloError::NotAClientHello, Alert::UNEXPECTED_MESSAGE),
        // a ServerHello
        (&[2, 0, 0, 4], HelloError::NotAClientHello, Alert::UNEXPECTED_MESSAGE),
        // a record, as over TCP
        (&[0x16, 3, 1], HelloError::NotAClientHello, Alert::UNEXPECTED_MESSAGE),
        (
            b"GET / HTTP/1.1",
            HelloError::NotAClientHello,
            Alert::UNEXPECTED_MESSAGE,
        ),
        (&[1, 1], HelloError::TooLong, Alert::ILLEGAL_PARAMETER),
        (&long, HelloError::TooLong, Alert::ILLEGAL_PARAMETER),
    ];
    for (bytes, problem, alert) in table {
        let (mut session, handshake) = alone(Door::of(&site));
        let error = session.read_handshake(bytes).unwrap_err();
        assert_eq!(u64::from(error.code), 0x100 + u64::from(alert.0));
        // nobody who has shown nothing is told more than an alert
        assert_eq!(error.reason, "");
        let outcome = handshake.take().unwrap();
        assert_eq!((outcome.end, outcome.alert_out), (End::NoHello(problem), Some(alert)));
    }
}

#[test]
fn a_hello_with_any_byte_changed_is_answered_or_refused_with_an_alert() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let good = hello(&h3(ClientSpec {
        groups: groups(&["X25519"]),
        ..offer()
    }));
    let (mut answered, mut refused) = (0, 0);
    for place in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = good.clone();
            bytes[place] ^= bit;
            let (mut session, handshake) = alone(Door::of(&site));
            let read = session.read_handshake(&bytes);
            let outcome = handshake.take().unwrap();
            match read {
                Ok(_) => answered += 1,
                Err(error) => {
                    let alert = outcome.alert_out.expect("each refusal has its alert");
                    assert_eq!(u64::from(error.code), 0x100 + u64::from(alert.0), "{place}");
                    assert_ne!(outcome.end, End::Unfinished);
                    refused += 1;
                }
            }
        }
    }
    assert!(
        answered > 100 && refused > 100,
        "{answered} answered, {refused} refused"
    );
}

#[test]
fn after_its_hello_a_client_waits() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let mut bytes = hello(&h3(offer()));
    bytes.extend([20, 0, 0, 32]);
    let (mut session, handshake) = alone(Door::of(&site));
    let error = session.read_handshake(&bytes).unwrap_err();
    assert_eq!(u64::from(error.code), 0x100 + u64::from(Alert::UNEXPECTED_MESSAGE.0));
    assert!(matches!(handshake.take().unwrap().end, End::Failed(_)));
}

#[test]
fn a_handshake_whose_outcome_was_taken_cannot_begin_or_finish() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let bytes = hello(&h3(offer()));
    for so_far in [0, 10, bytes.len()] {
        let (mut session, handshake) = alone(Door::of(&site));
        if so_far > 0 {
            session.read_handshake(&bytes[..so_far]).unwrap();
        }
        drop(handshake.take());
        let error = session.read_handshake(&bytes[so_far..]).unwrap_err();
        assert_eq!(u64::from(error.code), 0x100 + u64::from(Alert::INTERNAL_ERROR.0));
    }
}

#[test]
fn a_hello_of_tls_12_is_turned_away() {
    let site = over_quic(spec(&[&identity(&P256)]));
    let mut old = connect(ClientSpec {
        versions: vec![Version::Tls12],
        ..offer()
    });
    let record = outgoing(&mut old.tls);
    let (mut session, handshake) = alone(Door::of(&site));
    let error = session.read_handshake(&record[5..]).unwrap_err();
    assert_eq!(u64::from(error.code), 0x100 + u64::from(Alert::PROTOCOL_VERSION.0));
    let outcome = handshake.take().unwrap();
    assert_eq!(outcome.gate.refusal, Some(Refusal::NoCommonVersion));
}
