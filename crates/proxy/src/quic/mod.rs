//! QUIC: the endpoints that share a port, and the straight line of a connection on one of them.

pub(crate) mod connection;
pub(crate) mod endpoint;
pub(crate) mod ids;
pub(crate) mod socket;
pub(crate) mod transport;
