//! THE TABLE of algorithms as a bill of materials names them, and which of them groups, signatures and cipher suites are.
use serde_json::{Map, Value, json};

/// One algorithm with its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithm {
    pub(super) name: &'static str,
    primitive: &'static str,
    /// `parameterSetIdentifier`, `curve`, `mode` or `padding`, and its value.
    parameters: &'static [(&'static str, &'static str)],
    functions: &'static [&'static str],
    /// Bits; 0 where the negotiated facts do not tell (the size of an RSA key).
    classical: u16,
    /// NIST's level, 0 for what a quantum computer breaks; None where no level is defined.
    quantum: Option<u8>,
    oid: &'static str,
    /// What it is combined of.
    pub(super) parts: &'static [&'static str],
}

impl Algorithm {
    /// Its row.
    pub(super) fn named(name: &str) -> Option<&'static Algorithm> {
        TABLE.iter().find(|row| row.name == name)
    }

    /// `cryptoProperties` of the component.
    pub(super) fn properties(&self) -> Value {
        let mut algorithm = Map::new();
        algorithm.insert("primitive".into(), self.primitive.into());
        for (key, value) in self.parameters {
            algorithm.insert((*key).into(), (*value).into());
        }
        algorithm.insert("cryptoFunctions".into(), self.functions.into());
        if self.classical > 0 {
            algorithm.insert("classicalSecurityLevel".into(), self.classical.into());
        }
        if let Some(level) = self.quantum {
            algorithm.insert("nistQuantumSecurityLevel".into(), level.into());
        }
        let mut properties = json!({ "assetType": "algorithm", "algorithmProperties": algorithm });
        if !self.oid.is_empty() {
            properties["oid"] = self.oid.into();
        }
        properties
    }
}

/// What is said of an algorithm that has no row.
pub(super) fn unknown() -> Value {
    json!({ "assetType": "algorithm", "algorithmProperties": { "primitive": "unknown" } })
}

/// The algorithm of a TLS group, by its registered name.
pub(super) fn of_group(group: &str) -> String {
    let name = match group {
        "secp256r1" => "ECDH secp256r1",
        "secp384r1" => "ECDH secp384r1",
        "MLKEM512" => "ML-KEM-512",
        "MLKEM768" => "ML-KEM-768",
        "MLKEM1024" => "ML-KEM-1024",
        other => other,
    };
    name.to_owned()
}

/// The algorithms of a TLS signature scheme: the signature, and the hash before it.
pub(super) fn of_scheme(scheme: &str) -> Vec<String> {
    let names: &[&str] = match scheme {
        "mldsa44" => &["ML-DSA-44"],
        "mldsa65" => &["ML-DSA-65"],
        "mldsa87" => &["ML-DSA-87"],
        "ed25519" => &["Ed25519"],
        "ecdsa_secp256r1_sha256" => &["ECDSA P-256", "SHA-256"],
        "ecdsa_secp384r1_sha384" => &["ECDSA P-384", "SHA-384"],
        "ecdsa_secp521r1_sha512" => &["ECDSA P-521", "SHA-512"],
        "rsa_pss_rsae_sha256" => &["RSA-PSS", "SHA-256"],
        "rsa_pss_rsae_sha384" => &["RSA-PSS", "SHA-384"],
        "rsa_pss_rsae_sha512" => &["RSA-PSS", "SHA-512"],
        "rsa_pkcs1_sha256" => &["RSA PKCS#1 v1.5", "SHA-256"],
        "rsa_pkcs1_sha384" => &["RSA PKCS#1 v1.5", "SHA-384"],
        "rsa_pkcs1_sha512" => &["RSA PKCS#1 v1.5", "SHA-512"],
        other => return vec![other.to_owned()],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The encryption and the hash of a cipher suite, by IANA's name.
pub(super) fn of_cipher(cipher: &str) -> Vec<String> {
    const ENCRYPTION: [(&str, &str); 3] = [
        ("AES_128_GCM", "AES-128-GCM"),
        ("AES_256_GCM", "AES-256-GCM"),
        ("CHACHA20_POLY1305", "ChaCha20-Poly1305"),
    ];
    const HASH: [(&str, &str); 2] = [("SHA256", "SHA-256"), ("SHA384", "SHA-384")];
    let within = |table: &'static [(&str, &'static str)]| {
        let found = table.iter().find(|(part, _)| cipher.contains(part));
        found.map(|(_, name)| (*name).to_owned())
    };
    within(&ENCRYPTION).into_iter().chain(within(&HASH)).collect()
}

