//! Key-exchange groups. A table: longer than a file should be, and better read in one piece.
use std::fmt;

use super::names::{self, NameError};

/// A key-exchange group by its registered number. Unknown ids stay numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupId(pub u16);

/// The class of a key exchange: a fact of the group's id, of nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyExchange {
    /// A classical group and ML-KEM (or Kyber, its draft) together.
    Hybrid,
    /// ML-KEM alone.
    Pq,
    /// What a quantum computer breaks.
    Classical,
}

/// One row of the group table.
#[derive(Clone, Copy, Debug)]
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
    /// What to write in its place; its own name where this build has it.
    pub instead: &'static str,
}

/// Whether this build offers a group or a signature scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In the default offer.
    Default,
    /// Only when listed.
    Listed,
    /// Known, never offered by this build.
    Never,
}

/// The groups of the default offer, in its order.
pub fn default_offer() -> impl Iterator<Item = &'static Group> {
    TABLE.iter().filter(|group| group.standing == Standing::Default)
}

impl Group {
    /// The whole table, in the order of the default offer, then the rest.
    pub fn all() -> &'static [Group] {
        TABLE
    }

    /// A group by registered name, alias or letter case; otherwise why not.
    pub fn by_name(name: &str) -> Result<&'static Group, NameError> {
        let called = |group: &&Group| names::is_one_of(name, group.name, group.aliases);
        match TABLE.iter().find(called) {
            Some(group) if names::is_dead_group(group.name) => Err(NameError::Dead {
                successor: group.instead,
            }),
            Some(group) if group.standing == Standing::Never => Err(NameError::NotOffered {
                name: group.name,
                instead: group.instead,
            }),
            Some(group) => Ok(group),
            None => Err(names::no_group(name)),
        }
    }
}

impl GroupId {
    /// Its row.
    pub fn entry(self) -> Option<&'static Group> {
        TABLE.iter().find(|group| group.id == self)
    }

    /// Its class, where we know it.
    pub fn key_exchange(self) -> Option<KeyExchange> {
        self.entry().map(|group| group.class)
    }

    /// Reserved by RFC 8701 to keep servers tolerant.
    pub fn is_grease(self) -> bool {
        super::is_grease(self.0)
    }
}

impl fmt::Display for GroupId {
    /// The registered name, else `0x1234`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(group) => f.pad(group.name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl KeyExchange {
    /// `hybrid`, `pq` or `classical`
    pub fn as_str(self) -> &'static str {
        match self {
            KeyExchange::Hybrid => "hybrid",
            KeyExchange::Pq => "pq",
            KeyExchange::Classical => "classical",
        }
    }

    /// True for hybrid and pq.
    pub fn is_quantum_safe(self) -> bool {
        self != KeyExchange::Classical
    }
}

