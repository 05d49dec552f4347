//! A proxy run from the environment, as in a container: PORTCULLIS_LISTEN, PORTCULLIS_TARGET, PORTCULLIS_CERT and the others.
//!
//! `PORTCULLIS_TARGET=127.0.0.1:6000 PORTCULLIS_CERT=both.pem cargo run --example from_environment`
#![allow(clippy::print_stdout, reason = "an example talks to people")]
use portcullis_proxy::{Shutdown, config::Source, start};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let running = start(Source::of_environment().into(), Shutdown::Signals)?;
    for (_, address) in running.addresses() {
        println!("listening on {address}");
    }
    running.wait();
    Ok(())
}
