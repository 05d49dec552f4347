//! Handshakes that fail, the alert that really went out, and whose fault it was.
use crate::lab::{
    Ca, ML_DSA_65, P256, Unfinished, connect, deliver, feed, groups, identity, offer, outgoing, read, server,
    server_params, settings, shake, spec,
};
use portcullis_tls::{
    client::{ClientSpec, Trust},
    failure::{Fault, blame},
    negotiated::Version,
    profile::{Overrides, Profile},
    rustls::{
        AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved, ServerConfig, ServerConnection,
    },
    server::{Server, ServerSpec},
};
use portcullis_wire::alert::Alert;
use std::sync::Arc;

fn site() -> Server {
    server(spec(&[&identity(&P256)]))
}

fn hello(spec: ClientSpec) -> Vec<u8> {
    outgoing(&mut connect(spec).tls)
}

/// What a server of this configuration says to these bytes: its error, and the alert on the wire.
fn told(config: &Arc<ServerConfig>, bytes: &[u8]) -> (Error, Option<Alert>) {
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    let error = feed(&mut tls, bytes).expect_err("these bytes are wrong");
    let sent = outgoing(&mut tls);
    let record = sent.len().checked_sub(7).map(|at| &sent[at..]);
    let alert = record.filter(|record| record.starts_with(&[21, 3, 3, 0, 2, 2]));
    (error, alert.map(|record| Alert(record[6])))
}

fn any_config() -> Arc<ServerConfig> {
    site().choose(&read(&hello(offer()))).unwrap().config
}

fn check(error: &Error, alert: Option<Alert>, fault: Fault) {
    let blamed = blame(error);
    assert_eq!(blamed.alert_out, alert, "{error}");
    assert_eq!(blamed.alert_in, None, "{error}");
    assert_eq!(blamed.fault, fault, "{error}");
}

/// Where the hello's extension of this kind stands: its header.
fn extension(bytes: &[u8], kind: u16) -> usize {
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(bytes[at]);
    at += 2 + number(bytes, at);
    at += 1 + usize::from(bytes[at]);
    at += 2;
    while number(bytes, at) != usize::from(kind) {
        at += 4 + number(bytes, at + 2);
    }
    at
}

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

const SIGNATURE_ALGORITHMS: u16 = 13;
const SUPPORTED_GROUPS: u16 = 10;
const SUPPORTED_VERSIONS: u16 = 43;
const PSK_MODES: u16 = 45;
const KEY_SHARE: u16 = 51;

/// A hello whose extension has become one that nobody knows.
fn without(kind: u16) -> Vec<u8> {
    let mut bytes = hello(offer());
    let at = extension(&bytes, kind);
    bytes[at..at + 2].copy_from_slice(&[0xfa, 0xfa]);
    bytes
}

#[test]
fn broken_hellos_are_the_clients_fault_and_told_as_foreseen() {
    let config = any_config();
    let mut cases: Vec<(&str, Vec<u8>, u8)> = vec![
        ("no signature schemes", without(SIGNATURE_ALGORITHMS), 40),
        ("no groups", without(SUPPORTED_GROUPS), 40),
        ("no key share", without(KEY_SHARE), 40),
    ];
    let mut share = hello(offer());
    let at = extension(&share, KEY_SHARE);
    // kind, length, length of the list, group, length: the first byte of the ML-KEM key; all ones is no coefficient
    share[at + 10..at + 40].fill(0xff);
    cases.push(("key share that is no key", share, 47));

    let mut old = hello(offer());
    let at = extension(&old, SUPPORTED_VERSIONS);
    old[at + 5..at + 9].copy_from_slice(&[3, 1, 3, 2]);
    cases.push(("versions of the last century", old, 70));

    let mut compressed = hello(offer());
    let at = 5 + 4 + 2 + 32;
    let suites = at + 1 + usize::from(compressed[at]);
    let compression = suites + 2 + number(&compressed, suites);
    compressed[compression + 1] = 1;
    cases.push(("compression", compressed, 47));

    let mut cut = hello(offer());
    let modes = extension(&cut, PSK_MODES);
    cut[modes + 4] = 9;
    cases.push(("a list longer than its extension", cut, 50));

    cases.push(("not a hello", vec![22, 3, 1, 0, 4, 2, 0, 0, 0], 50));
    cases.push(("application data", vec![23, 3, 3, 0, 1, 0], 10));
    cases.push(("an unknown record", vec![99, 3, 3, 0, 1, 0], 50));
    cases.push((
        "a record too long",
        [&[22, 3, 3, 0x7f, 0xff][..], &[0; 0x7fff]].concat(),
        50,
    ));
    for (what, bytes, number) in cases {
        let (error, alert) = told(&config, &bytes);
        assert_eq!(alert, Some(Alert(number)), "{what}: {error}");
        check(&error, alert, Fault::Client);
    }
}

