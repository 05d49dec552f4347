//! What may be typed after `portcullis cert`.
use clap::{Args, Subcommand};
use portcullis_certs::{Algorithm, Name, Purpose, Revoked, Subject};
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
    /// Make a key and a request that some authority signs
    #[command(after_help = CSR_EXAMPLES)]
    Csr(Csr),
    /// Sign a request, of ours or OpenSSL's, whose sender holds the key
    #[command(after_help = SIGN_EXAMPLES)]
    Sign(Sign),
    /// Keep an issuer's list of revoked certificates
    #[command(after_help = CRL_EXAMPLES)]
    Crl(Crl),
    /// Say what stands in a file, or what a server sends
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(Inspect),
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

/// Flags of `cert csr`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Csr {
    /// A DNS name, an address, a URI or a mail address; may be repeated
    #[arg(long = "name", value_name = "NAME", value_parser = name)]
    pub(crate) names: Vec<Name>,
    /// Ask for a client's certificate
    #[arg(long)]
    pub(crate) client: bool,
    #[command(flatten)]
    pub(crate) making: Making,
}

/// Flags of `cert sign`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sign {
    /// The request
    #[arg(value_name = "CSR")]
    pub(crate) request: PathBuf,
    #[command(flatten)]
    pub(crate) issuers: Issuers,
    /// server or client [default: what the request asks for, else server]
    #[arg(long, value_name = "PURPOSE", value_parser = purpose)]
    pub(crate) purpose: Option<Purpose>,
    /// These names instead of those asked for; may be repeated
    #[arg(long = "name", value_name = "NAME", value_parser = name)]
    pub(crate) names: Vec<Name>,
    /// This subject instead of the one asked for
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    pub(crate) subject: Option<Subject>,
    /// How many days it is valid; never longer than its issuer [default: 397]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) days: Option<u32>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Flags of `cert crl`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Crl {
    /// The list, made if it is not there, else continued
    #[arg(value_name = "FILE")]
    pub(crate) list: PathBuf,
    #[command(flatten)]
    pub(crate) issuers: Issuers,
    /// Revoke this: a certificate's file, or a serial number in hexadecimal; may be repeated
    #[arg(long, value_name = "FILE|SERIAL")]
    pub(crate) revoke: Vec<String>,
    /// key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn
    #[arg(long, value_name = "REASON", value_parser = reason, default_value = "unspecified", hide_default_value = true)]
    pub(crate) reason: u8,
    /// The next list comes within so many days: an older one refuses everyone
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) days: u32,
    /// Print the list and change nothing
    #[arg(long, conflicts_with_all = ["revoke", "issuer"])]
    pub(crate) list_only: bool,
}

/// Flags of `cert inspect`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Inspect {
    /// Files, or servers as HOST:PORT
    #[arg(value_name = "FILE|HOST:PORT", required = true)]
    pub(crate) targets: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Exit 1 if there are problems
    #[arg(long)]
    pub(crate) strict: bool,
}

fn purpose(word: &str) -> Result<Purpose, String> {
    match word {
        "server" => Ok(Purpose::Server),
        "client" => Ok(Purpose::Client),
        _ => Err("it takes server or client".to_owned()),
    }
}

fn reason(word: &str) -> Result<u8, String> {
    let found = Revoked::REASONS.iter().find(|(_, known)| *known == word);
    let words = || Revoked::REASONS.map(|(_, known)| known).join(", ");
    found
        .map(|(number, _)| *number)
        .ok_or_else(|| format!("it takes {}", words()))
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
  portcullis cert ca --dual --out pki --subject CN=root,O=Shop
  portcullis cert ca --issuer pki/ca.pem --out pki --file issuing --days 1825";

const SERVER_EXAMPLES: &str = "Examples:
  portcullis cert server --issuer pki/ca.pem --name shop.example.com --name 10.0.0.5
  portcullis cert server --dual --issuer pki/ca-mldsa65.pem \\
      --issuer pki/ca-ecdsa-p256.pem --name shop.example.com";

const CLIENT_EXAMPLES: &str = "Examples:
  portcullis cert client --issuer pki/ca.pem --subject CN=agent-7 --name spiffe://corp/agent-7
  portcullis cert client --issuer pki/ca.pem --name ops@example.com --algorithm ecdsa-p256";

const CSR_EXAMPLES: &str = "Examples:
  portcullis cert csr --name shop.example.com --out pki
  portcullis cert csr --client --subject CN=agent-7,O=Corp --algorithm ml-dsa-87";

const SIGN_EXAMPLES: &str = "Examples:
  portcullis cert sign shop.csr --issuer pki/ca.pem --out pki
  portcullis cert sign agent.csr --issuer pki/ca.pem --purpose client --days 30";

const CRL_EXAMPLES: &str = "Examples:
  portcullis cert crl pki/ca.crl --issuer pki/ca.pem
  portcullis cert crl pki/ca.crl --issuer pki/ca.pem --revoke client.pem --reason key-compromise
  portcullis cert crl pki/ca.crl --list-only";

const INSPECT_EXAMPLES: &str = "Examples:
  portcullis cert inspect pki/*.pem
  portcullis cert inspect localhost:8443 --json";

#[cfg(test)]
mod tests {
    use crate::args::parse;

    #[test]
    fn what_means_nothing_is_refused_with_its_reason() {
        let table = [
            ("server --algorithm dilithium3", "ml-dsa-65"),
            ("server --name a..b", "empty"),
            ("server --days 0", "0"),
            ("ca --file a/b", "--out"),
            ("crl a --issuer b --reason because", "key-compromise"),
            ("sign a --purpose both", "server or client"),
        ];
        for (line, reason) in table {
            let line = format!("portcullis cert {line}");
            match parse(line.split_whitespace()) {
                Err(crate::args::Refusal::Clap(error)) => assert!(error.to_string().contains(reason), "{error}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
