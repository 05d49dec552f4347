//! What is done to fields on their way: what ends here, what a route edits, what is added. The same for every
//! version of HTTP: borrowed fields go in, and a sink is fed with those that go on.
use super::{
    forwarded::{self, Told},
    names::{Reserved, reserved},
    sticky::without_ours,
};
use crate::plan::{EditsPlan, HeadersPlan};
use portcullis_wire::http1::{Field, Hop, is_hop_by_hop, is_same_to_a_gateway};

/// A route's edits, ready to be applied.
pub(crate) struct Rules {
    request: Edits,
    response: Edits,
    security: bool,
}

/// Edits in one direction.
struct Edits {
    /// Names of which no line goes on: those removed and those set.
    replaced: Vec<Box<str>>,
    /// Lines that are set or added, in this order.
    lines: Vec<(Box<str>, Box<[u8]>)>,
}

/// What browsers obey, where the upstream's answer has none of its own (`headers.security`), and whether it means
/// something only over TLS.
const SECURITY: [(&str, &str, OverTls); 4] = [
    // two years: what the lists of browsers ask for
    ("strict-transport-security", "max-age=63072000", OverTls::Only),
    ("x-content-type-options", "nosniff", OverTls::Too),
    ("x-frame-options", "SAMEORIGIN", OverTls::Too),
    ("referrer-policy", "strict-origin-when-cross-origin", OverTls::Too),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum OverTls {
    Only,
    Too,
}

impl Rules {
    /// What a route says.
    pub(crate) fn new(plan: &HeadersPlan) -> Rules {
        Rules {
            request: Edits::new(&plan.request),
            response: Edits::new(&plan.response),
            security: plan.security,
        }
    }

    /// Feeds a sink with the fields of a request as they go to the upstream. Left out, since who writes the message
    /// knows them: `Host`, `Content-Length`, `Transfer-Encoding`, and what belongs to a connection.
    pub(crate) fn request<'f, F, I>(
        &self,
        (request, hop): (&forwarded::Request<'_, F>, &Hop<'_>),
        told: &Told,
        text: &mut Vec<u8>,
        mut sink: impl FnMut(&str, &[u8]),
    ) where
        F: Fn() -> I,
        I: Iterator<Item = Field<'f>>,
    {
        let mut cookies = Cookies::None;
        for field in (request.fields)() {
            let passes = match reserved(field.name) {
                None => true,
                Some(Reserved::Connection | Reserved::Framing | Reserved::Host | Reserved::Ours) => false,
                Some(Reserved::Forwarded) => told.passes(field.name, Reserved::Forwarded),
            };
            if !passes || hop.names(field.name) || self.request.replaces(field.name) {
                continue;
            }
            if field.name.eq_ignore_ascii_case("cookie") {
                cookies = cookies.and(field, text);
            } else {
                sink(field.name, field.value);
            }
        }
        match cookies {
            Cookies::None => {}
            Cookies::One(field) => put_cookies((field.name, field.value), &mut sink),
            Cookies::Several => put_cookies(("cookie", text), &mut sink),
        }
        told.write(request, text, |name, value| {
            if !self.request.replaces(name) {
                sink(name, value);
            }
        });
        self.request.add(sink);
    }

    /// Feeds a sink with the fields of an answer as they go to the client, without those that frame it or belong to
    /// a connection.
    pub(crate) fn response<'f, F>(&self, (fields, hop): (F, &Hop<'_>), told: &Told, mut sink: impl FnMut(&str, &[u8]))
    where
        F: Iterator<Item = Field<'f>>,
    {
        let mut has = [false; SECURITY.len()];
        for field in fields {
            if !passes_down(field.name) || hop.names(field.name) || self.response.replaces(field.name) {
                continue;
            }
            if self.security {
                self.note(field.name, &mut has);
            }
            sink(field.name, field.value);
        }
        self.finish(has, told, sink);
    }

    /// The same for an interim answer: what a route says is said of the answer that counts.
    pub(crate) fn interim<'f>(
        (fields, hop): (impl Iterator<Item = Field<'f>>, &Hop<'_>),
        mut sink: impl FnMut(&str, &[u8]),
    ) {
        for field in fields.filter(|field| passes_down(field.name) && !hop.names(field.name)) {
            sink(field.name, field.value);
        }
    }

    /// The same for an answer of our own.
    pub(crate) fn own_response(&self, names: &[&str], told: &Told, sink: impl FnMut(&str, &[u8])) {
        let mut has = [false; SECURITY.len()];
        names.iter().for_each(|name| self.note(name, &mut has));
        self.finish(has, told, sink);
    }

    /// Whether a route takes a field of an answer away.
    pub(crate) fn removes_from_response(&self, name: &str) -> bool {
        self.response.replaces(name)
    }

    fn note(&self, name: &str, has: &mut [bool; SECURITY.len()]) {
        for (has, (own, ..)) in has.iter_mut().zip(SECURITY) {
            *has |= name.eq_ignore_ascii_case(own);
        }
    }

    fn finish(&self, has: [bool; SECURITY.len()], told: &Told, mut sink: impl FnMut(&str, &[u8])) {
        let is_tls = told.scheme() == "https";
        for (has, (name, value, over)) in has.into_iter().zip(SECURITY) {
            let means_something = is_tls || over == OverTls::Too;
            if self.security && !has && means_something && !self.response.replaces(name) {
                sink(name, value.as_bytes());
            }
        }
        self.response.add(sink);
    }
}

