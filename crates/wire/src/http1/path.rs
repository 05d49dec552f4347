//! The normal form of a path (RFC 3986 section 6.2.2): what routes match and what is passed on.
//!
//! Empty segments are kept: RFC 3986 gives them a meaning, object stores and URLs within paths rely on it, and what
//! was signed must arrive. Since many backends take `//` for `/`, a route that guards a prefix asks [`after`] and
//! an exact one [`merged`], where several slashes count as one: what one slash more would get past guards nothing.
use std::borrow::Cow;

use super::{Bad, token::is_uri};

/// Unreserved characters decoded, other escapes in capitals, dot segments removed. `%2f`, `%5c`, `%00`, a
/// backslash, broken escapes, and dots with parameters (`..;a`) are refused: backends disagree over what they are.
pub fn normal(path: &str) -> Result<Cow<'_, str>, Bad> {
    if !path.starts_with('/') {
        return Err(Bad::syntax("the path does not begin with a slash"));
    }
    if !is_uri(path.as_bytes()) {
        return Err(Bad::syntax("the path holds a byte that must be escaped"));
    }
    // Most paths have neither escapes nor a dot that begins a segment.
    let (mut is_plain, mut before) = (true, b'/');
    for byte in path.bytes() {
        is_plain &= byte != b'%' && byte != b'\\' && !(byte == b'.' && before == b'/');
        before = byte;
    }
    if is_plain {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = String::with_capacity(path.len());
    for segment in path[1..].split('/') {
        let begin = out.len();
        out.push('/');
        decode(segment, &mut out)?;
        match &out[begin + 1..] {
            "." => out.truncate(begin),
            ".." => {
                out.truncate(begin);
                out.truncate(out.rfind('/').unwrap_or(0));
            }
            segment if has_dots_and_parameters(segment) => {
                return Err(Bad::syntax("the path holds a dot segment with parameters"));
            }
            _ => continue,
        }
    }
    // A dot segment at the end leaves its slash.
    let last = path.rsplit('/').next().unwrap_or_default();
    if out.is_empty() || is_dots(last)? {
        out.push('/');
    }
    Ok(if out == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(out)
    })
}

/// The path with several slashes as one.
pub fn merged(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// What is left of a path behind a prefix, where several slashes count as one; `None` when it does not begin so.
pub fn after<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let mut rest = path;
    for letter in prefix.chars() {
        rest = rest.strip_prefix(letter)?;
        if letter == '/' {
            rest = rest.trim_start_matches('/');
        }
    }
    Some(rest)
}

/// Java's servers take `..;a` for `..` (RFC 3986 section 3.3 leaves parameters to them).
fn has_dots_and_parameters(segment: &str) -> bool {
    let behind = segment
        .strip_prefix("..")
        .or_else(|| segment.strip_prefix('.'))
        .unwrap_or_default();
    behind.starts_with(';') || behind.starts_with("%3B")
}

fn decode(segment: &str, out: &mut String) -> Result<(), Bad> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' {
            return Err(Bad::syntax("the path holds a backslash"));
        }
        if byte != b'%' {
            out.push(char::from(byte));
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(digit), bytes.next().and_then(digit)) else {
            return Err(Bad::syntax("the path holds a broken escape"));
        };
        match high << 4 | low {
            0 | b'/' | b'\\' => return Err(Bad::syntax("the path holds an escaped slash, backslash or NUL")),
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.extend([high, low].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
            }
        }
    }
    Ok(())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn is_dots(segment: &str) -> Result<bool, Bad> {
    let mut decoded = String::new();
    decode(segment, &mut decoded)?;
    Ok(matches!(decoded.as_str(), "." | ".."))
}
