//! Answers of our own: small errors, plain or JSON, or a file in their place; redirects; the health of things.
use crate::plan::Piece;
use bytes::Bytes;
use portcullis_tls::negotiated::{Negotiated, Safety};
use portcullis_wire::http1::write::reason;
use std::{borrow::Cow, collections::BTreeMap, ffi::OsStr, path::Path};

/// An answer without the fields that frame it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: Bytes,
}

/// What decides how an error looks.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// `Accept`, its lines joined by commas.
    pub(crate) accept: &'a [u8],
    /// What the access log calls the request.
    pub(crate) request_id: &'a str,
}

/// An error that the proxy answers by itself, and what it says of it.
const ERRORS: [(u16, &str); 18] = [
    (400, "the request cannot be understood"),
    (403, "this is not for you"),
    (404, "there is nothing here"),
    (405, "this cannot be done here"),
    (408, "the request did not come in time"),
    (411, "the request does not say how long it is"),
    (413, "the request is too large"),
    (414, "the address is too long"),
    (417, "what the request expects cannot be met"),
    (421, "this name is not served here"),
    (429, "too many requests: try again later"),
    (431, "the fields of the request are too large"),
    (500, "the proxy failed"),
    (501, "the proxy cannot do this"),
    (502, "the server behind the proxy gave no proper answer"),
    (
        503,
        "too busy, or the server behind the proxy is not ready: try again later",
    ),
    (504, "the server behind the proxy did not answer in time"),
    (505, "this version of HTTP is not spoken here"),
];

/// The errors that the proxy answers by itself.
pub(crate) fn statuses() -> impl Iterator<Item = u16> {
    ERRORS.into_iter().map(|(status, _)| status)
}

/// Files in place of our own pages.
#[derive(Default)]
pub(crate) struct Pages(BTreeMap<u16, Page>);

struct Page {
    media_type: &'static str,
    body: Bytes,
}

impl Pages {
    /// What was read from files; a file's extension says what it is.
    pub(crate) fn new<'p>(files: impl IntoIterator<Item = (u16, &'p Path, Bytes)>) -> Pages {
        let page = |(status, file, body): (u16, &Path, Bytes)| {
            let media_type = media_type(file);
            (status, Page { media_type, body })
        };
        Pages(files.into_iter().map(page).collect())
    }

    /// An error: the operator's page, else ours in the form that the client reads.
    pub(crate) fn error(&self, status: u16, reader: Reader<'_>) -> Answer {
        self.explained(status, reader, || {
            (plain(status, reader.request_id), json(status, reader.request_id))
        })
    }

    /// The same with texts for it, plain and JSON, of the caller's.
    pub(crate) fn explained(
        &self,
        status: u16,
        reader: Reader<'_>,
        texts: impl FnOnce() -> (String, String),
    ) -> Answer {
        let (media_type, body) = match self.0.get(&status) {
            Some(page) => (page.media_type, page.body.clone()),
            None if prefers_json(reader.accept) => ("application/json", texts().1.into()),
            None => ("text/plain; charset=utf-8", texts().0.into()),
        };
        Answer {
            status,
            fields: vec![
                ("content-type", media_type.into()),
                ("cache-control", "no-store".into()),
            ],
            body,
        }
    }
}

impl Answer {
    /// The same with one more field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Answer {
        self.fields.push((name, value.into()));
        self
    }

    /// Sends the client elsewhere.
    pub(crate) fn redirect(status: u16, location: String) -> Answer {
        Answer {
            status,
            fields: vec![("location", location.into())],
            body: Bytes::new(),
        }
    }
}

/// Whether upstreams can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Upstreams {
    /// Each has a server that can be.
    Ok,
    /// One has none.
    Failed,
}

/// `respond = "health"` (SPEC 4): how things are, and what the asking connection negotiated.
pub(crate) fn health(upstreams: Upstreams, facts: Option<&Negotiated>) -> Answer {
    let group = facts.and_then(|facts| facts.group).map(|group| group.to_string());
    let (status, word) = match upstreams {
        Upstreams::Ok => (200, "ok"),
        Upstreams::Failed => (503, "failed"),
    };
    let body = serde_json::json!({
        "proxy": "ok",
        "upstream": word,
        "quantum_safe": facts.is_some_and(|facts| facts.key_exchange().is_quantum_safe()),
        "group": group.unwrap_or_default(),
        "safety": facts.map_or(Safety::Plain, Negotiated::safety).as_str(),
    });
    Answer {
        status,
        fields: vec![
            ("content-type", "application/json".into()),
            ("cache-control", "no-store".into()),
        ],
        body: Bytes::from(body.to_string()),
    }
}