#[test]
fn what_is_not_in_common_is_told_as_foreseen() {
    let config = any_config();
    let table = [
        (
            ClientSpec {
                groups: groups(&["secp384r1"]),
                ..offer()
            },
            Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
            40,
        ),
        (
            ClientSpec {
                schemes: Some(vec![portcullis_wire::SchemeId(0x0807)]),
                ..offer()
            },
            Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon),
            40,
        ),
    ];
    for (client, expected, number) in table {
        let mut client = connect(client);
        let bytes = outgoing(&mut client.tls);
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let Err(Unfinished::Server(error, alert)) = deliver(&mut tls, &bytes, &mut client.tls) else {
            panic!("{expected}");
        };
        assert_eq!((&error, alert), (&expected, Some(Alert(number))));
        check(&error, alert, Fault::Client);
    }
    let modern = settings(Profile::Modern, &Overrides::default());
    let only_13 = server(ServerSpec {
        settings: modern,
        ..spec(&[&identity(&P256)])
    });
    let config = only_13.choose(&read(&hello(offer()))).unwrap().config;
    let (error, alert) = told(
        &config,
        &hello(ClientSpec {
            versions: vec![Version::Tls12],
            ..offer()
        }),
    );
    assert_eq!(alert, Some(Alert::PROTOCOL_VERSION));
    check(&error, alert, Fault::Client);
}

#[test]
fn protocols_without_one_in_common_are_told_as_foreseen() {
    let server = server(ServerSpec {
        alpn: vec![b"h2".to_vec()],
        ..spec(&[&identity(&P256)])
    });
    let mut client = connect(ClientSpec {
        alpn: vec![b"http/1.1".to_vec()],
        ..offer()
    });
    match shake(&server, &mut client.tls) {
        Err(Unfinished::Server(error, alert)) => {
            assert_eq!(error, Error::NoApplicationProtocol);
            assert_eq!(alert, Some(Alert(120)));
            check(&error, alert, Fault::Client);
        }
        other => panic!("{:?}", other.map(|done| done.facts)),
    }
}

#[test]
fn a_hello_that_ignores_the_retry_is_told_as_foreseen() {
    let (mut tls, mut second) = retried();
    // its share is named anew for a group that was not asked for
    let at = extension(&second, KEY_SHARE);
    second[at + 6..at + 8].copy_from_slice(&0x0017_u16.to_be_bytes());
    let error = feed(&mut tls, &second).unwrap_err();
    assert_eq!(
        error,
        Error::PeerMisbehaved(PeerMisbehaved::RefusedToFollowHelloRetryRequest)
    );
    assert_eq!(outgoing(&mut tls), Alert::ILLEGAL_PARAMETER.fatal_record());
    check(&error, Some(Alert::ILLEGAL_PARAMETER), Fault::Client);
}

#[test]
fn a_record_that_does_not_open_is_told_as_foreseen() {
    let server = site();
    let mut client = connect(offer());
    let bytes = outgoing(&mut client.tls);
    let choice = server.choose(&read(&bytes)).unwrap();
    let mut tls = ServerConnection::new(choice.config).unwrap();
    feed(&mut tls, &bytes).unwrap();
    feed(&mut client.tls, &outgoing(&mut tls)).unwrap();
    let mut finished = outgoing(&mut client.tls);
    *finished.last_mut().unwrap() ^= 1;
    let error = feed(&mut tls, &finished).unwrap_err();
    assert_eq!(error, Error::DecryptError);
    let told = feed(&mut client.tls, &outgoing(&mut tls)).unwrap_err();
    assert_eq!(told, Error::AlertReceived(AlertDescription::BadRecordMac));
    check(&error, Some(Alert(20)), Fault::Client);
}

