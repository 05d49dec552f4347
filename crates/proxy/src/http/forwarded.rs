//! Whom a request comes from, as upstreams are told: `X-Forwarded-*`, `X-Real-IP`, `Forwarded` (RFC 7239),
//! `Portcullis-TLS`, `Portcullis-Client` (RFC 9651) and `Client-Cert` (RFC 9440).
use super::names::Reserved;
use crate::{
    plan::ForwardPlan,
    traces::{self, Context},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use portcullis_tls::{
    identity::{Certificate, fingerprint},
    negotiated::Negotiated,
};
use portcullis_wire::http1::{Field, is_host, is_same_to_a_gateway, is_token};
use std::{
    fmt::{self, Write},
    net::{IpAddr, SocketAddr},
};

/// What is told of a connection with each of its requests, made once.
pub(crate) struct Told {
    peer: Option<IpAddr>,
    /// Its forwarded fields are believed.
    is_trusted: bool,
    /// The peer's address; empty on a Unix socket.
    address: String,
    /// `for=192.0.2.1;proto=https`
    element: String,
    scheme: &'static str,
    /// `Portcullis-TLS` and what is told of a certificate.
    of_connection: Vec<(&'static str, String)>,
}

/// A connection as it is told of.
pub(crate) struct Spoken<'a> {
    /// The other end; None on a Unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// Whose forwarded fields are believed.
    pub(crate) trusted: &'a [IpNet],
    /// What TLS came to; None without TLS.
    pub(crate) facts: Option<&'a Negotiated>,
    /// The client's chain as DER, leaf first.
    pub(crate) chain: &'a [&'a [u8]],
    /// What is told of it.
    pub(crate) forward: ForwardPlan,
}

impl Told {
    /// Puts it into words.
    pub(crate) fn new(spoken: &Spoken<'_>) -> Told {
        let peer = spoken.peer.map(|peer| peer.to_canonical());
        let scheme = if spoken.facts.is_some() { "https" } else { "http" };
        let mut of_connection = Vec::new();
        if let Some(facts) = spoken.facts {
            of_connection.push(("portcullis-tls", tls(facts)));
            of_connection.extend(client(facts, spoken));
        }
        let node = match peer {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        };
        Told {
            peer,
            is_trusted: peer.is_some_and(|peer| is_among(spoken.trusted, peer)),
            address: peer.map(|peer| peer.to_string()).unwrap_or_default(),
            element: format!("for={node};proto={scheme}"),
            scheme,
            of_connection,
        }
    }

    /// `https` or `http`, as the connection is.
    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The client: the peer, or who trusted proxies say they speak for. Of several addresses the last that is no
    /// trusted proxy counts, since everything before it is the client's own claim.
    pub(crate) fn client<'f, F>(&self, fields: F, trusted: &[IpNet]) -> Option<IpAddr>
    where
        F: Iterator<Item = Field<'f>>,
    {
        if !self.is_trusted {
            return self.peer;
        }
        let chains = fields.filter(|field| field.name.eq_ignore_ascii_case("x-forwarded-for"));
        let nodes = chains.flat_map(|field| field.value.split(|byte| *byte == b','));
        let client = nodes.fold(None, |before, node| match address(node) {
            // who said this cannot be told, so nothing before it counts
            None => None,
            Some(proxy) if is_among(trusted, proxy) => before.or(Some(proxy)),
            Some(client) => Some(client),
        });
        client.or(self.peer)
    }

    /// The trace that a request belongs to, if who says so is believed.
    pub(crate) fn trace(&self, fields: &[Field<'_>]) -> Option<Context> {
        let mut fields = fields.iter().filter(|_| self.is_trusted);
        let parent = fields.find(|field| field.name.eq_ignore_ascii_case(traces::PARENT))?;
        Context::parse(parent.value)
    }

    /// Feeds a sink with what a request is told to come from; `text` is scratch.
    pub(crate) fn write<'f, F, I>(
        &self,
        request: &Request<'_, F>,
        text: &mut Vec<u8>,
        mut sink: impl FnMut(&str, &[u8]),
    ) where
        F: Fn() -> I,
        I: Iterator<Item = Field<'f>>,
    {
        let believed = |name: &'static str| {
            let fields = self.is_trusted.then(|| (request.fields)());
            let lines = fields.into_iter().flatten();
            lines
                .filter(move |field| field.name.eq_ignore_ascii_case(name))
                .map(|field| field.value)
        };
        joined(text, believed("x-forwarded-for"), self.address.as_bytes());
        if !text.is_empty() {
            sink("x-forwarded-for", text);
        }
        let scheme = believed("x-forwarded-proto")
            .next()
            .filter(|scheme| matches!(*scheme, b"http" | b"https"));
        sink("x-forwarded-proto", scheme.unwrap_or(self.scheme.as_bytes()));
        let host = believed("x-forwarded-host").next().filter(|host| is_host(host));
        let host = host.unwrap_or(request.host.as_bytes());
        if !host.is_empty() {
            sink("x-forwarded-host", host);
        }
        if request.client.is_some() && request.client == self.peer {
            sink("x-real-ip", self.address.as_bytes());
        } else if let Some(client) = request.client {
            text.clear();
            // writing to a vector does not fail
            _ = std::io::Write::write_fmt(text, format_args!("{client}"));
            sink("x-real-ip", text);
        }
        joined(text, believed("forwarded"), self.element.as_bytes());
        match request.host {
            "" => {}
            host if host.bytes().all(is_token_letter) => {
                text.extend_from_slice(b";host=");
                text.extend_from_slice(host.as_bytes());
            }
            host => {
                text.extend_from_slice(b";host=\"");
                text.extend_from_slice(host.as_bytes());
                text.push(b'"');
            }
        }
        sink("forwarded", text);
        for (name, value) in &self.of_connection {
            sink(name, value.as_bytes());
        }
    }

    /// Whether a client's own line of a reserved name is passed on: only what a trusted proxy says beside what we
    /// write ourselves, such as `X-Forwarded-Port`.
    pub(crate) fn passes(&self, name: &str, reserved: Reserved) -> bool {
        let is_ours = WRITTEN.iter().any(|own| is_same_to_a_gateway(name, own));
        reserved == Reserved::Forwarded && self.is_trusted && !is_ours && !name.contains('_')
    }
}

