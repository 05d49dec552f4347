//! What a server says first, as it passes: a retry perhaps, and its hello.
use portcullis_tls::negotiated::{Authentication, ClientAuthentication, Negotiated, Version};
use portcullis_wire::{
    client_hello::HelloError,
    server_hello::{self, Progress, ServerHello},
};

/// A server's words until its hello is whole.
#[derive(Default)]
pub(super) struct FirstWords {
    /// What has not been read for good: from the beginning of a message.
    bytes: Vec<u8>,
    retry: bool,
}

/// What they come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// More must come.
    More,
    /// What it chose.
    Hello(Box<Negotiated>),
    /// An alert, or what is no TLS: nothing to see.
    Nothing,
}

/// A retry is one record, and its hello another; what comes before both are whole is a few hundred bytes.
const MOST: usize = 16 * 1024;

impl FirstWords {
    /// Takes what came next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Said {
        self.bytes.extend_from_slice(bytes);
        loop {
            match server_hello::from_records(&self.bytes) {
                Ok(Progress::Complete(hello)) if hello.retry && !self.retry => {
                    self.retry = true;
                    if let Some(rest) = behind_a_message(&self.bytes) {
                        self.bytes.drain(..rest);
                    }
                }
                Ok(Progress::Complete(hello)) => return said(&hello, self.retry),
                Ok(Progress::Incomplete) if self.bytes.len() <= MOST => return Said::More,
                // middleboxes are told a change of ciphers that is none (RFC 8446 D.4)
                Err(HelloError::NotAClientHello) if self.retry && self.bytes.first() == Some(&CHANGE_CIPHER_SPEC) => {
                    match record_length(&self.bytes).filter(|length| *length <= self.bytes.len()) {
                        Some(length) => _ = self.bytes.drain(..length),
                        None => return Said::More,
                    }
                }
                Ok(Progress::Incomplete | Progress::Alert(_)) | Err(_) => return Said::Nothing,
            }
        }
    }
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const HEADER: usize = 5;

fn record_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(3..HEADER)?;
    Some(HEADER + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// Where the records of a whole message end.
fn behind_a_message(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut have) = (0, 0);
    let mut whole = None;
    while whole.is_none_or(|whole| have < whole) {
        let length = record_length(&bytes[at..])?;
        let payload = bytes.get(at + HEADER..at + length)?;
        // a record of less than a header of a message is nothing that a server sends
        let head: Option<[u8; 4]> = payload.get(..4).and_then(|head| head.try_into().ok());
        whole = whole
            .or_else(|| head.map(|[_, high, middle, low]| 4 + u32::from_be_bytes([0, high, middle, low]) as usize));
        whole?;
        have += payload.len();
        at += length;
    }
    Some(at)
}

/// In TLS 1.2 nothing can be signed with ML-DSA; in 1.3 the certificate is encrypted.
fn said(hello: &ServerHello, retry: bool) -> Said {
    let version = match hello.version {
        0x0304 => Version::Tls13,
        0x0303 => Version::Tls12,
        _ => return Said::Nothing,
    };
    Said::Hello(Box::new(Negotiated {
        version,
        group: hello.group,
        retry,
        cipher: hello.cipher,
        signature: None,
        authentication: match version {
            Version::Tls13 => Authentication::Unknown,
            Version::Tls12 => Authentication::Classical,
        },
        client_authentication: ClientAuthentication::None,
        client: None,
        resumed: hello.resumed,
        alpn: None,
    }))
}
