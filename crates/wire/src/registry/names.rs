//! What people type: letter case, dashes, names of drafts, and slips of the finger.
use std::fmt;

use super::{ciphers::Cipher, groups::Group, schemes::Scheme};

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

impl NameError {
    /// What to do about it: the line below the message.
    pub fn hint(&self) -> String {
        let first = match self {
            NameError::Dead { successor } => format!("that draft became {successor}; "),
            NameError::NotOffered { instead, .. } => format!("write {instead} instead; "),
            NameError::Unknown { near: Some(near) } => format!("did you mean {near}? "),
            NameError::Unknown { near: None } => String::new(),
        };
        first + "`portcullis groups` lists them all"
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Dead { .. } => f.write_str("a name from a draft that is gone"),
            NameError::NotOffered { name, .. } => {
                write!(f, "{name} is known, but this build does not offer it")
            }
            NameError::Unknown { .. } => f.write_str("no such name"),
        }
    }
}

impl std::error::Error for NameError {}

/// `typed` is this name or one of its aliases.
pub(super) fn is_one_of(typed: &str, name: &str, aliases: &[&str]) -> bool {
    same(typed, name) || aliases.iter().any(|alias| same(typed, alias))
}

/// This row of the group table is there for its number only.
pub(super) fn is_dead_group(name: &str) -> bool {
    name.ends_with("Draft00")
}

pub(super) fn no_group(typed: &str) -> NameError {
    let rows = Group::all().iter().filter(|group| Group::by_name(group.name).is_ok());
    gone(typed, DEAD_GROUPS)
        .or_else(|| abandoned(typed, ABANDONED_GROUPS))
        .unwrap_or_else(|| near(typed, rows.map(|group| (group.name, group.aliases))))
}

pub(super) fn no_scheme(typed: &str) -> NameError {
    let other = super::schemes::OTHERS.iter().find(|(_, name)| same(typed, name));
    let other = other.map(|(_, name)| NameError::NotOffered {
        name,
        instead: instead_of(name),
    });
    let rows = Scheme::all()
        .iter()
        .filter(|scheme| Scheme::by_name(scheme.name).is_ok());
    gone(typed, DEAD_SCHEMES)
        .or(other)
        .or_else(|| abandoned(typed, ABANDONED_SCHEMES))
        .unwrap_or_else(|| near(typed, rows.map(|scheme| (scheme.name, scheme.aliases))))
}

pub(super) fn no_cipher(typed: &str) -> NameError {
    near(typed, Cipher::all().iter().map(|cipher| (cipher.name, cipher.aliases)))
}

/// Draft and experimental names, with what they became. Open Quantum Safe wrote hybrids as `curve_kem`.
const DEAD_GROUPS: &[(&str, &str)] = &[
    ("kyber512", "MLKEM768"),
    ("kyber768", "MLKEM768"),
    ("kyber1024", "MLKEM1024"),
    ("X25519Kyber512Draft00", "X25519MLKEM768"),
    ("X25519Kyber768", "X25519MLKEM768"),
    ("x25519_kyber512", "X25519MLKEM768"),
    ("x448_kyber768", "X25519MLKEM768"),
    ("p256_kyber512", "SecP256r1MLKEM768"),
    ("p256_kyber768", "SecP256r1MLKEM768"),
    ("SecP256r1Kyber768", "SecP256r1MLKEM768"),
    ("P256Kyber768Draft00", "SecP256r1MLKEM768"),
    ("p384_kyber768", "SecP384r1MLKEM1024"),
    ("p384_kyber1024", "SecP384r1MLKEM1024"),
    ("p521_kyber1024", "SecP384r1MLKEM1024"),
    ("x25519_mlkem512", "X25519MLKEM768"),
    ("x448_mlkem768", "X25519MLKEM768"),
    ("x448_mlkem1024", "SecP384r1MLKEM1024"),
    ("p256_mlkem512", "SecP256r1MLKEM768"),
    ("SecP256r1MLKEM512", "SecP256r1MLKEM768"),
    ("p384_mlkem768", "SecP384r1MLKEM1024"),
    ("SecP384r1MLKEM768", "SecP384r1MLKEM1024"),
    ("p521_mlkem1024", "SecP384r1MLKEM1024"),
    ("SecP521r1MLKEM1024", "SecP384r1MLKEM1024"),
];

