//! Signature schemes and the keys they need.
use std::fmt;

use super::{
    groups::Standing,
    names::{self, NameError},
};

/// A signature scheme by its registered number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SchemeId(pub u16);

/// One row of the signature scheme table.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// Registered number.
    pub id: SchemeId,
    /// Registered name.
    pub name: &'static str,
    /// The key it needs.
    pub key: KeyKind,
    /// NIST level of ML-DSA, else 0.
    pub level: u8,
    /// Bytes of the public key (RSA: of a 2048-bit one).
    pub public_key: usize,
    /// Bytes of a signature (RSA: of a 2048-bit key; ECDSA: the longest DER form).
    pub signature: usize,
    /// Usable in TLS 1.3 handshakes. `rsa_pkcs1` ones are not: there they stand for certificates only.
    pub tls13: bool,
    /// Usable in TLS 1.2 handshakes.
    pub tls12: bool,
    /// Where this build stands on it.
    pub standing: Standing,
    /// Other names by which people call it.
    pub aliases: &'static [&'static str],
}

/// Kinds of certificate keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyKind {
    /// ML-DSA-44, level 2.
    MlDsa44,
    /// ML-DSA-65, level 3.
    MlDsa65,
    /// ML-DSA-87, level 5.
    MlDsa87,
    /// ECDSA on secp256r1.
    EcdsaP256,
    /// ECDSA on secp384r1.
    EcdsaP384,
    /// ECDSA on secp521r1.
    EcdsaP521,
    /// EdDSA on curve 25519.
    Ed25519,
    /// EdDSA on curve 448.
    Ed448,
    /// RSA for any use.
    Rsa,
    /// RSA that its certificate binds to PSS.
    RsaPss,
}

impl Scheme {
    /// The whole table.
    pub fn all() -> &'static [Scheme] {
        TABLE
    }

    /// A scheme by name.
    pub fn by_name(name: &str) -> Result<&'static Scheme, NameError> {
        let called = |scheme: &&Scheme| names::is_one_of(name, scheme.name, scheme.aliases);
        match TABLE.iter().find(called) {
            Some(scheme) if scheme.standing == Standing::Never => Err(NameError::NotOffered {
                name: scheme.name,
                instead: scheme.instead(),
            }),
            Some(scheme) => Ok(scheme),
            None => Err(names::no_scheme(name)),
        }
    }

    fn instead(&self) -> &'static str {
        match self.key {
            KeyKind::Ed448 => "ed25519",
            _ => "rsa_pss_rsae_sha256",
        }
    }
}

impl SchemeId {
    /// Its row.
    pub fn entry(self) -> Option<&'static Scheme> {
        TABLE.iter().find(|scheme| scheme.id == self)
    }

    /// One of the ML-DSA schemes.
    pub fn is_ml_dsa(self) -> bool {
        self.entry().is_some_and(|scheme| scheme.key.is_ml_dsa())
    }

    /// Reserved by RFC 8701 to keep servers tolerant.
    pub fn is_grease(self) -> bool {
        super::is_grease(self.0)
    }
}

