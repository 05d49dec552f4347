//! A client of which only the handshake is rustls': afterwards it has the keys, and seals what no client would.
use crate::lab::{Ca, P256, RSA, feed, outgoing, read, server, server_params, settings, spec};
use portcullis_tls::{
    negotiated::Version,
    profile::{Overrides, Profile},
    records::{Handshake, Records},
    rustls::{
        self, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
        SupportedCipherSuite,
        crypto::{
            aws_lc_rs::default_provider,
            cipher::{
                AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
                OutboundPlainMessage,
            },
        },
    },
    server::{Server, ServerSpec},
};
use portcullis_wire::registry::Cipher;
use std::{io::Write, sync::Arc};

/// Content types by their numbers.
pub(crate) const CCS: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const DATA: u8 = 23;

/// Both ends of a handshake.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) records: Records,
    /// What came behind the handshake.
    pub(crate) behind: Vec<u8>,
}

/// The client's keys, and what they sealed and opened.
pub(crate) struct Forger {
    suite: SupportedCipherSuite,
    encrypter: Box<dyn MessageEncrypter>,
    decrypter: Box<dyn MessageDecrypter>,
    sealed: u64,
    opened: u64,
}

/// A server and a client of one suite.
pub(crate) type Ends = (Server, Arc<ClientConfig>);

/// Both, made anew.
pub(crate) fn ends(suite: &Cipher) -> Ends {
    let version = if suite.tls13 { Version::Tls13 } else { Version::Tls12 };
    let overrides = Overrides {
        versions: Some(vec![version]),
        ciphers: Some(vec![suite.id]),
        ..Overrides::default()
    };
    let algorithm = if suite.name.contains("RSA") { &RSA } else { &P256 };
    let ca = Ca::new(algorithm, "root");
    let identity = ca.issue(algorithm, server_params()).identity();
    let server = server(ServerSpec {
        settings: settings(Profile::Default, &overrides),
        ..spec(&[&identity])
    });
    let mut roots = RootCertStore::empty();
    roots.add(ca.der()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.enable_secret_extraction = true;
    (server, Arc::new(config))
}

/// A handshake as the proxy drives it, with `ahead` sent by the client with its last flight.
pub(crate) fn pair((server, config): &Ends, ahead: &[u8]) -> Pair {
    let mut client = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    let mut up = outgoing(&mut client);
    let hello = read(&up);
    let choice = server.choose(&hello).unwrap();
    let mut handshake = Handshake::new(&choice.config).unwrap();
    while !up.is_empty() {
        handshake.take(&up).unwrap();
        let down = handshake.outgoing().to_vec();
        handshake.written(down.len());
        feed(&mut client, &down).unwrap();
        if !client.is_handshaking() && !ahead.is_empty() && !handshake.is_over() {
            client.writer().write_all(ahead).unwrap();
        }
        up = outgoing(&mut client);
    }
    server.negotiated_by_hand(&hello, &choice, &handshake).unwrap();
    let (records, behind) = handshake.finish().unwrap();
    Pair {
        client,
        records,
        behind,
    }
}

impl Pair {
    /// Takes the keys of the client away.
    pub(crate) fn forge(self) -> (Forger, Records) {
        let suite = self.client.negotiated_cipher_suite().unwrap();
        let secrets = self.client.dangerous_extract_secrets().unwrap();
        let mut forger = Forger {
            suite,
            encrypter: encrypter(suite, secrets.tx.1),
            decrypter: decrypter(suite, secrets.rx.1),
            sealed: 0,
            opened: secrets.rx.0,
        };
        while forger.sealed < secrets.tx.0 {
            // the handshake has sent these: AWS-LC wants to see numbers from zero on
            forger.record(DATA, b"");
        }
        (forger, self.records)
    }
}

impl Forger {
    /// A record of any kind and length.
    pub(crate) fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: ContentType::from(kind),
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.encrypter.encrypt(message, self.sealed).unwrap().encode();
        self.sealed += 1;
        sealed
    }

    /// In TLS 1.3: content, its kind and zeros behind it.
    pub(crate) fn padded(&mut self, kind: u8, payload: &[u8], zeros: usize) -> Vec<u8> {
        let inner = [payload, &[kind], &vec![0; zeros - 1]].concat();
        self.record(0, &inner)
    }

    /// The server's records, each with its kind.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while let [kind, major, minor, high, low, rest @ ..] = bytes {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let version = ProtocolVersion::from(u16::from_be_bytes([*major, *minor]));
            let mut body = rest[..length].to_vec();
            let message = InboundOpaqueMessage::new(ContentType::from(*kind), version, &mut body);
            let plain = self.decrypter.decrypt(message, self.opened).unwrap();
            self.opened += 1;
            all.push((plain.typ.into(), plain.payload.to_vec()));
            bytes = &rest[length..];
        }
        assert!(bytes.is_empty(), "whole records");
        all
    }

    pub(crate) fn is_tls13(&self) -> bool {
        matches!(self.suite, SupportedCipherSuite::Tls13(_))
    }
}

type Parts = (AeadKey, Iv, usize);

fn parts(secrets: ConnectionTrafficSecrets) -> Parts {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } | ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
            (key, iv, 4)
        }
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv, 12),
        _ => panic!("another cipher"),
    }
}

fn encrypter(suite: SupportedCipherSuite, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageEncrypter> {
    let (key, iv, fixed) = parts(secrets);
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let (fixed, explicit) = iv.as_ref().split_at(fixed);
            suite.aead_alg.encrypter(key, fixed, explicit)
        }
    }
}

fn decrypter(suite: SupportedCipherSuite, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageDecrypter> {
    let (key, iv, fixed) = parts(secrets);
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.decrypter(key, &iv.as_ref()[..fixed]),
    }
}

/// What a server has to say.
pub(crate) fn said(records: &mut Records) -> Vec<u8> {
    let mut bytes = Vec::new();
    while records.wants_write() {
        records.write_to(&mut bytes).unwrap();
    }
    bytes
}

/// Opens bytes that came in one read; what is left over must be nothing.
pub(crate) fn open(records: &mut Records, bytes: &[u8]) -> Result<Vec<u8>, rustls::Error> {
    let mut buffer = bytes.to_vec();
    let opened = records.open(&mut buffer, bytes.len())?;
    assert_eq!(opened.rest, bytes.len());
    buffer.truncate(opened.filled);
    Ok(buffer)
}

/// Opens bytes that come in pieces of such lengths, as a socket's owner does.
pub(crate) fn open_in_pieces(
    records: &mut Records,
    mut bytes: &[u8],
    mut lengths: impl Iterator<Item = usize>,
) -> Result<Vec<u8>, rustls::Error> {
    let (mut plain, mut spill, mut lacks) = (Vec::new(), Vec::new(), 0);
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(lengths.next().unwrap().min(bytes.len()));
        bytes = rest;
        spill.extend_from_slice(piece);
        if piece.len() < lacks {
            lacks -= piece.len();
            continue;
        }
        let came = spill.len();
        let opened = records.open(&mut spill, came)?;
        plain.extend_from_slice(&spill[..opened.filled]);
        spill.drain(..opened.rest);
        lacks = opened.lacks;
    }
    Ok(plain)
}

/// So many records.
pub(crate) fn times(count: usize, mut forge: impl FnMut() -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|_| forge()).collect()
}
