use std::fmt;

/// A string that a peer typed, made safe to print: printable ASCII as it is, the rest as `\xNN`
/// escapes (backslash and quotes escaped too), cut at [`Escaped::LIMIT`] with a mark.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// The most bytes shown.
    pub const LIMIT: usize = 256;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
