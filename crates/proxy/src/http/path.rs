//! The normal form of a path: what routes match, and what is sent on (SPEC 4).
use std::{borrow::Cow, fmt};

/// Why a path has no normal form: 400.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PathFault {
    /// It does not begin with a slash.
    NotAbsolute,
    /// A percent sign without two hexadecimal digits.
    BrokenEscape,
    /// `%2f`, `%5c`, `%00` or a backslash: one server takes them for a separator or an end, another does not.
    Ambiguous,
    /// `..;` or `.;`: a dot segment for servers that know path parameters, none for others.
    DotParameter,
    /// A byte that no path has: control, space, `#`, `?` or beyond ASCII.
    Byte(u8),
}

/// Escapes of unreserved characters decoded, other escapes in capitals, dot segments removed (RFC 3986 6.2.2, 5.2.4).
/// A path that is normal already is borrowed.
pub(crate) fn normal(path: &str) -> Result<Cow<'_, str>, PathFault> {
    if !path.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    let mut is_normal = true;
    let mut before = 0;
    for byte in path.bytes() {
        match byte {
            b'%' => is_normal = false,
            b'.' if before == b'/' => is_normal = false,
            b'\\' => return Err(PathFault::Ambiguous),
            b'#' | b'?' => return Err(PathFault::Byte(byte)),
            0x21..=0x7e => {}
            other => return Err(PathFault::Byte(other)),
        }
        before = byte;
    }
    if is_normal {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decoded(path)?;
    without_dots(&decoded).map(Cow::Owned)
}

/// What follows the route's prefix, behind another prefix; the result begins with exactly one slash, or as the
/// replacement does.
pub(crate) fn replaced<'p>(path: &'p str, prefix: &str, replacement: &str) -> Cow<'p, str> {
    let base = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path.strip_prefix(base).unwrap_or(path);
    // "//host" would name another server to who resolves it as a reference (RFC 3986 4.2)
    let slashes = rest.len() - rest.trim_start_matches('/').len();
    let rest = &rest[slashes.saturating_sub(1)..];
    if rest.is_empty() {
        return Cow::Owned(if replacement.is_empty() { "/" } else { replacement }.to_owned());
    }
    match replacement.strip_suffix('/').unwrap_or(replacement) {
        "" => Cow::Borrowed(rest),
        replacement => Cow::Owned([replacement, rest].concat()),
    }
}

fn decoded(path: &str) -> Result<String, PathFault> {
    let mut out = String::with_capacity(path.len());
    let mut parts = path.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digit = |at: usize| char::from(*part.as_bytes().get(at).unwrap_or(&b' ')).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(PathFault::BrokenEscape);
        };
        match u8::try_from(high * 16 + low).unwrap_or_default() {
            0 | b'/' | b'\\' => return Err(PathFault::Ambiguous),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.extend(part[..2].chars().map(|c| c.to_ascii_uppercase()));
            }
        }
        out.push_str(&part[2..]);
    }
    Ok(out)
}

fn without_dots(path: &str) -> Result<String, PathFault> {
    let mut out = String::with_capacity(path.len());
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            ".." => out.truncate(out.rfind('/').unwrap_or(0)),
            "." => {}
            _ if segment.starts_with("..;") || segment.starts_with(".;") => return Err(PathFault::DotParameter),
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        if is_last {
            out.push('/');
        }
    }
    Ok(out)
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathFault::NotAbsolute => "does not begin with a slash",
            PathFault::BrokenEscape => "has a percent sign without two hexadecimal digits",
            PathFault::Ambiguous => "has a backslash, %2f, %5c or %00, which servers read differently",
            PathFault::DotParameter => "has a dot segment with a parameter, which servers read differently",
            PathFault::Byte(_) => "has a character that no path has",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_normal_form() {
        let table = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a//b", "/a//b"),
            ("/%61%2D%2e%5f%7E", "/a-._~"),
            ("/%c3%A9%20%25", "/%C3%A9%20%25"),
            ("/%2561", "/%2561"),
            ("/a/./b/../c", "/a/c"),
            ("/a/%2e%2E/b", "/b"),
            ("/..", "/"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../", "/a/"),
            ("/.", "/"),
            ("/./", "/"),
            ("/a//../b", "/a/b"),
            ("//..//a", "//a"),
            ("/.a/..b/...", "/.a/..b/..."),
            ("/a;x=1/b;y", "/a;x=1/b;y"),
            ("/a:b@c!$&'()*+,=[]|^{}\"<>`", "/a:b@c!$&'()*+,=[]|^{}\"<>`"),
        ];
        for (path, form) in table {
            assert_eq!(normal(path).as_deref(), Ok(form), "{path}");
            assert_eq!(normal(form).as_deref(), Ok(form), "twice: {path}");
        }
        assert!(matches!(normal("/plain/path"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn what_servers_read_differently_has_none() {
        let table = [
            ("", PathFault::NotAbsolute),
            ("*", PathFault::NotAbsolute),
            ("a", PathFault::NotAbsolute),
            ("%2fa", PathFault::NotAbsolute),
            ("/%2f", PathFault::Ambiguous),
            ("/%2Fa", PathFault::Ambiguous),
            ("/%5c", PathFault::Ambiguous),
            ("/%00", PathFault::Ambiguous),
            ("/a\\b", PathFault::Ambiguous),
            ("/%", PathFault::BrokenEscape),
            ("/%4", PathFault::BrokenEscape),
            ("/%4g", PathFault::BrokenEscape),
            ("/%+1", PathFault::BrokenEscape),
            ("/..;/a", PathFault::DotParameter),
            ("/a/%2e.;x/b", PathFault::DotParameter),
            ("/a/.;/b", PathFault::DotParameter),
            ("/a b", PathFault::Byte(b' ')),
            ("/a#b", PathFault::Byte(b'#')),
            ("/a?b", PathFault::Byte(b'?')),
            ("/a\tb", PathFault::Byte(b'\t')),
            ("/a\u{7f}", PathFault::Byte(0x7f)),
            ("/é", PathFault::Byte(0xc3)),
        ];
        for (path, fault) in table {
            assert_eq!(normal(path), Err(fault), "{path}");
        }
    }

    #[test]
    fn a_prefix_gives_way_to_another() {
        let table = [
            ("/api/x", "/api/", "", "/x"),
            ("/api/", "/api/", "", "/"),
            ("/api", "/api", "", "/"),
            ("/api/x/", "/api", "/", "/x/"),
            ("/api//evil.example", "/api/", "", "/evil.example"),
            ("/api///x", "/api", "/v2", "/v2/x"),
            ("/api/x", "/api/", "/v2/", "/v2/x"),
            ("/api/x", "/api", "/v2/", "/v2/x"),
            ("/api", "/api", "/v2/", "/v2/"),
            ("/api/", "/api", "/v2", "/v2/"),
            ("/x", "/", "/v2", "/v2/x"),
            ("/x", "/", "", "/x"),
        ];
        for (path, prefix, replacement, expected) in table {
            assert_eq!(
                replaced(path, prefix, replacement),
                expected,
                "{path} {prefix} {replacement}"
            );
        }
    }
}
