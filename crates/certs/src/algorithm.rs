use portcullis_wire::registry::KeyKind;
use rcgen::SignatureAlgorithm;
use std::fmt;

/// A kind of key that we make, together with the one way it signs certificates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// ML-DSA-44, NIST level 2.
    MlDsa44,
    /// ML-DSA-65, NIST level 3.
    MlDsa65,
    /// ML-DSA-87, NIST level 5.
    MlDsa87,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits, signing with SHA-256.
    Rsa2048,
    /// RSA of 3072 bits, signing with SHA-256.
    Rsa3072,
    /// RSA of 4096 bits, signing with SHA-256.
    Rsa4096,
}

impl Algorithm {
    /// Every algorithm, post-quantum ones first.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::MlDsa44,
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
        Algorithm::Rsa3072,
        Algorithm::Rsa4096,
    ];

    /// The kind of key, in the registry's words.
    pub fn key_kind(self) -> KeyKind {
        match self {
            Algorithm::MlDsa44 => KeyKind::MlDsa44,
            Algorithm::MlDsa65 => KeyKind::MlDsa65,
            Algorithm::MlDsa87 => KeyKind::MlDsa87,
            Algorithm::EcdsaP256 => KeyKind::EcdsaP256,
            Algorithm::EcdsaP384 => KeyKind::EcdsaP384,
            Algorithm::Ed25519 => KeyKind::Ed25519,
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => KeyKind::Rsa,
        }
    }

    /// The word for file names and options: `mldsa65`, `ecdsa-p256`.
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::MlDsa44 => "mldsa44",
            Algorithm::MlDsa65 => "mldsa65",
            Algorithm::MlDsa87 => "mldsa87",
            Algorithm::EcdsaP256 => "ecdsa-p256",
            Algorithm::EcdsaP384 => "ecdsa-p384",
            Algorithm::Ed25519 => "ed25519",
            Algorithm::Rsa2048 => "rsa-2048",
            Algorithm::Rsa3072 => "rsa-3072",
            Algorithm::Rsa4096 => "rsa-4096",
        }
    }

    /// The algorithm of a word, in any letter case and with or without hyphens: `ml-dsa-65` is `mldsa65`.
    pub fn by_word(word: &str) -> Option<Algorithm> {
        let bare = |word: &str| word.replace('-', "").to_ascii_lowercase();
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| bare(algorithm.word()) == bare(word))
    }

    /// ML-DSA of any size.
    pub fn is_ml_dsa(self) -> bool {
        self.key_kind().is_ml_dsa()
    }

    pub(crate) fn rcgen(self) -> &'static SignatureAlgorithm {
        match self {
            Algorithm::MlDsa44 => &rcgen::PKCS_ML_DSA_44,
            Algorithm::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
            Algorithm::MlDsa87 => &rcgen::PKCS_ML_DSA_87,
            Algorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl fmt::Display for Algorithm {
    /// The word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_leads_back_to_its_algorithm() {
        for algorithm in Algorithm::ALL {
            let shouted = algorithm.word().to_uppercase();
            assert_eq!(Algorithm::by_word(&shouted), Some(algorithm));
        }
        assert_eq!(Algorithm::by_word("ml-dsa-65"), Some(Algorithm::MlDsa65));
        assert_eq!(Algorithm::by_word("ECDSA-P384"), Some(Algorithm::EcdsaP384));
        assert_eq!(Algorithm::by_word("dilithium3"), None);
    }
}
