//! One handshake over QUIC.
use crate::{
    Address, Failure, Offer, Outcome, Seen,
    handshake::{End, OBJECTION, closed, failed},
};
use portcullis_tls::{
    client::Client,
    negotiated::Negotiated,
    quic::{Acceptor, Answer, VERSION, alert_in},
    rustls::pki_types::{CertificateDer, ServerName},
};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt,
};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::lookup_host,
    task::JoinSet,
    time::{Instant, timeout},
};

/// A chain of ML-DSA-87 whose packets come in another order than they went: quinn's own limit would refuse it.
const CRYPTO_BUFFER: usize = 64 * 1024;
/// RFC 9114 section 8.1, H3_NO_ERROR.
const NO_ERROR: VarInt = VarInt::from_u32(0x100);
/// How long a goodbye may take to go out; a server to which it does not get forgets us by itself.
const GOODBYE: Duration = Duration::from_millis(100);

/// What is asked, and of whom.
pub(crate) struct Asking<'a> {
    pub(crate) address: &'a Address,
    pub(crate) name: &'a ServerName<'static>,
    pub(crate) offer: &'a Offer,
    pub(crate) client: Client,
    pub(crate) deadline: Duration,
}

/// Makes one handshake and says how it ended, and with which certificate. Nobody says that a port of UDP is closed,
/// so the addresses of a name are all asked at once, and the first that has an answer is the server's.
pub(crate) async fn attempt(asking: Asking<'_>) -> (Seen, Option<CertificateDer<'static>>) {
    let ended = timeout(asking.deadline, anywhere(&asking)).await;
    let late = || Visit::failed(Failure::Deadline(asking.deadline));
    let visit = ended.unwrap_or_else(|_| late());
    let hello = visit.answer.hello;
    let shares = hello.map(|hello| hello.key_shares.iter().map(|(group, _)| *group).collect());
    let seen = Seen {
        offer: asking.offer.clone(),
        shares: shares.unwrap_or_default(),
        outcome: visit.outcome,
        bytes_in: visit.answer.bytes_out,
        bytes_out: visit.answer.bytes_in,
        took: visit.took,
    };
    (seen, visit.leaf)
}

/// What came of a handshake with one address.
struct Visit {
    outcome: Outcome,
    answer: Answer,
    leaf: Option<CertificateDer<'static>>,
    took: Duration,
}

impl Visit {
    fn failed(failure: Failure) -> Visit {
        Visit {
            outcome: Outcome::Failed(failure),
            answer: Answer::default(),
            leaf: None,
            took: Duration::ZERO,
        }
    }

    /// A server said something.
    fn is_answered(&self) -> bool {
        !matches!(
            self.outcome,
            Outcome::Failed(Failure::Connect(_) | Failure::Closed(_) | Failure::Deadline(_))
        )
    }
}

async fn anywhere(asking: &Asking<'_>) -> Visit {
    let Address::Tcp(host, port) = asking.address else {
        return Visit::failed(Failure::Connect("QUIC goes to a port of UDP, not to a path".into()));
    };
    let found = match lookup_host((host.as_str(), *port)).await {
        Ok(found) => found,
        Err(error) => return Visit::failed(Failure::Connect(error.to_string())),
    };
    let name = asking.name.to_str().into_owned();
    let mut running = JoinSet::new();
    for address in found {
        // a client of its own, so that no two connections share what they note
        running.spawn(ask(asking.client.sibling(), name.clone(), address));
    }
    let mut last = Visit::failed(Failure::Connect("the name has no address".into()));
    while let Some(ended) = running.join_next().await {
        last = ended.unwrap_or(last);
        if last.is_answered() {
            break;
        }
    }
    last
}

async fn ask(client: Client, name: String, address: SocketAddr) -> Visit {
    let (crypto, asked) = client.over_quic(&Acceptor::new());
    let endpoint = match endpoint(address) {
        Ok(endpoint) => endpoint,
        Err(error) => return Visit::failed(Failure::Connect(error.to_string())),
    };
    let mut config = ClientConfig::new(crypto);
    let mut transport = TransportConfig::default();
    transport.crypto_buffer_size(CRYPTO_BUFFER);
    config.transport_config(Arc::new(transport));
    let start = Instant::now();
    let connecting = match endpoint.connect_with(config, address, &name) {
        Ok(connecting) => connecting,
        Err(error) => return Visit::failed(Failure::Connect(error.to_string())),
    };
    let connected = connecting.await;
    let (took, answer) = (start.elapsed(), asked.answer());
    let leaf = connected.as_ref().ok().and_then(leaf);
    let ended = match connected {
        Ok(connection) => settled(&connection, &answer).await,
        Err(error) => Err(ended_by(error, &answer)),
    };
    endpoint.close(NO_ERROR, b"");
    // a courtesy: nothing depends on it
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    let outcome = match ended {
        Ok(facts) => Outcome::Ok(Box::new(facts)),
        Err(End::Refused(alert)) => Outcome::Refused(alert),
        Err(End::Failed(failure)) => Outcome::Failed(failure),
    };
    Visit {
        outcome,
        answer,
        leaf,
        took,
    }
}

/// A server judges client certificates and policies after the client is done. One that opens its control stream
/// (RFC 9114 section 6.2.1) or stays silent has accepted.
async fn settled(connection: &Connection, answer: &Answer) -> Result<Negotiated, End> {
    let said = timeout(OBJECTION, connection.accept_uni()).await;
    match (said, &answer.facts) {
        (Ok(Err(error)), _) => Err(ended_by(error, answer)),
        (_, Some(facts)) => Ok(facts.clone()),
        (_, None) => Err(failed("the handshake ended without facts")),
    }
}

fn ended_by(error: ConnectionError, answer: &Answer) -> End {
    if let Some(alert) = alert_in(&error) {
        return End::Refused(alert);
    }
    match &answer.error {
        Some(ours) => failed(ours),
        None => closed(error),
    }
}

fn endpoint(peer: SocketAddr) -> std::io::Result<Endpoint> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut config = EndpointConfig::default();
    config.supported_versions(vec![VERSION]);
    Endpoint::new(config, None, UdpSocket::bind(any)?, Arc::new(TokioRuntime))
}

fn leaf(connection: &Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?;
    let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}
