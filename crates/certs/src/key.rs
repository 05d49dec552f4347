use crate::{
    Algorithm, Error,
    der::{OBJECT, SEQUENCE, take},
    error::unusable,
    pbes2,
};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair,
        PqdsaSigningAlgorithm, RSA_PKCS1_SHA256,
    },
};
use pem::{EncodeConfig, LineEnding, Pem};
use portcullis_wire::registry::{Oid, OidClass};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use std::fmt;
use x509_parser::asn1_rs;
use zeroize::{Zeroize, Zeroizing};

/// A private key. Its encoded form is wiped when it goes; the library below wipes its own.
pub struct Key {
    algorithm: Algorithm,
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
    Rsa(rsa::KeyPair),
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
            Algorithm::Rsa2048 => rsa_pair(KeySize::Rsa2048),
            Algorithm::Rsa3072 => rsa_pair(KeySize::Rsa3072),
            Algorithm::Rsa4096 => rsa_pair(KeySize::Rsa4096),
        };
        let (pair, pkcs8) = made.map_err(|_| Error::KeyGeneration(algorithm))?;
        Ok(Key { algorithm, pair, pkcs8 })
    }

    /// Reads the first private key of a PEM text: PKCS#8, encrypted or not, or the older forms of EC and RSA keys.
    pub fn from_pem(text: &[u8], passphrase: Option<&str>) -> Result<Key, Error> {
        let blocks = pem::parse_many(text).map_err(|_| unusable("key", "its PEM is broken or cut off"))?;
        let found = blocks.into_iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
        let block = found.ok_or_else(|| unusable("key", "there is no private key in it"))?;
        if block.headers().iter().any(|(name, _)| name == "Proc-Type") {
            let old = "OpenSSL 1.0's encryption; write it anew with `openssl pkcs8 -topk8 -in FILE -out FILE.pem`";
            return Err(unusable("key", old));
        }
        let tag = block.tag().to_owned();
        let der = Zeroizing::new(block.into_contents());
        match (&*tag, passphrase) {
            ("PRIVATE KEY", _) => Key::from_pkcs8(&der),
            ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => Key::from_pkcs8(&pbes2::decrypt(&der, passphrase)?),
            ("ENCRYPTED PRIVATE KEY", None) => Err(unusable("key", "it is encrypted, and no passphrase was given")),
            ("RSA PRIVATE KEY", _) => from_rsa(rsa::KeyPair::from_der(&der)),
            ("EC PRIVATE KEY", _) => from_ec(&der),
            (other, _) => Err(unusable("key", format!("{other:?} is no form that is read here"))),
        }
    }

    /// What kind of key it is; of an RSA key of another size that was read, the next smaller that we make.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as PKCS#8 in PEM; ML-DSA keys in RFC 9881's seed form, which every library reads.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem_of("PRIVATE KEY", self.pkcs8.to_vec())
    }

    /// The same, encrypted under a passphrase: RFC 8018, as `openssl pkcs8 -topk8` writes it.
    pub fn to_encrypted_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, Error> {
        let sealed = pbes2::encrypt(&self.pkcs8, passphrase)?;
        Ok(pem_of("ENCRYPTED PRIVATE KEY", sealed))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Key, Error> {
        let dotted = algorithm_of(der).ok_or_else(|| unusable("key", "its DER is broken"))?;
        let refused = |_: KeyRejected| unusable("key", "not a key we can read");
        let ml_dsa = |algorithm: Algorithm, signing| -> Result<Key, Error> {
            let pair = PqdsaKeyPair::from_pkcs8(signing, der).map_err(refused)?;
            Ok(Key::read(algorithm, Pair::MlDsa(pair), der.to_vec()))
        };
        match &*dotted {
            "2.16.840.1.101.3.4.3.17" => ml_dsa(Algorithm::MlDsa44, &ML_DSA_44_SIGNING),
            "2.16.840.1.101.3.4.3.18" => ml_dsa(Algorithm::MlDsa65, &ML_DSA_65_SIGNING),
            "2.16.840.1.101.3.4.3.19" => ml_dsa(Algorithm::MlDsa87, &ML_DSA_87_SIGNING),
            "1.3.101.112" => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(refused)?;
                Ok(Key::read(Algorithm::Ed25519, Pair::Ed25519(pair), der.to_vec()))
            }
            "1.2.840.113549.1.1.1" => from_rsa(rsa::KeyPair::from_pkcs8(der)),
            "1.2.840.10045.2.1" => from_ec(der),
            other => Err(unusable_algorithm(other)),
        }
    }

    fn read(algorithm: Algorithm, pair: Pair, pkcs8: Vec<u8>) -> Key {
        Key {
            algorithm,
            pair,
            pkcs8: Zeroizing::new(pkcs8),
        }
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
            Pair::Rsa(pair) => pair.public_key().as_ref(),
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
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
                signed.map_err(refused)?;
                Ok(signature)
            }
        }
    }
}

