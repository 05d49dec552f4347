//! Who a client is by its certificate: lists of names with wildcards, and pins of keys.
use crate::{identity::Certificate, negotiated::ClientCertificate, provider};
use std::fmt;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// An entry of `allow` or `deny`: a subject, a DNS name or a URI, each with wildcards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
    names: Names,
}

/// The SHA-256 of a public key (its SubjectPublicKeyInfo).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pin([u8; 32]);

/// Who of those that the CA vouches for may enter.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Lists {
    /// One of these must match, if there are any.
    pub allow: Vec<Pattern>,
    /// None of these may match; it wins over `allow`.
    pub deny: Vec<Pattern>,
    /// The key must be one of these, if there are any.
    pub pins: Vec<Pin>,
}

/// Why a text is no pattern or pin.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct PatternError {
    /// What is wrong.
    pub problem: &'static str,
    /// What to do.
    pub hint: &'static str,
}

/// What a pattern is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Names {
    /// Components of a distinguished name, each of one attribute or, rarely, several.
    Subject(Vec<Vec<(String, String)>>),
    Dns(String),
    Uri(String),
}

const FORMS: &str = "subject:CN=agent-7,O=Corp, DNS:agent-*, or URI:spiffe://corp/*";

impl Pattern {
    /// Reads `subject:CN=agent-7,O=Corp` (or the name alone), `DNS:agent-*` or `URI:spiffe://corp/*`.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let (kind, rest) = kind_of(text).ok_or(PatternError {
            problem: "says neither subject, DNS nor URI",
            hint: FORMS,
        })?;
        let rest = rest.trim();
        let names = match kind {
            "subject" => Names::Subject(subject(rest).ok_or(PatternError {
                problem: "is not a distinguished name",
                hint: "written as the log's client_subject: subject:CN=agent-7,O=Corp",
            })?),
            "dns" => Names::Dns(dns(rest)?),
            _ => Names::Uri(uri(rest)?),
        };
        let text = text.to_owned();
        Ok(Pattern { text, names })
    }

    /// The leaf of a chain bears such a name.
    pub fn matches(&self, leaf: &Certificate) -> bool {
        self.is_among(&leaf.subject, &leaf.dns_names, &leaf.uris)
    }

    /// The same of a certificate that a handshake proved.
    pub fn names(&self, client: &ClientCertificate) -> bool {
        self.is_among(&client.subject, &client.dns_names, &client.uris)
    }

    fn is_among(&self, name: &str, dns_names: &[String], uris: &[String]) -> bool {
        match &self.names {
            Names::Subject(pattern) => subject(name).is_some_and(|found| same_subject(pattern, &found)),
            Names::Dns(pattern) => {
                let of = |name: &String| segments(pattern, name.to_ascii_lowercase().trim_end_matches('.'), '.');
                dns_names.iter().any(of)
            }
            Names::Uri(pattern) => uris.iter().any(|uri| segments(pattern, uri, '/')),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pin {
    /// Reads `sha256:` and 32 bytes in hexadecimal (colons between them do not matter) or base64.
    pub fn parse(text: &str) -> Result<Pin, PatternError> {
        let digest = text.strip_prefix("sha256:").ok_or(PatternError {
            problem: "is not a pin",
            hint: "sha256: and the SHA-256 of the public key, in base64 or hexadecimal",
        })?;
        let bytes = hexadecimal(digest).or_else(|| base64(digest));
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Pin).ok_or(PatternError {
            problem: "does not hold 32 bytes",
            hint: "openssl x509 -in FILE -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256",
        })
    }

    /// The pin of a certificate's key.
    pub fn of(certificate: &[u8]) -> Option<Pin> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Pin(provider::sha256(parsed.public_key().raw)))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Lists {
    /// It admits some of those that the CA vouches for, so that nobody without a name can be among them.
    pub fn is_narrow(&self) -> bool {
        !self.allow.is_empty() || !self.pins.is_empty()
    }

    /// Nothing is listed.
    pub fn is_empty(&self) -> bool {
        !self.is_narrow() && self.deny.is_empty()
    }

    /// Why this client may not enter, if it may not. `deny` wins.
    pub(crate) fn refuse(&self, leaf: &Certificate, der: &[u8]) -> Option<String> {
        if !self.deny.is_empty() && !names_are_readable(der) {
            return Some("its alternative names cannot be read".to_owned());
        }
        if let Some(denied) = self.deny.iter().find(|pattern| pattern.matches(leaf)) {
            return Some(format!("denied by {denied}"));
        }
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches(leaf)) {
            return Some("matches no entry of allow".to_owned());
        }
        let pinned = || Pin::of(der).is_some_and(|pin| self.pins.contains(&pin));
        if !self.pins.is_empty() && !pinned() {
            return Some("its key is not pinned".to_owned());
        }
        None
    }

    /// Every entry with its list, for digests.
    pub(crate) fn entries(&self) -> impl Iterator<Item = String> {
        let allow = self.allow.iter().map(|pattern| format!("allow {pattern}"));
        let deny = self.deny.iter().map(|pattern| format!("deny {pattern}"));
        let pins = self.pins.iter().map(|pin| format!("pin {pin}"));
        allow.chain(deny).chain(pins)
    }
}

