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

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::GroupId;

    /// RFC 8446 4.1.3: the random that makes a hello a retry.
    const RETRY: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2,
        0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ];
    const CHANGE: [u8; 6] = [20, 3, 3, 0, 1, 1];

    /// A hello of TLS 1.3 that chose X25519MLKEM768, or asks for it.
    fn hello(random: [u8; 32], share: &[u8]) -> Vec<u8> {
        let key_share = [&[0, 51, 0, 2 + share.len() as u8, 0x11, 0xec][..], share].concat();
        let extensions = [&[0, 43, 0, 2, 3, 4][..], &key_share].concat();
        let body = [
            &[3, 3][..],
            &random,
            &[0, 0x13, 0x01, 0, 0, extensions.len() as u8],
            &extensions,
        ]
        .concat();
        [&[2, 0, 0, body.len() as u8][..], &body].concat()
    }

    fn records(message: &[u8], most: usize) -> Vec<u8> {
        let each = message.chunks(most);
        each.flat_map(|piece| [&[22, 3, 3, 0, piece.len() as u8][..], piece].concat())
            .collect()
    }

    /// What comes of bytes that arrive in pieces of this size.
    fn heard(bytes: &[u8], most: usize) -> Said {
        let mut words = FirstWords::default();
        for piece in bytes.chunks(most) {
            match words.take(piece) {
                Said::More => {}
                said => return said,
            }
        }
        Said::More
    }

    #[test]
    fn a_hello_is_read_behind_a_retry_however_both_are_cut() {
        let [retry, last] = [hello(RETRY, &[]), hello([1; 32], &[0, 1, 7])];
        for record in [9, 40, 200] {
            for (before, changed) in [(&retry[..], &CHANGE[..]), (&retry, &[]), (&[], &[])] {
                let all = [&records(before, record), changed, &records(&last, record), b"more"].concat();
                for piece in [1, 7, all.len()] {
                    let Said::Hello(facts) = heard(&all, piece) else {
                        panic!("a hello in records of {record} and pieces of {piece}")
                    };
                    assert_eq!((facts.version, facts.group), (Version::Tls13, Some(GroupId(0x11ec))));
                    assert_eq!(
                        (facts.retry, facts.authentication),
                        (!before.is_empty(), Authentication::Unknown)
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_hello_is_nothing_to_see_and_half_of_one_is_waited_for() {
        let whole = records(&hello([1; 32], &[0, 1, 7]), 200);
        let retry = records(&hello(RETRY, &[]), 200);
        let table = [
            (&b"HTTP/1.1 400 Bad Request"[..], Said::Nothing),
            (&[21, 3, 3, 0, 2, 2, 40], Said::Nothing),
            (&CHANGE, Said::Nothing),
            (&whole[..whole.len() - 1], Said::More),
            (&retry, Said::More),
        ];
        for (bytes, expected) in table {
            for piece in [1, bytes.len()] {
                assert_eq!(heard(bytes, piece), expected, "{bytes:02x?}");
            }
        }
        let twice = [retry.clone(), retry].concat();
        assert!(
            matches!(heard(&twice, 5), Said::Hello(_)),
            "a second one is what it chose, and its peer's to refuse"
        );
    }
}
