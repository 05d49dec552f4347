//! A ClientHello however it is cut, and what is none.
use crate::{Stage, ending};
use portcullis_e2e::{
    PATIENCE,
    client::{Client, Offer},
    upstream::Manner,
    wire::{FirstFlight, Wire, in_records},
};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

/// A handshake whose first flight leaves like that, and an echo after it.
fn arrives(stage: &Stage, client: &Client, flight: FirstFlight) {
    let wire = Wire::tcp(stage.proxy.address()).expect("it listens").cutting(flight);
    let conversation = client.handshake(wire);
    let mut conversation = conversation.unwrap_or_else(|failed| panic!("{flight:?}: {failed}"));
    conversation.echo(b"whole in the end");
    conversation.close();
}

#[test]
fn a_hello_cut_at_every_byte_is_read_whole() {
    let stage = Stage::echo();
    let client = Client::new(Offer::groups("X25519MLKEM768").signatures("ecdsa_secp256r1_sha256"));
    let len = client.hello().len();
    thread::scope(|scope| {
        for start in 1..=4 {
            let (stage, client) = (&stage, &client);
            scope.spawn(move || {
                for at in (start..len).step_by(4) {
                    arrives(stage, client, FirstFlight::CutAt(at));
                }
            });
        }
    });
    stage.proxy.connections_become(0);
    let ok = stage.proxy.metric("portcullis_connections_total", &["outcome=\"ok\""]);
    assert_eq!(ok as usize, len - 1);
}

#[test]
fn a_hello_byte_by_byte_and_in_several_records_is_read_whole() {
    let stage = Stage::echo();
    for groups in ["X25519", "X25519MLKEM768", "SecP384r1MLKEM1024"] {
        let client = Client::new(Offer::groups(groups));
        let len = client.hello().len();
        // 64 records are the limit; 63 leave room for a length that does not divide.
        let flights = [
            FirstFlight::ByteByByte,
            FirstFlight::InRecordsOf(len / 2),
            FirstFlight::InRecordsOf(len.div_ceil(63)),
            FirstFlight::InRecordsByteByByte(len / 3),
        ];
        for flight in flights {
            arrives(&stage, &client, flight);
        }
    }
}

/// Everything that comes until the end, however it ends.
fn drain(socket: &mut TcpStream) -> Vec<u8> {
    let set = socket.set_read_timeout(Some(PATIENCE));
    set.expect("an open socket takes options");
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("it is not ended: {error}"),
        }
    }
}

/// Sends bytes, reads to the end, and finds the record.
fn say(stage: &Stage, bytes: &[u8]) -> (Vec<u8>, serde_json::Value) {
    let mut socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
    let local = socket.local_addr().expect("a connected socket");
    // The other side may have heard enough before the last byte.
    let _ = socket.write_all(bytes);
    let answer = drain(&mut socket);
    (answer, stage.proxy.record(local))
}

/// Even who is refused leaves a fingerprint: what Wireshark makes of these hellos of the corpus (its expected.txt).
#[test]
fn every_hello_that_was_read_leaves_its_fingerprint_in_the_record() {
    let table: [(&[u8], &str); 3] = [
        (
            include_bytes!("../../../wire/testdata/hellos/curl814.bin"),
            "t13d3013h2_1d37bd780c83_8537cf56674e",
        ),
        (
            include_bytes!("../../../wire/testdata/hellos/openssl35-tls10.bin"),
            "t10d230600_44099cda8a52_195413a0cc0f",
        ),
        (
            include_bytes!("../../../wire/testdata/hellos/openssl35-mlkem512.bin"),
            "t13d301100_1d37bd780c83_214a7489a1d6",
        ),
    ];
    let stage = Stage::echo();
    for (hello, ja4) in table {
        let mut socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
        let local = socket.local_addr().expect("a connected socket");
        socket.write_all(hello).expect("it reads");
        // nothing more comes of this client
        socket.shutdown(Shutdown::Write).expect("an open socket");
        drain(&mut socket);
        let record = stage.proxy.record(local);
        assert_eq!([&record["outcome"], &record["ja4"]], ["failed", ja4], "{record:#}");
    }
}

