//! The block of SPEC 4 is read, all of it.
use crate::kit::Case;

#[test]
fn the_block_of_the_contract_has_nothing_wrong() {
    let plan = Case::file(include_str!("spec.toml")).good().plan;
    assert!(plan.listeners[0].http.http3);
}
