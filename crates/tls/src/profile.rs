//! Profiles: a word for a whole TLS setting, and the keys below it that may still be set.
use crate::{
    negotiated::Version,
    policy::{Policy, Stance},
};
use portcullis_wire::{
    CipherId, GroupId, SchemeId,
    registry::{Cipher, Group, Scheme, Standing},
};

/// A profile of SPEC 2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Profile {
    /// TLS 1.3 and 1.2, the default offer.
    Default,
    /// TLS 1.3 with the default offer.
    Modern,
    /// TLS 1.3, quantum-safe groups and chains only.
    PqOnly,
    /// What CNSA 2.0 asks for.
    Cnsa2,
    /// What a FIPS module approves.
    Fips,
}

/// Whose order of cipher suites counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CipherOrder {
    /// The client's: a phone without AES instructions asks for ChaCha20 first.
    Client,
    /// Ours.
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
    /// `versions`
    pub versions: Option<Vec<Version>>,
    /// `groups`
    pub groups: Option<Vec<GroupId>>,
    /// `ciphers`
    pub ciphers: Option<Vec<CipherId>>,
    /// `cipher_order`
    pub cipher_order: Option<CipherOrder>,
    /// `signatures`
    pub signatures: Option<Vec<SchemeId>>,
    /// `retry`
    pub retry: Option<bool>,
    /// `certificate_compression`
    pub certificate_compression: Option<bool>,
    /// `raw_public_keys`
    pub raw_public_keys: Option<bool>,
}

/// A whole TLS setting.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Settings {
    /// Versions spoken, newest first.
    pub versions: Vec<Version>,
    /// Groups, in our order.
    pub groups: Vec<GroupId>,
    /// Cipher suites, in our order.
    pub ciphers: Vec<CipherId>,
    /// Whose order of cipher suites counts.
    pub cipher_order: CipherOrder,
    /// What we sign with and accept from clients.
    pub signatures: Vec<SchemeId>,
    /// A HelloRetryRequest may be sent to gain a quantum-safe group.
    pub retry: bool,
    /// Chains are compressed, ours and theirs, where both sides can (RFC 8879).
    pub certificate_compression: bool,
    /// A client that wants our public key alone gets it instead of the chain (RFC 7250).
    pub raw_public_keys: bool,
    /// Which chains may be sent.
    pub chains: ChainRule,
}

/// Settings that cannot work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsError {
    /// The build has no FIPS module.
    #[error("profile fips needs a build with the feature `fips`, which this one lacks")]
    NoFipsModule,
    /// A version without a group.
    #[error("no group that version {} can use", .0.as_str())]
    NoGroup(Version),
    /// A version without a cipher suite.
    #[error("no cipher suite that version {} can use", .0.as_str())]
    NoCipher(Version),
    /// A version without a signature scheme.
    #[error("no signature that version {} can use", .0.as_str())]
    NoSignature(Version),
    /// No version at all.
    #[error("no version of TLS is left")]
    NoVersion,
}

