//! A response's head: an early answer never changes, and httparse reads the same. The first byte says what was asked.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::http1::{Asked, Framing, MAX_FIELDS, MAX_HEAD, NO_FIELD, ResponseHead, Version, response};

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let asked = [Asked::Head, Asked::Connect, Asked::Upgrade, Asked::Other][usize::from(first % 4)];
    let mut fields = [NO_FIELD; MAX_FIELDS];
    let whole = response(data, &mut fields, asked);
    for n in (0..data.len()).step_by(data.len() / 64 + 1) {
        let mut fields = [NO_FIELD; MAX_FIELDS];
        let earlier = response(&data[..n], &mut fields, asked);
        assert!(
            matches!(earlier, Ok(None)) || earlier == whole,
            "{earlier:?} then {whole:?}"
        );
    }
    match whole {
        Ok(Some(head)) => {
            holds(&head, asked);
            same_to_httparse(&head, data);
        }
        Ok(None) => assert!(data.len() < MAX_HEAD),
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
});

fn holds(head: &ResponseHead<'_>, asked: Asked) {
    assert!((100..1000).contains(&head.status));
    assert!(!head.persists || head.framing != Framing::UntilClose);
    let has_none = head.is_interim() || matches!((head.status, asked), (304, _) | (200.., Asked::Head));
    if has_none || (head.status == 204 && asked != Asked::Connect) {
        assert_eq!(head.framing, Framing::Empty);
    }
    assert!(head.status != 101 || asked == Asked::Upgrade);
}

fn same_to_httparse(head: &ResponseHead<'_>, data: &[u8]) {
    let mut theirs = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut theirs);
    let length = parsed.parse(data).expect("httparse is not stricter").unwrap();
    assert_eq!(
        (length, parsed.code, parsed.reason),
        (head.length, Some(head.status), Some(head.reason))
    );
    assert_eq!(parsed.version == Some(1), head.version == Version::Http11);
    assert_eq!(parsed.headers.len(), head.fields.len());
    for (theirs, ours) in parsed.headers.iter().zip(head.fields) {
        assert_eq!((theirs.name, theirs.value), (ours.name, ours.value));
    }
}
