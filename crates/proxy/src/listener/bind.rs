//! Listening sockets: one per core for an address of the network, one for a Unix path.
use crate::plan::Address;
use rustix::{fs::Mode, process::umask};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::unix::{fs::FileTypeExt, net::UnixListener},
    path::Path,
    time::Duration,
};

/// Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn.
pub(crate) const BACKLOG: u16 = 4096;
/// A peer that vanished is found after 60 s + 4 x 15 s of silence: long-lived connections have no other clock.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// Bytes that a socket of datagrams may hold each way, as far as net.core.rmem_max and wmem_max go: the kernel's 208 KiB
/// are 2 ms of 1 Gbit/s, and a busy core looks less often.
const DATAGRAMS: usize = 2 * 1024 * 1024;
/// Ports that are tried until one is free for QUIC as well, where the kernel chooses.
const TRIES: usize = 16;

/// The sockets of one address.
pub(crate) enum Bound {
    /// One per core, and where they really are (a port of 0 was chosen by the kernel).
    Tcp(Vec<TcpListener>, SocketAddr),
    /// One.
    Unix(UnixListener),
}

/// Whether the port is asked for alone first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Probe {
    /// SO_REUSEPORT would let a second instance share the port with us.
    Alone,
    /// We hold the port ourselves, under another address.
    Shared,
}

/// Binds an address for so many cores.
pub(crate) fn bind(address: &Address, cores: usize, probe: Probe) -> io::Result<Bound> {
    match address {
        Address::Ip(address) => tcp(*address, cores, probe).map(|(all, address)| Bound::Tcp(all, address)),
        Address::Unix(path) => unix(path).map(Bound::Unix),
        Address::Name(..) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a name is no address to listen on",
        )),
    }
}

/// The same where QUIC shares the port.
pub(crate) fn bind_both(
    address: SocketAddr,
    cores: usize,
    (streams, quic): (Probe, Probe),
) -> io::Result<(Bound, Vec<UdpSocket>, SocketAddr)> {
    let mut tries = 1;
    loop {
        let (listeners, really) = tcp(address, cores, streams)?;
        match datagrams(really, cores, quic) {
            Ok(sockets) => return Ok((Bound::Tcp(listeners, really), sockets, really)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && tries < TRIES => {
                tries += 1
            }
            Err(error) => return Err(error),
        }
    }
}

/// Sockets for QUIC, one per core.
pub(crate) fn datagrams(address: SocketAddr, cores: usize, probe: Probe) -> io::Result<Vec<UdpSocket>> {
    if probe == Probe::Alone {
        datagram_socket(address)?.bind(&address.into())?;
    }
    (0..cores)
        .map(|_| {
            let socket = datagram_socket(address)?;
            socket.set_reuse_port(true)?;
            // as much as the machine allows, which may be less
            let _ = socket.set_recv_buffer_size(DATAGRAMS);
            let _ = socket.set_send_buffer_size(DATAGRAMS);
            socket.bind(&address.into())?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        })
        .collect()
}

/// A path that only its owner may connect to, replacing a socket that nobody answers on.
pub(crate) fn unix_private(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::RWXG | Mode::RWXO);
    let bound = unix(path);
    umask(before);
    bound
}

/// Keep-alive for connections that may be quiet for hours.
pub(crate) fn keepalive() -> TcpKeepalive {
    let (idle, between, tries) = KEEPALIVE;
    TcpKeepalive::new()
        .with_time(idle)
        .with_interval(between)
        .with_retries(tries)
}

/// On loopback there is no network to be spared, and the pacing of BBR, where that is the machine's default, costs a timer
/// for each burst (0.69 s of CPU per GB towards a server, not 0.59).
pub(crate) fn spare_pacing(socket: &Socket, peer: IpAddr) {
    if peer.is_loopback() {
        // a kernel without it goes on as it would
        let _ = socket.set_tcp_congestion(b"reno");
    }
}

fn tcp(address: SocketAddr, cores: usize, probe: Probe) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    if probe == Probe::Alone && address.port() != 0 {
        socket(address)?.bind(&address.into())?;
    }
    let first = listener(address)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..cores {
        all.push(listener(address)?);
    }
    Ok((all, address))
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    // connections inherit these from their listener, which saves them a system call each
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive())?;
    spare_pacing(&socket, address.ip());
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // so that 0.0.0.0 and [::] can stand side by side
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn datagram_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    remove_dead(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A socket file outlives its process: if nobody answers on it, it is in the way.
fn remove_dead(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_) => std::fs::remove_file(path),
        },
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket stands there",
        )),
        Err(_) => Ok(()),
    }
}
