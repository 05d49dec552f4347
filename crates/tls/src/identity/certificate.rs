//! What can be read from one certificate.
use super::IdentityError;
use crate::negotiated::Authentication;
use portcullis_wire::registry::{KeyKind, Oid, OidClass};
use std::net::IpAddr;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::FromDer,
    public_key::PublicKey,
    x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name, X509Version},
};

/// What can be read from one certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Subject in RFC 4514 form: `CN=agent-7,O=Corp`.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// lower-case hex
    pub serial: String,
    /// seconds since 1970
    pub not_before: i64,
    /// seconds since 1970
    pub not_after: i64,
    /// DNS names among the subject's alternative names.
    pub dns_names: Vec<String>,
    /// Addresses among them.
    pub addresses: Vec<IpAddr>,
    /// URIs among them.
    pub uris: Vec<String>,
    /// The kind of its key, where we know it.
    pub key: Option<KeyKind>,
    /// The dotted identifier of its key's algorithm; of an EC key, of its curve.
    pub key_algorithm: String,
    /// Bits of the modulus, the curve, or the encoded public key.
    pub key_bits: usize,
    /// The algorithm of its signature, for people: `ML-DSA-65`.
    pub signature: String,
    /// Its signature is ML-DSA.
    pub signature_is_pq: bool,
    /// NIST level of a post-quantum signature, else 0.
    pub signature_level: u8,
    /// It may issue others.
    pub is_ca: bool,
    /// Its extended key usage allows servers, or there is none.
    pub for_servers: bool,
    /// It is of version 3: older ones cannot say whether they may issue others.
    pub is_version_3: bool,
    /// Its subject is its issuer.
    pub is_self_issued: bool,
    /// Bytes of it.
    pub der_len: usize,
}

impl Certificate {
    /// Reads one; the error is a sentence for people.
    pub fn from_der(der: &[u8]) -> Result<Certificate, String> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| "not a certificate we can read".to_owned())?;
        if !rest.is_empty() {
            return Err(format!("{} bytes after its end", rest.len()));
        }
        let names = Names::of(&parsed);
        let signature_oid = parsed.signature_algorithm.algorithm.to_id_string();
        let signature = Oid::find(&signature_oid);
        let spki = parsed.public_key();
        let usage = parsed.extended_key_usage().ok().flatten();
        Ok(Certificate {
            subject: name(parsed.subject()),
            issuer: name(parsed.issuer()),
            serial: hex(parsed.raw_serial()),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            dns_names: names.dns,
            addresses: names.addresses,
            uris: names.uris,
            key: key_kind(spki),
            key_algorithm: key_algorithm(spki),
            key_bits: key_bits(spki),
            signature: signature.map_or(signature_oid, |oid| oid.name.to_owned()),
            signature_is_pq: signature.is_some_and(|oid| oid.class == OidClass::Pq),
            signature_level: signature.map_or(0, |oid| oid.level),
            is_ca: parsed.is_ca(),
            for_servers: usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
            is_version_3: parsed.version() == X509Version::V3,
            is_self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            der_len: der.len(),
        })
    }

    /// A key that nobody standardised for TLS makes no handshake; the registry knows what to make instead.
    pub(super) fn refuse_dead_key(&self, index: usize) -> Result<(), IdentityError> {
        let dead = self.key.is_none();
        let instead = match Oid::find(&self.key_algorithm).map(|oid| oid.class) {
            Some(OidClass::Dead(successor)) => format!("; {successor} is what to use instead"),
            _ => String::new(),
        };
        match dead {
            false => Ok(()),
            true => Err(IdentityError::BadCertificate {
                index,
                problem: format!("its key is {}, which TLS does not use{instead}", self.key_label()),
            }),
        }
    }

    /// RSA below 2048 bits is broken, above 8192 verifies too slowly to be anything but an attack: rustls
    /// takes neither.
    pub(super) fn refuse_weak_key(&self) -> Result<(), IdentityError> {
        match (self.key, self.key_bits) {
            (Some(KeyKind::Rsa), bits) if !(2048..=8192).contains(&bits) => Err(IdentityError::BadKey {
                problem: format!("RSA of {bits} bits"),
                hint: "RSA keys have 2048 to 8192 bits here",
            }),
            _ => Ok(()),
        }
    }

    /// The algorithm of its key, for people: `ECDSA P-256`, `Dilithium3 (draft)`, else the dotted identifier.
    pub fn key_label(&self) -> &str {
        let named = || Oid::find(&self.key_algorithm).map(|oid| oid.name);
        self.key
            .map(KeyKind::as_str)
            .or_else(named)
            .unwrap_or(&self.key_algorithm)
    }
}

/// pq when the leaf's key and every signature in the chain are ML-DSA; nothing is not pq.
pub(crate) fn class_of(chain: &[Certificate]) -> Authentication {
    let key = chain.first().and_then(|leaf| leaf.key);
    let signatures = chain.iter().all(|certificate| certificate.signature_is_pq);
    match signatures && key.is_some_and(KeyKind::is_ml_dsa) {
        true => Authentication::Pq,
        false => Authentication::Classical,
    }
}

/// The subject's alternative names, sorted by kind.
#[derive(Default)]
struct Names {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    uris: Vec<String>,
}

