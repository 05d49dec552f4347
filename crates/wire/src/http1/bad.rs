use std::fmt;

/// Why a message is refused. It never holds what the peer sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bad {
    status: u16,
    what: &'static str,
}

impl Bad {
    /// The status that answers such a request; a response that is bad is answered with 502 instead.
    pub fn status(&self) -> u16 {
        self.status
    }

    pub(crate) const fn new(status: u16, what: &'static str) -> Bad {
        Bad { status, what }
    }

    /// Not HTTP/1.1, or more than one thing at once.
    pub(crate) const fn syntax(what: &'static str) -> Bad {
        Bad::new(400, what)
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for Bad {}
