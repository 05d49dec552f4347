//! What goes on in another protocol behind a request.
use crate::{
    Go, Lines, Stage,
    origin::{Origin, said},
    talk::{Body, Talk},
    toml,
};
use portcullis_e2e::{
    client::{Client, Conversation, Offer},
    pki::Files,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::path::PathBuf;
use time::{Duration, OffsetDateTime};

/// Switches when asked to, and says everything again in brackets, four bytes at a time.
pub(crate) fn switching() -> Origin {
    Origin::start(|asked, peer| {
        if asked.field("upgrade").is_none() {
            return peer.say(&said(asked.line()));
        }
        peer.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Ok(bytes) = peer.exactly(4) {
            peer.say(&[b"<", &bytes[..], b">"].concat());
        }
        Go::Close
    })
}

/// An authority that takes clients back.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44).expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        Authority { issuer }
    }

    fn client(&self, stage: &Stage, serial: u64) -> Files {
        let key = KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44).expect("a key");
        let mut params = CertificateParams::new(vec![format!("agent-{serial}")]).expect("a name");
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer).expect("an issuer signs");
        let write = |kind: &str, text: &str| stage.pki.write(&format!("agent-{serial}.{kind}"), text);
        Files {
            chain: write("pem", &leaf.pem()),
            key: write("key", &key.serialize_pem()),
            root: write("ca", &self.issuer.pem()),
        }
    }

    /// The file of those that were taken back.
    fn list(&self, stage: &Stage, revoked: &[u64]) -> PathBuf {
        let now = OffsetDateTime::now_utc();
        let each = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: each.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("an issuer signs");
        stage.pki.write("revoked.crl", &list.pem().expect("a list is PEM"))
    }
}

/// A WebSocket of this client, over HTTP/1.1.
fn switched(stage: &Stage, files: &Files) -> Talk<Conversation> {
    let offer = Offer::default().speaking(&["http/1.1"]).presenting(files.clone());
    let mut talk = Talk::tls(Client::new(offer).connect(stage.proxy.address()).expect("a handshake"));
    talk.send("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(talk.answer(Body::Never).expect("an answer").status, 101);
    talk.send("ping");
    assert_eq!(talk.exactly(6).expect("an echo"), b"<ping>");
    talk
}

#[test]
fn an_upgraded_connection_ends_when_its_clients_certificate_is_revoked_and_others_go_on() {
    let stage = Stage::set(switching(), Lines::default());
    let house = Authority::new();
    let (taken, kept) = (house.client(&stage, 13), house.client(&stage, 14));
    let reload = |revoked: &[u64]| {
        let (ca, list) = (&taken.root, house.list(&stage, revoked));
        let site = format!("upstream = 'back'\nclient_auth = {{ mode = 'required', ca = {ca:?}, crl = [{list:?}] }}");
        let lines = Lines {
            site: &site,
            ..Lines::default()
        };
        let text = toml(&stage.pki, stage.origin.address(), lines);
        stage.proxy.reload(&text).expect("a good file");
    };
    reload(&[]);
    let (mut ends, mut stays) = (switched(&stage, &taken), switched(&stage, &kept));
    let at = ends.stream.local().to_string();
    reload(&[13]);
    let ended = ends.stream.read_to_close();
    assert!(ended.is_err(), "it must not look complete: {ended:?}");
    let record = stage.proxy.record_where(|line| line["peer"] == at);
    assert_eq!(
        (&record["outcome"], &record["fault"]),
        (&"refused".into(), &"client".into())
    );
    stays.send("pong");
    assert_eq!(stays.exactly(6).expect("an echo"), b"<pong>");
}