/// A PEM block with the line ends that Unix tools write.
pub(crate) fn encode(block: &Pem) -> String {
    pem::encode_config(block, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// The dotted identifier of a PKCS#8 key's algorithm.
pub(crate) fn algorithm_of(pkcs8: &[u8]) -> Option<String> {
    let (whole, _) = take(pkcs8, SEQUENCE)?;
    let (_version, rest) = take(whole, crate::der::INTEGER)?;
    let (algorithm, _) = take(rest, SEQUENCE)?;
    let (oid, _) = take(algorithm, OBJECT)?;
    Some(asn1_rs::Oid::new(oid.into()).to_id_string())
}

type Made = Result<(Pair, Zeroizing<Vec<u8>>), Unspecified>;

fn ml_dsa(algorithm: &'static PqdsaSigningAlgorithm) -> Made {
    let pair = PqdsaKeyPair::generate(algorithm)?;
    let pkcs8 = pair.to_pkcs8v1()?;
    Ok((Pair::MlDsa(pair), bytes(&pkcs8)))
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Made {
    let pair = EcdsaKeyPair::generate(algorithm)?;
    let pkcs8 = pair.to_pkcs8v1()?;
    Ok((Pair::Ecdsa(pair), bytes(&pkcs8)))
}

fn ed25519() -> Made {
    let pair = Ed25519KeyPair::generate()?;
    // version 1: version 2, which carries the public key, is refused by older readers
    let pkcs8 = pair.to_pkcs8v1()?;
    Ok((Pair::Ed25519(pair), bytes(&pkcs8)))
}

fn rsa_pair(size: KeySize) -> Made {
    let pair = rsa::KeyPair::generate(size)?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
    let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
    Ok((Pair::Rsa(pair), pkcs8))
}

/// What the library hands out wipes itself, too.
fn bytes(encoded: &impl AsRef<[u8]>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(encoded.as_ref().to_vec())
}

fn from_rsa(read: Result<rsa::KeyPair, KeyRejected>) -> Result<Key, Error> {
    let pair = read.map_err(|_| unusable("key", "not an RSA key of 2048 to 8192 bits that we can read"))?;
    let algorithm = match pair.public_modulus_len() {
        512.. => Algorithm::Rsa4096,
        384.. => Algorithm::Rsa3072,
        _ => Algorithm::Rsa2048,
    };
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| unusable("key", "it cannot be encoded"))?;
    let pkcs8 = pkcs8.as_ref().to_vec();
    Ok(Key::read(algorithm, Pair::Rsa(pair), pkcs8))
}

/// PKCS#8 or RFC 5915: the library tells them apart.
fn from_ec(der: &[u8]) -> Result<Key, Error> {
    let curves = [
        (Algorithm::EcdsaP256, &ECDSA_P256_SHA256_ASN1_SIGNING),
        (Algorithm::EcdsaP384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    ];
    for (algorithm, signing) in curves {
        let Ok(pair) = EcdsaKeyPair::from_private_key_der(signing, der) else {
            continue;
        };
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| unusable("key", "it cannot be encoded"))?;
        let pkcs8 = pkcs8.as_ref().to_vec();
        return Ok(Key::read(algorithm, Pair::Ecdsa(pair), pkcs8));
    }
    Err(unusable("key", "not an EC key on P-256 or P-384"))
}

fn unusable_algorithm(dotted: &str) -> Error {
    let row = Oid::find(dotted);
    let name = row.map_or(dotted, |row| row.name);
    unusable(
        "key",
        match row.map(|row| row.class) {
            Some(OidClass::Dead(instead)) => format!("{name}, which TLS does not use; make {instead} instead"),
            _ => format!("{name}, which does not sign here"),
        },
    )
}

fn pem_of(label: &str, der: Vec<u8>) -> Zeroizing<String> {
    let block = Pem::new(label, der);
    let text = Zeroizing::new(encode(&block));
    block.into_contents().zeroize();
    text
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

    #[test]
    fn every_key_is_read_back_as_it_was_written() {
        for algorithm in Algorithm::ALL {
            let key = Key::generate(algorithm).unwrap();
            let read = Key::from_pem(key.to_pem().as_bytes(), None).unwrap();
            assert_eq!(read.algorithm(), algorithm);
            assert_eq!(*read.to_pem(), *key.to_pem(), "{algorithm}");
            assert_eq!(read.der_bytes(), key.der_bytes(), "{algorithm}");
        }
    }

    #[test]
    fn an_encrypted_key_is_read_with_its_passphrase_only() {
        let key = Key::generate(Algorithm::MlDsa65).unwrap();
        let sealed = key.to_encrypted_pem("a passphrase").unwrap();
        let read = Key::from_pem(sealed.as_bytes(), Some("a passphrase")).unwrap();
        assert_eq!(*read.to_pem(), *key.to_pem());
        assert!(Key::from_pem(sealed.as_bytes(), None).is_err());
        assert!(Key::from_pem(sealed.as_bytes(), Some("another")).is_err());
    }
}
