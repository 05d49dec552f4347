//! One handshake message, put together from any split into records.
use std::borrow::Cow;

use crate::{
    client_hello::{HelloError, MAX_HELLO, MAX_RECORDS},
    record,
};

/// Bytes of a handshake header: type and length.
pub(crate) const HEADER: usize = 4;
/// Bytes of a hello's random.
pub(crate) const RANDOM: usize = 32;
/// The longest session id a hello carries (RFC 8446 section 4.1.2).
pub(crate) const MAX_SESSION_ID: usize = 32;

/// A whole message.
pub(crate) struct Message<'a> {
    /// The message with its header; borrowed when it came in one record.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Nothing else shares its last record.
    pub(crate) ends_record: bool,
}

/// Walks record headers until a message of type `kind` is whole. `Ok(None)` asks for more bytes and
/// costs a header walk: nothing is copied before the message is complete. The first byte that cannot
/// belong to such a message is the error, so a longer buffer never says otherwise.
pub(crate) fn from_records(buffer: &[u8], kind: u8) -> Result<Option<Message<'_>>, HelloError> {
    let mut head = Head::default();
    let mut have = 0;
    let mut rest = buffer;
    for index in 0..MAX_RECORDS {
        let Some((payload, len)) = next_record(rest)? else {
            return Ok(None);
        };
        head.push(payload);
        let whole = head.announced(kind)?;
        if let Some(whole) = whole.filter(|whole| have + payload.len() >= *whole) {
            return Ok(Some(Message {
                bytes: if index == 0 {
                    Cow::Borrowed(&payload[..whole])
                } else {
                    join(buffer, whole).into()
                },
                ends_record: have + len == whole,
            }));
        }
        if payload.len() < len {
            return Ok(None);
        }
        have += len;
        rest = &rest[record::HEADER + len..];
    }
    Err(HelloError::TooManyRecords)
}

/// A message of type `kind` at the start of a stream without record headers.
pub(crate) fn from_stream(buffer: &[u8], kind: u8) -> Result<Option<&[u8]>, HelloError> {
    let mut head = Head::default();
    head.push(buffer);
    let whole = head.announced(kind)?;
    Ok(whole.and_then(|whole| buffer.get(..whole)))
}

/// The first bytes of a message, gathered across records.
#[derive(Default)]
struct Head {
    bytes: [u8; HEADER],
    len: usize,
}

impl Head {
    fn push(&mut self, payload: &[u8]) {
        let n = payload.len().min(HEADER - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&payload[..n]);
        self.len += n;
    }

    /// The length of the whole message once it is known, header included.
    fn announced(&self, kind: u8) -> Result<Option<usize>, HelloError> {
        let [first, high, middle, low] = self.bytes;
        if self.len > 0 && first != kind {
            return Err(HelloError::NotAClientHello);
        }
        // Any byte of the length that is already too much settles it, before the rest is there.
        let so_far = HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
        if so_far > MAX_HELLO {
            return Err(HelloError::TooLong);
        }
        Ok((self.len == HEADER).then_some(so_far))
    }
}

/// The next record: what has arrived of its payload, and how long that will be.
fn next_record(rest: &[u8]) -> Result<Option<(&[u8], usize)>, HelloError> {
    if rest.first().is_some_and(|kind| *kind != record::HANDSHAKE)
        || rest.get(1).is_some_and(|major| *major != record::VERSION_MAJOR)
    {
        return Err(HelloError::NotAClientHello);
    }
    let Some((&[_, _, _, high, low], payload)) = rest.split_first_chunk::<{ record::HEADER }>() else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(HelloError::EmptyRecord),
        len if len > record::MAX_PLAINTEXT => Err(HelloError::RecordOverflow),
        len => Ok(Some((&payload[..len.min(payload.len())], len))),
    }
}

/// Copies a message of `whole` bytes out of records that were walked before.
fn join(buffer: &[u8], whole: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(whole);
    let mut rest = buffer;
    while let (Ok(Some((payload, len))), true) = (next_record(rest), message.len() < whole) {
        message.extend_from_slice(&payload[..payload.len().min(whole - message.len())]);
        rest = rest.get(record::HEADER + len..).unwrap_or_default();
    }
    message
}
