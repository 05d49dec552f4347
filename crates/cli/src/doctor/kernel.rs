//! What the kernel can do, tried on sockets of the loopback.
use super::finding::{Finding, Section};
use nix::{
    errno::Errno,
    sys::socket::{
        setsockopt,
        sockopt::{TcpUlp, UdpGroSegment, UdpGsoSegment},
    },
};
use serde_json::json;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
};

/// What every listener asks for (`listener::bind`).
const BACKLOG: u64 = 4096;

/// Everything of the kernel.
pub(super) fn findings() -> Section {
    let uname = rustix::system::uname();
    let version = format!(
        "{} {}",
        uname.sysname().to_string_lossy(),
        uname.release().to_string_lossy()
    );
    Section {
        title: "kernel",
        findings: vec![
            Finding::info("version", version),
            reuse_port(),
            ipv6(),
            backlog(),
            low_ports(),
            local_ports(),
            offloaded_tls(),
            segmentation(),
            coalescing(),
        ],
    }
}

/// Two sockets on one port, as the event loops have them.
fn reuse_port() -> Finding {
    let listen = |port: u16| -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_port(true)?;
        socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))?;
        socket.listen(1)?;
        Ok(socket)
    };
    let both = listen(0).and_then(|first| {
        let port = first.local_addr()?.as_socket().map_or(0, |address| address.port());
        listen(port)
    });
    match both {
        Ok(_) => Finding::ok("SO_REUSEPORT", "several sockets listen on one port"),
        Err(error) => Finding::bad("SO_REUSEPORT", error.to_string()).hint("each event loop needs a socket of its own"),
    }
}

fn ipv6() -> Finding {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => Finding::ok("IPv6", "[::1] can be listened on"),
        Err(error) => Finding::warn("IPv6", format!("[::1]: {error}")).hint("listeners on [::] will not start"),
    }
}

fn backlog() -> Finding {
    const FILE: &str = "/proc/sys/net/core/somaxconn";
    match number(FILE) {
        Ok(most) => judged_backlog(most),
        Err(why) => Finding::untried("somaxconn", why),
    }
}

fn judged_backlog(most: u64) -> Finding {
    let found = format!("{most} connections may wait for each event loop");
    match most < BACKLOG {
        true => Finding::warn("somaxconn", found).hint(format!(
            "net.core.somaxconn = {BACKLOG}: a burst beyond it is not answered at once"
        )),
        false => Finding::ok("somaxconn", found),
    }
    .facts(json!({ "somaxconn": most }))
}

fn low_ports() -> Finding {
    const FILE: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    match number(FILE) {
        Ok(first) => Finding::info("low ports", format!("below {first} only with CAP_NET_BIND_SERVICE"))
            .facts(json!({ "ip_unprivileged_port_start": first })),
        Err(why) => Finding::untried("low ports", why),
    }
}

fn local_ports() -> Finding {
    const FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
    let read = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"));
    let range = read.and_then(|text| {
        let mut ends = text.split_whitespace().filter_map(|end| end.parse::<u64>().ok());
        let (first, last) = (ends.next(), ends.next());
        first.zip(last).ok_or_else(|| format!("{FILE}: no range"))
    });
    match range {
        Ok((first, last)) => {
            let ports = (last + 1).saturating_sub(first);
            Finding::info(
                "local ports",
                format!("{ports}: so many connections at once to one upstream server"),
            )
            .facts(json!({ "first": first, "last": last }))
        }
        Err(why) => Finding::untried("local ports", why),
    }
}

/// TCP_ULP on a connected socket: the kernel loads its module for that, if it has one.
fn offloaded_tls() -> Finding {
    const NEEDLESS: &str = "Portcullis does without";
    let connected = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| Ok((TcpStream::connect(listener.local_addr()?)?, listener)));
    let (stream, _listener) = match connected {
        Ok(both) => both,
        Err(error) => return Finding::untried("kernel TLS", format!("no connection on the loopback: {error}")),
    };
    match setsockopt(&stream, TcpUlp::<&[u8]>::default(), &b"tls".as_slice()) {
        Ok(()) => Finding::info("kernel TLS", format!("there; {NEEDLESS}")).facts(json!({ "present": true })),
        Err(Errno::ENOENT) => {
            Finding::info("kernel TLS", format!("not there; {NEEDLESS}")).facts(json!({ "present": false }))
        }
        Err(error) => Finding::info("kernel TLS", format!("refused: {}; {NEEDLESS}", error.desc())),
    }
}

fn segmentation() -> Finding {
    udp("UDP segmentation (GSO)", |socket| {
        setsockopt(socket, UdpGsoSegment, &1200)
    })
}

fn coalescing() -> Finding {
    udp("UDP coalescing (GRO)", |socket| {
        setsockopt(socket, UdpGroSegment, &true)
    })
}

/// No listener of this version speaks QUIC, so neither is missed.
fn udp(what: &'static str, set: impl FnOnce(&UdpSocket) -> nix::Result<()>) -> Finding {
    let socket = match UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
        Ok(socket) => socket,
        Err(error) => return Finding::untried(what, format!("no UDP socket: {error}")),
    };
    let found = set(&socket);
    match found {
        Ok(()) => Finding::info(what, "there"),
        Err(error) => Finding::info(what, format!("not there: {}", error.desc())),
    }
    .facts(json!({ "present": found.is_ok() }))
}

fn number(file: &str) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    text.trim()
        .parse()
        .map_err(|_| format!("{file}: \"{}\" is no number", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;

    #[test]
    fn a_short_backlog_is_warned_of() {
        assert_eq!(judged_backlog(128).result, Outcome::Warn);
        assert_eq!(judged_backlog(4096).result, Outcome::Ok);
    }

    #[test]
    fn what_cannot_be_read_is_no_number() {
        assert!(number("/proc/sys/net/core/nothing").is_err_and(|why| why.starts_with("/proc/sys/net/core/nothing: ")));
        assert!(number("/proc/version").is_err_and(|why| why.ends_with("is no number")));
    }
}
