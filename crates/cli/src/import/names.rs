//! Lists of groups as OpenSSL and nginx write them.
use portcullis_wire::registry::{Group, default_offer};

/// A list of groups as ours, and what is to be said of it.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Groups {
    pub(super) offered: Vec<&'static str>,
    pub(super) notes: Vec<String>,
}

/// Reads `X25519MLKEM768:?prime256v1`; a list without a post-quantum group gets the hybrid ones before it.
pub(super) fn groups(list: &str) -> Groups {
    let mut groups = Groups {
        offered: Vec::new(),
        notes: Vec::new(),
    };
    for word in list.split([':', ',', '/']).filter(|word| !word.is_empty()) {
        groups.take(word);
    }
    let is_safe = |name: &&str| Group::by_name(name).is_ok_and(|group| group.class.is_quantum_safe());
    if !groups.offered.is_empty() && !groups.offered.iter().any(is_safe) {
        let hybrids: Vec<&str> = usual().filter(is_safe).collect();
        let why = format!(
            "no post-quantum group stands in it: {} stand before it now",
            hybrids.join(", ")
        );
        groups.notes.push(why);
        groups.offered.splice(0..0, hybrids);
    }
    groups
}

fn usual() -> impl Iterator<Item = &'static str> {
    default_offer().map(|group| group.name)
}

impl Groups {
    fn take(&mut self, word: &str) {
        let name = word.trim_start_matches(['*', '?', '-']);
        let marks = &word[..word.len() - name.len()];
        let meant: Vec<&str> = match Group::by_name(name) {
            _ if name.eq_ignore_ascii_case("DEFAULT") => usual().collect(),
            Ok(group) => vec![group.name],
            Err(_) if marks.contains('?') => return,
            Err(error) => {
                self.notes.push(format!("group {name}: {error}; {}", error.hint()));
                return;
            }
        };
        if marks.contains('-') {
            self.offered.retain(|have| !meant.contains(have));
            return;
        }
        for name in meant {
            if !self.offered.contains(&name) {
                self.offered.push(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_order_and_gain_what_they_lack() {
        let table = [
            ("X25519MLKEM768:X25519:prime256v1", "X25519MLKEM768 X25519 secp256r1", 0),
            (
                "*X25519MLKEM768/?SecP256r1MLKEM768:*X25519",
                "X25519MLKEM768 SecP256r1MLKEM768 X25519",
                0,
            ),
            (
                "X25519:secp384r1",
                "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 X25519 secp384r1",
                1,
            ),
            ("x25519_kyber768:X25519MLKEM768", "X25519MLKEM768", 1),
            (
                "DEFAULT:-X25519:-secp256r1:-secp384r1",
                "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024",
                0,
            ),
            ("?nonsense", "", 0),
        ];
        for (list, offered, notes) in table {
            let groups = groups(list);
            assert_eq!(
                (groups.offered.join(" "), groups.notes.len()),
                (offered.to_owned(), notes),
                "{list}"
            );
        }
    }
}
