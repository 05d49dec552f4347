//! Addresses: where to listen, and what to connect to.
use super::{
    report::Fault,
    tree::Value,
    values::{based, dns_name},
};
use crate::plan::Address;
use std::net::{Ipv4Addr, SocketAddr};

/// `0.0.0.0:8443`, `[::]:8443`, `:8443` (IPv4, as nginx and HAProxy read it) or `unix:PATH`.
pub(super) fn listen(value: &Value) -> Result<Address, Fault> {
    let text = value.text()?;
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(value, path);
    }
    socket(value).map(Address::Ip)
}

/// An IP address and a port to listen on.
pub(super) fn socket(value: &Value) -> Result<SocketAddr, Fault> {
    let text = value.text()?;
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    text.parse().map_err(|_| {
        let hint = match text.rsplit_once(':') {
            Some((host, port)) if is_port(port) && !host.contains(':') => {
                "listening takes an IP address, not a name: \"127.0.0.1:8443\" or \":8443\"".to_owned()
            }
            Some((host, port)) if is_port(port) && !host.starts_with('[') => {
                format!("did you mean \"[{host}]:{port}\"?")
            }
            None if is_port(text) => format!("did you mean \":{text}\"?"),
            _ => "like \"0.0.0.0:8443\", \"[::]:8443\" or \":8443\"".to_owned(),
        };
        value
            .whole_fault(format!("{value} is no address to listen on"))
            .hint(hint)
    })
}

/// `127.0.0.1:6000`, `backend.internal:6000` or `unix:PATH`.
pub(super) fn target(value: &Value) -> Result<Address, Fault> {
    let text = value.text()?;
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(value, path);
    }
    let no_target = |hint: &str| {
        value
            .whole_fault(format!("{value} is no address to connect to"))
            .hint(hint)
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 {
            Err(no_target("a port is 1 to 65535"))
        } else {
            Ok(Address::Ip(address))
        };
    }
    let usual = "like \"127.0.0.1:6000\", \"[::1]:6000\", \"backend.internal:6000\" or \"unix:/run/backend.sock\"";
    let (host, port) = text.rsplit_once(':').ok_or_else(|| no_target(usual))?;
    if host.is_empty() {
        return Err(no_target(&format!("did you mean \"127.0.0.1:{port}\"?")));
    }
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| no_target("a port is 1 to 65535"))?;
    let name = dns_name(&Value::string(host, value.origin.clone())).map_err(|_| no_target(usual))?;
    Ok(Address::Name(name, port))
}

/// Whether only this machine can reach it.
pub(super) fn is_local(address: &Address) -> bool {
    match address {
        Address::Ip(address) => address.ip().to_canonical().is_loopback(),
        Address::Name(..) => false,
        Address::Unix(_) => true,
    }
}

/// As it is written.
pub(super) fn shown(address: &Address) -> String {
    match address {
        Address::Ip(address) => address.to_string(),
        Address::Name(name, port) => format!("{name}:{port}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn unix(value: &Value, path: &str) -> Result<Address, Fault> {
    /// What a Unix socket's address holds on Linux (unix(7): 108 bytes with the closing zero).
    const LONGEST: usize = 107;
    let path_on_disk = based(value, path);
    if path.is_empty() || path_on_disk.as_os_str().len() > LONGEST {
        let fault = value.whole_fault(format!("{value} is no path of a socket"));
        return Err(fault.hint(format!("unix:PATH with a path of 1 to {LONGEST} bytes")));
    }
    Ok(Address::Unix(path_on_disk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;
    use std::path::PathBuf;

    fn text(text: &str) -> Value {
        Value::string(text, Origin::Default)
    }

    fn ip(text: &str) -> Option<Address> {
        text.parse().map(Address::Ip).ok()
    }

    #[test]
    fn listening_takes_ip_addresses_ports_and_unix_sockets() {
        assert_eq!(listen(&text("0.0.0.0:8443")).ok(), ip("0.0.0.0:8443"));
        assert_eq!(listen(&text("[::]:8443")).ok(), ip("[::]:8443"));
        assert_eq!(listen(&text(":8443")).ok(), ip("0.0.0.0:8443"));
        assert_eq!(
            listen(&text("unix:/run/x.sock")).ok(),
            Some(Address::Unix(PathBuf::from("/run/x.sock")))
        );
        let too_long = format!("unix:/{}", "a".repeat(107));
        for bad in [
            "",
            "8443",
            "localhost:8443",
            "::1:8443",
            "0.0.0.0",
            ":99999",
            "0.0.0.0:70000",
            "unix:",
            &too_long,
        ] {
            assert!(listen(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn connecting_takes_names_too_and_never_port_zero() {
        assert_eq!(target(&text("127.0.0.1:6000")).ok(), ip("127.0.0.1:6000"));
        assert_eq!(target(&text("[::1]:6000")).ok(), ip("[::1]:6000"));
        assert_eq!(
            target(&text("Backend.internal:6000")).ok(),
            Some(Address::Name("backend.internal".into(), 6000))
        );
        for bad in [
            "",
            "6000",
            ":6000",
            "host",
            "host:0",
            "127.0.0.1:0",
            "ho st:1",
            "::1:6000",
            "host:70000",
            "*.x:1",
        ] {
            assert!(target(&text(bad)).is_err(), "{bad}");
        }
    }
}
