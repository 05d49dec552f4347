//! A proxy run from a file, as `portcullis serve -c FILE` does: SIGHUP reloads it, SIGTERM drains it.
//!
//! `cargo run --example from_file -- portcullis.toml`
#![allow(clippy::print_stdout, reason = "an example talks to people")]
use portcullis_proxy::{Shutdown, config::Source, start};
use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args_os().nth(1).ok_or("usage: from_file FILE")?;
    let running = start(Source::of_file(file).into(), Shutdown::Signals)?;
    for (_, address) in running.addresses() {
        println!("listening on {address}");
    }
    running.wait();
    Ok(())
}
