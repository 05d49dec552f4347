//! A CA with intermediates that issues clients of every kind and takes them back, and a proxy that asks for them.
use crate::Stage;
use portcullis_e2e::{
    client::{Client, Conversation, Offer, Versions, alert_in},
    front::Front,
    pki::{Files, Pki},
    upstream::Manner,
};
use portcullis_proxy::ReloadError;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    SignatureAlgorithm,
};
use serde_json::Value;
use std::{cell::Cell, io::Read, path::PathBuf};
use time::{Duration, OffsetDateTime};

pub(crate) type Kind = &'static SignatureAlgorithm;
type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Every algorithm a client may have.
pub(super) const KINDS: [(&str, Kind); 7] = [
    ("mldsa44", &rcgen::PKCS_ML_DSA_44),
    ("mldsa65", &rcgen::PKCS_ML_DSA_65),
    ("mldsa87", &rcgen::PKCS_ML_DSA_87),
    ("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
    ("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
    ("ed25519", &rcgen::PKCS_ED25519),
    ("rsa", &rcgen::PKCS_RSA_SHA256),
];

/// One algorithm throughout: a root, an intermediate in order, one that the root takes back, one without a list.
pub(crate) struct House {
    pub(super) pki: Pki,
    kind: Kind,
    /// Files written, which give the next its name.
    written: Cell<usize>,
    root: Issuer,
    pub(super) middle: Issuer,
    pub(super) gone: Issuer,
    pub(super) unlisted: Issuer,
}

/// Serial numbers of the intermediates; clients count from 10.
const GONE: u64 = 3;

impl House {
    pub(crate) fn new(kind: Kind) -> House {
        House::called("House", kind)
    }

    /// With an organization's name of its own.
    pub(super) fn called(organization: &str, kind: Kind) -> House {
        let authority = |name, serial| {
            let mut params = authority(name, serial);
            params.distinguished_name = named(organization, name);
            params
        };
        let root = Issuer::self_signed(authority("root", 1), key(kind)).expect("a root signs itself");
        let below = |name, serial| {
            let made = Issuer::signed_by(authority(name, serial), key(kind), &root);
            made.expect("a root signs")
        };
        House {
            middle: below("middle", 2),
            gone: below("gone", GONE),
            unlisted: below("unlisted", 4),
            pki: Pki::new(),
            written: Cell::new(0),
            root,
            kind,
        }
    }

    /// The root's file.
    pub(crate) fn ca(&self) -> PathBuf {
        self.pki.write("house-ca.pem", &self.root.pem())
    }

    /// A client `agent-SERIAL` of the intermediate in order.
    pub(crate) fn client(&self, serial: u64) -> Files {
        self.issue(&self.middle, agent(serial))
    }

    /// Without its issuer's certificate beside it.
    pub(super) fn issue_alone(&self, by: &Issuer, params: CertificateParams) -> Files {
        let key = key(self.kind);
        self.files(&params.signed_by(&key, by).expect("an issuer signs").pem(), &key)
    }

    pub(super) fn issue(&self, by: &Issuer, params: CertificateParams) -> Files {
        let key = key(self.kind);
        let leaf = params.signed_by(&key, by).expect("an issuer signs");
        self.files(&(leaf.pem() + &by.pem()), &key)
    }

    /// A client that vouches for itself.
    pub(super) fn self_signed(&self, params: CertificateParams) -> (Issuer, Files) {
        let (key, stem) = (key(self.kind), self.fresh());
        let pem = key.serialize_pem();
        let made = Issuer::self_signed(params, key).expect("it signs itself");
        let files = Files {
            chain: self.pki.write(&format!("{stem}.pem"), &made.pem()),
            key: self.pki.write(&format!("{stem}.key"), &pem),
            root: self.ca(),
        };
        (made, files)
    }

    pub(super) fn files(&self, chain: &str, key: &KeyPair) -> Files {
        let stem = self.fresh();
        Files {
            chain: self.pki.write(&format!("{stem}.pem"), chain),
            key: self.pki.write(&format!("{stem}.key"), &key.serialize_pem()),
            root: self.ca(),
        }
    }

    fn fresh(&self) -> String {
        self.written.set(self.written.get() + 1);
        format!("client-{}", self.written.get())
    }

    /// The file of all lists: the root's without the intermediate that is gone, the intermediates' without these.
    pub(super) fn lists(&self, revoked: &[u64]) -> PathBuf {
        self.lists_until(revoked, OffsetDateTime::now_utc() + Duration::days(7))
    }

    pub(super) fn lists_until(&self, revoked: &[u64], next_update: OffsetDateTime) -> PathBuf {
        let list = |of: &Issuer, revoked: &[u64]| -> String {
            let list = revocation(revoked, next_update).signed_by(of).expect("an issuer signs");
            list.pem().expect("a list is PEM")
        };
        let all = list(&self.root, &[GONE]) + &list(&self.middle, revoked) + &list(&self.gone, &[]);
        self.pki.write("lists.pem", &all)
    }

    /// Only the intermediate's.
    pub(super) fn list_without_the_roots(&self) -> PathBuf {
        let list = revocation(&[], OffsetDateTime::now_utc() + Duration::days(7));
        let list = list.signed_by(&self.middle).expect("an issuer signs");
        self.pki.write("middle.crl", &list.pem().expect("a list is PEM"))
    }
}

fn revocation(revoked: &[u64], next_update: OffsetDateTime) -> CertificateRevocationListParams {
    let long_ago = OffsetDateTime::now_utc() - Duration::days(3);
    let each = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: long_ago,
        reason_code: None,
        invalidity_date: None,
    });
    CertificateRevocationListParams {
        this_update: long_ago,
        next_update,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: each.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

/// `CN=agent-SERIAL,O=House` with a DNS name and a SPIFFE id of the same.
pub(super) fn agent(serial: u64) -> CertificateParams {
    let mut params = params(&format!("agent-{serial}"), serial);
    let dns = format!("agent-{serial}").try_into().expect("a DNS name");
    let uri = format!("spiffe://house/agent-{serial}").try_into().expect("a URI");
    params.subject_alt_names = vec![SanType::DnsName(dns), SanType::URI(uri)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(super) fn key(kind: Kind) -> KeyPair {
    KeyPair::generate_for(kind).expect("a key of a supported algorithm")
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
    params.distinguished_name = named("House", name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = OffsetDateTime::now_utc() - Duration::days(5);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(30);
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(organization: &str, name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::OrganizationName, organization);
    named.push(DnType::CommonName, name);
    named
}

/// A proxy that asks its clients for certificates, and its configuration without that.
pub(super) struct Gate {
    pub(super) stage: Stage,
    front: Front,
}

impl Gate {
    /// `auth` stands between the braces of client_auth.
    pub(super) fn open(auth: &str) -> Gate {
        Gate::before(Manner::Echo, auth)
    }

    /// The same before another backend.
    pub(super) fn before(manner: Manner, auth: &str) -> Gate {
        let mut kept = None;
        let stage = Stage::set(manner, |_, front| {
            kept = Some(front.clone());
            front.site(&line(auth))
        });
        let front = kept.expect("the stage was set");
        Gate { stage, front }
    }

    pub(super) fn reload(&self, auth: &str) {
        self.try_reload(auth).expect("a good file");
    }

    pub(super) fn try_reload(&self, auth: &str) -> Result<(), ReloadError> {
        let toml = self.front.clone().site(&line(auth)).toml();
        self.stage.proxy.reload(&toml)
    }

    /// The record of a client that gets in.
    pub(super) fn admits(&self, offer: Offer) -> Value {
        let mut conversation = self.stage.connect(offer);
        conversation.echo(b"let me in");
        let local = conversation.local();
        conversation.close();
        let record = self.stage.proxy.record(local);
        assert_eq!(record["outcome"], "ok", "{record:#}");
        record
    }

    /// The alert and the record of one that does not. In TLS 1.3 the alert comes with the first read.
    pub(super) fn refuses(&self, offer: Offer) -> (Option<u8>, Value) {
        let client = Client::new(offer.versions(Versions::Only13));
        let mut conversation = client.connect(self.stage.proxy.address()).expect("a flight");
        let (alert, local) = (refusal(&mut conversation), conversation.local());
        drop(conversation);
        let record = self.stage.proxy.record(local);
        assert_eq!(record["outcome"], "refused", "{record:#}");
        (alert, record)
    }
}

/// The alert that a conversation ends with.
pub(super) fn refusal(conversation: &mut Conversation) -> Option<u8> {
    alert_in(&conversation.read(&mut [0; 1]).expect_err("it is refused"))
}

pub(super) fn showing(files: &Files) -> Offer {
    Offer::default().presenting(files.clone())
}

fn line(auth: &str) -> String {
    format!("client_auth = {{ {auth} }}")
}
