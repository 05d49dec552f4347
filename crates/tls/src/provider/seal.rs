//! What tickets are made of: random secrets, keys derived from them, authenticated encryption, digests.
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, hkdf, hmac, rand,
};
use rustls::Error;
use zeroize::Zeroizing;

const KEY: usize = 32;

/// SHA-256 of these bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Thirty-two random bytes that forget themselves.
pub(crate) struct Secret(Zeroizing<[u8; KEY]>);

impl Secret {
    /// A new one.
    pub(crate) fn random() -> Result<Secret, Error> {
        let mut bytes = Zeroizing::new([0; KEY]);
        rand::fill(bytes.as_mut()).map_err(|_| Error::FailedToGetRandomBytes)?;
        Ok(Secret(bytes))
    }

    /// The one that HKDF gives for a secret of another shape, always the same.
    pub(crate) fn of(shared: &[u8]) -> Option<Secret> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, SHARED_LABEL).extract(shared);
        let mut bytes = Zeroizing::new([0; KEY]);
        let expanded = extracted.expand(&[b"secret"], Length(KEY)).ok()?;
        expanded.fill(bytes.as_mut()).ok()?;
        Some(Secret(bytes))
    }

    /// The key that HKDF (RFC 5869) gives for this context. There is no way from it back to the secret, nor to
    /// another context's key.
    pub(crate) fn derive(&self, context: &[u8; 32]) -> Option<SealingKey> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, LABEL).extract(self.0.as_ref());
        let mut key = Zeroizing::new([0; KEY]);
        let purpose = [&context[..]];
        let expanded = extracted.expand(&purpose, Length(KEY)).ok()?;
        expanded.fill(key.as_mut()).ok()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok()?;
        Some(SealingKey(key))
    }
}

/// Signs what clients keep for us, and knows it again (HMAC-SHA-256).
pub struct Signer(hmac::Key);

impl Signer {
    /// The one of a secret, for cookies alone.
    pub(crate) fn of(secret: &Secret) -> Option<Signer> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, COOKIE_LABEL).extract(secret.0.as_ref());
        let mut key = Zeroizing::new([0; KEY]);
        let expanded = extracted.expand(&[b"signer"], Length(KEY)).ok()?;
        expanded.fill(key.as_mut()).ok()?;
        Some(Signer(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())))
    }

    /// The tag of these words.
    pub fn sign(&self, words: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.0, words).as_ref());
        tag
    }

    /// Whether this tag is theirs; it takes as long whatever is wrong.
    pub fn is_signed(&self, words: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, words, tag).is_ok()
    }
}

/// Cookies have keys of their own.
const COOKIE_LABEL: &[u8] = b"portcullis cookie v1";
/// Changes with the ticket's format, so that old and new keys never meet.
const LABEL: &[u8] = b"portcullis tls ticket v1";
/// The same for secrets that several processes share.
const SHARED_LABEL: &[u8] = b"portcullis shared ticket secret v1";

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// AES-256-GCM with a random nonce for each message. A key lives for two ticket lifetimes at most, far from the
/// 2^32 messages that NIST SP 800-38D allows with random nonces.
pub(crate) struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// Appends nonce and sealed `plain` to `out`.
    pub(crate) fn seal(&self, bound: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Option<()> {
        // Room for the tag beforehand: growing would leave a copy of the plaintext behind.
        let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        let aad = Aad::from(bound);
        let nonce = self.0.seal_in_place_append_tag(aad, &mut sealed).ok()?;
        out.extend_from_slice(nonce.as_ref());
        out.extend_from_slice(&sealed);
        Some(())
    }

    /// What was sealed, if this key and `bound` sealed it.
    pub(crate) fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut plain = sealed.to_vec();
        let aad = Aad::from(bound);
        let len = self.0.open_in_place(nonce, aad, &mut plain).ok()?.len();
        plain.truncate(len);
        Some(plain)
    }
}

/// SHA-256 over parts, each with its length in front so that no two lists of parts run together.
pub(crate) struct Digest(digest::Context);

impl Digest {
    pub(crate) fn new() -> Digest {
        Digest(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn part(mut self, bytes: &[u8]) -> Digest {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_with_its_key_and_its_binding() {
        let secret = Secret::random().unwrap();
        let key = secret.derive(&[1; 32]).unwrap();
        let mut sealed = Vec::new();
        key.seal(b"bound", b"session", &mut sealed).unwrap();
        assert_eq!(key.open(b"bound", &sealed).unwrap(), b"session");
        assert_eq!(key.open(b"other", &sealed), None);
        assert_eq!(secret.derive(&[2; 32]).unwrap().open(b"bound", &sealed), None);
        let other = Secret::random().unwrap().derive(&[1; 32]).unwrap();
        assert_eq!(other.open(b"bound", &sealed), None);
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert_eq!(key.open(b"bound", &broken), None, "byte {at}");
            assert_eq!(key.open(b"bound", &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_digest_keeps_its_parts_apart() {
        let one = Digest::new().part(b"ab").part(b"c").finish();
        let other = Digest::new().part(b"a").part(b"bc").finish();
        assert_ne!(one, other);
        assert_eq!(one, Digest::new().part(b"ab").part(b"c").finish());
    }
}
