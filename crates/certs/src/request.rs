//! Requests for certificates (PKCS#10): made here, or read and checked, whoever made them.
use crate::{
    Error, Key, LeafSpec, Name, Subject,
    authority::leaf_params,
    error::unusable,
    inspect::{general_name, hex},
    key::encode,
    subject,
};
use aws_lc_rs::signature::{self as sig, UnparsedPublicKey, VerificationAlgorithm};
use pem::Pem;
use portcullis_wire::registry::{Oid, OidClass};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use std::fmt;
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::ParsedExtension,
    prelude::FromDer,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

/// A request whose sender holds the key.
pub struct Request {
    /// Who asks; None where it has parts that cannot be repeated here, or none at all.
    pub subject: Option<Subject>,
    /// The same for people: `CN=agent-7,O=Corp`.
    pub subject_text: String,
    /// The names asked for that a certificate of ours can hold.
    pub names: Vec<Name>,
    /// All names, each with its form before it.
    pub name_texts: Vec<String>,
    /// It asks to be an authority.
    pub wants_ca: bool,
    /// It asks to be used by clients and not by servers.
    pub for_clients: bool,
    /// The kind of its key, for people.
    pub algorithm: String,
    key: Vec<u8>,
    kind: &'static SignatureAlgorithm,
}

impl Request {
    /// A request for this certificate, signed with its key.
    pub fn make(spec: &LeafSpec, key: &Key) -> Result<String, Error> {
        let mut params = leaf_params(spec)?;
        // what only the issuer decides has no place in a request
        params.serial_number = None;
        params.use_authority_key_identifier_extension = false;
        let request = params.serialize_request(key)?;
        Ok(encode(&Pem::new("CERTIFICATE REQUEST", request.der().as_ref())))
    }

    /// Reads the first request of a PEM text.
    pub fn from_pem(text: &[u8]) -> Result<Request, Error> {
        let blocks = pem::parse_many(text).map_err(|_| unusable("request", "its PEM is broken or cut off"))?;
        let found = blocks.iter().find(|block| block.tag().ends_with("CERTIFICATE REQUEST"));
        let block = found.ok_or_else(|| unusable("request", "there is no certificate request in it"))?;
        Request::from_der(block.contents())
    }

    /// Reads a request and checks that its sender holds the key.
    pub fn from_der(der: &[u8]) -> Result<Request, Error> {
        let (rest, parsed) = X509CertificationRequest::from_der(der)
            .map_err(|_| unusable("request", "not a certificate request we can read"))?;
        if !rest.is_empty() {
            return Err(unusable("request", "something follows its end"));
        }
        let info = &parsed.certification_request_info;
        let kind = kind(&info.subject_pki)?;
        let possessed = is_signed(
            &info.subject_pki,
            &parsed.signature_algorithm,
            info.raw,
            &parsed.signature_value.data,
        );
        if !possessed {
            return Err(unusable(
                "request",
                "its signature is not of its own key, or of a kind not checked here: whoever sent it has not shown to hold the key",
            ));
        }
        let bits: &[u8] = &info.subject_pki.subject_public_key.data;
        let mut request = Request {
            subject: Subject::repeat(&info.subject).filter(|subject| !subject.is_empty()),
            subject_text: subject::text(&info.subject),
            names: Vec::new(),
            name_texts: Vec::new(),
            wants_ca: false,
            for_clients: false,
            algorithm: kind.name.to_owned(),
            key: bits.to_vec(),
            kind: kind.rcgen,
        };
        parsed
            .requested_extensions()
            .into_iter()
            .flatten()
            .for_each(|extension| request.note(extension));
        Ok(request)
    }

    pub(crate) fn is_one(der: &[u8]) -> bool {
        X509CertificationRequest::from_der(der).is_ok()
    }

    fn note(&mut self, extension: &ParsedExtension<'_>) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                self.name_texts = names.general_names.iter().map(general_name).collect();
                self.names = self.name_texts.iter().filter_map(|text| text.parse().ok()).collect();
            }
            ParsedExtension::BasicConstraints(constraints) => self.wants_ca = constraints.ca,
            ParsedExtension::ExtendedKeyUsage(usage) => self.for_clients = usage.client_auth && !usage.server_auth,
            _ => {}
        }
    }
}

impl PublicKeyData for Request {
    fn der_bytes(&self) -> &[u8] {
        &self.key
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.kind
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("subject", &self.subject_text)
            .field("names", &self.name_texts)
            .field("key", &hex(&self.key))
            .finish_non_exhaustive()
    }
}

/// Keys that can be certified: by identifier, of EC keys by their curve.
struct Kind {
    key: &'static str,
    name: &'static str,
    ml_dsa: bool,
    rcgen: &'static SignatureAlgorithm,
}

