//! A ClientHello as QUIC carries it: an answer never changes, and what a hello says of itself holds.
#![no_main]
use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use portcullis_wire::{
    Hello,
    client_hello::{MAX_HELLO, Progress, from_handshake},
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
}
