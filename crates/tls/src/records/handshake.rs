//! rustls' handshake without its buffers: it gets one record after the other, so that not a byte behind the last one of
//! the handshake is taken, and what it gives is kept until it is written.
use super::{HEADER, Joining, MAX_RECORD, Opening, Records, Sealing, Temper};
use rustls::{
    CommonState, ContentType, Error, InvalidMessage, PeerMisbehaved, ServerConfig,
    server::{ClientHello, ResolvesServerCert, ServerConnectionData, UnbufferedServerConnection},
    sign::CertifiedKey,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus},
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// What may wait for the rest of a handshake message: as much as rustls reads of one.
const MAX_WAITING: usize = 0xffff;
/// And in how many records: 64 KiB under the smallest max_fragment_length (RFC 6066). rustls looks at each of them again
/// when the next one comes, and opens it in vain if it may be early data that was refused.
const MAX_RECORDS: usize = 256;

/// A handshake under way.
pub struct Handshake {
    tls: UnbufferedServerConnection,
    named: Arc<Named>,
    /// What came and was not used up.
    incoming: Vec<u8>,
    /// So much of it rustls has seen.
    shown: usize,
    /// There the first record begins that it has not seen whole.
    next: usize,
    /// So many it has seen and not used up.
    records: usize,
    outgoing: Vec<u8>,
}

impl Handshake {
    /// One that goes by this configuration, which must allow its secrets to be taken.
    pub fn new(config: &ServerConfig) -> Result<Handshake, Error> {
        let named = Arc::new(Named {
            inner: Arc::clone(&config.cert_resolver),
            name: OnceLock::new(),
        });
        let mut own = config.clone();
        own.cert_resolver = Arc::clone(&named) as Arc<dyn ResolvesServerCert>;
        Ok(Handshake {
            tls: UnbufferedServerConnection::new(Arc::new(own))?,
            named,
            incoming: Vec::new(),
            shown: 0,
            next: 0,
            records: 0,
            outgoing: Vec::new(),
        })
    }

    /// Takes bytes that came. After an error nothing more comes of it, but for the alert in [`Handshake::outgoing`].
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.incoming.extend_from_slice(bytes);
        self.advance()
    }

    /// It has ended well.
    pub fn is_over(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// What is to be written.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// So much of it has been written.
    pub fn written(&mut self, count: usize) {
        self.outgoing.drain(..count);
    }

    /// What was negotiated.
    pub fn state(&self) -> &CommonState {
        &self.tls
    }

    /// The name that the client asked for, as rustls read it.
    pub fn server_name(&self) -> Option<&str> {
        self.named.name.get()?.as_deref()
    }

    /// The connection, and what came behind the handshake: it is to be opened first.
    pub fn finish(self) -> Result<(Records, Vec<u8>), Error> {
        let Handshake {
            tls,
            incoming,
            outgoing,
            ..
        } = self;
        let suite = tls.negotiated_cipher_suite().ok_or(Error::HandshakeNotComplete)?;
        let alpn = tls.alpn_protocol().map(<[u8]>::to_vec);
        let chain = tls.peer_certificates().unwrap_or_default().to_vec();
        let (secrets, kernel) = tls.dangerous_into_kernel_connection()?;
        let records = Records {
            suite,
            opening: Opening::new(suite, secrets.rx)?,
            sealing: Sealing::new(suite, secrets.tx, outgoing)?,
            joining: Joining::default(),
            temper: Temper::default(),
            kernel,
            has_closed: false,
            broken: None,
            alpn,
            chain,
        };
        Ok((records, incoming))
    }

    /// Lets rustls have record after record, until it wants more than there is or is done.
    fn advance(&mut self) -> Result<(), Error> {
        while !self.is_over() && self.show_more()? {
            self.digest()?;
            if self.is_over() {
                return self.ends_with_a_record();
            }
        }
        Ok(())
    }

    /// Lets rustls do with what it is shown all that it can.
    fn digest(&mut self) -> Result<(), Error> {
        loop {
            let shown = &mut self.incoming[..self.shown];
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(shown);
            let has_more = match state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.outgoing);
                    true
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    true
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => false,
                // early data is off, and nothing is shown behind the handshake
                Ok(_) => return Err(Error::General("rustls read on behind the handshake".to_owned())),
                Err(error) => {
                    self.discard(discard);
                    self.last_words();
                    return Err(error);
                }
            };
            self.discard(discard);
            if !has_more {
                return Ok(());
            }
        }
    }

    fn discard(&mut self, count: usize) {
        self.incoming.drain(..count);
        self.shown -= count;
        self.next = self.next.saturating_sub(count);
        if self.shown == 0 {
            self.records = 0;
        }
    }

    /// Shows the next record: no more, since it may be the last of the handshake, and no less, since rustls opens again and in
    /// vain what may be early data that was refused, and counts how much. Only a header that is wrong shows itself.
    fn show_more(&mut self) -> Result<bool, Error> {
        let waiting = &self.incoming[self.next..];
        let Some((header, body)) = waiting.split_first_chunk::<HEADER>() else {
            return Ok(false);
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let before = self.shown;
        if length <= body.len() {
            self.next += HEADER + length;
            self.shown = self.next;
            self.records += 1;
        } else if !is_plausible(header) {
            self.shown = self.incoming.len();
        }
        match self.records > MAX_RECORDS || self.shown > MAX_WAITING {
            true => Err(InvalidMessage::HandshakePayloadTooLarge.into()),
            false => Ok(self.shown > before),
        }
    }

    /// What is left of the last record would be under keys that are not its own.
    fn ends_with_a_record(&self) -> Result<(), Error> {
        match self.shown {
            0 => Ok(()),
            _ => Err(PeerMisbehaved::KeyEpochWithPendingFragment.into()),
        }
    }

    /// What rustls still has to say about an error. It is asked for nothing else: a record that does not open would fail again.
    fn last_words(&mut self) {
        while self.tls.wants_write() {
            let shown = &mut self.incoming[..self.shown];
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(shown);
            let Ok(ConnectionState::EncodeTlsData(data)) = state else {
                break;
            };
            encode(data, &mut self.outgoing);
            self.discard(discard);
        }
    }
}

/// A header that may begin a record of a handshake, as far as it matters whether to wait for the rest.
fn is_plausible(header: &[u8; HEADER]) -> bool {
    let [kind, major, _, high, low] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    !matches!(ContentType::from(kind), ContentType::Unknown(_)) && major == 3 && HEADER + length <= MAX_RECORD
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, outgoing: &mut Vec<u8>) {
    let begin = outgoing.len();
    if let Err(EncodeError::InsufficientSize(needs)) = data.encode(&mut []) {
        outgoing.resize(begin + needs.required_size, 0);
        let encoded = data.encode(&mut outgoing[begin..]);
        debug_assert!(encoded.is_ok(), "it has the room that it asked for");
    }
}

/// Remembers the name in a hello, which rustls tells only while it chooses a certificate.
struct Named {
    inner: Arc<dyn ResolvesServerCert>,
    name: OnceLock<Option<Box<str>>>,
}

impl ResolvesServerCert for Named {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // a second hello has the same name, or rustls refuses it
        let _ = self.name.set(hello.server_name().map(Box::from));
        self.inner.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.inner.only_raw_public_keys()
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
