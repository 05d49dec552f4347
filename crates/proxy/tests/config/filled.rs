//! `${NAME}` and `file:PATH` in the values of a file.
use crate::kit::{Case, explained};
use portcullis_proxy::{
    config::{Loaded, Source, load, render},
    plan::{AccessLog, LogLevel},
};
use std::{fs, path::PathBuf};

const REST: &str = "[[listener]]\nname = 'web'\nlisten = ['127.0.0.1:${PORT:-8443}']\n\
                    [[site]]\ncertificates = 'self-signed'\nupstream = 'b'\n[upstream.b]\nservers = ['${HOST}:1']\n";

fn case(top: &str) -> Case {
    Case::file(&format!("{top}\n{REST}")).and_variable("HOST", "h")
}

fn line(loaded: &Loaded, key: &str) -> String {
    let told = explained(&loaded.explained);
    let start = format!("{key} = ");
    let line = told.lines().find(|line| line.starts_with(&start));
    line.unwrap_or_else(|| panic!("{key} in:\n{told}")).to_owned()
}

#[test]
fn variables_are_filled_in_and_check_says_from_where() {
    let loaded = case("log = { level = '${LEVEL}', access = '${DIR:-logs}/$${a}$1' }")
        .and_variable("LEVEL", "debug")
        .good();
    assert_eq!(loaded.plan.log.level, LogLevel::Debug);
    assert_eq!(loaded.plan.log.access, AccessLog::File(PathBuf::from("logs/${a}$1")));
    assert_eq!(
        line(&loaded, "log.level"),
        "log.level = \"debug\"  # portcullis.toml:1 (from ${LEVEL})"
    );
    assert_eq!(
        line(&loaded, "upstream.b.servers"),
        "upstream.b.servers = [\"h:1\"]  # portcullis.toml:9"
    );
    assert_eq!(
        line(&loaded, "listener.web.listen"),
        "listener.web.listen = [\"127.0.0.1:8443\"]  # portcullis.toml:4"
    );
}

#[test]
fn an_empty_variable_takes_the_default_and_is_empty_without_one() {
    let name = |text: &str| {
        let case = case(&format!("log = {{ access = '{text}' }}")).and_variable("EMPTY", "");
        case.good().plan.log.access
    };
    assert_eq!(name("a${EMPTY}b"), AccessLog::File(PathBuf::from("ab")));
    assert_eq!(name("a${EMPTY:-x}b"), AccessLog::File(PathBuf::from("axb")));
    assert_eq!(name("a${EMPTY:-}b"), AccessLog::File(PathBuf::from("ab")));
}

#[test]
fn a_variable_alone_is_a_number_or_a_switch_where_the_key_wants_one() {
    let loaded = case("workers = '${N}'\nwatch = '${W}'\nmetrics = { sites = '${S:-7}' }")
        .and_variable("N", "3")
        .and_variable("W", "true")
        .good();
    assert_eq!(
        (loaded.plan.workers, loaded.plan.watch, loaded.plan.metrics.sites),
        (Some(3), true, 7)
    );
    assert_eq!(line(&loaded, "workers"), "workers = 3  # portcullis.toml:1 (from ${N})");
    let auto = case("workers = '${N}'").and_variable("N", "auto").good();
    assert_eq!(auto.plan.workers, None);
    let told = case("workers = '${N}'").and_variable("N", "0").bad();
    assert_eq!(
        told,
        "portcullis.toml:1 (from ${N}): workers must be from 1 to 1024, not 0\n"
    );
    let told = case("workers = '1${N}'").and_variable("N", "0").bad();
    assert_eq!(
        told,
        "portcullis.toml:1 (from 1${N}): workers must be \"auto\" or a whole number, not \"10\"\n"
    );
    let told = case("log = { level = '${N}' }").and_variable("N", "12").bad();
    assert_eq!(
        told.lines().next(),
        Some("portcullis.toml:1 (from ${N}): unknown level \"12\"")
    );
}

