//! `balance = { sticky = "cookie" }`: a signed cookie that names the server which a client began with.
use crate::upstream::{Server, Upstream};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_tls::tickets::Signer;
use portcullis_wire::http1::Field;
use std::sync::Arc;

/// What every cookie of ours is called, before its upstream's name.
const OURS: &str = "portcullis-";
/// RFC 6265bis 4.1.3.2: browsers take a cookie of this name only from this host, over TLS, for all paths.
const HOST: &str = "__Host-";

/// What holds the clients of one upstream to its servers.
#[derive(Clone)]
pub(crate) struct Sticky {
    name: Box<str>,
    signer: Arc<Signer>,
}

impl Sticky {
    /// Of an upstream, for connections of this scheme.
    pub(crate) fn new(upstream: &Upstream, scheme: &str, signer: &Arc<Signer>) -> Sticky {
        let token = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
            _ => '_',
        };
        let upstream: String = upstream.plan.name.chars().map(token).collect();
        let host = if scheme == "https" { HOST } else { "" };
        Sticky {
            name: format!("{host}{OURS}{upstream}").into(),
            signer: signer.clone(),
        }
    }

    /// The server that a request's cookie names, if we signed it.
    pub(crate) fn held<'f>(&self, fields: impl Iterator<Item = Field<'f>>) -> Option<Box<[u8]>> {
        let is_cookie = |field: &Field<'f>| field.name.eq_ignore_ascii_case("cookie");
        let mut pairs = fields.filter(is_cookie).flat_map(|field| each(field.value));
        pairs.find_map(|pair| {
            let value = pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"=")?;
            let dot = value.iter().position(|byte| *byte == b'.')?;
            let tag = URL_SAFE_NO_PAD.decode(&value[dot + 1..]).ok()?;
            let id = &value[..dot];
            self.signer.is_signed(&self.signed(id), &tag).then(|| id.into())
        })
    }

    /// The line that holds a client to this server from now on. It ends with the browser's session.
    pub(crate) fn line(&self, server: &Server) -> String {
        let (name, id) = (&self.name, &server.id);
        let tag = URL_SAFE_NO_PAD.encode(self.signer.sign(&self.signed(id.as_bytes())));
        let secure = if name.starts_with(HOST) { "; Secure" } else { "" };
        format!("{name}={id}.{tag}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }

    /// With its name, so that no cookie can stand for another upstream's.
    fn signed(&self, id: &[u8]) -> Vec<u8> {
        [self.name.as_bytes(), b"=", id].concat()
    }
}

/// A line of cookies without ours, which are nothing to an upstream; `kept` holds what is left of it.
pub(crate) fn without_ours<'v>(line: &'v [u8], kept: &'v mut Vec<u8>) -> &'v [u8] {
    if !each(line).any(is_ours) {
        return line;
    }
    kept.clear();
    for pair in each(line).filter(|pair| !is_ours(pair)) {
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(pair);
    }
    kept
}

fn each(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

fn is_ours(pair: &[u8]) -> bool {
    pair.strip_prefix(HOST.as_bytes())
        .unwrap_or(pair)
        .starts_with(OURS.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_never_see_cookies_of_ours() {
        let table = [
            ("", ""),
            ("a=b; c=d", "a=b; c=d"),
            ("a=b;c=d", "a=b;c=d"),
            ("a=b; portcullis-x=1.2; c=d", "a=b; c=d"),
            ("__Host-portcullis-x=1.2", ""),
            ("__Host-portcullis-x=1;portcullis-y=2;  c=\"d\"", "c=\"d\""),
            ("x=portcullis-y", "x=portcullis-y"),
        ];
        for (line, expected) in table {
            let mut kept = Vec::new();
            assert_eq!(without_ours(line.as_bytes(), &mut kept), expected.as_bytes());
        }
    }
}
