//! Answers of our own.

/// The errors that the proxy answers by itself.
pub(crate) const STATUSES: [u16; 14] = [400, 403, 404, 405, 408, 413, 414, 421, 429, 431, 500, 502, 503, 504];
