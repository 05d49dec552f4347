//! Profiles: a word for a whole TLS setting, and the keys below it that may still be set.
use crate::{negotiated::Version, policy::Policy};
use portcullis_wire::{CipherId, GroupId, SchemeId};

/// A profile of SPEC 2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profile {
    Default,
    Modern,
    PqOnly,
    Cnsa2,
    Fips,
}

/// Whose order of cipher suites counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CipherOrder {
    Client,
    Server,
}

/// Which chains may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChainRule {
    /// All, in the site's order.
    Any,
    /// Chains of ML-DSA signatures only.
    MlDsa,
    /// Chains whose every signature is ML-DSA-87.
    MlDsa87,
}

/// What a file or flag sets below the profile.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    pub versions: Option<Vec<Version>>,
    pub groups: Option<Vec<GroupId>>,
    pub ciphers: Option<Vec<CipherId>>,
    pub cipher_order: Option<CipherOrder>,
    pub signatures: Option<Vec<SchemeId>>,
    pub retry: Option<bool>,
}

/// A whole TLS setting.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Settings {
    pub versions: Vec<Version>,
    pub groups: Vec<GroupId>,
    pub ciphers: Vec<CipherId>,
    pub cipher_order: CipherOrder,
    pub signatures: Vec<SchemeId>,
    pub retry: bool,
    pub chains: ChainRule,
}

/// Settings that cannot work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("profile fips needs a build with the feature `fips`, which this one lacks")]
    NoFipsModule,
    #[error("no group that version {} can use", .0.as_str())]
    NoGroup(Version),
    #[error("no cipher suite that version {} can use", .0.as_str())]
    NoCipher(Version),
}

impl Profile {
    /// By its word in SPEC 2.
    pub fn by_name(_word: &str) -> Option<Profile> {
        todo!()
    }
    /// Its word.
    pub fn as_str(self) -> &'static str {
        todo!()
    }
    /// All of them.
    pub fn all() -> &'static [Profile] {
        todo!()
    }
    /// The policy it stands for.
    pub fn policy(self) -> Policy {
        todo!()
    }
    /// Its setting, with what is set below it.
    pub fn settings(self, _overrides: &Overrides) -> Result<Settings, SettingsError> {
        todo!()
    }
}
