use super::{
    Bad, Chunks, Field, Fields, Framing, Hop, Target, Version,
    fields::{self, Facts},
    is_host, is_method,
    lines::{Lines, MAX_FIRST_LINE},
    target::target,
};

/// A request's head, checked.
#[derive(PartialEq, Debug)]
pub struct RequestHead<'a> {
    /// Letters, digits, `-` and `_`; never `CONNECT`, and no `head` but `HEAD`.
    pub method: &'a str,
    /// What is asked for.
    pub target: Target<'a>,
    /// The version of this message.
    pub version: Version,
    /// Host and perhaps port, as written; empty only in HTTP/1.0.
    pub host: &'a str,
    /// All fields in order, `Host` and those of this hop too.
    pub fields: &'a [Field<'a>],
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client would send another request on this connection.
    pub persists: bool,
    /// Which other fields are of this hop alone.
    pub hop: Hop<'a>,
    /// Whether the client waits for a 100 before it sends the body.
    pub expects_continue: bool,
    /// The protocols that the client would go on with. Never h2c, nor without `Connection: upgrade`.
    pub upgrade: Option<&'a [u8]>,
    /// The bytes of the head, an empty line before it included.
    pub length: usize,
}

/// Reads a request's head from the front of `bytes`; `None` when more are needed. What is refused is refused
/// however the bytes are cut; see [`super::Awaited`] for when to call again.
pub fn request<'a>(bytes: &'a [u8], fields: &'a mut Fields<'a>) -> Result<Option<RequestHead<'a>>, Bad> {
    let mut lines = Lines::new(bytes);
    lines.skip_an_empty_line();
    let Some(line) = lines.next(MAX_FIRST_LINE, LONG_LINE)? else {
        return Ok(None);
    };
    let (method, asked, version) = request_line(line)?;
    let (target, authority) = target(method, asked)?;
    let Some((count, facts)) = fields::read(&mut lines, fields)? else {
        return Ok(None);
    };
    facts.checked_for(version)?;
    Ok(Some(RequestHead {
        method,
        target,
        version,
        host: host(authority, &facts, version)?,
        framing: framing(&facts),
        persists: facts.persists(version),
        hop: facts.hop,
        expects_continue: expects_continue(&facts, version)?,
        upgrade: facts.upgrade(version),
        fields: &fields[..count],
        length: lines.length(),
    }))
}

const LONG_LINE: Bad = Bad::new(414, "the request line is longer than 16 KiB");

/// The registered methods have at most 17 letters (`UPDATEREDIRECTREF`).
const LONGEST_METHOD: usize = 32;

/// RFC 9112 section 3: three words and two spaces.
fn request_line(line: &[u8]) -> Result<(&str, &[u8], Version), Bad> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Bad::syntax("the request line is not three words with a space between"));
    };
    if !is_method(method) {
        return Err(Bad::syntax("the method holds an odd byte"));
    }
    if method.len() > LONGEST_METHOD {
        return Err(Bad::new(501, "the method is longer than any known"));
    }
    let version = super::version(version)?;
    let method = std::str::from_utf8(method).map_err(|_| Bad::syntax("the method holds an odd byte"))?;
    if method.eq_ignore_ascii_case("CONNECT") {
        return Err(Bad::new(501, "CONNECT is for forward proxies"));
    }
    // Some servers fold case, and an answer to HEAD ends elsewhere than any other.
    if method != "HEAD" && method.eq_ignore_ascii_case("HEAD") {
        return Err(Bad::syntax("HEAD in small letters"));
    }
    Ok((method, target, version))
}

/// RFC 9112 section 3.2. A host that is named twice must be the same.
fn host<'a>(authority: Option<&'a str>, facts: &Facts<'a>, version: Version) -> Result<&'a str, Bad> {
    let Some(host) = facts.host else {
        return match version {
            Version::Http11 => Err(Bad::syntax("no Host field")),
            Version::Http10 => Ok(authority.unwrap_or_default()),
        };
    };
    if !is_host(host) {
        return Err(Bad::syntax("the Host field is no host"));
    }
    if authority.is_some_and(|authority| !authority.as_bytes().eq_ignore_ascii_case(host)) {
        return Err(Bad::syntax("the target and the Host field disagree"));
    }
    std::str::from_utf8(host).map_err(|_| Bad::syntax("the Host field is no host"))
}

/// RFC 9112 section 6.3: a request never ends with the connection.
fn framing(facts: &Facts<'_>) -> Framing {
    match facts.length {
        _ if facts.chunked => Framing::Chunked(Chunks::default()),
        Some(length) => Framing::Length(length),
        None => Framing::Empty,
    }
}

/// RFC 9110 section 10.1.1.
fn expects_continue(facts: &Facts<'_>, version: Version) -> Result<bool, Bad> {
    match facts.expect {
        None => Ok(false),
        Some(_) if version == Version::Http10 => Ok(false),
        Some(expected) if expected.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Bad::new(417, "Expect asks for what is unknown")),
    }
}
