//! The reference of a file's keys: `docs/configuration.md` is made of it.
use super::keys::SECTIONS;
use std::fmt::Write;

/// A table of the file, and the keys that stand in it.
#[derive(Debug)]
pub(super) struct Section {
    /// As its reader calls it: `site.tls`.
    pub(super) name: &'static str,
    /// The table at the top of the file where its examples stand: empty, `listener`, `site` or `upstream`.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests load the examples"))]
    pub(super) table: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// One line about it.
    pub(super) means: &'static str,
    /// Lines that must stand before an example loads, each with its table; a key alone takes the usual line away.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests load the examples"))]
    pub(super) beside: &'static [(&'static str, &'static str)],
    /// Its keys.
    pub(super) keys: &'static [Key],
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What may stand there, in Markdown.
    pub(super) takes: &'static str,
    /// What holds without it.
    pub(super) default: Default,
    /// What it does, in Markdown.
    pub(super) means: &'static str,
    /// A line of its table.
    pub(super) example: &'static str,
}

/// What holds where a key is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Default {
    /// A value, as it would be written in TOML: a test compares it with what is read.
    Is(&'static str),
    /// Words in Markdown; none where there is nothing to say.
    Says(&'static str),
}

/// Where a key stands that is none of a section's: `it is a key of [[listener]]`.
pub(super) fn elsewhere(key: &str, section: &str) -> Option<String> {
    let has_it = |other: &&Section| other.name != section && other.keys.iter().any(|have| have.name == key);
    let mut titles = SECTIONS.iter().filter(has_it).map(|section| match section.name {
        "" => "it stands at the top of the file".to_owned(),
        _ => format!("it is a key of {}", section.title.replace('`', "")),
    });
    // What stands in several places is a common word, which says little of what was meant.
    titles.next().filter(|_| titles.next().is_none())
}

/// All of it as Markdown.
pub fn markdown() -> String {
    let mut page = String::new();
    for section in SECTIONS {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n", section.title);
        if !section.means.is_empty() {
            let _ = write!(page, "{}\n\n", section.means);
        }
        page.push_str("| key | takes | default | meaning | example |\n|---|---|---|---|---|\n");
        for key in section.keys {
            let default = match key.default {
                Default::Is(value) => format!("`{value}`"),
                Default::Says(words) => words.to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} | `{}` |",
                key.name, key.takes, key.means, key.example
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Origin, Source, document, plan, report::Report};
    use std::{collections::BTreeSet, path::Path};

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    const BEGINS: &str = "<!-- made by the tests -->\n";
    const ENDS: &str = "<!-- end -->\n";

    /// A good file with a line in one of its tables, in place of the one that sets the same key.
    fn file(section: &Section, line: &str) -> String {
        let lines = |table: &str, usual: &[&str]| {
            let beside = section.beside.iter().filter(|(other, _)| *other == table);
            let mut more: Vec<&str> = beside.map(|(_, line)| *line).collect();
            more.extend((section.table == table).then_some(line));
            let key = |line: &str| line.split(" = ").next().map(str::to_owned);
            let stays = |old: &&str| more.iter().all(|new| key(new) != key(old));
            let usual: Vec<&str> = usual.iter().copied().filter(stays).collect();
            more.retain(|line| line.contains(" = "));
            [usual, more].concat().join("\n")
        };
        let top = lines("", &[]);
        let own = |key: &str| top.starts_with(&format!("{key} = "));
        let tables = [
            (
                "listener",
                "[[listener]]",
                lines("listener", &["name = 'web'", "listen = ['127.0.0.1:1']"]),
            ),
            (
                "site",
                "[[site]]",
                lines("site", &["certificates = 'self-signed'", "upstream = 'shop'"]),
            ),
            (
                "upstream",
                "[upstream.shop]",
                lines("upstream", &["servers = ['127.0.0.1:2']"]),
            ),
        ];
        let tables = tables.iter().filter(|(key, ..)| !own(key));
        tables.fold(format!("{top}\n"), |text, (_, header, lines)| {
            format!("{text}{header}\n{lines}\n")
        })
    }

    /// The keys that readers take of a file, each with its section.
    fn taken(text: &str) -> BTreeSet<(&'static str, &'static str)> {
        let mut report = Report::default();
        let tree = document::parse(text, Path::new("f.toml")).expect("an example is TOML");
        plan(tree, &[], &mut report);
        assert_eq!(report.errors, [], "{text}");
        report.asked
    }

    fn examples() -> impl Iterator<Item = (&'static Section, &'static Key)> {
        SECTIONS
            .iter()
            .flat_map(|section| section.keys.iter().map(move |key| (section, key)))
    }

    #[test]
    fn every_key_that_is_read_stands_in_the_reference_and_no_other() {
        let mut read = BTreeSet::new();
        for (section, key) in examples().filter(|(_, key)| key.name != "include") {
            read.extend(taken(&file(section, key.example)));
        }
        let told: BTreeSet<_> = examples().map(|(section, key)| (section.name, key.name)).collect();
        let missing: Vec<String> = read
            .difference(&told)
            .map(|(section, key)| {
                format!("the key {key:?} of section {section:?} is read and not documented: give it an entry in config/keys.rs")
            })
            .collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
        let unread: Vec<String> = told
            .difference(&read)
            .map(|(section, key)| {
                format!("config/keys.rs has the key {key:?} of section {section:?}, and no reader takes it")
            })
            .collect();
        assert!(unread.is_empty(), "{}", unread.join("\n"));
        assert_eq!(examples().count(), told.len(), "a key stands twice");
    }

    fn load(text: &str) -> Loaded {
        crate::config::load_text(&Source::default(), text)
            .unwrap_or_else(|problems| panic!("{}in\n{text}", crate::config::render(&problems)))
    }

    #[test]
    fn every_example_loads_and_sets_its_key() {
        for (section, key) in examples() {
            let text = file(section, key.example);
            let loaded = load(&text);
            let is_no_default = loaded.explained.iter().any(|value| value.origin != Origin::Default);
            assert!(is_no_default && key.example.contains(key.name), "{}", key.example);
        }
    }

    #[test]
    fn every_default_is_the_one_that_holds() {
        let plain = Section {
            name: "",
            table: "",
            title: "",
            means: "",
            beside: &[],
            keys: &[],
        };
        let loaded = load(&file(&plain, ""));
        for (section, key) in examples() {
            let Default::Is(documented) = key.default else { continue };
            let path = match section.name {
                "" => key.name.to_owned(),
                "policy" => format!("site.default.policy.{}", key.name),
                name => format!("{name}.{}", key.name),
            };
            let path = path
                .replacen("listener.", "listener.web.", 1)
                .replacen("upstream.", "upstream.shop.", 1);
            let path = path
                .replacen("site.tls", "site.default.tls", 1)
                .replacen("site.names", "site.default.names", 1);
            let told = loaded.explained.iter().find(|value| value.key == path);
            match told {
                Some(value) => assert_eq!(value.value, documented, "the default of {path}"),
                None => assert!(
                    ["site.client_auth", "traces"].contains(&section.name),
                    "no default of {path} is told"
                ),
            }
        }
    }

    #[test]
    fn the_page_is_what_the_table_says_and_its_blocks_load() {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once(BEGINS).unwrap();
        let (made, after) = rest.split_once(ENDS).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, [before, BEGINS, &markdown(), "\n", ENDS, after].concat()).unwrap();
            return;
        }
        assert_eq!(made, markdown() + "\n", "UPDATE_DOCS=1 writes it");
        let mut blocks = 0;
        for form in ["toml", "json", "yaml"] {
            for block in page.split(&format!("```{form}\n")).skip(1) {
                let text = block.split("```").next().unwrap();
                let source = Source {
                    file: Some(format!("portcullis.{form}").into()),
                    environment: vec![("HOSTNAME".into(), "example".into())],
                    ..Source::default()
                };
                let loaded = crate::config::load_text(&source, text);
                assert!(loaded.is_ok(), "{loaded:#?}\n{text}");
                blocks += 1;
            }
        }
        assert!(blocks >= 4, "{blocks}");
    }
}
