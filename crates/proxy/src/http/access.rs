//! Who may ask: `allow` and `deny` of a site and of a route.
use crate::plan::AccessPlan;
use std::net::IpAddr;

/// Whether a client may ask. Who comes through a Unix socket is in no network.
pub(crate) fn admits(access: &AccessPlan, client: Option<IpAddr>) -> bool {
    let client = client.map(|client| client.to_canonical());
    let is_in = |networks: &[ipnet::IpNet]| {
        client.is_some_and(|client| networks.iter().any(|network| network.contains(&client)))
    };
    !is_in(&access.deny) && (access.allow.is_empty() || is_in(&access.allow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_denied_stays_out_even_where_allowed() {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let table: &[(&[&str], &[&str], &str, bool)] = &[
            (&[], &[], "192.0.2.1", true),
            (&[], &[], "", true),
            (&["10.0.0.0/8"], &[], "10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "::ffff:10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "192.0.2.1", false),
            (&["10.0.0.0/8"], &[], "", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.2.3", false),
            (&[], &["10.1.0.0/16"], "10.1.2.3", false),
            (&[], &["10.1.0.0/16"], "10.2.2.3", true),
            (&[], &["2001:db8::/32"], "2001:db8::1", false),
            (&[], &["0.0.0.0/0", "::/0"], "", true),
        ];
        for (allow, deny, client, expected) in table {
            let access = AccessPlan {
                allow: networks(allow),
                deny: networks(deny),
            };
            assert_eq!(
                admits(&access, client.parse().ok()),
                *expected,
                "{allow:?} {deny:?} {client}"
            );
        }
    }
}
