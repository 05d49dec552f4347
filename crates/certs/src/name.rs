use crate::Error;
use std::{fmt, net::IpAddr, str::FromStr};

/// A name that a server certificate holds: what clients type to reach the server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Name {
    /// A DNS name in lower case; its first label may be `*`.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

/// RFC 1035 section 2.3.4.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

impl FromStr for Name {
    type Err = Error;

    /// An address (IPv6 with or without brackets), else a DNS name in any letter case.
    fn from_str(text: &str) -> Result<Name, Error> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Name::Address(address));
        }
        let lower = text.to_ascii_lowercase();
        match dns_problem(&lower) {
            None => Ok(Name::Dns(lower)),
            Some(problem) => Err(Error::BadName {
                name: text.to_owned(),
                problem,
            }),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) => f.write_str(name),
            Name::Address(address) => address.fmt(f),
        }
    }
}

fn dns_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > MAX_NAME {
        return Some("it is longer than 253 characters");
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    host.split('.').find_map(label_problem)
}

fn label_problem(label: &str) -> Option<&'static str> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if label.is_empty() {
        Some("a part between dots is empty")
    } else if label.len() > MAX_LABEL {
        Some("a part between dots is longer than 63 characters")
    } else if !label.bytes().all(is_inner) {
        Some("only letters, digits, \"-\" and \"_\" can stand in a DNS name, and \"*.\" before it")
    } else if label.starts_with('-') || label.ends_with('-') {
        Some("a part between dots begins or ends with \"-\"")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_addresses_or_dns_names() {
        let dns = |name: &str| Name::Dns(name.to_owned());
        let cases = [
            ("localhost", dns("localhost")),
            ("Shop.Example.COM", dns("shop.example.com")),
            ("*.example.com", dns("*.example.com")),
            ("127.0.0.1", Name::Address([127, 0, 0, 1].into())),
            ("[::1]", Name::Address("::1".parse().unwrap())),
            ("::1", Name::Address("::1".parse().unwrap())),
        ];
        for (text, name) in cases {
            assert_eq!(text.parse::<Name>().unwrap(), name, "{text}");
        }
    }

    #[test]
    fn what_no_client_could_ask_for_is_refused() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "a";
        for text in [
            "",
            ".",
            "a..b",
            "a b",
            "*",
            "*.",
            "a.*.b",
            "-a.example",
            "a-.example",
            "bücher.example",
            &long_label,
            &long_name,
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
