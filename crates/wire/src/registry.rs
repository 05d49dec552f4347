//! THE TABLE: what each group, signature scheme, cipher suite and certificate algorithm is.

/// A key-exchange group by its registered number. Unknown ids stay numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupId(pub u16);

/// A signature scheme by its registered number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SchemeId(pub u16);

/// A cipher suite by its registered number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CipherId(pub u16);

/// The class of a key exchange: a fact of the group's id, of nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyExchange {
    /// A classical group and ML-KEM together.
    Hybrid,
    /// ML-KEM alone.
    Pq,
    /// What a quantum computer breaks.
    Classical,
}

impl KeyExchange {
    /// `hybrid`, `pq` or `classical`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
    /// True for hybrid and pq.
    pub fn is_quantum_safe(self) -> bool {
        todo!()
    }
}

/// One row of the group table.
#[derive(Debug)]
pub struct Group {
    /// Registered number.
    pub id: GroupId,
    /// Registered name.
    pub name: &'static str,
    /// Its class.
    pub class: KeyExchange,
    /// NIST security level (1, 3, 5), 0 where there is none to speak of.
    pub level: u8,
    /// Bytes of the client's key share.
    pub client_share: usize,
    /// Bytes of the server's key share.
    pub server_share: usize,
    /// Where this build stands on it.
    pub standing: Standing,
    /// Other names by which people call it.
    pub aliases: &'static [&'static str],
}

/// Whether this build offers a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In the default offer.
    Default,
    /// Only when listed.
    Listed,
    /// Known, never offered by this build.
    Never,
}

/// Why a name is not one of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NameError {
    /// A draft or dead name, with what replaced it.
    Dead {
        /// The registered name to write instead.
        successor: &'static str,
    },
    /// Known, but not offered by this build.
    NotOffered {
        /// The registered name.
        name: &'static str,
        /// What to use instead.
        instead: &'static str,
    },
    /// Nothing we know; perhaps a near name.
    Unknown {
        /// The closest known name, if close enough.
        near: Option<&'static str>,
    },
}

/// One row of the signature scheme table.
#[derive(Debug)]
pub struct Scheme {
    /// Registered number.
    pub id: SchemeId,
    /// Registered name.
    pub name: &'static str,
    /// The key it needs.
    pub key: KeyKind,
    /// NIST level of ML-DSA, else 0.
    pub level: u8,
    /// Bytes of the public key (RSA: of a 2048-bit one).
    pub public_key: usize,
    /// Bytes of a signature (RSA: of a 2048-bit key; ECDSA: the longest DER form).
    pub signature: usize,
    /// Usable in TLS 1.3 handshakes.
    pub tls13: bool,
    /// Usable in TLS 1.2 handshakes.
    pub tls12: bool,
}

/// Kinds of certificate keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyKind {
    MlDsa44,
    MlDsa65,
    MlDsa87,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Ed448,
    Rsa,
    RsaPss,
}

/// One row of the cipher suite table.
#[derive(Debug)]
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

/// What the algorithm behind an object identifier is, as certificates name it.
#[derive(Debug)]
pub struct Oid {
    /// Dotted form.
    pub oid: &'static str,
    /// A name for people: `ML-DSA-65`, `ecdsa-with-SHA256`, `Dilithium3 (draft)`.
    pub name: &'static str,
    /// What it is to us.
    pub class: OidClass,
    /// NIST level where it is post-quantum, else 0.
    pub level: u8,
}

/// What an algorithm identifier in a certificate means to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OidClass {
    /// ML-DSA as standardised.
    Pq,
    /// RSA, ECDSA, EdDSA.
    Classical,
    /// A draft, OQS-era, composite or other form nobody standardised for TLS; what to make instead.
    Dead(&'static str),
}

impl Group {
    /// The whole table, in the order of the default offer, then the rest.
    pub fn all() -> &'static [Group] {
        todo!()
    }
    /// A group by registered name, alias or letter case; otherwise why not.
    pub fn by_name(_name: &str) -> Result<&'static Group, NameError> {
        todo!()
    }
}
impl GroupId {
    /// Its row.
    pub fn entry(self) -> Option<&'static Group> {
        todo!()
    }
    /// Its class, where we know it.
    pub fn key_exchange(self) -> Option<KeyExchange> {
        todo!()
    }
    /// Reserved by RFC 8701 to keep servers tolerant.
    pub fn is_grease(self) -> bool {
        todo!()
    }
}
impl std::fmt::Display for GroupId {
    /// The registered name, else `0x1234`.
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl Scheme {
    /// The whole table.
    pub fn all() -> &'static [Scheme] {
        todo!()
    }
    /// A scheme by name.
    pub fn by_name(_name: &str) -> Result<&'static Scheme, NameError> {
        todo!()
    }
}
impl SchemeId {
    /// Its row.
    pub fn entry(self) -> Option<&'static Scheme> {
        todo!()
    }
    /// One of the ML-DSA schemes.
    pub fn is_ml_dsa(self) -> bool {
        todo!()
    }
}
impl std::fmt::Display for SchemeId {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl Cipher {
    /// The whole table.
    pub fn all() -> &'static [Cipher] {
        todo!()
    }
    /// A suite by IANA's or OpenSSL's name.
    pub fn by_name(_name: &str) -> Result<&'static Cipher, NameError> {
        todo!()
    }
}
impl CipherId {
    /// Its row.
    pub fn entry(self) -> Option<&'static Cipher> {
        todo!()
    }
}
impl std::fmt::Display for CipherId {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl KeyKind {
    /// `ML-DSA-65`, `ECDSA P-256`, `RSA`
    pub fn as_str(self) -> &'static str {
        todo!()
    }
    /// ML-DSA of any level.
    pub fn is_ml_dsa(self) -> bool {
        todo!()
    }
}
impl Oid {
    /// The row of a dotted identifier.
    pub fn find(_dotted: &str) -> Option<&'static Oid> {
        todo!()
    }
}
