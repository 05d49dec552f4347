//! Passphrase-encrypted PKCS#8 (RFC 8018 PBES2, RFC 5958): PBKDF2 and AES-256-CBC, as `openssl pkcs8 -topk8` writes.
use crate::{
    Error,
    der::{INTEGER, NULL, OBJECT, OCTET_STRING, SEQUENCE, element, take},
    error::unusable,
};
use aws_lc_rs::{
    cipher::{
        AES_128, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
        UnboundCipherKey,
    },
    error::Unspecified,
    iv::FixedLength,
    pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512},
    rand::{SecureRandom, SystemRandom},
};
use std::num::NonZeroU32;
use zeroize::{Zeroize, Zeroizing};

/// OWASP's figure for PBKDF2 with HMAC-SHA-256; OpenSSL's own default of 2048 is from another century.
const ROUNDS: u32 = 600_000;
/// What a file of somebody else's may ask for: some seconds of work.
const MOST_ROUNDS: u32 = 20_000_000;

// Contents of the object identifiers.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// Other pseudo-random functions that are read: SHA-1 is RFC 8018's default and harmless here.
const FUNCTIONS: [(&[u8], pbkdf2::Algorithm); 4] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07], PBKDF2_HMAC_SHA1),
    (HMAC_SHA256, PBKDF2_HMAC_SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a], PBKDF2_HMAC_SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b], PBKDF2_HMAC_SHA512),
];

/// Ciphers by identifier, with the length of their keys.
const CIPHERS: [(&[u8], usize); 2] = [
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02], 16),
    (AES_256_CBC, 32),
];

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
    let form = || {
        unusable(
            "key",
            "it is encrypted in a way that is not read here; write it anew with `openssl pkcs8 -topk8 -in FILE -out FILE.pem`",
        )
    };
    let sealed = Sealed::read(der).ok_or_else(form)?;
    if sealed.rounds.get() > MOST_ROUNDS {
        return Err(form());
    }
    let key = derive(sealed.function, sealed.rounds, sealed.salt, passphrase, sealed.key_len);
    let opened = open(&key, sealed.iv, sealed.content);
    // a wrong passphrase leaves good padding once in 256 times: what comes out must be a key's SEQUENCE
    let opened = opened
        .ok()
        .filter(|content| take(content, SEQUENCE).is_some_and(|(_, rest)| rest.is_empty()));
    opened.ok_or_else(|| unusable("key", "the passphrase is not the key's"))
}

struct Sealed<'a> {
    function: pbkdf2::Algorithm,
    rounds: NonZeroU32,
    salt: &'a [u8],
    key_len: usize,
    iv: [u8; 16],
    content: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn read(der: &'a [u8]) -> Option<Sealed<'a>> {
        let (whole, _) = take(der, SEQUENCE)?;
        let (scheme, rest) = take(whole, SEQUENCE)?;
        let (content, _) = take(rest, OCTET_STRING)?;
        let (both, _) = take(algorithm(scheme, PBES2)?, SEQUENCE)?;
        let (derivation, rest) = take(both, SEQUENCE)?;
        let (cipher, _) = take(rest, SEQUENCE)?;
        let (parameters, _) = take(algorithm(derivation, PBKDF2)?, SEQUENCE)?;
        let (salt, rest) = take(parameters, OCTET_STRING)?;
        let (rounds, rest) = take(rest, INTEGER)?;
        // the length of the key may stand there; the cipher has told it
        let rest = take(rest, INTEGER).map_or(rest, |(_, rest)| rest);
        let function = match take(rest, SEQUENCE) {
            Some((function, _)) => row(&FUNCTIONS, take(function, OBJECT)?.0)?,
            None => PBKDF2_HMAC_SHA1,
        };
        let (oid, iv) = take(cipher, OBJECT)?;
        Some(Sealed {
            function,
            rounds: number(rounds)?,
            salt,
            key_len: row(&CIPHERS, oid)?,
            iv: take(iv, OCTET_STRING)?.0.try_into().ok()?,
            content,
        })
    }
}

/// The parameters of an AlgorithmIdentifier's content, if it is this one.
fn algorithm<'a>(content: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let (oid, parameters) = take(content, OBJECT)?;
    (oid == wanted).then_some(parameters)
}

fn row<T: Copy>(table: &[(&[u8], T)], oid: &[u8]) -> Option<T> {
    table.iter().find(|(row, _)| *row == oid).map(|(_, value)| *value)
}

fn number(octets: &[u8]) -> Option<NonZeroU32> {
    let significant = octets.iter().position(|octet| *octet != 0)?;
    let octets = &octets[significant..];
    let mut out = [0; 4];
    out.get_mut(4usize.checked_sub(octets.len())?..)?
        .copy_from_slice(octets);
    NonZeroU32::new(u32::from_be_bytes(out))
}

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

fn open(key: &[u8], iv: [u8; 16], content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let cipher = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(cipher, key)?)?;
    let mut content = content.to_vec();
    let opened = key
        .decrypt(&mut content, DecryptionContext::Iv128(FixedLength::from(iv)))
        .map(|opened| Zeroizing::new(opened.to_vec()));
    content.zeroize();
    opened
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
