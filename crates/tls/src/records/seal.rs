//! What goes out: application data, alerts, and the key updates that keep a key within its limit.
use super::{
    MAX_FRAGMENT,
    keys::{Closing, Numbered},
    outbox::Outbox,
};
use portcullis_wire::alert::Alert;
use rustls::{
    ContentType, Error, HandshakeType, ProtocolVersion, SupportedCipherSuite,
    crypto::cipher::{OutboundChunks, OutboundPlainMessage},
    kernel::KernelConnection,
    server::ServerConnectionData,
};
use std::io::{self, IoSlice, Write};

type Kernel = KernelConnection<ServerConnectionData>;

/// Keys and what they sealed.
pub(super) struct Sealing {
    suite: SupportedCipherSuite,
    closing: Closing,
    /// How many records one key may seal.
    limit: u64,
    /// The peer asked for new keys: it gets them with what is sealed next, however often it asked (RFC 8446 section
    /// 4.6.3).
    owes_key_update: bool,
    /// close_notify or a fatal alert was sealed: nothing follows it (RFC 8446 section 6.1).
    has_closed: bool,
    /// Why no more is sealed.
    broken: Option<Error>,
    outbox: Outbox,
}

#[derive(Clone, Copy)]
enum Level {
    Warning = 1,
    Fatal = 2,
}

#[derive(Clone, Copy)]
enum Request {
    NotRequested = 0,
    Requested = 1,
}

impl Sealing {
    /// `flight` was sealed before, and goes out first.
    pub(super) fn new(suite: SupportedCipherSuite, secrets: Numbered, flight: Vec<u8>) -> Result<Sealing, Error> {
        let limit = match suite {
            SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
            SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
        };
        let mut outbox = Outbox::default();
        outbox.push(flight);
        Ok(Sealing {
            suite,
            closing: Closing::new(suite, secrets)?,
            limit: limit.min(LAST_NUMBER),
            owes_key_update: false,
            has_closed: false,
            broken: None,
            outbox,
        })
    }

    pub(super) fn data(&mut self, pieces: &[IoSlice<'_>], kernel: &mut Kernel) {
        match pieces {
            [one] => self.stream(OutboundChunks::Single(one), kernel),
            pieces => {
                let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
                self.stream(OutboundChunks::new(&pieces), kernel);
            }
        }
    }

    pub(super) fn close(&mut self, kernel: &mut Kernel) {
        self.last(Level::Warning, Alert::CLOSE_NOTIFY, kernel);
    }

    pub(super) fn fatal(&mut self, alert: Alert, kernel: &mut Kernel) {
        self.last(Level::Fatal, alert, kernel);
    }

    pub(super) fn no_renegotiation(&mut self, kernel: &mut Kernel) {
        // RFC 5246 section 7.2.2
        const NO_RENEGOTIATION: Alert = Alert(100);
        let sealed = self.alert(Level::Warning, NO_RENEGOTIATION, kernel);
        self.note(sealed);
    }

    pub(super) fn owe_key_update(&mut self) {
        self.owes_key_update = true;
    }

    pub(super) fn lower_limit(&mut self, limit: u64) {
        self.limit = self.limit.min(limit);
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.outbox.is_empty() || self.broken.is_some()
    }

    pub(super) fn write_to(&mut self, writer: &mut impl Write) -> io::Result<usize> {
        match &self.broken {
            Some(error) if self.outbox.is_empty() => Err(io::Error::other(error.clone())),
            _ => self.outbox.write_to(writer),
        }
    }

    fn stream(&mut self, mut rest: OutboundChunks<'_>, kernel: &mut Kernel) {
        while !rest.is_empty() && !self.has_closed && self.broken.is_none() {
            let (fragment, behind) = rest.split_at(MAX_FRAGMENT);
            let sealed = self.fragment(fragment, kernel);
            self.note(sealed);
            rest = behind;
        }
    }

    fn fragment(&mut self, fragment: OutboundChunks<'_>, kernel: &mut Kernel) -> Result<(), Error> {
        self.pay_key_update(kernel)?;
        self.stay_within_limit(kernel)?;
        self.record(ContentType::ApplicationData, fragment)
    }

    /// The last record that a key may seal announces the next one; TLS 1.2 has none, and ends.
    fn stay_within_limit(&mut self, kernel: &mut Kernel) -> Result<(), Error> {
        let sealed = self.closing.sealed();
        match self.suite {
            SupportedCipherSuite::Tls13(_) if sealed > 0 && sealed + 1 >= self.limit => {
                self.key_update(Request::Requested, kernel)
            }
            SupportedCipherSuite::Tls12(_) if sealed >= self.limit => {
                self.close(kernel);
                let error = "the keys of this connection have sealed as much as they may, and TLS 1.2 has no others";
                Err(Error::General(error.to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn pay_key_update(&mut self, kernel: &mut Kernel) -> Result<(), Error> {
        match self.owes_key_update {
            true => self.key_update(Request::NotRequested, kernel),
            false => Ok(()),
        }
    }

    fn key_update(&mut self, request: Request, kernel: &mut Kernel) -> Result<(), Error> {
        self.owes_key_update = false;
        let message = [HandshakeType::KeyUpdate.into(), 0, 0, 1, request as u8];
        self.record(ContentType::Handshake, OutboundChunks::Single(&message))?;
        self.closing = Closing::new(self.suite, kernel.update_tx_secret()?)?;
        Ok(())
    }

    fn last(&mut self, level: Level, alert: Alert, kernel: &mut Kernel) {
        if !self.has_closed {
            let sealed = self.alert(level, alert, kernel);
            self.has_closed = true;
            self.note(sealed);
        }
    }

    /// An alert is sealed even where data is not any more: the limits leave room for it.
    fn alert(&mut self, level: Level, alert: Alert, kernel: &mut Kernel) -> Result<(), Error> {
        if self.has_closed {
            return Ok(());
        }
        self.pay_key_update(kernel)?;
        self.record(ContentType::Alert, OutboundChunks::Single(&[level as u8, alert.0]))
    }

    fn record(&mut self, typ: ContentType, payload: OutboundChunks<'_>) -> Result<(), Error> {
        let message = OutboundPlainMessage {
            typ,
            // as every record of both versions says it (RFC 8446 section 5.1)
            version: ProtocolVersion::TLSv1_2,
            payload,
        };
        let sealed = self.closing.seal(message)?;
        self.outbox.push(sealed.encode());
        Ok(())
    }

    fn note(&mut self, sealed: Result<(), Error>) {
        if let Err(error) = sealed {
            self.broken.get_or_insert(error);
        }
    }
}

/// Where rustls stops as well: far from the last sequence number, so that an alert still has one.
const LAST_NUMBER: u64 = u64::MAX - 0xffff;
