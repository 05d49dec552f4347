//! The cryptography behind rustls; with its folder the only place that names aws-lc-rs.
use portcullis_wire::{CipherId, GroupId};
use rustls::{
    NamedGroup, ServerConfig, SignatureScheme, SupportedCipherSuite,
    crypto::{
        CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms,
        aws_lc_rs::{ALL_CIPHER_SUITES, default_provider, kx_group},
    },
    server::ResolvesServerCertUsingSni,
};
use std::sync::Arc;

mod p384_ml_kem;
mod pbes2;
mod seal;

pub use pbes2::{Locked, decrypt_pkcs8};
pub use seal::Signer;
pub(crate) use seal::{Digest, SealingKey, Secret, sha256};

/// Every group this build can exchange keys with, by SPEC 2's ids.
static GROUPS: [&dyn SupportedKxGroup; 8] = [
    kx_group::X25519MLKEM768,
    kx_group::SECP256R1MLKEM768,
    p384_ml_kem::SECP384R1MLKEM1024,
    kx_group::MLKEM768,
    kx_group::MLKEM1024,
    kx_group::X25519,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

/// A provider with these groups and suites, in this order. Ids that this build cannot use are left out: the
/// registry's `Standing` has refused them long before.
pub(crate) fn provider(groups: &[GroupId], ciphers: &[CipherId]) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: groups.iter().filter_map(|id| group(*id)).collect(),
        cipher_suites: ciphers.iter().filter_map(|id| cipher(*id)).collect(),
        ..default_provider()
    })
}

/// The provider for what needs no handshake: loading keys.
pub(crate) fn key_loader() -> CryptoProvider {
    default_provider()
}

/// A server of nobody's, for what QUIC needs before a hello: the keys of first packets and the tag of a Retry come of
/// TLS_AES_128_GCM_SHA256 (RFC 9001 section 5), whatever a site's own suites are.
pub(crate) fn first_packets() -> Option<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).ok()?;
    let resolver = Arc::new(ResolvesServerCertUsingSni::new());
    Some(builder.with_no_client_auth().with_cert_resolver(resolver))
}

/// What verifies signatures, of handshakes and of chains.
pub(crate) fn verification() -> WebPkiSupportedAlgorithms {
    default_provider().signature_verification_algorithms
}

/// The group, where this build has it.
pub(crate) fn group(id: GroupId) -> Option<&'static dyn SupportedKxGroup> {
    let name = NamedGroup::from(id.0);
    GROUPS.into_iter().find(|group| group.name() == name)
}

/// The suite, where this build has it.
pub(crate) fn cipher(id: CipherId) -> Option<SupportedCipherSuite> {
    let same = |suite: &&SupportedCipherSuite| u16::from(suite.suite()) == id.0;
    ALL_CIPHER_SUITES.iter().find(same).copied()
}

/// The schemes whose signatures we can verify.
pub(crate) fn verifiable() -> Vec<SignatureScheme> {
    verification().supported_schemes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::registry::{Cipher, Group, Standing};
    use rustls::crypto::aws_lc_rs::{ALL_KX_GROUPS, DEFAULT_CIPHER_SUITES, DEFAULT_KX_GROUPS};

    fn ids(groups: &[&dyn SupportedKxGroup]) -> Vec<u16> {
        groups.iter().map(|group| group.name().into()).collect()
    }

    fn suites(list: &[SupportedCipherSuite]) -> Vec<u16> {
        list.iter().map(|suite| suite.suite().into()).collect()
    }

    /// Nothing here is what we want: it is what the library does, so that an upgrade that changes it is read.
    #[test]
    fn the_librarys_own_lists_are_the_known_ones() {
        assert_eq!(ids(DEFAULT_KX_GROUPS), [0x11ec, 0x001d, 0x0017, 0x0018]);
        let all = [0x11ec, 0x11eb, 0x001d, 0x0017, 0x0018, 0x0201, 0x0202];
        assert_eq!(ids(ALL_KX_GROUPS), all);
        let expected = [0x1302, 0x1301, 0x1303, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f, 0xcca8];
        assert_eq!(suites(DEFAULT_CIPHER_SUITES), expected);
        assert_eq!(suites(ALL_CIPHER_SUITES), expected);
        let schemes: Vec<u16> = verifiable().into_iter().map(u16::from).collect();
        let expected = [
            0x0503, 0x0403, 0x0603, 0x0807, 0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401, 0x0904, 0x0905, 0x0906,
        ];
        assert_eq!(schemes, expected);
    }

    #[test]
    fn every_group_the_registry_offers_is_here_and_no_other() {
        for row in Group::all() {
            let offered = row.standing != Standing::Never;
            assert_eq!(group(row.id).is_some(), offered, "{}", row.name);
        }
    }

    #[test]
    fn every_suite_of_the_registry_is_here() {
        for row in Cipher::all() {
            assert!(cipher(row.id).is_some(), "{}", row.name);
        }
        assert_eq!(Cipher::all().len(), ALL_CIPHER_SUITES.len());
    }

    #[test]
    fn a_provider_keeps_the_order_asked_for() {
        let groups = [GroupId(0x0018), GroupId(0x11ed), GroupId(0x001d)];
        let ciphers = [CipherId(0x1303), CipherId(0x1302)];
        let made = provider(&groups, &ciphers);
        assert_eq!(ids(&made.kx_groups), [0x0018, 0x11ed, 0x001d]);
        assert_eq!(suites(&made.cipher_suites), [0x1303, 0x1302]);
    }

    #[test]
    fn ml_kem_groups_serve_tls_13_only() {
        for row in Group::all() {
            let Some(group) = group(row.id) else { continue };
            assert!(group.usable_for_version(rustls::ProtocolVersion::TLSv1_3));
            let classical = !row.class.is_quantum_safe();
            let tls12 = rustls::ProtocolVersion::TLSv1_2;
            assert_eq!(group.usable_for_version(tls12), classical, "{}", row.name);
        }
    }
}
