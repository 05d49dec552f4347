//! Where the demo listens: the ports people know, or free ones.
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

/// Where the demo listens; every address of a service has the same port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ports {
    /// The page's addresses.
    pub(crate) page: Vec<SocketAddr>,
    /// The echo's addresses.
    pub(crate) echo: Vec<SocketAddr>,
}

/// The ports of SPEC 9.
const PAGE: u16 = 8443;
const ECHO: u16 = 8444;

impl Ports {
    /// Takes the known ports where they are free, others where not; the second value says so for people.
    pub(crate) fn choose() -> io::Result<(Ports, Vec<String>)> {
        let (page, page_notice) = addresses("page", PAGE)?;
        let (echo, echo_notice) = addresses("echo", ECHO)?;
        let notices = page_notice.into_iter().chain(echo_notice).collect();
        Ok((Ports { page, echo }, notices))
    }

    /// Any free ones: tests run side by side.
    #[cfg(test)]
    pub(super) fn any() -> io::Result<Ports> {
        Ok(Ports {
            page: free(0)?,
            echo: free(0)?,
        })
    }
}

/// `localhost` is both loopbacks, on a machine that has both.
fn addresses(name: &str, port: u16) -> io::Result<(Vec<SocketAddr>, Option<String>)> {
    if let Ok(addresses) = free(port) {
        return Ok((addresses, None));
    }
    let addresses = free(0)?;
    let notice = addresses.first().map(|found| {
        let found = found.port();
        format!("port {port} is taken: the {name} is on {found}")
    });
    Ok((addresses, notice))
}

/// Binds both of TCP and UDP, for HTTP/3, and lets go: between this and the proxy's own bind another program could still come first, and the
/// proxy would say so.
fn free(port: u16) -> io::Result<Vec<SocketAddr>> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?;
    UdpSocket::bind(v4)?;
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), v4.port());
    match TcpListener::bind(v6).and_then(|_| UdpSocket::bind(v6)) {
        Ok(_) => Ok(vec![v4, v6]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok(vec![v4]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_by_a_free_one_and_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let (addresses, notice) = addresses("page", port).unwrap();
        let found = addresses[0].port();
        assert_ne!(found, port);
        assert_eq!(notice, Some(format!("port {port} is taken: the page is on {found}")));
        assert!(
            addresses
                .iter()
                .all(|address| address.port() == found && address.ip().is_loopback())
        );
        TcpListener::bind(addresses[0]).unwrap();
    }

    #[test]
    fn a_free_port_is_taken_without_a_word() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (addresses, notice) = addresses("echo", free.port()).unwrap();
        assert_eq!((addresses[0], notice), (free, None));
    }
}
