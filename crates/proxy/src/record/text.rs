//! Access lines for people: the fields of the JSON line as `name=value`, in its order; what is empty is left out.
use crate::log::needs_quotes;
use serde::{
    Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// The line of these fields, of which the first two are the time and the event.
pub(crate) fn text_line(fields: &impl Serialize, ts: &str, event: &str) -> String {
    let json = serde_json::to_string(fields).expect("a struct of strings, numbers and lists is JSON");
    let mut line = String::with_capacity(json.len());
    line.extend([ts, " info ", event]);
    // read again rather than kept as a map, which costs a request more than all else that is said of it
    let read = serde_json::Deserializer::from_str(&json).deserialize_map(Fields { line: &mut line });
    read.expect("it was written above");
    line.push('\n');
    line
}

struct Fields<'a> {
    line: &'a mut String,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of a line")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<(), M::Error> {
        let mut place = 0;
        while let Some((name, value)) = fields.next_entry::<&str, &RawValue>()? {
            place += 1;
            if place > 2 {
                tell(self.line, name, value.get());
            }
        }
        Ok(())
    }
}

fn tell(line: &mut String, name: &str, json: &str) {
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if text == Some("") {
        return;
    }
    line.extend([" ", name, "="]);
    match text {
        // an escape begins with a backslash, which needs quotes too
        Some(text) if !needs_quotes(text) => line.push_str(text),
        None if json.starts_with('[') => {
            let items: Vec<String> = serde_json::from_str(json).unwrap_or_default();
            line.push_str(&items.join(","));
        }
        _ => line.push_str(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Line<'a> {
        ts: &'a str,
        event: &'a str,
        plain: &'a str,
        empty: &'a str,
        spaced: &'a str,
        quoted: &'a str,
        control: &'a str,
        broad: &'a str,
        number: u64,
        is: bool,
        list: Vec<&'a str>,
        none: Vec<&'a str>,
    }

    #[test]
    fn a_value_is_quoted_where_it_could_be_taken_for_more_than_one() {
        let line = Line {
            ts: "now",
            event: "request",
            plain: "/a?b*",
            empty: "",
            spaced: "two words",
            quoted: "a\"b\\c",
            control: "a\nb",
            broad: "a\u{2003}b",
            number: 7,
            is: true,
            list: vec!["X25519", "0x6399"],
            none: Vec::new(),
        };
        assert_eq!(
            text_line(&line, "now", "request"),
            "now info request plain=/a?b* spaced=\"two words\" quoted=\"a\\\"b\\\\c\" control=\"a\\nb\" \
             broad=\"a\u{2003}b\" number=7 is=true list=X25519,0x6399 none=\n"
        );
    }
}
