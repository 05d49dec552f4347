//! TLS alerts: numbers, names, and the bytes of a fatal one.
use std::fmt;

use crate::record;

/// An alert description by its registered number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Alert(pub u8);

impl Alert {
    /// The peer is done sending.
    pub const CLOSE_NOTIFY: Alert = Alert(0);
    /// A message that must not come here.
    pub const UNEXPECTED_MESSAGE: Alert = Alert(10);
    /// A record longer than TLS allows.
    pub const RECORD_OVERFLOW: Alert = Alert(22);
    /// No common parameters.
    pub const HANDSHAKE_FAILURE: Alert = Alert(40);
    /// A value that the RFCs forbid.
    pub const ILLEGAL_PARAMETER: Alert = Alert(47);
    /// Understood, and refused.
    pub const ACCESS_DENIED: Alert = Alert(49);
    /// A message that cannot be read.
    pub const DECODE_ERROR: Alert = Alert(50);
    /// No common version.
    pub const PROTOCOL_VERSION: Alert = Alert(70);
    /// What is offered is too weak.
    pub const INSUFFICIENT_SECURITY: Alert = Alert(71);
    /// Our own fault.
    pub const INTERNAL_ERROR: Alert = Alert(80);
    /// No site of this name.
    pub const UNRECOGNIZED_NAME: Alert = Alert(112);
    /// A client certificate is needed and none came.
    pub const CERTIFICATE_REQUIRED: Alert = Alert(116);

    /// The registered name, `handshake_failure`; None for a number without one.
    pub fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find(|(number, _)| *number == self.0)
            .map(|(_, name)| *name)
    }

    /// It says something about a certificate (42 to 48, 113, 114, 116).
    pub fn is_about_certificate(self) -> bool {
        // 47 is illegal_parameter and stands between them in the registry.
        matches!(self.0, 42..=46 | 48 | 113 | 114 | 116)
    }

    /// A fatal alert in a plaintext record.
    pub fn fatal_record(self) -> [u8; 7] {
        const FATAL: u8 = 2;
        // Records before the version is agreed carry 3.3 (RFC 8446 section 5.1).
        [record::ALERT, record::VERSION_MAJOR, 3, 0, 2, FATAL, self.0]
    }
}

impl fmt::Display for Alert {
    /// The name, else `alert 123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "alert {}", self.0),
        }
    }
}

/// IANA's registry of alerts, reserved ones included: old peers still send them.
const NAMES: &[(u8, &str)] = &[
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (52, "too_many_cids_requested"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (117, "general_error"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];
