//! Certificates, servers and clients for the tests, and handshakes between them.
use portcullis_tls::{
    client::{Client, ClientSpec, Connection, Trust},
    identity::{Identity, certificates_from_pem},
    negotiated::{Negotiated, Version},
    policy::{Demands, Policy, Stance},
    profile::{Overrides, Profile, Settings},
    rustls::{
        self, ServerConnection,
        pki_types::{CertificateDer, ServerName},
    },
    server::{Refusal, Server, ServerSpec},
    tickets::Tickets,
};
use portcullis_wire::{
    GroupId, Hello, SchemeId,
    alert::Alert,
    client_hello::{self, Progress},
    registry::{Group, Scheme},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SignatureAlgorithm,
};
use std::{sync::Arc, time::Duration};

pub(crate) type Algorithm = &'static SignatureAlgorithm;
pub(crate) use rcgen::{
    PKCS_ECDSA_P256_SHA256 as P256, PKCS_ECDSA_P384_SHA384 as P384, PKCS_ECDSA_P521_SHA512 as P521,
    PKCS_ED25519 as ED25519, PKCS_ML_DSA_44 as ML_DSA_44, PKCS_ML_DSA_65 as ML_DSA_65, PKCS_ML_DSA_87 as ML_DSA_87,
    PKCS_RSA_SHA256 as RSA,
};

/// Key exchange, and whether a retry is allowed.
pub(crate) const RETRY_COLUMNS: [(Stance, bool); 4] = [
    (Stance::Observe, true),
    (Stance::Prefer, true),
    (Stance::Prefer, false),
    (Stance::Require, true),
];

/// The group a client gets, and whether it is asked again for it; None: it is refused.
type Got = Option<(&'static str, bool)>;

const PQ: Got = Some(("X25519MLKEM768", false));
const RETRY: Got = Some(("X25519MLKEM768", true));
const X25519: Got = Some(("X25519", false));

/// A client's list, the group it sends a share for, and what it gets in each column: the same over TCP and QUIC.
pub(crate) const RETRY_ROWS: [(&[&str], &str, [Got; 4]); 4] = [
    (&["X25519MLKEM768", "X25519"], "X25519MLKEM768", [PQ, PQ, PQ, PQ]),
    (&["X25519MLKEM768", "X25519"], "X25519", [X25519, RETRY, X25519, RETRY]),
    (&["X25519", "X25519MLKEM768"], "X25519", [X25519, RETRY, X25519, RETRY]),
    (&["X25519"], "X25519", [X25519, X25519, X25519, None]),
];

/// A certificate authority.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A chain and its key in PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Ca {
    pub(crate) fn new(algorithm: Algorithm, name: &str) -> Ca {
        Ca(CertifiedIssuer::self_signed(authority(name), key(algorithm)).unwrap())
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self, algorithm: Algorithm, name: &str) -> Ca {
        Ca(CertifiedIssuer::signed_by(authority(name), key(algorithm), &self.0).unwrap())
    }

    pub(crate) fn issue(&self, algorithm: Algorithm, params: CertificateParams) -> Pair {
        let key = key(algorithm);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        let mut read = certificates_from_pem(self.pem().as_bytes()).unwrap();
        read.remove(0).0
    }
}

impl Pair {
    pub(crate) fn identity(&self) -> Arc<Identity> {
        let read = Identity::from_pem(self.chain.as_bytes(), self.key.as_bytes());
        Arc::new(read.unwrap())
    }
}

