//! Lists of revoked certificates (RFC 5280 section 5), kept by their issuer.
use crate::{Authority, Error, error::unusable, inspect::hex, key::encode, request::is_signed, subject};
use pem::Pem;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};
use std::time::Duration;
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    prelude::{CertificateRevocationList, FromDer},
};

/// A list, as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    /// Who keeps it.
    pub issuer: String,
    /// Grows with each list; zero bytes before it left out.
    pub number: Vec<u8>,
    /// Since when, in seconds since 1970.
    pub this_update: i64,
    /// Until when it can be relied on.
    pub next_update: Option<i64>,
    /// The revoked.
    pub entries: Vec<Revoked>,
    /// The signature's algorithm, dotted.
    pub signature: String,
    der: Vec<u8>,
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// The certificate's serial number, zero bytes before it left out.
    pub serial: Vec<u8>,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// RFC 5280 section 5.3.1; 0 where none is given.
    pub reason: u8,
}

impl RevocationList {
    /// Reads one; its signature is not looked at.
    pub fn from_der(der: &[u8]) -> Result<RevocationList, Error> {
        let (rest, parsed) =
            CertificateRevocationList::from_der(der).map_err(|_| unusable("revocation list", "not one we can read"))?;
        if !rest.is_empty() {
            return Err(unusable("revocation list", "something follows its end"));
        }
        let entries = parsed.iter_revoked_certificates().map(|entry| Revoked {
            serial: entry.user_certificate.to_bytes_be(),
            since: entry.revocation_date.timestamp(),
            reason: entry.reason_code().map_or(0, |(_, reason)| reason.0),
        });
        Ok(RevocationList {
            issuer: subject::text(parsed.issuer()),
            number: parsed.crl_number().map_or_else(Vec::new, |number| number.to_bytes_be()),
            this_update: parsed.last_update().timestamp(),
            next_update: parsed.next_update().map(|next| next.timestamp()),
            entries: entries.collect(),
            signature: parsed.signature_algorithm.algorithm.to_id_string(),
            der: der.to_vec(),
        })
    }

    /// Reads the first of a PEM text.
    pub fn from_pem(text: &[u8]) -> Result<RevocationList, Error> {
        let blocks = pem::parse_many(text).map_err(|_| unusable("revocation list", "its PEM is broken or cut off"))?;
        let found = blocks.iter().find(|block| block.tag() == "X509 CRL");
        let block = found.ok_or_else(|| unusable("revocation list", "there is none in it"))?;
        RevocationList::from_der(block.contents())
    }
}

