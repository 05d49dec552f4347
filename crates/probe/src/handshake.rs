//! One handshake over a socket: driven by hand, so that its bytes are counted and its end is understood.
use crate::{Address, Offer};
use portcullis_tls::{
    client::Connection,
    negotiated::Negotiated,
    rustls::{self, ClientConnection, pki_types::CertificateDer},
};
use portcullis_wire::{Escaped, GroupId, alert::Alert, client_hello};
use std::{
    io::{self, Read},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::{Instant, timeout},
};

/// What came of one offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What was offered.
    pub offer: Offer,
    /// The groups for which a key share was sent, read back from our own hello.
    pub shares: Vec<GroupId>,
    /// What came of it.
    pub outcome: Outcome,
    /// Bytes of the handshake from client to server.
    pub bytes_in: u64,
    /// Bytes of the handshake from server to client.
    pub bytes_out: u64,
    /// From the first byte sent until the client was done.
    pub took: Duration,
}

/// How a handshake ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The server took it.
    Ok(Box<Negotiated>),
    /// The server refused it with this alert.
    Refused(Alert),
    /// Neither.
    Failed(Failure),
}

/// Why a handshake neither succeeded nor was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The address could not be reached.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection ended without an alert.
    #[error("the connection ended without an alert: {0}")]
    Closed(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// We ended it.
    #[error("{0}")]
    Tls(String),
    /// The certificate is none of those the server should have.
    #[error("the certificate that came is none of the site's")]
    OtherCertificate,
}

/// How long a server may take to object after the client is done: it checks client certificates and policies
/// only then. One that stays silent has accepted.
pub(crate) const OBJECTION: Duration = Duration::from_millis(300);
/// Room for one read: larger than any server flight but the longest chains.
const BUFFER: usize = 16 * 1024;

/// Makes one handshake and says how it ended, and with which certificate.
pub(crate) async fn attempt(
    address: &Address,
    offer: &Offer,
    connection: Connection,
    deadline: Duration,
) -> (Seen, Option<CertificateDer<'static>>) {
    let mut wire = Wire::new(connection);
    let ended = timeout(deadline, wire.attempt(address)).await;
    let outcome = match ended.unwrap_or(Err(End::Failed(Failure::Deadline(deadline)))) {
        Ok(negotiated) => Outcome::Ok(Box::new(negotiated)),
        Err(End::Refused(alert)) => Outcome::Refused(alert),
        Err(End::Failed(failure)) => Outcome::Failed(failure),
    };
    let chain = wire.connection.tls.peer_certificates();
    let leaf = chain
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.clone().into_owned());
    let seen = Seen {
        offer: offer.clone(),
        shares: wire.shares,
        outcome,
        bytes_in: wire.sent,
        bytes_out: wire.received,
        took: wire.took,
    };
    (seen, leaf)
}

/// A TLS connection and what is counted of it.
struct Wire {
    connection: Connection,
    shares: Vec<GroupId>,
    sent: u64,
    received: u64,
    took: Duration,
}

/// How a handshake ends when not well.
pub(crate) enum End {
    Refused(Alert),
    Failed(Failure),
}

impl Wire {
    fn new(connection: Connection) -> Wire {
        Wire {
            connection,
            shares: Vec::new(),
            sent: 0,
            received: 0,
            took: Duration::ZERO,
        }
    }

    async fn attempt(&mut self, address: &Address) -> Result<Negotiated, End> {
        match address {
            Address::Tcp(host, port) => {
                let socket = TcpStream::connect((host.as_str(), *port)).await;
                self.run(socket.map_err(not_connected)?).await
            }
            Address::Unix(path) => {
                let socket = UnixStream::connect(path).await;
                self.run(socket.map_err(not_connected)?).await
            }
        }
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, mut io: S) -> Result<Negotiated, End> {
        let start = Instant::now();
        let ended = self.handshake(&mut io).await;
        self.took = start.elapsed();
        ended?;
        let negotiated = self.connection.negotiated();
        let (sent, received) = (self.sent, self.received);
        let accepted = self.hear_objections(&mut io).await;
        (self.sent, self.received) = (sent, received);
        accepted?;
        negotiated.ok_or_else(|| failed("the handshake ended without facts"))
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut S) -> Result<(), End> {
        loop {
            self.flush(io).await?;
            if !self.tls().is_handshaking() {
                return Ok(());
            }
            if self.receive(io).await? == 0 {
                return Err(closed("end of stream"));
            }
        }
    }

    /// Says goodbye and listens until the server closes, objects, or has been silent for long enough.
    async fn hear_objections<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut S) -> Result<(), End> {
        self.tls().send_close_notify();
        let until_closed = async {
            self.flush(io).await?;
            while self.receive(io).await? != 0 {}
            Ok(())
        };
        match timeout(OBJECTION, until_closed).await {
            // a server that hangs up without a word after the handshake has objected to nothing
            Ok(Err(End::Failed(Failure::Closed(_)))) | Err(_) => Ok(()),
            Ok(ended) => ended,
        }
    }

    async fn flush<S: AsyncWrite + Unpin>(&mut self, io: &mut S) -> Result<(), End> {
        let mut bytes = Vec::new();
        while self.tls().wants_write() {
            // a Vec takes everything
            let _ = self.tls().write_tls(&mut bytes);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.sent == 0 {
            self.shares = shares(&bytes);
        }
        io.write_all(&bytes).await.map_err(disconnected)?;
        io.flush().await.map_err(disconnected)?;
        self.sent += bytes.len() as u64;
        Ok(())
    }

    /// Reads once and lets the library look at it; 0 at the end of the stream.
    async fn receive<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut S) -> Result<usize, End> {
        let mut buffer = vec![0; BUFFER];
        let len = io.read(&mut buffer).await.map_err(disconnected)?;
        self.received += len as u64;
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let taken = self.tls().read_tls(&mut rest).map_err(disconnected)?;
            if let Err(error) = self.tls().process_new_packets() {
                // the alert that the library answers with is a courtesy; its loss changes no result
                let _ = self.flush(io).await;
                return Err(ended_by(error));
            }
            self.discard_plaintext();
            if taken == 0 {
                return Ok(0);
            }
        }
        Ok(len)
    }

    /// What an application says first is not what we came for, but it must not fill the library's buffer.
    fn discard_plaintext(&mut self) {
        let mut scratch = [0; 1024];
        while matches!(self.tls().reader().read(&mut scratch), Ok(1..)) {}
    }

    fn tls(&mut self) -> &mut ClientConnection {
        &mut self.connection.tls
    }
}

fn shares(hello: &[u8]) -> Vec<GroupId> {
    match client_hello::from_records(hello) {
        Ok(client_hello::Progress::Complete(hello)) => hello.key_shares.iter().map(|(group, _)| *group).collect(),
        _ => Vec::new(),
    }
}

fn ended_by(error: rustls::Error) -> End {
    match error {
        rustls::Error::AlertReceived(description) => End::Refused(Alert(u8::from(description))),
        other => failed(other),
    }
}

fn not_connected(error: io::Error) -> End {
    End::Failed(Failure::Connect(error.to_string()))
}

fn disconnected(error: io::Error) -> End {
    closed(error)
}

pub(crate) fn closed(why: impl ToString) -> End {
    End::Failed(Failure::Closed(why.to_string()))
}

/// The library's words may quote the peer's certificate.
pub(crate) fn failed(why: impl ToString) -> End {
    let why = why.to_string();
    End::Failed(Failure::Tls(Escaped(why.as_bytes()).to_string()))
}