impl fmt::Display for SchemeId {
    /// The registered name, else `0x1234`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = || OTHERS.iter().find(|(id, _)| *id == self.0).map(|(_, name)| *name);
        match self.entry().map(|scheme| scheme.name).or_else(other) {
            Some(name) => f.pad(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl KeyKind {
    /// `ML-DSA-65`, `ECDSA P-256`, `RSA`
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::MlDsa44 => "ML-DSA-44",
            KeyKind::MlDsa65 => "ML-DSA-65",
            KeyKind::MlDsa87 => "ML-DSA-87",
            KeyKind::EcdsaP256 => "ECDSA P-256",
            KeyKind::EcdsaP384 => "ECDSA P-384",
            KeyKind::EcdsaP521 => "ECDSA P-521",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::Ed448 => "Ed448",
            KeyKind::Rsa => "RSA",
            KeyKind::RsaPss => "RSA-PSS",
        }
    }

    /// ML-DSA of any level.
    pub fn is_ml_dsa(self) -> bool {
        matches!(self, KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const TABLE: &[Scheme] = &[
    ml_dsa(0x0904, "mldsa44", KeyKind::MlDsa44, (2, 1312, 2420)).aka(&["id-ml-dsa-44"]),
    ml_dsa(0x0905, "mldsa65", KeyKind::MlDsa65, (3, 1952, 3309)).aka(&["id-ml-dsa-65"]),
    ml_dsa(0x0906, "mldsa87", KeyKind::MlDsa87, (5, 2592, 4627)).aka(&["id-ml-dsa-87"]),
    classical(0x0403, "ecdsa_secp256r1_sha256", KeyKind::EcdsaP256).aka(&["ECDSA+SHA256", "ecdsa_nistp256_sha256"]),
    classical(0x0503, "ecdsa_secp384r1_sha384", KeyKind::EcdsaP384).aka(&["ECDSA+SHA384", "ecdsa_nistp384_sha384"]),
    classical(0x0807, "ed25519", KeyKind::Ed25519),
    classical(0x0804, "rsa_pss_rsae_sha256", KeyKind::Rsa).aka(&["RSA-PSS+SHA256", "rsa_pss_sha256"]),
    classical(0x0805, "rsa_pss_rsae_sha384", KeyKind::Rsa).aka(&["RSA-PSS+SHA384", "rsa_pss_sha384"]),
    classical(0x0806, "rsa_pss_rsae_sha512", KeyKind::Rsa).aka(&["RSA-PSS+SHA512", "rsa_pss_sha512"]),
    classical(0x0401, "rsa_pkcs1_sha256", KeyKind::Rsa)
        .aka(&["RSA+SHA256"])
        .not_in_tls13(),
    classical(0x0501, "rsa_pkcs1_sha384", KeyKind::Rsa)
        .aka(&["RSA+SHA384"])
        .not_in_tls13(),
    classical(0x0601, "rsa_pkcs1_sha512", KeyKind::Rsa)
        .aka(&["RSA+SHA512"])
        .not_in_tls13(),
    classical(0x0603, "ecdsa_secp521r1_sha512", KeyKind::EcdsaP521)
        .aka(&["ECDSA+SHA512", "ecdsa_nistp521_sha512"])
        .standing(Standing::Listed),
    classical(0x0808, "ed448", KeyKind::Ed448).standing(Standing::Never),
    classical(0x0809, "rsa_pss_pss_sha256", KeyKind::RsaPss).standing(Standing::Never),
    classical(0x080a, "rsa_pss_pss_sha384", KeyKind::RsaPss).standing(Standing::Never),
    classical(0x080b, "rsa_pss_pss_sha512", KeyKind::RsaPss).standing(Standing::Never),
];

/// Registered, seen in hellos, and of no use to us beyond their names.
pub(super) const OTHERS: &[(u16, &str)] = &[
    (0x0201, "rsa_pkcs1_sha1"),
    (0x0203, "ecdsa_sha1"),
    (0x0420, "rsa_pkcs1_sha256_legacy"),
    (0x0520, "rsa_pkcs1_sha384_legacy"),
    (0x0620, "rsa_pkcs1_sha512_legacy"),
    (0x0704, "eccsi_sha256"),
    (0x0705, "iso_ibs1"),
    (0x0706, "iso_ibs2"),
    (0x0707, "iso_chinese_ibs"),
    (0x0708, "sm2sig_sm3"),
    (0x0709, "gostr34102012_256a"),
    (0x070a, "gostr34102012_256b"),
    (0x070b, "gostr34102012_256c"),
    (0x070c, "gostr34102012_256d"),
    (0x070d, "gostr34102012_512a"),
    (0x070e, "gostr34102012_512b"),
    (0x070f, "gostr34102012_512c"),
    (0x081a, "ecdsa_brainpoolP256r1tls13_sha256"),
    (0x081b, "ecdsa_brainpoolP384r1tls13_sha384"),
    (0x081c, "ecdsa_brainpoolP512r1tls13_sha512"),
];

/// Level and sizes from FIPS 204, tables 1 and 2.
const fn ml_dsa(
    id: u16,
    name: &'static str,
    key: KeyKind,
    (level, public_key, signature): (u8, usize, usize),
) -> Scheme {
    Scheme {
        level,
        public_key,
        signature,
        tls12: false,
        ..classical(id, name, key)
    }
}

const fn classical(id: u16, name: &'static str, key: KeyKind) -> Scheme {
    let (public_key, signature) = sizes(key);
    Scheme {
        id: SchemeId(id),
        name,
        key,
        level: 0,
        public_key,
        signature,
        tls13: true,
        tls12: true,
        standing: Standing::Default,
        aliases: &[],
    }
}

/// Public key and signature: uncompressed points and two DER integers for ECDSA, RFC 8032 for EdDSA, an
/// RSAPublicKey with exponent 65537 for RSA. ML-DSA rows say theirs.
const fn sizes(key: KeyKind) -> (usize, usize) {
    match key {
        KeyKind::MlDsa44 | KeyKind::MlDsa65 | KeyKind::MlDsa87 => (0, 0),
        KeyKind::EcdsaP256 => (65, 72),
        KeyKind::EcdsaP384 => (97, 104),
        KeyKind::EcdsaP521 => (133, 139),
        KeyKind::Ed25519 => (32, 64),
        KeyKind::Ed448 => (57, 114),
        KeyKind::Rsa | KeyKind::RsaPss => (270, 256),
    }
}

impl Scheme {
    const fn aka(self, aliases: &'static [&'static str]) -> Self {
        Scheme { aliases, ..self }
    }

    const fn standing(self, standing: Standing) -> Self {
        Scheme { standing, ..self }
    }

    const fn not_in_tls13(self) -> Self {
        Scheme { tls13: false, ..self }
    }
}