const KEM: &[&str] = &["keygen", "encapsulate", "decapsulate"];
const AGREE: &[&str] = &["keygen", "keyderive"];
const SIGN: &[&str] = &["sign", "verify"];
const SEAL: &[&str] = &["encrypt", "decrypt", "tag"];
const SET: &str = "parameterSetIdentifier";
const PKCS1: Parameters = &[("padding", "pkcs1v15")];

/// Levels: FIPS 203 table 2, FIPS 204 table 1, and NIST's definition by AES-128 (1), SHA-256 (2), AES-192 (3), SHA-384 (4) and AES-256
/// (5). A hybrid holds as long as either part does, so it has the level of the stronger. Bits: SP 800-57 part 1 table 2.
const TABLE: &[Algorithm] = &[
    hybrid("X25519MLKEM768", (192, 3), &["X25519", "ML-KEM-768"]),
    hybrid("SecP256r1MLKEM768", (192, 3), &["ECDH secp256r1", "ML-KEM-768"]),
    hybrid("SecP384r1MLKEM1024", (256, 5), &["ECDH secp384r1", "ML-KEM-1024"]),
    kem("ML-KEM-512", &[(SET, "512")], (128, 1), "2.16.840.1.101.3.4.4.1"),
    kem("ML-KEM-768", &[(SET, "768")], (192, 3), "2.16.840.1.101.3.4.4.2"),
    kem("ML-KEM-1024", &[(SET, "1024")], (256, 5), "2.16.840.1.101.3.4.4.3"),
    ecdh("X25519", &[("curve", "Curve25519")], 128, "1.3.101.110"),
    ecdh("ECDH secp256r1", &[("curve", "secp256r1")], 128, "1.2.840.10045.3.1.7"),
    ecdh("ECDH secp384r1", &[("curve", "secp384r1")], 192, "1.3.132.0.34"),
    signature("ML-DSA-44", &[(SET, "44")], (128, 2), "2.16.840.1.101.3.4.3.17"),
    signature("ML-DSA-65", &[(SET, "65")], (192, 3), "2.16.840.1.101.3.4.3.18"),
    signature("ML-DSA-87", &[(SET, "87")], (256, 5), "2.16.840.1.101.3.4.3.19"),
    signature("ECDSA P-256", &[("curve", "secp256r1")], (128, 0), "1.2.840.10045.2.1"),
    signature("ECDSA P-384", &[("curve", "secp384r1")], (192, 0), "1.2.840.10045.2.1"),
    signature("ECDSA P-521", &[("curve", "secp521r1")], (256, 0), "1.2.840.10045.2.1"),
    signature("Ed25519", &[("curve", "Ed25519")], (128, 0), "1.3.101.112"),
    signature("RSA", &[], (0, 0), "1.2.840.113549.1.1.1"),
    signature("RSA-PSS", &[("padding", "other")], (0, 0), "1.2.840.113549.1.1.10"),
    signature(
        "RSA PKCS#1 v1.5",
        &[("padding", "pkcs1v15")],
        (0, 0),
        "1.2.840.113549.1.1.1",
    ),
    // as certificates name them, whose curve or modulus is the issuer's
    signature("ecdsa-with-SHA256", &[], (0, 0), "1.2.840.10045.4.3.2"),
    signature("ecdsa-with-SHA384", &[], (0, 0), "1.2.840.10045.4.3.3"),
    signature("ecdsa-with-SHA512", &[], (0, 0), "1.2.840.10045.4.3.4"),
    signature("sha256WithRSAEncryption", PKCS1, (0, 0), "1.2.840.113549.1.1.11"),
    signature("sha384WithRSAEncryption", PKCS1, (0, 0), "1.2.840.113549.1.1.12"),
    signature("sha512WithRSAEncryption", PKCS1, (0, 0), "1.2.840.113549.1.1.13"),
    aead(
        "AES-128-GCM",
        &[(SET, "128"), ("mode", "gcm")],
        (128, Some(1)),
        "2.16.840.1.101.3.4.1.6",
    ),
    aead(
        "AES-256-GCM",
        &[(SET, "256"), ("mode", "gcm")],
        (256, Some(5)),
        "2.16.840.1.101.3.4.1.46",
    ),
    aead(
        "ChaCha20-Poly1305",
        &[(SET, "256")],
        (256, None),
        "1.2.840.113549.1.9.16.3.18",
    ),
    hash("SHA-256", &[(SET, "256")], (128, Some(2)), "2.16.840.1.101.3.4.2.1"),
    hash("SHA-384", &[(SET, "384")], (192, Some(4)), "2.16.840.1.101.3.4.2.2"),
    hash("SHA-512", &[(SET, "512")], (256, None), "2.16.840.1.101.3.4.2.3"),
];

