//! What a client is told whom the policy refuses: what it negotiated, and what it needs.
use super::answer::{Answer, Pages, Reader};
use portcullis_tls::{
    negotiated::{ClientAuthentication, Negotiated},
    policy::RuleName,
};
use serde_json::json;

/// A refusal by the policy, and what explains it.
pub(crate) struct Forbidden<'a> {
    /// The rule that is not met.
    pub(crate) rule: RuleName,
    /// What would meet it: groups or signatures that are taken here.
    pub(crate) needs: &'a [String],
    /// What the connection came to.
    pub(crate) facts: Option<&'a Negotiated>,
}

impl Forbidden<'_> {
    /// The operator's page for 403, else ours.
    pub(crate) fn answer(&self, pages: &Pages, reader: Reader<'_>) -> Answer {
        let explained = || (self.plain(reader.request_id), self.json(reader.request_id));
        pages.explained(403, reader, explained)
    }

    fn plain(&self, request_id: &str) -> String {
        let needs = match self.needs {
            [] => String::new(),
            some => format!("what meets that here: {}\n", some.join(", ")),
        };
        format!(
            "403 Forbidden\n{}\nthis connection has: {}\n{needs}request id: {request_id}\n",
            self.message(),
            self.negotiated()
        )
    }

    fn json(&self, request_id: &str) -> String {
        let facts = self.facts;
        let body = json!({
            "status": 403,
            "error": "Forbidden",
            "message": self.message(),
            "rule": self.rule.as_str(),
            "needs": self.needs,
            "negotiated": {
                "version": facts.map_or("", |facts| facts.version.as_str()),
                "group": facts.and_then(|facts| facts.group).map(|group| group.to_string()).unwrap_or_default(),
                "key_exchange": facts.map_or("", |facts| facts.key_exchange().as_str()),
                "authentication": facts.map_or("", |facts| facts.authentication.as_str()),
                "client_authentication": facts.map_or("", |facts| facts.client_authentication.as_str()),
            },
            "request_id": request_id,
        });
        body.to_string() + "\n"
    }

    fn message(&self) -> &'static str {
        match self.rule {
            RuleName::KeyExchange => "this needs a connection whose key exchange is quantum-safe",
            RuleName::Authentication => "this needs a connection on which the server proves itself with ML-DSA",
            RuleName::ClientAuthentication => "this needs a client certificate that is ML-DSA throughout",
        }
    }

    /// In a line, the rule's own part first.
    fn negotiated(&self) -> String {
        let Some(facts) = self.facts else {
            return "no TLS".to_owned();
        };
        let version = facts.version.as_str();
        match self.rule {
            RuleName::KeyExchange => {
                let group = facts
                    .group
                    .map_or_else(|| "a resumed session".to_owned(), |group| group.to_string());
                format!("{group} ({}), TLS {version}", facts.key_exchange().as_str())
            }
            RuleName::Authentication => {
                let signature = facts
                    .signature
                    .map_or_else(|| "a resumed session".to_owned(), |one| one.to_string());
                format!("{signature} ({}), TLS {version}", facts.authentication.as_str())
            }
            RuleName::ClientAuthentication => match facts.client_authentication {
                ClientAuthentication::None => "no client certificate".to_owned(),
                class => format!("a {} client certificate", class.as_str()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_tls::negotiated::{Authentication, Version};
    use portcullis_wire::{CipherId, GroupId, SchemeId};

    fn facts() -> Negotiated {
        Negotiated {
            version: Version::Tls13,
            group: Some(GroupId(0x001d)),
            retry: false,
            cipher: CipherId(0x1301),
            signature: Some(SchemeId(0x0403)),
            authentication: Authentication::Classical,
            client_authentication: ClientAuthentication::None,
            client: None,
            resumed: false,
            alpn: None,
        }
    }

    fn told(rule: RuleName, facts: &Negotiated, accept: &str) -> String {
        let forbidden = Forbidden {
            rule,
            needs: &["X25519MLKEM768".to_owned(), "MLKEM1024".to_owned()],
            facts: Some(facts),
        };
        let reader = Reader {
            accept: accept.as_bytes(),
            request_id: "0123456789abcdef",
        };
        String::from_utf8(forbidden.answer(&Pages::default(), reader).body.to_vec()).unwrap()
    }

    #[test]
    fn who_is_refused_reads_what_came_and_what_is_needed() {
        let text = told(RuleName::KeyExchange, &facts(), "*/*");
        let expected = "403 Forbidden\nthis needs a connection whose key exchange is quantum-safe\n\
            this connection has: X25519 (classical), TLS 1.3\n\
            what meets that here: X25519MLKEM768, MLKEM1024\nrequest id: 0123456789abcdef\n";
        assert_eq!(text, expected);
        let text = told(RuleName::KeyExchange, &facts(), "application/json");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["needs"], serde_json::json!(["X25519MLKEM768", "MLKEM1024"]));
        assert_eq!(json["negotiated"]["group"], "X25519");
        assert_eq!(json["rule"], "key_exchange");
    }

    #[test]
    fn each_rule_names_its_own_part() {
        let resumed = Negotiated {
            group: None,
            signature: None,
            ..facts()
        };
        let table = [
            (RuleName::KeyExchange, &resumed, "a resumed session (classical)"),
            (RuleName::Authentication, &resumed, "a resumed session (classical)"),
            (RuleName::Authentication, &facts(), "ecdsa_secp256r1_sha256 (classical)"),
            (RuleName::ClientAuthentication, &facts(), "no client certificate"),
        ];
        for (rule, facts, expected) in table {
            let text = told(rule, facts, "");
            assert!(text.contains(&format!("this connection has: {expected}")), "{text}");
        }
    }
}
