//! The message itself, from its header to its last byte.
use super::{Hello, HelloError, TLS12, TLS13, extensions};
use crate::{handshake, reader::Reader, registry::CipherId};

/// Reads a whole ClientHello, header included.
pub(super) fn read(message: &[u8]) -> Result<Hello, HelloError> {
    let mut reader = Reader::new(message, "hello");
    reader.take(handshake::HEADER)?;
    let mut hello = Hello {
        len: message.len(),
        legacy_version: reader.u16()?,
        ..Hello::default()
    };
    reader.take(handshake::RANDOM)?;
    let session_id = reader.vec8()?.rest();
    if session_id.len() > handshake::MAX_SESSION_ID {
        return Err(HelloError::Decode("session id"));
    }
    hello.ciphers = reader.vec16()?.named("cipher suites").u16s()?.map(CipherId).collect();
    let compressions = reader.vec8()?.named("compression methods").not_empty()?.rest();
    // Hellos from before RFC 4366 end here.
    if !reader.is_empty() {
        let list = reader.vec16()?;
        reader.end()?;
        extensions::read(list.named("extensions"), &mut hello)?;
    }
    if hello.versions.is_empty() {
        // Without the extension a server must not go beyond TLS 1.2 (RFC 8446 section 4.2.1).
        hello.versions = vec![hello.legacy_version.min(TLS12)];
    }
    allowed_compression(compressions, &hello)?;
    Ok(hello)
}

/// "No compression" must be offered; TLS 1.3 allows nothing else (RFC 8446 section 4.1.2).
fn allowed_compression(methods: &[u8], hello: &Hello) -> Result<(), HelloError> {
    let allowed = if hello.versions.contains(&TLS13) {
        methods == [0]
    } else {
        methods.contains(&0)
    };
    if allowed {
        Ok(())
    } else {
        Err(HelloError::Illegal("compression methods"))
    }
}
