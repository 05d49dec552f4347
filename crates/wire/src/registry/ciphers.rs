//! Cipher suites: TLS 1.3's, and the six of TLS 1.2 with forward secrecy and authenticated encryption.
use std::fmt;

use super::names::{self, NameError};

/// A cipher suite by its registered number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CipherId(pub u16);

/// One row of the cipher suite table.
#[derive(Clone, Copy, Debug)]
pub struct Cipher {
    /// Registered number.
    pub id: CipherId,
    /// IANA's name, `TLS_AES_128_GCM_SHA256`.
    pub name: &'static str,
    /// Names others use for it (OpenSSL's).
    pub aliases: &'static [&'static str],
    /// True for TLS 1.3 suites.
    pub tls13: bool,
    /// Symmetric key bits.
    pub bits: u16,
}

impl Cipher {
    /// The whole table.
    pub fn all() -> &'static [Cipher] {
        TABLE
    }

    /// A suite by IANA's or OpenSSL's name.
    pub fn by_name(name: &str) -> Result<&'static Cipher, NameError> {
        let called = |cipher: &&Cipher| names::is_one_of(name, cipher.name, cipher.aliases);
        TABLE.iter().find(called).ok_or_else(|| names::no_cipher(name))
    }
}

impl CipherId {
    /// Its row.
    pub fn entry(self) -> Option<&'static Cipher> {
        TABLE.iter().find(|cipher| cipher.id == self)
    }

    /// Reserved by RFC 8701 to keep servers tolerant.
    pub fn is_grease(self) -> bool {
        super::is_grease(self.0)
    }
}

impl fmt::Display for CipherId {
    /// The registered name, else `0x1234`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(cipher) => f.pad(cipher.name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

const TABLE: &[Cipher] = &[
    tls13(0x1301, "TLS_AES_128_GCM_SHA256", 128),
    tls13(0x1302, "TLS_AES_256_GCM_SHA384", 256),
    tls13(0x1303, "TLS_CHACHA20_POLY1305_SHA256", 256),
    tls12(
        0xc02b,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        128,
        &["ECDHE-ECDSA-AES128-GCM-SHA256"],
    ),
    tls12(
        0xc02c,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        256,
        &["ECDHE-ECDSA-AES256-GCM-SHA384"],
    ),
    tls12(
        0xcca9,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        256,
        &["ECDHE-ECDSA-CHACHA20-POLY1305"],
    ),
    tls12(
        0xc02f,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        128,
        &["ECDHE-RSA-AES128-GCM-SHA256"],
    ),
    tls12(
        0xc030,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        256,
        &["ECDHE-RSA-AES256-GCM-SHA384"],
    ),
    tls12(
        0xcca8,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        256,
        &["ECDHE-RSA-CHACHA20-POLY1305"],
    ),
];

const fn tls13(id: u16, name: &'static str, bits: u16) -> Cipher {
    Cipher {
        id: CipherId(id),
        name,
        aliases: &[],
        tls13: true,
        bits,
    }
}

const fn tls12(id: u16, name: &'static str, bits: u16, aliases: &'static [&'static str]) -> Cipher {
    Cipher {
        aliases,
        tls13: false,
        ..tls13(id, name, bits)
    }
}
