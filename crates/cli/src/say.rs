//! Results to standard output, diagnostics to standard error. A reader that has gone (`| head`) is no error, and
//! there is nobody left to tell.
use std::io::{Write, stderr, stdout};

/// A result, with the line ended.
pub(crate) fn result(text: &str) {
    let _ = writeln!(stdout(), "{}", text.trim_end());
}

/// A diagnostic, with the line ended.
pub(crate) fn problem(text: &str) {
    let _ = writeln!(stderr(), "{}", text.trim_end());
}
