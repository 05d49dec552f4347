//! `allow` and `deny`: who may ask.
use super::{
    super::{draft::Part, value::Value},
    scope::Scope,
};
use ipnet::IpNet;

/// Sets the keys `allow` and `deny` of a part, where networks are denied before others are allowed.
pub(super) fn read(part: &mut Part, scope: &Scope<'_>) {
    let (mut allowed, mut denied): (Vec<IpNet>, Vec<IpNet>) = (Vec::new(), Vec::new());
    let mut admits_few = false;
    for rule in scope.rules() {
        let network = network(rule.first());
        match (rule.name.as_str(), rule.first(), network) {
            ("deny", "all", _) => {
                admits_few = true;
                break;
            }
            (_, "all", _) => break,
            ("allow", _, Some(network)) => allowed.push(network),
            (_, _, Some(network)) if allowed.iter().any(|have| network.contains(have)) => {
                part.note(rule.note("a network that is denied stays out even where a part of it is allowed"));
                denied.push(network);
            }
            (_, _, Some(network)) => denied.push(network),
            (_, _, None) => part.note(rule.note("only networks are allowed and denied")),
        }
    }
    if admits_few && allowed.is_empty() {
        denied = [IpNet::default(), IpNet::V6(ipnet::Ipv6Net::default())].to_vec();
    }
    let texts = |networks: Vec<IpNet>| Value::texts(networks.into_iter().map(|network| network.to_string()));
    if admits_few && !allowed.is_empty() {
        part.set("allow", texts(allowed));
    }
    if !denied.is_empty() {
        part.set("deny", texts(denied));
    }
}

/// A network, or an address as one.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse().ok().map(|address: std::net::IpAddr| address.into());
    text.parse::<IpNet>()
        .ok()
        .or_else(address)
        .map(|network| network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn rules_in_order_become_two_lists() {
        let all = r#"["0.0.0.0/0", "::/0"]"#;
        let table = [
            ("deny 192.0.2.0/24; allow all;", None, Some(r#"["192.0.2.0/24"]"#), 0),
            ("deny 192.0.2.1;", None, Some(r#"["192.0.2.1/32"]"#), 0),
            (
                "allow 10.0.0.0/8; allow ::1; deny all;",
                Some(r#"["10.0.0.0/8", "::1/128"]"#),
                None,
                0,
            ),
            (
                "deny 10.1.0.0/16; allow 10.0.0.0/8; deny all;",
                Some(r#"["10.0.0.0/8"]"#),
                Some(r#"["10.1.0.0/16"]"#),
                0,
            ),
            (
                "allow 10.0.0.1; deny 10.0.0.0/8; allow all;",
                None,
                Some(r#"["10.0.0.0/8"]"#),
                1,
            ),
            ("deny all;", None, Some(all), 0),
            ("allow unix:; deny all;", None, Some(all), 1),
            ("allow all;", None, None, 0),
        ];
        for (text, allow, deny, notes) in table {
            let directives = super::super::grammar::parse(text, Path::new("f")).unwrap();
            let mut part = Part::default();
            read(&mut part, &Scope::new(&directives));
            let key = |key: &str| part.key(key).map(ToString::to_string);
            assert_eq!(
                (key("allow").as_deref(), key("deny").as_deref(), part.notes.len()),
                (allow, deny, notes),
                "{text}"
            );
        }
    }
}
