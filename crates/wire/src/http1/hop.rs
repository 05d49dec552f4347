use super::{
    Bad, is_token,
    token::{is_same_to_a_gateway, trimmed},
};

/// What `Connection` says: whether the connection goes on, and which fields are meant for this hop alone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Hop<'a> {
    named: [&'a str; MOST_NAMED],
    count: usize,
    close: bool,
    keep_alive: bool,
}

impl<'a> Hop<'a> {
    /// Whether the peer closes after this message.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// Whether HTTP/1.0's `keep-alive` was said.
    pub fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether a field of this name is meant for this hop alone because `Connection` names it.
    pub fn names(&self, field: &str) -> bool {
        self.iter().any(|name| name.eq_ignore_ascii_case(field))
    }

    /// The names, without `close` and `keep-alive`.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.named.into_iter().take(self.count)
    }

    /// Takes up one `Connection` field.
    pub(super) fn add(&mut self, value: &'a [u8]) -> Result<(), Bad> {
        for option in value.split(|&byte| byte == b',').map(trimmed) {
            // RFC 9110 section 5.6.1.2: empty elements of a list are ignored.
            if !option.is_empty() {
                self.add_option(option)?;
            }
        }
        Ok(())
    }

    fn add_option(&mut self, option: &'a [u8]) -> Result<(), Bad> {
        if !is_token(option) {
            return Err(Bad::syntax("Connection holds what is no token"));
        }
        let name = std::str::from_utf8(option).map_err(|_| Bad::syntax("Connection holds what is no token"))?;
        if name.eq_ignore_ascii_case("close") {
            self.close = true;
        } else if name.eq_ignore_ascii_case("keep-alive") {
            self.keep_alive = true;
        } else if ["host", "content-length"]
            .iter()
            .any(|field| is_same_to_a_gateway(name, field))
        {
            return Err(Bad::syntax("Connection names a field that every hop needs"));
        } else if !self.names(name) {
            let place = self
                .named
                .get_mut(self.count)
                .ok_or(Bad::syntax("Connection names more than 8 fields"))?;
            *place = name;
            self.count += 1;
        }
        Ok(())
    }
}

/// Browsers name one, an upgrade to HTTP/2 two.
const MOST_NAMED: usize = 8;

/// Fields that always end at this hop (RFC 9110 section 7.6.1), and those meant for a proxy that one chose oneself.
/// `Trailer` is not among them, since trailers are passed on.
pub fn is_hop_by_hop(name: &str) -> bool {
    let is = |field: &str| name.eq_ignore_ascii_case(field);
    match name.len() {
        2 => is("te"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        14 => is("http2-settings"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}