type Parameters = &'static [(&'static str, &'static str)];

const fn hybrid(name: &'static str, (classical, quantum): (u16, u8), parts: &'static [&'static str]) -> Algorithm {
    Algorithm {
        name,
        primitive: "combiner",
        parameters: &[],
        functions: KEM,
        classical,
        quantum: Some(quantum),
        oid: "",
        parts,
    }
}

const fn kem(name: &'static str, parameters: Parameters, levels: (u16, u8), oid: &'static str) -> Algorithm {
    Algorithm {
        primitive: "kem",
        parameters,
        oid,
        ..hybrid(name, levels, &[])
    }
}

const fn ecdh(name: &'static str, parameters: Parameters, classical: u16, oid: &'static str) -> Algorithm {
    Algorithm {
        primitive: "key-agree",
        functions: AGREE,
        ..kem(name, parameters, (classical, 0), oid)
    }
}

const fn signature(name: &'static str, parameters: Parameters, levels: (u16, u8), oid: &'static str) -> Algorithm {
    Algorithm {
        primitive: "signature",
        functions: SIGN,
        ..kem(name, parameters, levels, oid)
    }
}

const fn aead(
    name: &'static str,
    parameters: Parameters,
    (classical, quantum): (u16, Option<u8>),
    oid: &'static str,
) -> Algorithm {
    Algorithm {
        primitive: "ae",
        functions: SEAL,
        quantum,
        ..kem(name, parameters, (classical, 0), oid)
    }
}

const fn hash(name: &'static str, parameters: Parameters, levels: (u16, Option<u8>), oid: &'static str) -> Algorithm {
    Algorithm {
        primitive: "hash",
        functions: &["digest"],
        ..aead(name, parameters, levels, oid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::registry::{Cipher, Group, Scheme, Standing};

    #[test]
    fn everything_that_this_build_can_negotiate_has_its_rows() {
        for group in Group::all().iter().filter(|row| row.standing != Standing::Never) {
            assert!(Algorithm::named(&of_group(group.name)).is_some(), "{}", group.name);
        }
        for scheme in Scheme::all().iter().filter(|row| row.standing != Standing::Never) {
            for name in of_scheme(scheme.name) {
                assert!(Algorithm::named(&name).is_some(), "{}: {name}", scheme.name);
            }
        }
        for cipher in Cipher::all() {
            let names = of_cipher(cipher.name);
            assert_eq!(names.len(), 2, "{}", cipher.name);
            assert!(names.iter().all(|name| Algorithm::named(name).is_some()), "{names:?}");
        }
        let parts = TABLE.iter().flat_map(|row| row.parts);
        parts.for_each(|part| assert!(Algorithm::named(part).is_some(), "{part}"));
    }

    #[test]
    fn levels_are_those_of_the_registry() {
        for group in Group::all().iter().filter(|row| row.standing != Standing::Never) {
            let row = Algorithm::named(&of_group(group.name)).unwrap();
            assert_eq!(row.quantum, Some(group.level), "{}", group.name);
        }
        for scheme in Scheme::all().iter().filter(|row| row.standing != Standing::Never) {
            let row = Algorithm::named(&of_scheme(scheme.name)[0]).unwrap();
            assert_eq!(row.quantum, Some(scheme.level), "{}", scheme.name);
        }
    }

    #[test]
    fn a_row_tells_its_parameters() {
        let expected = json!({
            "assetType": "algorithm",
            "algorithmProperties": {
                "primitive": "signature",
                "parameterSetIdentifier": "65",
                "cryptoFunctions": ["sign", "verify"],
                "classicalSecurityLevel": 192,
                "nistQuantumSecurityLevel": 3,
            },
            "oid": "2.16.840.1.101.3.4.3.18",
        });
        assert_eq!(Algorithm::named("ML-DSA-65").unwrap().properties(), expected);
    }
}