impl Profile {
    /// By its word in SPEC 2.
    pub fn by_name(word: &str) -> Option<Profile> {
        let same = |profile: &&Profile| profile.as_str().eq_ignore_ascii_case(word);
        Profile::all().iter().find(same).copied()
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Default => "default",
            Profile::Modern => "modern",
            Profile::PqOnly => "pq-only",
            Profile::Cnsa2 => "cnsa2",
            Profile::Fips => "fips",
        }
    }

    /// All of them.
    pub fn all() -> &'static [Profile] {
        &[
            Profile::Default,
            Profile::Modern,
            Profile::PqOnly,
            Profile::Cnsa2,
            Profile::Fips,
        ]
    }

    /// The policy it stands for. `prefer` is a word for the key exchange alone (SPEC 4), so that the order of a
    /// site's certificates stays the operator's.
    pub fn policy(self) -> Policy {
        match self {
            Profile::Default | Profile::Modern | Profile::Fips => Policy {
                key_exchange: Stance::Prefer,
                authentication: Stance::Observe,
                client_authentication: Stance::Observe,
            },
            Profile::PqOnly | Profile::Cnsa2 => Policy {
                key_exchange: Stance::Require,
                authentication: Stance::Require,
                client_authentication: Stance::Observe,
            },
        }
    }

    /// Its setting, with what is set below it. A version that only the profile brings along, and that the groups,
    /// suites or signatures set here cannot serve, is left out; one that was asked for is an error.
    pub fn settings(self, overrides: &Overrides) -> Result<Settings, SettingsError> {
        if self == Profile::Fips {
            return Err(SettingsError::NoFipsModule);
        }
        let set = overrides.clone();
        let mut settings = Settings {
            versions: Vec::new(),
            groups: set.groups.unwrap_or_else(|| self.groups()),
            ciphers: set.ciphers.unwrap_or_else(|| self.ciphers()),
            cipher_order: set.cipher_order.unwrap_or(CipherOrder::Client),
            signatures: set.signatures.unwrap_or_else(default_signatures),
            retry: set.retry.unwrap_or(true),
            certificate_compression: set.certificate_compression.unwrap_or(true),
            raw_public_keys: set.raw_public_keys.unwrap_or(false),
            chains: self.chains(),
        };
        let asked = set.versions.is_some();
        for version in set.versions.unwrap_or_else(|| self.versions()) {
            match settings.can_serve(version) {
                Ok(()) => settings.versions.push(version),
                Err(problem) if asked || version == Version::Tls13 => return Err(problem),
                Err(_) => {}
            }
        }
        settings.tidy();
        match settings.versions.is_empty() {
            true => Err(SettingsError::NoVersion),
            false => Ok(settings),
        }
    }

    fn versions(self) -> Vec<Version> {
        match self {
            Profile::Default | Profile::Fips => vec![Version::Tls13, Version::Tls12],
            Profile::Modern | Profile::PqOnly | Profile::Cnsa2 => vec![Version::Tls13],
        }
    }

    fn groups(self) -> Vec<GroupId> {
        let offered = || Group::all().iter().filter(|group| group.standing == Standing::Default);
        match self {
            Profile::Default | Profile::Modern | Profile::Fips => offered().map(|group| group.id).collect(),
            Profile::PqOnly => offered()
                .filter(|group| group.class.is_quantum_safe())
                .map(|group| group.id)
                .chain([MLKEM1024, MLKEM768])
                .collect(),
            Profile::Cnsa2 => vec![SECP384R1MLKEM1024, MLKEM1024],
        }
    }

    fn ciphers(self) -> Vec<CipherId> {
        let all = Cipher::all().iter();
        match self {
            Profile::Default | Profile::Modern | Profile::PqOnly | Profile::Fips => {
                all.map(|cipher| cipher.id).collect()
            }
            Profile::Cnsa2 => vec![AES_256_GCM_SHA384],
        }
    }

    fn chains(self) -> ChainRule {
        match self {
            Profile::Default | Profile::Modern | Profile::Fips => ChainRule::Any,
            Profile::PqOnly => ChainRule::MlDsa,
            Profile::Cnsa2 => ChainRule::MlDsa87,
        }
    }
}

const SECP384R1MLKEM1024: GroupId = GroupId(0x11ed);
const MLKEM768: GroupId = GroupId(0x0201);
const MLKEM1024: GroupId = GroupId(0x0202);
const AES_256_GCM_SHA384: CipherId = CipherId(0x1302);

impl Settings {
    /// The version has a group, a suite and a signature here.
    fn can_serve(&self, version: Version) -> Result<(), SettingsError> {
        if !self.groups.iter().any(|id| group_fits(*id, version)) {
            return Err(SettingsError::NoGroup(version));
        }
        if !self.ciphers.iter().any(|id| cipher_fits(*id, version)) {
            return Err(SettingsError::NoCipher(version));
        }
        if !self.signatures.iter().any(|id| scheme_fits(*id, version)) {
            return Err(SettingsError::NoSignature(version));
        }
        Ok(())
    }

    /// Newest version first, nothing twice, and only what one of the versions can use.
    fn tidy(&mut self) {
        self.versions.sort_by(|a, b| b.cmp(a));
        self.versions.dedup();
        let versions = self.versions.clone();
        let any = |fits: &dyn Fn(Version) -> bool| versions.iter().any(|version| fits(*version));
        self.ciphers.retain(|id| any(&|v| cipher_fits(*id, v)));
        self.signatures.retain(|id| any(&|v| scheme_fits(*id, v)));
        self.groups = first_of_each(&self.groups);
        self.ciphers = first_of_each(&self.ciphers);
        self.signatures = first_of_each(&self.signatures);
    }
}

fn first_of_each<T: PartialEq + Copy>(list: &[T]) -> Vec<T> {
    let mut kept = Vec::with_capacity(list.len());
    for item in list {
        if !kept.contains(item) {
            kept.push(*item);
        }
    }
    kept
}

/// ML-KEM groups, alone or in a hybrid, exist in TLS 1.3 only.
pub(crate) fn group_fits(group: GroupId, version: Version) -> bool {
    let quantum_safe = group.key_exchange().is_some_and(|c| c.is_quantum_safe());
    version == Version::Tls13 || !quantum_safe
}

fn cipher_fits(cipher: CipherId, version: Version) -> bool {
    let tls13 = version == Version::Tls13;
    cipher.entry().is_some_and(|entry| entry.tls13 == tls13)
}

pub(crate) fn scheme_fits(scheme: SchemeId, version: Version) -> bool {
    scheme.entry().is_some_and(|entry| match version {
        Version::Tls13 => entry.tls13,
        Version::Tls12 => entry.tls12,
    })
}