/// What a redirect may repeat of a request.
#[derive(Clone, Copy)]
pub(crate) struct Visited<'a> {
    /// The host that was asked for, as it came.
    pub(crate) host: &'a str,
    /// The path in its normal form.
    pub(crate) path: &'a str,
    /// The query without its question mark.
    pub(crate) query: Option<&'a str>,
}

/// Where a route's redirect leads.
pub(crate) fn location(to: &[Piece], visited: Visited<'_>) -> String {
    let mut out = String::new();
    for piece in to {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Host => out.push_str(name_of(visited.host)),
            // "//host" by itself would lead to another server (RFC 3986 4.2)
            Piece::Path if out.is_empty() => {
                out.push('/');
                out.push_str(visited.path.trim_start_matches('/'));
            }
            Piece::Path => out.push_str(visited.path),
            Piece::Query => push_query(&mut out, visited.query),
        }
    }
    out
}

/// The same place over TLS: where `redirect_from` leads.
pub(crate) fn to_https(visited: Visited<'_>, public_port: u16) -> String {
    let mut out = format!("https://{}", name_of(visited.host));
    if public_port != 443 {
        out.push_str(&format!(":{public_port}"));
    }
    out.push_str(visited.path);
    push_query(&mut out, visited.query);
    out
}

/// A host without its port; an address in brackets keeps them.
pub(crate) fn name_of(host: &str) -> &str {
    match host.rfind([':', ']']) {
        Some(at) if host[at..].starts_with(':') => &host[..at],
        _ => host,
    }
}

fn push_query(out: &mut String, query: Option<&str>) {
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
}

fn said_of(status: u16) -> &'static str {
    let known = ERRORS.iter().find(|(own, _)| *own == status);
    known.map_or("something went wrong", |(_, said)| said)
}

fn plain(status: u16, request_id: &str) -> String {
    let (reason, said) = (reason(status), said_of(status));
    format!("{status} {reason}\n{said}\nrequest id: {request_id}\n")
}

fn json(status: u16, request_id: &str) -> String {
    let body = serde_json::json!({
        "status": status,
        "error": reason(status),
        "message": said_of(status),
        "request_id": request_id,
    });
    body.to_string() + "\n"
}

/// By a file's extension: what operators write error pages in.
fn media_type(file: &Path) -> &'static str {
    let extension = file.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// Whether JSON is asked for by name and liked better than text (RFC 9110 12.5.1). A browser and `*/*` get text.
fn prefers_json(accept: &[u8]) -> bool {
    let Ok(accept) = std::str::from_utf8(accept) else {
        return false;
    };
    let (mut json, mut text) = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let liked = parts.find_map(quality).unwrap_or(1000);
        let is_json = media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"));
        if is_json {
            json = json.max(liked);
        } else if media_type.starts_with("text/") {
            text = text.max(liked);
        }
    }
    json > text
}

