//! Two certificates on one port, the first that a client can verify being sent; and the program is told who got what.
//!
//! `cargo run --example dual_certificates -- 127.0.0.1:6000 mldsa.pem mldsa.key ecdsa.pem ecdsa.key`
#![allow(clippy::print_stdout, reason = "an example talks to people")]
use portcullis_proxy::{Admitted, Shutdown, Source, config, start};
use std::{
    env,
    error::Error,
    io,
    sync::{Arc, mpsc},
    thread,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [target, files @ ..] = &arguments[..] else {
        return Err(USAGE.into());
    };
    let mut config = config::Source::default()
        .flag("listen", "127.0.0.1:0")
        .flag("target", target)
        .flag("log-level", "warn")
        .flag("admin", "off");
    for pair in files.chunks(2) {
        let [chain, key] = pair else { return Err(USAGE.into()) };
        config = config.flag("cert", chain).flag("key", key);
    }
    let (tell, told) = mpsc::channel();
    thread::spawn(move || told.into_iter().for_each(|line: String| println!("{line}")));
    let source = Source {
        config,
        // it runs on an event loop, and must not wait for anything
        hook: Some(Arc::new(move |admitted| drop(tell.send(who(admitted))))),
        ..Source::default()
    };
    let running = start(source, Shutdown::Handle)?;
    for (_, address) in running.addresses() {
        println!("listening on {address}");
    }
    io::copy(&mut io::stdin(), &mut io::sink())?;
    running.drain();
    running.wait();
    Ok(())
}

fn who(admitted: &Admitted<'_>) -> String {
    let Some(facts) = admitted.negotiated else {
        return "no TLS".to_owned();
    };
    let group = facts
        .group
        .map_or_else(|| "no group".to_owned(), |group| group.to_string());
    format!("{group}, authentication {}", facts.authentication.as_str())
}

const USAGE: &str = "usage: dual_certificates TARGET CHAIN KEY CHAIN KEY";
