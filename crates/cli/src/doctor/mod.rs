//! `portcullis doctor`: what this machine can do, and what a configuration would find on it. What was not tried is
//! said to be so.
use crate::{colour, exit::Exit, say};
use portcullis_proxy::config;

mod configuration;
mod cryptography;
mod finding;
mod kernel;
mod machine;
mod ports;

use finding::Section;

/// How it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Text,
    Json,
}

/// Looks, prints, and says whether all holds.
pub(crate) async fn run(source: &config::Source, output: Output) -> Exit {
    let mut sections: Vec<Section> = vec![machine::processor()];
    sections.extend(cryptography::sections());
    sections.extend([machine::limits(), machine::clock(), kernel::findings()]);
    sections.extend(configuration::sections(source).await);
    match output {
        Output::Text => colour::result(&finding::text(&sections)),
        Output::Json => say::result(&format!("{:#}", finding::as_json(&sections))),
    }
    match finding::all_hold(&sections) {
        true => Exit::Good,
        false => Exit::Unmet,
    }
}
