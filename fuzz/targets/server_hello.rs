//! A ServerHello: an answer never changes, records and a stream agree, and what it says of itself holds.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::server_hello::{Progress, from_handshake, from_records};

fuzz_target!(|data: &[u8]| {
    let whole = from_records(data);
    for n in (0..data.len()).step_by(data.len() / 64 + 1) {
        let earlier = from_records(&data[..n]);
        assert!(
            earlier == whole || earlier == Ok(Progress::Incomplete),
            "{earlier:?} then {whole:?}"
        );
    }
    if let Ok(Progress::Complete(answer)) = &whole {
        assert!(!answer.retry || answer.version >= 0x0304);
        assert!(data.first() == Some(&22));
    }
    // One record that holds the rest of the input means what the rest means.
    let stream = data.get(5..).unwrap_or_default();
    let stream = &stream[..stream.len().min(16 * 1024)];
    if let Ok(len @ 1..) = u16::try_from(stream.len()) {
        let record = [&[22, 3, 3][..], &len.to_be_bytes(), stream].concat();
        let read = from_records(&record);
        assert_eq!(read, from_handshake(stream));
    }
});
