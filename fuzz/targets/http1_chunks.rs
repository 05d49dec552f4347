//! A chunked body: the same payload and the same end however it is cut, and what it held can be written and read again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::http1::{Bad, Framing, MAX_FIELDS, NO_FIELD, request, write};

/// The payload, the bytes that were taken, the trailers as lines, and whether the body is done.
type Read = Result<(Vec<u8>, usize, Vec<u8>, bool), Bad>;

fuzz_target!(|data: &[u8]| {
    let whole = read(data, data.len().max(1));
    assert_eq!(read(data, 1), whole);
    assert_eq!(read(data, 7), whole);
    let Ok((payload, _, trailers, true)) = whole else {
        return;
    };
    let mut plain = Vec::new();
    for piece in payload.chunks(100) {
        write::chunk_size(&mut plain, piece.len());
        plain.extend_from_slice(piece);
        plain.extend_from_slice(write::CRLF);
    }
    plain.extend_from_slice(b"0\r\n");
    plain.extend_from_slice(&trailers);
    plain.extend_from_slice(write::CRLF);
    let len = plain.len();
    // A blank more behind each colon may be too much.
    match read(&plain, len) {
        Err(bad) => assert_eq!(bad.status(), 431),
        again => assert_eq!(again, Ok((payload, len, trailers, true))),
    }
});

fn read(data: &[u8], piece: usize) -> Read {
    let (mut framing, mut payload, mut taken) = (chunked(), Vec::new(), 0);
    for input in data.chunks(piece) {
        let mut rest = input;
        while !rest.is_empty() && !framing.is_done() {
            let step = framing.step(rest)?;
            assert!(step.consumed > 0 && step.data.end <= step.consumed);
            payload.extend_from_slice(&rest[step.data]);
            rest = &rest[step.consumed..];
            taken += step.consumed;
        }
    }
    let mut trailers = Vec::new();
    for field in framing.trailers().into_iter().flat_map(|chunks| chunks.trailers()) {
        write::field(&mut trailers, field.name, field.value);
    }
    assert_eq!(framing.clone().ended().is_ok(), framing.is_done());
    Ok((payload, taken, trailers, framing.is_done()))
}

fn chunked() -> Framing {
    let mut fields = [NO_FIELD; MAX_FIELDS];
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    request(head, &mut fields).expect("accepted").expect("whole").framing
}