/// What we cannot read might be denied.
fn names_are_readable(certificate: &[u8]) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let is_read = |name: &GeneralName<'_>| !matches!(name, GeneralName::Invalid(..));
    match parsed.subject_alternative_name() {
        Ok(None) => true,
        Ok(Some(names)) => names.value.general_names.iter().all(is_read),
        Err(_) => false,
    }
}

/// The kind by its prefix; what begins like an attribute is a subject.
fn kind_of(text: &str) -> Option<(&'static str, &str)> {
    for kind in ["subject", "dns", "uri"] {
        match text.split_once(':') {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(kind) => return Some((kind, rest)),
            _ => {}
        }
    }
    let attribute = text.split_once('=')?.0;
    let is_type = |c: char| c.is_ascii_alphanumeric() || c == '.';
    (!attribute.is_empty() && attribute.chars().all(is_type)).then_some(("subject", text))
}

/// RFC 4514's text in its components. Values stay escaped, as they are in certificates we have read.
fn subject(text: &str) -> Option<Vec<Vec<(String, String)>>> {
    let component = |part: &str| -> Option<Vec<(String, String)>> { unescaped(part, '+').map(attribute).collect() };
    unescaped(text, ',').map(component).collect()
}

fn attribute(text: &str) -> Option<(String, String)> {
    let (kind, value) = text.split_once('=')?;
    let (kind, value) = (kind.trim(), value.trim());
    (!kind.is_empty() && !value.is_empty()).then(|| (kind.to_ascii_lowercase(), value.to_ascii_lowercase()))
}

/// Splits where no backslash stands before the separator.
fn unescaped(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c: char| {
        let splits = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
}

/// RFC 5280 7.1: letter case does not count in names.
fn same_subject(pattern: &[Vec<(String, String)>], found: &[Vec<(String, String)>]) -> bool {
    let attribute = |(wanted, there): (&(String, String), &(String, String))| {
        wanted.0 == there.0 && glob(wanted.1.as_bytes(), there.1.as_bytes())
    };
    let component =
        |(wanted, there): (&Vec<_>, &Vec<_>)| wanted.len() == there.len() && wanted.iter().zip(there).all(attribute);
    pattern.len() == found.len() && pattern.iter().zip(found).all(component)
}

fn dns(text: &str) -> Result<String, PatternError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._*".contains(c);
    match !text.is_empty() && text.chars().all(is_name) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(PatternError {
            problem: "is not a DNS name",
            hint: "letters, digits, - and dots; * stands for any part of one label",
        }),
    }
}

fn uri(text: &str) -> Result<String, PatternError> {
    let inner = text.strip_suffix("/**").unwrap_or(text);
    match text.contains("://") && !inner.contains("**") {
        true => Ok(text.to_owned()),
        false => Err(PatternError {
            problem: "is not a URI",
            hint: "URI:spiffe://corp/*: * stands for any part of one segment, ** at the end for all that follow",
        }),
    }
}