impl Authority {
    /// The next list: all that the last one had, and these, its number one higher.
    pub fn revoke(&self, last: Option<&RevocationList>, more: &[Revoked], valid: Duration) -> Result<String, Error> {
        let (number, mut entries) = match last {
            Some(last) if !self.has_signed(last)? => {
                return Err(unusable("revocation list", "this issuer has not signed it"));
            }
            Some(last) => (next(&last.number), last.entries.clone()),
            None => (vec![1], Vec::new()),
        };
        for new in more {
            if !entries.iter().any(|entry| entry.serial == new.serial) {
                entries.push(new.clone());
            }
        }
        let now = OffsetDateTime::now_utc();
        let valid = time::Duration::try_from(valid).map_err(|_| Error::ValidityTooLong)?;
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: now.checked_add(valid).ok_or(Error::ValidityTooLong)?,
            crl_number: SerialNumber::from_slice(&number),
            issuing_distribution_point: None,
            revoked_certs: entries.iter().map(entry).collect::<Result<_, _>>()?,
            key_identifier_method: self
                .key_identifier
                .clone()
                .map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified),
        };
        let signed = list.signed_by(&self.issuer)?;
        Ok(encode(&Pem::new("X509 CRL", signed.der().as_ref())))
    }

    /// The serial number of a certificate that this authority has issued.
    pub fn serial_of(&self, certificate_pem: &[u8]) -> Result<Vec<u8>, Error> {
        let blocks =
            pem::parse_many(certificate_pem).map_err(|_| unusable("certificate", "its PEM is broken or cut off"))?;
        let block = blocks.iter().find(|block| block.tag() == "CERTIFICATE");
        let block = block.ok_or_else(|| unusable("certificate", "there is none in it"))?;
        let (_, parsed) =
            X509Certificate::from_der(block.contents()).map_err(|_| unusable("certificate", "not one we can read"))?;
        match parsed.issuer().as_raw() == self.name_der()? {
            true => Ok(parsed.serial.to_bytes_be()),
            false => Err(unusable("certificate", "this issuer has not issued it")),
        }
    }

    /// What another has signed is not continued.
    fn has_signed(&self, list: &RevocationList) -> Result<bool, Error> {
        let block = pem::parse(self.certificate_pem()).map_err(|_| unusable("issuer", "its PEM is broken"))?;
        let (_, own) = X509Certificate::from_der(block.contents())
            .map_err(|_| unusable("issuer", "not a certificate we can read"))?;
        let (_, parsed) = CertificateRevocationList::from_der(&list.der)
            .map_err(|_| unusable("revocation list", "not one we can read"))?;
        let signature = &parsed.signature_value.data;
        let message = parsed.tbs_cert_list.as_ref();
        Ok(is_signed(
            own.public_key(),
            &parsed.signature_algorithm,
            message,
            signature,
        ))
    }

    fn name_der(&self) -> Result<Vec<u8>, Error> {
        let block = pem::parse(self.certificate_pem()).map_err(|_| unusable("issuer", "its PEM is broken"))?;
        let (_, parsed) = X509Certificate::from_der(block.contents())
            .map_err(|_| unusable("issuer", "not a certificate we can read"))?;
        Ok(parsed.subject().as_raw().to_vec())
    }
}

impl Revoked {
    /// The words of `reason`, by their numbers.
    pub const REASONS: [(u8, &'static str); 7] = [
        (0, "unspecified"),
        (1, "key-compromise"),
        (2, "ca-compromise"),
        (3, "affiliation-changed"),
        (4, "superseded"),
        (5, "cessation-of-operation"),
        (9, "privilege-withdrawn"),
    ];

    /// The serial number in lower-case hexadecimal.
    pub fn serial_text(&self) -> String {
        hex(&self.serial)
    }
}

fn entry(revoked: &Revoked) -> Result<RevokedCertParams, Error> {
    let moment = OffsetDateTime::from_unix_timestamp(revoked.since);
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(&revoked.serial),
        revocation_time: moment.map_err(|_| unusable("revocation list", "a date beyond the calendar"))?,
        reason_code: reason(revoked.reason),
        invalidity_date: None,
    })
}

/// RFC 5280 section 5.3.1: what is unspecified is left out.
fn reason(number: u8) -> Option<RevocationReason> {
    Some(match number {
        1 => RevocationReason::KeyCompromise,
        2 => RevocationReason::CaCompromise,
        3 => RevocationReason::AffiliationChanged,
        4 => RevocationReason::Superseded,
        5 => RevocationReason::CessationOfOperation,
        6 => RevocationReason::CertificateHold,
        9 => RevocationReason::PrivilegeWithdrawn,
        10 => RevocationReason::AaCompromise,
        _ => return None,
    })
}

/// One more, in as many bytes as it takes.
fn next(number: &[u8]) -> Vec<u8> {
    let mut out = number.to_vec();
    for octet in out.iter_mut().rev() {
        *octet = octet.wrapping_add(1);
        if *octet != 0 {
            return out;
        }
    }
    out.insert(0, 1);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_grows_by_one() {
        let table: [(&[u8], &[u8]); 5] = [
            (&[], &[1]),
            (&[1], &[2]),
            (&[0xff], &[1, 0]),
            (&[1, 0xff], &[2, 0]),
            (&[0xff, 0xff], &[1, 0, 0]),
        ];
        for (number, expected) in table {
            assert_eq!(next(number), expected);
        }
    }
}
