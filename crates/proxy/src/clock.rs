//! The wall clock, as lines and JSON write it.
use std::time::Duration;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

const OF_LOGS: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// Now, RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp() -> String {
    format(OffsetDateTime::now_utc())
}

/// So long ago, as Apache's logs write it.
pub(crate) fn log_time(ago: Duration) -> String {
    let moment = OffsetDateTime::now_utc() - ago;
    moment
        .format(OF_LOGS)
        .expect("every component of the format is part of a date and time")
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// A moment in seconds since 1970, RFC 3339 in UTC.
pub(crate) fn date(seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds);
    let text = moment
        .ok()
        .and_then(|m| m.format(&time::format_description::well_known::Rfc3339).ok());
    text.unwrap_or_else(|| "beyond the calendar".into())
}

fn format(moment: OffsetDateTime) -> String {
    moment
        .format(MILLISECONDS)
        .expect("every component of the format is part of a date and time")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_timestamp_has_milliseconds_and_a_z() {
        let moment = time::OffsetDateTime::from_unix_timestamp_nanos(1_793_000_000_123_456_789).unwrap();
        assert_eq!(super::format(moment), "2026-10-26T07:33:20.123Z");
    }
}
