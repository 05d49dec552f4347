//! Paths as routes see them: their normal form, and what becomes of a route's prefix (SPEC 4).
use portcullis_wire::http1::{Bad, path};
use std::{borrow::Cow, fmt};

/// Why a path has no normal form: 400.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PathFault {
    /// It breaks the syntax, or is read differently by different servers.
    Bad(Bad),
    /// `..;` or `.;`: a dot segment for servers that know path parameters, none for others.
    DotParameter,
}

/// The form that routes match and that is sent on: `wire`'s, without dot segments that carry parameters.
pub(crate) fn normal(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let normal = path::normal(path).map_err(PathFault::Bad)?;
    let carries = |segment: &str| segment.starts_with("..;") || segment.starts_with(".;");
    // a semicolon is rare: most paths are not looked at twice
    if normal.contains(';') && normal.split('/').any(carries) {
        return Err(PathFault::DotParameter);
    }
    Ok(normal)
}

/// What follows a route's prefix, behind another prefix or none. Many slashes count as one, as for the router: the
/// result begins with one slash, since `//host` would name another server (RFC 3986 4.2).
pub(crate) fn replaced<'p>(path: &'p str, prefix: &str, replacement: &str) -> Cow<'p, str> {
    let base = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path::after(path, base).unwrap_or(path);
    let slashes = rest.len() - rest.trim_start_matches('/').len();
    let rest = &rest[slashes.saturating_sub(1)..];
    let replacement = match (rest, replacement) {
        ("", "") => return Cow::Borrowed("/"),
        ("", whole) => whole,
        (_, "") => "",
        (_, whole) => whole.strip_suffix('/').unwrap_or(whole),
    };
    let needs_slash = slashes == 0 && !rest.is_empty();
    match (replacement, needs_slash) {
        ("", false) => Cow::Borrowed(rest),
        (replacement, false) => Cow::Owned([replacement, rest].concat()),
        (replacement, true) => Cow::Owned([replacement, "/", rest].concat()),
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathFault::Bad(bad) => bad.fmt(f),
            PathFault::DotParameter => f.write_str("the path holds a dot segment with a parameter"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_segment_with_a_parameter_has_no_normal_form() {
        for good in ["/a;x=1/b", "/.a;x", "/a..;x", "/...;x"] {
            assert_eq!(normal(good).as_deref(), Ok(good));
        }
        for bad in ["/..;/a", "/a/.;x", "/a/%2e.;x/b", "/;/..;"] {
            assert_eq!(normal(bad), Err(PathFault::DotParameter), "{bad}");
        }
        for bad in ["", "a", "/a b", "/%2f", "/%5C", "/%00", "/%4", "/a\\b", "/a#b", "/é"] {
            assert!(matches!(normal(bad), Err(PathFault::Bad(_))), "{bad}");
        }
        assert_eq!(normal("/a/%2e%2E/%7eb/%c3%a9").as_deref(), Ok("/~b/%C3%A9"));
    }

    #[test]
    fn a_prefix_gives_way_to_another() {
        let table = [
            ("/api/x", "/api/", "", "/x"),
            ("/api/", "/api/", "", "/"),
            ("/api", "/api", "", "/"),
            ("/api/x/", "/api", "/", "/x/"),
            ("/api//evil.example", "/api/", "", "/evil.example"),
            ("//api//evil.example", "/api/", "", "/evil.example"),
            ("/api///x", "/api", "/v2", "/v2/x"),
            ("/api/x//y", "/api", "/v2", "/v2/x//y"),
            ("/api/x", "/api/", "/v2/", "/v2/x"),
            ("/api/x", "/api", "/v2/", "/v2/x"),
            ("/api", "/api", "/v2/", "/v2/"),
            ("/api/", "/api", "/v2", "/v2/"),
            ("/x", "/", "/v2", "/v2/x"),
            ("/x", "/", "", "/x"),
            ("//a//b/x", "/a/b", "", "/x"),
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
