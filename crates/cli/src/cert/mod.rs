//! `portcullis cert`: certificates made and looked at.
pub(crate) mod args;
mod failure;
mod issuers;
mod make;

use crate::{exit::Exit, say};
use args::Cert;
use failure::Failure;
use portcullis_certs::Purpose;

/// Does it, and prints what came of it.
pub(crate) fn run(command: Cert) -> Exit {
    let done = match command {
        Cert::Ca(wish) => make::authority(wish),
        Cert::Server(wish) => make::leaf(wish, Purpose::Server),
        Cert::Client(wish) => make::leaf(wish, Purpose::Client),
    };
    match done {
        Ok(text) => {
            say::result(&text);
            Exit::Good
        }
        Err(failure) => refused(&failure),
    }
}

fn refused(failure: &Failure) -> Exit {
    say::problem(&failure.to_string());
    failure.exit()
}
