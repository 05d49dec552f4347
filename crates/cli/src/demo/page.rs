//! The page that tells visitors what they negotiated.
use super::backend::Facts;

const TEMPLATE: &str = include_str!("page.html");

/// The whole page for one visitor; None: the request did not come through the proxy.
pub(super) fn html(facts: Option<&Facts>) -> String {
    let (safety, headline, summary) = verdict(facts);
    TEMPLATE
        .replace("@safety@", safety)
        .replace("@headline@", headline)
        .replace("@summary@", summary)
        .replace("@claims@", &facts.map(claims).unwrap_or_default())
        // last: what stands in the rows may hold anything
        .replace("@rows@", &facts.map(rows).unwrap_or_default())
}

fn verdict(facts: Option<&Facts>) -> (&'static str, &'static str, &'static str) {
    match facts.map(|facts| facts.safety.as_str()) {
        Some("full") => (
            "full",
            "This connection is quantum-safe, key exchange and certificate.",
            "Who records it today cannot read it with a quantum computer, and could not have posed as this server with one.",
        ),
        Some("confidential") => (
            "confidential",
            "This connection cannot be recorded now and read later.",
            "Its key exchange is quantum-safe. The certificate is classical, as on the whole public web today: a quantum computer could \
             one day forge it, but only to deceive live connections of that day, never to open this one.",
        ),
        Some("none") => (
            "none",
            "This connection is not quantum-safe.",
            "Your client did not agree on a post-quantum key exchange. Who records it today can read it once a quantum computer exists.",
        ),
        _ => (
            "unknown",
            "This request did not come through the proxy.",
            "So there is nothing to say about its protection. Use the address that the demo printed.",
        ),
    }
}

fn rows(facts: &Facts) -> String {
    let resumed = match facts.resumed {
        true => "yes: the certificate was checked when the session began",
        false => "no",
    };
    [
        ("version", facts.version.as_str()),
        ("group", &facts.group),
        ("key exchange", &facts.key_exchange),
        ("signature", &facts.signature),
        ("authentication", &facts.authentication),
        ("safety", &facts.safety),
        ("resumed", resumed),
    ]
    .into_iter()
    .map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>\n", escaped(value)))
    .collect()
}

fn claims(facts: &Facts) -> String {
    let key_exchange = match facts.key_exchange.as_str() {
        "hybrid" => "The content: a classical curve and ML-KEM together made the keys; both would have to be broken.",
        "pq" => "The content: ML-KEM made the keys.",
        _ => "The content, against today's computers only: the keys come from a classical curve alone.",
    };
    let authentication = match facts.authentication.as_str() {
        "pq" => "The server's identity: every signature, from the handshake up to the root, is ML-DSA.",
        _ => "The server's identity, against today's computers only: the certificate is classical.",
    };
    format!("<li>{key_exchange}</li>\n<li>{authentication}</li>\n")
}

/// Whatever it is, it is text.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(key_exchange: &str, authentication: &str, safety: &str) -> Facts {
        Facts {
            version: "1.3".to_owned(),
            group: "X25519MLKEM768".to_owned(),
            key_exchange: key_exchange.to_owned(),
            signature: "ecdsa_secp256r1_sha256".to_owned(),
            authentication: authentication.to_owned(),
            safety: safety.to_owned(),
            resumed: false,
        }
    }

    #[test]
    fn the_page_names_what_is_classical() {
        let table = [
            (facts("hybrid", "pq", "full"), "class=\"full\"", "every signature"),
            (
                facts("hybrid", "classical", "confidential"),
                "class=\"confidential\"",
                "certificate is classical",
            ),
            (
                facts("classical", "classical", "none"),
                "class=\"none\"",
                "classical curve alone",
            ),
        ];
        for (facts, class, claim) in table {
            let page = html(Some(&facts));
            assert!(page.contains(class) && page.contains(claim), "{page}");
            assert!(page.contains("<td>X25519MLKEM768</td>"));
            let marks = ["@safety@", "@headline@", "@summary@", "@rows@", "@claims@"];
            assert!(
                !marks.iter().any(|mark| page.contains(mark)),
                "a mark was left standing"
            );
        }
    }

    #[test]
    fn a_visitor_past_the_proxy_is_told_nothing() {
        let page = html(None);
        assert!(page.contains("did not come through the proxy") && !page.contains("<tr>"));
    }

    #[test]
    fn no_value_can_leave_its_cell() {
        let mut facts = facts("hybrid", "pq", "full");
        facts.group = "<script>alert(\"&\")</script>".to_owned();
        let page = html(Some(&facts));
        assert!(page.contains("<td>&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;</td>"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for mark in ["src=", "@import", "url(", "http:", "https:"] {
            assert!(!TEMPLATE.contains(mark), "{mark}");
        }
    }
}
