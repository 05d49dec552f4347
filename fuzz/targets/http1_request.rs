//! A request's head: an early answer never changes, what it says holds, and httparse reads the same fields.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::http1::{
    Awaited, Framing, MAX_FIELDS, MAX_HEAD, NO_FIELD, RequestHead, Target, Version, is_field_value, is_host, is_method,
    is_token, path, request,
};

fuzz_target!(|data: &[u8]| {
    let mut fields = [NO_FIELD; MAX_FIELDS];
    let whole = request(data, &mut fields);
    let mut awaited = Awaited::default();
    for n in (0..data.len()).step_by(data.len() / 64 + 1) {
        let mut fields = [NO_FIELD; MAX_FIELDS];
        let earlier = request(&data[..n], &mut fields);
        let is_open = matches!(earlier, Ok(None));
        assert!(awaited.may_be_whole(&data[..n]) || is_open, "not awaited at {n}");
        assert!(is_open || earlier == whole, "{earlier:?} then {whole:?}");
        if !is_open {
            break;
        }
    }
    match whole {
        Ok(Some(head)) => {
            holds(&head, &data[..head.length]);
            same_to_httparse(&head, data);
            said_again(&head);
        }
        Ok(None) => assert!(data.len() < MAX_HEAD),
        Err(bad) => assert!([400, 413, 414, 417, 431, 501, 505].contains(&bad.status()) && !bad.to_string().is_empty()),
    }
});

fn holds(head: &RequestHead<'_>, bytes: &[u8]) {
    assert!(is_method(head.method.as_bytes()) && head.method != "CONNECT");
    assert!(is_host(head.host.as_bytes()) || (head.host.is_empty() && head.version == Version::Http10));
    assert!(bytes.ends_with(b"\r\n\r\n") && bytes.len() <= MAX_HEAD);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(lines == head.fields.len() + 3 || (lines == head.fields.len() + 4 && bytes.starts_with(b"\r\n")));
    for field in head.fields {
        assert!(is_token(field.name.as_bytes()) && is_field_value(field.value));
    }
    let count = |name: &str| {
        head.fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .count()
    };
    let framing = (count("content-length"), count("transfer-encoding"));
    assert!(count("host") <= 1);
    assert_eq!(
        framing,
        match head.framing {
            Framing::Empty => (0, 0),
            Framing::Length(_) => (1, 0),
            Framing::Chunked(_) => (0, 1),
            Framing::UntilClose => unreachable!("a request ends by itself"),
        }
    );
    if let Target::Origin { path: sent, .. } = head.target {
        assert!(sent.starts_with('/'));
        if let Ok(normal) = path::normal(sent) {
            assert_eq!(path::normal(&normal).as_ref(), Ok(&normal), "a normal form is its own");
            assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")));
            assert!(normal.starts_with('/') && !path::merged(&normal).contains("//"));
        }
    }
}

fn same_to_httparse(head: &RequestHead<'_>, data: &[u8]) {
    let mut theirs = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut theirs);
    let length = parsed.parse(data).expect("httparse is not stricter").unwrap();
    assert_eq!((length, parsed.method), (head.length, Some(head.method)));
    assert_eq!(parsed.version == Some(1), head.version == Version::Http11);
    assert_eq!(parsed.headers.len(), head.fields.len());
    for (theirs, ours) in parsed.headers.iter().zip(head.fields) {
        assert_eq!((theirs.name, theirs.value), (ours.name, ours.value));
    }
}

/// What was understood, written down plainly, is understood the same.
fn said_again(head: &RequestHead<'_>) {
    let target = match head.target {
        Target::Asterisk => "*".to_owned(),
        Target::Origin { path, query: None } => path.to_owned(),
        Target::Origin {
            path,
            query: Some(query),
        } => format!("{path}?{query}"),
    };
    let version = if head.version == Version::Http11 {
        "HTTP/1.1"
    } else {
        "HTTP/1.0"
    };
    let mut plain = format!("{} {target} {version}\r\n", head.method).into_bytes();
    if !head.fields.iter().any(|field| field.name.eq_ignore_ascii_case("host")) {
        // An absolute form named it in HTTP/1.0; one more field may be one too many.
        return;
    }
    for field in head.fields {
        portcullis_wire::http1::write::field(&mut plain, field.name, field.value);
    }
    plain.extend_from_slice(b"\r\n");
    let mut fields = [NO_FIELD; MAX_FIELDS];
    if plain.len() > MAX_HEAD {
        return;
    }
    let again = request(&plain, &mut fields).expect("as good").expect("whole");
    assert_eq!(again.length, plain.len());
    assert_eq!(
        RequestHead { length: 0, ..again },
        RequestHead {
            length: 0,
            method: head.method,
            target: head.target,
            version: head.version,
            host: head.host,
            fields: head.fields,
            framing: head.framing.clone(),
            persists: head.persists,
            hop: head.hop,
            expects_continue: head.expects_continue,
            upgrade: head.upgrade
        }
    );
}
