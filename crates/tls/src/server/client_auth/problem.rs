//! What an operator should know of a site's CAs and revocation lists.
use crate::{
    identity::Certificate,
    server::{ClientAuth, ExpiredLists},
};
use std::fmt;

/// One thing worth a warning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientAuthProblem {
    /// There are lists, but none of this CA's: whoever it vouches for is refused.
    NoList {
        /// The CA.
        subject: String,
    },
    /// A list's next edition is overdue.
    ExpiredList {
        /// Whose.
        issuer: String,
        /// What that means.
        means: ExpiredLists,
    },
    /// A CA's own certificate is out of its time.
    ExpiredCa {
        /// The CA.
        subject: String,
    },
}

impl ClientAuthProblem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ClientAuthProblem::NoList { .. } => "add its list to client_auth.crl, an empty one if nothing is revoked",
            ClientAuthProblem::ExpiredList { .. } => "fetch its next edition from the CA",
            ClientAuthProblem::ExpiredCa { .. } => "take it out of client_auth.ca, or put its successor in",
        }
    }
}

impl fmt::Display for ClientAuthProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientAuthProblem::NoList { subject } => {
                write!(f, "client_auth.crl holds no list of {subject}: its clients are refused")
            }
            ClientAuthProblem::ExpiredList { issuer, means } => {
                let means = match means {
                    ExpiredLists::Refuse => "its clients are refused",
                    ExpiredLists::Warn => "who was revoked since is admitted",
                };
                write!(f, "the revocation list of {issuer} has expired: {means}")
            }
            ClientAuthProblem::ExpiredCa { subject } => write!(f, "the client ca {subject} has expired"),
        }
    }
}

impl ClientAuth {
    /// What an operator should know, at `now` in seconds since 1970.
    pub fn problems(&self, now: i64) -> Vec<ClientAuthProblem> {
        let read = self.roots.iter().filter_map(|der| Certificate::from_der(der).ok());
        let cas: Vec<Certificate> = read.filter(|ca| ca.is_ca || !ca.is_version_3).collect();
        let listed = |ca: &&Certificate| self.crls.iter().any(|list| list.issuer == ca.subject);
        let asked = |_: &&Certificate| !self.crls.is_empty();
        let unlisted = cas.iter().filter(asked).filter(|ca| !listed(ca));
        let no_list = unlisted.map(|ca| ClientAuthProblem::NoList {
            subject: ca.subject.clone(),
        });
        let overdue = self.crls.iter().filter(|list| list.is_expired(now));
        let expired_list = overdue.map(|list| ClientAuthProblem::ExpiredList {
            issuer: list.issuer.clone(),
            means: self.expired_lists,
        });
        let old = cas.iter().filter(|ca| ca.not_after < now);
        let expired_ca = old.map(|ca| ClientAuthProblem::ExpiredCa {
            subject: ca.subject.clone(),
        });
        no_list.chain(expired_list).chain(expired_ca).collect()
    }
}