/// Segment by segment, so that no wildcard reaches over a separator but `**`, the last of a URI.
fn segments(pattern: &str, text: &str, separator: char) -> bool {
    let (mut wanted, mut found) = (pattern.split(separator), text.split(separator));
    loop {
        match (wanted.next(), found.next()) {
            (Some("**"), Some(_)) if separator == '/' => return true,
            (Some(wanted), Some(found)) if glob(wanted.as_bytes(), found.as_bytes()) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// `*` stands for any bytes. On a mismatch the last star takes one byte more: never more than both lengths' product.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p + 1, t));
                p += 1;
            }
            (Some(wanted), _) if *wanted == text[t] => {
                p += 1;
                t += 1;
            }
            (_, Some((after, taken))) => {
                star = Some((after, taken + 1));
                (p, t) = (after, taken + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
    let digit = |c: &char| c.to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pair = |pair: &[char]| match pair {
        [high, low] => Some(16 * digit(high)? + digit(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

/// Both alphabets of RFC 4648, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut bytes) = (0u32, 0u32, Vec::new());
    for c in text.trim_end_matches('=').chars() {
        let value = match c {
            'A'..='Z' => u32::from(c) - u32::from('A'),
            'a'..='z' => u32::from(c) - u32::from('a') + 26,
            '0'..='9' => u32::from(c) - u32::from('0') + 52,
            '+' | '-' => 62,
            '/' | '_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | value) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(subject: &str, dns: &[&str], uris: &[&str]) -> Certificate {
        let pem = include_bytes!("../testdata/p256.pem");
        let read = crate::identity::certificates_from_pem(pem).unwrap().remove(0).1;
        let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect();
        Certificate {
            subject: subject.to_owned(),
            dns_names: owned(dns),
            uris: owned(uris),
            ..read
        }
    }

    #[test]
    fn a_pattern_matches_whole_names_and_a_star_stays_in_its_part() {
        let agent = leaf(
            "CN=agent-7,O=Corp",
            &["agent-7.corp.test", "Agent-8"],
            &["spiffe://corp/ns/prod/agent-7", "spiffe://corp/agent-7"],
        );
        let table = [
            ("subject:CN=agent-7,O=Corp", true),
            ("CN=agent-7,O=Corp", true),
            ("subject:cn=AGENT-7, O=corp", true),
            ("subject:CN=agent-*,O=*", true),
            ("subject:CN=*", false),
            ("subject:CN=agent-7", false),
            ("subject:O=Corp,CN=agent-7", false),
            ("DNS:agent-*", true),
            ("dns:agent-7.*.test", true),
            ("DNS:*.test", false),
            ("DNS:a", false),
            ("DNS:agent-7", false),
            ("URI:spiffe://corp/*", true),
            ("URI:spiffe://corp/ns/*/agent-*", true),
            ("URI:spiffe://corp/ns/**", true),
            ("URI:spiffe://*/agent-7", true),
            ("URI:spiffe://corp", false),
            ("URI:spiffe://corp/ns/*", false),
            ("URI:spiffe://other/**", false),
        ];
        for (pattern, expected) in table {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(&agent), expected, "{pattern}");
        }
    }

    #[test]
    fn an_escaped_comma_does_not_make_a_component() {
        let sly = leaf("CN=agent-7\\,O=Corp", &[], &[]);
        assert!(!Pattern::parse("subject:CN=agent-7,O=Corp").unwrap().matches(&sly));
        assert!(Pattern::parse("subject:CN=agent-7\\,O=Corp").unwrap().matches(&sly));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "agent-7",
            "IP:10.0.0.1",
            "sha256:00",
            "subject:",
            "subject:CN",
            "DNS:",
            "DNS:a b",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        for text in ["URI:corp", "URI:spiffe://**/a", "URI:spiffe://corp/a**"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_takes_as_much_as_it_must() {
        let table = [
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*a", "banana", true),
            ("a", "ab", false),
            ("ab", "a", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn deny_wins_over_allow_and_pins_narrow() {
        let pem = include_bytes!("../testdata/p256.pem");
        let (der, _) = crate::identity::certificates_from_pem(pem).unwrap().remove(0);
        let agent = leaf("CN=agent-7", &["agent-7"], &[]);
        let pattern = |text| vec![Pattern::parse(text).unwrap()];
        let pin = Pin::of(&der).unwrap();
        let other = Pin::parse(&format!("sha256:{}", "00".repeat(32))).unwrap();
        let refused = |allow, deny, pins| Lists { allow, deny, pins }.refuse(&agent, &der).is_some();
        assert!(!refused(vec![], vec![], vec![]));
        assert!(!refused(pattern("DNS:agent-*"), vec![], vec![pin]));
        assert!(refused(pattern("DNS:agent-*"), pattern("CN=agent-7"), vec![pin]));
        assert!(refused(pattern("DNS:other"), vec![], vec![]));
        assert!(refused(vec![], vec![], vec![other]));
        assert!(refused(pattern("DNS:agent-*"), vec![], vec![other]));
    }

    #[test]
    fn names_that_cannot_be_read_are_taken_for_denied_ones() {
        let issue = |content: Vec<u8>| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            let san = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
            params.custom_extensions.push(san);
            params.self_signed(&key).unwrap().der().to_vec()
        };
        let deny = Lists {
            deny: vec![Pattern::parse("DNS:agent-7").unwrap()],
            ..Lists::default()
        };
        let refused = |lists: &Lists, der: &[u8]| lists.refuse(&Certificate::from_der(der).unwrap(), der).is_some();
        // dNSName "a"; the same cut off; a DNS name that is no IA5String
        let (good, cut, strange) = (
            vec![0x30, 3, 0x82, 1, 0x61],
            vec![0x30, 3, 0x82, 9],
            vec![0x30, 3, 0x82, 1, 0xff],
        );
        assert!(!refused(&deny, &issue(good)));
        for bad in [cut, strange].map(issue) {
            assert!(refused(&deny, &bad));
            assert!(!refused(&Lists::default(), &bad), "nothing is denied");
        }
    }

    #[test]
    fn a_pin_reads_alike_in_hexadecimal_and_base64() {
        // SHA-256 of nothing
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = Pin::parse(&format!("sha256:{hex}")).unwrap();
        let colons: Vec<&str> = (0..32).map(|at| &hex[2 * at..2 * at + 2]).collect();
        let base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        let url = base64.replace('+', "-").replace('/', "_");
        for form in [
            colons.join(":"),
            format!("{base64}="),
            base64.to_owned(),
            url,
            hex.to_uppercase(),
        ] {
            assert_eq!(Pin::parse(&format!("sha256:{form}")), Ok(expected), "{form}");
        }
        assert_eq!(expected.to_string(), format!("sha256:{hex}"));
        for bad in ["", "sha1:00", "sha256:", "sha256:00", "sha256:!", hex] {
            assert!(Pin::parse(bad).is_err(), "{bad}");
        }
    }
}