impl Names {
    fn of(parsed: &X509Certificate<'_>) -> Names {
        let mut names = Names::default();
        let Ok(Some(extension)) = parsed.subject_alternative_name() else {
            return names;
        };
        for general in &extension.value.general_names {
            match general {
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::IPAddress(octets) => names.addresses.extend(address(octets)),
                _ => {}
            }
        }
        names
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| v6()).ok()
}

/// Key algorithms by identifier; EC keys by their curve.
static KEYS: [(&str, KeyKind); 10] = [
    ("2.16.840.1.101.3.4.3.17", KeyKind::MlDsa44),
    ("2.16.840.1.101.3.4.3.18", KeyKind::MlDsa65),
    ("2.16.840.1.101.3.4.3.19", KeyKind::MlDsa87),
    ("1.2.840.10045.3.1.7", KeyKind::EcdsaP256),
    ("1.3.132.0.34", KeyKind::EcdsaP384),
    ("1.3.132.0.35", KeyKind::EcdsaP521),
    ("1.3.101.112", KeyKind::Ed25519),
    ("1.3.101.113", KeyKind::Ed448),
    ("1.2.840.113549.1.1.1", KeyKind::Rsa),
    ("1.2.840.113549.1.1.10", KeyKind::RsaPss),
];
/// id-ecPublicKey: the curve stands in its parameters.
pub(super) const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";

/// The kind of key that an algorithm, or an EC key's curve, stands for.
pub(super) fn kind_of(dotted: &str) -> Option<KeyKind> {
    let row = KEYS.iter().find(|(oid, _)| *oid == dotted)?;
    Some(row.1)
}

fn key_kind(spki: &SubjectPublicKeyInfo<'_>) -> Option<KeyKind> {
    kind_of(&key_algorithm(spki))
}

/// The dotted identifier of the algorithm; of an EC key, of its curve.
fn key_algorithm(spki: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    let curve = || spki.algorithm.parameters.as_ref()?.as_oid().ok();
    match algorithm == EC_PUBLIC_KEY {
        true => curve().map_or(algorithm, |oid| oid.to_id_string()),
        false => algorithm,
    }
}

fn key_bits(spki: &SubjectPublicKeyInfo<'_>) -> usize {
    match (spki.parsed(), key_kind(spki)) {
        (_, Some(KeyKind::EcdsaP521)) => 521,
        (Ok(PublicKey::EC(point)), _) => point.key_size(),
        (Ok(PublicKey::RSA(key)), _) => bits(key.modulus),
        _ => 8 * spki.subject_public_key.data.len(),
    }
}

pub(super) fn bits(integer: &[u8]) -> usize {
    let significant: Vec<u8> = integer.iter().copied().skip_while(|byte| *byte == 0).collect();
    let unused = significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
    8 * significant.len() - unused
}

/// RFC 4514: the last component first, special characters escaped, what has no text form as hexadecimal.
pub(super) fn name(name: &X509Name<'_>) -> String {
    let mut components: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    components.reverse();
    components.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let kind = match oid2abbrev(oid, oid_registry()) {
        Ok(short) => short.to_owned(),
        Err(_) => oid.to_id_string(),
    };
    match attribute.as_str() {
        Ok(text) => format!("{kind}={}", escape(text)),
        Err(_) => format!("{kind}=#{}", hex(attribute.as_slice())),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let last = at + character.len_utf8() == text.len();
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', character]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || last => out.push_str("\\ "),
            control if control.is_control() => {
                let mut utf8 = [0; 4];
                for byte in control.encode_utf8(&mut utf8).bytes() {
                    out.push_str(&format!("\\{byte:02x}"));
                }
            }
            other => out.push(other),
        }
    }
    out
}

/// Lower case, without the zero byte that only keeps an ASN.1 integer positive.
fn hex(bytes: &[u8]) -> String {
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_rfc_4514_says() {
        let table = [
            ("agent-7", "agent-7"),
            ("Doe, John", "Doe\\, John"),
            (" a ", "\\ a\\ "),
            ("#1", "\\#1"),
            ("a\"b\\c", "a\\\"b\\\\c"),
            ("line\nbreak", "line\\0abreak"),
            ("Zürich", "Zürich"),
            ("\u{85}", "\\c2\\85"),
        ];
        for (text, expected) in table {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn hexadecimal_leaves_the_sign_byte_out() {
        assert_eq!(hex(&[0, 0xab, 1]), "ab01");
        assert_eq!(hex(&[0]), "00");
        assert_eq!(hex(&[4, 0xd2]), "04d2");
    }

    #[test]
    fn bits_of_an_integer_are_counted_from_its_first_one() {
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[0x01, 0]), 9);
        assert_eq!(bits(&[]), 0);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for der in [&[][..], &[0x30], b"-----BEGIN", &[0x30, 3, 1, 2, 3]] {
            assert!(Certificate::from_der(der).is_err());
        }
    }

    #[test]
    fn a_certificate_with_a_dead_key_is_refused_by_name() {
        let pem = include_bytes!("../../testdata/p256.pem");
        let facts = super::super::certificates_from_pem(pem).unwrap().remove(0).1;
        assert_eq!(facts.refuse_dead_key(1), Ok(()));
        let dead = Certificate {
            key: None,
            key_algorithm: "1.3.6.1.4.1.2.267.7.6.5".into(),
            ..facts
        };
        match dead.refuse_dead_key(2) {
            Err(IdentityError::BadCertificate { index: 2, problem }) => {
                assert!(
                    problem.contains("Dilithium3 (draft)") && problem.contains("mldsa65"),
                    "{problem}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
