//! Certificate compression (RFC 8879): chains are compressed when a server is built, never in a handshake.
//!
//! rustls keeps compressed certificate messages, but makes them in the handshake that first wants one. So that
//! handshake takes place here, in memory, and the compressors of real connections only find what it left.
use crate::provider;
use portcullis_wire::{CipherId, GroupId, registry::Cipher};
use rustls::{
    CertificateCompressionAlgorithm, ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig,
    ServerConnection, SignatureAlgorithm, SignatureScheme,
    compress::{
        BROTLI_COMPRESSOR, BROTLI_DECOMPRESSOR, CertCompressor, CertDecompressor, CompressionCache, CompressionFailed,
        CompressionLevel, ZLIB_COMPRESSOR, ZLIB_DECOMPRESSOR,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName},
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
};
use std::{
    io,
    sync::{Arc, OnceLock},
};

/// How a certificate message may be compressed, the most saving first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CertificateCompression {
    /// What browsers offer.
    Brotli,
    /// What OpenSSL and GnuTLS offer.
    Zlib,
}

impl CertificateCompression {
    /// All that this build has, in our order.
    pub fn all() -> &'static [CertificateCompression] {
        &[CertificateCompression::Brotli, CertificateCompression::Zlib]
    }

    /// Its name in IANA's registry.
    pub fn as_str(self) -> &'static str {
        match self {
            CertificateCompression::Brotli => "brotli",
            CertificateCompression::Zlib => "zlib",
        }
    }

    pub(crate) fn decompressor(self) -> &'static dyn CertDecompressor {
        match self {
            CertificateCompression::Brotli => BROTLI_DECOMPRESSOR,
            CertificateCompression::Zlib => ZLIB_DECOMPRESSOR,
        }
    }

    fn compressor(self) -> &'static dyn CertCompressor {
        match self {
            CertificateCompression::Brotli => BROTLI_COMPRESSOR,
            CertificateCompression::Zlib => ZLIB_COMPRESSOR,
        }
    }

    fn maker(self) -> &'static dyn CertCompressor {
        match self {
            CertificateCompression::Brotli => &Maker(CertificateCompression::Brotli),
            CertificateCompression::Zlib => &Maker(CertificateCompression::Zlib),
        }
    }

    fn finder(self) -> &'static dyn CertCompressor {
        match self {
            CertificateCompression::Brotli => &Finder(CertificateCompression::Brotli),
            CertificateCompression::Zlib => &Finder(CertificateCompression::Zlib),
        }
    }
}

/// What decompresses the chains of peers. rustls bounds them: 64 KiB, by what a message says of itself.
pub(crate) fn decompressors(of: &[CertificateCompression]) -> Vec<&'static dyn CertDecompressor> {
    of.iter().map(|one| one.decompressor()).collect()
}

/// The compressed forms of one chain, made when they are first asked for.
#[derive(Default)]
pub(crate) struct Compressed(OnceLock<Forms>);

/// What a configuration takes: where the forms are kept, and what finds them there.
pub(crate) struct Forms {
    pub(crate) cache: Arc<CompressionCache>,
    /// Only those that make the chain smaller.
    pub(crate) finders: Vec<&'static dyn CertCompressor>,
}

