//! Why a handshake with a server failed, in words for its operator.
use portcullis_wire::alert::Alert;
use rustls::{CertificateError, Error, PeerIncompatible};

/// A rustls error of the client side.
pub fn words(error: &Error) -> String {
    match error {
        Error::AlertReceived(description) => format!("refused by the server: {}", Alert((*description).into())),
        Error::InvalidCertificate(problem) => certificate(problem),
        Error::InvalidMessage(_) => "what answers does not speak TLS".into(),
        Error::PeerIncompatible(problem) => incompatible(problem),
        Error::NoApplicationProtocol => "no application protocol in common".into(),
        other => other.to_string(),
    }
}

fn certificate(problem: &CertificateError) -> String {
    use CertificateError as C;
    match problem {
        C::UnknownIssuer => "certificate of an issuer that is not trusted".into(),
        C::Expired | C::ExpiredContext { .. } => "certificate expired".into(),
        C::NotValidYet | C::NotValidYetContext { .. } => "certificate not yet valid".into(),
        C::NotValidForName => "certificate for another name".into(),
        C::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            format!("certificate without subjectAltName, not for {}", expected.to_str())
        }
        C::NotValidForNameContext { expected, presented } => {
            format!("certificate for {}, not for {}", names(presented), expected.to_str())
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => "certificate that is not for servers".into(),
        C::BadSignature => "bad signature on certificate".into(),
        C::Other(other) => format!("certificate: {other}"),
        other => format!("certificate: {other:?}"),
    }
}

/// The first few: a certificate may have hundreds, and what a server typed is escaped.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 3;
    let named = presented.iter().take(SHOWN).map(|name| {
        // webpki's own words for its kinds of names: `DnsName("example.com")`
        let bare = name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")"));
        portcullis_wire::Escaped(bare.unwrap_or(name).as_bytes()).to_string()
    });
    let mut text = named.collect::<Vec<_>>().join(", ");
    if presented.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

fn incompatible(problem: &PeerIncompatible) -> String {
    use PeerIncompatible as P;
    match problem {
        P::ServerTlsVersionIsDisabledByOurConfig | P::ServerDoesNotSupportTls12Or13 => {
            "no TLS version in common".into()
        }
        P::NoKxGroupsInCommon => "no group in common".into(),
        P::NoCipherSuitesInCommon => "no cipher suite in common".into(),
        P::NoSignatureSchemesInCommon => "no signature in common".into(),
        other => format!("incompatible server: {other:?}"),
    }
}
