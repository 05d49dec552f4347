use super::{
    Bad, Chunks, Field, Fields, Framing, Hop, Version,
    fields::{self, Facts},
    is_field_value,
    lines::{Lines, MAX_FIRST_LINE},
};

/// What a response answers, which decides about its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// HEAD: no body, whatever the lengths say.
    Head,
    /// CONNECT: a 2xx begins a tunnel.
    Connect,
    /// A request with `Upgrade`: a 101 begins another protocol.
    Upgrade,
    /// Any other.
    Other,
}

/// A response's head, checked.
#[derive(PartialEq, Debug)]
pub struct ResponseHead<'a> {
    /// 100 to 999.
    pub status: u16,
    /// What was written behind the status; empty where that is not ASCII.
    pub reason: &'a str,
    /// The version of this message.
    pub version: Version,
    /// All fields in order, those of this hop too.
    pub fields: &'a [Field<'a>],
    /// Where the body ends; what follows a 101, and a 2xx to CONNECT, is until the close.
    pub framing: Framing,
    /// Whether the server would take another request on this connection.
    pub persists: bool,
    /// Which other fields are of this hop alone.
    pub hop: Hop<'a>,
    /// The bytes of the head.
    pub length: usize,
}

impl ResponseHead<'_> {
    /// Whether another response to the same request follows: 1xx, but not 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Reads a response's head from the front of `bytes`; `None` when more are needed.
pub fn response<'a>(
    bytes: &'a [u8],
    fields: &'a mut Fields<'a>,
    asked: Asked,
) -> Result<Option<ResponseHead<'a>>, Bad> {
    let mut lines = Lines::new(bytes);
    let Some(line) = lines.next(MAX_FIRST_LINE, LONG_LINE)? else {
        return Ok(None);
    };
    let (version, status, reason) = status_line(line)?;
    let Some((count, facts)) = fields::read(&mut lines, fields)? else {
        return Ok(None);
    };
    facts.checked_for(version)?;
    let framing = framing(status, &facts, asked)?;
    Ok(Some(ResponseHead {
        status,
        reason,
        version,
        persists: facts.persists(version) && framing != Framing::UntilClose && !has_unlawful_body(status, &facts),
        framing,
        hop: facts.hop,
        fields: &fields[..count],
        length: lines.length(),
    }))
}

const LONG_LINE: Bad = Bad::new(431, "the status line is longer than 16 KiB");

/// RFC 9112 section 4; the reason, and the space before it, may be missing.
fn status_line(line: &[u8]) -> Result<(Version, u16, &str), Bad> {
    let (version, rest) = line
        .split_at_checked(8)
        .ok_or(Bad::syntax("the status line is too short"))?;
    let version = super::version(version)?;
    let (status, reason) = match rest {
        [b' ', hundreds, tens, ones] => ([hundreds, tens, ones], &b""[..]),
        [b' ', hundreds, tens, ones, b' ', reason @ ..] => ([hundreds, tens, ones], reason),
        _ => return Err(Bad::syntax("the status line is not a version, a status and a reason")),
    };
    if !status.iter().all(|digit| digit.is_ascii_digit()) || *status[0] == b'0' {
        return Err(Bad::syntax("the status is not a number from 100 to 999"));
    }
    if !is_field_value(reason) {
        return Err(Bad::syntax("the reason holds a control byte"));
    }
    let status = status
        .iter()
        .fold(0, |number, &digit| number * 10 + u16::from(digit - b'0'));
    Ok((
        version,
        status,
        std::str::from_utf8(reason)
            .ok()
            .filter(|reason| reason.is_ascii())
            .unwrap_or_default(),
    ))
}

/// RFC 9112 section 6.3.
fn framing(status: u16, facts: &Facts<'_>, asked: Asked) -> Result<Framing, Bad> {
    match status {
        101 if asked == Asked::Upgrade => return Ok(Framing::UntilClose),
        101 => return Err(Bad::syntax("a 101 that nobody asked for")),
        100..200 if facts.chunked || facts.length.is_some_and(|length| length > 0) => {
            return Err(Bad::syntax("an interim response with a body"));
        }
        200..300 if asked == Asked::Connect => return Ok(Framing::UntilClose),
        100..200 | 204 | 304 => return Ok(Framing::Empty),
        _ if asked == Asked::Head => return Ok(Framing::Empty),
        _ => {}
    }
    Ok(match facts.length {
        _ if facts.chunked => Framing::Chunked(Chunks::default()),
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    })
}

/// A 204 that announces a body may be followed by one (RFC 9112 section 6.1 forbids it): the connection is not used again.
fn has_unlawful_body(status: u16, facts: &Facts<'_>) -> bool {
    status == 204 && (facts.chunked || facts.length.is_some_and(|length| length > 0))
}
