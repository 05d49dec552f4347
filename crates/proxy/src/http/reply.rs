//! An answer of our own, in whatever protocol the client speaks.
use super::{answer::Answer, asking::ALT_SVC};
use bytes::Bytes;
use portcullis_wire::http1::{Version, write};

/// Status, fields and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(Box<str>, Box<[u8]>)>,
    pub(crate) body: Bytes,
}

/// What an HTTP/1.1 client is told of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// It may go on.
    KeepAlive,
    /// The same, to a client of HTTP/1.0 that asked for it.
    OldKeepAlive,
    Close,
}

impl Reply {
    /// The same, with what is said of QUIC, unless it says something itself.
    pub(crate) fn announcing(mut self, alternative: Option<&str>) -> Reply {
        let says_so = |(name, _): &(Box<str>, Box<[u8]>)| name.eq_ignore_ascii_case(ALT_SVC);
        if let Some(value) = alternative.filter(|_| !self.fields.iter().any(says_so)) {
            self.fields.push((ALT_SVC.into(), value.as_bytes().into()));
        }
        self
    }

    /// Its HTTP/1.1 form; to HEAD without the body.
    pub(crate) fn write(&self, out: &mut Vec<u8>, manner: Manner, is_head: bool) {
        write::status_line(out, self.status);
        for (name, value) in &self.fields {
            write::field(out, name, value);
        }
        if self.status != 204 && self.status != 304 {
            out.extend_from_slice(b"content-length: ");
            write::decimal(out, self.body.len() as u64);
            out.extend_from_slice(write::CRLF);
        }
        manner.write(out);
        out.extend_from_slice(write::CRLF);
        if !is_head {
            out.extend_from_slice(&self.body);
        }
    }
}

impl Manner {
    pub(crate) fn of(persists: bool, version: Version) -> Manner {
        match (persists, version) {
            (false, _) => Manner::Close,
            (true, Version::Http10) => Manner::OldKeepAlive,
            (true, Version::Http11) => Manner::KeepAlive,
        }
    }

    /// The `Connection` field, where one is needed (RFC 9112 9.3, 9.6).
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self {
            Manner::KeepAlive => {}
            Manner::OldKeepAlive => write::field(out, "connection", b"keep-alive"),
            Manner::Close => write::field(out, "connection", b"close"),
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        let field =
            |(name, value): &(&'static str, std::borrow::Cow<'static, str>)| ((*name).into(), value.as_bytes().into());
        Reply {
            status: answer.status,
            fields: answer.fields.iter().map(field).collect(),
            body: answer.body,
        }
    }
}
