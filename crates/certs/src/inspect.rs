//! What stands in a file of certificates, keys, requests and lists, whoever made it.
use crate::{Error, Request, RevocationList, error::unusable, key::algorithm_of};
use aws_lc_rs::digest;
use portcullis_tls::{
    identity::{Certificate, Problem},
    negotiated::Authentication,
};
use portcullis_wire::registry::{KeyKind, Oid, OidClass};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// All that a file holds.
#[derive(Debug)]
pub struct Inspection {
    /// In their order.
    pub items: Vec<Item>,
    /// What an operator should know, in sentences.
    pub problems: Vec<String>,
}

/// One thing in a file.
#[derive(Debug)]
pub enum Item {
    /// A certificate.
    Certificate(Box<Found>),
    /// A private key; nothing of it is kept but its kind.
    Key {
        /// For people: `ML-DSA-65`; of an encrypted one, nothing.
        algorithm: Option<String>,
    },
    /// A request for a certificate, its possession proven.
    Request(Box<Request>),
    /// A list of the revoked.
    List(Box<RevocationList>),
    /// Something else that PEM can hold, by its label.
    Other(String),
}

/// A certificate, and what `tls` does not need of it.
#[derive(Debug)]
pub struct Found {
    /// What TLS looks at.
    pub facts: Certificate,
    /// Every alternative name with its form before it: `DNS:localhost`.
    pub names: Vec<String>,
    /// NIST level of its key, 0 of a classical one.
    pub key_level: u8,
    /// What it may be used for: `servers`, `clients`, `certificates`, `lists`; empty: anything.
    pub uses: Vec<&'static str>,
    /// Of its whole encoding.
    pub sha256: String,
}

impl Inspection {
    /// Reads PEM, or one thing in DER; `now` is in seconds since 1970.
    pub fn read(content: &[u8], now: i64) -> Result<Inspection, Error> {
        let mut items = Vec::new();
        for (label, der) in blocks(content)? {
            items.push(item(&label, &der, items.len() + 1)?);
        }
        let problems = problems(&items, now);
        Ok(Inspection { items, problems })
    }

    /// What a server sent.
    pub fn of_chain(ders: &[impl AsRef<[u8]>], now: i64) -> Result<Inspection, Error> {
        let read = |(der, at): (&_, usize)| certificate(AsRef::as_ref(der), at).map(Item::Certificate);
        let items: Vec<Item> = ders.iter().zip(1..).map(read).collect::<Result<_, _>>()?;
        let problems = problems(&items, now);
        Ok(Inspection { items, problems })
    }

    /// The certificates alone.
    pub fn certificates(&self) -> impl Iterator<Item = &Found> {
        self.items.iter().filter_map(|item| match item {
            Item::Certificate(found) => Some(&**found),
            _ => None,
        })
    }

    /// Of the chain that the certificates make; None where they make none: a file of roots is no chain.
    pub fn authentication(&self) -> Option<Authentication> {
        let leaf = self.certificates().next()?;
        if is_root(&leaf.facts) && self.certificates().count() > 1 {
            return None;
        }
        let signatures = self.certificates().all(|found| found.facts.signature_is_pq);
        let key = leaf.facts.key.is_some_and(KeyKind::is_ml_dsa);
        Some(match signatures && key {
            true => Authentication::Pq,
            false => Authentication::Classical,
        })
    }
}

fn is_root(facts: &Certificate) -> bool {
    facts.is_ca && facts.is_self_issued
}

/// A moment for people and machines: `2026-11-20T22:00:00Z`.
pub fn date(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{seconds} s since 1970"))
}

fn blocks(content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    if content.first() == Some(&0x30) {
        return Ok(vec![(label_of(content)?.to_owned(), content.to_vec())]);
    }
    let blocks = pem::parse_many(content).map_err(|_| unusable("file", "its PEM is broken or cut off"))?;
    match blocks.is_empty() {
        true => Err(unusable("file", "there is neither PEM nor DER in it")),
        false => Ok(blocks
            .into_iter()
            .map(|block| (block.tag().to_owned(), block.into_contents()))
            .collect()),
    }
}

/// What a lone piece of DER is.
fn label_of(der: &[u8]) -> Result<&'static str, Error> {
    if X509Certificate::from_der(der).is_ok() {
        Ok("CERTIFICATE")
    } else if RevocationList::from_der(der).is_ok() {
        Ok("X509 CRL")
    } else if Request::is_one(der) {
        Ok("CERTIFICATE REQUEST")
    } else if algorithm_of(der).is_some() {
        Ok("PRIVATE KEY")
    } else {
        Err(unusable(
            "file",
            "binary, and neither a certificate, a key, a request nor a revocation list",
        ))
    }
}