impl fmt::Display for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// X25519 and X448 are written as RFC 7748 writes them; IANA lists both in lower case.
const TABLE: &[Group] = &[
    hybrid(0x11ec, "X25519MLKEM768", 3, (1216, 1120)).offered(),
    hybrid(0x11eb, "SecP256r1MLKEM768", 3, (1249, 1153))
        .offered()
        .aka(&["p256_mlkem768", "P-256+ML-KEM-768"]),
    hybrid(0x11ed, "SecP384r1MLKEM1024", 5, (1665, 1665))
        .offered()
        .aka(&["p384_mlkem1024", "P-384+ML-KEM-1024"]),
    curve(0x001d, "X25519", 32)
        .offered()
        .aka(&["curve25519", "ecdh_x25519"]),
    curve(0x0017, "secp256r1", 65)
        .offered()
        .aka(&["P-256", "NIST P-256", "prime256v1"]),
    curve(0x0018, "secp384r1", 97)
        .offered()
        .aka(&["P-384", "NIST P-384", "ansip384r1"]),
    kem(0x0201, "MLKEM768", 3, (1184, 1088)).listed(),
    kem(0x0202, "MLKEM1024", 5, (1568, 1568)).listed(),
    kem(0x0200, "MLKEM512", 1, (800, 768)).instead("MLKEM768"),
    hybrid(0x11ee, "curveSM2MLKEM768", 3, (1249, 1153)).instead("X25519MLKEM768"),
    hybrid(0x6399, "X25519Kyber768Draft00", 3, (1216, 1120)).instead("X25519MLKEM768"),
    hybrid(0x639a, "SecP256r1Kyber768Draft00", 3, (1249, 1153)).instead("SecP256r1MLKEM768"),
    curve(0x0019, "secp521r1", 133)
        .instead("secp384r1")
        .aka(&["P-521", "NIST P-521"]),
    curve(0x001e, "X448", 56)
        .instead("X25519")
        .aka(&["curve448", "ecdh_x448"]),
    curve(0x0100, "ffdhe2048", 256).instead("X25519"),
    curve(0x0101, "ffdhe3072", 384).instead("X25519"),
    curve(0x0102, "ffdhe4096", 512).instead("X25519"),
    curve(0x0103, "ffdhe6144", 768).instead("X25519"),
    curve(0x0104, "ffdhe8192", 1024).instead("X25519"),
    curve(0x001a, "brainpoolP256r1", 65).instead("secp256r1"),
    curve(0x001b, "brainpoolP384r1", 97).instead("secp384r1"),
    curve(0x001c, "brainpoolP512r1", 129).instead("secp384r1"),
    curve(0x001f, "brainpoolP256r1tls13", 65).instead("secp256r1"),
    curve(0x0020, "brainpoolP384r1tls13", 97).instead("secp384r1"),
    curve(0x0021, "brainpoolP512r1tls13", 129).instead("secp384r1"),
    curve(0x0022, "GC256A", 64).instead("secp256r1"),
    curve(0x0023, "GC256B", 64).instead("secp256r1"),
    curve(0x0024, "GC256C", 64).instead("secp256r1"),
    curve(0x0025, "GC256D", 64).instead("secp256r1"),
    curve(0x0026, "GC512A", 128).instead("secp384r1"),
    curve(0x0027, "GC512B", 128).instead("secp384r1"),
    curve(0x0028, "GC512C", 128).instead("secp384r1"),
    curve(0x0029, "curveSM2", 65).instead("secp256r1"),
    curve(0x0016, "secp256k1", 65).instead("secp256r1"),
    curve(0x0015, "secp224r1", 57).instead("secp256r1").aka(&["P-224"]),
    curve(0x0014, "secp224k1", 57).instead("secp256r1"),
    curve(0x0013, "secp192r1", 49)
        .instead("secp256r1")
        .aka(&["P-192", "prime192v1"]),
    curve(0x0012, "secp192k1", 49).instead("secp256r1"),
    curve(0x0011, "secp160r2", 41).instead("secp256r1"),
    curve(0x0010, "secp160r1", 41).instead("secp256r1"),
    curve(0x000f, "secp160k1", 41).instead("secp256r1"),
    curve(0x000e, "sect571r1", 145).instead("secp384r1").aka(&["B-571"]),
    curve(0x000d, "sect571k1", 145).instead("secp384r1").aka(&["K-571"]),
    curve(0x000c, "sect409r1", 105).instead("secp384r1").aka(&["B-409"]),
    curve(0x000b, "sect409k1", 105).instead("secp384r1").aka(&["K-409"]),
    curve(0x000a, "sect283r1", 73).instead("secp256r1").aka(&["B-283"]),
    curve(0x0009, "sect283k1", 73).instead("secp256r1").aka(&["K-283"]),
    curve(0x0008, "sect239k1", 61).instead("secp256r1"),
    curve(0x0007, "sect233r1", 61).instead("secp256r1").aka(&["B-233"]),
    curve(0x0006, "sect233k1", 61).instead("secp256r1").aka(&["K-233"]),
    curve(0x0005, "sect193r2", 51).instead("secp256r1"),
    curve(0x0004, "sect193r1", 51).instead("secp256r1"),
    curve(0x0003, "sect163r2", 43).instead("secp256r1").aka(&["B-163"]),
    curve(0x0002, "sect163r1", 43).instead("secp256r1"),
    curve(0x0001, "sect163k1", 43).instead("secp256r1").aka(&["K-163"]),
];

/// ML-KEM and a curve. A hybrid's share is that of its curve and that of ML-KEM (1184, 1088 bytes for 768; 1568 for 1024).
const fn hybrid(id: u16, name: &'static str, level: u8, shares: (usize, usize)) -> Group {
    Group {
        class: KeyExchange::Hybrid,
        ..kem(id, name, level, shares)
    }
}

/// ML-KEM alone: the client sends an encapsulation key, the server a ciphertext (FIPS 203, table 3).
const fn kem(id: u16, name: &'static str, level: u8, shares: (usize, usize)) -> Group {
    let (client_share, server_share) = shares;
    Group {
        id: GroupId(id),
        name,
        class: KeyExchange::Pq,
        level,
        client_share,
        server_share,
        standing: Standing::Never,
        aliases: &[],
        instead: name,
    }
}

/// Diffie-Hellman over a curve or a field: both sides send the same. An uncompressed point is one byte and two coordinates.
const fn curve(id: u16, name: &'static str, share: usize) -> Group {
    Group {
        class: KeyExchange::Classical,
        ..kem(id, name, 0, (share, share))
    }
}

impl Group {
    const fn offered(self) -> Self {
        Group {
            standing: Standing::Default,
            ..self
        }
    }

    const fn listed(self) -> Self {
        Group {
            standing: Standing::Listed,
            ..self
        }
    }

    const fn aka(self, aliases: &'static [&'static str]) -> Self {
        Group { aliases, ..self }
    }

    const fn instead(self, instead: &'static str) -> Self {
        Group { instead, ..self }
    }
}
