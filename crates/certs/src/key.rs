use crate::{Algorithm, Error};
use aws_lc_rs::{
    pkcs8::Document,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair,
        PqdsaSigningAlgorithm,
    },
};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A private key. Its encoded form is wiped when it goes; the library below wipes its own.
pub struct Key {
    algorithm: Algorithm,
    pair: Pair,
    /// PKCS#8; the type wipes itself on drop.
    pkcs8: Document,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
}

impl Key {
    /// Makes a new random key.
    pub fn generate(algorithm: Algorithm) -> Result<Key, Error> {
        let made = match algorithm {
            Algorithm::MlDsa44 => ml_dsa(&ML_DSA_44_SIGNING),
            Algorithm::MlDsa65 => ml_dsa(&ML_DSA_65_SIGNING),
            Algorithm::MlDsa87 => ml_dsa(&ML_DSA_87_SIGNING),
            Algorithm::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Algorithm::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            Algorithm::Ed25519 => ed25519(),
        };
        let (pair, pkcs8) = made.map_err(|_| Error::KeyGeneration(algorithm))?;
        Ok(Key { algorithm, pair, pkcs8 })
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as PKCS#8 in PEM; ML-DSA keys in RFC 9881's seed form, which every library reads.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let block = Pem::new("PRIVATE KEY", self.pkcs8.as_ref());
        let text = Zeroizing::new(encode(&block));
        block.into_contents().zeroize();
        text
    }
}

impl fmt::Debug for Key {
    /// Never the key itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
            Pair::MlDsa(pair) => pair.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm.rcgen()
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let refused = |_| rcgen::Error::RingUnspecified;
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(refused)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(refused)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::MlDsa(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                let len = pair.sign(message, &mut signature).map_err(refused)?;
                signature.truncate(len);
                Ok(signature)
            }
        }
    }
}

/// A PEM block with the line ends that Unix tools write.
pub(crate) fn encode(block: &Pem) -> String {
    pem::encode_config(block, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

type Made = Result<(Pair, Document), aws_lc_rs::error::Unspecified>;

fn ml_dsa(algorithm: &'static PqdsaSigningAlgorithm) -> Made {
    let pair = PqdsaKeyPair::generate(algorithm)?;
    let pkcs8 = pair.to_pkcs8v1()?;
    Ok((Pair::MlDsa(pair), pkcs8))
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Made {
    let pair = EcdsaKeyPair::generate(algorithm)?;
    let pkcs8 = pair.to_pkcs8v1()?;
    Ok((Pair::Ecdsa(pair), pkcs8))
}

fn ed25519() -> Made {
    let pair = Ed25519KeyPair::generate()?;
    // version 1: version 2, which carries the public key, is refused by older readers
    let pkcs8 = pair.to_pkcs8v1()?;
    Ok((Pair::Ed25519(pair), pkcs8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_key_material() {
        let key = Key::generate(Algorithm::MlDsa44).unwrap();
        assert_eq!(format!("{key:?}"), "Key { algorithm: MlDsa44, .. }");
    }

    #[test]
    fn an_ml_dsa_key_is_written_as_its_seed() {
        for algorithm in [Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87] {
            let text = Key::generate(algorithm).unwrap().to_pem();
            let der = pem::parse(text.as_bytes()).unwrap().into_contents();
            // RFC 9881 section 6: a seed is 32 bytes under the tag [0]; the whole PKCS#8 is 54
            assert_eq!((der.len(), &der[20..22]), (54, &[0x80, 32][..]), "{algorithm}");
        }
    }
}
