//! What a handshake came to, and whether that is what was read from the hello.
use super::{Choice, Mismatch, Server, Unfit};
use crate::{
    identity::{Certificate, class_of},
    negotiated::{Authentication, ClientAuthentication, ClientCertificate, Negotiated, Version},
};
use portcullis_wire::{CipherId, Escaped, GroupId, Hello};
use rustls::{
    CommonState, HandshakeKind,
    pki_types::{CertificateDer, UnixTime},
};
use std::{fmt::Display, time::Duration};

/// What rustls says of a connection, over TCP or QUIC.
pub(super) struct Seen<'a> {
    pub(super) server_name: Option<&'a str>,
    pub(super) state: &'a CommonState,
}

/// The facts, each compared with our own reading.
pub(super) fn negotiated(
    server: &Server,
    hello: &Hello,
    choice: &Choice,
    seen: &Seen<'_>,
) -> Result<Negotiated, Unfit> {
    let connection = seen.state;
    let kind = connection.handshake_kind();
    let (Some(kind), false) = (kind, connection.is_handshaking()) else {
        return Err(mismatch("handshake", "finished", "unfinished").into());
    };
    let resumed = kind == HandshakeKind::Resumed;
    same_name(hello, seen.server_name)?;
    let version = version(choice, connection)?;
    let group = group(choice, connection, resumed)?;
    let alpn = alpn(server, hello, connection)?;
    let retry = retry(choice, kind)?;
    let chain = peer_chain(connection.peer_certificates());
    if resumed {
        judged_again(server, choice, connection.peer_certificates())?;
    }
    let (client_authentication, client) = client(chain);
    let suite = connection.negotiated_cipher_suite();
    let suite = suite.ok_or_else(|| mismatch("cipher", "one", "none"))?;
    Ok(Negotiated {
        version,
        group,
        retry,
        cipher: CipherId(suite.suite().into()),
        signature: (!resumed).then_some(choice.scheme),
        authentication: choice.authentication,
        client_authentication,
        client,
        resumed,
        alpn,
    })
}

/// RFC 6066 knows no trailing dot; where a client sends one, it says nothing else.
fn same_name(hello: &Hello, found: Option<&str>) -> Result<(), Mismatch> {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let read = hello.sni.as_deref().map(plain);
    let found = found.map(plain);
    match read == found {
        true => Ok(()),
        false => Err(mismatch("sni", shown(read), shown(found))),
    }
}

fn version(choice: &Choice, connection: &CommonState) -> Result<Version, Mismatch> {
    let found = connection.protocol_version().and_then(Version::from_rustls);
    match found {
        Some(version) if version == choice.version => Ok(version),
        other => {
            let found = other.map_or("another", Version::as_str);
            Err(mismatch("version", choice.version.as_str(), found))
        }
    }
}

/// A resumed TLS 1.2 session exchanges no keys.
fn group(choice: &Choice, connection: &CommonState, resumed: bool) -> Result<Option<GroupId>, Mismatch> {
    let found = connection.negotiated_key_exchange_group();
    let found = found.map(|group| GroupId(group.name().into()));
    match found {
        None if resumed && choice.version == Version::Tls12 => Ok(None),
        Some(group) if group == choice.group => Ok(Some(group)),
        None => Err(mismatch("group", choice.group, "none")),
        Some(group) => Err(mismatch("group", choice.group, group)),
    }
}

/// Of a resumed handshake rustls does not say whether a retry came before: there it is as we read it.
fn retry(choice: &Choice, kind: HandshakeKind) -> Result<bool, Mismatch> {
    let found = match kind {
        HandshakeKind::Full => false,
        HandshakeKind::FullWithHelloRetryRequest => true,
        HandshakeKind::Resumed => return Ok(choice.retry),
    };
    match found == choice.retry {
        true => Ok(found),
        false => Err(mismatch("retry", choice.retry, found)),
    }
}

fn alpn(server: &Server, hello: &Hello, connection: &CommonState) -> Result<Option<Vec<u8>>, Mismatch> {
    let expected = server.alpn.iter().find(|ours| hello.alpn.contains(ours));
    let expected = expected.map(Vec::as_slice);
    let found = connection.alpn_protocol();
    match found == expected {
        true => Ok(found.map(<[u8]>::to_vec)),
        false => {
            let text = |protocol: Option<&[u8]>| shown(protocol.map(|bytes| Escaped(bytes).to_string()));
            Err(mismatch("alpn", text(expected), text(found)))
        }
    }
}

/// rustls verified the chain; what it is called we read ourselves. One that only rustls can read has no names here.
fn peer_chain(chain: Option<&[CertificateDer<'_>]>) -> Option<Vec<Certificate>> {
    let chain = chain.filter(|chain| !chain.is_empty())?;
    let read: Result<Vec<Certificate>, String> = chain.iter().map(|der| Certificate::from_der(der)).collect();
    Some(read.unwrap_or_default())
}

/// A resumed session verifies nothing, and each one brings new tickets: without this a client would outlive its
/// certificate, or its issuer's revocation list, for as long as it keeps coming.
fn judged_again(server: &Server, choice: &Choice, chain: Option<&[CertificateDer<'_>]>) -> Result<(), Unfit> {
    let (Some(rules), Some(chain)) = (&server.clients, chain) else {
        return Ok(());
    };
    let now = choice.config.time_provider.current_time();
    // without a clock every certificate has expired
    let now = now.unwrap_or(UnixTime::since_unix_epoch(Duration::MAX));
    rules
        .judge(chain, now)
        .map_err(|refusal| Unfit::Client(Box::new(refusal)))
}

fn client(chain: Option<Vec<Certificate>>) -> (ClientAuthentication, Option<Box<ClientCertificate>>) {
    let Some(chain) = chain else {
        return (ClientAuthentication::None, None);
    };
    let class = match class_of(&chain) {
        Authentication::Pq => ClientAuthentication::Pq,
        Authentication::Classical | Authentication::Unknown => ClientAuthentication::Classical,
    };
    let leaf = chain.into_iter().next();
    let certificate = leaf.map_or_else(ClientCertificate::default, |leaf| ClientCertificate::from(&leaf));
    (class, Some(Box::new(certificate)))
}

fn shown(text: Option<String>) -> String {
    match text {
        Some(text) => Escaped(text.as_bytes()).to_string(),
        None => "none".to_owned(),
    }
}

fn mismatch(what: &'static str, expected: impl Display, found: impl Display) -> Mismatch {
    Mismatch {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_cannot_be_read_is_still_a_client() {
        let der = CertificateDer::from(vec![0x30, 0]);
        let (class, certificate) = client(peer_chain(Some(&[der])));
        assert_eq!(class, ClientAuthentication::Classical);
        assert_eq!(certificate, Some(Box::default()));
        assert_eq!(client(peer_chain(None)), (ClientAuthentication::None, None));
        assert_eq!(client(peer_chain(Some(&[]))), (ClientAuthentication::None, None));
    }
}
