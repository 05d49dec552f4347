//! The size of the server's first flight, from a handshake in memory.
use super::{Offer, Server};
use crate::{
    client::{Client, ClientSpec, Trust},
    compression::{CertificateCompression, answer},
    negotiated::Version,
    profile::group_fits,
};
use portcullis_wire::GroupId;
use rustls::pki_types::ServerName;

/// Bytes, record headers included, that the server sends before the client answers: what must fit the first
/// congestion window, and over QUIC three times the client's hello.
pub(super) fn len(
    server: &Server,
    (offer, compressions): (&Offer, &[CertificateCompression]),
    group: GroupId,
) -> Option<usize> {
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
    let mut connection = client.ok()?.offering(compressions).connect(name).ok()?;
    let mut hello = Vec::new();
    connection.tls.write_tls(&mut hello).ok()?;
    answer(config, &hello).ok()
}
