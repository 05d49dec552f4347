//! Every configuration block of the README loads as it stands there.
use portcullis_proxy::config::{Source, load_text, render};

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
