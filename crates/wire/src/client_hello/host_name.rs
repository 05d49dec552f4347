//! The server name: a DNS host name and nothing that only looks like one.
use std::net::{Ipv4Addr, Ipv6Addr};

use super::HelloError;

/// The longest name in text form, without a trailing dot (RFC 1035 section 2.3.4 less its length bytes).
const MAX_NAME: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// The name in lower case, without trailing dot. None for an IP address: RFC 6066 forbids it, clients send it all the
/// same, and every server reads it as no name at all.
pub(super) fn read(name: &[u8]) -> Result<Option<String>, HelloError> {
    const ILLEGAL: HelloError = HelloError::Illegal("server name");
    let text = std::str::from_utf8(name).map_err(|_| ILLEGAL)?;
    if text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
        return Ok(None);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels_fit = name.split('.').all(is_label);
    // A last label of digits only would be read as an IPv4 address by some and as a name by others.
    let ends_in_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() > MAX_NAME || !labels_fit || ends_in_number {
        return Err(ILLEGAL);
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// Letters, digits, inner hyphens, and the underscore that internal names have in practice.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
