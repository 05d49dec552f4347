//! `server_name`: what a client may ask for.
use super::{
    super::draft::{Note, Part},
    grammar::Directive,
};
use std::net::IpAddr;

/// The names of a server that can be served here; what cannot is noted.
pub(super) fn read(part: &mut Part, directives: &[&Directive]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for directive in directives {
        for word in &directive.words {
            match one(word) {
                Ok(these) => {
                    for name in these {
                        if !names.contains(&name) {
                            names.push(name);
                        }
                    }
                }
                Err(why) => part.note(Note::new(&directive.place(), format!("server_name {word}"), why)),
            }
            if word.starts_with('*') || word.starts_with('.') {
                let why = "here a wildcard stands for one label: names with more labels before it are no longer meant";
                part.note(Note::new(&directive.place(), format!("server_name {word}"), why));
            }
        }
    }
    names
}

fn one(word: &str) -> Result<Vec<String>, &'static str> {
    if word.starts_with('~') {
        return Err("a regular expression: names are exact, or *. and the rest of one");
    }
    if word.contains('$') {
        return Err("a variable: write the name");
    }
    if word.parse::<IpAddr>().is_ok() || word.starts_with('[') {
        return Err("an address, which no client names: the site without names serves it");
    }
    let name = word.trim_end_matches('.').to_ascii_lowercase();
    if let Some(rest) = name.strip_prefix('.').filter(|rest| is_name(rest)) {
        return Ok(vec![rest.to_owned(), format!("*.{rest}")]);
    }
    let rest = name.strip_prefix("*.").unwrap_or(&name);
    match rest {
        _ if rest.contains('*') => Err("a wildcard stands for the first label only: \"*.example.com\""),
        _ if is_name(rest) && rest != "_" => Ok(vec![name]),
        // `_`, `""` and the like: by custom, nobody
        _ => Ok(Vec::new()),
    }
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn names_are_carried_over_where_a_client_can_ask_for_them() {
        let table: [(&str, &[&str], usize); 9] = [
            (
                "Shop.Example.com www.example.com",
                &["shop.example.com", "www.example.com"],
                0,
            ),
            ("*.example.com", &["*.example.com"], 1),
            (".example.com", &["example.com", "*.example.com"], 1),
            ("_", &[], 0),
            ("\"\"", &[], 0),
            ("~^www\\d+\\.example\\.com$", &[], 1),
            ("www.example.*", &[], 1),
            ("192.0.2.1 a.example", &["a.example"], 1),
            ("$hostname", &[], 1),
        ];
        for (words, names, notes) in table {
            let directives = super::super::grammar::parse(&format!("server_name {words};"), Path::new("f")).unwrap();
            let mut part = Part::default();
            assert_eq!(
                read(&mut part, &directives.iter().collect::<Vec<_>>()),
                names,
                "{words}"
            );
            assert_eq!(part.notes.len(), notes, "{words}");
        }
    }
}