/// Whether a field may stand in a trailer that is passed on, either way: nothing that routes, frames or identifies
/// (RFC 9110 6.5.1).
pub(crate) fn passes_in_trailers(name: &str) -> bool {
    const NEVER: [&str; 9] = [
        "authorization",
        "cookie",
        "set-cookie",
        "content-encoding",
        "content-type",
        "content-range",
        "cache-control",
        "expect",
        "trailer",
    ];
    reserved(name).is_none() && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// Without ours; nothing where nothing is left.
fn put_cookies((name, line): (&str, &[u8]), sink: &mut impl FnMut(&str, &[u8])) {
    let mut kept = Vec::new();
    let left = without_ours(line, &mut kept);
    if !left.is_empty() || line.is_empty() {
        sink(name, left);
    }
}

fn passes_down(name: &str) -> bool {
    !is_hop_by_hop(name) && !name.eq_ignore_ascii_case("content-length")
}

/// Lines of `Cookie`: HTTP/2 may cut it into several, HTTP/1.1 has one (RFC 9113 8.2.3).
enum Cookies<'f> {
    None,
    One(Field<'f>),
    /// Joined, in the scratch.
    Several,
}

impl<'f> Cookies<'f> {
    fn and(self, field: Field<'f>, text: &mut Vec<u8>) -> Cookies<'f> {
        match self {
            Cookies::None => return Cookies::One(field),
            Cookies::One(first) => {
                text.clear();
                text.extend_from_slice(first.value);
            }
            Cookies::Several => {}
        }
        text.extend_from_slice(b"; ");
        text.extend_from_slice(field.value);
        Cookies::Several
    }
}

impl Edits {
    fn new(plan: &EditsPlan) -> Edits {
        let set = plan.set.iter().map(|(name, _)| name);
        let lines = plan.set.iter().chain(&plan.add);
        Edits {
            replaced: plan.remove.iter().chain(set).map(|name| name.as_str().into()).collect(),
            lines: lines
                .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
                .collect(),
        }
    }

    /// Whether no line of this name goes on; what a gateway would take for the same goes with it.
    #[inline]
    fn replaces(&self, name: &str) -> bool {
        self.replaced.iter().any(|own| is_same_to_a_gateway(name, own))
    }

    fn add(&self, mut sink: impl FnMut(&str, &[u8])) {
        for (name, value) in &self.lines {
            sink(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
