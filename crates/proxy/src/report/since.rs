//! Since when figures are wanted: so long ago, or a date.
use std::{fmt, str::FromStr};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Since when figures are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// So many seconds ago.
    Ago(i64),
    /// A moment, in seconds since 1970.
    Moment(i64),
}

const UNITS: [(&str, i64, &str); 5] = [
    ("m", 60, "minutes"),
    ("h", 3600, "hours"),
    ("d", 86_400, "days"),
    ("w", 7 * 86_400, "weeks"),
    ("y", 365 * 86_400, "years"),
];

impl Since {
    /// A week: what is asked for by who says nothing.
    pub const DEFAULT: Since = Since::Ago(7 * 86_400);

    /// In seconds since 1970.
    pub fn begin(self, now: i64) -> i64 {
        match self {
            Since::Ago(seconds) => now.saturating_sub(seconds),
            Since::Moment(moment) => moment,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        const WANTED: &str = "it takes a time such as 12h, 7d or 4w, or a date such as 2026-11-01";
        if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Since::Moment(moment.unix_timestamp()));
        }
        if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
            return Ok(Since::Moment(date.midnight().assume_utc().unix_timestamp()));
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = UNITS.iter().find(|(unit, ..)| *unit == &text[digits.len()..]);
        let (Some((_, seconds, _)), Ok(count @ 1..)) = (unit, digits.parse::<u32>()) else {
            return Err(WANTED.to_owned());
        };
        Ok(Since::Ago(i64::from(count) * seconds))
    }
}

/// As it stands in a sentence: `in the last 7 days`.
impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Since::Ago(seconds) => {
                let fits = |(_, unit, _): &&(&str, i64, &str)| *unit <= 86_400 && seconds % unit == 0;
                let found = UNITS.iter().rev().find(fits);
                let (count, name) = found.map_or((*seconds, "seconds"), |(_, unit, name)| (seconds / unit, name));
                match count {
                    1 => write!(f, "in the last {}", name.trim_end_matches('s')),
                    count => write!(f, "in the last {count} {name}"),
                }
            }
            Since::Moment(moment) => {
                let moment = OffsetDateTime::from_unix_timestamp(*moment).map_err(|_| fmt::Error)?;
                write!(f, "since {}", moment.date())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates_are_read_and_told() {
        let table = [
            ("7d", Since::Ago(604_800), "in the last 7 days"),
            ("1d", Since::Ago(86_400), "in the last day"),
            ("2w", Since::Ago(1_209_600), "in the last 14 days"),
            ("36h", Since::Ago(129_600), "in the last 36 hours"),
            ("90m", Since::Ago(5400), "in the last 90 minutes"),
            ("2026-11-01", Since::Moment(1_793_491_200), "since 2026-11-01"),
            ("2026-11-01T12:00:00Z", Since::Moment(1_793_534_400), "since 2026-11-01"),
        ];
        for (text, since, words) in table {
            assert_eq!(text.parse(), Ok(since), "{text}");
            assert_eq!(since.to_string(), words);
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_is() {
        for text in [
            "",
            "7",
            "d",
            "0d",
            "-1d",
            "7 d",
            "7dd",
            "99999999999d",
            "2026-13-01",
            "tomorrow",
        ] {
            let error = text.parse::<Since>().expect_err(text);
            assert!(error.starts_with("it takes a time"), "{error}");
        }
    }
}