const DEAD_SCHEMES: &[(&str, &str)] = &[
    ("dilithium2", "mldsa44"),
    ("dilithium3", "mldsa65"),
    ("dilithium5", "mldsa87"),
    ("dilithium2_aes", "mldsa44"),
    ("dilithium3_aes", "mldsa65"),
    ("dilithium5_aes", "mldsa87"),
    ("p256_dilithium2", "mldsa44"),
    ("rsa3072_dilithium2", "mldsa44"),
    ("p384_dilithium3", "mldsa65"),
    ("p521_dilithium5", "mldsa87"),
    ("p256_mldsa44", "mldsa44"),
    ("rsa3072_mldsa44", "mldsa44"),
    ("p384_mldsa65", "mldsa65"),
    ("p521_mldsa87", "mldsa87"),
    ("mldsa44_ed25519", "mldsa44"),
    ("mldsa44_p256", "mldsa44"),
    ("mldsa65_p256", "mldsa65"),
    ("mldsa65_p384", "mldsa65"),
    ("mldsa87_p384", "mldsa87"),
];

/// Families that nothing in TLS came of: a part of the name, the family, what to use.
const ABANDONED_GROUPS: &[(&str, &str, &str)] = &[
    ("kyber", "Kyber", "X25519MLKEM768"),
    ("frodo", "FrodoKEM", "X25519MLKEM768"),
    ("bike", "BIKE", "X25519MLKEM768"),
    ("hqc", "HQC", "X25519MLKEM768"),
    ("ntru", "NTRU", "X25519MLKEM768"),
    ("saber", "Saber", "X25519MLKEM768"),
    ("sike", "SIKE", "X25519MLKEM768"),
    ("mceliece", "Classic McEliece", "X25519MLKEM768"),
    ("cecpq", "CECPQ2", "X25519MLKEM768"),
];

const ABANDONED_SCHEMES: &[(&str, &str, &str)] = &[
    ("falcon512", "Falcon-512", "mldsa44"),
    ("falcon1024", "Falcon-1024", "mldsa87"),
    ("falcon", "Falcon", "mldsa65"),
    ("fndsa", "FN-DSA", "mldsa65"),
    ("sphincs", "SPHINCS+", "mldsa65"),
    ("slhdsa", "SLH-DSA", "mldsa65"),
    ("dilithium", "Dilithium", "mldsa65"),
    ("rainbow", "Rainbow", "mldsa65"),
    ("mayo", "MAYO", "mldsa65"),
    ("snova", "SNOVA", "mldsa65"),
    ("cross", "CROSS", "mldsa65"),
];

/// For a scheme that is registered and not ours.
fn instead_of(name: &str) -> &'static str {
    match name {
        name if name.starts_with("rsa") => "rsa_pss_rsae_sha256",
        _ => "ecdsa_secp256r1_sha256",
    }
}

fn gone(typed: &str, table: &[(&str, &'static str)]) -> Option<NameError> {
    let (_, successor) = table.iter().find(|(name, _)| same(typed, name))?;
    Some(NameError::Dead { successor })
}

fn abandoned(typed: &str, table: &[(&str, &'static str, &'static str)]) -> Option<NameError> {
    let typed: String = letters(typed).map(char::from).collect();
    let (_, name, instead) = table.iter().find(|(part, ..)| typed.contains(part))?;
    Some(NameError::NotOffered { name, instead })
}

/// The closest name within a third of what was typed: three slips in ten letters are a slip, more is another word.
fn near(typed: &str, rows: impl Iterator<Item = (&'static str, &'static [&'static str])>) -> NameError {
    let typed: Vec<u8> = letters(typed).take(LONGEST).collect();
    let closest = rows
        .flat_map(|(name, aliases)| {
            aliases
                .iter()
                .chain([&name])
                .map(|spelt| (distance(&typed, spelt), name))
                .min()
        })
        .min_by_key(|(slips, _)| *slips);
    NameError::Unknown {
        near: closest
            .filter(|(slips, _)| *slips * 3 <= typed.len())
            .map(|(_, name)| name),
    }
}

/// Longer than every name; what is typed beyond it is not compared.
const LONGEST: usize = 64;

/// The letters that tell names apart: people write `x25519_mlkem768`, `ML-KEM-768`, `NIST P-256`.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes()
        .filter(|byte| !matches!(byte, b'_' | b'-' | b' '))
        .map(|byte| byte.to_ascii_lowercase())
}

fn same(typed: &str, name: &str) -> bool {
    letters(typed).eq(letters(name))
}

/// Letters to add, drop, change or swap with their neighbour (the "optimal string alignment" distance).
fn distance(typed: &[u8], name: &str) -> usize {
    let name: Vec<u8> = letters(name).collect();
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=name.len()).collect();
    for (i, a) in typed.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in name.iter().enumerate() {
            let change = above[j] + usize::from(a != b);
            let swapped = i > 0 && j > 0 && *a == name[j - 1] && typed[i - 1] == *b;
            let swap = if swapped { before[j - 1] + 1 } else { change };
            row.push(change.min(swap).min(above[j + 1] + 1).min(row[j] + 1));
        }
        before = std::mem::replace(&mut above, row);
    }
    above[name.len()]
}
