//! Private keys in every form people have them, and why one is not usable.
use super::{
    IdentityError,
    certificate::{EC_PUBLIC_KEY, kind_of},
    pem::{self, Section},
};
use crate::{
    der::{INTEGER, OBJECT, OCTET_STRING, SEQUENCE, TAG_0, content, take},
    provider::{self, Locked, decrypt_pkcs8},
};
use portcullis_wire::registry::{KeyKind, Oid, OidClass};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer},
    sign::SigningKey,
};
use std::sync::Arc;
use x509_parser::asn1_rs::Oid as Asn1Oid;
use zeroize::Zeroizing;

/// The one private key of a text, decrypted where there is a passphrase.
pub(super) fn from_pem(text: &[u8], passphrase: Option<&[u8]>) -> Result<Arc<dyn SigningKey>, IdentityError> {
    let mut keys = pem::sections(text).filter(|section| section.label.ends_with("PRIVATE KEY"));
    let Some(section) = keys.next() else {
        return Err(pem::instead_of_key(text));
    };
    if keys.next().is_some() {
        return Err(bad(
            "more than one private key",
            "keep the one that belongs to the chain",
        ));
    }
    let form = Form::of(&section)?;
    let der = Zeroizing::new(section.der().map_err(|problem| bad(problem, ""))?);
    let (form, der) = match (form, passphrase) {
        (Form::Encrypted, Some(passphrase)) => (Form::Pkcs8, decrypted(&der, passphrase)?),
        (Form::Encrypted, None) => return Err(bad("encrypted", NEEDS_PASSPHRASE)),
        (_, Some(_)) => return Err(bad("not encrypted, though it has a passphrase", NEEDS_NONE)),
        (form, None) => (form, der),
    };
    form.refuse_what_we_know(&der)?;
    // The copy is zeroized by rustls.
    let loaded = provider::key_loader()
        .key_provider
        .load_private_key(form.wrap(der.to_vec()));
    loaded.map_err(|_| {
        bad(
            "not a key we can read",
            "write it anew with `openssl pkey -in FILE -out FILE.pem`",
        )
    })
}

/// How a private key is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `PRIVATE KEY`, RFC 5958.
    Pkcs8,
    /// `EC PRIVATE KEY`, RFC 5915.
    Sec1,
    /// `RSA PRIVATE KEY`, RFC 8017.
    Pkcs1,
    /// `ENCRYPTED PRIVATE KEY`, RFC 5958: PKCS#8 inside.
    Encrypted,
}

const NEEDS_PASSPHRASE: &str = "passphrase_file beside key, or --passphrase-file, names the file of its passphrase";
const NEEDS_NONE: &str = "leave passphrase_file out, or encrypt it with `openssl pkcs8 -topk8 -in FILE -out FILE.pem`";
const ENCRYPT_ANEW: &str = "write it anew with `openssl pkcs8 -topk8 -in FILE -out FILE.pem`: PBKDF2 and AES";

fn decrypted(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    decrypt_pkcs8(der, passphrase).map_err(|locked| match locked {
        Locked::Form => bad(&locked.to_string(), ENCRYPT_ANEW),
        Locked::Passphrase => bad(
            &locked.to_string(),
            "the first line of passphrase_file is the passphrase",
        ),
    })
}

impl Form {
    fn of(section: &Section<'_>) -> Result<Form, IdentityError> {
        if section.has_encryption_header() {
            return Err(bad("encrypted as OpenSSL 1.0 did", ENCRYPT_ANEW));
        }
        match section.label {
            "ENCRYPTED PRIVATE KEY" => Ok(Form::Encrypted),
            "PRIVATE KEY" => Ok(Form::Pkcs8),
            "EC PRIVATE KEY" => Ok(Form::Sec1),
            "RSA PRIVATE KEY" => Ok(Form::Pkcs1),
            "OPENSSH PRIVATE KEY" => Err(bad(
                "an OpenSSH key",
                "convert it with `ssh-keygen -p -m pem -f FILE`, or make one for TLS",
            )),
            "DSA PRIVATE KEY" => Err(bad("a DSA key", "TLS 1.3 has no DSA; make ECDSA P-256 or ML-DSA-65")),
            other => Err(bad(&format!("{other:?} is no form we know"), REWRITE)),
        }
    }

