//! Colours on terminals only. NO_COLOR and CLICOLOR_FORCE are honoured by the same rule as in clap's help.
use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use std::io::{IsTerminal, Write, stdout};

/// What holds.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What may be better.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What does not hold.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is said in passing.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// A heading.
pub(crate) const HEADING: Style = Style::new().bold();

/// Whether a person looks at standard output.
pub(crate) fn is_terminal() -> bool {
    stdout().is_terminal()
}

/// The text in a style.
pub(crate) fn in_style(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A styled result; the style is taken off where it does not belong.
pub(crate) fn result(text: &str) {
    // nobody is left to tell when the reader has gone
    let _ = writeln!(AutoStream::auto(stdout()), "{}", text.trim_end());
}
