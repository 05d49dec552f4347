//! Scalars: words, switches, numbers, durations, paths, names and networks, each parsed once.
use super::{
    report::{Fault, did_you_mean},
    tree::{Kind, Value, quoted},
};
use ipnet::IpNet;
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

/// What a word means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word<T> {
    /// A meaning of this version.
    Is(T),
    /// A meaning of a later one.
    #[allow(dead_code, reason = "for the next word that is reserved before it is built")]
    Later,
}

/// One of a few words.
pub(super) fn word<T: Copy>(what: &str, words: &[(&'static str, Word<T>)], value: &Value) -> Result<T, Fault> {
    let text = value.text()?;
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, Word::Is(meaning))) => Ok(*meaning),
        Some((_, Word::Later)) => Err(value.whole_fault(format!("{what} {} is not in this version", quoted(text)))),
        None => {
            let built = || {
                words
                    .iter()
                    .filter(|(_, word)| matches!(word, Word::Is(_)))
                    .map(|(word, _)| *word)
            };
            let choices: Vec<&str> = built().collect();
            let hint = did_you_mean(text, built()).unwrap_or_else(|| format!("it takes {}", choices.join(", ")));
            Err(value.whole_fault(format!("unknown {what} {}", quoted(text))).hint(hint))
        }
    }
}

/// True or false.
pub(super) fn switch(value: &Value) -> Result<bool, Fault> {
    match value.kind {
        Kind::Bool(is) => Ok(is),
        _ => Err(value.fault(format!("must be true or false, not {value}"))),
    }
}

/// A number of things.
pub(super) fn count(range: RangeInclusive<usize>, value: &Value) -> Result<usize, Fault> {
    let Kind::Integer(number) = value.kind else {
        return Err(value.fault(format!("must be a whole number, not {value}")));
    };
    let is_in_range = |number: &usize| range.contains(number);
    usize::try_from(number).ok().filter(is_in_range).ok_or_else(|| {
        value.fault(format!(
            "must be from {} to {}, not {number}",
            range.start(),
            range.end()
        ))
    })
}

/// `"auto"` is None.
pub(super) fn auto_or_count(range: RangeInclusive<usize>, value: &Value) -> Result<Option<usize>, Fault> {
    match &value.kind {
        Kind::String(text) if text == "auto" => Ok(None),
        Kind::Integer(_) => count(range, value).map(Some),
        _ => Err(value.fault(format!("must be \"auto\" or a whole number, not {value}"))),
    }
}

/// `"5s"`: a whole number and a unit.
pub(super) fn duration(value: &Value) -> Result<Duration, Fault> {
    /// Longer than any wait here can mean, and far below what a clock can hold.
    const LONGEST: Duration = Duration::from_secs(3650 * 86_400);
    let text = match &value.kind {
        Kind::String(text) => text,
        Kind::Integer(number) => {
            let fault = value.fault(format!("{number} has no unit"));
            return Err(fault.hint(format!("write it as \"{number}s\", or with ms, m, h or d")));
        }
        _ => return Err(value.fault(format!("must be a duration like \"5s\", not {value}"))),
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let Some((number, unit)) = number.parse::<u64>().ok().zip(milliseconds) else {
        let fault = value.fault(format!("{value} is not a duration"));
        return Err(fault.hint("a whole number and its unit: \"500ms\", \"5s\", \"10m\", \"12h\" or \"7d\""));
    };
    let duration = number.checked_mul(unit).map(Duration::from_millis);
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| value.fault(format!("{value} is too long")))
}

/// A duration that must not be nothing.
pub(super) fn positive_duration(value: &Value) -> Result<Duration, Fault> {
    let duration = duration(value)?;
    if duration.is_zero() {
        Err(value.fault("must be longer than nothing"))
    } else {
        Ok(duration)
    }
}

/// A limit in time: `"off"` and 0 are None.
pub(super) fn time_limit(value: &Value) -> Result<Option<Duration>, Fault> {
    match &value.kind {
        Kind::Integer(0) => Ok(None),
        Kind::String(text) if text == "off" => Ok(None),
        _ => Ok(Some(duration(value)?).filter(|duration| !duration.is_zero())),
    }
}

