//! As much DER as private keys need.
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const TAG_0: u8 = 0xa0;

/// The content of the first element, if it has this tag.
pub(crate) fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    take(der, tag).map(|(content, _)| content)
}

/// The content of the first element, if it has this tag, and what follows it.
pub(crate) fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (len, rest) = length(rest).filter(|_| *first == tag)?;
    rest.split_at_checked(len)
}

fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = der.split_first()?;
    match first {
        0..=0x7f => Some(((*first).into(), rest)),
        0x81 => rest.split_first().map(|(len, rest)| ((*len).into(), rest)),
        0x82 => rest
            .split_first_chunk()
            .map(|(len, rest)| (u16::from_be_bytes(*len).into(), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_all_their_lengths() {
        let long = [&[0x04, 0x81, 0x80][..], &[7; 0x80], &[9]].concat();
        assert_eq!(take(&long, OCTET_STRING), Some((&[7; 0x80][..], &[9][..])));
        assert_eq!(take(&[0x04, 1, 5], OCTET_STRING), Some((&[5][..], &[][..])));
        assert_eq!(take(&[0x04, 2, 5], OCTET_STRING), None);
        assert_eq!(take(&[0x04, 1, 5], INTEGER), None);
        for cut in [&[][..], &[0x04], &[0x04, 0x82, 1], &[0x04, 0x84, 0, 0, 0, 1, 5]] {
            assert_eq!(take(cut, OCTET_STRING), None);
        }
    }
}
