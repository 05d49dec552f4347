//! First bytes: an answer comes in time and never changes. Names: what is found is found again under its own name.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::{
    postgres::{Opening, REQUEST_LEN, opening},
    registry::{Cipher, Group, NameError, Oid, Scheme, Standing},
    sniff::{MOST_NEEDED, Sniffed, sniff},
};

fuzz_target!(|data: &[u8]| {
    let last = sniff(data);
    assert!(data.len() < MOST_NEEDED || last != Sniffed::Unsure);
    assert_eq!(last == Sniffed::Tls, data.starts_with(&[22, 3]));
    for n in 0..data.len().min(2 * MOST_NEEDED) {
        let earlier = sniff(&data[..n]);
        assert!(
            earlier == Sniffed::Unsure || earlier == last,
            "{earlier:?} then {last:?}"
        );
    }
    let last = opening(data);
    assert!(data.len() < REQUEST_LEN || last != Opening::Unsure);
    for n in 0..data.len().min(2 * REQUEST_LEN) {
        let earlier = opening(&data[..n]);
        assert!(
            earlier == Opening::Unsure || earlier == last,
            "{earlier:?} then {last:?}"
        );
    }
    if let Ok(typed) = std::str::from_utf8(data) {
        names(typed);
    }
});

fn names(typed: &str) {
    match Group::by_name(typed) {
        Ok(group) => assert!(group.standing != Standing::Never && found_again(group)),
        Err(error) => hint(error, |name| Group::by_name(name).is_ok()),
    }
    match Scheme::by_name(typed) {
        Ok(scheme) => {
            assert!(Scheme::by_name(scheme.name).is_ok_and(|again| again.id == scheme.id))
        }
        Err(error) => hint(error, |name| Scheme::by_name(name).is_ok()),
    }
    match Cipher::by_name(typed) {
        Ok(cipher) => {
            assert!(Cipher::by_name(cipher.name).is_ok_and(|again| again.id == cipher.id))
        }
        Err(error) => hint(error, |name| Cipher::by_name(name).is_ok()),
    }
    if let Some(oid) = Oid::find(typed) {
        assert!(typed.starts_with(oid.oid));
    }
}

fn found_again(group: &Group) -> bool {
    Group::by_name(group.name).is_ok_and(|again| again.id == group.id)
}

/// A hint names what this build offers.
fn hint(error: NameError, offered: fn(&str) -> bool) {
    assert!(!error.to_string().is_empty() && error.hint().contains("portcullis groups"));
    match error {
        NameError::Dead { successor: name }
        | NameError::NotOffered { instead: name, .. }
        | NameError::Unknown { near: Some(name) } => assert!(offered(name), "{name}"),
        NameError::Unknown { near: None } => {}
    }
}
