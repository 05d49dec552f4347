//! Every configuration block of the README loads as it stands there, and every example with a file.
use portcullis_proxy::config::{Source, load, load_text, render};
use std::{fs, path::Path};

#[test]
fn the_configuration_of_the_readme_loads_without_a_word() {
    let page = include_str!("../../../../README.md");
    let blocks: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!blocks.is_empty(), "the README shows a configuration");
    for block in blocks {
        let loaded = load_text(&Source::default(), block).unwrap_or_else(|problems| panic!("{}", render(&problems)));
        assert_eq!(render(&loaded.notices), "");
    }
}

#[test]
fn the_configurations_of_the_examples_load_without_a_word() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let folders = fs::read_dir(examples).unwrap();
    let files = folders.map(|folder| folder.unwrap().path().join("portcullis.toml"));
    let files: Vec<_> = files.filter(|file| file.exists()).collect();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let source = Source {
            file: Some(file),
            ..Source::default()
        };
        let loaded = load(&source).unwrap_or_else(|problems| panic!("{}", render(&problems)));
        assert_eq!(render(&loaded.notices), "");
    }
}
