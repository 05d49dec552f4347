//! What a client looks like: fingerprints of real clients, each captured from the real thing by tests/corpus/known.py.
use std::collections::HashMap;

/// A fingerprint and the client that has it, a line each.
const CLIENTS: &str = include_str!("clients.tsv");
/// What matches nothing.
const UNKNOWN: &str = "unknown";
/// So many names in a guess; a library that many programs link has more.
const NAMES: usize = 3;

/// The clients whose fingerprints are known.
pub(super) struct Known {
    exact: HashMap<&'static str, Vec<&'static str>>,
    /// By version, cipher suites and extensions: names and application protocols differ from one use of a library to another.
    alike: HashMap<(&'static str, &'static str), Vec<&'static str>>,
    /// By version and cipher suites, where these are many: who turns a group off sends other extensions, too.
    akin: HashMap<(&'static str, &'static str), Vec<&'static str>>,
}

/// Lists shorter than this are those of several libraries.
const TELLING_SUITES: u32 = 10;

impl Known {
    /// The table of this build.
    pub(super) fn table() -> Known {
        let mut known = Known {
            exact: HashMap::new(),
            alike: HashMap::new(),
            akin: HashMap::new(),
        };
        for (ja4, name) in rows() {
            let alike = likeness(ja4).map(|key| known.alike.entry(key).or_default());
            let akin = kinship(ja4).map(|key| known.akin.entry(key).or_default());
            let exact = known.exact.entry(ja4).or_default();
            for names in [Some(exact), alike, akin].into_iter().flatten() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        known
    }

    /// What a fingerprint looks like, `unknown` where nothing is like it.
    pub(super) fn guess(&self, ja4: &str) -> String {
        let alike = || self.alike.get(&likeness(ja4)?);
        let akin = || self.akin.get(&kinship(ja4)?);
        match (self.exact.get(ja4).or_else(alike), akin()) {
            (Some(names), _) => enumerated(names),
            (None, Some(names)) => format!("perhaps {}", enumerated(names)),
            (None, None) => UNKNOWN.to_owned(),
        }
    }
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = CLIENTS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('\t'))
}

/// Transport and version, and both hashes.
fn likeness(ja4: &str) -> Option<(&str, &str)> {
    let (head, hashes) = ja4.split_once('_')?;
    Some((head.get(..3)?, hashes))
}

/// Transport and version, and the hash of the cipher suites.
fn kinship(ja4: &str) -> Option<(&str, &str)> {
    let (head, hashes) = ja4.split_once('_')?;
    let suites: u32 = head.get(4..6)?.parse().ok()?;
    let (suites_hash, _) = hashes.split_once('_')?;
    (suites >= TELLING_SUITES).then_some((head.get(..3)?, suites_hash))
}

/// `a, b or c`; of many the first, and how many more.
fn enumerated(names: &[&str]) -> String {
    match names {
        [] => UNKNOWN.to_owned(),
        [name] => (*name).to_owned(),
        [most @ .., last] if names.len() <= NAMES => format!("{} or {last}", most.join(", ")),
        _ => {
            let (shown, more) = names.split_at(NAMES - 1);
            format!("{} or {} more", shown.join(", "), more.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_tls::fingerprint::Ja4;
    use portcullis_wire::{
        client_hello::{Progress, from_records},
        ja4::Transport,
    };

    fn corpus(name: &str) -> Ja4 {
        let path = format!("{}/../wire/testdata/hellos/{name}.bin", env!("CARGO_MANIFEST_DIR"));
        let Ok(Progress::Complete(hello)) = from_records(&std::fs::read(path).unwrap()) else {
            panic!("{name} is a hello")
        };
        Ja4::of(&hello, Transport::Tcp)
    }

    #[test]
    fn every_row_is_a_fingerprint_and_a_name_and_stands_once() {
        let lines: Vec<&str> = CLIENTS.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() >= 20, "{}", lines.len());
        let mut seen = std::collections::HashSet::new();
        for line in lines {
            let (ja4, name) = line.split_once('\t').unwrap();
            assert_eq!(ja4.len(), Ja4::LEN, "{line}");
            assert!(!name.is_empty() && !name.contains('\t'), "{line}");
            assert!(seen.insert(line), "{line} twice");
        }
    }

    #[test]
    fn real_hellos_are_known_by_their_clients_with_other_names_and_resumed_too() {
        let known = Known::table();
        let table = [
            ("chromium", "Chromium 156"),
            ("go124", "Go 1.24"),
            ("gnutls38", "GnuTLS 3.8"),
            ("curl788", "curl 7.88"),
            ("node20", "Node 20"),
            ("openssl35", "OpenSSL 3.5"),
            ("openssl35-no-name", "OpenSSL 3.5"),
            ("openssl35-resumed", "OpenSSL 3.5"),
            ("openssl35-tls12", "OpenSSL 3.5"),
        ];
        for (hello, name) in table {
            let guess = known.guess(corpus(hello).as_str());
            assert!(guess.contains(name), "{hello}: {guess}");
        }
    }

    #[test]
    fn other_extensions_with_the_same_suites_are_a_weaker_guess() {
        let known = Known::table();
        // the suites of OpenSSL 3.5, and extensions of nobody
        let guess = known.guess("t13d3011h2_1d37bd780c83_0123456789ab");
        assert!(guess.starts_with("perhaps OpenSSL 3.5"), "{guess}");
        // three suites are everybody's
        assert_eq!(known.guess("t13d031100_55b375c5d22e_000000000000"), "unknown");
    }

    #[test]
    fn a_stranger_is_unknown() {
        let known = Known::table();
        for ja4 in ["", "t13d1516h2_000000000000_000000000000", "not a fingerprint"] {
            assert_eq!(known.guess(ja4), "unknown");
        }
    }

    #[test]
    fn names_are_enumerated_up_to_three() {
        assert_eq!(enumerated(&["a"]), "a");
        assert_eq!(enumerated(&["a", "b"]), "a or b");
        assert_eq!(enumerated(&["a", "b", "c"]), "a, b or c");
        assert_eq!(enumerated(&["a", "b", "c", "d"]), "a, b or 2 more");
    }
}
