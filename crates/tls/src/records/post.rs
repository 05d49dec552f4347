//! Handshake messages after the handshake, and how many of what does nothing a peer may send.
use super::Refused;
use portcullis_wire::alert::Alert;
use rustls::{ContentType, Error, HandshakeType, InvalidMessage, PeerMisbehaved};

/// A message's header (RFC 8446 section 4).
const HEADER: usize = 4;
/// The longest handshake message that rustls reads.
const MAX_MESSAGE: usize = 0xffff;

/// A message as far as it came: a key update is short, and of a renegotiating hello only the end matters.
#[derive(Default)]
pub(super) struct Joining {
    head: [u8; HEADER + 1],
    have: usize,
    skip: usize,
}

/// A message that came whole.
pub(super) enum Whole {
    /// TLS 1.3
    KeyUpdate(Asked),
    /// TLS 1.2
    ClientHello,
}

/// Whether a peer wants new keys from us as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Yes,
    No,
}

impl Joining {
    /// Part of a message came, and the rest did not.
    pub(super) fn is_pending(&self) -> bool {
        self.have > 0
    }

    /// Takes bytes of the front until a message is whole; None: they are used up.
    pub(super) fn take(&mut self, payload: &mut &[u8], is_tls13: bool) -> Result<Option<Whole>, Refused> {
        while let Some((first, rest)) = payload.split_first() {
            *payload = rest;
            let whole = match is_tls13 {
                true => self.key_update(*first)?,
                false => self.client_hello(*first)?,
            };
            if whole.is_some() {
                *self = Joining::default();
                return Ok(whole);
            }
        }
        Ok(None)
    }
}

impl Joining {
    fn key_update(&mut self, byte: u8) -> Result<Option<Whole>, Refused> {
        const UPDATE_NOT_REQUESTED: u8 = 0;
        const UPDATE_REQUESTED: u8 = 1;
        self.push(byte);
        match (self.have, byte) {
            (1, byte) if HandshakeType::from(byte) != HandshakeType::KeyUpdate => {
                let (expect_types, got_type) = (vec![HandshakeType::KeyUpdate], HandshakeType::from(byte));
                Err(Error::InappropriateHandshakeMessage { expect_types, got_type }.into())
            }
            (HEADER, _) if self.length() == 0 => Err(InvalidMessage::MissingData("KeyUpdate").into()),
            (HEADER, _) if self.length() > 1 => Err(InvalidMessage::TrailingData("KeyUpdate").into()),
            (5, UPDATE_NOT_REQUESTED) => Ok(Some(Whole::KeyUpdate(Asked::No))),
            (5, UPDATE_REQUESTED) => Ok(Some(Whole::KeyUpdate(Asked::Yes))),
            // RFC 8446 section 4.6.3
            (5, _) => Err(Refused {
                error: InvalidMessage::InvalidKeyUpdate.into(),
                alert: Some(Alert::ILLEGAL_PARAMETER),
            }),
            _ => Ok(None),
        }
    }

    fn client_hello(&mut self, byte: u8) -> Result<Option<Whole>, Refused> {
        if self.have == HEADER {
            self.skip -= 1;
        } else {
            self.push(byte);
            if self.have == 1 && HandshakeType::from(byte) != HandshakeType::ClientHello {
                let (expect_types, got_type) = (vec![ContentType::ApplicationData], ContentType::Handshake);
                return Err(Error::InappropriateMessage { expect_types, got_type }.into());
            }
            if self.have == HEADER {
                self.skip = self.length();
            }
            if self.skip > MAX_MESSAGE {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
        }
        Ok((self.have == HEADER && self.skip == 0).then_some(Whole::ClientHello))
    }

    fn push(&mut self, byte: u8) {
        self.head[self.have] = byte;
        self.have += 1;
    }

    fn length(&self) -> usize {
        let [_, high, middle, low, _] = self.head;
        u32::from_be_bytes([0, high, middle, low]) as usize
    }
}

/// What a peer may still do that brings nothing, in rustls' (and BoringSSL's) numbers.
pub(super) struct Temper {
    warnings: u8,
    renegotiations: u8,
    key_updates: u8,
    empty_fragments: u8,
}

const KEY_UPDATES: u8 = 32;
const EMPTY_FRAGMENTS: u8 = 32;

impl Default for Temper {
    fn default() -> Temper {
        Temper {
            warnings: 4,
            renegotiations: 1,
            key_updates: KEY_UPDATES,
            empty_fragments: EMPTY_FRAGMENTS,
        }
    }
}

impl Temper {
    /// A fragment of this length came: those that are empty are counted while nothing else comes.
    pub(super) fn fragment(&mut self, length: usize) -> Result<(), Error> {
        match length {
            0 => spend(&mut self.empty_fragments, PeerMisbehaved::TooManyEmptyFragments),
            _ => {
                self.empty_fragments = EMPTY_FRAGMENTS;
                Ok(())
            }
        }
    }

    /// Data came: what protects it may be changed again.
    pub(super) fn data(&mut self, length: usize) {
        if length > 0 {
            self.key_updates = KEY_UPDATES;
        }
    }

    pub(super) fn warning(&mut self) -> Result<(), Error> {
        spend(&mut self.warnings, PeerMisbehaved::TooManyWarningAlertsReceived)
    }

    pub(super) fn renegotiation(&mut self) -> Result<(), Error> {
        spend(&mut self.renegotiations, PeerMisbehaved::TooManyRenegotiationRequests)
    }

    pub(super) fn key_update(&mut self) -> Result<(), Error> {
        spend(&mut self.key_updates, PeerMisbehaved::TooManyKeyUpdateRequests)
    }
}

fn spend(left: &mut u8, misbehaviour: PeerMisbehaved) -> Result<(), Error> {
    *left = left.checked_sub(1).ok_or(misbehaviour)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_that_is_some_renews_the_allowance_of_key_updates() {
        let mut temper = Temper::default();
        for _ in 0..KEY_UPDATES {
            temper.key_update().unwrap();
            temper.data(0);
        }
        let too_many = Err(Error::from(PeerMisbehaved::TooManyKeyUpdateRequests));
        assert_eq!(temper.key_update(), too_many);
        temper.data(1);
        assert_eq!(temper.key_update(), Ok(()));
    }
}
