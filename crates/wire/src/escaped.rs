use std::fmt::{self, Write};

/// A string that a peer typed, made safe to print: printable ASCII as it is, the rest as `\xNN`
/// escapes (backslash, quotes and angle brackets escaped too), cut at [`Escaped::LIMIT`] with a mark.
///
/// What comes out holds no control character, nothing that ends a quoted string, no HTML tag, and can be read
/// back: every backslash begins an escape or is the mark of a cut.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// The most bytes shown.
    pub const LIMIT: usize = 256;
    /// Ends what was cut. An escape never has a dot, so a peer cannot type this.
    pub const CUT: &'static str = "\\...";
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(Self::LIMIT)];
        for &byte in shown {
            match byte {
                b'\\' | b'"' | b'\'' | b'<' | b'>' => write!(f, "\\x{byte:02x}")?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        if shown.len() < self.0.len() {
            f.write_str(Self::CUT)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
