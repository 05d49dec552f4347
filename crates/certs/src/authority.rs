use crate::{
    Algorithm, AuthoritySpec, Error, Key, LeafSpec, Name, Purpose, RootSpec, ServerSpec, Subject, error::unusable,
    key::encode,
};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber,
};
use std::{fmt, time::Duration};
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    extensions::ParsedExtension,
    prelude::{BasicConstraints as Constraints, FromDer},
};
use zeroize::Zeroizing;

/// How long before now a certificate begins: clients whose clocks run late must accept it at once.
const BACKDATED: time::Duration = time::Duration::hours(1);

/// A certificate authority whose key is in memory.
pub struct Authority {
    pub(crate) issuer: Issuer<'static, Key>,
    certificate_pem: String,
    /// What a server sends after what it issues: itself and those above, the root left out.
    chain_pem: String,
    not_after: OffsetDateTime,
    /// As its certificate has it.
    pub(crate) key_identifier: Option<Vec<u8>>,
    subject: Subject,
}

/// A certificate with its key.
pub struct Issued {
    /// The chain as a server sends it: the leaf first, the root left out.
    pub chain_pem: String,
    /// The key, PKCS#8.
    pub key_pem: Zeroizing<String>,
}

impl Authority {
    /// Makes a root.
    pub fn root(spec: &RootSpec) -> Result<Authority, Error> {
        let spec_of_any = AuthoritySpec {
            subject: Subject::common_name(&spec.name)?,
            valid: spec.valid,
            // it issues servers, not further authorities
            below: Some(0),
        };
        let key = Key::generate(spec.algorithm)?;
        let certificate = Authority::sign_itself(&spec_of_any, &key)?;
        Authority::load(&certificate, key)
    }

    /// The certificate of a root with this key.
    pub fn sign_itself(spec: &AuthoritySpec, key: &Key) -> Result<String, Error> {
        let certificate = authority_params(spec)?.self_signed(key)?;
        Ok(certificate_pem(certificate.der()))
    }

    /// An authority from its certificate (with those above it behind) and its key.
    pub fn load(certificates_pem: &str, key: Key) -> Result<Authority, Error> {
        let blocks =
            pem::parse_many(certificates_pem).map_err(|_| unusable("issuer", "its PEM is broken or cut off"))?;
        let ders: Vec<&[u8]> = blocks
            .iter()
            .filter(|b| b.tag() == "CERTIFICATE")
            .map(Pem::contents)
            .collect();
        let first = ders
            .first()
            .ok_or_else(|| unusable("issuer", "there is no certificate in it"))?;
        let parsed = read(first)?;
        if parsed.public_key().subject_public_key.data != key.der_bytes() {
            return Err(unusable("issuer", "the key is not its certificate's"));
        }
        let not_after = parsed.validity().not_after.to_datetime();
        let key_identifier = key_identifier(&parsed);
        let issuer = Issuer::new(issuer_params(&parsed)?, key);
        let mut chain_pem = String::new();
        for der in &ders {
            let above = read(der)?;
            if above.subject().as_raw() != above.issuer().as_raw() {
                chain_pem.push_str(&certificate_pem(der));
            }
        }
        Ok(Authority {
            issuer,
            certificate_pem: certificate_pem(first),
            chain_pem,
            not_after,
            key_identifier,
            subject: subject_of(&parsed)?,
        })
    }

    /// The authority's own certificate, for those who shall trust it.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The kind of its key.
    pub fn algorithm(&self) -> Algorithm {
        self.issuer.key().algorithm()
    }

    /// Makes a server's certificate and its key.
    pub fn issue_server(&self, spec: &ServerSpec) -> Result<Issued, Error> {
        let key = Key::generate(spec.algorithm)?;
        let chain_pem = self.issue(&spec.leaf(), &key)?;
        Ok(Issued {
            chain_pem,
            key_pem: key.to_pem(),
        })
    }

    /// The chain of a server or client with this key.
    pub fn issue(&self, spec: &LeafSpec, key: &impl PublicKeyData) -> Result<String, Error> {
        self.certify(leaf_params(spec)?, key)
    }

    /// The chain of an authority with this key, below this one.
    pub fn issue_authority(&self, spec: &AuthoritySpec, key: &Key) -> Result<String, Error> {
        if spec.subject == self.subject {
            // a chain is put together by names: with one name for two, nobody finds the way
            return Err(unusable("subject", "it is the issuer's own"));
        }
        let own = self.path_length()?;
        let params = match (own, spec.below) {
            (Some(0), _) => return Err(unusable("issuer", "its path length allows no authority below it")),
            (Some(own), below) => authority_params(&AuthoritySpec {
                below: Some(below.unwrap_or(own - 1).min(own - 1)),
                ..spec.clone()
            }),
            (None, _) => authority_params(spec),
        };
        self.certify(params?, key)
    }

