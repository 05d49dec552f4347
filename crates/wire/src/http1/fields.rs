use super::{
    Bad, Hop, Version, is_token,
    lines::{LONG_HEAD, Lines, MAX_HEAD},
    token::{is_field_value, is_same_to_a_gateway, is_token_byte, trimmed},
};

/// The most fields of a head: Apache's number, and hyper's.
pub const MAX_FIELDS: usize = 100;

/// One field of a head.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Field<'a> {
    /// As it was written.
    pub name: &'a str,
    /// Without the blanks around it.
    pub value: &'a [u8],
}

/// Room for a head's fields.
pub type Fields<'a> = [Field<'a>; MAX_FIELDS];

/// `[NO_FIELD; MAX_FIELDS]` is room for a head's fields.
pub const NO_FIELD: Field<'static> = Field { name: "", value: b"" };

/// What the fields of one head say about the message itself.
#[derive(Default)]
pub(super) struct Facts<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) hop: Hop<'a>,
    pub(super) upgrade: Option<&'a [u8]>,
    pub(super) expect: Option<&'a [u8]>,
}

/// Reads the field lines and the empty line that ends them; how many there are, and what they say.
pub(super) fn read<'a>(lines: &mut Lines<'a>, into: &mut Fields<'a>) -> Result<Option<(usize, Facts<'a>)>, Bad> {
    let (mut count, mut facts) = (0, Facts::default());
    while let Some(line) = lines.next(MAX_HEAD, LONG_HEAD)? {
        if line.is_empty() {
            return Ok(Some((count, facts)));
        }
        let (name, value) = halves(line)?;
        let field = Field {
            name: lines.text(line, name.len()).ok_or(NO_TOKEN)?,
            value,
        };
        facts.note(&field)?;
        *into
            .get_mut(count)
            .ok_or(Bad::new(431, "the head has more than 100 fields"))? = field;
        count += 1;
    }
    Ok(None)
}

/// One field line (RFC 9112 section 5).
pub(super) fn field(line: &[u8]) -> Result<Field<'_>, Bad> {
    let (name, value) = halves(line)?;
    Ok(Field {
        name: std::str::from_utf8(name).map_err(|_| NO_TOKEN)?,
        value,
    })
}

fn halves(line: &[u8]) -> Result<(&[u8], &[u8]), Bad> {
    // What ends the token must be the colon.
    let end = line.iter().position(|&byte| !is_token_byte(byte));
    let (name, value) = match end.map(|end| line.split_at(end)) {
        Some((name @ [_, ..], [b':', value @ ..])) => (name, trimmed(value)),
        Some(([], [b' ' | b'\t', ..])) => return Err(Bad::syntax("a line begins with a blank")),
        Some(_) => return Err(NO_TOKEN),
        None => return Err(Bad::syntax("a field has no colon")),
    };
    if is_field_value(value) {
        Ok((name, value))
    } else {
        Err(Bad::syntax("a field's value holds a control byte"))
    }
}

const NO_TOKEN: Bad = Bad::syntax("a field's name is no token");

impl<'a> Facts<'a> {
    /// The two ways to say where the body ends stand in each other's way, and HTTP/1.0 knows but one.
    pub(super) fn checked_for(&self, version: Version) -> Result<(), Bad> {
        match (self.chunked, self.length, version) {
            (true, Some(_), _) => Err(Bad::syntax("both Content-Length and Transfer-Encoding")),
            (true, None, Version::Http10) => Err(Bad::syntax("Transfer-Encoding in HTTP/1.0")),
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 9.3.
    pub(super) fn persists(&self, version: Version) -> bool {
        !self.hop.closes() && (version == Version::Http11 || self.hop.keeps_alive())
    }

    /// `Upgrade`, where `Connection` says that it is meant.
    pub(super) fn upgrade(&self, version: Version) -> Option<&'a [u8]> {
        // RFC 9110 section 7.8: not in HTTP/1.0.
        let is_meant = version == Version::Http11 && self.hop.names("upgrade");
        // An upgrade to h2c is never passed on: what follows would be requests that nobody here reads.
        let is_ours = |value: &&[u8]| !value.is_empty() && !elements(value).any(|one| one.eq_ignore_ascii_case(b"h2c"));
        self.upgrade.filter(|_| is_meant).filter(is_ours)
    }

    fn note(&mut self, field: &Field<'a>) -> Result<(), Bad> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            4 if is("host") => once(&mut self.host, field.value, "two Host fields"),
            6 if is("expect") => once(&mut self.expect, field.value, "two Expect fields"),
            7 if is("upgrade") => once(&mut self.upgrade, upgrade(field.value)?, "two Upgrade fields"),
            10 if is("connection") => self.hop.add(field.value),
            14 if is("content-length") => once(&mut self.length, length(field.value)?, "two Content-Length fields"),
            17 if is("transfer-encoding") => self.transfer_encoding(field.value),
            14 | 17 if is_length_to_a_gateway(field.name) => Err(Bad::syntax("a length's name with an underscore")),
            _ => Ok(()),
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Bad> {
        if std::mem::replace(&mut self.chunked, true) {
            return Err(Bad::syntax("two Transfer-Encoding fields"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            return Ok(());
        }
        let is_last = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let is_well_formed =
            elements(value).all(is_token) && elements(value).filter(|coding| is_last(coding)).count() == 1;
        if is_well_formed && elements(value).last().is_some_and(is_last) {
            return Err(Bad::new(501, "a transfer coding other than chunked"));
        }
        // RFC 9112 section 6.3: the end of such a body cannot be known.
        Err(Bad::syntax("Transfer-Encoding does not end in chunked"))
    }
}

/// A field that may stand once: a second one is refused, an equal one too.
fn once<T>(place: &mut Option<T>, value: T, again: &'static str) -> Result<(), Bad> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Bad::syntax(again)),
    }
}

/// A plain decimal number without leading zeros. RFC 9112 section 6.3 lets equal lists pass; nobody needs them.
fn length(value: &[u8]) -> Result<u64, Bad> {
    const WRONG: Bad = Bad::syntax("Content-Length is no plain number");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) || (value.len() > 1 && value[0] == b'0') {
        return Err(WRONG);
    }
    // Up to 18 digits also fit what counts with a sign.
    if value.len() > 18 {
        return Err(Bad::new(413, "Content-Length is beyond all bounds"));
    }
    Ok(value
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// A list of protocols, each with a version or without (RFC 9110 section 7.8).
fn upgrade(value: &[u8]) -> Result<&[u8], Bad> {
    let is_protocol = |one: &[u8]| match one.iter().position(|&byte| byte == b'/') {
        Some(slash) => is_token(&one[..slash]) && is_token(&one[slash + 1..]),
        None => one.is_empty() || is_token(one),
    };
    if elements(value).all(is_protocol) {
        Ok(value)
    } else {
        Err(Bad::syntax("Upgrade is no list of protocols"))
    }
}

fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trimmed)
}

fn is_length_to_a_gateway(name: &str) -> bool {
    ["content-length", "transfer-encoding"]
        .iter()
        .any(|length| is_same_to_a_gateway(name, length))
}
