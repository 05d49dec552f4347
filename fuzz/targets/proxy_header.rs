//! A PROXY protocol header: never more is asked for than belongs to it, and a mind made up stays made up.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::proxy_header::{Header, LONGEST, Progress, Writer, read};

fuzz_target!(|data: &[u8]| {
    let mut taken = 0;
    while let Ok(Progress::More(n)) = read(&data[..taken]) {
        assert!(n > 0 && taken + n <= LONGEST);
        if taken + n > data.len() {
            return;
        }
        taken += n;
    }
    let told = read(&data[..taken]);
    // what follows belongs to others, and changes nothing
    assert_eq!(read(data), told);
    if let Ok(Progress::Whole(Header::Proxied { source, destination })) = told {
        let again = Writer::proxied(Some((source, destination))).finish();
        let Ok(Progress::Whole(Header::Proxied {
            source: from,
            destination: to,
        })) = read(&again)
        else {
            panic!("what is written is read")
        };
        assert_eq!(
            (from.ip().to_canonical(), from.port()),
            (source.ip().to_canonical(), source.port())
        );
        assert_eq!(
            (to.ip().to_canonical(), to.port()),
            (destination.ip().to_canonical(), destination.port())
        );
    }
});
