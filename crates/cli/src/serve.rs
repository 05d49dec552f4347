//! `portcullis serve`: run until told to stop.
use crate::{exit::Exit, say};
use portcullis_certs::{Issued, Name, self_signed_pair};
use portcullis_proxy::{PemPair, SelfSigned, Shutdown, Source, StartError, config};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::sync::Arc;

/// Starts, and returns when all is over.
pub(crate) fn run(config: config::Source) -> Exit {
    prepare();
    let source = Source {
        config,
        self_signed: Some(self_signed()),
        ..Source::default()
    };
    match portcullis_proxy::start(source, Shutdown::Signals) {
        Ok(running) => {
            running.wait();
            Exit::Good
        }
        Err(error) => refused(&error),
    }
}

/// Why it did not start, and with which code.
pub(crate) fn refused(error: &StartError) -> Exit {
    say::problem(&error.to_string());
    match error {
        StartError::Config(_) | StartError::File { .. } => Exit::Usage,
        StartError::Address(_) | StartError::System { .. } => Exit::System,
    }
}

/// Certificates for `localhost` and this host's name.
pub(crate) fn self_signed() -> SelfSigned {
    Arc::new(|| {
        let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
        let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        // a host name that is no DNS name is left out: nobody can ask for it
        let mut names: Vec<Name> = own.iter().chain([&host]).filter_map(|name| name.parse().ok()).collect();
        names.dedup();
        let issued = self_signed_pair(&names).map_err(|e| e.to_string())?;
        let pem = |issued: Issued| PemPair {
            chain: issued.chain_pem.into(),
            key: issued.key_pem.as_bytes().to_vec().into(),
        };
        Ok(issued.into_iter().map(pem).collect())
    })
}

/// As many files as we may have, and no memory image with keys in it left behind.
fn prepare() {
    let limit = getrlimit(Resource::Nofile);
    // a lower limit means fewer connections, which `status` shows: no reason not to start
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    // a kernel without it leaves core dumps to the operator's limits
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
