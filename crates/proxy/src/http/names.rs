//! Names of fields: which of them belong to one connection, frame messages, or are the proxy's own.
use portcullis_wire::http1::{is_hop_by_hop, is_same_to_a_gateway};

/// What a name is reserved for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserved {
    /// Hop-by-hop: it ends with the connection that it came on (RFC 9110 7.6.1).
    Connection,
    /// It says where a message ends.
    Framing,
    /// The host that is asked for.
    Host,
    /// Written by this proxy alone: `Portcullis-*`, `Client-Cert`, `Client-Cert-Chain`.
    Ours,
    /// Whom a proxy spoke for: `Forwarded`, `X-Forwarded-*`, `X-Real-IP`.
    Forwarded,
}

/// What a name is reserved for, in any case. An underscore counts as a dash where it matters who wrote a field:
/// CGI and its heirs give both the same variable.
#[inline]
pub(crate) fn reserved(name: &str) -> Option<Reserved> {
    if is_hop_by_hop(name) {
        let frames = name.len() == TRANSFER_ENCODING;
        return Some(if frames {
            Reserved::Framing
        } else {
            Reserved::Connection
        });
    }
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let like = |other: &str| is_same_to_a_gateway(name, other);
    let begins = |with: &str| {
        name.get(..with.len())
            .is_some_and(|start| is_same_to_a_gateway(start, with))
    };
    match (name.len(), name.as_bytes().first()?.to_ascii_lowercase()) {
        (4, b'h') if is("host") => Some(Reserved::Host),
        (7, b't') if is("trailer") => Some(Reserved::Framing),
        (9, b'f') if like("forwarded") => Some(Reserved::Forwarded),
        (9, b'x') if like("x-real-ip") => Some(Reserved::Forwarded),
        (11 | 17, b'c') if like("client-cert") || like("client-cert-chain") => Some(Reserved::Ours),
        (14, b'c') if is("content-length") => Some(Reserved::Framing),
        (11.., b'p') if begins("portcullis-") => Some(Reserved::Ours),
        (12.., b'x') if begins("x-forwarded-") => Some(Reserved::Forwarded),
        _ => None,
    }
}

/// The length of the one name that ends at this hop because it frames a message.
const TRANSFER_ENCODING: usize = "transfer-encoding".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_known_however_it_is_written() {
        let table = [
            ("Connection", Some(Reserved::Connection)),
            ("KEEP-ALIVE", Some(Reserved::Connection)),
            ("proxy-connection", Some(Reserved::Connection)),
            ("TE", Some(Reserved::Connection)),
            ("trailer", Some(Reserved::Framing)),
            ("Upgrade", Some(Reserved::Connection)),
            ("HTTP2-Settings", Some(Reserved::Connection)),
            ("Transfer-Encoding", Some(Reserved::Framing)),
            ("content-LENGTH", Some(Reserved::Framing)),
            ("Host", Some(Reserved::Host)),
            ("Portcullis-TLS", Some(Reserved::Ours)),
            ("portcullis_tls", Some(Reserved::Ours)),
            ("Portcullis_Anything", Some(Reserved::Ours)),
            ("client-cert", Some(Reserved::Ours)),
            ("Client_Cert_Chain", Some(Reserved::Ours)),
            ("client_cert-chain", Some(Reserved::Ours)),
            ("Forwarded", Some(Reserved::Forwarded)),
            ("X-Forwarded-For", Some(Reserved::Forwarded)),
            ("x_forwarded_host", Some(Reserved::Forwarded)),
            ("X-Forwarded-Anything", Some(Reserved::Forwarded)),
            ("x_real_ip", Some(Reserved::Forwarded)),
            ("X-Real-IPs", None),
            ("Forwarded-For", None),
            ("Client-Certs", None),
            ("Proxy-Authorization", Some(Reserved::Connection)),
            ("Portcullis", None),
            ("Tea", None),
            ("Hosts", None),
            ("Accept", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(reserved(name), expected, "{name}");
        }
    }
}
