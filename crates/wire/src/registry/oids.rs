//! Algorithms as certificates name them: keys and signatures share one table.
//!
//! From RFC 3279, 4055, 5480, 5758, 8410, 8692, 9802, 9881, 9909 and NIST's register of objects; composites from
//! draft-ietf-lamps-pq-composite-sigs (its arcs of Entrust's before that); OQS ones from oqs-provider.

/// What the algorithm behind an object identifier is, as certificates name it.
#[derive(Clone, Copy, Debug)]
pub struct Oid {
    /// Dotted form; of an arc, when it stands for all that is below it.
    pub oid: &'static str,
    /// A name for people: `ML-DSA-65`, `ecdsa-with-SHA256`, `Dilithium3 (draft)`.
    pub name: &'static str,
    /// What it is to us.
    pub class: OidClass,
    /// NIST level where it is post-quantum, else 0.
    pub level: u8,
}

/// What an algorithm identifier in a certificate means to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OidClass {
    /// ML-DSA as standardised.
    Pq,
    /// RSA, ECDSA, EdDSA.
    Classical,
    /// A draft, OQS-era, composite or other form nobody standardised for TLS; what to make instead.
    Dead(&'static str),
}

impl Oid {
    /// The row of a dotted identifier.
    pub fn find(dotted: &str) -> Option<&'static Oid> {
        let below = |arc: &&Oid| dotted.strip_prefix(arc.oid).is_some_and(|rest| rest.starts_with('.'));
        TABLE
            .iter()
            .find(|row| row.oid == dotted)
            .or_else(|| ARCS.iter().find(below))
    }

    /// The whole table of single algorithms.
    pub fn all() -> &'static [Oid] {
        TABLE
    }
}

