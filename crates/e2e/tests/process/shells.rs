//! Completions in real shells, manual pages in real formatters.
use crate::{path, tools::finished};
use portcullis_e2e::{
    command::run,
    peers::{Home, Peer},
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// A shell with our completions in a file.
fn completions(shell: &'static str, name: &str) -> Option<(Peer, TempDir, PathBuf)> {
    let peer = Peer::find(Home::Tool, shell)?;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join(name);
    let script = finished(&["completions", shell]);
    assert_eq!(script.status.code(), Some(0));
    fs::write(&file, script.stdout).expect("our own folder");
    Some((peer, folder, file))
}

/// What is typed, and what must be offered for it.
const TYPED: [(&str, &[&str]); 6] = [
    ("sel", &["selftest"]),
    ("cert ins", &["inspect"]),
    ("serve --profile p", &["pq-only"]),
    ("serve --groups X25519M", &["X25519MLKEM768"]),
    ("bench --only mldsa", &["mldsa44", "mldsa65", "mldsa87"]),
    ("completions po", &["powershell"]),
];

#[test]
fn bash_completes_commands_flags_and_values() {
    let Some((bash, _folder, file)) = completions("bash", "portcullis") else {
        return;
    };
    let script = r#"
        source "$1"; shift
        complete -p portcullis >&2 || exit 1
        COMP_WORDS=(portcullis "$@"); COMP_CWORD=$#; COMPREPLY=()
        _portcullis portcullis "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    for (typed, expected) in TYPED {
        let mut command = bash.command();
        command
            .args(["--norc", "-c", script, "bash", path(&file)])
            .args(typed.split(' '));
        let finished = run(&mut command, b"");
        assert_eq!(
            finished.stdout.lines().collect::<Vec<&str>>(),
            expected,
            "{typed}: {}",
            finished.all()
        );
    }
}

#[test]
fn fish_completes_commands_flags_and_values() {
    let Some((fish, folder, file)) = completions("fish", "portcullis.fish") else {
        return;
    };
    // clap_complete offers fish no values for what stands without a flag
    for (typed, expected) in TYPED.into_iter().filter(|(typed, _)| !typed.starts_with("completions")) {
        let mut command = fish.command();
        let script = format!("source {}; complete -C 'portcullis {typed}'", file.display());
        command.args(["--no-config", "-c", &script]).env("HOME", folder.path());
        let finished = run(&mut command, b"");
        // a tabulator and the help come behind
        let offered: Vec<&str> = finished
            .stdout
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        assert_eq!(offered, expected, "{typed}: {}", finished.all());
    }
}

#[test]
fn zsh_completes_commands_flags_and_values() {
    let Some((zsh, folder, _file)) = completions("zsh", "_portcullis") else {
        return;
    };
    // a shell with a terminal, in which the tabulator is pressed, and the line then echoed
    let script = r#"
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; print REA''DY"
        zpty -r shell said '*READY*'
        zpty -w -n shell "portcullis $2"$'\t\C-aprint -r -- GOT \C-e END\n'
        zpty -r shell said '*GOT portcullis*END*'
        print -r -- "$said""#;
    for (typed, expected) in TYPED.into_iter().filter(|(_, expected)| expected.len() == 1) {
        let mut command = zsh.command();
        command
            .args(["-f", "-c", script, "zsh", path(folder.path()), typed])
            .env("TERM", "dumb");
        let finished = run(&mut command, b"");
        assert!(
            finished.stdout.contains(&format!("{} ", expected[0])),
            "{typed}: {}",
            finished.all()
        );
    }
}

#[test]
fn manual_pages_are_read_without_a_warning() {
    let tools = [
        ("man", &["--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"][..]),
        ("groff", &["-ww", "-man", "-Tutf8", "-z"]),
    ];
    let folder = TempDir::new().expect("a folder");
    let told = finished(&["man", "--out", path(folder.path())]);
    let pages: Vec<&str> = told.stdout.lines().collect();
    assert!(pages.len() > 20, "{}", told.all());
    for (program, arguments) in tools {
        let Some(tool) = Peer::find(Home::Tool, program) else {
            continue;
        };
        for page in &pages {
            let mut command = tool.command();
            let finished = run(command.args(arguments).arg(page).env("LC_ALL", "C.UTF-8"), b"");
            assert!(
                finished.status.success() && finished.stderr.is_empty(),
                "{program} {page}: {}",
                finished.stderr
            );
        }
    }
    let one = finished(&["man", "cert", "ca"]);
    assert_eq!(
        one.stdout,
        fs::read_to_string(folder.path().join("portcullis-cert-ca.1")).expect("a page")
    );
}
