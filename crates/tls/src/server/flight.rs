//! The size of the server's first flight, from a handshake in memory.
use super::{Offer, Server};
use crate::{
    client::{Client, ClientSpec, Trust},
    negotiated::Version,
    profile::group_fits,
};
use portcullis_wire::GroupId;
use rustls::{ServerConfig, ServerConnection, pki_types::ServerName};
use std::sync::Arc;

/// Bytes, record headers included, that the server sends before the client answers: what must fit the first
/// congestion window, and over QUIC three times the client's hello.
pub(super) fn len(server: &Server, offer: &Offer, group: GroupId) -> Option<usize> {
    let config = &offer.configs.iter().find(|prepared| prepared.group == group)?.tls13;
    let (version, scheme) = match (offer.schemes_13.first(), offer.schemes_12.first()) {
        (Some(scheme), _) => (Version::Tls13, *scheme),
        (None, Some(scheme)) if group_fits(group, Version::Tls12) => (Version::Tls12, *scheme),
        _ => return None,
    };
    let client = Client::build(ClientSpec {
        versions: vec![version],
        groups: vec![group],
        schemes: Some(vec![scheme]),
        trust: Trust::Anyone,
        identity: None,
        alpn: server.alpn.clone(),
        resumption: 0,
    });
    let name = ServerName::try_from("flight.invalid").ok()?;
    let mut connection = client.ok()?.connect(name).ok()?;
    let mut hello = Vec::new();
    connection.tls.write_tls(&mut hello).ok()?;
    answer(config, &hello).ok()
}

fn answer(config: &Arc<ServerConfig>, mut hello: &[u8]) -> Result<usize, rustls::Error> {
    let general = |error: std::io::Error| rustls::Error::General(error.to_string());
    let mut server = ServerConnection::new(Arc::clone(config))?;
    while !hello.is_empty() {
        server.read_tls(&mut hello).map_err(general)?;
        server.process_new_packets()?;
    }
    let mut sent = 0;
    while server.wants_write() {
        sent += server.write_tls(&mut std::io::sink()).map_err(general)?;
    }
    Ok(sent)
}
