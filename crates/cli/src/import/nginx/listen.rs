//! `listen`: an address and what is spoken there.
use super::{super::draft::Note, grammar::Directive};

/// A `listen` directive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Listen {
    /// As our file names it: `0.0.0.0:443`, `[::]:443`, `unix:/run/x.sock`.
    pub(super) address: String,
    pub(super) speaks: Speaks,
    pub(super) is_default: bool,
    pub(super) proxy_protocol: bool,
    /// `[::]` that takes IPv4 too.
    pub(super) dual: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speaks {
    Plain,
    Tls,
    Quic,
}

/// What says nothing that matters here: sockets are tuned by themselves.
const TUNING: &[&str] = &[
    "http2",
    "reuseport",
    "deferred",
    "bind",
    "spdy",
    "backlog",
    "rcvbuf",
    "sndbuf",
    "fastopen",
    "so_keepalive",
    "ipv6only",
    "setfib",
];

impl Listen {
    /// nginx's own for a server that has none.
    pub(super) fn usual() -> Listen {
        Listen {
            address: "0.0.0.0:80".to_owned(),
            speaks: Speaks::Plain,
            is_default: false,
            proxy_protocol: false,
            dual: false,
        }
    }

    /// The port; None for a Unix socket.
    pub(super) fn port(&self) -> Option<u16> {
        self.address.rsplit_once(':')?.1.parse().ok()
    }

    /// Its IPv4 twin, where it takes both.
    pub(super) fn addresses(&self) -> Vec<String> {
        let twin = self.port().filter(|_| self.dual).map(|port| format!("0.0.0.0:{port}"));
        twin.into_iter().chain([self.address.clone()]).collect()
    }

    /// Reads a directive; what it says in vain is noted.
    pub(super) fn read(directive: &Directive) -> Result<Listen, Note> {
        let (first, parameters) = directive
            .words
            .split_first()
            .ok_or_else(|| directive.note("listens nowhere"))?;
        let address = address(first).ok_or_else(|| {
            directive.note("listening takes an IP address and one port: a name is looked up by nobody")
        })?;
        let mut listen = Listen {
            dual: address.starts_with("[::]:") && directive.parameter("ipv6only") == Some("off"),
            address,
            ..Listen::usual()
        };
        for parameter in parameters {
            match parameter.as_str() {
                "ssl" => listen.speaks = Speaks::Tls,
                "quic" => listen.speaks = Speaks::Quic,
                "default_server" | "default" => listen.is_default = true,
                "proxy_protocol" => listen.proxy_protocol = true,
                "udp" => return Err(directive.note("UDP is not relayed")),
                other if TUNING.contains(&other.split('=').next().unwrap_or(other)) => {}
                other => return Err(directive.note(format!("the parameter {other} is unknown here"))),
            }
        }
        Ok(listen)
    }
}

/// `443`, `*:443`, `127.0.0.1`, `[::1]:443`, `unix:PATH` as our file writes them.
fn address(text: &str) -> Option<String> {
    const USUAL_PORT: u16 = 80;
    if text.starts_with("unix:") {
        return Some(text.to_owned());
    }
    if let Ok(port) = text.parse::<u16>() {
        return Some(format!("0.0.0.0:{port}"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, USUAL_PORT),
    };
    let host = match host {
        "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host,
    };
    let address = format!("{host}:{port}");
    address.parse::<std::net::SocketAddr>().is_ok().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Result<Listen, String> {
        let directives = super::super::grammar::parse(text, Path::new("f")).unwrap();
        Listen::read(&directives[0]).map_err(|note| note.why)
    }

    #[test]
    fn every_form_of_listen_becomes_an_address_of_ours() {
        let table = [
            ("listen 443;", "0.0.0.0:443"),
            ("listen *:443;", "0.0.0.0:443"),
            ("listen 127.0.0.1;", "127.0.0.1:80"),
            ("listen [::];", "[::]:80"),
            ("listen [::1]:8443;", "[::1]:8443"),
            ("listen localhost:8080;", "127.0.0.1:8080"),
            ("listen unix:/run/x.sock;", "unix:/run/x.sock"),
            ("listen 80 reuseport backlog=511 so_keepalive=on;", "0.0.0.0:80"),
        ];
        for (text, address) in table {
            let expected = Listen {
                address: address.to_owned(),
                ..Listen::usual()
            };
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        let all = read("listen [::]:443 ssl default_server proxy_protocol ipv6only=off http2;").unwrap();
        assert_eq!(
            (all.speaks, all.is_default, all.proxy_protocol),
            (Speaks::Tls, true, true)
        );
        assert_eq!(all.addresses(), ["0.0.0.0:443", "[::]:443"]);
        assert_eq!(read("listen 443 quic;").unwrap().speaks, Speaks::Quic);
        for bad in [
            "listen;",
            "listen example.com:80;",
            "listen 53 udp;",
            "listen 8000-8010;",
            "listen 80 strange;",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
