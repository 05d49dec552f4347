//! Certificates of every algorithm: root, intermediate, and leaves for servers and clients.
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SignatureAlgorithm,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// Names that every server certificate covers.
pub const NAMES: &[&str] = &["localhost", "*.example.test", "a.test", "b.test", "127.0.0.1", "::1"];

/// An algorithm of keys and, throughout a chain, of signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Algorithm {
    MlDsa44,
    MlDsa65,
    MlDsa87,
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    Rsa,
}

/// Whose certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// A server of [`NAMES`].
    Server,
    /// The same, valid until yesterday.
    ExpiredServer,
    /// A client named `agent-7`.
    Client,
    /// A client whose certificate has run out.
    ExpiredClient,
}

/// PEM texts.
#[derive(Clone)]
pub struct Credentials {
    /// Leaf and intermediate.
    pub chain: String,
    /// The leaf's key.
    pub key: String,
    /// The root they lead to.
    pub root: String,
}

/// Where they lie.
#[derive(Clone, Debug)]
pub struct Files {
    /// Leaf and intermediate.
    pub chain: PathBuf,
    /// The leaf's key.
    pub key: PathBuf,
    /// The root they lead to.
    pub root: PathBuf,
}

/// A folder of certificates of one's own, gone when dropped.
pub struct Pki {
    folder: TempDir,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 7] = [
        Algorithm::MlDsa44,
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::Ed25519,
        Algorithm::Rsa,
    ];

    /// The signature scheme its key makes in TLS 1.3, by its registered name.
    pub fn scheme(self) -> &'static str {
        match self {
            Algorithm::MlDsa44 => "mldsa44",
            Algorithm::MlDsa65 => "mldsa65",
            Algorithm::MlDsa87 => "mldsa87",
            Algorithm::EcdsaP256 => "ecdsa_secp256r1_sha256",
            Algorithm::EcdsaP384 => "ecdsa_secp384r1_sha384",
            Algorithm::Ed25519 => "ed25519",
            Algorithm::Rsa => "rsa_pss_rsae_sha256",
        }
    }

    /// ML-DSA of any size.
    pub fn is_ml_dsa(self) -> bool {
        self.scheme().starts_with("mldsa")
    }

    fn rcgen(self) -> &'static SignatureAlgorithm {
        match self {
            Algorithm::MlDsa44 => &rcgen::PKCS_ML_DSA_44,
            Algorithm::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
            Algorithm::MlDsa87 => &rcgen::PKCS_ML_DSA_87,
            Algorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::Rsa => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl Pki {
    /// An empty folder; certificates appear in it as they are asked for.
    pub fn new() -> Pki {
        let folder = tempfile::Builder::new().prefix("portcullis-e2e-").tempdir();
        Pki {
            folder: folder.expect("a temporary folder"),
        }
    }

    /// The folder itself, for configuration files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The files of a holder.
    pub fn files(&self, algorithm: Algorithm, holder: Holder) -> Files {
        let Credentials { chain, key, root } = credentials(algorithm, holder);
        let stem = format!("{}-{holder:?}", algorithm.scheme()).to_lowercase();
        Files {
            chain: self.write(&format!("{stem}.pem"), &chain),
            key: self.write(&format!("{stem}.key"), &key),
            root: self.write(&format!("{}-root.pem", algorithm.scheme()), &root),
        }
    }

    /// A server's files.
    pub fn server(&self, algorithm: Algorithm) -> Files {
        self.files(algorithm, Holder::Server)
    }

    /// A client's files.
    pub fn client(&self, algorithm: Algorithm) -> Files {
        self.files(algorithm, Holder::Client)
    }

    /// Every root in one file.
    pub fn roots(&self) -> PathBuf {
        let all: String = Algorithm::ALL.map(|a| of(a).root.clone()).concat();
        self.write("roots.pem", &all)
    }

    /// Writes a file into the folder, as a whole: whoever watches it sees the old or the new.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder().join(name);
        let draft = self.folder().join(format!("{name}.draft"));
        fs::write(&draft, content).expect("the temporary folder takes a file");
        fs::rename(&draft, &path).expect("a rename within one folder");
        path
    }
}

impl Default for Pki {
    fn default() -> Pki {
        Pki::new()
    }
}

/// The PEM texts of a holder, made once per process.
pub fn credentials(algorithm: Algorithm, holder: Holder) -> Credentials {
    let made = of(algorithm);
    let (chain, key) = match holder {
        Holder::Server => &made.server,
        Holder::ExpiredServer => &made.expired_server,
        Holder::Client => &made.client,
        Holder::ExpiredClient => &made.expired_client,
    };
    Credentials {
        chain: chain.clone(),
        key: key.clone(),
        root: made.root.clone(),
    }
}

/// What one root has issued.
struct Issued {
    root: String,
    server: (String, String),
    expired_server: (String, String),
    client: (String, String),
    expired_client: (String, String),
}

fn of(algorithm: Algorithm) -> &'static Issued {
    static MADE: [OnceLock<Issued>; Algorithm::ALL.len()] = [const { OnceLock::new() }; Algorithm::ALL.len()];
    MADE[algorithm as usize].get_or_init(|| issue(algorithm))
}

fn issue(algorithm: Algorithm) -> Issued {
    let key = || KeyPair::generate_for(algorithm.rcgen()).expect("a key of a supported algorithm");
    let name = algorithm.scheme();
    let root = CertifiedIssuer::self_signed(authority(&format!("{name} root"), 1), key());
    let root = root.expect("a root signs itself");
    let middle = authority(&format!("{name} intermediate"), 0);
    let middle = CertifiedIssuer::signed_by(middle, key(), &root).expect("a root signs");
    let leaf = |params: CertificateParams| {
        let key = key();
        let leaf = params.signed_by(&key, &middle).expect("an issuer signs");
        (leaf.pem() + &middle.pem(), key.serialize_pem())
    };
    let serverauth = ExtendedKeyUsagePurpose::ServerAuth;
    let clientauth = ExtendedKeyUsagePurpose::ClientAuth;
    Issued {
        server: leaf(holder("localhost", NAMES, serverauth.clone())),
        expired_server: leaf(expired(holder("localhost", NAMES, serverauth))),
        client: leaf(holder("agent-7", &["agent-7.test"], clientauth.clone())),
        expired_client: leaf(expired(holder("agent-6", &["agent-6.test"], clientauth))),
        root: root.pem(),
    }
}

fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names that are names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(30);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(common_name: &str, below: u8) -> CertificateParams {
    let mut params = params(common_name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn holder(common_name: &str, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = params(common_name, names);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_after = OffsetDateTime::now_utc() - Duration::days(1);
    params
}