static KINDS: [Kind; 7] = [
    row("2.16.840.1.101.3.4.3.17", "ML-DSA-44", true, &rcgen::PKCS_ML_DSA_44),
    row("2.16.840.1.101.3.4.3.18", "ML-DSA-65", true, &rcgen::PKCS_ML_DSA_65),
    row("2.16.840.1.101.3.4.3.19", "ML-DSA-87", true, &rcgen::PKCS_ML_DSA_87),
    row(P256, "ECDSA P-256", false, &rcgen::PKCS_ECDSA_P256_SHA256),
    row(P384, "ECDSA P-384", false, &rcgen::PKCS_ECDSA_P384_SHA384),
    row("1.3.101.112", "Ed25519", false, &rcgen::PKCS_ED25519),
    row(RSA, "RSA", false, &rcgen::PKCS_RSA_SHA256),
];

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const RSA: &str = "1.2.840.113549.1.1.1";

const fn row(key: &'static str, name: &'static str, ml_dsa: bool, rcgen: &'static SignatureAlgorithm) -> Kind {
    Kind {
        key,
        name,
        ml_dsa,
        rcgen,
    }
}

/// Ways to sign a request: a kind of key and a signature's identifier.
struct Method {
    key: &'static str,
    signature: &'static str,
    algorithm: &'static dyn VerificationAlgorithm,
}

static METHODS: [Method; 13] = [
    way("2.16.840.1.101.3.4.3.17", "2.16.840.1.101.3.4.3.17", &sig::ML_DSA_44),
    way("2.16.840.1.101.3.4.3.18", "2.16.840.1.101.3.4.3.18", &sig::ML_DSA_65),
    way("2.16.840.1.101.3.4.3.19", "2.16.840.1.101.3.4.3.19", &sig::ML_DSA_87),
    way("1.3.101.112", "1.3.101.112", &sig::ED25519),
    way(P256, "1.2.840.10045.4.3.2", &sig::ECDSA_P256_SHA256_ASN1),
    way(P256, "1.2.840.10045.4.3.3", &sig::ECDSA_P256_SHA384_ASN1),
    way(P256, "1.2.840.10045.4.3.4", &sig::ECDSA_P256_SHA512_ASN1),
    way(P384, "1.2.840.10045.4.3.2", &sig::ECDSA_P384_SHA256_ASN1),
    way(P384, "1.2.840.10045.4.3.3", &sig::ECDSA_P384_SHA384_ASN1),
    way(P384, "1.2.840.10045.4.3.4", &sig::ECDSA_P384_SHA512_ASN1),
    way(RSA, "1.2.840.113549.1.1.11", &sig::RSA_PKCS1_2048_8192_SHA256),
    way(RSA, "1.2.840.113549.1.1.12", &sig::RSA_PKCS1_2048_8192_SHA384),
    way(RSA, "1.2.840.113549.1.1.13", &sig::RSA_PKCS1_2048_8192_SHA512),
];

const fn way(key: &'static str, signature: &'static str, algorithm: &'static dyn VerificationAlgorithm) -> Method {
    Method {
        key,
        signature,
        algorithm,
    }
}

/// The signature over these bytes is this key's.
pub(crate) fn is_signed(
    spki: &SubjectPublicKeyInfo<'_>,
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok(kind) = kind(spki) else { return false };
    let dotted = algorithm.algorithm.to_id_string();
    let found = METHODS
        .iter()
        .find(|method| method.key == kind.key && method.signature == dotted);
    // the library takes ML-DSA keys with their algorithm around them
    let public: &[u8] = if kind.ml_dsa {
        spki.raw
    } else {
        &spki.subject_public_key.data
    };
    found.is_some_and(|method| {
        UnparsedPublicKey::new(method.algorithm, public)
            .verify(message, signature)
            .is_ok()
    })
}

fn kind(spki: &SubjectPublicKeyInfo<'_>) -> Result<&'static Kind, Error> {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    let curve = spki
        .algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.as_oid().ok());
    let dotted = match &*algorithm {
        "1.2.840.10045.2.1" => curve.map_or(algorithm, |curve| curve.to_id_string()),
        _ => algorithm,
    };
    KINDS.iter().find(|kind| kind.key == dotted).ok_or_else(|| {
        let row = Oid::find(&dotted);
        let name = row.map_or(&*dotted, |row| row.name);
        let instead = match row.map(|row| row.class) {
            Some(OidClass::Dead(instead)) => instead,
            _ => "mldsa65 or ecdsa-p256",
        };
        unusable(
            "request",
            format!("its key is {name}, which is not certified here; make {instead} instead"),
        )
    })
}
