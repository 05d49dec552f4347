//! An alert after the handshake: rustls sends none of our choosing, so its keys are taken and one record is sealed.
use portcullis_wire::alert::Alert;
use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConnection, SupportedCipherSuite,
    crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage},
};

/// The last record of a connection: a fatal alert, as bytes for the wire. What rustls still had to say must have gone
/// out before. None where the configuration does not give its secrets away.
pub fn sealed(connection: ServerConnection, alert: Alert) -> Option<Vec<u8>> {
    let suite = connection.negotiated_cipher_suite()?;
    let (sequence, secrets) = connection.dangerous_extract_secrets().ok()?.tx;
    const FATAL: u8 = 2;
    let payload = [FATAL, alert.0];
    let message = OutboundPlainMessage {
        typ: ContentType::Alert,
        // as every record of both versions says it (RFC 8446 5.1)
        version: ProtocolVersion::TLSv1_2,
        payload: OutboundChunks::Single(&payload),
    };
    let sealed = encrypter(suite, secrets)?.encrypt(message, sequence).ok()?;
    Some(sealed.encode())
}

fn encrypter(suite: SupportedCipherSuite, secrets: ConnectionTrafficSecrets) -> Option<Box<dyn MessageEncrypter>> {
    let (key, iv, is_gcm) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } | ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
            (key, iv, true)
        }
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv, false),
        _ => return None,
    };
    // RFC 5288 section 3: four bytes of salt, and eight that go out with each record
    const SALT: usize = 4;
    match suite {
        SupportedCipherSuite::Tls13(suite) => Some(suite.aead_alg.encrypter(key, iv)),
        SupportedCipherSuite::Tls12(suite) => {
            let (fixed, explicit) = iv.as_ref().split_at(if is_gcm { SALT } else { iv.as_ref().len() });
            Some(suite.aead_alg.encrypter(key, fixed, explicit))
        }
    }
}
