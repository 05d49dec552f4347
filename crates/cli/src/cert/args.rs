//! What may be typed after `portcullis cert`.
use clap::{Args, Subcommand};
use portcullis_certs::{Algorithm, Name, Subject};
use std::path::PathBuf;

/// The commands.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cert {
    /// Make a certificate authority: a root, or with --issuer one below another
    #[command(after_help = CA_EXAMPLES)]
    Ca(Ca),
    /// Make a server's certificate
    #[command(after_help = SERVER_EXAMPLES)]
    Server(Leaf),
    /// Make a client's certificate
    #[command(after_help = CLIENT_EXAMPLES)]
    Client(Leaf),
}

/// What is made, and where it goes.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Making {
    /// ml-dsa-44, ml-dsa-65, ml-dsa-87, ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096; twice with --dual [default: ml-dsa-65]
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm)]
    pub(crate) algorithm: Vec<Algorithm>,
    /// Make one with ML-DSA (ml-dsa-65) and one classical (ecdsa-p256)
    #[arg(long)]
    pub(crate) dual: bool,
    /// Who it is: a common name, or CN=agent-7,O=Corp
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    pub(crate) subject: Option<Subject>,
    /// How many days it is valid; never longer than its issuer
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) days: Option<u32>,
    /// Encrypt the keys made with the passphrase that is the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where files go.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The folder to write to, made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// What the files are called, without their endings
    #[arg(long, value_name = "NAME", value_parser = file_name)]
    pub(crate) file: Option<String>,
    /// Replace files that are there already
    #[arg(long)]
    pub(crate) force: bool,
}

/// Who signs.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Issuers {
    /// The issuer's certificate, with those above it behind; with --dual two: ML-DSA is signed by ML-DSA
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer: Vec<PathBuf>,
    /// The issuer's key, in the order of --issuer [default: the same name with .key]
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_key: Vec<PathBuf>,
    /// The passphrase of the issuers' keys is the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer_passphrase_file: Option<PathBuf>,
}

/// Flags of `cert ca`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ca {
    #[command(flatten)]
    pub(crate) making: Making,
    #[command(flatten)]
    pub(crate) issuers: Issuers,
    /// How many authorities may stand below it [default: any for a root, none with --issuer]
    #[arg(long, value_name = "N")]
    pub(crate) path_length: Option<u8>,
}

/// Flags of `cert server` and `cert client`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leaf {
    /// A DNS name, an address, a URI (spiffe://corp/agent-7) or a mail address; may be repeated
    #[arg(long = "name", value_name = "NAME", value_parser = name)]
    pub(crate) names: Vec<Name>,
    #[command(flatten)]
    pub(crate) making: Making,
    #[command(flatten)]
    pub(crate) issuers: Issuers,
}

fn algorithm(word: &str) -> Result<Algorithm, String> {
    Algorithm::by_word(word).ok_or_else(|| match portcullis_wire::registry::Scheme::by_name(word) {
        Ok(scheme) => format!("no keys are made for {}", scheme.name),
        Err(_) => {
            "it takes ml-dsa-44, ml-dsa-65, ml-dsa-87, ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096"
                .to_owned()
        }
    })
}

fn name(text: &str) -> Result<Name, String> {
    text.parse::<Name>().map_err(|error| error.to_string())
}

fn subject(text: &str) -> Result<Subject, String> {
    text.parse::<Subject>().map_err(|error| error.to_string())
}

fn file_name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains('/') || text.starts_with('.') {
        true => Err("a plain file name, without a folder; --out names the folder".to_owned()),
        false => Ok(text.to_owned()),
    }
}

const CA_EXAMPLES: &str = "Examples:
  portcullis cert ca --out pki
  portcullis cert ca --dual --out pki --subject 'CN=Shop root,O=Shop'
  portcullis cert ca --issuer pki/ca.pem --out pki --file issuing --days 1825";

const SERVER_EXAMPLES: &str = "Examples:
  portcullis cert server --issuer pki/ca.pem --name shop.example.com --name 10.0.0.5
  portcullis cert server --dual --issuer pki/ca-mldsa65.pem --issuer pki/ca-ecdsa-p256.pem --name localhost";

const CLIENT_EXAMPLES: &str = "Examples:
  portcullis cert client --issuer pki/ca.pem --subject CN=agent-7 --name spiffe://corp/agent-7
  portcullis cert client --issuer pki/ca.pem --name ops@example.com --algorithm ecdsa-p256";