/// One request, as far as it is told of.
pub(crate) struct Request<'a, F> {
    /// What goes through its fields as they came, as often as it is called.
    pub(crate) fields: F,
    /// The host it asks for, as it came: `example.com:8443`.
    pub(crate) host: &'a str,
    /// Whom it comes from.
    pub(crate) client: Option<IpAddr>,
}

/// The forwarded fields that are written here.
const WRITTEN: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "forwarded",
];

fn is_among(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: bare, or with a port, or in brackets.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?.trim();
    let bare = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || node.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address: Option<IpAddr> = node.parse().ok().or_else(bare).or_else(with_port);
    address.map(|address| address.to_canonical())
}

/// Lines and one more item as one list.
fn joined<'f>(text: &mut Vec<u8>, lines: impl Iterator<Item = &'f [u8]>, last: &'f [u8]) {
    text.clear();
    for line in lines.chain([last]).filter(|line| !line.is_empty()) {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(line);
    }
}

/// RFC 9110 5.6.2, as far as hosts go: a colon or a bracket needs quotes (RFC 7239 4).
fn is_token_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// `version=1.3, group=X25519MLKEM768, ...`; what a resumed session has not is left out.
fn tls(facts: &Negotiated) -> String {
    let mut dictionary = Dictionary::default();
    dictionary.word("version", facts.version.as_str());
    if let Some(group) = facts.group {
        dictionary.word("group", &group.to_string());
    }
    dictionary.word("key_exchange", facts.key_exchange().as_str());
    if let Some(signature) = facts.signature {
        dictionary.word("signature", &signature.to_string());
    }
    dictionary.word("authentication", facts.authentication.as_str());
    dictionary.word("safety", facts.safety().as_str());
    dictionary.item("resumed", if facts.resumed { "?1" } else { "?0" });
    dictionary.text
}

fn client(facts: &Negotiated, spoken: &Spoken<'_>) -> Vec<(&'static str, String)> {
    let Some((leaf, rest)) = spoken.chain.split_first() else {
        return Vec::new();
    };
    let bytes = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
    match spoken.forward {
        ForwardPlan::None => Vec::new(),
        ForwardPlan::Identity => vec![("portcullis-client", identity(facts, leaf))],
        ForwardPlan::Cert => vec![("client-cert", bytes(leaf))],
        ForwardPlan::Chain => {
            let mut fields = vec![("client-cert", bytes(leaf))];
            if !rest.is_empty() {
                let chain: Vec<String> = rest.iter().map(|der| bytes(der)).collect();
                fields.push(("client-cert-chain", chain.join(", ")));
            }
            fields
        }
    }
}

/// `subject="CN=agent-7", uri="spiffe://corp/agent-7", sha256=:...:, authentication=pq`
fn identity(facts: &Negotiated, leaf: &[u8]) -> String {
    let mut dictionary = Dictionary::default();
    if let Ok(certificate) = Certificate::from_der(leaf) {
        dictionary.string("subject", &certificate.subject);
        if let Some(uri) = certificate.uris.first() {
            dictionary.string("uri", uri);
        }
    }
    dictionary.item("sha256", &format!(":{}:", STANDARD.encode(fingerprint(leaf))));
    dictionary.word("authentication", facts.client_authentication.as_str());
    dictionary.text
}

/// A dictionary of RFC 9651.
#[derive(Default)]
struct Dictionary {
    text: String,
}

impl Dictionary {
    fn item(&mut self, key: &str, item: &str) {
        let comma = if self.text.is_empty() { "" } else { ", " };
        // writing to a string does not fail
        _ = write!(self.text, "{comma}{key}={item}");
    }

    /// One of our own words: a number like `1.3`, or a token, which begins with a letter; anything else is text.
    fn word(&mut self, key: &str, word: &str) {
        let is_number = word.parse::<f32>().is_ok();
        let is_token = word.starts_with(|c: char| c.is_ascii_alphabetic()) && is_token(word.as_bytes());
        if is_number || is_token {
            self.item(key, word);
        } else {
            self.string(key, word);
        }
    }

    /// Text of someone else's.
    fn string(&mut self, key: &str, text: &str) {
        self.item(key, &Quoted(text).to_string());
    }
}

/// Text as a string (RFC 9651 4.1.6), or as a display string where it is not printable ASCII (4.1.11).
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = self.0.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        f.write_str(if is_plain { "\"" } else { "%\"" })?;
        for byte in self.0.bytes() {
            match byte {
                b'"' | b'\\' if is_plain => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' if is_plain => f.write_char(char::from(byte))?,
                b'%' | b'"' | 0..=0x1f | 0x7f.. => write!(f, "%{byte:02x}")?,
                _ => f.write_char(char::from(byte))?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests;
