//! How the command line looks: commands by what one wants to do, and the tree without what is hidden.
use clap::Command;
use std::fmt::Write;

/// Every command that is shown, by what one wants to do.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run it", &["serve", "demo"]),
    ("Prepare and prove", &["cert", "check", "selftest", "import"]),
    ("Speak to the running proxy", &["status", "reload", "drain"]),
    (
        "Look around",
        &["report", "groups", "doctor", "bench", "completions", "man", "help"],
    ),
];

/// The first page: commands under their headings, then the options.
pub(super) fn grouped(command: Command) -> Command {
    let style = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let width = width();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (heading, names) in GROUPS {
        let _ = write!(text, "\n{style}{heading}:{style:#}\n");
        for name in names {
            // clap adds its own `help` later
            let about = match command.find_subcommand(name) {
                Some(found) => found.get_about().map(ToString::to_string).unwrap_or_default(),
                None => "This page, or that of a command".to_owned(),
            };
            let about = wrapped(&about, width.saturating_sub(INDENT)).join(&format!("\n{:INDENT$}", ""));
            let _ = writeln!(text, "  {literal}{name:<13}{literal:#}{about}");
        }
    }
    let _ = write!(text, "\n{style}Options:{style:#}\n{{options}}{{after-help}}");
    command.help_template(text)
}

/// Where the words about a command begin.
const INDENT: usize = 15;

/// Columns to write in, by the rule that clap wraps everything else by.
fn width() -> usize {
    let terminal = terminal_size::terminal_size().map(|(width, _)| width.0.into());
    let named = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(named).unwrap_or(100)
}

/// Lines of so many columns, but for words that are longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.len() + 1 + word.len() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The same commands and flags, but for those that are hidden: neither completions nor man pages leave them out by
/// themselves.
pub(crate) fn visible(command: &Command) -> Command {
    let mut shown = Command::new(command.get_name().to_owned())
        .arg_required_else_help(command.is_arg_required_else_help_set())
        .subcommand_required(command.is_subcommand_required_set())
        .args(command.get_arguments().filter(|it| !it.is_hide_set()).cloned())
        .subcommands(command.get_subcommands().filter(|it| !it.is_hide_set()).map(visible));
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    if let Some(text) = command.get_after_help() {
        shown = shown.after_help(text.clone());
    }
    if let Some(version) = command.get_version() {
        shown = shown.version(version.to_owned());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::command;

    #[test]
    fn every_command_that_is_shown_stands_under_one_heading() {
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        for it in command().get_subcommands().filter(|it| !it.is_hide_set()) {
            let times = listed.iter().filter(|name| **name == it.get_name()).count();
            assert_eq!(times, 1, "{}", it.get_name());
        }
        let known = |name: &&&str| **name == "help" || command().find_subcommand(name).is_some();
        assert_eq!(listed.iter().filter(known).count(), listed.len());
    }

    #[test]
    fn words_go_on_the_next_line_where_there_is_no_room() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("a bc def", 1), ["a", "bc", "def"]);
        assert_eq!(wrapped("a bc def", 80), ["a bc def"]);
    }

    #[test]
    fn what_is_hidden_is_in_no_page_and_no_completion() {
        let tree = visible(&command());
        assert!(tree.find_subcommand("probe").is_none() && tree.find_subcommand("serve").is_some());
        let serve = tree.find_subcommand("serve").unwrap();
        let has = |id: &str| serve.get_arguments().any(|it| it.get_id() == id);
        assert!(has("listen") && !has("hybrid-mode"));
        tree.debug_assert();
    }
}