fn item(label: &str, der: &[u8], at: usize) -> Result<Item, Error> {
    Ok(match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Item::Certificate(certificate(der, at)?),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Item::Request(Box::new(Request::from_der(der)?)),
        "X509 CRL" => Item::List(Box::new(RevocationList::from_der(der)?)),
        "PRIVATE KEY" => key(der)?,
        "ENCRYPTED PRIVATE KEY" => Item::Key { algorithm: None },
        "RSA PRIVATE KEY" => Item::Key {
            algorithm: Some("RSA".to_owned()),
        },
        "EC PRIVATE KEY" => Item::Key {
            algorithm: Some("ECDSA".to_owned()),
        },
        other => Item::Other(other.to_owned()),
    })
}

fn key(der: &[u8]) -> Result<Item, Error> {
    let dotted = algorithm_of(der).ok_or_else(|| unusable("key", "its DER is broken"))?;
    refuse_dead("key", "its algorithm", &dotted)?;
    let name = Oid::find(&dotted).map_or(&*dotted, |row| row.name);
    Ok(Item::Key {
        algorithm: Some(name.to_owned()),
    })
}

/// ITU-T X.509 (2019) section 9.8: a second key and signature in extensions.
const ALTERNATIVE: [&str; 3] = ["2.5.29.72", "2.5.29.73", "2.5.29.74"];

fn certificate(der: &[u8], at: usize) -> Result<Box<Found>, Error> {
    let facts = Certificate::from_der(der).map_err(|problem| unusable("certificate", format!("{at}: {problem}")))?;
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|_| unusable("certificate", format!("{at}: not one we can read")))?;
    refuse_dead("certificate", "its key", &facts.key_algorithm)?;
    refuse_dead(
        "certificate",
        "its signature",
        &parsed.signature_algorithm.algorithm.to_id_string(),
    )?;
    let alternative =
        |extension: &x509_parser::extensions::X509Extension<'_>| ALTERNATIVE.contains(&&*extension.oid.to_id_string());
    if parsed.extensions().iter().any(alternative) {
        return Err(unusable(
            "certificate",
            "a hybrid with an alternative key and signature in extensions (X.509 section 9.8), which TLS does not use; \
             make two certificates instead: portcullis cert server --dual",
        ));
    }
    Ok(Box::new(Found {
        names: names(&parsed),
        key_level: Oid::find(&facts.key_algorithm).map_or(0, |row| row.level),
        uses: uses(&parsed),
        sha256: hex(digest::digest(&digest::SHA256, der).as_ref()),
        facts,
    }))
}

/// What nobody standardised for TLS is an error that says what to make instead.
fn refuse_dead(what: &'static str, part: &str, dotted: &str) -> Result<(), Error> {
    match Oid::find(dotted) {
        Some(Oid {
            name,
            class: OidClass::Dead(instead),
            ..
        }) => Err(unusable(
            what,
            format!(
                "{part} is {name}, which TLS does not use; make {instead} instead: portcullis cert server --algorithm {instead}"
            ),
        )),
        _ => Ok(()),
    }
}

fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let extension = parsed.subject_alternative_name().ok().flatten();
    extension.map_or_else(Vec::new, |extension| {
        extension.value.general_names.iter().map(general_name).collect()
    })
}

pub(crate) fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::URI(uri) => format!("URI:{uri}"),
        GeneralName::RFC822Name(mail) => format!("email:{mail}"),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from);
            v4.or_else(|_| v6())
                .map_or_else(|_| format!("IP:#{}", hex(octets)), |address| format!("IP:{address}"))
        }
        _ => "other".to_owned(),
    }
}

