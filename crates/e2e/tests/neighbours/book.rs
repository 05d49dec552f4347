//! README.md and the book in `docs/`: every command that a page prints is run, in the page's order, with the files that
//! it prints, and says what the page says that it says.
use crate::{
    page::{Block, Kind, blocks},
    place::Place,
};
use portcullis_e2e::{
    command::run,
    peers::{Home, Peer},
    process::portcullis,
};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// The pages whose commands are run below.
const PAGES: [&str; 14] = [
    "README.md",
    "docs/introduction.md",
    "docs/quick-start.md",
    "docs/sidecar.md",
    "docs/certificates.md",
    "docs/http-sites.md",
    "docs/http3.md",
    "docs/migrating.md",
    "docs/report.md",
    "docs/requiring.md",
    "docs/passthrough.md",
    "docs/verifying.md",
    "docs/answers.md",
    "docs/costs.md",
];

/// Pages of reference, whose tables and examples have tests of their own.
const REFERENCE: [&str; 6] = [
    "docs/metrics.md",
    "docs/configuration.md",
    "docs/ledger.md",
    "docs/http.md",
    "docs/client-certificates.md",
    "docs/coming-from.md",
];

/// What blocks may need, and where it is.
const PROGRAMS: [(Home, &str); 10] = [
    (Home::Trixie, "openssl"),
    (Home::Trixie, "curl"),
    (Home::Trixie, "python3"),
    (Home::Trixie, "tshark"),
    (Home::Trixie, "jq"),
    (Home::Trixie, "go"),
    (Home::Trixie, "nginx"),
    (Home::Trixie, "haproxy"),
    (Home::Trixie, "apache2"),
    (Home::Trixie, "caddy"),
];

/// Where a page says cargo, it means a build of this program; the tests have theirs.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
"run --release -- "*) shift 3; exec portcullis "$@" ;;
*) echo "no stand-in for cargo $*" >&2; exit 1 ;;
esac
"#;

pub(crate) fn text(page: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn follow(page: &str) {
    let blocks = blocks(&text(page));
    let wanted: BTreeSet<&str> = blocks
        .iter()
        .flat_map(|block| &block.needs)
        .map(String::as_str)
        .collect();
    let known = |name: &str| PROGRAMS.iter().find(|(_, program)| *program == name).copied();
    let programs = wanted
        .iter()
        .map(|name| known(name).unwrap_or_else(|| panic!("{page}: nobody has {name}")));
    let network = Peer::find(Home::Tool, "unshare");
    let Some(mut place) = network.and_then(|_| Place::empty(&programs.collect::<Vec<_>>())) else {
        return;
    };
    place.program("cargo", CARGO);
    place.follow(&blocks);
}

#[test]
fn readme() {
    follow("README.md");
}

#[test]
fn quick_start() {
    follow("docs/quick-start.md");
}

#[test]
fn sidecar() {
    follow("docs/sidecar.md");
}

#[test]
fn certificates() {
    follow("docs/certificates.md");
}

#[test]
fn http_sites() {
    follow("docs/http-sites.md");
}

#[test]
fn http3() {
    follow("docs/http3.md");
}

#[test]
fn migrating() {
    follow("docs/migrating.md");
}

#[test]
fn report() {
    follow("docs/report.md");
}

#[test]
fn requiring() {
    follow("docs/requiring.md");
}

#[test]
fn passthrough() {
    follow("docs/passthrough.md");
}

#[test]
fn verifying() {
    follow("docs/verifying.md");
}

#[test]
fn answers() {
    follow("docs/answers.md");
}

#[test]
fn costs() {
    follow("docs/costs.md");
}

#[test]
fn introduction() {
    follow("docs/introduction.md");
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_has_its_test() {
    let summary = text("docs/SUMMARY.md");
    let listed = summary
        .lines()
        .filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
    let listed: BTreeSet<String> = listed.map(|page| format!("docs/{page}")).collect();
    let ours = PAGES.iter().chain(&REFERENCE).filter(|page| page.starts_with("docs/"));
    assert_eq!(listed, ours.map(|page| (*page).to_owned()).collect());
}

#[test]
fn no_fence_of_a_page_hides_a_command() {
    for page in PAGES {
        let mut open = false;
        for fence in text(page)
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("```").map(str::to_owned))
        {
            open = !open;
            let known =
                fence.starts_with("sh") || ["text", "toml", "log"].contains(&fence.as_str()) || fence.contains(' ');
            assert!(!open || known, "{page}: a fence of {fence:?} is run by nobody");
        }
        assert!(!open, "{page}: a fence stays open");
    }
}

#[test]
fn programs_that_a_block_names_are_those_it_declares() {
    for page in PAGES {
        for Block {
            kind, commands, needs, ..
        } in blocks(&text(page))
        {
            if matches!(kind, Kind::File(_) | Kind::Ci) {
                continue;
            }
            let words: BTreeSet<&str> = commands
                .split(|c: char| !c.is_ascii_alphanumeric() && !"-./_".contains(c))
                .collect();
            for (_, program) in PROGRAMS {
                let declared = needs.iter().any(|need| need == program);
                assert!(!words.contains(program) || declared, "{page}: {program}: {commands}");
            }
        }
    }
}

#[test]
fn what_ci_is_said_to_do_it_does() {
    let ci = text(".ci/run");
    let said = PAGES.iter().flat_map(|page| blocks(&text(page)));
    let said: Vec<Block> = said.filter(|block| block.kind == Kind::Ci).collect();
    assert!(!said.is_empty(), "the README says how to run the tests");
    for line in said.iter().flat_map(|block| block.commands.lines()) {
        assert!(ci.contains(line), "{line}");
    }
}

/// A command within a sentence, or in a table, is one that there is, with flags that it has.
#[test]
fn commands_in_passing_are_commands() {
    for page in PAGES {
        for span in text(page)
            .split('`')
            .filter_map(|span| span.strip_prefix("portcullis "))
        {
            let words: Vec<&str> = span.lines().next().unwrap_or_default().split(' ').collect();
            let command: Vec<&str> = words.iter().take_while(|word| is_word(word)).copied().collect();
            let help = help(&command);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{page}: portcullis {span}: no {flag} in {help}");
            }
        }
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase())
}

/// The help of a command, or of its parent where its last words are values.
fn help(command: &[&str]) -> String {
    for upto in (1..=command.len().min(2)).rev() {
        let said = run(&mut portcullis(&[&command[..upto], &["--help"]].concat()), b"");
        if said.status.success() {
            return said.stdout;
        }
    }
    panic!("there is no command {command:?}");
}
