//! `portcullis cert`: certificates made and looked at.
pub(crate) mod args;
mod crl;
mod failure;
mod inspect;
mod issuers;
mod live;
mod make;
mod request;
mod show;

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
        Cert::Csr(wish) => request::make(wish),
        Cert::Sign(wish) => request::sign(wish),
        Cert::Crl(wish) => crl::run(wish),
        Cert::Inspect(wish) => return inspect::run(wish),
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
