//! Numbers as people read them.

/// `12,345`
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 client`, `1,234 clients`
pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `1.2 GB`; a thousand of one is one of the next.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut tenths = u128::from(n) * 10;
    let mut unit = 0;
    tenths /= 1000;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `2.9 %`: never 0.0 of something, never 100.0 of less than all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".to_owned();
    }
    let tenths = (u128::from(part) * 2000 / u128::from(whole)).div_ceil(2);
    match tenths {
        0 => "under 0.1 %".to_owned(),
        1000.. if part < whole => "over 99.9 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// The same, short, for a cell.
pub(super) fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => percent(part, whole).replace("under ", "<").replace("over ", ">"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(["0 bytes", "1 byte"], [0, 1].map(|n| counted(n, "byte")));
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1999, "1.9 kB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (n, text) in table {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_to_all() {
        let table = [
            (0, 10, "0 %"),
            (10, 10, "100.0 %"),
            (1, 10_000, "under 0.1 %"),
            (9_999, 10_000, "over 99.9 %"),
            (29, 1000, "2.9 %"),
            (1, 3, "33.3 %"),
            (2, 3, "66.7 %"),
            (0, 0, "0 %"),
        ];
        for (part, whole, text) in table {
            assert_eq!(percent(part, whole), text, "{part} of {whole}");
        }
        assert_eq!([share(1, 10_000), share(0, 0)], ["<0.1 %", "-"]);
    }
}
