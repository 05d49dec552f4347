//! A ClientHello in records: an answer never changes, and the same message means the same in any other records.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::client_hello::{
    HelloError, MAX_HELLO, MAX_RECORDS, Progress, from_handshake, from_records,
};

fuzz_target!(|data: &[u8]| {
    let whole = from_records(data);
    let some = (0..data.len()).step_by(data.len() / 64 + 1);
    for n in some.chain(0..data.len().min(16)) {
        let earlier = from_records(&data[..n]);
        assert!(
            earlier == whole || earlier == Ok(Progress::Incomplete),
            "{earlier:?} then {whole:?}"
        );
    }
    match whole {
        Ok(Progress::Complete(hello)) => {
            assert!(hello.len <= MAX_HELLO);
            let message = message(data, hello.len);
            assert_eq!(from_handshake(&message), Ok(Progress::Complete(hello)));
            let size = 1 + usize::from(message[message.len() - 1]) * 16;
            let other = from_records(&records(&message, size));
            if message.len().div_ceil(size) <= MAX_RECORDS {
                assert_eq!(other, from_handshake(&message));
            } else {
                assert_eq!(other, Err(HelloError::TooManyRecords));
            }
        }
        Ok(Progress::Incomplete) => assert!(data.len() < MAX_HELLO + MAX_RECORDS * 5),
        Err(error) => drop((error.to_string(), error.alert())),
    }
});

fn message(mut records: &[u8], len: usize) -> Vec<u8> {
    let mut message = Vec::new();
    while let ([_, _, _, high, low, rest @ ..], true) = (records, message.len() < len) {
        let (payload, after) = rest.split_at(
            rest.len()
                .min(usize::from(u16::from_be_bytes([*high, *low]))),
        );
        message.extend_from_slice(payload);
        records = after;
    }
    message
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| {
        [
            &[22, 3, 3][..],
            &u16::try_from(part.len()).unwrap().to_be_bytes(),
            part,
        ]
        .concat()
    };
    message.chunks(size).flat_map(record).collect()
}
