//! JA4: which library a client stands on, told by its hello.
use crate::provider::sha256;
use portcullis_wire::{
    Hello,
    ja4::{HEAD, Parts, Transport},
};
use std::fmt;

/// A fingerprint, as people write it: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ja4([u8; Ja4::LEN]);

impl Ja4 {
    /// Characters of any fingerprint.
    pub const LEN: usize = HEAD + 2 * (1 + HASH);

    /// The fingerprint of a hello: two hashes of a few hundred bytes.
    pub fn of(hello: &Hello, transport: Transport) -> Ja4 {
        Ja4::from(Parts::of(hello, transport))
    }

    /// What the hello of the same client has when it has no session to resume: by JA4 alone it would be two clients. None:
    /// this is such a hello.
    pub fn of_first_visit(hello: &Hello, transport: Transport) -> Option<Ja4> {
        Parts::of_first_visit(hello, transport).map(Ja4::from)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("head and hashes are ASCII")
    }
}

impl From<Parts> for Ja4 {
    fn from(parts: Parts) -> Ja4 {
        let mut text = [b'_'; Ja4::LEN];
        text[..HEAD].copy_from_slice(&parts.head);
        text[HEAD + 1..][..HASH].copy_from_slice(&shortened(&parts.ciphers));
        text[HEAD + 1 + HASH + 1..].copy_from_slice(&shortened(&parts.extensions));
        Ja4(text)
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands for a text that must not be told: the same for the same, and to be guessed only by who has the secret.
pub fn pseudonym(secret: &[u8; 32], text: &[u8]) -> String {
    // a fixed length before the text and a cut after: nothing to extend
    let hash = sha256(&[secret, text].concat());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Characters of a shortened hash.
const HASH: usize = 12;

/// The first six bytes of SHA-256 in hex; zeros for nothing, so that it can be told from a hash.
fn shortened(list: &str) -> [u8; HASH] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; HASH];
    if !list.is_empty() {
        for (pair, byte) in text.chunks_exact_mut(2).zip(sha256(list.as_bytes())) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 0x0f)];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::client_hello::{Progress, from_records};

    /// FoxIO-LLC/ja4, technical_details/JA4.md: "Cipher hash" and "Extension hash".
    #[test]
    fn hashes_are_the_published_ones() {
        let ciphers = "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9";
        let extensions = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01";
        let schemes = "0403,0804,0401,0503,0805,0501,0806,0601";
        assert_eq!(&shortened(ciphers), b"8daaf6152771");
        assert_eq!(&shortened(&format!("{extensions}_{schemes}")), b"e5627efa2ab1");
        assert_eq!(&shortened(extensions), b"6d807ffa2a79");
        assert_eq!(&shortened(""), b"000000000000");
    }

    #[test]
    fn a_pseudonym_is_another_under_another_secret() {
        let of = |secret: u8, text: &str| pseudonym(&[secret; 32], text.as_bytes());
        assert_eq!(of(1, "192.0.2.7"), of(1, "192.0.2.7"));
        assert_ne!(of(1, "192.0.2.7"), of(2, "192.0.2.7"));
        assert_ne!(of(1, "192.0.2.7"), of(1, "192.0.2.8"));
        assert_eq!(of(1, "").len(), 16);
    }

    /// What FoxIO publishes for Chromium from 152 on, which sends GREASE among its signature schemes, where Wireshark 4.4
    /// hashes it (FoxIO-LLC/ja4 issue 305 and pcap/sigalg-grease.pcap).
    const CHROMIUM: &str = "t13d1517h2_8daaf6152771_cb7bf5808d99";

    /// Against `tls.handshake.ja4` of Wireshark 4.4, whose reading stands in expected.txt.
    #[test]
    fn every_hello_of_the_corpus_has_the_fingerprint_that_tshark_gives_it() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/testdata/hellos");
        let expected = std::fs::read_to_string(format!("{folder}/expected.txt")).unwrap();
        let mut compared = 0;
        for section in expected.split("\n[").skip(1) {
            let (name, lines) = section.split_once("]\n").unwrap();
            let told = match name {
                "chromium" => CHROMIUM,
                _ => lines.lines().find_map(|line| line.strip_prefix("ja4 ")).unwrap(),
            };
            let records = std::fs::read(format!("{folder}/{name}.bin")).unwrap();
            let Ok(Progress::Complete(hello)) = from_records(&records) else {
                panic!("{name} is a hello")
            };
            assert_eq!(Ja4::of(&hello, Transport::Tcp).as_str(), told, "{name}");
            compared += 1;
        }
        assert!(compared >= 30, "{compared}");
    }
}
