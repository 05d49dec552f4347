//! What holds in a block: its own directives, else those of the blocks around it.
use super::{
    super::draft::{Note, Place},
    grammar::Directive,
};

/// A block and those around it, innermost last.
#[derive(Clone)]
pub(super) struct Scope<'f> {
    blocks: Vec<&'f [Directive]>,
}

impl<'f> Scope<'f> {
    pub(super) fn new(block: &'f [Directive]) -> Scope<'f> {
        Scope { blocks: vec![block] }
    }

    /// The scope of a block in this one.
    pub(super) fn within(&self, block: &'f [Directive]) -> Scope<'f> {
        let mut blocks = self.blocks.clone();
        blocks.push(block);
        Scope { blocks }
    }

    /// The innermost block's own directives.
    pub(super) fn own(&self) -> &'f [Directive] {
        self.blocks.last().copied().unwrap_or_default()
    }

    /// Directives of a name: all of the innermost block that has any, as nginx inherits them.
    pub(super) fn all(&self, name: &str) -> Vec<&'f Directive> {
        let of = |block: &&'f [Directive]| block.iter().filter(|directive| directive.name == name).collect();
        let lists = self.blocks.iter().rev().map(of);
        lists
            .into_iter()
            .find(|list: &Vec<_>| !list.is_empty())
            .unwrap_or_default()
    }

    /// Who may ask: the rules of the innermost block that has any.
    pub(super) fn rules(&self) -> Vec<&'f Directive> {
        let is_rule = |directive: &&'f Directive| matches!(directive.name.as_str(), "allow" | "deny");
        let lists = self
            .blocks
            .iter()
            .rev()
            .map(|block| block.iter().filter(is_rule).collect());
        lists
            .into_iter()
            .find(|list: &Vec<_>| !list.is_empty())
            .unwrap_or_default()
    }

    /// The directive that holds.
    pub(super) fn one(&self, name: &str) -> Option<&'f Directive> {
        self.all(name).last().copied()
    }

    /// The first word of the directive that holds.
    pub(super) fn word(&self, name: &str) -> Option<&'f str> {
        self.one(name)?.words.first().map(String::as_str)
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.word(name) == Some("on")
    }
}

impl Directive {
    pub(super) fn place(&self) -> Place {
        Place::new(&self.file, self.line)
    }

    /// As it would be written on one line, its block left out.
    pub(super) fn shown(&self) -> String {
        let words: String = self.words.iter().map(|word| format!(" {word}")).collect();
        format!("{}{words}", self.name)
    }

    pub(super) fn note(&self, why: impl Into<String>) -> Note {
        Note::new(&self.place(), self.shown(), why)
    }

    pub(super) fn first(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(super) fn block(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// The value of a parameter like `weight=2`.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.words
            .iter()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether a word stands among the parameters.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|have| have == word)
    }
}

/// `30`, `30s`, `1m 30s`, `500ms`, `1d`: nginx's times, as milliseconds; a bare number is of seconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" | "" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "M" => 2_592_000_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}

/// As a duration is written in our file: the largest unit that it is a whole number of.
pub(super) fn duration(milliseconds: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units
        .iter()
        .find(|(size, _)| milliseconds > 0 && milliseconds.is_multiple_of(*size));
    whole.map_or_else(
        || format!("{milliseconds}ms"),
        |(size, unit)| format!("{}{unit}", milliseconds / size),
    )
}

/// `8k`, `64m`, `1g`: nginx's sizes as ours are written; 0 is none.
pub(super) fn size(text: &str) -> Option<String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "" => "B",
        "k" | "K" => "KiB",
        "m" | "M" => "MiB",
        "g" | "G" => "GiB",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_carried_over_exactly() {
        let times = [
            ("30", "30s"),
            ("30s", "30s"),
            ("1m 30s", "90s"),
            ("500ms", "500ms"),
            ("1h30m", "90m"),
            ("1d", "1d"),
            ("60m", "1h"),
        ];
        for (theirs, ours) in times {
            assert_eq!(milliseconds(theirs).map(duration).as_deref(), Some(ours), "{theirs}");
        }
        for bad in ["", "s", "1x", "1.5s", "99999999999999999999"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
        let sizes = [
            ("8k", Some("8KiB")),
            ("64M", Some("64MiB")),
            ("1g", Some("1GiB")),
            ("512", Some("512B")),
            ("1x", None),
            ("", None),
        ];
        for (theirs, ours) in sizes {
            assert_eq!(size(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
