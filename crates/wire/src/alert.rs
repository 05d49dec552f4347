//! TLS alerts: numbers, names, and the bytes of a fatal one.

/// An alert description by its registered number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Alert(pub u8);

impl Alert {
    pub const CLOSE_NOTIFY: Alert = Alert(0);
    pub const UNEXPECTED_MESSAGE: Alert = Alert(10);
    pub const RECORD_OVERFLOW: Alert = Alert(22);
    pub const HANDSHAKE_FAILURE: Alert = Alert(40);
    pub const ILLEGAL_PARAMETER: Alert = Alert(47);
    pub const ACCESS_DENIED: Alert = Alert(49);
    pub const DECODE_ERROR: Alert = Alert(50);
    pub const PROTOCOL_VERSION: Alert = Alert(70);
    pub const INSUFFICIENT_SECURITY: Alert = Alert(71);
    pub const INTERNAL_ERROR: Alert = Alert(80);
    pub const UNRECOGNIZED_NAME: Alert = Alert(112);
    pub const CERTIFICATE_REQUIRED: Alert = Alert(116);

    /// The registered name, `handshake_failure`; None for a number without one.
    pub fn name(self) -> Option<&'static str> {
        todo!()
    }
    /// It says something about a certificate (42 to 48, 113, 114, 116).
    pub fn is_about_certificate(self) -> bool {
        todo!()
    }
    /// A fatal alert in a plaintext record.
    pub fn fatal_record(self) -> [u8; 7] {
        todo!()
    }
}
impl std::fmt::Display for Alert {
    /// The name, else `alert 123`.
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
