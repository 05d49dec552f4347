use crate::Error;
use rcgen::{DistinguishedName, DnType, DnValue};
use std::str::FromStr;
use x509_parser::{
    asn1_rs::Tag,
    objects::{oid_registry, oid2abbrev},
    x509::{AttributeTypeAndValue, X509Name},
};

/// Who a certificate is about: its parts in the order of their encoding, the common name last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject(DistinguishedName);

/// RFC 5280 appendix A, ub-common-name: more than this does not go into a common name.
const MAX_COMMON_NAME: usize = 64;

/// The kinds of parts that can be typed.
static KINDS: [(&str, DnType); 6] = [
    ("CN", DnType::CommonName),
    ("O", DnType::OrganizationName),
    ("OU", DnType::OrganizationalUnitName),
    ("C", DnType::CountryName),
    ("L", DnType::LocalityName),
    ("ST", DnType::StateOrProvinceName),
];

impl Subject {
    /// A common name and nothing else.
    pub fn common_name(name: &str) -> Result<Subject, Error> {
        from_parts(name, vec![(DnType::CommonName, name.to_owned())])
    }

    /// The same bytes that a certificate or request has; None when it has what the writer below cannot repeat.
    pub(crate) fn repeat(name: &X509Name<'_>) -> Option<Subject> {
        let mut out = DistinguishedName::new();
        for rdn in name.iter_rdn() {
            let mut parts = rdn.iter();
            let (part, more) = (parts.next()?, parts.next());
            let kind = DnType::from_oid(&part.attr_type().iter()?.collect::<Vec<u64>>());
            // the writer keeps one part of each kind, alone in its set
            if more.is_some() || out.get(&kind).is_some() {
                return None;
            }
            out.push(kind, value(part)?);
        }
        Some(Subject(out))
    }

    pub(crate) fn into_name(self) -> DistinguishedName {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().next().is_none()
    }
}

impl FromStr for Subject {
    type Err = Error;

    /// RFC 4514: `CN=agent-7,O=Corp`, a backslash before a comma that belongs to a value. A text without `=` is a
    /// common name.
    fn from_str(text: &str) -> Result<Subject, Error> {
        if !text.contains('=') {
            return Subject::common_name(text);
        }
        let part = |part: &String| {
            let (kind, value) = part.split_once('=')?;
            let known = KINDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(kind.trim()))?;
            Some((known.1.clone(), value.trim().to_owned()))
        };
        let parts: Option<Vec<_>> = split(text).iter().map(part).collect();
        let Some(mut parts) = parts else {
            return Err(bad(
                text,
                "it is made of CN=, O=, OU=, C=, L= and ST=, with commas between",
            ));
        };
        // what is written first is encoded last
        parts.reverse();
        from_parts(text, parts)
    }
}

/// For people, in RFC 4514's order; who prints it escapes it.
pub(crate) fn text(name: &X509Name<'_>) -> String {
    let part = |part: &AttributeTypeAndValue<'_>| {
        let kind = oid2abbrev(part.attr_type(), oid_registry())
            .map_or_else(|_| part.attr_type().to_id_string(), str::to_owned);
        format!("{kind}={}", String::from_utf8_lossy(part.as_slice()))
    };
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(part).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

fn from_parts(text: &str, parts: Vec<(DnType, String)>) -> Result<Subject, Error> {
    let mut out = DistinguishedName::new();
    for (kind, value) in parts {
        if value.is_empty() {
            return Err(bad(text, "a part of it is empty"));
        }
        if value.chars().count() > MAX_COMMON_NAME {
            return Err(bad(text, "a part of it is longer than 64 characters"));
        }
        if out.get(&kind).is_some() {
            return Err(bad(text, "a part of it stands there twice"));
        }
        match kind {
            DnType::CountryName => out.push(
                DnType::CountryName,
                country(&value).ok_or_else(|| bad(text, "C takes two letters"))?,
            ),
            kind => out.push(kind, value),
        }
    }
    Ok(Subject(out))
}

fn country(text: &str) -> Option<DnValue> {
    let letters = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let printable = text.to_ascii_uppercase().as_str().try_into().ok()?;
    letters.then_some(DnValue::PrintableString(printable))
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('\\', Some(part)) => part.extend(characters.next()),
            (',', _) => parts.push(String::new()),
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    parts
}

fn value(part: &AttributeTypeAndValue<'_>) -> Option<DnValue> {
    let text = std::str::from_utf8(part.as_slice()).ok()?;
    Some(match part.attr_value().header.tag() {
        Tag::Utf8String => DnValue::Utf8String(text.to_owned()),
        Tag::PrintableString => DnValue::PrintableString(text.try_into().ok()?),
        Tag::Ia5String => DnValue::Ia5String(text.try_into().ok()?),
        _ => return None,
    })
}

fn bad(subject: &str, problem: &'static str) -> Error {
    Error::BadSubject {
        subject: subject.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_encoded_from_its_end() {
        let subject: Subject = "CN=agent-7, O=Corp\\, Inc,c=de".parse().unwrap();
        let kinds: Vec<_> = subject.0.iter().map(|(kind, _)| kind.clone()).collect();
        assert_eq!(
            kinds,
            [DnType::CountryName, DnType::OrganizationName, DnType::CommonName]
        );
        let organization = subject.0.get(&DnType::OrganizationName);
        assert_eq!(organization, Some(&DnValue::Utf8String("Corp, Inc".to_owned())));
    }

    #[test]
    fn a_text_without_parts_is_a_common_name() {
        let subject: Subject = "Shop root".parse().unwrap();
        assert_eq!(subject.0.get(&DnType::CommonName), Some(&"Shop root".into()));
    }

    #[test]
    fn what_no_name_can_hold_is_refused() {
        let long = "a".repeat(65);
        for text in ["", "CN=", "CN=a,CN=b", "X=a", "C=Germany", "CN=a,,O=b", &long] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