/// SPEC 2's signatures.
fn default_signatures() -> Vec<SchemeId> {
    Scheme::all()
        .iter()
        .filter(|scheme| scheme.standing == Standing::Default)
        .map(|scheme| scheme.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(profile: Profile) -> Settings {
        profile.settings(&Overrides::default()).expect("a profile")
    }

    fn names(groups: &[GroupId]) -> Vec<String> {
        groups.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_profile_is_found_by_its_word() {
        for profile in Profile::all() {
            assert_eq!(Profile::by_name(profile.as_str()), Some(*profile));
            let shouted = profile.as_str().to_uppercase();
            assert_eq!(Profile::by_name(&shouted), Some(*profile));
        }
        assert_eq!(Profile::by_name("intermediate"), None);
    }

    #[test]
    fn the_profiles_are_those_of_the_contract() {
        let default = plain(Profile::Default);
        assert_eq!(default.versions, [Version::Tls13, Version::Tls12]);
        let offer = [
            "X25519MLKEM768",
            "SecP256r1MLKEM768",
            "SecP384r1MLKEM1024",
            "X25519",
            "secp256r1",
            "secp384r1",
        ];
        assert_eq!(names(&default.groups), offer);
        assert_eq!(default.chains, ChainRule::Any);

        let modern = plain(Profile::Modern);
        assert_eq!(modern.versions, [Version::Tls13]);
        assert_eq!(names(&modern.groups), offer);

        let pq_only = plain(Profile::PqOnly);
        assert_eq!(pq_only.versions, [Version::Tls13]);
        let quantum_safe = [
            "X25519MLKEM768",
            "SecP256r1MLKEM768",
            "SecP384r1MLKEM1024",
            "MLKEM1024",
            "MLKEM768",
        ];
        assert_eq!(names(&pq_only.groups), quantum_safe);
        assert_eq!(pq_only.chains, ChainRule::MlDsa);

        let cnsa2 = plain(Profile::Cnsa2);
        assert_eq!(cnsa2.versions, [Version::Tls13]);
        assert_eq!(names(&cnsa2.groups), ["SecP384r1MLKEM1024", "MLKEM1024"]);
        assert_eq!(cnsa2.ciphers, [AES_256_GCM_SHA384]);
        assert_eq!(cnsa2.chains, ChainRule::MlDsa87);
    }

    #[test]
    fn fips_without_its_module_is_refused_by_name() {
        let refused = Profile::Fips.settings(&Overrides::default());
        assert_eq!(refused, Err(SettingsError::NoFipsModule));
        assert!(SettingsError::NoFipsModule.to_string().contains("`fips`"));
    }

    #[test]
    fn prefer_keeps_the_order_of_certificates() {
        for profile in [Profile::Default, Profile::Modern] {
            assert_eq!(profile.policy().key_exchange, Stance::Prefer);
            assert_eq!(profile.policy().authentication, Stance::Observe);
        }
        for profile in [Profile::PqOnly, Profile::Cnsa2] {
            assert_eq!(profile.policy().key_exchange, Stance::Require);
            assert_eq!(profile.policy().authentication, Stance::Require);
        }
    }

    #[test]
    fn a_version_that_was_asked_for_must_work() {
        let overrides = Overrides {
            versions: Some(vec![Version::Tls12]),
            groups: Some(vec![GroupId(0x11ec)]),
            ..Overrides::default()
        };
        let problem = Profile::Default.settings(&overrides);
        assert_eq!(problem, Err(SettingsError::NoGroup(Version::Tls12)));
    }

    #[test]
    fn a_version_that_only_the_profile_brings_gives_way() {
        let overrides = Overrides {
            groups: Some(vec![GroupId(0x11ec)]),
            ..Overrides::default()
        };
        let settings = Profile::Default.settings(&overrides).expect("1.3 works");
        assert_eq!(settings.versions, [Version::Tls13]);
        assert!(settings.ciphers.iter().all(|id| cipher_fits(*id, Version::Tls13)));
    }

    #[test]
    fn an_empty_list_never_falls_back() {
        let overrides = Overrides {
            ciphers: Some(Vec::new()),
            ..Overrides::default()
        };
        let problem = Profile::Default.settings(&overrides);
        assert_eq!(problem, Err(SettingsError::NoCipher(Version::Tls13)));
        let overrides = Overrides {
            versions: Some(Vec::new()),
            ..Overrides::default()
        };
        let problem = Profile::Default.settings(&overrides);
        assert_eq!(problem, Err(SettingsError::NoVersion));
    }

    #[test]
    fn signatures_of_one_version_leave_with_it() {
        let pkcs1 = SchemeId(0x0401);
        assert!(plain(Profile::Default).signatures.contains(&pkcs1));
        assert!(!plain(Profile::Modern).signatures.contains(&pkcs1));
        let p521 = SchemeId(0x0603);
        assert!(!plain(Profile::Default).signatures.contains(&p521));
    }
}