pub(crate) fn key(algorithm: Algorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

fn named(name: &str, sans: &[&str]) -> CertificateParams {
    let sans: Vec<String> = sans.iter().map(|san| (*san).to_owned()).collect();
    let mut params = CertificateParams::new(sans).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Lab");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

pub(crate) fn server_params() -> CertificateParams {
    let mut params = named("server", &["localhost", "*.example.com", "127.0.0.1"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub(crate) fn client_params() -> CertificateParams {
    let mut params = named("agent-7", &["agent-7.lab"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A server certificate of one algorithm throughout.
pub(crate) fn identity(algorithm: Algorithm) -> Arc<Identity> {
    Ca::new(algorithm, "root").issue(algorithm, server_params()).identity()
}

pub(crate) fn group(name: &str) -> GroupId {
    Group::by_name(name).unwrap().id
}

pub(crate) fn groups(names: &[&str]) -> Vec<GroupId> {
    names.iter().map(|name| group(name)).collect()
}

pub(crate) fn scheme(name: &str) -> SchemeId {
    Scheme::by_name(name).unwrap().id
}

pub(crate) fn schemes(names: &[&str]) -> Vec<SchemeId> {
    names.iter().map(|name| scheme(name)).collect()
}

pub(crate) fn settings(profile: Profile, overrides: &Overrides) -> Settings {
    profile.settings(overrides).unwrap()
}

pub(crate) fn policy(key_exchange: Stance, authentication: Stance) -> Demands {
    Demands::from(Policy {
        key_exchange,
        authentication,
        client_authentication: Stance::Observe,
    })
}

/// The default profile with these certificates.
pub(crate) fn spec(identities: &[&Arc<Identity>]) -> ServerSpec {
    ServerSpec {
        context: "site".into(),
        settings: settings(Profile::Default, &Overrides::default()),
        policy: Profile::Default.policy().into(),
        identities: identities.iter().map(|identity| Arc::clone(identity)).collect(),
        client_auth: None,
        alpn: Vec::new(),
        resumption: portcullis_tls::tickets::Resumption::living(Duration::from_secs(3600)),
        key_log: None,
    }
}

pub(crate) fn server(spec: ServerSpec) -> Server {
    Server::build(spec, &Tickets::new()).unwrap()
}

/// A client of both versions with the default groups that trusts anyone.
pub(crate) fn offer() -> ClientSpec {
    ClientSpec {
        versions: vec![Version::Tls13, Version::Tls12],
        groups: groups(&["X25519MLKEM768", "X25519", "secp256r1"]),
        schemes: None,
        trust: Trust::Anyone,
        identity: None,
        alpn: Vec::new(),
        resumption: 0,
    }
}

pub(crate) fn connect(spec: ClientSpec) -> Connection {
    let client = Client::build(spec).unwrap();
    client.connect(ServerName::try_from("localhost").unwrap()).unwrap()
}

/// Both ends of a finished handshake.
pub(crate) struct Finished {
    pub(crate) hello: Hello,
    pub(crate) tls: ServerConnection,
    pub(crate) facts: Negotiated,
    /// Bytes of the server's first flight.
    pub(crate) first_flight: usize,
}

/// Why there are none.
#[derive(Debug)]
pub(crate) enum Unfinished {
    Refused(Refusal),
    /// The server gave up, and this alert, if any, reached the client.
    Server(rustls::Error, Option<Alert>),
    Client(rustls::Error),
}

/// A handshake as the proxy drives it: the hello is read, a configuration chosen, the same bytes fed to it.
pub(crate) fn shake(server: &Server, client: &mut rustls::ClientConnection) -> Result<Finished, Unfinished> {
    let bytes = outgoing(client);
    let hello = read(&bytes);
    let choice = server.choose(&hello).map_err(Unfinished::Refused)?;
    let mut tls = ServerConnection::new(Arc::clone(&choice.config)).unwrap();
    deliver(&mut tls, &bytes, client)?;
    let mut first_flight = 0;
    loop {
        let down = outgoing(&mut tls);
        if first_flight == 0 {
            first_flight = down.len();
        }
        feed(client, &down).map_err(Unfinished::Client)?;
        let up = outgoing(client);
        if up.is_empty() {
            break;
        }
        deliver(&mut tls, &up, client)?;
    }
    let facts = server.negotiated(&hello, &choice, &tls).unwrap();
    Ok(Finished {
        hello,
        tls,
        facts,
        first_flight,
    })
}

/// Bytes to the server; what it says last, if it gives up, still reaches the client.
pub(crate) fn deliver(
    tls: &mut ServerConnection,
    bytes: &[u8],
    client: &mut rustls::ClientConnection,
) -> Result<(), Unfinished> {
    let Err(error) = feed(tls, bytes) else {
        return Ok(());
    };
    let alert = match feed(client, &outgoing(tls)) {
        Err(rustls::Error::AlertReceived(alert)) => Some(Alert(alert.into())),
        _ => None,
    };
    Err(Unfinished::Server(error, alert))
}

pub(crate) fn read(bytes: &[u8]) -> Hello {
    match client_hello::from_records(bytes) {
        Ok(Progress::Complete(hello)) => *hello,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn outgoing<Data>(tls: &mut rustls::ConnectionCommon<Data>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).unwrap();
    }
    bytes
}

pub(crate) fn feed<Data>(tls: &mut rustls::ConnectionCommon<Data>, mut bytes: &[u8]) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes).unwrap();
        tls.process_new_packets()?;
    }
    Ok(())
}