#[test]
fn a_client_that_does_not_trust_an_ml_dsa_chain_is_known_by_its_alert() {
    let server = server(spec(&[&identity(&ML_DSA_65)]));
    let stranger = Ca::new(&ML_DSA_65, "stranger").der();
    let mut client = connect(ClientSpec {
        trust: Trust::Roots(vec![stranger]),
        ..offer()
    });
    let bytes = outgoing(&mut client.tls);
    let choice = server.choose(&read(&bytes)).unwrap();
    let mut tls = ServerConnection::new(Arc::clone(&choice.config)).unwrap();
    feed(&mut tls, &bytes).unwrap();
    feed(&mut client.tls, &outgoing(&mut tls)).unwrap_err();
    let error = feed(&mut tls, &outgoing(&mut client.tls)).unwrap_err();
    let blamed = blame(&error);
    assert_eq!(blamed.alert_in, Some(Alert(48)));
    assert!(blamed.alert_in.unwrap().is_about_certificate() && choice.scheme.is_ml_dsa());
    assert_eq!((blamed.fault, blamed.alert_out), (Fault::Client, None));
}

#[test]
fn a_client_that_trusts_the_root_is_served() {
    let ca = Ca::new(&ML_DSA_65, "root");
    let server = server(spec(&[&ca.issue(&ML_DSA_65, server_params()).identity()]));
    let mut client = connect(ClientSpec {
        trust: Trust::Roots(vec![ca.der()]),
        ..offer()
    });
    shake(&server, &mut client.tls).unwrap();
    assert_eq!(client.peer_chain()[0].subject, "CN=server,O=Lab");
}

#[test]
fn leaving_is_nobodys_fault() {
    for alert in [AlertDescription::CloseNotify, AlertDescription::UserCanceled] {
        let blamed = blame(&Error::AlertReceived(alert));
        assert_eq!(blamed.fault, Fault::Closed);
        assert_eq!(blamed.alert_in, Some(Alert(alert.into())));
    }
}

#[test]
fn what_the_peer_cannot_cause_is_ours() {
    let ours = [
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::EncryptError,
        Error::General("signing failed".into()),
    ];
    for error in ours {
        check(&error, None, Fault::Ours);
    }
    let theirs = Error::InvalidMessage(InvalidMessage::DuplicateExtension(10));
    check(&theirs, Some(Alert::ILLEGAL_PARAMETER), Fault::Client);
}

/// A server that asks for P-384, a client that must be asked, up to the client's second hello.
fn retried() -> (ServerConnection, Vec<u8>) {
    let overrides = Overrides {
        groups: Some(groups(&["secp384r1"])),
        ..Overrides::default()
    };
    let server = server(ServerSpec {
        settings: settings(Profile::Modern, &overrides),
        ..spec(&[&identity(&P256)])
    });
    let mut client = connect(ClientSpec {
        groups: groups(&["X25519", "secp384r1"]),
        ..offer()
    });
    let bytes = outgoing(&mut client.tls);
    let choice = server.choose(&read(&bytes)).unwrap();
    assert!(choice.retry);
    let mut tls = ServerConnection::new(choice.config).unwrap();
    feed(&mut tls, &bytes).unwrap();
    feed(&mut client.tls, &outgoing(&mut tls)).unwrap();
    let second = outgoing(&mut client.tls);
    // RFC 8446 D.4: a record that changes nothing goes before it
    (tls, second.strip_prefix(&[20, 3, 3, 0, 1, 1]).unwrap().to_vec())
}

#[test]
fn a_name_that_changes_after_the_retry_ends_without_an_alert() {
    let (mut tls, mut second) = retried();
    let name = second.windows(9).position(|window| window == b"localhost");
    second[name.unwrap()] = b'L';
    feed(&mut tls, &second).unwrap();
    let (mut tls, mut second) = retried();
    let name = second.windows(9).position(|window| window == b"localhost");
    second[name.unwrap()] = b'x';
    let error = feed(&mut tls, &second).unwrap_err();
    assert_eq!(error, Error::PeerMisbehaved(PeerMisbehaved::ServerNameDifferedOnRetry));
    assert_eq!(outgoing(&mut tls), []);
    check(&error, None, Fault::Client);
}

#[test]
fn a_wrong_change_cipher_spec_is_told_as_foreseen() {
    let (mut tls, _) = retried();
    let error = feed(&mut tls, &[20, 3, 3, 0, 1, 2]).unwrap_err();
    let sent = outgoing(&mut tls);
    assert_eq!(sent, Alert::UNEXPECTED_MESSAGE.fatal_record(), "{error}");
    check(&error, Some(Alert::UNEXPECTED_MESSAGE), Fault::Client);
}
