//! Where the same site is to be had over QUIC, as its answers over TCP tell (RFC 7838).
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

/// How long a client remembers: a day, as the large sites have it. A listener that ends before it was told so costs a
/// client one attempt that fails.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alternative {
    /// It is, at the port that the world sees; None: at the one that was connected to.
    Quic(Option<u16>),
    /// It was, and somebody may remember.
    Withdrawn,
}

impl Alternative {
    /// Of a listener without QUIC, whose predecessor had it, or was told to say so until then.
    pub(crate) fn withdrawn_until(had_quic: bool, until: Option<Instant>, now: Instant) -> Option<Instant> {
        match had_quic {
            true => Some(now + LIFETIME),
            false => until.filter(|until| *until > now),
        }
    }

    /// The value of `Alt-Svc`, for connections to this port.
    pub(crate) fn value(self, connected_to: impl FnOnce() -> Option<u16>) -> Option<Rc<str>> {
        Some(match self {
            Alternative::Withdrawn => "clear".into(),
            Alternative::Quic(port) => {
                let (port, seconds) = (port.or_else(connected_to)?, LIFETIME.as_secs());
                format!("h3=\":{port}\"; ma={seconds}").into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_is_withdrawn_for_as_long_as_it_is_remembered() {
        let now = Instant::now();
        let until = Alternative::withdrawn_until(true, None, now);
        assert_eq!(until, Some(now + LIFETIME));
        let later = now + LIFETIME / 2;
        assert_eq!(Alternative::withdrawn_until(false, until, later), until);
        assert_eq!(Alternative::withdrawn_until(false, until, now + LIFETIME), None);
        assert_eq!(Alternative::withdrawn_until(false, None, now), None);
    }

    #[test]
    fn the_port_is_the_one_that_the_world_sees() {
        let value = |alternative: Alternative, port| alternative.value(|| port).map(|value| value.to_string());
        let quic = Alternative::Quic;
        assert_eq!(
            value(quic(Some(443)), Some(8443)).as_deref(),
            Some("h3=\":443\"; ma=86400")
        );
        assert_eq!(value(quic(None), Some(8443)).as_deref(), Some("h3=\":8443\"; ma=86400"));
        assert_eq!(value(quic(None), None), None);
        assert_eq!(value(Alternative::Withdrawn, None).as_deref(), Some("clear"));
    }
}