/// `q=0.5` in thousandths; what is malformed is not liked.
fn quality(parameter: &str) -> Option<u32> {
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let value = value.parse::<f32>().ok().filter(|value| (0.0..=1.0).contains(value));
    Some(value.map_or(0, |value| (value * 1000.0) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_tls::negotiated::{Authentication, ClientAuthentication, Version};
    use portcullis_wire::{CipherId, GroupId, SchemeId};

    fn reader(accept: &str) -> Reader<'_> {
        Reader {
            accept: accept.as_bytes(),
            request_id: "0123456789abcdef",
        }
    }

    #[test]
    fn an_error_is_plain_or_json_as_the_client_reads() {
        let plain = Pages::default().error(502, reader("*/*"));
        let expected =
            "502 Bad Gateway\nthe server behind the proxy gave no proper answer\nrequest id: 0123456789abcdef\n";
        assert_eq!(plain.body, expected);
        assert_eq!(plain.fields[0], ("content-type", "text/plain; charset=utf-8".into()));
        let json = Pages::default().error(429, reader("application/json"));
        let value: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(value["status"], 429);
        assert_eq!(value["error"], "Too Many Requests");
        assert_eq!(value["request_id"], "0123456789abcdef");
        assert_eq!(json.fields[0], ("content-type", "application/json".into()));
    }

    #[test]
    fn every_error_has_its_reason_and_its_sentence() {
        for status in statuses() {
            let answer = Pages::default().error(status, reader(""));
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(
                text.starts_with(&format!("{status} {}\n", reason(status))) && !reason(status).is_empty(),
                "{text}"
            );
            assert!(!text.contains("something went wrong"), "{text}");
        }
    }

    #[test]
    fn json_must_be_named_and_liked_better_than_text() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let table = [
            ("", false),
            ("*/*", false),
            ("application/*", false),
            (browser, false),
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json, text/plain, */*", false),
            ("application/json, text/plain;q=0.9", true),
            ("application/json;q=0.5, text/html", false),
            ("application/json;q=0", false),
            ("application/json;charset=utf-8;q=0.7, text/html; q=0.6", true),
            ("application/problem+json", true),
            ("application/json;q=x", false),
            ("application/json;q=NaN", false),
            ("\u{e9}", false),
        ];
        for (accept, expected) in table {
            assert_eq!(prefers_json(accept.as_bytes()), expected, "{accept}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_our_page() {
        let body = Bytes::from_static(b"<p>back soon");
        let pages = Pages::new([(502, Path::new("down.HTML"), body)]);
        let answer = pages.error(502, reader("application/json"));
        assert_eq!(answer.body, "<p>back soon");
        assert_eq!(answer.fields[0], ("content-type", "text/html; charset=utf-8".into()));
        assert_ne!(pages.error(503, reader("")).body, answer.body);
        for (file, expected) in [("a.json", "application/json"), ("a", "text/plain; charset=utf-8")] {
            assert_eq!(media_type(Path::new(file)), expected);
        }
    }

    #[test]
    fn health_is_what_the_contract_shows() {
        let facts = Negotiated {
            version: Version::Tls13,
            group: Some(GroupId(0x11ec)),
            retry: false,
            cipher: CipherId(0x1301),
            signature: Some(SchemeId(0x0905)),
            authentication: Authentication::Pq,
            client_authentication: ClientAuthentication::None,
            client: None,
            resumed: false,
            alpn: None,
        };
        let answer = health(Upstreams::Ok, Some(&facts));
        let expected = r#"{"proxy":"ok","upstream":"ok","quantum_safe":true,"group":"X25519MLKEM768","safety":"full"}"#;
        assert_eq!((answer.status, &answer.body[..]), (200, expected.as_bytes()));
        let answer = health(Upstreams::Failed, None);
        let expected = r#"{"proxy":"ok","upstream":"failed","quantum_safe":false,"group":"","safety":"plain"}"#;
        assert_eq!((answer.status, &answer.body[..]), (503, expected.as_bytes()));
    }

    #[test]
    fn a_redirect_leads_where_it_says_and_nowhere_else() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let visited = |path, query| Visited {
            host: "a.example:8080",
            path,
            query,
        };
        let table = [
            (vec![text("https://b.example/")], "/x", None, "https://b.example/"),
            (
                vec![text("https://"), Piece::Host, Piece::Path, Piece::Query],
                "/x",
                Some("y=1"),
                "https://a.example/x?y=1",
            ),
            (
                vec![Piece::Path, Piece::Query],
                "//evil.example",
                Some(""),
                "/evil.example?",
            ),
            (vec![text("/new"), Piece::Path], "//x", None, "/new//x"),
        ];
        for (to, path, query, expected) in table {
            assert_eq!(location(&to, visited(path, query)), expected);
        }
        let https = |host, port| {
            let visited = Visited {
                host,
                path: "/a",
                query: Some("b"),
            };
            to_https(visited, port)
        };
        assert_eq!(https("a.example:8080", 443), "https://a.example/a?b");
        assert_eq!(https("a.example", 8443), "https://a.example:8443/a?b");
        assert_eq!(https("[::1]:80", 8443), "https://[::1]:8443/a?b");
        assert_eq!(https("[::1]", 443), "https://[::1]/a?b");
    }
}
