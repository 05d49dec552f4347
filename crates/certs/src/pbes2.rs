//! Passphrase-encrypted PKCS#8 (RFC 8018 PBES2, RFC 5958): PBKDF2 and AES-256-CBC, as `openssl pkcs8 -topk8` writes.
use crate::{
    Error,
    der::{INTEGER, NULL, OBJECT, OCTET_STRING, SEQUENCE, element},
    error::unusable,
};
use aws_lc_rs::{
    cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    error::Unspecified,
    iv::FixedLength,
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
    rand::{SecureRandom, SystemRandom},
};
use portcullis_tls::identity::{Locked, decrypt_pkcs8};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// OWASP's figure for PBKDF2 with HMAC-SHA-256; OpenSSL's own default of 2048 is from another century.
const ROUNDS: u32 = 600_000;

// Contents of the object identifiers.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// The EncryptedPrivateKeyInfo of a PrivateKeyInfo.
pub(crate) fn encrypt(pkcs8: &[u8], passphrase: &str) -> Result<Vec<u8>, Error> {
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    let random = SystemRandom::new();
    random
        .fill(&mut salt)
        .and_then(|()| random.fill(&mut iv))
        .map_err(|_| Error::Random)?;
    let rounds = NonZeroU32::new(ROUNDS).expect("it is not zero");
    let key = derive(PBKDF2_HMAC_SHA256, rounds, &salt, passphrase, 32);
    let sealed = seal(&key, iv, pkcs8).map_err(|Unspecified| unusable("key", "it cannot be encrypted"))?;
    let function = element(SEQUENCE, &[&element(OBJECT, &[HMAC_SHA256]), &element(NULL, &[])]);
    // the top bit of ROUNDS' three octets is clear, so they are a positive INTEGER as they are
    let derivation = element(
        SEQUENCE,
        &[
            &element(OCTET_STRING, &[&salt]),
            &element(INTEGER, &[&ROUNDS.to_be_bytes()[1..]]),
            &function,
        ],
    );
    let derivation = element(SEQUENCE, &[&element(OBJECT, &[PBKDF2]), &derivation]);
    let cipher = element(
        SEQUENCE,
        &[&element(OBJECT, &[AES_256_CBC]), &element(OCTET_STRING, &[&iv])],
    );
    let scheme = element(
        SEQUENCE,
        &[&element(OBJECT, &[PBES2]), &element(SEQUENCE, &[&derivation, &cipher])],
    );
    Ok(element(SEQUENCE, &[&scheme, &element(OCTET_STRING, &[&sealed])]))
}

/// The PrivateKeyInfo of an EncryptedPrivateKeyInfo.
pub(crate) fn decrypt(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    decrypt_pkcs8(der, passphrase.as_bytes()).map_err(|locked| match locked {
        Locked::Form => unusable("key", format!("it is {locked}; {ANEW}")),
        Locked::Passphrase => unusable("key", locked.to_string()),
    })
}

const ANEW: &str = "write it anew with `openssl pkcs8 -topk8 -in FILE -out FILE.pem`";

fn derive(
    function: pbkdf2::Algorithm,
    rounds: NonZeroU32,
    salt: &[u8],
    passphrase: &str,
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(vec![0; len]);
    pbkdf2::derive(function, rounds, salt, passphrase.as_bytes(), &mut key);
    key
}

fn seal(key: &[u8], iv: [u8; 16], content: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key)?)?;
    // room for the padding, so that it is never moved and left behind
    let mut sealed = Vec::with_capacity(content.len() + 16);
    sealed.extend(content);
    key.less_safe_encrypt(&mut sealed, EncryptionContext::Iv128(FixedLength::from(iv)))?;
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_is_read_back_with_its_passphrase_only() {
        let content = element(SEQUENCE, &[&[7; 50]]);
        let sealed = encrypt(&content, "open sesame").unwrap();
        assert_eq!(*decrypt(&sealed, "open sesame").unwrap(), content);
        assert!(decrypt(&sealed, "open barley").is_err());
    }

    #[test]
    fn a_cut_or_foreign_form_is_an_error() {
        let sealed = encrypt(&element(SEQUENCE, &[&[7; 50]]), "x").unwrap();
        for len in 0..sealed.len() {
            assert!(decrypt(&sealed[..len], "x").is_err(), "{len}");
        }
        let mut foreign = sealed;
        let at = foreign
            .windows(PBKDF2.len())
            .position(|window| window == PBKDF2)
            .unwrap();
        foreign[at + PBKDF2.len() - 1] = 0x0e;
        assert!(decrypt(&foreign, "x").is_err());
    }
}
