use std::net::Ipv6Addr;

/// A host and perhaps a port, as `Host` has it: a name of letters, digits, `-`, `_` and dots, an IPv4 address, or an
/// IPv6 address in brackets. Narrower than RFC 3986's registered name: no escapes and no sub-delimiters, which
/// no host has and which are read in many ways.
pub fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let (address, after) = (&rest[..end], &rest[end + 1..]);
            if !std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()) {
                return false;
            }
            return after.is_empty() || after.strip_prefix(b":").is_some_and(is_port);
        }
        _ => match text.iter().position(|&byte| byte == b':') {
            Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
            None => (text, None),
        },
    };
    is_name(host) && port.is_none_or(is_port)
}

/// RFC 1035 section 2.3.4 bounds a name by 255 bytes on the wire, 253 as text, one more with the root's dot.
const LONGEST_NAME: usize = 254;

/// Labels that are not empty; the root's dot may end the last.
fn is_name(name: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in name {
        let is_letter = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !is_letter && (byte != b'.' || before == b'.') {
            return false;
        }
        before = byte;
    }
    !name.is_empty() && name.len() <= LONGEST_NAME
}

/// 1 to 65535, without leading zeros.
fn is_port(digits: &[u8]) -> bool {
    matches!(digits, [b'1'..=b'9', rest @ ..] if rest.len() <= 4 && rest.iter().all(u8::is_ascii_digit))
        && digits
            .iter()
            .fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'))
            <= 65535
}
