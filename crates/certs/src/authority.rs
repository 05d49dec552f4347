use crate::{Algorithm, Error, Key, Name, key::encode};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use std::{fmt, time::Duration};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// How long before now a certificate begins: clients whose clocks run late must accept it at once.
const BACKDATED: time::Duration = time::Duration::hours(1);

/// What a root is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootSpec {
    /// Its key, and so the signature on all it issues.
    pub algorithm: Algorithm,
    /// Its common name.
    pub name: String,
    /// How long it is valid from now on.
    pub valid: Duration,
}

/// What a server certificate is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerSpec {
    /// Its key.
    pub algorithm: Algorithm,
    /// Who it stands for; the first is its common name too.
    pub names: Vec<Name>,
    /// How long it is valid from now on; never longer than its issuer.
    pub valid: Duration,
}

/// A certificate authority whose key is in memory.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    certificate_pem: String,
    not_after: OffsetDateTime,
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
        let key = Key::generate(spec.algorithm)?;
        let mut params = params(&spec.name, spec.valid)?;
        // it issues servers, not further authorities
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            certificate_pem: certificate_pem(certificate.der()),
            not_after: params.not_after,
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority's own certificate, for those who shall trust it.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a server's certificate and its key.
    pub fn issue_server(&self, spec: &ServerSpec) -> Result<Issued, Error> {
        let key = Key::generate(spec.algorithm)?;
        let mut params = server_params(spec)?;
        // a chain is only as long-lived as its issuer: what outlives it fails without warning
        params.not_after = params.not_after.min(self.not_after);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain_pem: certificate_pem(certificate.der()),
            key_pem: key.to_pem(),
        })
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

/// What every server certificate says, whoever signs it.
pub(crate) fn server_params(spec: &ServerSpec) -> Result<CertificateParams, Error> {
    let first = spec.names.first().ok_or(Error::NoNames)?;
    let mut params = params(&first.to_string(), spec.valid)?;
    params.subject_alt_names = spec.names.iter().map(alt_name).collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

pub(crate) fn certificate_pem(der: &[u8]) -> String {
    encode(&Pem::new("CERTIFICATE", der))
}

fn params(common_name: &str, valid: Duration) -> Result<CertificateParams, Error> {
    let now = OffsetDateTime::now_utc();
    let valid = time::Duration::try_from(valid).map_err(|_| Error::ValidityTooLong)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(serial_number()?);
    params.not_before = now - BACKDATED;
    params.not_after = now.checked_add(valid).ok_or(Error::ValidityTooLong)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn alt_name(name: &Name) -> Result<SanType, Error> {
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Name::Address(address) => SanType::IpAddress(*address),
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
