//! What a client may not send behind the handshake, what it is told about it, and what the log says.
use crate::forger::{ALERT, CCS, DATA, Ends, Forger, HANDSHAKE, ends, open, pair, said, times};
use portcullis_tls::{
    failure::blame,
    rustls::{
        AlertDescription, ContentType, Error, HandshakeType, InvalidMessage as Invalid, PeerMisbehaved as Misbehaved,
    },
};
use portcullis_wire::{alert::Alert, registry::Cipher};
use std::io::IoSlice;

/// What a client that breaks a rule is told, and what the log says.
struct Broken {
    what: &'static str,
    forge: fn(&mut Forger) -> Vec<u8>,
    error: Error,
    alert: Option<u8>,
}

fn broken(what: &'static str, forge: fn(&mut Forger) -> Vec<u8>, error: impl Into<Error>, alert: Option<u8>) -> Broken {
    let error = error.into();
    Broken {
        what,
        forge,
        error,
        alert,
    }
}

const UNEXPECTED: Option<u8> = Some(10);
const BAD_MAC: Option<u8> = Some(20);
const OVERFLOW: Option<u8> = Some(22);
const ILLEGAL: Option<u8> = Some(47);
const DECODE: Option<u8> = Some(50);

fn broken_in_both() -> Vec<Broken> {
    let alerted = |description| Error::AlertReceived(AlertDescription::from(description));
    vec![
        broken(
            "content type",
            |_| vec![99, 3, 3, 0, 1, 0],
            Invalid::InvalidContentType,
            DECODE,
        ),
        broken(
            "version",
            |_| vec![DATA, 2, 3, 0, 1, 0],
            Invalid::UnknownProtocolVersion,
            DECODE,
        ),
        broken(
            "empty alert",
            |_| vec![ALERT, 3, 3, 0, 0],
            Invalid::InvalidEmptyPayload,
            DECODE,
        ),
        broken(
            "no room for a tag",
            |_| vec![DATA, 3, 3, 0, 0],
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "a header longer than any",
            |_| vec![DATA, 3, 3, 255, 255],
            Error::PeerSentOversizedRecord,
            OVERFLOW,
        ),
        broken(
            "another key",
            |_| [vec![DATA, 3, 3, 0, 40], vec![7; 40]].concat(),
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "content too long",
            |f| f.record(DATA, &[0; 16_385]),
            Error::PeerSentOversizedRecord,
            OVERFLOW,
        ),
        broken(
            "a heartbeat",
            |f| f.record(24, b"x"),
            Invalid::InvalidContentType,
            DECODE,
        ),
        broken(
            "half an alert",
            |f| f.record(ALERT, &[2]),
            Invalid::MissingData("alert"),
            DECODE,
        ),
        broken(
            "two alerts",
            |f| f.record(ALERT, &[1, 90, 1, 90]),
            Invalid::TrailingData("alert"),
            DECODE,
        ),
        broken("a fatal alert", |f| f.record(ALERT, &[2, 48]), alerted(48), None),
        broken(
            "an alert of no level",
            |f| f.record(ALERT, &[3, 0]),
            alerted(0),
            ILLEGAL,
        ),
        broken(
            "warnings",
            |f| times(5, || f.record(ALERT, &[1, 90])),
            Misbehaved::TooManyWarningAlertsReceived,
            None,
        ),
        broken(
            "nothing but empty records",
            |f| times(33, || f.record(DATA, b"")),
            Misbehaved::TooManyEmptyFragments,
            None,
        ),
        broken(
            "data within a message",
            |f| {
                let kind = if f.is_tls13() { 24 } else { 1 };
                [f.record(HANDSHAKE, &[kind, 0]), f.record(DATA, b"x")].concat()
            },
            Misbehaved::MessageInterleavedWithHandshakeMessage,
            None,
        ),
    ]
}

