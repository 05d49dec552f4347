//! Names of fields: which of them belong to one connection, frame messages, or are the proxy's own.

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
pub(crate) fn reserved(name: &[u8]) -> Option<Reserved> {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    let like = |other: &[u8]| is_like(name, other);
    match (name.len(), name.first()?.to_ascii_lowercase()) {
        (2, b't') if is(b"te") => Some(Reserved::Connection),
        (4, b'h') if is(b"host") => Some(Reserved::Host),
        (7, b't') if is(b"trailer") => Some(Reserved::Connection),
        (7, b'u') if is(b"upgrade") => Some(Reserved::Connection),
        (9, b'f') if like(b"forwarded") => Some(Reserved::Forwarded),
        (9, b'x') if like(b"x-real-ip") => Some(Reserved::Forwarded),
        (10, b'c') if is(b"connection") => Some(Reserved::Connection),
        (10, b'k') if is(b"keep-alive") => Some(Reserved::Connection),
        (11, b'c') if like(b"client-cert") => Some(Reserved::Ours),
        (14, b'c') if is(b"content-length") => Some(Reserved::Framing),
        (14, b'h') if is(b"http2-settings") => Some(Reserved::Connection),
        (16, b'p') if is(b"proxy-connection") => Some(Reserved::Connection),
        (17, b't') if is(b"transfer-encoding") => Some(Reserved::Framing),
        (17, b'c') if like(b"client-cert-chain") => Some(Reserved::Ours),
        (11.., b'p') if is_like(&name[..11], b"portcullis-") => Some(Reserved::Ours),
        (12.., b'x') if is_like(&name[..12], b"x-forwarded-") => Some(Reserved::Forwarded),
        _ => None,
    }
}

/// Whether a name is a token (RFC 9110 5.6.2).
pub(crate) fn is_token(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_letter)
}

/// Whether two names are the same to who makes variables of them.
#[inline]
pub(crate) fn is_like(name: &[u8], dashed: &[u8]) -> bool {
    let same = |(one, other): (&u8, &u8)| one.eq_ignore_ascii_case(other) || (*one == b'_' && *other == b'-');
    name.len() == dashed.len() && name.iter().zip(dashed).all(same)
}

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
            ("trailer", Some(Reserved::Connection)),
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
            ("Portcullis", None),
            ("Tea", None),
            ("Hosts", None),
            ("Accept", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(reserved(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_name_is_a_token() {
        for good in ["a", "X-Y", "x_y.z", "~"] {
            assert!(is_token(good.as_bytes()), "{good}");
        }
        for bad in ["", "a b", "a:", "a\r", "é", "(a)", "a/b"] {
            assert!(!is_token(bad.as_bytes()), "{bad}");
        }
    }
}
