//! Whatever comes behind a real handshake: it never panics, and no plaintext comes out that was not sent, in its order.
//! The input is a row of deeds: a good record, a record of any kind, raw bytes, or a bit that flips in what was made last.
#![no_main]
use libfuzzer_sys::fuzz_target;
use portcullis_tls::{
    identity::Identity,
    profile::Profile,
    records::{Handshake, Records},
    rustls::{
        ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
        SupportedCipherSuite,
        crypto::{
            aws_lc_rs::default_provider,
            cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage},
        },
        pki_types::CertificateDer,
        version::{TLS12, TLS13},
    },
    server::{Server, ServerSpec},
    tickets::{Resumption, Tickets},
};
use portcullis_wire::client_hello::{Progress, from_records};
use std::{
    io::IoSlice,
    sync::{Arc, LazyLock},
    time::Duration,
};

static SERVER: LazyLock<(Server, [Arc<ClientConfig>; 2])> = LazyLock::new(ends);

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut deeds)) = data.split_first() else {
        return;
    };
    let (server, clients) = &*SERVER;
    let (mut forger, mut records) = shake(server, &clients[usize::from(first & 1)]);
    let (mut sent, mut came, mut got) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((deed, rest)) = deeds.split_first() {
        let (length, rest) = rest.split_first().unwrap_or((&0, rest));
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        deeds = rest;
        match deed % 4 {
            0 => {
                sent.extend_from_slice(payload);
                came.extend(forger.record(23, payload));
            }
            1 => {
                let (kind, payload) = payload.split_first().unwrap_or((&21, payload));
                match (kind, forger.is_tls13) {
                    (23, _) => sent.extend_from_slice(payload),
                    // what is padded may be data
                    (0, true) => {
                        let end = payload.iter().rposition(|byte| *byte != 0);
                        if let Some(end) = end.filter(|end| payload[*end] == 23) {
                            sent.extend_from_slice(&payload[..end]);
                        }
                    }
                    _ => {}
                }
                came.extend(forger.record(*kind, payload));
            }
            2 => came.extend_from_slice(payload),
            _ => {
                if let Some(byte) = came.last_mut() {
                    *byte ^= 1 << (length % 8);
                }
            }
        }
        if deed & 4 == 0 && !opens(&mut records, &mut came, &mut got) {
            break;
        }
        records.seal(&[IoSlice::new(payload)]);
    }
    opens(&mut records, &mut came, &mut got);
    assert!(sent.starts_with(&got), "{got:?} of {sent:?}");
    let mut said = Vec::new();
    while records.wants_write() && records.write_to(&mut said).is_ok() {}
});

/// Opens what came and keeps what is left over.
fn opens(records: &mut Records, came: &mut Vec<u8>, got: &mut Vec<u8>) -> bool {
    let length = came.len();
    match records.open(came, length) {
        Ok(opened) => {
            assert!(opened.filled <= opened.rest && opened.rest <= length);
            assert!(opened.rest == length || opened.lacks > 0);
            got.extend_from_slice(&came[..opened.filled]);
            came.drain(..opened.rest);
            true
        }
        Err(error) => {
            assert_eq!(records.open(came, length), Err(error));
            false
        }
    }
}

/// The keys of a client.
struct Forger {
    encrypter: Box<dyn MessageEncrypter>,
    sealed: u64,
    is_tls13: bool,
}

impl Forger {
    fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: ContentType::from(kind),
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.encrypter.encrypt(message, self.sealed).unwrap().encode();
        self.sealed += 1;
        sealed
    }
}

fn ends() -> (Server, [Arc<ClientConfig>; 2]) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes());
    let spec = ServerSpec {
        context: "fuzz".to_owned(),
        settings: Profile::Default.settings(&Default::default()).unwrap(),
        policy: Profile::Default.policy().into(),
        identities: vec![Arc::new(identity.unwrap())],
        client_auth: None,
        alpn: Vec::new(),
        resumption: Resumption::living(Duration::ZERO),
        key_log: None,
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
    let clients = [&TLS13, &TLS12].map(|version| {
        let mut provider = default_provider();
        // X25519 alone: the fastest
        provider.kx_groups.retain(|group| u16::from(group.name()) == 0x001d);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
        config.enable_secret_extraction = true;
        Arc::new(config)
    });
    (Server::build(spec, &Tickets::new()).unwrap(), clients)
}

fn shake(server: &Server, client: &Arc<ClientConfig>) -> (Forger, Records) {
    let mut client = ClientConnection::new(Arc::clone(client), "localhost".try_into().unwrap()).unwrap();
    let mut up = outgoing(&mut client);
    let Ok(Progress::Complete(hello)) = from_records(&up) else {
        panic!("rustls sends a whole hello")
    };
    let choice = server.choose(&hello).unwrap();
    let mut handshake = Handshake::new(&choice.config).unwrap();
    while !up.is_empty() {
        handshake.take(&up).unwrap();
        let mut down = handshake.outgoing();
        while !down.is_empty() {
            client.read_tls(&mut down).unwrap();
            client.process_new_packets().unwrap();
        }
        handshake.written(handshake.outgoing().len());
        up = outgoing(&mut client);
    }
    let (records, behind) = handshake.finish().unwrap();
    assert!(behind.is_empty());
    (forger(client), records)
}

fn outgoing(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn forger(client: ClientConnection) -> Forger {
    let suite = client.negotiated_cipher_suite().unwrap();
    let (sealed, secrets) = client.dangerous_extract_secrets().unwrap().tx;
    let (key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } | ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (key, iv),
        _ => panic!("GCM is what both like best"),
    };
    let is_tls13 = matches!(suite, SupportedCipherSuite::Tls13(_));
    let encrypter = match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let (fixed, explicit) = iv.as_ref().split_at(4);
            suite.aead_alg.encrypter(key, fixed, explicit)
        }
    };
    let mut forger = Forger {
        encrypter,
        sealed: 0,
        is_tls13,
    };
    while forger.sealed < sealed {
        // AWS-LC wants to see the numbers that the handshake has used
        forger.record(23, b"");
    }
    forger
}