const TABLE: &[Oid] = &[
    pq("2.16.840.1.101.3.4.3.17", "ML-DSA-44", 2),
    pq("2.16.840.1.101.3.4.3.18", "ML-DSA-65", 3),
    pq("2.16.840.1.101.3.4.3.19", "ML-DSA-87", 5),
    classical("1.2.840.113549.1.1.1", "rsaEncryption"),
    classical("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    classical("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    classical("1.2.840.113549.1.1.10", "rsassaPss"),
    classical("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    classical("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    classical("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    classical("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    classical("1.2.840.10045.2.1", "id-ecPublicKey"),
    classical("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    classical("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    classical("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    classical("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    classical("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    classical("1.2.840.10040.4.1", "id-dsa"),
    classical("1.2.840.10040.4.3", "id-dsa-with-sha1"),
    classical("2.16.840.1.101.3.4.3.2", "id-dsa-with-sha256"),
    classical("1.3.101.112", "Ed25519"),
    classical("1.3.101.113", "Ed448"),
    classical("1.3.6.1.5.5.7.6.30", "RSASSA-PSS-SHAKE128"),
    classical("1.3.6.1.5.5.7.6.31", "RSASSA-PSS-SHAKE256"),
    classical("1.3.6.1.5.5.7.6.32", "ecdsa-with-shake128"),
    classical("1.3.6.1.5.5.7.6.33", "ecdsa-with-shake256"),
    dead("2.16.840.1.101.3.4.3.32", "HashML-DSA-44", 2),
    dead("2.16.840.1.101.3.4.3.33", "HashML-DSA-65", 3),
    dead("2.16.840.1.101.3.4.3.34", "HashML-DSA-87", 5),
    dead("2.16.840.1.101.3.4.3.20", "SLH-DSA-SHA2-128s", 1),
    dead("2.16.840.1.101.3.4.3.21", "SLH-DSA-SHA2-128f", 1),
    dead("2.16.840.1.101.3.4.3.22", "SLH-DSA-SHA2-192s", 3),
    dead("2.16.840.1.101.3.4.3.23", "SLH-DSA-SHA2-192f", 3),
    dead("2.16.840.1.101.3.4.3.24", "SLH-DSA-SHA2-256s", 5),
    dead("2.16.840.1.101.3.4.3.25", "SLH-DSA-SHA2-256f", 5),
    dead("2.16.840.1.101.3.4.3.26", "SLH-DSA-SHAKE-128s", 1),
    dead("2.16.840.1.101.3.4.3.27", "SLH-DSA-SHAKE-128f", 1),
    dead("2.16.840.1.101.3.4.3.28", "SLH-DSA-SHAKE-192s", 3),
    dead("2.16.840.1.101.3.4.3.29", "SLH-DSA-SHAKE-192f", 3),
    dead("2.16.840.1.101.3.4.3.30", "SLH-DSA-SHAKE-256s", 5),
    dead("2.16.840.1.101.3.4.3.31", "SLH-DSA-SHAKE-256f", 5),
    dead("2.16.840.1.101.3.4.3.35", "HashSLH-DSA-SHA2-128s", 1),
    dead("2.16.840.1.101.3.4.3.36", "HashSLH-DSA-SHA2-128f", 1),
    dead("2.16.840.1.101.3.4.3.37", "HashSLH-DSA-SHA2-192s", 3),
    dead("2.16.840.1.101.3.4.3.38", "HashSLH-DSA-SHA2-192f", 3),
    dead("2.16.840.1.101.3.4.3.39", "HashSLH-DSA-SHA2-256s", 5),
    dead("2.16.840.1.101.3.4.3.40", "HashSLH-DSA-SHA2-256f", 5),
    dead("2.16.840.1.101.3.4.3.41", "HashSLH-DSA-SHAKE-128s", 1),
    dead("2.16.840.1.101.3.4.3.42", "HashSLH-DSA-SHAKE-128f", 1),
    dead("2.16.840.1.101.3.4.3.43", "HashSLH-DSA-SHAKE-192s", 3),
    dead("2.16.840.1.101.3.4.3.44", "HashSLH-DSA-SHAKE-192f", 3),
    dead("2.16.840.1.101.3.4.3.45", "HashSLH-DSA-SHAKE-256s", 5),
    dead("2.16.840.1.101.3.4.3.46", "HashSLH-DSA-SHAKE-256f", 5),
    dead("1.3.6.1.5.5.7.6.37", "MLDSA44-RSA2048-PSS-SHA256 (composite)", 2),
    dead("1.3.6.1.5.5.7.6.38", "MLDSA44-RSA2048-PKCS15-SHA256 (composite)", 2),
    dead("1.3.6.1.5.5.7.6.39", "MLDSA44-Ed25519-SHA512 (composite)", 2),
    dead("1.3.6.1.5.5.7.6.40", "MLDSA44-ECDSA-P256-SHA256 (composite)", 2),
    dead("1.3.6.1.5.5.7.6.41", "MLDSA65-RSA3072-PSS-SHA512 (composite)", 3),
    dead("1.3.6.1.5.5.7.6.42", "MLDSA65-RSA3072-PKCS15-SHA512 (composite)", 3),
    dead("1.3.6.1.5.5.7.6.43", "MLDSA65-RSA4096-PSS-SHA512 (composite)", 3),
    dead("1.3.6.1.5.5.7.6.44", "MLDSA65-RSA4096-PKCS15-SHA512 (composite)", 3),
    dead("1.3.6.1.5.5.7.6.45", "MLDSA65-ECDSA-P256-SHA512 (composite)", 3),
    dead("1.3.6.1.5.5.7.6.46", "MLDSA65-ECDSA-P384-SHA512 (composite)", 3),
    dead(
        "1.3.6.1.5.5.7.6.47",
        "MLDSA65-ECDSA-brainpoolP256r1-SHA512 (composite)",
        3,
    ),
    dead("1.3.6.1.5.5.7.6.48", "MLDSA65-Ed25519-SHA512 (composite)", 3),
    dead("1.3.6.1.5.5.7.6.49", "MLDSA87-ECDSA-P384-SHA512 (composite)", 5),
    dead(
        "1.3.6.1.5.5.7.6.50",
        "MLDSA87-ECDSA-brainpoolP384r1-SHA512 (composite)",
        5,
    ),
    dead("1.3.6.1.5.5.7.6.51", "MLDSA87-Ed448-SHAKE256 (composite)", 5),
    dead("1.3.6.1.5.5.7.6.52", "MLDSA87-RSA3072-PSS-SHA512 (composite)", 5),
    dead("1.3.6.1.5.5.7.6.53", "MLDSA87-RSA4096-PSS-SHA512 (composite)", 5),
    dead("1.3.6.1.5.5.7.6.54", "MLDSA87-ECDSA-P521-SHA512 (composite)", 5),
    dead("1.3.6.1.5.5.7.6.34", "XMSS", 0),
    dead("1.3.6.1.5.5.7.6.35", "XMSS^MT", 0),
    dead("1.2.840.113549.1.9.16.3.17", "HSS/LMS", 0),
    dead("1.3.6.1.4.1.2.267.7.4.4", "Dilithium2 (draft)", 2),
    dead("1.3.6.1.4.1.2.267.7.6.5", "Dilithium3 (draft)", 3),
    dead("1.3.6.1.4.1.2.267.7.8.7", "Dilithium5 (draft)", 5),
    dead("1.3.6.1.4.1.2.267.11.4.4", "Dilithium2-AES (draft)", 2),
    dead("1.3.6.1.4.1.2.267.11.6.5", "Dilithium3-AES (draft)", 3),
    dead("1.3.6.1.4.1.2.267.11.8.7", "Dilithium5-AES (draft)", 5),
    dead("1.3.6.1.4.1.2.267.12.4.4", "ML-DSA-44 (initial draft)", 2),
    dead("1.3.6.1.4.1.2.267.12.6.5", "ML-DSA-65 (initial draft)", 3),
    dead("1.3.6.1.4.1.2.267.12.8.7", "ML-DSA-87 (initial draft)", 5),
    dead("1.3.9999.2.7.1", "P-256 and Dilithium2 (OQS)", 2),
    dead("1.3.9999.2.7.2", "RSA-3072 and Dilithium2 (OQS)", 2),
    dead("1.3.9999.2.7.3", "P-384 and Dilithium3 (OQS)", 3),
    dead("1.3.9999.2.7.4", "P-521 and Dilithium5 (OQS)", 5),
    dead("1.3.9999.7.5", "P-256 and ML-DSA-44 (OQS)", 2),
    dead("1.3.9999.7.6", "RSA-3072 and ML-DSA-44 (OQS)", 2),
    dead("1.3.9999.7.7", "P-384 and ML-DSA-65 (OQS)", 3),
    dead("1.3.9999.7.8", "P-521 and ML-DSA-87 (OQS)", 5),
    dead("1.3.9999.3.6", "Falcon-512 (OQS)", 1),
    dead("1.3.9999.3.9", "Falcon-1024 (OQS)", 5),
    dead("1.3.9999.3.11", "Falcon-512 (OQS)", 1),
    dead("1.3.9999.3.14", "Falcon-1024 (OQS)", 5),
];

/// Arcs whose every algorithm is a draft or an experiment.
const ARCS: &[Oid] = &[
    dead("2.16.840.1.114027.80.8.1", "composite signature (draft)", 0),
    dead("2.16.840.1.114027.80.9.1", "composite signature (draft)", 0),
    dead("1.3.6.1.4.1.2.267.7", "Dilithium (draft)", 0),
    dead("1.3.9999.2", "Dilithium (OQS)", 0),
    dead("1.3.9999.3", "Falcon (OQS)", 0),
    dead("1.3.9999.6", "SPHINCS+ (OQS)", 0),
    dead("1.3.9999", "an algorithm of Open Quantum Safe", 0),
];

const fn pq(oid: &'static str, name: &'static str, level: u8) -> Oid {
    Oid {
        oid,
        name,
        class: OidClass::Pq,
        level,
    }
}

const fn classical(oid: &'static str, name: &'static str) -> Oid {
    Oid {
        oid,
        name,
        class: OidClass::Classical,
        level: 0,
    }
}

/// What it means to say is ML-DSA of its level; ML-DSA-65 where the level is not one of ML-DSA's.
const fn dead(oid: &'static str, name: &'static str, level: u8) -> Oid {
    let instead = match level {
        1 | 2 => "mldsa44",
        5 => "mldsa87",
        _ => "mldsa65",
    };
    Oid {
        oid,
        name,
        class: OidClass::Dead(instead),
        level,
    }
}
