//! Which route takes a request.
use regex::bytes::RegexBuilder;
use std::fmt;

/// What one expression may take in memory when it is compiled.
const REGEX_SIZE: usize = 1024 * 1024;

/// Why an expression cannot be used.
#[derive(Debug)]
pub(crate) struct RegexFault(regex::Error);

/// Whether an expression can be used.
pub(crate) fn compiles(pattern: &str) -> Result<(), RegexFault> {
    let built = RegexBuilder::new(pattern).unicode(false).size_limit(REGEX_SIZE).build();
    built.map(|_| ()).map_err(RegexFault)
}

impl fmt::Display for RegexFault {
    /// The library's text spans lines and points at a place: its last line says what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            regex::Error::CompiledTooBig(limit) => write!(f, "takes more than {limit} bytes"),
            other => {
                let text = other.to_string();
                let last = text.lines().next_back().unwrap_or_default();
                write!(f, "is no expression: {}", last.trim_start_matches("error: "))
            }
        }
    }
}