/// `"64MiB"`: a whole number and a unit.
pub(super) fn size(value: &Value) -> Result<u64, Fault> {
    let text = match &value.kind {
        Kind::String(text) => text,
        Kind::Integer(number) => {
            let fault = value.fault(format!("{number} has no unit"));
            return Err(fault.hint(format!("write it as \"{number}B\", or with KiB, MiB, GiB or TiB")));
        }
        _ => return Err(value.fault(format!("must be a size like \"64KiB\", not {value}"))),
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let bytes = ["B", "KiB", "MiB", "GiB", "TiB"]
        .iter()
        .position(|known| *known == unit);
    let bytes = bytes.map(|power| 1u64 << (10 * power));
    let Some((number, unit)) = number.parse::<u64>().ok().zip(bytes) else {
        let fault = value.fault(format!("{value} is not a size"));
        return Err(fault.hint("a whole number and its unit: \"512B\", \"64KiB\", \"64MiB\" or \"1GiB\""));
    };
    let size = number.checked_mul(unit).filter(|size| i64::try_from(*size).is_ok());
    size.ok_or_else(|| value.fault(format!("{value} is too large")))
}

/// A limit in bytes: `"off"` and 0 are None.
pub(super) fn size_limit(value: &Value) -> Result<Option<u64>, Fault> {
    match &value.kind {
        Kind::Integer(0) => Ok(None),
        Kind::String(text) if text == "off" => Ok(None),
        _ => Ok(Some(size(value)?).filter(|size| *size > 0)),
    }
}

/// A size within bounds.
pub(super) fn size_within(range: RangeInclusive<usize>, value: &Value) -> Result<usize, Fault> {
    let bytes = size(value)?;
    let is_in_range = |size: &usize| range.contains(size);
    usize::try_from(bytes).ok().filter(is_in_range).ok_or_else(|| {
        value.fault(format!(
            "must be from {} to {} bytes, not {value}",
            range.start(),
            range.end()
        ))
    })
}

/// A file, relative to the file that names it or to the current folder.
pub(super) fn path(value: &Value) -> Result<PathBuf, Fault> {
    let text = value.text()?;
    if text.is_empty() {
        return Err(value.fault("must name a file, not \"\""));
    }
    if let Some(written) = value.origin.content_of() {
        let path = quoted(written.trim_start_matches("file:"));
        let fault = value.fault("names a file itself, and file: stands for what a file holds");
        return Err(fault.hint(format!("write {path}")));
    }
    Ok(based(value, text))
}

/// A path relative to where it is written.
pub(super) fn based(value: &Value, text: &str) -> PathBuf {
    match value.origin.file().and_then(Path::parent) {
        Some(folder) => folder.join(text),
        None => PathBuf::from(text),
    }
}

/// The name of a listener, site or upstream.
pub(super) fn name(value: &Value) -> Result<String, Fault> {
    /// Names become metric labels and log fields.
    const LONGEST: usize = 128;
    let text = value.text()?;
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(value.fault(format!("must have 1 to {LONGEST} characters that print")));
    }
    Ok(text.to_owned())
}

/// A network, or one address.
pub(super) fn network(value: &Value) -> Result<IpNet, Fault> {
    let text = value.text()?;
    let parsed = text
        .parse::<IpNet>()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)));
    let network = parsed.map_err(|_| {
        value
            .fault(format!("{value} is no network"))
            .hint("like \"10.0.0.0/8\", \"2001:db8::/32\" or one address")
    })?;
    if network != network.trunc() {
        let fault = value.fault(format!("{value} has bits set behind its prefix"));
        return Err(fault.hint(format!("did you mean {}?", quoted(&network.trunc().to_string()))));
    }
    Ok(network)
}

/// A DNS name in lower case.
pub(super) fn dns_name(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    match flaw_of_dns_name(text) {
        None => Ok(text.to_ascii_lowercase()),
        Some((flaw, hint)) => Err(value
            .whole_fault(format!("{value} {flaw}"))
            .maybe_hint(hint.map(str::to_owned))),
    }
}

