//! Reading passphrase-encrypted PKCS#8 (RFC 8018 PBES2, RFC 5958): PBKDF2 and AES-CBC, as OpenSSL writes it.
use crate::der::{INTEGER, OBJECT, OCTET_STRING, SEQUENCE, take};
use aws_lc_rs::{
    cipher::{AES_128, AES_192, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
    error::Unspecified,
    iv::FixedLength,
    pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512},
};
use std::num::NonZeroU32;
use zeroize::{Zeroize, Zeroizing};

/// Why an encrypted key stays closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Locked {
    /// Encrypted otherwise, or broken.
    #[error("encrypted in a way that is not read here")]
    Form,
    /// Not with this passphrase.
    #[error("the passphrase is not the key's")]
    Passphrase,
}

/// What a file of somebody else's may ask for: some seconds of work.
const MOST_ROUNDS: u32 = 20_000_000;

// Contents of the object identifiers.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];

/// Pseudo-random functions; SHA-1 is RFC 8018's default and harmless here.
const FUNCTIONS: [(&[u8], pbkdf2::Algorithm); 4] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07], PBKDF2_HMAC_SHA1),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09], PBKDF2_HMAC_SHA256),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a], PBKDF2_HMAC_SHA384),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b], PBKDF2_HMAC_SHA512),
];

/// Ciphers by identifier, with the length of their keys.
const CIPHERS: [(&[u8], (&Algorithm, usize)); 3] = [
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02], (&AES_128, 16)),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16], (&AES_192, 24)),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a], (&AES_256, 32)),
];

/// The PrivateKeyInfo of an EncryptedPrivateKeyInfo.
pub fn decrypt_pkcs8(der: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Locked> {
    let sealed = Sealed::read(der).ok_or(Locked::Form)?;
    if sealed.rounds.get() > MOST_ROUNDS {
        return Err(Locked::Form);
    }
    let (cipher, key_len) = sealed.cipher;
    let mut key = Zeroizing::new(vec![0; key_len]);
    pbkdf2::derive(sealed.function, sealed.rounds, sealed.salt, passphrase, &mut key);
    let opened = UnboundCipherKey::new(cipher, &key).and_then(|key| open(key, sealed.iv, sealed.content));
    // a wrong passphrase leaves good padding once in 256 times: what comes out must be a key's SEQUENCE
    let opened = opened
        .ok()
        .filter(|content| take(content, SEQUENCE).is_some_and(|(_, rest)| rest.is_empty()));
    opened.ok_or(Locked::Passphrase)
}

struct Sealed<'a> {
    function: pbkdf2::Algorithm,
    rounds: NonZeroU32,
    salt: &'a [u8],
    cipher: (&'static Algorithm, usize),
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
            cipher: row(&CIPHERS, oid)?,
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

fn open(key: UnboundCipherKey, iv: [u8; 16], content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key)?;
    let mut content = content.to_vec();
    let opened = key
        .decrypt(&mut content, DecryptionContext::Iv128(FixedLength::from(iv)))
        .map(|opened| Zeroizing::new(opened.to_vec()));
    content.zeroize();
    opened
}
