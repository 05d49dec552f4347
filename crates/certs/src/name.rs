use crate::Error;
use std::{fmt, net::IpAddr, str::FromStr};

/// A name that a certificate holds: what clients type to reach a server, or who a client is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Name {
    /// A DNS name in lower case; its first label may be `*`.
    Dns(String),
    /// An address.
    Address(IpAddr),
    /// A URI: `spiffe://corp/agent-7`.
    Uri(String),
    /// A mail address.
    Email(String),
}

/// RFC 1035 section 2.3.4.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

impl FromStr for Name {
    type Err = Error;

    /// By its form: an address (IPv6 with or without brackets), a URI, a mail address, else a DNS name in any letter
    /// case. OpenSSL's `DNS:`, `IP:`, `URI:` and `email:` before it are understood.
    fn from_str(typed: &str) -> Result<Name, Error> {
        let bad = |problem| Error::BadName {
            name: typed.to_owned(),
            problem,
        };
        let (form, text) = form_of(typed);
        match form {
            Form::Uri => uri_problem(text).map_or(Ok(Name::Uri(text.to_owned())), |problem| Err(bad(problem))),
            Form::Email => email_problem(text).map_or(Ok(Name::Email(text.to_owned())), |problem| Err(bad(problem))),
            Form::Address if address(text).is_none() => Err(bad("it is not an address")),
            Form::Address | Form::Host => host(text).map_err(bad),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) | Name::Uri(name) | Name::Email(name) => f.write_str(name),
            Name::Address(address) => address.fmt(f),
        }
    }
}

#[derive(Clone, Copy)]
enum Form {
    Host,
    Address,
    Uri,
    Email,
}

fn form_of(typed: &str) -> (Form, &str) {
    let prefixes = [
        ("DNS:", Form::Host),
        ("IP:", Form::Address),
        ("URI:", Form::Uri),
        ("email:", Form::Email),
    ];
    for (prefix, form) in prefixes {
        let head = typed.get(..prefix.len());
        if head.is_some_and(|head| head.eq_ignore_ascii_case(prefix)) {
            return (form, &typed[prefix.len()..]);
        }
    }
    match typed {
        uri if uri.contains("://") || uri.starts_with("urn:") => (Form::Uri, uri),
        mail if mail.contains('@') => (Form::Email, mail),
        host => (Form::Host, host),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

fn host(text: &str) -> Result<Name, &'static str> {
    if let Some(address) = address(text) {
        return Ok(Name::Address(address));
    }
    let lower = text.to_ascii_lowercase();
    dns_problem(&lower).map_or(Ok(Name::Dns(lower)), Err)
}

/// RFC 5280 section 4.2.1.6: a scheme and what follows it, in ASCII.
fn uri_problem(uri: &str) -> Option<&'static str> {
    let scheme = uri.split_once(':').filter(|(scheme, rest)| {
        let letters = scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        letters && scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && !rest.is_empty()
    });
    if scheme.is_none() {
        Some("a URI needs a scheme and something after it, as in spiffe://corp/agent-7")
    } else if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("a URI has only printable ASCII, without spaces")
    } else {
        None
    }
}

fn email_problem(mail: &str) -> Option<&'static str> {
    let parts = mail.rsplit_once('@');
    let good = |(local, domain): (&str, &str)| {
        !local.is_empty()
            && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
            && dns_problem(domain).is_none()
    };
    match parts.is_some_and(good) {
        true => None,
        false => Some("a mail address is of the form name@example.com"),
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
            ("IP:127.0.0.1", Name::Address([127, 0, 0, 1].into())),
            ("dns:a.example", dns("a.example")),
            ("spiffe://corp/agent-7", Name::Uri("spiffe://corp/agent-7".to_owned())),
            ("URI:urn:x:y", Name::Uri("urn:x:y".to_owned())),
            ("ops@example.com", Name::Email("ops@example.com".to_owned())),
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
            "://x",
            "spiffe://a b",
            "@example.com",
            "a@b@example.com",
            "IP:example.com",
            &long_label,
            &long_name,
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