#[test]
fn what_is_not_set_is_told_once_with_everything_else() {
    let told = Case::file(&format!(
        "log = {{ level = '${{LEVEL}}', format = 'x' }}\nworkers = '${{}}'\nwatch = '${{A'\n{REST}"
    ))
    .bad();
    let expected = "portcullis.toml:1: \"${LEVEL}\": the variable LEVEL is not set\n  \
                    hint: ${LEVEL:-DEFAULT} stands for DEFAULT where it is not\n\
                    portcullis.toml:1: unknown format \"x\"\n  hint: it takes text, json, common, combined\n\
                    portcullis.toml:2: \"${}\": \"\" is no name of a variable\n  hint: a ${ that stands for itself is written $${\n\
                    portcullis.toml:3: \"${A\": a variable has no closing brace\n  hint: a ${ that stands for itself is written $${\n\
                    portcullis.toml:11: \"${HOST}:1\": the variable HOST is not set\n  \
                    hint: ${HOST:-DEFAULT} stands for DEFAULT where it is not\n";
    assert_eq!(told, expected);
}

#[test]
fn a_flag_and_a_variable_of_ours_are_taken_as_they_are() {
    let told = Case::flags("--self-signed --log-level ${HOME}")
        .and_variable("HOME", "info")
        .bad();
    assert!(told.starts_with("--log-level: unknown level \"${HOME}\""), "{told}");
}

#[test]
fn a_variable_that_holds_a_reference_is_not_filled_in_again() {
    let loaded = case("log = { access = '${A}' }").and_variable("A", "${B}").good();
    assert_eq!(loaded.plan.log.access, AccessLog::File(PathBuf::from("${B}")));
    let loaded = case("log = { access = '${A}' }").and_variable("A", "file:b").good();
    assert_eq!(loaded.plan.log.access, AccessLog::File(PathBuf::from("file:b")));
}

#[test]
fn a_file_gives_its_content_and_nothing_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let load = |top: &str, secret: &str| {
        fs::write(folder.path().join("secret"), secret).unwrap();
        let file = folder.path().join("portcullis.toml");
        fs::write(&file, format!("{top}\n{REST}")).unwrap();
        let source = Source {
            file: Some(file),
            environment: [("HOST", "h"), ("FILE", "secret")]
                .map(|(name, text)| (name.into(), text.into()))
                .into(),
            ..Source::default()
        };
        let shown = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
        load(&source)
            .map(|loaded| shown(explained(&loaded.explained)))
            .map_err(|problems| shown(render(&problems)))
    };
    let told = load("log = { level = 'file:${FILE}' }\nworkers = 'file:./secret'", "12\r\n").unwrap_err();
    assert!(
        told.starts_with("portcullis.toml:1 (from file:${FILE}): unknown level \"file:${FILE}\""),
        "{told}"
    );
    let told = load("workers = 'file:secret'", "12\n").unwrap();
    assert!(
        told.contains("workers = \"file:secret\"  # portcullis.toml:1 (from file:secret)\n"),
        "{told}"
    );
    let told = load("admin = { listen = '127.0.0.1:1', token_file = 'file:secret' }", "a\n").unwrap_err();
    let path = "portcullis.toml:1 (from file:secret): admin.token_file names a file itself, and file: stands for what a file holds\n  hint: write \"secret\"\n";
    assert!(told.contains(path), "{told}");
    for (listen, message) in [
        ("[['file:secret']]", "must be a string, not a list"),
        ("['file:secret']", "\"file:secret\" is no address to listen on"),
    ] {
        let top = format!("[[listener]]\nname = 'file:secret'\nlisten = {listen}");
        let told = load(&top, "correct horse battery\n").unwrap_err();
        assert!(told.contains(message) && !told.contains("horse"), "{told}");
    }
    let told = load("log = { level = 'file:none' }\nworkers = 'file:'", "").unwrap_err();
    assert_eq!(
        told,
        "portcullis.toml:1: \"file:none\" cannot be read: No such file or directory (os error 2)\nportcullis.toml:2: \"file:\" names no file\n"
    );
    let told = load("log = { level = 'file:secret' }", &"a".repeat(65_537)).unwrap_err();
    assert_eq!(told, "portcullis.toml:1: \"file:secret\" is larger than 64 KiB\n");
}
