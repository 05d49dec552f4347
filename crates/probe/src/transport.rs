//! What carries a handshake.

/// What carries a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Transport {
    /// A stream: TCP, or a Unix socket.
    #[default]
    Tcp,
    /// QUIC, for HTTP/3.
    Quic,
}

impl Transport {
    /// `tcp` or `quic`
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic",
        }
    }
}