#[test]
fn a_hello_in_more_records_than_any_client_sends_is_refused() {
    let stage = Stage::echo();
    let hello = Client::new(Offer::groups("X25519MLKEM768")).hello();
    let (answer, record) = say(&stage, &in_records(&hello, 8));
    assert_eq!(answer[..5], [21, 3, 3, 0, 2], "an alert");
    assert_eq!(ending(&record)[1..], ["hello", "client"], "{record:#}");
    assert_eq!(stage.upstream.connections(), 0);
}

#[test]
fn a_hello_that_never_ends_is_ended_for_it() {
    let stage = Stage::set(Manner::Echo, |_, front| {
        front.listener(r#"limits = { hello = "300ms" }"#)
    });
    let hello = Client::new(Offer::groups("X25519MLKEM768")).hello();
    let half = &hello[..hello.len() / 2];
    // It falls silent.
    let (_, record) = say(&stage, half);
    assert_eq!(ending(&record)[1..], ["hello", "client"], "{record:#}");
    // It goes on forever, a byte at a time: the deadline is absolute.
    let mut socket = TcpStream::connect(stage.proxy.address()).expect("it listens");
    let local = socket.local_addr().expect("a connected socket");
    for byte in half.iter().cycle() {
        if socket.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    let record = stage.proxy.record(local);
    assert_eq!(ending(&record)[1..], ["hello", "client"], "{record:#}");
    // Meanwhile, and afterwards, others are served.
    stage.connect(Offer::default()).echo(b"unharmed");
    assert_eq!(stage.upstream.connections(), 1);
}

#[test]
fn a_hello_longer_than_the_limit_is_refused_before_it_ends() {
    let stage = Stage::echo();
    // A ClientHello of 60,000 bytes in full records, of which the last never come.
    let mut bytes = Vec::new();
    let message = [&[1, 0, 0xEA, 0x60][..], &[0; 48 * 1024][..]].concat();
    for piece in message.chunks(16 * 1024) {
        bytes.extend_from_slice(&[22, 3, 1]);
        bytes.extend_from_slice(&u16::try_from(piece.len()).expect("it fits").to_be_bytes());
        bytes.extend_from_slice(piece);
    }
    let (_, record) = say(&stage, &bytes);
    assert_eq!(ending(&record)[1..], ["hello", "client"], "{record:#}");
    assert_ne!(record["error"], "deadline passed");
}

#[test]
fn plain_http_gets_a_400_that_says_so() {
    let stage = Stage::echo();
    let (answer, record) = say(&stage, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(answer).expect("an answer in ASCII");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.to_lowercase().contains("https"), "it says what to do: {answer}");
    assert_eq!(ending(&record)[1..], ["hello", "client"], "{record:#}");
    assert_eq!(stage.upstream.connections(), 0);
}

#[test]
fn what_is_not_tls_is_refused_at_once() {
    let stage = Stage::echo();
    let nonsense: [&[u8]; 5] = [
        b"SSH-2.0-OpenSSH_10.0\r\n",
        &[0; 64],
        // An SSL 2 hello, an application data record, an alert first.
        &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10],
        &[23, 3, 3, 0, 4, 1, 2, 3, 4],
        &[21, 3, 3, 0, 2, 2, 40],
    ];
    for bytes in nonsense {
        let (answer, record) = say(&stage, bytes);
        assert!(answer.is_empty() || answer[0] == 21, "nothing or an alert: {answer:?}");
        assert_eq!(ending(&record)[1..], ["hello", "client"], "{record:#}");
        assert_ne!(record["error"], "deadline passed", "{bytes:?}");
    }
    assert_eq!(stage.upstream.connections(), 0);
}

#[test]
fn who_knocks_and_goes_is_counted_and_not_logged() {
    let stage = Stage::echo();
    drop(TcpStream::connect(stage.proxy.address()).expect("it listens"));
    stage.connect(Offer::default()).echo(b"somebody real");
    let closed = ["stage=\"hello\"", "fault=\"closed\""];
    let counted = || stage.proxy.metric("portcullis_connections_total", &closed);
    let started = std::time::Instant::now();
    while counted() < 1.0 {
        assert!(started.elapsed() < PATIENCE, "it is not counted");
        thread::sleep(Duration::from_millis(5));
    }
    let logged: Vec<_> = stage.proxy.all_records().iter().map(|r| r["version"].clone()).collect();
    assert_eq!(logged, ["1.3"], "only the real one");
}