/// What a client may ask for: a DNS name, or `*.` and the rest of one.
pub(super) fn server_name(value: &Value) -> Result<String, Fault> {
    let text = value.text()?;
    let rest = text.strip_prefix("*.").unwrap_or(text);
    if rest.contains('*') {
        let hint = match rest {
            "*" => "the site without names takes every name that no other site has",
            _ => "a wildcard stands for one whole label, the first: \"*.example.com\"",
        };
        return Err(value
            .whole_fault(format!("{value} is no name that can be served"))
            .hint(hint));
    }
    match flaw_of_dns_name(rest) {
        None => Ok(text.to_ascii_lowercase()),
        Some((flaw, hint)) => Err(value
            .whole_fault(format!("{value} {flaw}"))
            .maybe_hint(hint.map(str::to_owned))),
    }
}

/// RFC 1035 2.3.4 for lengths; the underscore is used in practice.
fn flaw_of_dns_name(text: &str) -> Option<(&'static str, Option<&'static str>)> {
    const LONGEST_NAME: usize = 253;
    const LONGEST_LABEL: usize = 63;
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some((
            "is an address, which no client names",
            Some("leave names out for the site of nameless clients"),
        ));
    }
    if !text.is_ascii() {
        return Some(("is not ASCII", Some("write the name as it stands in DNS: \"xn--...\"")));
    }
    if text.ends_with('.') && text.len() > 1 {
        return Some((
            "ends with a dot",
            Some("leave the last dot out: clients send names without it"),
        ));
    }
    let is_label = |label: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.chars().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() > LONGEST_NAME || !text.split('.').all(is_label)).then_some(("is no DNS name", None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn text(text: &str) -> Value {
        Value::string(text, Origin::Default)
    }

    #[test]
    fn durations_need_a_whole_number_and_a_unit() {
        let good = [
            ("500ms", 500),
            ("5s", 5_000),
            ("10m", 600_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ];
        for (written, milliseconds) in good {
            assert_eq!(
                duration(&text(written)).ok(),
                Some(Duration::from_millis(milliseconds)),
                "{written}"
            );
        }
        for bad in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "5sec",
            "1h30m",
            "99999999999999999999s",
            "3651d",
        ] {
            assert!(duration(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_whole_number_and_a_unit() {
        let good = [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1 << 20),
            ("2GiB", 2 << 30),
            ("1TiB", 1 << 40),
        ];
        for (written, bytes) in good {
            assert_eq!(size(&text(written)).ok(), Some(bytes), "{written}");
        }
        for bad in [
            "",
            "64",
            "KiB",
            "64 KiB",
            "-1B",
            "1.5MiB",
            "64kib",
            "64M",
            "64MB",
            "9999999TiB",
            "99999999999999999999B",
        ] {
            assert!(size(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_is_the_whole_first_label() {
        let good = [
            "example.com",
            "*.example.com",
            "*.localhost",
            "LOCALHOST",
            "_x.example.com",
            "xn--bcher-kva.example",
        ];
        for name in good {
            assert_eq!(server_name(&text(name)).ok(), Some(name.to_ascii_lowercase()));
        }
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["abcdefg"; 32].join(".");
        let bad = [
            "",
            "*",
            "*.",
            "a.*.com",
            "*a.com",
            "*.*.com",
            "a..b",
            "-a.com",
            "a b",
            "example.com.",
            "127.0.0.1",
            "::1",
            "bücher.example",
        ];
        for name in bad.into_iter().chain([long_label.as_str(), long_name.as_str()]) {
            assert!(server_name(&text(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn networks_have_no_bits_behind_their_prefix() {
        assert_eq!(network(&text("10.0.0.0/8")).ok(), "10.0.0.0/8".parse().ok());
        assert_eq!(network(&text("10.1.2.3")).ok(), "10.1.2.3/32".parse().ok());
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "ten", ""] {
            assert!(network(&text(bad)).is_err(), "{bad}");
        }
    }
}
