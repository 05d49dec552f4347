//! Records through the proxy as OpenSSL makes and reads them: every suite, small, padded, and under changing keys.
use crate::{Stage, ending};
use portcullis_e2e::client::{Conversation, KeyUpdate, Offer, Versions, alert_in};
use std::io::{Read, Write};

const SUITES: [(Versions, &str); 6] = [
    (Versions::Only13, "TLS_AES_128_GCM_SHA256"),
    (Versions::Only13, "TLS_AES_256_GCM_SHA384"),
    (Versions::Only13, "TLS_CHACHA20_POLY1305_SHA256"),
    (Versions::Only12, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (Versions::Only12, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (Versions::Only12, "ECDHE-ECDSA-CHACHA20-POLY1305"),
];

fn new_suites() -> impl Iterator<Item = (Versions, &'static str)> {
    SUITES.into_iter().filter(|(version, _)| *version == Versions::Only13)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// An echo of this suite.
fn conversation(stage: &Stage, (versions, suite): (Versions, &str)) -> Conversation {
    stage.connect(Offer::groups("X25519MLKEM768:X25519:P-256").suite(versions, suite))
}

fn closes(stage: &Stage, conversation: Conversation, sent: usize) {
    let local = conversation.local();
    conversation.close();
    let record = stage.proxy.record(local);
    assert_eq!(record["outcome"], "ok", "{record:#}");
    let counted = [&record["bytes_in"], &record["bytes_out"]].map(|n| n.as_u64());
    assert_eq!(counted, [Some(sent as u64); 2]);
}

#[test]
fn every_suite_carries_every_length_both_ways() {
    let stage = Stage::echo();
    for (versions, suite) in SUITES {
        let mut conversation = conversation(&stage, (versions, suite));
        assert_eq!(
            conversation.seen().version.ends_with("1.3"),
            versions == Versions::Only13
        );
        let lengths = [1, 2, 15, 16, 17, 255, 1_371, 16_383, 16_384, 16_385, 60_000];
        for len in lengths {
            conversation.echo(&bytes(len));
        }
        closes(&stage, conversation, lengths.iter().sum());
    }
}

#[test]
fn records_may_be_small_and_padded() {
    let stage = Stage::echo();
    for (versions, suite) in SUITES {
        let mut conversation = conversation(&stage, (versions, suite));
        conversation.limit_records(512);
        if versions == Versions::Only13 {
            conversation.pad(511);
        }
        for len in [1, 512, 513, 50_000] {
            conversation.echo(&bytes(len));
        }
        closes(&stage, conversation, 51_026);
    }
}

#[test]
fn a_record_of_nearly_nothing_but_padding_is_one() {
    let stage = Stage::echo();
    for suite in new_suites() {
        let mut conversation = conversation(&stage, suite);
        conversation.pad(16_384);
        for len in [1, 100, 16_384] {
            conversation.echo(&bytes(len));
        }
        closes(&stage, conversation, 16_485);
    }
}

#[test]
fn keys_are_updated_in_either_way_and_both() {
    let stage = Stage::echo();
    for suite in new_suites() {
        let mut conversation = conversation(&stage, suite);
        for round in 0..50 {
            let kind = [KeyUpdate::OneWay, KeyUpdate::BothWays][round % 2];
            conversation.update_keys(kind);
            conversation.echo(&bytes(20_000));
        }
        closes(&stage, conversation, 1_000_000);
    }
}

#[test]
fn records_that_come_byte_by_byte_are_put_together() {
    let stage = Stage::echo();
    for (versions, suite) in SUITES {
        let mut conversation = conversation(&stage, (versions, suite));
        conversation.echo(b"whole");
        conversation.wire_mut().hold_back();
        conversation.write_all(&bytes(2_000)).expect("it is held back");
        let released = conversation.wire_mut().release_byte_by_byte();
        released.expect("an open socket");
        let mut back = vec![0; 2_000];
        conversation.read_exact(&mut back).expect("an echo");
        assert!(back == bytes(2_000), "{suite}");
    }
}

#[test]
fn renegotiation_is_declined() {
    let stage = Stage::echo();
    for (versions, suite) in SUITES.into_iter().filter(|(version, _)| *version == Versions::Only12) {
        let mut conversation = conversation(&stage, (versions, suite));
        conversation.echo(b"before");
        conversation.renegotiate();
        let refused = conversation
            .exchange(b"after")
            .expect_err("OpenSSL does not go on without");
        assert!(refused.to_string().contains("no renegotiation"), "{refused}");
    }
}

#[test]
fn what_is_no_record_of_the_clients_is_answered_with_an_alert_and_blamed_on_it() {
    const BAD_RECORD_MAC: u8 = 20;
    let stage = Stage::echo();
    for suite in SUITES {
        let mut conversation = conversation(&stage, suite);
        conversation.echo(b"good");
        let forged = [[23, 3, 3, 0, 40].as_slice(), &[7; 40]].concat();
        conversation.wire_mut().inject(&forged).expect("an open socket");
        let error = conversation.read(&mut [0; 1]).expect_err("an alert");
        assert_eq!(alert_in(&error), Some(BAD_RECORD_MAC), "{error}");
        let record = stage.proxy.record(conversation.local());
        assert_eq!(ending(&record), ["failed", "relay", "client"], "{record:#}");
        assert_eq!(record["alert_out"], "bad_record_mac", "{record:#}");
    }
}
