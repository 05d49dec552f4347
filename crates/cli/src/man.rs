//! `portcullis man`: manual pages, made from the same command line that is parsed.
use crate::{args, exit::Exit, say};
use anyhow::{Context, Result, bail};
use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};
use std::{fs, path::Path};

/// Prints the page of a command, or writes all pages into a folder.
pub(crate) fn run(words: &[String], out: Option<&Path>) -> Exit {
    let done = match out {
        Some(folder) => write_all(folder),
        None => printed(words),
    };
    match done {
        Ok(text) => {
            say::result(&text);
            Exit::Good
        }
        Err(error) => {
            say::problem(&format!("{error:#}"));
            Exit::Usage
        }
    }
}

fn printed(words: &[String]) -> Result<String> {
    let root = tree();
    let mut command = &root;
    for word in words {
        let Some(below) = command.find_subcommand(word) else {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let name = words.join(" ");
            match known.is_empty() {
                true => bail!("no command \"{name}\": {} has none below it", title(command)),
                false => bail!("no command \"{name}\"\n  hint: {}", known.join(", ")),
            }
        };
        command = below;
    }
    page(command, &root)
}

fn write_all(folder: &Path) -> Result<String> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let root = tree();
    let mut names = Vec::new();
    for command in all(&root) {
        let name = format!("{}.1", title(command));
        let file = folder.join(&name);
        fs::write(&file, page(command, &root)?).with_context(|| file.display().to_string())?;
        names.push(file.display().to_string());
    }
    Ok(names.join("\n"))
}

/// The command line with all that is shown, each command knowing its whole name.
fn tree() -> Command {
    let mut root = args::visible(&args::command()).disable_help_subcommand(true);
    root.build();
    root
}

fn all(command: &Command) -> Vec<&Command> {
    std::iter::once(command)
        .chain(command.get_subcommands().flat_map(all))
        .collect()
}

/// `portcullis-cert-ca`
fn title(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

fn page(command: &Command, root: &Command) -> Result<String> {
    let name = title(command);
    // written by hand: clap_mangen leaves an unknown date out, and then version and manual stand in each other's place
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(".TH \"{name}\" \"1\" \"\" \"portcullis {version}\" \"Portcullis\"\n").into_bytes();
    let man = Man::new(command.clone().disable_help_subcommand(true));
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut more = Roff::new();
    commands(&mut more, command);
    examples(&mut more, command);
    exit_status(&mut more);
    see_also(&mut more, command, root);
    more.to_writer(&mut text)?;
    String::from_utf8(text).context("a page that is no text")
}

fn commands(roff: &mut Roff, command: &Command) {
    if !command.has_subcommands() {
        return;
    }
    roff.control("SH", ["COMMANDS"]);
    for below in command.get_subcommands() {
        roff.control("TP", []);
        roff.text([bold(format!("{}(1)", title(below)))]);
        roff.text([roman(below.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
}

/// What stands below the help: examples as they are typed.
fn examples(roff: &mut Roff, command: &Command) {
    let Some(text) = command.get_after_help().map(ToString::to_string) else {
        return;
    };
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    let table = [
        ("0", "Good."),
        ("1", "What was asked for does not hold."),
        (
            "2",
            "Wrong usage or configuration, or a file it names is missing or unusable.",
        ),
        (
            "3",
            "The system refused: an address is taken, a permission or a resource is missing.",
        ),
    ];
    for (code, meaning) in table {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(meaning)]);
    }
}

/// The commands beside it, and the one above.
fn see_also(roff: &mut Roff, command: &Command, root: &Command) {
    let own = title(command);
    let near = all(root)
        .into_iter()
        .map(title)
        .filter(|name| *name != own && is_near(name, &own));
    let near: Vec<String> = near.map(|name| format!("{name}(1)")).collect();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([italic(near.join(", "))]);
}

/// The one above, those below it, those beside it.
fn is_near(name: &str, own: &str) -> bool {
    let above = |name: &str| name.rsplit_once('-').map(|(above, _)| above.to_owned());
    let is_above = above(own).as_deref() == Some(name);
    is_above || above(name).as_deref() == Some(own) || above(name) == above(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_shown_has_a_page_and_what_is_hidden_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/man1");
        let told = write_all(&out).unwrap();
        for name in [
            "portcullis",
            "portcullis-serve",
            "portcullis-cert-ca",
            "portcullis-doctor",
        ] {
            let text = fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
            for part in [
                ".TH",
                ".SH NAME",
                ".SH SYNOPSIS",
                ".SH EXAMPLES",
                ".SH \"EXIT STATUS\"",
                ".SH \"SEE ALSO\"",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        assert!(!out.join("portcullis-probe.1").exists());
        assert_eq!(told.lines().count(), all(&tree()).len());
    }

    #[test]
    fn a_page_is_found_by_the_words_of_its_command_and_a_wrong_word_says_which_there_are() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
        let page = printed(&words("cert ca")).unwrap();
        assert!(page.contains("portcullis\\-cert\\-ca"), "{page}");
        assert!(page.contains("\\-\\-path\\-length"), "{page}");
        let error = printed(&words("cert sing")).unwrap_err().to_string();
        assert!(error.contains("\"cert sing\"") && error.contains("sign"), "{error}");
        let error = printed(&words("serve now")).unwrap_err().to_string();
        assert!(error.contains("none below it"), "{error}");
    }
}
