//! A reader over bytes that never reads past what it was given.
use crate::client_hello::HelloError;

/// Bytes still to be read, and what they are, for the error.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Reader { rest: bytes, what }
    }

    /// The same bytes under a name of their own.
    pub(crate) fn named(self, what: &'static str) -> Self {
        Reader { what, ..self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, HelloError> {
        let (&[byte], rest) = self.rest.split_first_chunk().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, HelloError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// A vector with one byte of length before it.
    pub(crate) fn vec8(&mut self) -> Result<Reader<'a>, HelloError> {
        let len = self.u8()?;
        Ok(Reader::new(self.take(usize::from(len))?, self.what))
    }

    /// A vector with two bytes of length before it.
    pub(crate) fn vec16(&mut self) -> Result<Reader<'a>, HelloError> {
        let len = self.u16()?;
        Ok(Reader::new(self.take(usize::from(len))?, self.what))
    }

    /// All that is left, as numbers of two bytes; at least one.
    pub(crate) fn u16s(self) -> Result<impl Iterator<Item = u16> + use<'a>, HelloError> {
        let (pairs, odd) = self.rest.as_chunks::<2>();
        if pairs.is_empty() || !odd.is_empty() {
            return Err(self.malformed());
        }
        Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), HelloError> {
        if self.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }

    /// At least something must be left.
    pub(crate) fn not_empty(self) -> Result<Self, HelloError> {
        if self.is_empty() {
            Err(self.malformed())
        } else {
            Ok(self)
        }
    }

    pub(crate) fn malformed(&self) -> HelloError {
        HelloError::Decode(self.what)
    }
}

/// What stands in the list twice. Sorted, because 16 KiB hold thousands and a stranger sends them.
pub(crate) fn first_twice<T: Copy + Ord>(items: impl IntoIterator<Item = T>) -> Option<T> {
    let mut sorted: Vec<T> = items.into_iter().collect();
    sorted.sort_unstable();
    sorted.array_windows().find(|[a, b]| a == b).map(|[a, _]| *a)
}