    fn certify(&self, mut params: CertificateParams, key: &impl PublicKeyData) -> Result<String, Error> {
        // a chain is only as long-lived as its issuer: what outlives it fails without warning
        params.not_after = params.not_after.min(self.not_after);
        if params.not_after <= params.not_before {
            return Err(unusable("issuer", "it has expired"));
        }
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(certificate_pem(certificate.der()) + &self.chain_pem)
    }

    fn path_length(&self) -> Result<Option<u8>, Error> {
        let block = pem::parse(&self.certificate_pem).map_err(|_| unusable("issuer", "its PEM is broken"))?;
        let parsed = read(block.contents())?;
        let length = constraints(&parsed).and_then(|constraints| constraints.path_len_constraint);
        Ok(length.map(|length| u8::try_from(length).unwrap_or(u8::MAX)))
    }
}

impl fmt::Debug for Authority {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    /// Never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("chain_pem", &self.chain_pem)
            .finish_non_exhaustive()
    }
}

/// What every leaf says, whoever signs it.
pub(crate) fn leaf_params(spec: &LeafSpec) -> Result<CertificateParams, Error> {
    let subject = match (&spec.subject, spec.names.first(), spec.purpose) {
        (_, None, Purpose::Server) => return Err(Error::NoNames),
        (Some(subject), ..) => subject.clone(),
        // a name too long for a subject stands among the names all the same
        (None, Some(name), _) => {
            Subject::common_name(&name.to_string()).or_else(|_| Subject::common_name(spec.purpose.word()))?
        }
        (None, None, Purpose::Client) => return Err(Error::Nobody),
    };
    let mut params = params(subject, spec.valid)?;
    params.subject_alt_names = spec.names.iter().map(alt_name).collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match spec.purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    Ok(params)
}

pub(crate) fn certificate_pem(der: &[u8]) -> String {
    encode(&Pem::new("CERTIFICATE", der))
}

fn authority_params(spec: &AuthoritySpec) -> Result<CertificateParams, Error> {
    let mut params = params(spec.subject.clone(), spec.valid)?;
    params.is_ca = IsCa::Ca(match spec.below {
        Some(below) => BasicConstraints::Constrained(below),
        None => BasicConstraints::Unconstrained,
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(subject: Subject, valid: Duration) -> Result<CertificateParams, Error> {
    let now = OffsetDateTime::now_utc();
    let valid = time::Duration::try_from(valid).map_err(|_| Error::ValidityTooLong)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject.into_name();
    params.serial_number = Some(serial_number()?);
    params.not_before = now - BACKDATED;
    params.not_after = now.checked_add(valid).ok_or(Error::ValidityTooLong)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What of an issuer's certificate goes into what it signs: its name, its key's identifier, its rights.
fn issuer_params(parsed: &X509Certificate<'_>) -> Result<CertificateParams, Error> {
    if !constraints(parsed).is_some_and(|constraints| constraints.ca) {
        return Err(unusable("issuer", "it is not a CA's certificate"));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject_of(parsed)?.into_name();
    if let Ok(Some(usage)) = parsed.key_usage() {
        let rights = [
            (usage.value.key_cert_sign(), KeyUsagePurpose::KeyCertSign),
            (usage.value.crl_sign(), KeyUsagePurpose::CrlSign),
        ];
        params.key_usages = rights
            .into_iter()
            .filter_map(|(has, right)| has.then_some(right))
            .collect();
        if !usage.value.key_cert_sign() {
            return Err(unusable(
                "issuer",
                "its key usage does not allow it to sign certificates",
            ));
        }
    }
    if let Some(identifier) = key_identifier(parsed) {
        params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
    }
    Ok(params)
}

fn subject_of(parsed: &X509Certificate<'_>) -> Result<Subject, Error> {
    let subject = Subject::repeat(parsed.subject()).filter(|subject| !subject.is_empty());
    subject.ok_or_else(|| {
        unusable(
            "issuer",
            "its name has parts that cannot be repeated here, such as two of a kind",
        )
    })
}

fn key_identifier(parsed: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let mut extensions = parsed.extensions().iter();
    extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

fn constraints<'a>(parsed: &'a X509Certificate<'_>) -> Option<&'a Constraints> {
    let extension = parsed.basic_constraints().ok().flatten()?;
    Some(extension.value)
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    let parsed = X509Certificate::from_der(der).map_err(|_| unusable("issuer", "not a certificate we can read"))?;
    Ok(parsed.1)
}

fn alt_name(name: &Name) -> Result<SanType, Error> {
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Name::Address(address) => SanType::IpAddress(*address),
        Name::Uri(uri) => SanType::URI(uri.as_str().try_into()?),
        Name::Email(mail) => SanType::Rfc822Name(mail.as_str().try_into()?),
    })
}

/// 126 random bits, where RFC 5280 section 4.1.2.2 allows 20 octets and public authorities must use 64 bits.
/// The top bits are fixed: positive, and always 16 octets long.
fn serial_number() -> Result<SerialNumber, Error> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| Error::Random)?;
    octets[0] = octets[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&octets))
}
