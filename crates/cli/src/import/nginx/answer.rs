//! What nginx answers itself: `return`, and `rewrite` to another address, as a route's `redirect` or `respond`.
use super::{
    super::{draft::Part, value::Value},
    grammar::Directive,
};

/// Sets what a route answers; false where no route can say it.
pub(super) fn read(route: &mut Part, directive: &Directive) -> bool {
    let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
    match (directive.name.as_str(), words.as_slice()) {
        ("return", [code @ ("301" | "302" | "303" | "307" | "308"), url]) => redirect(route, url, code),
        ("return", [url]) if url.contains("://") => redirect(route, url, "302"),
        ("rewrite", ["^" | "^(.*)$" | "^/(.*)$", url, "permanent"]) => redirect(route, url, "301"),
        ("rewrite", ["^" | "^(.*)$" | "^/(.*)$", url, "redirect"]) => redirect(route, url, "302"),
        ("return", ["444"]) => {
            route.note(directive.note("answered with 403, where nginx closed the connection"));
            respond(route, "403", None)
        }
        ("return", [code]) => respond(route, code, None),
        ("return", [code, text]) => respond(route, code, Some(text)),
        ("deny", ["all"]) => respond(route, "403", None),
        _ => false,
    }
}

/// Sends clients to https on the host that they asked for, or on another.
pub(super) fn to_https(route: &mut Part, host: Option<&str>, port: u16) {
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let to = format!("https://{}{port}{{uri}}", host.unwrap_or("{host}"));
    route.set("redirect", to_with(&to, 301));
}

fn redirect(route: &mut Part, url: &str, code: &str) -> bool {
    let known = [
        ("$is_args$args", "{query}"),
        ("$request_uri", "{uri}"),
        ("$http_host", "{host}"),
        ("$server_name", "{host}"),
        ("$host", "{host}"),
        ("$uri", "{path}"),
    ];
    let to = known
        .iter()
        .fold(url.trim_end_matches('?').to_owned(), |to, (theirs, ours)| {
            to.replace(theirs, ours)
        });
    let is_url = ["https://", "http://", "/", "{uri}", "{path}"]
        .iter()
        .any(|start| to.starts_with(start));
    let status = code.parse().ok().filter(|_| is_url && !to.contains('$'));
    if let Some(status) = status {
        route.set("redirect", to_with(&to, status));
    }
    status.is_some()
}

fn to_with(to: &str, status: u64) -> Value {
    Value::Table(vec![("to".to_owned(), to.into()), ("status".to_owned(), status.into())])
}

fn respond(route: &mut Part, code: &str, text: Option<&str>) -> bool {
    let status = code.parse::<u64>().ok().filter(|status| (200..600).contains(status));
    let Some(status) = status.filter(|_| !text.is_some_and(|text| text.contains('$'))) else {
        return false;
    };
    let mut answer = Value::one("status", status.into());
    if let Some(text) = text {
        answer.set("body", text.into());
    }
    route.set("respond", answer);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn answers_of_nginxs_own_become_redirects_and_responses() {
        let table = [
            (
                "return 301 https://www.example.com$request_uri;",
                Some(r#"redirect = { to = "https://www.example.com{uri}", status = 301 }"#),
            ),
            (
                "return 302 /new$is_args$args;",
                Some(r#"redirect = { to = "/new{query}", status = 302 }"#),
            ),
            (
                "return https://$host/x;",
                Some(r#"redirect = { to = "https://{host}/x", status = 302 }"#),
            ),
            (
                "rewrite ^ https://$host$request_uri? permanent;",
                Some(r#"redirect = { to = "https://{host}{uri}", status = 301 }"#),
            ),
            ("return 404;", Some("respond = { status = 404 }")),
            (
                "return 200 'all is well';",
                Some(r#"respond = { status = 200, body = "all is well" }"#),
            ),
            ("return 444;", Some("respond = { status = 403 }")),
            ("deny all;", Some("respond = { status = 403 }")),
            ("return 301 $scheme://x;", None),
            ("return 200 $remote_addr;", None),
            ("rewrite ^/a/(.*)$ /b/$1 last;", None),
        ];
        for (text, expected) in table {
            let directives = super::super::grammar::parse(text, Path::new("f")).unwrap();
            let mut route = Part::default();
            let is_read = read(&mut route, &directives[0]);
            let key = ["redirect", "respond"]
                .into_iter()
                .find_map(|key| Some(format!("{key} = {}", route.key(key)?)));
            assert_eq!((is_read, key.as_deref()), (expected.is_some(), expected), "{text}");
        }
    }
}
