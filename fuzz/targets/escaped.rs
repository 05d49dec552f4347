//! What a peer typed: safe to print, and with nothing lost that was not cut.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_wire::Escaped;

fuzz_target!(|data: &[u8]| {
    let shown = Escaped(data).to_string();
    assert!(
        shown
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && !b"\"'<>".contains(&byte))
    );
    assert!(shown.len() <= 4 * Escaped::LIMIT + Escaped::CUT.len());
    let kept = &data[..data.len().min(Escaped::LIMIT)];
    let cut = shown.strip_suffix(Escaped::CUT);
    assert_eq!(cut.is_some(), data.len() > Escaped::LIMIT);
    assert_eq!(read_back(cut.unwrap_or(&shown)), kept);
});

fn read_back(shown: &str) -> Vec<u8> {
    let mut parts = shown.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (number, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(number, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    bytes
}
