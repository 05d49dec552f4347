//! The sections of a PEM text (RFC 7468), with all that people put between them.
use super::IdentityError;
use rustls::pki_types::pem::{PemObject, SectionKind};

/// One section.
pub(super) struct Section<'a> {
    /// `CERTIFICATE`, `EC PRIVATE KEY`, ...
    pub(super) label: &'a str,
    /// From the dashes of its begin to those of its end.
    block: &'a [u8],
}

impl Section<'_> {
    /// X509 CERTIFICATE is what old tools wrote for the same.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self.label, "CERTIFICATE" | "X509 CERTIFICATE")
    }

    /// What an issuer took back.
    pub(super) fn is_revocation_list(&self) -> bool {
        self.label == "X509 CRL"
    }

    /// RFC 1421 headers that say the content is encrypted, as OpenSSL 1.0 wrote them.
    pub(super) fn has_encryption_header(&self) -> bool {
        contains(self.block, b"Proc-Type: 4,ENCRYPTED")
    }

    /// What it encodes; the error is a sentence for people.
    pub(super) fn der(&self) -> Result<Vec<u8>, &'static str> {
        let renamed;
        let block = match self.label {
            "X509 CERTIFICATE" => {
                renamed = String::from_utf8_lossy(self.block).replace("X509 CERT", "CERT");
                renamed.as_bytes()
            }
            // a label that the reader below does not know
            "ENCRYPTED PRIVATE KEY" => {
                renamed = String::from_utf8_lossy(self.block).replace("ENCRYPTED PRIVATE", "PRIVATE");
                renamed.as_bytes()
            }
            _ => self.block,
        };
        <(SectionKind, Vec<u8>)>::from_pem_slice(block)
            .map(|(_, der)| der)
            .map_err(|_| "its base64 is broken or cut off")
    }
}

/// The sections of a text, one after the other. One without an end reaches to the end of the text, where reading
/// its content then fails.
pub(super) fn sections(text: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = find(rest, BEGIN)?;
            let block = &rest[start..];
            let Some(label) = label(block) else {
                rest = &block[BEGIN.len()..];
                continue;
            };
            let end = format!("-----END {label}-----");
            let len = find(block, end.as_bytes()).map_or(block.len(), |at| at + end.len());
            rest = &block[len..];
            return Some(Section {
                label,
                block: &block[..len],
            });
        }
    })
}

/// What stands in a text that should hold certificates and has none.
pub(super) fn instead_of_certificates(text: &[u8]) -> IdentityError {
    let misplaced = |found, hint| IdentityError::Misplaced {
        wanted: "a certificate",
        found,
        hint,
    };
    if let Some(found) = der_instead(text) {
        return misplaced(
            found,
            "convert it with `openssl x509 -inform der -in FILE -out FILE.pem`",
        );
    }
    let mut labels = sections(text).map(|section| section.label);
    match labels.find_map(described) {
        Some((found, hint)) => misplaced(found, hint),
        None => IdentityError::NoCertificate,
    }
}

/// What stands in a text that should hold a private key and has none.
pub(super) fn instead_of_key(text: &[u8]) -> IdentityError {
    let misplaced = |found, hint| IdentityError::Misplaced {
        wanted: "a private key",
        found,
        hint,
    };
    if let Some(found) = der_instead(text) {
        return misplaced(
            found,
            "convert it with `openssl pkey -inform der -in FILE -out FILE.pem`",
        );
    }
    let mut labels = sections(text).map(|section| section.label);
    match labels.find_map(described) {
        Some((found, hint)) => misplaced(found, hint),
        None => match sections(text).any(|section| section.is_certificate()) {
            true => misplaced("a certificate", "give the file that holds the key"),
            false => IdentityError::NoKey,
        },
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";

/// The longest line of a begin. Without an end to it, a long line of many begins is read once for each of them.
const LONGEST_BEGIN: usize = 200;

/// Labels that are often mistaken for what we want, with what they are and what to do.
fn described(label: &str) -> Option<(&'static str, &'static str)> {
    Some(match label {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => (
            "a certificate request",
            "a CA must sign it first; the file that comes back is the certificate",
        ),
        "X509 CRL" => ("a revocation list", "revocation lists are not certificates"),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => ("a public key", "the private key was written when the pair was made"),
        "TRUSTED CERTIFICATE" => (
            "an OpenSSL trusted certificate",
            "convert it with `openssl x509 -in FILE -out FILE.pem`",
        ),
        "PKCS7" | "CMS" => (
            "a PKCS#7 bundle",
            "convert it with `openssl pkcs7 -print_certs -in FILE -out FILE.pem`",
        ),
        label if label.ends_with("PRIVATE KEY") => {
            ("a private key", "give the certificate's file, or one that holds both")
        }
        _ => return None,
    })
}

/// DER begins with the tag of a SEQUENCE; a PKCS#12 file does, too.
fn der_instead(text: &[u8]) -> Option<&'static str> {
    let der = text.first() == Some(&0x30) && find(text, BEGIN).is_none();
    der.then_some("binary DER")
}

fn label(block: &[u8]) -> Option<&str> {
    let block = &block[..block.len().min(LONGEST_BEGIN)];
    let line = block.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    find(text, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<&str> {
        sections(text.as_bytes()).map(|section| section.label).collect()
    }

    #[test]
    fn sections_are_found_between_text() {
        let text = "\u{feff}Bag Attributes\r\n-----BEGIN A-----\r\nAAAA\r\n-----END A-----\r\nsubject=CN=x\n\
                    -----BEGIN B C-----\nAAAA\n-----END B C-----";
        assert_eq!(labels(text), ["A", "B C"]);
        assert_eq!(labels("nothing here"), Vec::<&str>::new());
        assert_eq!(labels("-----BEGIN \n-----BEGIN A-----\n-----END A-----"), ["A"]);
    }

    #[test]
    fn a_section_without_end_is_broken() {
        let text = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        let section = sections(text).next().unwrap();
        assert_eq!(section.der(), Err("its base64 is broken or cut off"));
    }

    #[test]
    fn an_old_label_reads_like_the_new_one() {
        let text = b"-----BEGIN X509 CERTIFICATE-----\nAQID\n-----END X509 CERTIFICATE-----\n";
        let section = sections(text).next().unwrap();
        assert!(section.is_certificate());
        assert_eq!(section.der().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn what_stands_instead_of_a_certificate_is_named() {
        let found = |text: &[u8]| match instead_of_certificates(text) {
            IdentityError::Misplaced { found, hint, .. } if !hint.is_empty() => found,
            other => panic!("{other:?}"),
        };
        let section = |label: &str| format!("-----BEGIN {label}-----\nAQID\n-----END {label}-----\n");
        assert_eq!(
            found(section("CERTIFICATE REQUEST").as_bytes()),
            "a certificate request"
        );
        assert_eq!(found(section("X509 CRL").as_bytes()), "a revocation list");
        assert_eq!(found(section("PUBLIC KEY").as_bytes()), "a public key");
        assert_eq!(found(section("EC PRIVATE KEY").as_bytes()), "a private key");
        assert_eq!(found(section("PKCS7").as_bytes()), "a PKCS#7 bundle");
        assert_eq!(found(&[0x30, 0x82, 1, 0]), "binary DER");
        for text in ["", "hello"] {
            assert_eq!(instead_of_certificates(text.as_bytes()), IdentityError::NoCertificate);
            assert_eq!(instead_of_key(text.as_bytes()), IdentityError::NoKey);
        }
    }
}
