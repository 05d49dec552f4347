use super::{Bad, is_host, token::is_uri};

/// What a request asks for. An absolute form is reduced to its path and query; its host is the request's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// A path that begins with a slash, as it was sent, and what follows the question mark.
    Origin {
        /// See [`super::path::normal`].
        path: &'a str,
        /// Without the question mark.
        query: Option<&'a str>,
    },
    /// The server itself, in `OPTIONS *`.
    Asterisk,
}

/// A target, and the host where it names one itself.
pub(super) fn target<'a>(method: &str, target: &'a [u8]) -> Result<(Target<'a>, Option<&'a str>), Bad> {
    if !is_uri(target) {
        return Err(Bad::syntax(
            "the target holds a fragment, or a byte that must be escaped",
        ));
    }
    let text = std::str::from_utf8(target).map_err(|_| Bad::syntax("the target is not ASCII"))?;
    if text.starts_with('/') {
        return Ok((origin(text), None));
    }
    match text {
        "*" if method == "OPTIONS" => Ok((Target::Asterisk, None)),
        _ => absolute(method, text),
    }
}

fn origin(text: &str) -> Target<'_> {
    match text.split_once('?') {
        Some((path, query)) => Target::Origin {
            path,
            query: Some(query),
        },
        None => Target::Origin {
            path: text,
            query: None,
        },
    }
}

/// RFC 9112 section 3.2.2.
fn absolute<'a>(method: &str, text: &'a str) -> Result<(Target<'a>, Option<&'a str>), Bad> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let begin = text.get(..scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    });
    let rest = rest.ok_or(Bad::syntax("the target is neither a path nor an http URL"))?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Bad::syntax("the target holds a user"));
    }
    if !is_host(authority.as_bytes()) {
        return Err(Bad::syntax("the target's host is malformed"));
    }
    let target = match rest.strip_prefix('?') {
        Some(query) => Target::Origin {
            path: "/",
            query: Some(query),
        },
        // RFC 9112 section 3.2.4: an absolute form without path asks the server itself.
        None if rest.is_empty() && method == "OPTIONS" => Target::Asterisk,
        None if rest.is_empty() => Target::Origin { path: "/", query: None },
        None => origin(rest),
    };
    Ok((target, Some(authority)))
}
