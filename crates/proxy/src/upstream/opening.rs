//! What a server is told of a connection before its first byte: a PROXY protocol header with what its TLS came to.
use crate::{plan::Opening, record::Peer};
use portcullis_tls::negotiated::{ClientAuthentication, Negotiated, Version};
use portcullis_wire::proxy_header::{Extension, Verified, Writer};
use std::net::SocketAddr;

/// A connection as its server may know it.
pub(crate) struct Told<'a> {
    /// Who connected.
    pub(crate) peer: &'a Peer,
    /// To what address.
    pub(crate) destination: Option<SocketAddr>,
    /// Its name in our log.
    pub(crate) id: u64,
    /// What it asked for.
    pub(crate) sni: Option<&'a str>,
    /// What its TLS came to; None without TLS.
    pub(crate) negotiated: Option<&'a Negotiated>,
}

/// For a client's connection.
pub(super) fn of(opening: Opening, told: &Told<'_>) -> Vec<u8> {
    if opening == Opening::None {
        return Vec::new();
    }
    let addresses = match (told.peer, told.destination) {
        (Peer::Ip(source), Some(destination)) => Some((*source, destination)),
        _ => None,
    };
    let header = Writer::proxied(addresses)
        .extension(Extension::UniqueId, format!("{:016x}", told.id).as_bytes())
        .extension(Extension::Authority, told.sni.unwrap_or_default().as_bytes());
    match told.negotiated {
        None => header.finish(),
        Some(facts) => with_tls(header, facts).finish(),
    }
}

/// For a connection of our own.
pub(super) fn of_ours(opening: Opening) -> Vec<u8> {
    match opening {
        Opening::None => Vec::new(),
        Opening::ProxyV2 => Writer::local().finish(),
    }
}

fn with_tls(header: Writer, facts: &Negotiated) -> Writer {
    let header = header.extension(Extension::Alpn, facts.alpn.as_deref().unwrap_or_default());
    let version = match facts.version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    let verified = match facts.client_authentication {
        ClientAuthentication::None => Verified::Nothing,
        ClientAuthentication::Pq | ClientAuthentication::Classical => Verified::Certificate,
    };
    let name = facts.client.as_deref().and_then(|client| common_name(&client.subject));
    let cipher = facts.cipher.to_string();
    let group = facts.group.map(|group| group.to_string()).unwrap_or_default();
    let signature = facts.signature.map(|scheme| scheme.to_string()).unwrap_or_default();
    header.tls(
        verified,
        &[
            (Extension::SslVersion, version.as_bytes()),
            (Extension::SslCommonName, name.unwrap_or_default().as_bytes()),
            (Extension::SslCipher, cipher.as_bytes()),
            (Extension::SslGroup, group.as_bytes()),
            (Extension::SslSignatureScheme, signature.as_bytes()),
        ],
    )
}

/// The common name of a subject as RFC 4514 writes it, without its escapes.
fn common_name(subject: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for letter in subject.chars() {
        match (letter, escaped, parts.last_mut()) {
            (',' | '+', false, _) => parts.push(String::new()),
            ('\\', false, _) => {
                escaped = true;
                continue;
            }
            (letter, _, Some(part)) => part.push(letter),
            (_, _, None) => {}
        }
        escaped = false;
    }
    let names = parts.iter().filter_map(|part| part.trim_start().strip_prefix("CN="));
    names.map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_found_wherever_it_stands() {
        let table = [
            ("CN=agent-7", Some("agent-7")),
            ("O=Corp,CN=agent-7,C=CH", Some("agent-7")),
            ("O=Corp\\,CN=liar,CN=agent\\, seven", Some("agent, seven")),
            ("OU=a+CN=b", Some("b")),
            ("O=Corp", None),
            ("", None),
        ];
        for (subject, name) in table {
            assert_eq!(common_name(subject).as_deref(), name, "{subject}");
        }
    }
}