    fn wrap(self, der: Vec<u8>) -> PrivateKeyDer<'static> {
        match self {
            Form::Pkcs8 | Form::Encrypted => PrivatePkcs8KeyDer::from(der).into(),
            Form::Sec1 => PrivateSec1KeyDer::from(der).into(),
            Form::Pkcs1 => PrivatePkcs1KeyDer::from(der).into(),
        }
    }

    /// What is well formed and still of no use gets its own words.
    fn refuse_what_we_know(self, der: &[u8]) -> Result<(), IdentityError> {
        match self {
            Form::Pkcs8 | Form::Encrypted => {
                let Some(info) = PrivateKeyInfo::read(der) else {
                    return Err(bad("its DER is broken", REWRITE));
                };
                info.check()
            }
            Form::Sec1 => match sec1_curve(der) {
                Some(curve) => check_kind(&curve),
                None => Ok(()),
            },
            Form::Pkcs1 => check_rsa(der),
        }
    }
}

const REWRITE: &str = "write it anew with `openssl pkey -in FILE -out FILE.pem`";
const CURVES: &str = "make one on P-256 or P-384, Ed25519 or ML-DSA-65";

/// RFC 5958's OneAsymmetricKey, as far as we look into it.
struct PrivateKeyInfo<'a> {
    algorithm: String,
    curve: Option<String>,
    key: &'a [u8],
}

