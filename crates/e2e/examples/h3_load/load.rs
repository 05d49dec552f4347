//! The load, and what it cost the server.
use crate::{Outcome, body::Known};
use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use hyper::{Method, Request, StatusCode};
use quinn::{ClientConfig, Connection, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::{
    RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{
    fmt, fs,
    future::poll_fn,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Handshakes or requests under way at once.
const AT_ONCE: usize = 32;
const SMALL: usize = 100;

/// A server, and how to ask it.
pub(crate) struct Load {
    address: SocketAddr,
    endpoint: Endpoint,
    /// Its process ids.
    server: Vec<u32>,
}

/// What a load cost.
pub(crate) struct Cost {
    kind: Kind,
    count: usize,
    cpu: Duration,
    took: Duration,
}

#[derive(Clone, Copy)]
enum Kind {
    Handshakes,
    Requests,
    Down,
    Up,
}

impl Load {
    pub(crate) fn new(address: SocketAddr, root: &str, server: &str) -> Outcome<Load> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(root)? {
            roots.add(root?)?;
        }
        let provider = CryptoProvider {
            kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
            ..aws_lc_rs::default_provider()
        };
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        tls.resumption = Resumption::disabled();
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)));
        let server = server.split(',').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Load {
            address,
            endpoint,
            server,
        })
    }

    /// Puts so many handshakes, requests or bytes on the server.
    pub(crate) async fn run(&self, kind: &str, count: usize) -> Outcome<Cost> {
        let kind = Kind::named(kind)?;
        let (cpu, began) = (self.cpu()?, Instant::now());
        match kind {
            Kind::Handshakes => self.handshakes(count).await?,
            Kind::Requests => self.requests(count).await?,
            Kind::Down => self.down(count).await?,
            Kind::Up => self.up(count).await?,
        }
        let took = began.elapsed();
        Ok(Cost {
            kind,
            count,
            cpu: self.cpu()? - cpu,
            took,
        })
    }

    async fn handshakes(&self, count: usize) -> Outcome {
        let mut under_way = JoinSet::new();
        for _ in 0..count {
            if under_way.len() == AT_ONCE {
                under_way.join_next().await.ok_or("none under way")???;
            }
            let connecting = self.endpoint.connect(self.address, "localhost")?;
            under_way.spawn(async {
                let connection = connecting.await?;
                connection.close(h3::error::Code::H3_NO_ERROR.value().try_into()?, b"");
                Outcome::Ok(())
            });
        }
        while let Some(ended) = under_way.join_next().await {
            ended??;
        }
        self.endpoint.wait_idle().await;
        Ok(())
    }

    async fn requests(&self, count: usize) -> Outcome {
        let (_connection, requests) = self.connect().await?;
        let mut askers = JoinSet::new();
        for asker in 0..AT_ONCE {
            let requests = requests.clone();
            let own = (count + asker) / AT_ONCE;
            askers.spawn(async move {
                let mut known = Known::new();
                for _ in 0..own {
                    let mut stream = ask(&requests, Method::GET, (SMALL, 0)).await?;
                    stream.finish().await?;
                    known = answer(&mut stream, known.again()).await?;
                    known.ended_at(SMALL)?;
                }
                Outcome::Ok(())
            });
        }
        while let Some(ended) = askers.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn down(&self, length: usize) -> Outcome {
        let (_connection, requests) = self.connect().await?;
        let mut stream = ask(&requests, Method::GET, (length, 0)).await?;
        stream.finish().await?;
        answer(&mut stream, Known::new()).await?.ended_at(length)
    }

    async fn up(&self, length: usize) -> Outcome {
        let (_connection, requests) = self.connect().await?;
        let mut stream = ask(&requests, Method::POST, (0, length)).await?;
        let mut known = Known::new();
        while let Some(piece) = known.next_of(length) {
            stream.send_data(piece).await?;
        }
        stream.finish().await?;
        let head = stream.recv_response().await?;
        let mut said = Vec::new();
        while let Some(mut data) = stream.recv_data().await? {
            said.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        match head.status() == StatusCode::OK && said == length.to_string().as_bytes() {
            true => Ok(()),
            false => Err(format!("{}: {}", head.status(), String::from_utf8_lossy(&said)).into()),
        }
    }

    async fn connect(&self) -> Outcome<(Connection, SendRequest<OpenStreams, Bytes>)> {
        let quic = self.endpoint.connect(self.address, "localhost")?.await?;
        let connection = h3_quinn::Connection::new(quic.clone());
        let (mut h3, requests) = h3::client::builder().send_grease(false).build(connection).await?;
        tokio::spawn(async move { poll_fn(|cx| h3.poll_close(cx)).await });
        Ok((quic, requests))
    }

    /// User and system time of the server so far (proc_pid_stat(5): fields 14 and 15, in ticks).
    fn cpu(&self) -> Outcome<Duration> {
        let mut ticks = 0;
        for process in &self.server {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            let (_, behind_name) = stat.rsplit_once(')').ok_or("no name")?;
            for field in behind_name.split_ascii_whitespace().skip(11).take(2) {
                ticks += field.parse::<u64>()?;
            }
        }
        Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }
}

impl Kind {
    fn named(name: &str) -> Outcome<Kind> {
        match name {
            "handshakes" => Ok(Kind::Handshakes),
            "requests" => Ok(Kind::Requests),
            "down" => Ok(Kind::Down),
            "up" => Ok(Kind::Up),
            _ => Err("handshakes, requests, down or up".into()),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpu, count) = (self.cpu.as_secs_f64(), self.count as f64);
        match self.kind {
            Kind::Handshakes => write!(f, "{:.0} handshakes per CPU second", count / cpu)?,
            Kind::Requests => write!(f, "{:.1} us of CPU per request", cpu / count * 1e6)?,
            Kind::Down => write!(f, "{:.2} s of CPU per GB down", cpu / count * 1e9)?,
            Kind::Up => write!(f, "{:.2} s of CPU per GB up", cpu / count * 1e9)?,
        }
        write!(f, " ({cpu:.2} s of {:.2} s)", self.took.as_secs_f64())
    }
}

type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// Asks for so many bytes, and tells how many are to follow.
async fn ask(
    requests: &SendRequest<OpenStreams, Bytes>,
    method: Method,
    (down, up): (usize, usize),
) -> Outcome<Stream> {
    let uri = format!("https://localhost/{down}");
    let mut request = Request::builder().method(method).uri(uri);
    if up > 0 {
        request = request.header("content-length", up);
    }
    Ok(requests.clone().send_request(request.body(())?).await?)
}

async fn answer(stream: &mut Stream, mut known: Known) -> Outcome<Known> {
    let head = stream.recv_response().await?;
    if head.status() != StatusCode::OK {
        return Err(head.status().to_string().into());
    }
    while let Some(mut data) = stream.recv_data().await? {
        while data.has_remaining() {
            known.compare(data.chunk())?;
            data.advance(data.chunk().len());
        }
    }
    Ok(known)
}
