//! rustls' side of a QUIC connection in quinn's words, for server and client alike.
use crate::quic::VERSION;
use quinn_proto::{
    ConnectionId, Side, TransportError, TransportErrorCode,
    crypto::{ExportKeyingMaterialError, KeyPair, Keys, PacketKey, ServerConfig, rustls::QuicServerConfig},
    transport_parameters::TransportParameters,
};
use rustls::quic::{Connection, KeyChange, Secrets};
use std::io::Cursor;

/// A connection and the secrets of its next keys.
pub(super) struct Tls {
    pub(super) connection: Connection,
    next: Option<Secrets>,
}

impl Tls {
    pub(super) fn new(connection: impl Into<Connection>) -> Tls {
        Tls {
            connection: connection.into(),
            next: None,
        }
    }

    pub(super) fn write(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.connection.write_hs(buffer)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        Some(in_quinns_words(keys))
    }

    pub(super) fn next_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair {
            local: Box::new(keys.local),
            remote: Box::new(keys.remote),
        })
    }

    pub(super) fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let side = match &self.connection {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        };
        let bytes = self.connection.quic_transport_parameters();
        let read = bytes.map(|bytes| TransportParameters::read(side, &mut Cursor::new(bytes)));
        Ok(read.transpose()?)
    }

    pub(super) fn export(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let exported = self.connection.export_keying_material(output, label, Some(context));
        exported.map(|_| ()).map_err(|_| ExportKeyingMaterialError)
    }
}

fn in_quinns_words(keys: rustls::quic::Keys) -> Keys {
    Keys {
        header: KeyPair {
            local: Box::new(keys.local.header),
            remote: Box::new(keys.remote.header),
        },
        packet: KeyPair {
            local: Box::new(keys.local.packet),
            remote: Box::new(keys.remote.packet),
        },
    }
}

/// What our transport parameters are in a hello.
pub(super) fn encoded(params: &TransportParameters) -> Vec<u8> {
    let mut bytes = Vec::new();
    params.write(&mut bytes);
    bytes
}

/// The keys of the first packets, for this side.
pub(super) fn first_keys(first: &QuicServerConfig, id: &ConnectionId, side: Side) -> Keys {
    let keys = first.initial_keys(VERSION, id);
    let Keys { header, packet } = keys.expect("quinn knows the version that RFC 9001 gives these keys for");
    match side {
        Side::Server => Keys { header, packet },
        Side::Client => Keys {
            header: turned(header),
            packet: turned(packet),
        },
    }
}

fn turned<T>(KeyPair { local, remote }: KeyPair<T>) -> KeyPair<T> {
    KeyPair {
        local: remote,
        remote: local,
    }
}

/// Ends the connection without a word more than the alert, as over TCP: whoever looks for the reason finds it in our log.
pub(super) fn closing(code: TransportErrorCode) -> TransportError {
    TransportError {
        code,
        frame: None,
        reason: String::new(),
    }
}