impl<'a> PrivateKeyInfo<'a> {
    fn read(der: &'a [u8]) -> Option<PrivateKeyInfo<'a>> {
        let (_version, rest) = take(content(der, SEQUENCE)?, INTEGER)?;
        let (algorithm, rest) = take(rest, SEQUENCE)?;
        let (key, _attributes) = take(rest, OCTET_STRING)?;
        let (oid, parameters) = take(algorithm, OBJECT)?;
        Some(PrivateKeyInfo {
            algorithm: dotted(oid),
            curve: take(parameters, OBJECT).map(|(curve, _)| dotted(curve)),
            key,
        })
    }

    fn check(&self) -> Result<(), IdentityError> {
        let algorithm = match (&*self.algorithm, &self.curve) {
            (EC_PUBLIC_KEY, Some(curve)) => curve,
            (EC_PUBLIC_KEY, None) => {
                return Err(bad("an EC key with explicit parameters", CURVES));
            }
            _ => &self.algorithm,
        };
        check_kind(algorithm)?;
        match kind_of(algorithm) {
            Some(KeyKind::Rsa) => check_rsa(self.key),
            Some(KeyKind::MlDsa44) => check_ml_dsa(self.key, 2560, 1312),
            Some(KeyKind::MlDsa65) => check_ml_dsa(self.key, 4032, 1952),
            Some(KeyKind::MlDsa87) => check_ml_dsa(self.key, 4896, 2592),
            _ => Ok(()),
        }
    }
}

/// The algorithm, or curve, is one that this build signs with.
fn check_kind(algorithm: &str) -> Result<(), IdentityError> {
    match kind_of(algorithm) {
        Some(KeyKind::Ed448) => Err(bad("Ed448 is not in this build", CURVES)),
        Some(KeyKind::RsaPss) => Err(bad(
            "an RSA key bound to PSS",
            "make a plain RSA key: TLS 1.3 signs with PSS anyway",
        )),
        Some(_) => Ok(()),
        None => Err(unusable(algorithm)),
    }
}

fn unusable(algorithm: &str) -> IdentityError {
    let oid = Oid::find(algorithm);
    let label = oid.map_or(algorithm, |oid| oid.name);
    match oid.map(|oid| oid.class) {
        Some(OidClass::Dead(successor)) => bad(
            &format!("{label} is no algorithm of TLS; {successor} is what to use instead"),
            "make a new key and have it certified",
        ),
        _ => bad(&format!("{label} is not an algorithm TLS signs with here"), CURVES),
    }
}

fn check_rsa(pkcs1: &[u8]) -> Result<(), IdentityError> {
    let modulus = content(pkcs1, SEQUENCE)
        .and_then(|rest| take(rest, INTEGER))
        .and_then(|(_version, rest)| take(rest, INTEGER));
    let Some((modulus, _)) = modulus else {
        return Err(bad("its DER is broken", REWRITE));
    };
    match super::certificate::bits(modulus) {
        2048..=8192 => Ok(()),
        bits => Err(bad(
            &format!("RSA of {bits} bits"),
            "RSA keys have 2048 to 8192 bits here",
        )),
    }
}

const FORMS: &str =
    "write it in a standard form with `openssl pkey -in FILE -out FILE.pem -provparam ml-dsa.output_formats=seed-priv`";

/// RFC 9881 knows three forms: a seed, the expanded key, or both, each with its own tag. OpenSSL also writes three
/// without: bare seed, bare key, and the key with the public one behind it (of liboqs).
fn check_ml_dsa(key: &[u8], expanded: usize, public: usize) -> Result<(), IdentityError> {
    let problem = match key.len() {
        32 => "OpenSSL's bare-seed form",
        len if len == expanded => "OpenSSL's bare-priv form",
        len if len == expanded + public => "the oqskeypair form of liboqs",
        _ => match content(key, OCTET_STRING).map(<[u8]>::len) {
            Some(len) if len == expanded + public => "the oqskeypair form of liboqs",
            _ => return Ok(()),
        },
    };
    Err(bad(
        &format!("an ML-DSA key in {problem}, which RFC 9881 does not have"),
        FORMS,
    ))
}

/// RFC 5915: the curve stands in an explicit tag 0 behind version and key, where it stands at all.
fn sec1_curve(der: &[u8]) -> Option<String> {
    let (_version, rest) = take(content(der, SEQUENCE)?, INTEGER)?;
    let (_key, rest) = take(rest, OCTET_STRING)?;
    let (parameters, _) = take(rest, TAG_0)?;
    let (curve, _) = take(parameters, OBJECT)?;
    Some(dotted(curve))
}

fn bad(problem: &str, hint: &'static str) -> IdentityError {
    IdentityError::BadKey {
        problem: problem.to_owned(),
        hint,
    }
}

fn dotted(oid: &[u8]) -> String {
    Asn1Oid::new(oid.into()).to_id_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PKCS#8 key of this algorithm, with a content that no test looks into.
    fn pkcs8(oid: &[u8]) -> Vec<u8> {
        let algorithm = [&[SEQUENCE, oid.len() as u8 + 2, OBJECT, oid.len() as u8], oid].concat();
        let body = [&[INTEGER, 1, 0], &algorithm[..], &[OCTET_STRING, 1, 7]].concat();
        [&[SEQUENCE, body.len() as u8], &body[..]].concat()
    }

    #[test]
    fn dead_algorithms_are_named_with_what_to_make_instead() {
        let dilithium3 = [0x2b, 6, 1, 4, 1, 2, 0x82, 0x0b, 7, 6, 5];
        let refused = PrivateKeyInfo::read(&pkcs8(&dilithium3)).unwrap().check();
        match refused {
            Err(IdentityError::BadKey { problem, hint }) => {
                assert!(problem.contains("Dilithium3 (draft)"), "{problem}");
                assert!(problem.contains("mldsa65"), "{problem}");
                assert!(!hint.is_empty());
            }
            other => panic!("{other:?}"),
        }
        let unknown = PrivateKeyInfo::read(&pkcs8(&[0x2a, 3])).unwrap().check();
        assert!(matches!(unknown, Err(IdentityError::BadKey { problem, .. }) if problem.contains("1.2.3")));
        let ml_dsa_65 = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x12];
        assert!(PrivateKeyInfo::read(&pkcs8(&ml_dsa_65)).unwrap().check().is_ok());
    }

    #[test]
    fn broken_der_is_no_panic() {
        let whole = pkcs8(&[0x2a, 3]);
        for at in 0..whole.len() {
            assert!(PrivateKeyInfo::read(&whole[..at]).is_none());
        }
        assert!(check_rsa(&[SEQUENCE, 0]).is_err());
        assert_eq!(sec1_curve(&[SEQUENCE, 3, INTEGER, 1, 1]), None);
    }
}
