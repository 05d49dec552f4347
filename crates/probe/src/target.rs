//! Where a server is, and by which name it is asked for.
use portcullis_tls::rustls::pki_types::ServerName;
use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// The port when none is given.
const HTTPS: u16 = 443;

/// Where to connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A server and the name it is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// Its name; an address sends no SNI.
    pub server_name: ServerName<'static>,
}

/// What cannot be a target.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadTarget {
    /// The port is no number from 1 to 65535.
    #[error("target \"{0}\": the port is no number from 1 to 65535")]
    Port(String),
    /// The host is neither a name nor an address.
    #[error("target \"{0}\": the host is neither a DNS name nor an address")]
    Host(String),
}

impl FromStr for Target {
    type Err = BadTarget;

    /// `example.com`, `example.com:8443`, `:8443`, `[::1]:8443`, `unix:/run/x.sock`.
    fn from_str(text: &str) -> Result<Target, BadTarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            let address = Address::Unix(path.into());
            return named(text, "localhost", address);
        }
        let (host, port) = split(text).ok_or_else(|| BadTarget::Port(text.to_owned()))?;
        let host = if host.is_empty() { "localhost" } else { host };
        named(text, host, Address::Tcp(host.to_owned(), port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn named(text: &str, host: &str, address: Address) -> Result<Target, BadTarget> {
    let server_name = ServerName::try_from(host.to_owned());
    Ok(Target {
        address,
        server_name: server_name.map_err(|_| BadTarget::Host(text.to_owned()))?,
    })
}

/// Host without brackets, and port; None when the port is not one.
fn split(text: &str) -> Option<(&str, u16)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, HTTPS));
    }
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest {
            "" => Some((host, HTTPS)),
            _ => Some((host, port(rest.strip_prefix(':')?)?)),
        };
    }
    match text.rsplit_once(':') {
        Some((host, digits)) => Some((host, port(digits)?)),
        None => Some((text, HTTPS)),
    }
}

fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_written_as_people_write_addresses() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        let cases = [
            ("example.com", tcp("example.com", 443), "example.com"),
            ("example.com:8443", tcp("example.com", 8443), "example.com"),
            (":8443", tcp("localhost", 8443), "localhost"),
            ("127.0.0.1:1", tcp("127.0.0.1", 1), "127.0.0.1"),
            ("[::1]:8443", tcp("::1", 8443), "::1"),
            ("[::1]", tcp("::1", 443), "::1"),
            ("::1", tcp("::1", 443), "::1"),
            ("unix:/run/a", Address::Unix("/run/a".into()), "localhost"),
        ];
        for (text, address, name) in cases {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.address, address, "{text}");
            assert_eq!(target.server_name.to_str(), name, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_for_its_reason() {
        let port = |text: &str| BadTarget::Port(text.to_owned());
        let host = |text: &str| BadTarget::Host(text.to_owned());
        let cases = [
            ("example.com:0", port("example.com:0")),
            ("example.com:https", port("example.com:https")),
            ("[::1]8443", port("[::1]8443")),
            ("exa mple.com:443", host("exa mple.com:443")),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Target>(), Err(error), "{text}");
        }
    }
}
