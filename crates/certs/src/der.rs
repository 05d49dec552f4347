//! As much DER as private keys need, where no library of ours writes or reads it.
use x509_parser::asn1_rs::{Any, FromDer, Tag};

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// One element from its parts.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(len) {
        Ok(short @ ..0x80) => out.push(short),
        _ => {
            let octets = len.to_be_bytes();
            let skipped = octets.iter().take_while(|octet| **octet == 0).count();
            out.push(0x80 | (octets.len() - skipped) as u8);
            out.extend(&octets[skipped..]);
        }
    }
    out.extend(parts.concat());
    out
}

/// The content of the first element, if it has this tag, and what follows it.
pub(crate) fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(bytes).ok()?;
    let wanted = Tag(u32::from(tag & 0x1f));
    (any.header.tag() == wanted).then_some((any.data, rest))
}
