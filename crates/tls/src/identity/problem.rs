//! What an operator should know of a chain that works, or soon will not.
use super::Certificate;
use std::fmt;

/// One thing worth a warning. Certificates are counted from 1, as sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// Past its end.
    Expired {
        /// Which.
        index: usize,
        /// Since when, in seconds since 1970.
        not_after: i64,
    },
    /// Before its beginning.
    NotYetValid {
        /// Which.
        index: usize,
        /// From when, in seconds since 1970.
        not_before: i64,
    },
    /// The key's certificate was not the first of the file; it is sent first nevertheless.
    LeafNotFirst,
    /// It did not issue the one before it.
    ChainOutOfOrder {
        /// Which.
        index: usize,
    },
    /// The leaf's extended key usage leaves servers out.
    NotForServers,
    /// The leaf has no alternative name, and clients look at nothing else.
    NoSan,
    /// The leaf is a CA's certificate, which some clients refuse.
    LeafIsCa,
    /// A self-signed root is sent along: bytes for nothing, clients have their own.
    RootIncluded {
        /// Which.
        index: usize,
    },
    /// Signed with SHA-1 or MD5, which nobody accepts any more.
    WeakSignature {
        /// Which.
        index: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Expired { index, .. } => write!(f, "certificate {index} has expired"),
            Problem::NotYetValid { index, .. } => write!(f, "certificate {index} is not valid yet"),
            Problem::LeafNotFirst => {
                write!(f, "the key's certificate is not the first of its file")
            }
            Problem::ChainOutOfOrder { index } => {
                write!(f, "certificate {index} did not issue the one before it")
            }
            Problem::NotForServers => write!(f, "its extended key usage does not allow servers"),
            Problem::NoSan => write!(f, "it has no subject alternative name"),
            Problem::LeafIsCa => write!(f, "it is a CA's certificate"),
            Problem::RootIncluded { index } => {
                write!(f, "certificate {index} is a root, which need not be sent")
            }
            Problem::WeakSignature { index } => {
                write!(f, "certificate {index} is signed with a broken hash")
            }
        }
    }
}

/// All problems of a chain whose leaf stood at `leaf_at` in its file.
pub(super) fn of_chain(chain: &[Certificate], leaf_at: usize, now: i64) -> Vec<Problem> {
    let mut problems = Vec::new();
    if leaf_at != 0 {
        problems.push(Problem::LeafNotFirst);
    }
    if let Some(leaf) = chain.first() {
        problems.extend(of_leaf(leaf));
    }
    let mut before: Option<&Certificate> = None;
    for (certificate, index) in chain.iter().zip(1..) {
        problems.extend(of_one(certificate, index, now));
        if before.is_some_and(|before| before.issuer != certificate.subject) {
            problems.push(Problem::ChainOutOfOrder { index });
        }
        before = Some(certificate);
    }
    problems
}

fn of_leaf(leaf: &Certificate) -> impl Iterator<Item = Problem> {
    let unnamed = leaf.dns_names.is_empty() && leaf.addresses.is_empty() && leaf.uris.is_empty();
    let claims = [
        (!leaf.for_servers, Problem::NotForServers),
        (unnamed, Problem::NoSan),
        (leaf.is_ca, Problem::LeafIsCa),
    ];
    claims
        .into_iter()
        .filter_map(|(holds, problem)| holds.then_some(problem))
}

fn of_one(certificate: &Certificate, index: usize, now: i64) -> impl Iterator<Item = Problem> {
    let Certificate {
        not_before, not_after, ..
    } = *certificate;
    let signature = certificate.signature.to_ascii_lowercase();
    let weak = signature.contains("sha1") || signature.contains("md5");
    let root = index > 1 && certificate.is_self_issued;
    let claims = [
        (now > not_after, Problem::Expired { index, not_after }),
        (now < not_before, Problem::NotYetValid { index, not_before }),
        (root, Problem::RootIncluded { index }),
        (weak && !certificate.is_self_issued, Problem::WeakSignature { index }),
    ];
    claims
        .into_iter()
        .filter_map(|(holds, problem)| holds.then_some(problem))
}
