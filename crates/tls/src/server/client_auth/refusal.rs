//! Why a client certificate is refused, and whose it was.
use crate::{failure::Fault, identity::Certificate, negotiated::ClientCertificate, policy::RuleName};
use rustls::{CertificateError, Error};
use std::fmt;

/// Why a client certificate is refused, and whose it was.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientRefusal {
    /// What it says of itself; empty where it cannot be read.
    pub certificate: Box<ClientCertificate>,
    /// `revoked`, `expired`, `denied by DNS:agent-7`, ...
    pub reason: String,
    /// The client's, or the operator's where a revocation list is missing or out of date.
    pub fault: Fault,
    /// The policy's rule that refused it, if one did.
    pub rule: Option<RuleName>,
    error: Box<Error>,
}

impl ClientRefusal {
    /// What rustls is told, and chooses its alert by.
    pub fn error(&self) -> &Error {
        &self.error
    }

    pub(super) fn of(leaf: Option<&Certificate>, error: Error) -> ClientRefusal {
        let (reason, fault) = reason(&error);
        ClientRefusal {
            certificate: Box::new(leaf.map(shortened).unwrap_or_default()),
            reason,
            fault,
            rule: None,
            error: Box::new(error),
        }
    }

    pub(super) fn because(self, reason: String) -> ClientRefusal {
        ClientRefusal { reason, ..self }
    }

    pub(super) fn by(self, rule: RuleName) -> ClientRefusal {
        ClientRefusal {
            reason: "policy requires client authentication to be quantum-safe".to_owned(),
            rule: Some(rule),
            ..self
        }
    }
}

impl fmt::Display for ClientRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client certificate refused: {}", self.reason)
    }
}

/// What a record keeps of each name of a certificate that nobody vouched for: it may be 64 KiB of anything.
const MAX_NAME: usize = 512;

fn shortened(leaf: &Certificate) -> ClientCertificate {
    let short = |text: &str| match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    };
    ClientCertificate {
        subject: short(&leaf.subject),
        issuer: short(&leaf.issuer),
        serial: short(&leaf.serial).into(),
        ..ClientCertificate::default()
    }
}

/// Words for what WebPKI says, and whose fault it is.
fn reason(error: &Error) -> (String, Fault) {
    use CertificateError as C;
    let (word, fault) = match error {
        Error::InvalidCertificate(problem) => match problem {
            C::Revoked => ("revoked", Fault::Client),
            C::Expired | C::ExpiredContext { .. } => ("expired", Fault::Client),
            C::NotValidYet | C::NotValidYetContext { .. } => ("not valid yet", Fault::Client),
            C::UnknownIssuer => ("no CA here vouches for it", Fault::Client),
            C::UnknownRevocationStatus => ("crl holds no list of its issuer, or of one above", Fault::Operator),
            C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => {
                ("the revocation list of its issuer has expired", Fault::Operator)
            }
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => ("it is not meant for clients", Fault::Client),
            C::UnhandledCriticalExtension => ("it has a critical extension that we do not know", Fault::Client),
            C::BadSignature => ("a signature in its chain is wrong", Fault::Client),
            C::BadEncoding => ("it cannot be read", Fault::Client),
            C::Other(inner) => return (inner.0.to_string(), Fault::Client),
            other => return (other.to_string(), Fault::Client),
        },
        Error::InvalidCertRevocationList(problem) => {
            return (format!("revocation list: {problem:?}"), Fault::Operator);
        }
        other => return (other.to_string(), Fault::Client),
    };
    (word.to_owned(), fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_end_does_not_fill_the_log() {
        let pem = include_bytes!("../../../testdata/p256.pem");
        let leaf = crate::identity::certificates_from_pem(pem).unwrap().remove(0).1;
        let long = Certificate {
            subject: format!("CN={}", "\u{fc}".repeat(60_000)),
            ..leaf.clone()
        };
        let refusal = ClientRefusal::of(Some(&long), CertificateError::UnknownIssuer.into());
        assert_eq!(refusal.certificate.subject.chars().count(), MAX_NAME + 3);
        assert_eq!(refusal.certificate.issuer, leaf.issuer);
    }
}
