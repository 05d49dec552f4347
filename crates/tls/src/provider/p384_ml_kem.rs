//! SecP384r1MLKEM1024 (0x11ED), put together from the two groups the library has.
//!
//! draft-ietf-tls-ecdhe-mlkem: shares and secrets are joined classical part first, and the P-384 part is the
//! uncompressed point, so that every split is at the same place.
use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{
        ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup,
        aws_lc_rs::kx_group::{MLKEM1024, SECP384R1},
    },
    ffdhe_groups::FfdheGroup,
};

/// The group, as rustls takes it.
pub(super) static SECP384R1MLKEM1024: &dyn SupportedKxGroup = &P384MlKem1024;

const NAME: NamedGroup = NamedGroup::Unknown(0x11ed);
/// Bytes of an uncompressed P-384 point: 1 + 2 * 48.
const POINT: usize = 97;

#[derive(Debug)]
struct P384MlKem1024;

impl SupportedKxGroup for P384MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let point = SECP384R1.start()?;
        let kem = MLKEM1024.start()?;
        let share = [point.pub_key(), kem.pub_key()].concat();
        Ok(Box::new(Started { point, kem, share }))
    }

    fn start_and_complete(&self, peer_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (point, encapsulation_key) = split(peer_share)?;
        let point = SECP384R1.start_and_complete(point)?;
        let kem = MLKEM1024.start_and_complete(encapsulation_key)?;
        Ok(CompletedKeyExchange {
            group: NAME,
            pub_key: [point.pub_key, kem.pub_key].concat(),
            secret: join(&point.secret, &kem.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NAME
    }

    fn fips(&self) -> bool {
        SECP384R1.fips() && MLKEM1024.fips()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// Our half of an exchange begun as a client.
struct Started {
    point: Box<dyn ActiveKeyExchange>,
    kem: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        let (point, ciphertext) = split(peer_share)?;
        let point = self.point.complete(point)?;
        let kem = self.kem.complete(ciphertext)?;
        Ok(join(&point, &kem))
    }

    /// A plain P-384 share comes for free with the hybrid one.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.point.group(), self.point.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        self.point.complete(peer_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NAME
    }
}

/// The rest after the point is left to ML-KEM, which knows its own lengths in either direction.
fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    share
        .split_at_checked(POINT)
        .ok_or(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
}

/// One allocation of exactly the right size, moved into what zeroizes itself on drop: no copy stays behind.
fn join(point: &SharedSecret, kem: &SharedSecret) -> SharedSecret {
    SharedSecret::from([point.secret_bytes(), kem.secret_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let client = SECP384R1MLKEM1024.start().unwrap();
        assert_eq!(client.pub_key().len(), 97 + 1568);
        let server = SECP384R1MLKEM1024.start_and_complete(client.pub_key()).unwrap();
        assert_eq!(server.pub_key.len(), 97 + 1568);
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 48 + 32);
    }

    #[test]
    fn the_free_share_is_a_p384_exchange() {
        let client = SECP384R1MLKEM1024.start().unwrap();
        let (group, share) = client.hybrid_component().unwrap();
        assert_eq!(group, NamedGroup::secp384r1);
        let server = SECP384R1.start_and_complete(share).unwrap();
        let secret = client.complete_hybrid_component(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
    }

    #[test]
    fn a_share_of_any_other_length_is_refused() {
        let client = SECP384R1MLKEM1024.start().unwrap();
        let share = client.pub_key().to_vec();
        let longer = [&share[..], &[0]].concat();
        for wrong in [&[][..], &share[..96], &share[..97], &share[..share.len() - 1], &longer] {
            let refused = SECP384R1MLKEM1024.start_and_complete(wrong).err();
            let expected = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
            assert_eq!(refused, Some(expected), "{} bytes", wrong.len());
        }
    }
}
