//! What a server sends: the chain for a client that verifies ML-DSA alone, and for one that does not.
use super::failure::Failure;
use portcullis_tls::{
    client::{Client, ClientSpec, Trust},
    negotiated::Version,
};
use portcullis_wire::{
    SchemeId,
    registry::{Scheme, default_offer},
};
use rustls::pki_types::{CertificateDer, ServerName};
use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// How long a server may take for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// A chain, and for whom it is sent.
pub(super) struct Sent {
    /// `clients that verify ML-DSA`
    pub(super) to: &'static str,
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// The chains of a server; one where both clients get the same.
pub(super) fn chains(target: &str) -> Result<Vec<Sent>, Failure> {
    let schemes = |ml_dsa: bool| -> Vec<SchemeId> {
        Scheme::all()
            .iter()
            .map(|scheme| scheme.id)
            .filter(|id| id.is_ml_dsa() == ml_dsa)
            .collect()
    };
    let asked = [
        ("clients that verify ML-DSA", schemes(true)),
        ("clients that do not verify ML-DSA", schemes(false)),
    ];
    let mut sent: Vec<Sent> = Vec::new();
    let mut refusal = None;
    for (to, schemes) in asked {
        match chain(target, schemes) {
            Ok(chain) => sent.push(Sent { to, chain }),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) if sent.is_empty() => Err(error),
        _ => Ok(sent),
    }
}

fn chain(target: &str, schemes: Vec<SchemeId>) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::unmet(format!("{target}: {error}"));
    let (host, _) = target
        .rsplit_once(':')
        .ok_or_else(|| Failure::usage(format!("{target}: no port")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| failed(&error))?;
    let client = Client::build(ClientSpec {
        versions: vec![Version::Tls12, Version::Tls13],
        groups: default_offer().map(|group| group.id).collect(),
        schemes: Some(schemes),
        trust: Trust::Anyone,
        identity: None,
        alpn: Vec::new(),
        resumption: 0,
    })
    .map_err(|error| failed(&error))?;
    let mut connection = client.connect(name).map_err(|error| failed(&error))?;
    let mut socket = dial(target).map_err(|error| failed(&error))?;
    while connection.tls.is_handshaking() {
        connection
            .tls
            .complete_io(&mut socket)
            .map_err(|error| failed(&error))?;
    }
    let chain = connection.tls.peer_certificates().unwrap_or_default();
    Ok(chain.iter().map(|der| der.clone().into_owned()).collect())
}

fn dial(target: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address of that name");
    for address in target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_write_timeout(Some(PATIENCE))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
