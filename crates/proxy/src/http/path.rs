//! Paths as routes see them: their normal form (`wire` has it), and what becomes of a route's prefix (SPEC 4).
use portcullis_wire::http1::path;
pub(crate) use portcullis_wire::http1::path::normal;
use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;

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
