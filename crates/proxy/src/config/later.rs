//! THE TABLE of names that SPEC 3 and 4 give a meaning which this version does not build: each is refused, none ignored.

/// A key of the file that a later version reads.
#[derive(Debug)]
pub(super) struct Later {
    /// The section it stands in.
    section: &'static str,
    /// Its name.
    key: &'static str,
    /// What to do until then.
    pub(super) hint: Option<&'static str>,
}

const fn key(section: &'static str, key: &'static str) -> Later {
    Later {
        section,
        key,
        hint: None,
    }
}

/// Keys by section; a section that is refused as a whole names only itself.
const LATER: &[Later] = &[
    key("", "acme"),
    key("site", "acme"),
    key("site", "authorize"),
    key("site", "cache"),
];

/// A reserved key of a section.
pub(super) fn key_of(section: &str, key: &str) -> Option<&'static Later> {
    LATER.iter().find(|later| later.section == section && later.key == key)
}

/// The reserved keys of a section.
pub(super) fn keys_of(section: &'static str) -> impl Iterator<Item = &'static str> {
    LATER
        .iter()
        .filter(move |later| later.section == section)
        .map(|later| later.key)
}
