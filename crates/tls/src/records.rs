//! A server's side of an established connection, record by record: opened in the buffer that was read into, sealed from
//! the pieces that are to be written. rustls does the handshake and lends its ciphers and its key schedule; what follows
//! the handshake (RFC 8446 sections 4.6, 5 and 6, and RFC 5246 sections 6 and 7) is judged here as rustls judges it, and
//! where the RFCs are stricter as they do.
mod handshake;
mod keys;
mod outbox;
mod post;
mod seal;

pub use handshake::Handshake;

use crate::failure::blame;
use keys::Opening;
use portcullis_wire::alert::Alert;
use post::{Joining, Temper, Whole};
use rustls::{
    AlertDescription, ContentType, Error, InvalidMessage, PeerMisbehaved, SupportedCipherSuite,
    kernel::KernelConnection, pki_types::CertificateDer, server::ServerConnectionData,
};
use seal::Sealing;
use std::{
    io::{self, IoSlice, Write},
    ops::Range,
};

/// A record's header (RFC 8446 section 5.1).
const HEADER: usize = 5;
/// What a record carries at most.
const MAX_FRAGMENT: usize = 1 << 14;
/// The longest record there is, with its header: what must fit between two reads.
pub const MAX_RECORD: usize = HEADER + MAX_FRAGMENT + 2048;

/// An established connection without its socket.
pub struct Records {
    suite: SupportedCipherSuite,
    opening: Opening,
    sealing: Sealing,
    joining: Joining,
    temper: Temper,
    kernel: KernelConnection<ServerConnectionData>,
    has_closed: bool,
    /// Why no more is opened.
    broken: Option<Error>,
    alpn: Option<Vec<u8>>,
    chain: Vec<CertificateDer<'static>>,
}

/// What opening a buffer came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// So much plaintext stands at its front.
    pub filled: usize,
    /// From here on the ciphertext is the beginning of a record.
    pub rest: usize,
    /// So many bytes must come at least before more can be opened.
    pub lacks: usize,
}

/// Why a connection cannot go on, and what its peer is told.
struct Refused {
    error: Error,
    alert: Option<Alert>,
}

