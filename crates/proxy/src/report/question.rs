//! What the admin listener is asked: `since=7d`, or `from` and `to` in seconds since 1970, and `site=NAME`.
use super::{Adoption, Since, UnknownSite, adoption, of_site};
use crate::ledger::{Extract, Span};

/// Which figures are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    /// Of which time.
    pub(crate) span: Span,
    site: Option<String>,
}

impl Question {
    /// Reads the query of a URL; what it does not know is an error rather than ignored.
    pub(crate) fn read(query: &str, now: i64) -> Result<Question, String> {
        let span = Span {
            from: Since::DEFAULT.begin(now),
            to: now + 1,
        };
        let mut question = Question { span, site: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(|| format!("{key}: its value is not text"))?;
            let seconds = || value.parse().map_err(|_| format!("{key}: it takes seconds since 1970"));
            match key {
                "since" => {
                    let since: Since = value.parse().map_err(|error| format!("since: {error}"))?;
                    question.span.from = since.begin(now);
                }
                "from" => question.span.from = seconds()?,
                "to" => question.span.to = seconds()?,
                "site" => question.site = Some(value),
                _ => return Err("a query takes since, from, to and site".to_owned()),
            }
        }
        Ok(question)
    }

    /// The figures of what the ledger said.
    pub(crate) fn figures(&self, mut extract: Extract) -> Result<Adoption, UnknownSite> {
        // the hour that is not over ends now
        extract.to = extract.to.min(self.span.to.saturating_sub(1));
        match &self.site {
            Some(site) => of_site(extract, site).map(|extract| adoption(&extract)),
            None => Ok(adoption(&extract)),
        }
    }
}

/// Without percent signs (RFC 3986 section 2.1).
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_since_when_and_of_which_site() {
        let read = |query: &str| Question::read(query, 1_000_000_000).map(|q| (q.span.from, q.span.to, q.site));
        let week = 1_000_000_000 - 604_800;
        let to = 1_000_000_001;
        assert_eq!(read(""), Ok((week, to, None)));
        assert_eq!(
            read("since=1h&site=a%20b"),
            Ok((1_000_000_000 - 3600, to, Some("a b".into())))
        );
        assert_eq!(read("from=5&to=7"), Ok((5, 7, None)));
        for wrong in [
            "since=soon",
            "from=x",
            "sinc=7d",
            "site=%zz",
            "site=%ff",
            "site=%4",
            "site=%+4",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