fn broken_in_tls13() -> Vec<Broken> {
    let inappropriate = |got_type| Error::InappropriateHandshakeMessage {
        expect_types: vec![HandshakeType::KeyUpdate],
        got_type,
    };
    let ccs = Error::InappropriateMessage {
        expect_types: vec![ContentType::ApplicationData, ContentType::Handshake],
        got_type: ContentType::ChangeCipherSpec,
    };
    let alerted = |description| Error::AlertReceived(AlertDescription::from(description));
    vec![
        broken(
            "nothing but padding",
            |f| f.record(0, &[0; 100]),
            Misbehaved::IllegalTlsInnerPlaintext,
            None,
        ),
        broken(
            "all empty",
            |f| f.record(0, &[]),
            Misbehaved::IllegalTlsInnerPlaintext,
            None,
        ),
        broken(
            "padded too far",
            |f| f.padded(DATA, b"x", 16_384),
            Error::PeerSentOversizedRecord,
            OVERFLOW,
        ),
        broken(
            "header too long",
            |_| vec![DATA, 3, 3, 0x41, 1],
            Error::PeerSentOversizedRecord,
            OVERFLOW,
        ),
        broken("change_cipher_spec", |_| vec![CCS, 3, 3, 0, 1, 1], ccs, UNEXPECTED),
        broken(
            "change_cipher_spec within",
            |f| f.record(CCS, &[1]),
            Misbehaved::IllegalMiddleboxChangeCipherSpec,
            UNEXPECTED,
        ),
        broken(
            "an alert in the clear",
            |_| vec![ALERT, 3, 3, 0, 2, 2, 48],
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "a hello in the clear",
            |_| vec![HANDSHAKE, 3, 3, 0, 4, 1, 0, 0, 0],
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "an outer type that was not sealed",
            |f| [&[ALERT], &f.record(DATA, b"x")[1..]].concat(),
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "an outer version that was not sealed",
            |f| [&[DATA, 3, 1], &f.record(DATA, b"x")[3..]].concat(),
            Error::DecryptError,
            BAD_MAC,
        ),
        broken("another warning", |f| f.record(ALERT, &[1, 100]), alerted(100), DECODE),
        broken(
            "a hello",
            |f| f.record(HANDSHAKE, &[1, 0, 0, 1, 0]),
            inappropriate(HandshakeType::ClientHello),
            UNEXPECTED,
        ),
        broken(
            "a ticket",
            |f| f.record(HANDSHAKE, &[4]),
            inappropriate(HandshakeType::NewSessionTicket),
            UNEXPECTED,
        ),
        broken(
            "a certificate",
            |f| f.record(HANDSHAKE, &[11, 0]),
            inappropriate(HandshakeType::Certificate),
            UNEXPECTED,
        ),
        broken(
            "a key update of nothing",
            |f| f.record(HANDSHAKE, &[24, 0, 0, 0]),
            Invalid::MissingData("KeyUpdate"),
            DECODE,
        ),
        broken(
            "a key update too long",
            |f| f.record(HANDSHAKE, &[24, 0, 0, 2, 0, 0]),
            Invalid::TrailingData("KeyUpdate"),
            DECODE,
        ),
        broken(
            "a key update that asks in no way",
            |f| f.record(HANDSHAKE, &[24, 0, 0, 1, 2]),
            Invalid::InvalidKeyUpdate,
            ILLEGAL,
        ),
        broken(
            "a key update with more behind it",
            |f| f.record(HANDSHAKE, &[24, 0, 0, 1, 0, 24]),
            Misbehaved::KeyEpochWithPendingFragment,
            UNEXPECTED,
        ),
    ]
}

fn broken_in_tls12() -> Vec<Broken> {
    let inappropriate = |got_type| Error::InappropriateMessage {
        expect_types: vec![ContentType::ApplicationData],
        got_type,
    };
    vec![
        broken(
            "change_cipher_spec",
            |_| vec![CCS, 3, 3, 0, 1, 1],
            inappropriate(ContentType::ChangeCipherSpec),
            UNEXPECTED,
        ),
        broken(
            "header too long",
            |_| vec![DATA, 3, 3, 0x48, 1],
            Error::PeerSentOversizedRecord,
            OVERFLOW,
        ),
        broken(
            "an alert in the clear",
            |_| vec![ALERT, 3, 3, 0, 2, 2, 48],
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "another version",
            |f| [&[DATA, 3, 1], &f.record(DATA, b"x")[3..]].concat(),
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "another type",
            |f| [&[ALERT], &f.record(DATA, &[2, 48])[1..]].concat(),
            Error::DecryptError,
            BAD_MAC,
        ),
        broken(
            "another message",
            |f| f.record(HANDSHAKE, &[16, 0, 0, 0]),
            inappropriate(ContentType::Handshake),
            UNEXPECTED,
        ),
        broken(
            "a hello too long",
            |f| f.record(HANDSHAKE, &[1, 1, 0, 0]),
            Invalid::HandshakePayloadTooLarge,
            DECODE,
        ),
        broken(
            "renegotiating again",
            |f| times(2, || f.record(HANDSHAKE, &[1, 0, 0, 1, 0])),
            Misbehaved::TooManyRenegotiationRequests,
            None,
        ),
    ]
}

/// Whatever a rule is broken by, the client is told, the log says it, and nothing is opened any more.
fn is_refused(suite: &Cipher, case: &Broken, ends: &Ends) {
    let (mut forger, mut records) = pair(ends, &[]).forge();
    let bytes = (case.forge)(&mut forger);
    let (what, name) = (case.what, suite.name);
    assert_eq!(open(&mut records, &bytes), Err(case.error.clone()), "{what}, {name}");
    let told = forger.read(&said(&mut records));
    let alerts: Vec<&[u8]> = told
        .iter()
        .map(|(_, payload)| payload.as_slice())
        .filter(|alert| alert[0] == 2)
        .collect();
    let expected: Vec<[u8; 2]> = case.alert.map(|alert| [2, alert]).into_iter().collect();
    assert_eq!(alerts, expected, "{what}, {name}");
    let good = forger.record(DATA, b"x");
    assert_eq!(open(&mut records, &good), Err(case.error.clone()), "{what}, {name}");
    records.seal(&[IoSlice::new(b"x")]);
    assert!(
        case.alert.is_none() || !records.wants_write(),
        "nothing follows a fatal alert"
    );
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_alert() {
    for suite in Cipher::all() {
        let ends = ends(suite);
        let mut cases = broken_in_both();
        if suite.tls13 {
            cases.retain(|case| case.what != "warnings");
            cases.extend(broken_in_tls13());
        } else {
            cases.extend(broken_in_tls12());
        }
        for case in &cases {
            is_refused(suite, case, &ends);
        }
    }
}

#[test]
fn what_is_told_is_what_the_log_says() {
    let all = [broken_in_both(), broken_in_tls13(), broken_in_tls12()];
    for case in all.iter().flatten() {
        let blame = blame(&case.error);
        // of an alert that came the log names that one, and an update of no kind shares its name with those cut short
        let is_named = !matches!(
            case.error,
            Error::AlertReceived(_) | Error::InvalidMessage(Invalid::InvalidKeyUpdate)
        );
        if is_named {
            assert_eq!(blame.alert_out, case.alert.map(Alert), "{}", case.what);
        }
    }
}