impl Compressed {
    /// Compresses the chain unless that is done: about a millisecond, not for a data core.
    pub(crate) fn forms(&self, chain: &[CertificateDer<'static>]) -> &Forms {
        self.0.get_or_init(|| Forms::of(chain))
    }
}

impl Forms {
    fn of(chain: &[CertificateDer<'static>]) -> Forms {
        let all = CertificateCompression::all();
        let cache = Arc::new(CompressionCache::new(all.len()));
        let rehearsal = Rehearsal::new(chain, &cache);
        let saves = |one: &&CertificateCompression| {
            let plain = rehearsal.flight(None).ok()?;
            let compressed = rehearsal.flight(Some(**one)).ok()?;
            Some(compressed < plain)
        };
        let saving = all.iter().filter(|one| saves(one).unwrap_or_default());
        let finders = saving.map(|one| one.finder()).collect();
        Forms { cache, finders }
    }
}

/// Compresses at a level that takes 0.2 ms. The highest would take brotli 15 ms for an ML-DSA chain, to save another
/// 0.6 % of it, and a reload waits for the chains of all sites.
#[derive(Debug)]
struct Maker(CertificateCompression);

impl CertCompressor for Maker {
    fn compress(&self, input: Vec<u8>, _level: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        self.0.compressor().compress(input, CompressionLevel::Interactive)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        self.0.compressor().algorithm()
    }
}

/// Takes the place of a compressor on real connections: rustls asks it only for what it did not find, and sends the
/// chain as it is when that fails.
#[derive(Debug)]
struct Finder(CertificateCompression);

impl CertCompressor for Finder {
    fn compress(&self, _input: Vec<u8>, _level: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        Err(CompressionFailed)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        self.0.compressor().algorithm()
    }
}

/// X25519: the group makes no difference here.
const CHEAPEST: GroupId = GroupId(0x001d);

/// Handshakes in memory, up to the server's flight. They need no key: nobody verifies them.
struct Rehearsal<'a> {
    provider: Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
    cache: &'a Arc<CompressionCache>,
}

impl Rehearsal<'_> {
    fn new<'a>(chain: &[CertificateDer<'static>], cache: &'a Arc<CompressionCache>) -> Rehearsal<'a> {
        let ciphers: Vec<CipherId> = Cipher::all().iter().map(|cipher| cipher.id).collect();
        Rehearsal {
            provider: provider::provider(&[CHEAPEST], &ciphers),
            certified: Arc::new(CertifiedKey::new(chain.to_vec(), Arc::new(NoKey))),
            cache,
        }
    }

    /// Bytes of the flight; what was compressed for it stays in the cache.
    fn flight(&self, compression: Option<CertificateCompression>) -> Result<usize, Error> {
        answer(&Arc::new(self.server(compression)?), &self.hello(compression)?)
    }

    fn server(&self, compression: Option<CertificateCompression>) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
        let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)));
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.cert_compressors = compression.iter().map(|one| one.maker()).collect();
        config.cert_compression_cache = Arc::clone(self.cache);
        Ok(config)
    }

    fn hello(&self, compression: Option<CertificateCompression>) -> Result<Vec<u8>, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = builder.with_root_certificates(RootCertStore::empty());
        let mut config = builder.with_no_client_auth();
        config.cert_decompressors = compression.iter().map(|one| one.decompressor()).collect();
        let name = ServerName::try_from("rehearsal.invalid").map_err(|error| Error::General(error.to_string()))?;
        let mut client = ClientConnection::new(Arc::new(config), name)?;
        let mut hello = Vec::new();
        client.write_tls(&mut hello).map_err(general)?;
        Ok(hello)
    }
}

/// Bytes, record headers included, that a server sends in answer to a hello.
pub(crate) fn answer(config: &Arc<ServerConfig>, mut hello: &[u8]) -> Result<usize, Error> {
    let mut server = ServerConnection::new(Arc::clone(config))?;
    while !hello.is_empty() {
        server.read_tls(&mut hello).map_err(general)?;
        server.process_new_packets()?;
    }
    let mut sent = 0;
    while server.wants_write() {
        sent += server.write_tls(&mut io::sink()).map_err(general)?;
    }
    Ok(sent)
}

fn general(error: io::Error) -> Error {
    Error::General(error.to_string())
}

/// Signs with nothing, so that the sizes of two flights differ by their chains alone.
#[derive(Debug)]
struct NoKey;

impl SigningKey for NoKey {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(NoKey))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for NoKey {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(bytes: Vec<u8>) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(bytes)]
    }

    #[test]
    fn only_forms_that_save_are_used() {
        assert_eq!(Forms::of(&chain(vec![7; 500])).finders.len(), 2);
        // a hash of a counter does not compress
        let noise = (0..20u8).flat_map(|count| provider::sha256(&[count])).collect();
        assert!(Forms::of(&chain(noise)).finders.is_empty());
    }

    #[test]
    fn a_handshake_finds_what_was_made_and_makes_nothing() {
        let one = chain(vec![7; 500]);
        let forms = Forms::of(&one);
        let flight = |cache: &Arc<CompressionCache>, finder| {
            let rehearsal = Rehearsal::new(&one, cache);
            let mut config = rehearsal.server(None).unwrap();
            config.cert_compressors = vec![finder];
            let hello = rehearsal.hello(Some(CertificateCompression::Brotli)).unwrap();
            answer(&Arc::new(config), &hello).unwrap()
        };
        let brotli = forms.finders[0];
        let empty = Arc::new(CompressionCache::new(2));
        let (found, missed) = (flight(&forms.cache, brotli), flight(&empty, brotli));
        assert!(found + 400 < missed, "{found} {missed}");
        assert_eq!(flight(&empty, brotli), missed, "nothing was left behind");
    }
}
