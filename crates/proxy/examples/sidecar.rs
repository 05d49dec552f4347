//! The smallest sidecar: TLS in front of one service, until its input ends.
//!
//! `cargo run --example sidecar -- 127.0.0.1:8443 127.0.0.1:6000 chain.pem key.pem`
#![allow(clippy::print_stdout, reason = "an example talks to people")]
use portcullis_proxy::{Shutdown, config::Source, start};
use std::{env, error::Error, io};

fn main() -> Result<(), Box<dyn Error>> {
    let [listen, target, chain, key] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| USAGE)?;
    let config = Source::default()
        .flag("listen", listen)
        .flag("target", target)
        .flag("cert", chain)
        .flag("key", key)
        .flag("admin", "off");
    let running = start(config.into(), Shutdown::Handle)?;
    for (_, address) in running.addresses() {
        println!("listening on {address}");
    }
    io::copy(&mut io::stdin(), &mut io::sink())?;
    running.drain();
    running.wait();
    Ok(())
}

const USAGE: &str = "usage: sidecar LISTEN TARGET CHAIN KEY";
