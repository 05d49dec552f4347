//! A ClientHello as QUIC carries it: an answer never changes, and what a hello says of itself holds.
#![no_main]
use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use portcullis_wire::{
    Hello,
    client_hello::{MAX_HELLO, Progress, from_handshake},
    ja4::{Parts, Transport},
};

fuzz_target!(|data: &[u8]| {
    // The corpus is in records: past the first header stands the message.
    let data = if data.first() == Some(&22) {
        data.get(5..).unwrap_or_default()
    } else {
        data
    };
    let whole = from_handshake(data);
    for n in (0..data.len()).step_by(data.len() / 64 + 1) {
        let earlier = from_handshake(&data[..n]);
        assert!(
            earlier == whole || earlier == Ok(Progress::Incomplete),
            "{earlier:?} then {whole:?}"
        );
    }
    match whole {
        Ok(Progress::Complete(hello)) => {
            assert!(hello.len <= data.len() && hello.len <= MAX_HELLO);
            assert_eq!(
                from_handshake(&data[..hello.len]),
                Ok(Progress::Complete(hello.clone()))
            );
            holds(&hello);
        }
        Ok(Progress::Incomplete) => assert!(data.len() < MAX_HELLO),
        Err(error) => drop((error.to_string(), error.alert())),
    }
});

fn holds(hello: &Hello) {
    assert!(!hello.ciphers.is_empty() && !hello.versions.is_empty());
    let ids: BTreeSet<u16> = hello.extensions.iter().copied().collect();
    assert_eq!(ids.len(), hello.extensions.len());
    let sent = |id: u16| ids.contains(&id);
    assert!(sent(10) != hello.groups.is_empty() && sent(13) != hello.schemes.is_empty());
    assert!(
        sent(16) != hello.alpn.is_empty() && hello.alpn.iter().all(|protocol| !protocol.is_empty())
    );
    assert_eq!(
        (sent(41), sent(42), sent(0xfe0d)),
        (hello.psk, hello.early_data, hello.ech)
    );
    for (group, len) in &hello.key_shares {
        assert!(hello.lists(*group) && hello.has_share(*group) && *len > 0);
    }
    if let Some(name) = &hello.sni {
        assert!(
            (1..=253).contains(&name.len())
                && *name == name.to_ascii_lowercase()
                && !name.ends_with('.')
        );
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(name.bytes().all(letters) && name.parse::<std::net::IpAddr>().is_err());
    }
    if hello.psk {
        assert_eq!(hello.extensions.last(), Some(&41));
    }
    fingerprinted(hello);
}

/// Letters and digits of ours, whatever was sent, and the same for both transports but for the first.
fn fingerprinted(hello: &Hello) {
    let [tcp, quic] = [Transport::Tcp, Transport::Quic].map(|transport| Parts::of(hello, transport));
    assert!(tcp.head.iter().all(u8::is_ascii_alphanumeric), "{:?}", tcp.head);
    assert_eq!((tcp.head[0], quic.head[0]), (b't', b'q'));
    assert_eq!((&tcp.head[1..], &tcp.ciphers, &tcp.extensions), (&quic.head[1..], &quic.ciphers, &quic.extensions));
    let letters = |byte: u8| byte.is_ascii_hexdigit() || b",_".contains(&byte);
    assert!(tcp.ciphers.bytes().chain(tcp.extensions.bytes()).all(letters));
}
