//! Who is to blame when a handshake fails, and which alerts went by.
use portcullis_wire::alert::Alert;
use rustls::{AlertDescription, Error, PeerIncompatible, PeerMisbehaved};

/// SPEC 6's `fault`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The client did or offered what cannot work.
    Client,
    /// The upstream.
    Upstream,
    /// The configuration.
    Operator,
    /// We failed.
    Ours,
    /// Somebody left.
    Closed,
}

impl Fault {
    /// `client`, `upstream`, `operator`, `ours` or `closed`
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Client => "client",
            Fault::Upstream => "upstream",
            Fault::Operator => "operator",
            Fault::Ours => "ours",
            Fault::Closed => "closed",
        }
    }
}

/// What an error from a server connection means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blame {
    /// Whose it is.
    pub fault: Fault,
    /// The alert that came.
    pub alert_in: Option<Alert>,
    /// The alert that rustls sent.
    pub alert_out: Option<Alert>,
}

/// Reads a rustls error of the server side.
pub fn blame(error: &Error) -> Blame {
    match error {
        Error::AlertReceived(description) => received(*description),
        other => Blame {
            fault: fault(other),
            alert_in: None,
            alert_out: sent(other).map(|description| Alert(description.into())),
        },
    }
}

fn received(description: AlertDescription) -> Blame {
    let left = matches!(
        description,
        AlertDescription::CloseNotify | AlertDescription::UserCanceled
    );
    Blame {
        fault: if left { Fault::Closed } else { Fault::Client },
        alert_in: Some(Alert(description.into())),
        alert_out: None,
    }
}

/// A server meets only one peer: what is not of our own making is the client's.
fn fault(error: &Error) -> Fault {
    match error {
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::NoCertificatesPresented
        | Error::DecryptError
        | Error::PeerIncompatible(_)
        | Error::PeerMisbehaved(_)
        | Error::InvalidCertificate(_)
        | Error::PeerSentOversizedRecord
        | Error::NoApplicationProtocol => Fault::Client,
        Error::InvalidCertRevocationList(_) | Error::InconsistentKeys(_) => Fault::Operator,
        _ => Fault::Ours,
    }
}

/// The alert that rustls 0.23.46 sends with an error of the server side, read from its source: `server/hs.rs`,
/// `server/tls13.rs`, `server/tls12.rs`, `common_state.rs` and `conn.rs`. It tells nobody itself.
fn sent(error: &Error) -> Option<AlertDescription> {
    use AlertDescription as A;
    match error {
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => Some(A::UnexpectedMessage),
        // A compressed chain that is too long or cannot be read gives bad_certificate under the same names; they are rare.
        Error::InvalidMessage(problem) => Some(A::from(*problem)),
        Error::InvalidCertificate(problem) => Some(A::from(problem.clone())),
        Error::NoCertificatesPresented => Some(A::CertificateRequired),
        Error::NoApplicationProtocol => Some(A::NoApplicationProtocol),
        Error::PeerSentOversizedRecord => Some(A::RecordOverflow),
        // A wrong Finished gives decrypt_error under the same name; a record that does not open is far more common.
        Error::DecryptError => Some(A::BadRecordMac),
        Error::PeerIncompatible(problem) => Some(sent_to_incompatible(problem)),
        Error::PeerMisbehaved(problem) => sent_to_misbehaved(problem),
        _ => None,
    }
}

fn sent_to_incompatible(problem: &PeerIncompatible) -> AlertDescription {
    use PeerIncompatible as P;
    match problem {
        P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::SupportedVersionsExtensionRequired
        | P::Tls13RequiredForQuic => AlertDescription::ProtocolVersion,
        P::NullCompressionRequired | P::UncompressedEcPointsRequired => AlertDescription::IllegalParameter,
        _ => AlertDescription::HandshakeFailure,
    }
}

/// Where rustls returns the error without an alert, the connection just ends.
fn sent_to_misbehaved(problem: &PeerMisbehaved) -> Option<AlertDescription> {
    use AlertDescription as A;
    use PeerMisbehaved as P;
    match problem {
        P::MissingPskExtensionInSecondClientHello | P::MissingPskModesExtension | P::MissingQuicTransportParameters => {
            Some(A::MissingExtension)
        }
        P::MissingBinderInPskExtension => Some(A::DecodeError),
        P::IncorrectBinder => Some(A::DecryptError),
        P::InvalidCertCompression | P::SelectedUnofferedCertCompression => Some(A::BadCertificate),
        P::TooMuchEarlyDataReceived
        | P::IllegalMiddleboxChangeCipherSpec
        | P::KeyEpochWithPendingFragment
        | P::KeyUpdateReceivedInQuicConnection => Some(A::UnexpectedMessage),
        P::CipherSuiteDifferedOnRetry
        | P::EarlyDataAttemptedInSecondClientHello
        | P::HandshakeHashVariedAfterRetry
        | P::InvalidKeyShare
        | P::OfferedDuplicateCertificateCompressions
        | P::OfferedDuplicateKeyShares
        | P::OfferedIncorrectCompressions
        | P::PskExtensionWithMismatchedIdsAndBinders
        | P::RefusedToFollowHelloRetryRequest
        | P::ResumptionAttemptedWithVariedEms
        | P::ServerNameMustContainOneHostName
        | P::SignedHandshakeWithUnadvertisedSigScheme => Some(A::IllegalParameter),
        _ => None,
    }
}
