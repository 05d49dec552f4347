//! Certificate revocation lists (RFC 5280 5): what an issuer took back.
use super::{IdentityError, certificate, pem};
use rustls::pki_types::CertificateRevocationListDer;
use x509_parser::{prelude::FromDer, revocation_list::CertificateRevocationList};

/// One list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    /// Its encoding.
    pub der: CertificateRevocationListDer<'static>,
    /// Whose certificates it is about, in RFC 4514 form.
    pub issuer: String,
    /// Seconds since 1970.
    pub this_update: i64,
    /// Seconds since 1970; None: it never expires.
    pub next_update: Option<i64>,
    /// How many certificates it takes back.
    pub revoked: usize,
}

impl RevocationList {
    /// Reads one; the error is a sentence for people.
    pub fn from_der(der: Vec<u8>) -> Result<RevocationList, String> {
        let (rest, parsed) =
            CertificateRevocationList::from_der(&der).map_err(|_| "not a revocation list we can read".to_owned())?;
        if !rest.is_empty() {
            return Err(format!("{} bytes after its end", rest.len()));
        }
        Ok(RevocationList {
            issuer: certificate::name(parsed.issuer()),
            this_update: parsed.last_update().timestamp(),
            next_update: parsed.next_update().map(|at| at.timestamp()),
            revoked: parsed.iter_revoked_certificates().count(),
            der: CertificateRevocationListDer::from(der),
        })
    }

    /// Its next edition is overdue, so that it says nothing of what happened since.
    pub fn is_expired(&self, now: i64) -> bool {
        self.next_update.is_some_and(|next| next < now)
    }
}

/// Reads the lists of a file: PEM, or the one DER encoding that CAs publish.
pub fn revocation_lists(content: &[u8]) -> Result<Vec<RevocationList>, IdentityError> {
    let bad = |index: usize, problem: String| IdentityError::BadRevocationList { index, problem };
    // a SEQUENCE: PEM is text
    if content.first() == Some(&0x30) {
        let only = RevocationList::from_der(content.to_vec());
        return Ok(vec![only.map_err(|problem| bad(1, problem))?]);
    }
    let sections = pem::sections(content).filter(pem::Section::is_revocation_list);
    let read = sections.zip(1..).map(|(section, index)| {
        let der = section.der().map_err(|problem| bad(index, problem.to_owned()))?;
        RevocationList::from_der(der).map_err(|problem| bad(index, problem))
    });
    let lists: Vec<RevocationList> = read.collect::<Result<_, _>>()?;
    match lists.is_empty() {
        true => Err(IdentityError::NoRevocationList),
        false => Ok(lists),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_alike_from_pem_and_der() {
        let pem = include_bytes!("../../testdata/crl.pem");
        let read = revocation_lists(pem).unwrap();
        assert_eq!(read.len(), 1);
        let again = revocation_lists(&read[0].der).unwrap();
        assert_eq!(read, again);
        let end = read[0].next_update.unwrap();
        assert!(!read[0].is_expired(end) && read[0].is_expired(end + 1));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let certificate = include_bytes!("../../testdata/p256.pem");
        assert_eq!(revocation_lists(certificate), Err(IdentityError::NoRevocationList));
        let pem = include_str!("../../testdata/crl.pem");
        let cut = &pem[..pem.len() / 2];
        for broken in [&b"\x30\x03"[..], cut.as_bytes()] {
            let read = revocation_lists(broken);
            assert!(
                matches!(read, Err(IdentityError::BadRevocationList { index: 1, .. })),
                "{read:?}"
            );
        }
    }
}