fn uses(parsed: &X509Certificate<'_>) -> Vec<&'static str> {
    let extended = parsed
        .extended_key_usage()
        .ok()
        .flatten()
        .map(|extension| extension.value);
    let usage = parsed.key_usage().ok().flatten().map(|extension| extension.value);
    let claims = [
        (extended.is_some_and(|usage| usage.server_auth), "servers"),
        (extended.is_some_and(|usage| usage.client_auth), "clients"),
        (
            parsed.is_ca() && usage.is_none_or(|usage| usage.key_cert_sign()),
            "certificates",
        ),
        (usage.is_some_and(|usage| usage.crl_sign()), "lists"),
    ];
    claims
        .into_iter()
        .filter_map(|(holds, word)| holds.then_some(word))
        .collect()
}

fn problems(items: &[Item], now: i64) -> Vec<String> {
    let mut found = Vec::new();
    let mut chain: Vec<&Certificate> = Vec::new();
    for item in items {
        match item {
            Item::Certificate(certificate) => chain.push(&certificate.facts),
            Item::List(list) if list.next_update.is_some_and(|next| now > next) => {
                found.push("the revocation list is out of date: servers that use it refuse everyone".to_owned());
            }
            _ => {}
        }
    }
    for (facts, index) in chain.iter().zip(1..) {
        found.extend(of_one(facts, index, now));
    }
    // a file that begins with a root is one of roots: their order says nothing
    if !chain.first().is_some_and(|first| is_root(first)) {
        found.extend(of_order(&chain).map(|problem| problem.to_string()));
    }
    found
}

fn of_one(facts: &Certificate, index: usize, now: i64) -> Vec<String> {
    let Certificate {
        not_before, not_after, ..
    } = *facts;
    let signature = facts.signature.to_ascii_lowercase();
    let weak = ["sha1", "md5"].iter().any(|hash| signature.contains(hash));
    let unnamed = facts.dns_names.is_empty() && facts.addresses.is_empty() && facts.uris.is_empty();
    let claims = [
        (now > not_after, Problem::Expired { index, not_after }),
        (now < not_before, Problem::NotYetValid { index, not_before }),
        (weak && !facts.is_self_issued, Problem::WeakSignature { index }),
        (
            index == 1 && unnamed && facts.for_servers && !facts.is_ca,
            Problem::NoSan,
        ),
    ];
    let held = claims.into_iter().filter(|(holds, _)| *holds);
    let mut found: Vec<String> = held.map(|(_, problem)| problem.to_string()).collect();
    if facts.key == Some(KeyKind::Rsa) && facts.key_bits < 2048 {
        let bits = facts.key_bits;
        found.push(format!(
            "certificate {index} has an RSA key of {bits} bits, which TLS does not take"
        ));
    }
    found
}

/// Each certificate is issued by the next, and the root is left out.
fn of_order(chain: &[&Certificate]) -> impl Iterator<Item = Problem> {
    chain.windows(2).zip(2..).filter_map(|(pair, index)| {
        if pair[0].issuer != pair[1].subject {
            Some(Problem::ChainOutOfOrder { index })
        } else if pair[1].is_self_issued {
            Some(Problem::RootIncluded { index })
        } else {
            None
        }
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Algorithm, Key,
        der::{INTEGER, OBJECT, SEQUENCE, element},
    };

    const BIT_STRING: u8 = 0x03;
    const UTC_TIME: u8 = 0x17;
    const ML_DSA_65: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12];

    /// A certificate with these identifiers for its key and its signature, and nothing that could be verified.
    fn certificate_of(key: &[u8], signature: &[u8]) -> Vec<u8> {
        let algorithm = |oid: &[u8]| element(SEQUENCE, &[&element(OBJECT, &[oid])]);
        let bits = element(BIT_STRING, &[&[0, 1, 2, 3]]);
        let date = element(UTC_TIME, &[b"260101000000Z"]);
        let tbs = element(
            SEQUENCE,
            &[
                &element(INTEGER, &[&[7]]),
                &algorithm(signature),
                &element(SEQUENCE, &[]),
                &element(SEQUENCE, &[&date, &date]),
                &element(SEQUENCE, &[]),
                &element(SEQUENCE, &[&algorithm(key), &bits]),
            ],
        );
        element(SEQUENCE, &[&tbs, &algorithm(signature), &bits])
    }

    #[test]
    fn what_tls_does_not_use_is_named_with_its_successor() {
        let table: [(&[u8], &str, &str); 4] = [
            (
                &[0x2b, 6, 1, 4, 1, 2, 0x82, 0x0b, 7, 6, 5],
                "Dilithium3 (draft)",
                "mldsa65",
            ),
            (
                &[0x2b, 6, 1, 5, 5, 7, 6, 45],
                "MLDSA65-ECDSA-P256-SHA512 (composite)",
                "mldsa65",
            ),
            (&[0x2b, 0xce, 0x0f, 7, 8], "P-521 and ML-DSA-87 (OQS)", "mldsa87"),
            (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 34], "HashML-DSA-87", "mldsa87"),
        ];
        for (oid, name, instead) in table {
            for der in [certificate_of(oid, ML_DSA_65), certificate_of(ML_DSA_65, oid)] {
                let said = Inspection::of_chain(&[der], 0).unwrap_err().to_string();
                assert!(
                    said.contains(name) && said.contains(&format!("--algorithm {instead}")),
                    "{said}"
                );
            }
        }
        assert!(Inspection::of_chain(&[certificate_of(ML_DSA_65, ML_DSA_65)], 0).is_ok());
    }

    #[test]
    fn a_hybrid_in_extensions_is_named() {
        for last in [72, 73, 74] {
            let key = Key::generate(Algorithm::EcdsaP256).unwrap();
            let mut params = rcgen::CertificateParams::default();
            let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, last], vec![5, 0]);
            params.custom_extensions = vec![extension];
            let der = params.self_signed(&key).unwrap().der().to_vec();
            let said = Inspection::of_chain(&[der], 0).unwrap_err().to_string();
            assert!(said.contains("alternative key") && said.contains("--dual"), "{said}");
        }
    }

    #[test]
    fn what_holds_nothing_is_an_error() {
        for content in [
            &b""[..],
            b"hello",
            &[0x30, 3, 1, 2, 3],
            b"-----BEGIN CERTIFICATE-----\nAAAA",
        ] {
            assert!(Inspection::read(content, 0).is_err(), "{content:?}");
        }
    }
}
