//! Why a connection was not quantum-safe, in words.
use super::Class;
use crate::ledger::{Offer, Terms};

/// Why it is in no higher class; empty for what is in the highest.
pub(super) fn why(class: Class, terms: &Terms, offer: &Offer) -> String {
    match class {
        Class::Full => String::new(),
        Class::Confidential => authentication(terms).to_owned(),
        Class::None => key_exchange(terms, offer),
    }
}

/// The words of the ledger's `reason`, each with what to know about it.
fn key_exchange(terms: &Terms, offer: &Offer) -> String {
    match &*terms.reason {
        "tls12" if offers(&offer.versions, "1.3") => "connects with TLS 1.2, though it offers 1.3".into(),
        "tls12" => "has nothing newer than TLS 1.2".into(),
        "no_pq_group" => "offers no post-quantum group".into(),
        "draft_only" => format!("offers only a draft of a post-quantum group: {}", safe_groups(offer)),
        "no_common_group" => format!(
            "offers only post-quantum groups that the site has not: {}",
            safe_groups(offer)
        ),
        "retry_off" => format!("lists {} without a key share, and retry is off", safe_groups(offer)),
        "client_order" => format!(
            "lists {} after a classical group, and the policy is observe",
            safe_groups(offer)
        ),
        "site_classical" => "the site offers no post-quantum group".into(),
        "" => "unknown".into(),
        word => word.to_owned(),
    }
}

fn authentication(terms: &Terms) -> &str {
    match &*terms.authentication_reason {
        "tls12" => "TLS 1.2 has no ML-DSA",
        "no_ml_dsa" => "offers no ML-DSA signature",
        "no_common_scheme" => "offers no ML-DSA signature that the site has a certificate of",
        "site_classical" => "the site has no ML-DSA certificate",
        "site_order" => "the site's classical certificate stands first",
        "" => "unknown",
        word => word,
    }
}

fn offers(list: &[String], word: &str) -> bool {
    list.iter().any(|listed| listed == word)
}

/// The groups of an offer that are not classical, by our table.
fn safe_groups(offer: &Offer) -> String {
    use portcullis_wire::registry::Group;
    let safe = offer.groups.iter().filter(|name| {
        let entry = Group::all().iter().find(|group| group.name == **name);
        entry.is_some_and(|group| group.class.is_quantum_safe())
    });
    let safe: Vec<&str> = safe.map(String::as_str).collect();
    safe.join(", ")
}
