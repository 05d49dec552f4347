//! rustls' ciphers, made of the secrets that its handshake or its key schedule gave, with their sequence numbers.
use super::HEADER;
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite,
    crypto::cipher::{
        AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundOpaqueMessage,
        OutboundPlainMessage,
    },
};
use std::ops::Range;

/// Secrets with the number of the first record that they are for.
pub(super) type Numbered = (u64, ConnectionTrafficSecrets);

/// RFC 5288 section 3: four bytes of salt, and eight that go out with each record.
const SALT: usize = 4;

/// One direction: what comes in.
pub(super) struct Opening {
    decrypter: Box<dyn MessageDecrypter>,
    sequence: u64,
    /// So much of a record comes before its ciphertext.
    explicit: usize,
}

/// The other: what goes out.
pub(super) struct Closing {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Opening {
    pub(super) fn new(suite: SupportedCipherSuite, (sequence, secrets): Numbered) -> Result<Opening, Error> {
        let Parts { key, iv, fixed } = Parts::of(secrets)?;
        let (decrypter, explicit) = match suite {
            SupportedCipherSuite::Tls13(suite) => (suite.aead_alg.decrypter(key, iv), 0),
            SupportedCipherSuite::Tls12(suite) => {
                let (fixed, explicit) = iv.as_ref().split_at(fixed);
                (suite.aead_alg.decrypter(key, fixed), explicit.len())
            }
        };
        Ok(Opening {
            decrypter,
            sequence,
            explicit,
        })
    }

    /// Opens a record where it stands: what it is, and where in it that is.
    pub(super) fn open(&mut self, kind: ContentType, record: &mut [u8]) -> Result<(ContentType, Range<usize>), Error> {
        let version = ProtocolVersion::from(u16::from_be_bytes([record[1], record[2]]));
        let message = InboundOpaqueMessage::new(kind, version, &mut record[HEADER..]);
        let plain = self.decrypter.decrypt(message, self.sequence)?;
        // no peer lives to see the end of these numbers; should one, nothing after it opens
        self.sequence = self.sequence.checked_add(1).ok_or(Error::DecryptError)?;
        let begin = HEADER + self.explicit;
        Ok((plain.typ, begin..begin + plain.payload.len()))
    }
}

impl Closing {
    pub(super) fn new(suite: SupportedCipherSuite, (sequence, secrets): Numbered) -> Result<Closing, Error> {
        let Parts { key, iv, fixed } = Parts::of(secrets)?;
        let encrypter = match suite {
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
            SupportedCipherSuite::Tls12(suite) => {
                let (fixed, explicit) = iv.as_ref().split_at(fixed);
                suite.aead_alg.encrypter(key, fixed, explicit)
            }
        };
        let mut closing = Closing { encrypter, sequence };
        closing.count_from_zero()?;
        Ok(closing)
    }

    /// AWS-LC takes the nonce of the first record that it seals for that of number zero, and the numbers must rise from
    /// there; of these keys the handshake has sealed some already. So it is shown number zero, and the record goes nowhere.
    fn count_from_zero(&mut self) -> Result<(), Error> {
        if self.sequence > 0 {
            let nothing = OutboundPlainMessage {
                typ: ContentType::ApplicationData,
                version: ProtocolVersion::TLSv1_2,
                payload: OutboundChunks::new_empty(),
            };
            self.encrypter.encrypt(nothing, 0)?;
        }
        Ok(())
    }

    /// How many records these keys have sealed.
    pub(super) fn sealed(&self) -> u64 {
        self.sequence
    }

    pub(super) fn seal(&mut self, message: OutboundPlainMessage<'_>) -> Result<OutboundOpaqueMessage, Error> {
        // a number is never used twice, whatever comes of the record
        let sequence = self.sequence;
        self.sequence = sequence.checked_add(1).ok_or(Error::EncryptError)?;
        self.encrypter.encrypt(message, sequence)
    }
}

/// Secrets as ciphers take them.
struct Parts {
    key: AeadKey,
    iv: Iv,
    /// How much of the vector TLS 1.2 derives; the rest goes out with each record.
    fixed: usize,
}

impl Parts {
    fn of(secrets: ConnectionTrafficSecrets) -> Result<Parts, Error> {
        use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
        match secrets {
            Aes128Gcm { key, iv } | Aes256Gcm { key, iv } => Ok(Parts { key, iv, fixed: SALT }),
            Chacha20Poly1305 { key, iv } => {
                let fixed = iv.as_ref().len();
                Ok(Parts { key, iv, fixed })
            }
            _ => Err(Error::General("a cipher that has no name here".to_owned())),
        }
    }
}
