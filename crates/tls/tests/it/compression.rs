//! Certificate compression (RFC 8879), both ways.
use crate::lab::{
    Algorithm, Ca, ML_DSA_65, P256, RSA, Unfinished, client_params, connect, group, offer, server, server_params,
    settings, shake, spec,
};
use portcullis_tls::{
    client::ClientSpec,
    compression::CertificateCompression,
    failure::{Fault, blame},
    identity::Identity,
    profile::{Overrides, Profile},
    rustls::{
        CertificateCompressionAlgorithm, ClientConfig, ClientConnection, Error, InvalidMessage, PeerMisbehaved,
        RootCertStore,
        compress::{
            BROTLI_COMPRESSOR, BROTLI_DECOMPRESSOR, CertCompressor, CertDecompressor, CompressionFailed,
            CompressionLevel, DecompressionFailed, ZLIB_COMPRESSOR, ZLIB_DECOMPRESSOR,
        },
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
    server::{ClientAuth, ClientAuthMode, Server, ServerSpec},
};
use portcullis_wire::alert::Alert;
use std::sync::{Arc, Mutex};

const BAD_CERTIFICATE: Alert = Alert(42);

/// Decompresses, and keeps what came and what it was.
#[derive(Debug)]
struct Witness {
    inner: &'static dyn CertDecompressor,
    seen: Mutex<Vec<(usize, Vec<u8>)>>,
}

impl Witness {
    /// It lives as long as the test's process, since rustls wants it so.
    fn of(inner: &'static dyn CertDecompressor) -> &'static Witness {
        Box::leak(Box::new(Witness {
            inner,
            seen: Mutex::default(),
        }))
    }

    fn seen(&self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl CertDecompressor for Witness {
    fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<(), DecompressionFailed> {
        self.inner.decompress(input, output)?;
        self.seen.lock().unwrap().push((input.len(), output.to_vec()));
        Ok(())
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        self.inner.algorithm()
    }
}

/// What a client does to its chain's message before it sends it.
#[derive(Debug)]
struct Compressor {
    inner: &'static dyn CertCompressor,
    change: fn(Vec<u8>) -> Vec<u8>,
    seen: Mutex<usize>,
}

impl Compressor {
    fn of(inner: &'static dyn CertCompressor, change: fn(Vec<u8>) -> Vec<u8>) -> &'static Compressor {
        Box::leak(Box::new(Compressor {
            inner,
            change,
            seen: Mutex::default(),
        }))
    }
}

impl CertCompressor for Compressor {
    fn compress(&self, input: Vec<u8>, level: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        *self.seen.lock().unwrap() += 1;
        self.inner.compress((self.change)(input), level)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        self.inner.algorithm()
    }
}

/// A chain of two with its root.
fn chain_of_two(algorithm: Algorithm) -> (Ca, Arc<Identity>) {
    let root = Ca::new(algorithm, "root");
    let intermediate = root.intermediate(algorithm, "intermediate");
    let mut pair = intermediate.issue(algorithm, server_params());
    pair.chain.push_str(&intermediate.pem());
    (root, pair.identity())
}

/// RFC 8446 4.4.2: an empty context, and a list of certificates, each with its extensions.
fn message(chain: &[CertificateDer<'_>]) -> Vec<u8> {
    let u24 = |len: usize| u32::try_from(len).unwrap().to_be_bytes()[1..].to_vec();
    let each = chain.iter().map(|der| [&u24(der.len()), &der[..], &[0, 0]].concat());
    let list = each.collect::<Vec<_>>().concat();
    [&[0], &u24(list.len())[..], &list].concat()
}

/// A client of this root, as the library makes it, with other compressions.
fn client(root: &Ca, change: impl FnOnce(&mut ClientConfig)) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(root.der()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    change(&mut config);
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

fn without_compression() -> Overrides {
    Overrides {
        certificate_compression: Some(false),
        ..Overrides::default()
    }
}

const BOTH: [(CertificateCompression, &dyn CertDecompressor); 2] = [
    (CertificateCompression::Brotli, BROTLI_DECOMPRESSOR),
    (CertificateCompression::Zlib, ZLIB_DECOMPRESSOR),
];

#[test]
fn a_chain_is_sent_compressed_to_clients_that_offer_it() {
    for algorithm in [&P256, &RSA, &ML_DSA_65] {
        let (root, identity) = chain_of_two(algorithm);
        let server = server(spec(&[&identity]));
        let whole = message(identity.chain_der());
        for (compression, decompressor) in BOTH {
            let witness = Witness::of(decompressor);
            // twice: nothing is used up
            for _ in 0..2 {
                let mut tls = client(&root, |config| config.cert_decompressors = vec![witness]);
                shake(&server, &mut tls).unwrap();
                let seen = witness.seen();
                let [(sent, message)] = &seen[..] else {
                    panic!("{compression:?} {}", seen.len())
                };
                assert_eq!(*message, whole, "{compression:?}");
                assert!(*sent < whole.len(), "{compression:?}: {sent}");
                assert_eq!(tls.peer_certificates().unwrap(), identity.chain_der());
            }
        }
    }
}

#[test]
fn brotli_is_taken_first_and_a_client_that_offers_nothing_gets_the_chain_as_it_is() {
    let (root, identity) = chain_of_two(&P256);
    let server = server(spec(&[&identity]));
    let (brotli, zlib) = (Witness::of(BROTLI_DECOMPRESSOR), Witness::of(ZLIB_DECOMPRESSOR));
    let mut tls = client(&root, |config| config.cert_decompressors = vec![zlib, brotli]);
    shake(&server, &mut tls).unwrap();
    assert_eq!((brotli.seen().len(), zlib.seen().len()), (1, 0));
    let mut tls = client(&root, |config| config.cert_decompressors = Vec::new());
    shake(&server, &mut tls).unwrap();
    assert_eq!(tls.peer_certificates().unwrap(), identity.chain_der());
}

#[test]
fn compression_can_be_turned_off() {
    let (root, identity) = chain_of_two(&P256);
    let clients = Ca::new(&P256, "clients");
    let server = server(ServerSpec {
        settings: settings(Profile::Default, &without_compression()),
        client_auth: Some(ClientAuth::new(ClientAuthMode::Required, vec![clients.der()])),
        ..spec(&[&identity])
    });
    let (theirs, ours) = (
        Witness::of(BROTLI_DECOMPRESSOR),
        Compressor::of(BROTLI_COMPRESSOR, |same| same),
    );
    let mut tls = client(&root, |config| config.cert_decompressors = vec![theirs]);
    let pair = clients.issue(&P256, client_params());
    let mut shown = showing(&root, (&pair.chain, &pair.key), ours);
    shake(&server, &mut shown).unwrap();
    assert_eq!(*ours.seen.lock().unwrap(), 0, "the server asked for no compression");
    // it shows no certificate and is refused, after it has read the server's
    assert!(shake(&server, &mut tls).is_err());
    assert!(theirs.seen().is_empty());
    let sizes = BOTH.map(|(one, _)| server.compressed_flight_len(0, (group("X25519"), one)));
    assert_eq!(sizes, [None, None]);
}

#[test]
fn a_flight_is_measured_with_and_without_compression() {
    for algorithm in [&P256, &RSA, &ML_DSA_65] {
        let (_, identity) = chain_of_two(algorithm);
        let server = server(spec(&[&identity]));
        for name in ["X25519MLKEM768", "X25519"] {
            let plain = server.flight_len(0, group(name)).unwrap();
            for one in CertificateCompression::all() {
                let compressed = server.compressed_flight_len(0, (group(name), *one)).unwrap();
                assert!(compressed < plain, "{one:?} {name}: {compressed} of {plain}");
            }
        }
    }
}

/// A client that shows this chain, compressed by this one where the server takes it.
fn showing(root: &Ca, (chain, key): (&str, &str), compressor: &'static dyn CertCompressor) -> ClientConnection {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = builder.with_client_auth_cert(chain.unwrap(), key).unwrap();
    config.cert_compressors = vec![compressor];
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

/// A server that asks for certificates of an authority, with that authority.
fn asking() -> (Ca, Ca, Server) {
    let (root, identity) = chain_of_two(&P256);
    let clients = Ca::new(&P256, "clients");
    let server = server(ServerSpec {
        client_auth: Some(ClientAuth::new(ClientAuthMode::Required, vec![clients.der()])),
        ..spec(&[&identity])
    });
    (root, clients, server)
}

#[test]
fn a_clients_chain_may_come_compressed() {
    let (root, clients, server) = asking();
    for inner in [BROTLI_COMPRESSOR, ZLIB_COMPRESSOR] {
        let compressor = Compressor::of(inner, |same| same);
        let pair = clients.issue(&P256, client_params());
        let done = shake(&server, &mut showing(&root, (&pair.chain, &pair.key), compressor)).unwrap();
        assert_eq!(*compressor.seen.lock().unwrap(), 1, "{inner:?}");
        let names = done.facts.client.unwrap();
        assert!(names.subject.contains("agent-7"), "{}", names.subject);
    }
}

#[test]
fn our_own_client_compresses_its_chain_beforehand() {
    let (_, clients, server) = asking();
    let agent = clients.issue(&P256, client_params()).identity();
    let sent = |server: &Server| {
        let mut client = connect(ClientSpec {
            identity: Some(Arc::clone(&agent)),
            ..offer()
        });
        shake(server, &mut client.tls).unwrap();
        client.tls.peer_certificates().unwrap().len()
    };
    assert_eq!(sent(&server), 2);
}

#[test]
fn a_compressed_chain_that_lies_about_itself_is_refused() {
    let (root, clients, server) = asking();
    let longer = |message: Vec<u8>| [message, vec![0; 1 << 20]].concat();
    let shorter = |message: Vec<u8>| message[..message.len() - 1].to_vec();
    let other = |message: Vec<u8>| vec![0xff; message.len()];
    let lies: [fn(Vec<u8>) -> Vec<u8>; 3] = [longer, shorter, other];
    for inner in [BROTLI_COMPRESSOR, ZLIB_COMPRESSOR] {
        for (index, lie) in lies.into_iter().enumerate() {
            let pair = clients.issue(&P256, client_params());
            let mut tls = showing(&root, (&pair.chain, &pair.key), Compressor::of(inner, lie));
            let error = refused(shake(&server, &mut tls).map(drop));
            let foreseen = match index {
                2 => matches!(error, Error::InvalidMessage(_)),
                _ => error == PeerMisbehaved::InvalidCertCompression.into(),
            };
            assert!(foreseen, "{inner:?} {index}: {error:?}");
        }
    }
}

#[test]
fn a_chain_beyond_64_kib_is_refused_before_it_is_decompressed() {
    let (root, clients, server) = asking();
    let mut pair = clients.issue(&P256, client_params());
    let leaf = pair.chain.clone();
    // PEM has more than a third more characters than bytes, and less than twice as many
    let many = (1 << 16) * 2 / leaf.len();
    pair.chain.push_str(&leaf.repeat(many));
    for inner in [BROTLI_COMPRESSOR, ZLIB_COMPRESSOR] {
        let compressor = Compressor::of(inner, |same| same);
        let mut tls = showing(&root, (&pair.chain, &pair.key), compressor);
        let error = refused(shake(&server, &mut tls).map(drop));
        assert_eq!(error, InvalidMessage::MessageTooLarge.into(), "{inner:?}");
        assert_eq!(*compressor.seen.lock().unwrap(), 1, "it came compressed");
    }
}

/// The client reads the alert of RFC 8879 section 4, and is to blame.
fn refused(came: Result<(), Unfinished>) -> Error {
    match came {
        Err(Unfinished::Server(error, alert)) => {
            let (blamed, expected) = (blame(&error), Some(BAD_CERTIFICATE));
            assert_eq!((blamed.fault, alert), (Fault::Client, expected), "{error}");
            // what cannot be read has another alert in most messages
            if !matches!(error, Error::InvalidMessage(_)) {
                assert_eq!(blamed.alert_out, expected, "{error}");
            }
            error
        }
        other => panic!("{other:?}"),
    }
}
