//! W3C Trace Context, level 1: the `traceparent` of a request, and the one its server is told.
use std::fmt;

/// A span's place in a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Context {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    /// Somebody records it.
    pub(crate) is_sampled: bool,
}

impl Context {
    /// Reads a field's value; None: it is none, and a trace of its own begins.
    pub(crate) fn parse(value: &[u8]) -> Option<Context> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        // version 0 ends here; a later one may say more; 0xff is none
        let is_known = version == 0 && parts.next().is_none();
        if !(is_known || (1..0xff).contains(&version)) || trace == 0 || span == 0 {
            return None;
        }
        Some(Context {
            trace,
            span: span as u64,
            is_sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace,
            self.span,
            u8::from(self.is_sampled)
        )
    }
}

/// So many digits, lower case as the recommendation has them.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = text.len() == digits && text.bytes().all(is_digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // the example of the recommendation, https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers
    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written() {
        let context = Context::parse(SAMPLED.as_bytes()).unwrap();
        assert_eq!(
            context,
            Context {
                trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                span: 0x00f0_67aa_0ba9_02b7,
                is_sampled: true
            }
        );
        assert_eq!(context.to_string(), SAMPLED);
        let quiet = SAMPLED.replace("-01", "-00");
        assert_eq!(Context::parse(quiet.as_bytes()).unwrap().to_string(), quiet);
    }

    #[test]
    fn what_breaks_the_recommendation_is_none() {
        let later = SAMPLED.replacen("00", "cc", 1);
        assert!(Context::parse(later.as_bytes()).is_some());
        assert!(Context::parse(format!("{later}-more").as_bytes()).is_some());
        let bad = [
            String::new(),
            SAMPLED.to_uppercase(),
            format!("{SAMPLED}-more"),
            format!(" {SAMPLED}"),
            SAMPLED.replacen("00", "ff", 1),
            SAMPLED.replace("-01", "-1"),
            SAMPLED.replace("-01", "-0g"),
            SAMPLED.replace("-01", ""),
            SAMPLED.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            SAMPLED.replace("00f067aa0ba902b7", &"0".repeat(16)),
            SAMPLED.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
        ];
        for value in bad {
            assert_eq!(Context::parse(value.as_bytes()), None, "{value}");
        }
    }
}
