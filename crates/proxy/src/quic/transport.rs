//! THE TABLE of what a QUIC connection may hold and how long it may take, each with its reason.
use super::ids::Ids;
use crate::{http::limits, plan::ListenerPlan};
use portcullis_tls::quic::{Acceptor, VERSION};
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use std::{sync::Arc, time::Duration};

/// First packets that wait for their endpoint to be looked at, which nothing else is awaited for: more come only while a
/// core is busy.
const INCOMING: usize = 1024;
/// Bytes behind a first packet until then: the rest of a hello, however large its shares.
const INCOMING_BUFFER: u64 = 16 * 1024;
/// The same for all first packets of an endpoint.
const INCOMING_BUFFERS: u64 = 4 * 1024 * 1024;
/// Bytes of a handshake that may come out of order: quinn's 16 KiB refuse a client's ML-DSA-87 chain when a packet is lost.
const CRYPTO_BUFFER: usize = 64 * 1024;
/// Streams of a client that are no requests: control, the two of QPACK, and some of a kind that we need not know.
const OTHER_STREAMS: u32 = 8;
/// Requests that a client may have begun before it has finished its handshake, if its listener allows so many: quinn
/// keeps a place for each from the first packet on, and with the streams that are no requests these fill their tables.
const FIRST_REQUESTS: u32 = 20;
/// Bytes of answers that their client has not acknowledged yet: 80 Mbit/s at 100 ms.
const SEND_WINDOW: u64 = 1024 * 1024;
/// A client that says nothing for so long is gone, where no limit of the operator's is shorter.
const SILENCE: Duration = Duration::from_secs(75);

/// What all endpoints of a process share.
pub(crate) struct Common {
    pub(crate) acceptor: Acceptor,
    pub(crate) ids: Arc<Ids>,
    /// With the key of stateless resets.
    pub(crate) endpoint: EndpointConfig,
    /// With the key of Retry; TLS and transport are each listener's own.
    pub(crate) server: ServerConfig,
}

impl Common {
    pub(crate) fn new() -> Common {
        let acceptor = Acceptor::new();
        let mut endpoint = EndpointConfig::default();
        endpoint.supported_versions(vec![VERSION]);
        let mut server = ServerConfig::with_crypto(acceptor.for_endpoint());
        server
            .max_incoming(INCOMING)
            .incoming_buffer_size(INCOMING_BUFFER)
            .incoming_buffer_size_total(INCOMING_BUFFERS);
        Common {
            acceptor,
            ids: Arc::default(),
            endpoint,
            server,
        }
    }
}

/// What a listener gives each of its connections.
pub(crate) fn transport(listener: &ListenerPlan) -> Arc<TransportConfig> {
    let http = &listener.http.limits;
    let silence = http.idle.map_or(SILENCE, |idle| idle.min(SILENCE));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(http.streams.min(FIRST_REQUESTS)))
        .max_concurrent_uni_streams(VarInt::from_u32(OTHER_STREAMS))
        .stream_receive_window(VarInt::from_u32(limits::STREAM_WINDOW))
        .receive_window(VarInt::from_u32(limits::CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .crypto_buffer_size(CRYPTO_BUFFER)
        .max_idle_timeout(IdleTimeout::try_from(silence).ok())
        // a client that waits for a slow answer is silent too, and is not idle: `http::watch` knows who is
        .keep_alive_interval(Some(silence / 3))
        .datagram_receive_buffer_size(None);
    Arc::new(transport)
}