impl Records {
    /// Opens every whole record of `buffer[..came]`; their plaintext is moved together at the front. After an error
    /// nothing more is opened, and the alert about it waits to be written.
    pub fn open(&mut self, buffer: &mut [u8], came: usize) -> Result<Opened, Error> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.open_each(&mut buffer[..came]).map_err(|refused| {
            if let Some(alert) = refused.alert {
                self.sealing.fatal(alert, &mut self.kernel);
            }
            self.broken = Some(refused.error.clone());
            refused.error
        })
    }

    /// The peer said that nothing more comes. What follows was left unread.
    pub fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Seals pieces as one stream, in as few records as hold it. How much waits to be written is the caller's to bound.
    /// Where no more can be sealed, [`Records::write_to`] says why after what was sealed before.
    pub fn seal(&mut self, pieces: &[IoSlice<'_>]) {
        self.sealing.data(pieces, &mut self.kernel);
    }

    /// Says that nothing more will be sealed.
    pub fn close(&mut self) {
        self.sealing.close(&mut self.kernel);
    }

    /// A fatal alert as the last record, if there was none.
    pub fn fatal(&mut self, alert: Alert) {
        self.sealing.fatal(alert, &mut self.kernel);
    }

    /// Something waits to be written, or to be said about writing.
    pub fn wants_write(&self) -> bool {
        self.sealing.wants_write()
    }

    /// Writes once of what waits.
    pub fn write_to(&mut self, writer: &mut impl Write) -> io::Result<usize> {
        self.sealing.write_to(writer)
    }

    /// Lets one key seal no more than so many records, where its suite would let it more.
    pub fn lower_key_limit(&mut self, records: u64) {
        self.sealing.lower_limit(records);
    }

    /// The application protocol that was agreed on.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The client's certificates, leaf first.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    fn is_tls13(&self) -> bool {
        matches!(self.suite, SupportedCipherSuite::Tls13(_))
    }

    fn open_each(&mut self, ciphertext: &mut [u8]) -> Result<Opened, Refused> {
        let (mut filled, mut next) = (0, 0);
        while !self.has_closed {
            let (length, kind) = match self.header(&ciphertext[next..])? {
                Framed::Whole(length, kind) => (length, kind),
                Framed::Lacks(lacks) => {
                    let rest = next;
                    return Ok(Opened { filled, rest, lacks });
                }
            };
            let record = &mut ciphertext[next..next + HEADER + length];
            if let Some(plain) = self.record(kind, record)? {
                let plain = next + plain.start..next + plain.end;
                let length = plain.len();
                ciphertext.copy_within(plain, filled);
                filled += length;
            }
            next += HEADER + length;
        }
        // what follows is not for anyone (RFC 8446 section 6.1)
        let rest = ciphertext.len();
        Ok(Opened { filled, rest, lacks: 0 })
    }

    /// Reads a header as soon as it is there: what it rules out is not waited for.
    fn header(&self, bytes: &[u8]) -> Result<Framed, Refused> {
        let Some((&[kind, major, minor, high, low], body)) = bytes.split_first_chunk() else {
            return Ok(Framed::Lacks(HEADER - bytes.len()));
        };
        let kind = ContentType::from(kind);
        if let ContentType::Unknown(_) = kind {
            return Err(InvalidMessage::InvalidContentType.into());
        }
        if major != 3 {
            return Err(InvalidMessage::UnknownProtocolVersion.into());
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let is_empty = kind != ContentType::ApplicationData && length == 0;
        if is_empty {
            return Err(InvalidMessage::InvalidEmptyPayload.into());
        }
        // RFC 8446 section 5.2, RFC 5246 section 6.2.3
        let most = MAX_FRAGMENT + if self.is_tls13() { 256 } else { 2048 };
        if length > most {
            return Err(Error::PeerSentOversizedRecord.into());
        }
        if kind == ContentType::ChangeCipherSpec {
            // the handshake is over: there is none to change to any more
            return Err(self.inappropriate(kind));
        }
        // what is authenticated in TLS 1.3 is this header, and no other
        let is_as_sealed = (kind, minor) == (ContentType::ApplicationData, 3);
        if self.is_tls13() && !is_as_sealed {
            return Err(Error::DecryptError.into());
        }
        match length.checked_sub(body.len()) {
            None | Some(0) => Ok(Framed::Whole(length, kind)),
            Some(lacks) => Ok(Framed::Lacks(lacks)),
        }
    }

    /// Opens one record, and says where in it application data stands.
    fn record(&mut self, kind: ContentType, record: &mut [u8]) -> Result<Option<Range<usize>>, Refused> {
        let (kind, place) = self.opening.open(kind, record)?;
        let payload = &record[place.clone()];
        if kind != ContentType::Handshake && self.joining.is_pending() {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        self.temper.fragment(payload.len())?;
        match kind {
            ContentType::ApplicationData => {
                self.temper.data(payload.len());
                return Ok(Some(place));
            }
            ContentType::Alert => match payload {
                [level, description] => self.alert([*level, *description])?,
                [] | [_] => return Err(InvalidMessage::MissingData("alert").into()),
                _ => return Err(InvalidMessage::TrailingData("alert").into()),
            },
            ContentType::Handshake => self.handshake(payload)?,
            _ => return Err(InvalidMessage::InvalidContentType.into()),
        }
        Ok(None)
    }

    fn alert(&mut self, [level, description]: [u8; 2]) -> Result<(), Refused> {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        let description = AlertDescription::from(description);
        let received = Error::AlertReceived(description);
        let refused = |error, alert| Err(Refused { error, alert });
        match level {
            WARNING | FATAL if description == AlertDescription::CloseNotify => self.has_closed = true,
            WARNING => {
                self.temper.warning()?;
                // RFC 8446 section 6: all others are fatal, whatever they call themselves
                if self.is_tls13() && description != AlertDescription::UserCanceled {
                    return refused(received, Some(Alert::DECODE_ERROR));
                }
            }
            FATAL => return refused(received, None),
            _ => return refused(received, Some(Alert::ILLEGAL_PARAMETER)),
        }
        Ok(())
    }

    fn handshake(&mut self, mut payload: &[u8]) -> Result<(), Refused> {
        while let Some(whole) = self.joining.take(&mut payload, self.is_tls13())? {
            match whole {
                Whole::ClientHello => {
                    self.temper.renegotiation()?;
                    self.sealing.no_renegotiation(&mut self.kernel);
                }
                Whole::KeyUpdate(asked) => {
                    self.temper.key_update()?;
                    if !payload.is_empty() {
                        // RFC 8446 section 5.1: what follows is under the next keys
                        return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
                    }
                    self.opening = Opening::new(self.suite, self.kernel.update_rx_secret()?)?;
                    if asked == post::Asked::Yes {
                        self.sealing.owe_key_update();
                    }
                }
            }
        }
        Ok(())
    }

    fn inappropriate(&self, got_type: ContentType) -> Refused {
        let expect_types = match self.is_tls13() {
            true => vec![ContentType::ApplicationData, ContentType::Handshake],
            false => vec![ContentType::ApplicationData],
        };
        Error::InappropriateMessage { expect_types, got_type }.into()
    }
}

/// What the bytes at the front of a buffer are.
enum Framed {
    /// A record, with so much after its header.
    Whole(usize, ContentType),
    /// Its beginning, of which so much is missing at least.
    Lacks(usize),
}

/// With the alert that rustls sends for it.
impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Refused {
        let error = error.into();
        let alert = blame(&error).alert_out;
        Refused { error, alert }
    }
}
