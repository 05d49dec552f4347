//! A client of HTTP/3 made of quinn and h3.
use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use hyper::{HeaderMap, Method, Request, Response};
use portcullis_e2e::{
    PATIENCE,
    pki::{Algorithm, Holder, credentials},
};
use quinn::{ClientConfig, Connection, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::{
    RootCertStore,
    crypto::{
        CryptoProvider, SupportedKxGroup,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{task::JoinHandle, time::timeout};

/// What a client offers.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) groups: Vec<&'static dyn SupportedKxGroup>,
    /// A certificate to show.
    pub(crate) shows: Option<Algorithm>,
    pub(crate) name: &'static str,
    pub(crate) from: [u8; 4],
    pub(crate) transport: Arc<quinn::TransportConfig>,
}

/// A connection, and the requests on it.
pub(crate) struct Talk {
    pub(crate) endpoint: Endpoint,
    pub(crate) quic: Connection,
    pub(crate) requests: SendRequest<OpenStreams, Bytes>,
    driver: JoinHandle<String>,
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) interims: Vec<Response<()>>,
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

pub(crate) type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

impl Default for Offer {
    fn default() -> Offer {
        Offer {
            groups: aws_lc_rs::default_provider().kx_groups,
            shows: None,
            name: "localhost",
            from: Ipv4Addr::LOCALHOST.octets(),
            transport: Arc::default(),
        }
    }
}

impl Offer {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::client((Ipv4Addr::from(self.from), 0).into()).expect("a free port")
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let provider = CryptoProvider {
            kx_groups: self.groups.clone(),
            ..aws_lc_rs::default_provider()
        };
        let mut roots = RootCertStore::empty();
        for algorithm in Algorithm::ALL {
            let root = credentials(algorithm, Holder::Server).root;
            roots.add_parsable_certificates(certificates(&root));
        }
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a provider of TLS 1.3")
            .with_root_certificates(roots);
        let mut tls = match self.shows {
            None => builder.with_no_client_auth(),
            Some(algorithm) => {
                let own = credentials(algorithm, Holder::Client);
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
                let shown = builder.with_client_auth_cert(certificates(&own.chain), key);
                shown.expect("a key that fits")
            }
        };
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let quic = QuicClientConfig::try_from(tls).expect("TLS 1.3 with AES");
        let mut config = ClientConfig::new(Arc::new(quic));
        config.transport_config(Arc::clone(&self.transport));
        config
    }
}

impl Talk {
    pub(crate) async fn begin(address: SocketAddr) -> Talk {
        Talk::offering(address, &Offer::default()).await.expect("it connects")
    }

    pub(crate) async fn offering(address: SocketAddr, offer: &Offer) -> Result<Talk, String> {
        Talk::as_configured(address, offer, offer.config()).await
    }

    /// With a configuration of the offer that was used before, whose sessions it resumes.
    pub(crate) async fn as_configured(
        address: SocketAddr,
        offer: &Offer,
        config: ClientConfig,
    ) -> Result<Talk, String> {
        let endpoint = offer.endpoint();
        let connecting = endpoint.connect_with(config, address, offer.name);
        let connecting = connecting.expect("a name that is one");
        let connected = timeout(PATIENCE, connecting).await.expect("it ends");
        let quic = connected.map_err(|error| error.to_string())?;
        Talk::over(endpoint, quic).await
    }

    pub(crate) async fn over(endpoint: Endpoint, quic: Connection) -> Result<Talk, String> {
        let made = h3::client::new(h3_quinn::Connection::new(quic.clone())).await;
        let (mut connection, requests) = made.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move { poll_fn(|cx| connection.poll_close(cx)).await.to_string() });
        Ok(Talk {
            endpoint,
            quic,
            requests,
            driver,
        })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.endpoint.local_addr().expect("a bound socket")
    }

    /// A request without a body.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path), b"").await.expect("an answer")
    }

    /// A request with its body, and the answer to it.
    pub(crate) async fn ask(&self, request: Request<()>, body: &[u8]) -> Result<Answer, String> {
        let mut stream = self.send(request).await?;
        for piece in body.chunks(100_003) {
            let piece = Bytes::copy_from_slice(piece);
            if stream.send_data(piece).await.is_err() {
                // it may be answered all the same
                break;
            }
        }
        let _ = stream.finish().await;
        answer(&mut stream).await
    }

    pub(crate) async fn send(&self, request: Request<()>) -> Result<Stream, String> {
        let sent = self.requests.clone().send_request(request).await;
        sent.map_err(|error| error.to_string())
    }

    /// How the connection ended, once it has.
    pub(crate) async fn ended(self) -> String {
        drop(self.requests);
        timeout(PATIENCE, self.driver)
            .await
            .expect("it ends")
            .expect("no panic")
    }
}

/// Groups as OpenSSL writes them, of which this client sends a share of the first; without those that it has not.
pub(crate) fn groups(list: &str) -> Vec<&'static dyn SupportedKxGroup> {
    let known = |name: &str| match name.trim_start_matches('*') {
        "X25519" => Some(kx_group::X25519),
        "P-256" => Some(kx_group::SECP256R1),
        "X25519MLKEM768" => Some(kx_group::X25519MLKEM768),
        "SecP256r1MLKEM768" => Some(kx_group::SECP256R1MLKEM768),
        _ => None,
    };
    list.split(':').filter_map(known).collect()
}

/// For localhost.
pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("https://localhost{path}");
    Request::builder().method(method).uri(uri).body(()).expect("a request")
}

/// What comes of a stream.
pub(crate) async fn answer(stream: &mut Stream) -> Result<Answer, String> {
    let answering = async {
        let mut interims = Vec::new();
        let head = loop {
            let head = stream.recv_response().await.map_err(|error| error.to_string())?;
            match head.status().is_informational() {
                true => interims.push(head),
                false => break head,
            }
        };
        let mut body = Vec::new();
        while let Some(mut piece) = stream.recv_data().await.map_err(|error| error.to_string())? {
            while piece.has_remaining() {
                let chunk = piece.chunk().len();
                body.extend_from_slice(piece.chunk());
                piece.advance(chunk);
            }
        }
        let trailers = stream.recv_trailers().await.map_err(|error| error.to_string())?;
        Ok(Answer {
            interims,
            head,
            body,
            trailers,
        })
    };
    timeout(4 * PATIENCE, answering).await.expect("it ends")
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .headers()
            .get(name)
            .map(|value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let each = CertificateDer::pem_slice_iter(pem.as_bytes());
    each.map(|certificate| certificate.expect("PEM")).collect()
}
