//! The block of SPEC 4 is read as far as this version goes, and what it refuses is exactly what is not built.
use crate::kit::Case;

const REFUSED: &[&str] = &[r#"portcullis.toml:13: listener "web": "http3" is not in this version"#];

#[test]
fn the_block_of_the_contract_has_nothing_wrong_but_what_is_not_built() {
    let problems = Case::file(include_str!("spec.toml")).bad();
    let errors: Vec<&str> = problems.lines().filter(|line| !line.starts_with("  hint")).collect();
    assert_eq!(errors, REFUSED);
}
