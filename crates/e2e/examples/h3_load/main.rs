//! What HTTP/3 costs a server in CPU: a load for any server, a bare server of quinn and h3 to measure beside it, and a
//! server of HTTP/1.1 for proxies to stand before. By hand:
//!
//! ```text
//! cargo build --release -p portcullis-e2e --example h3_load
//! h3_load=target/release/examples/h3_load
//! taskset -c 0 $h3_load serve 127.0.0.1:8443 chain.pem key.pem &
//! taskset -c 1 $h3_load load 127.0.0.1:8443 root.pem $! handshakes 5000
//! taskset -c 1 $h3_load load 127.0.0.1:8443 root.pem $! requests 100000
//! taskset -c 1 $h3_load load 127.0.0.1:8443 root.pem $! down 1000000000
//! taskset -c 1 $h3_load load 127.0.0.1:8443 root.pem $! up 1000000000
//! ```
//!
//! A proxy takes the place of `serve`, with `h3_load backend 127.0.0.1:9100` behind it on the load's core, so that it has
//! a core to itself. Of a server with several processes, give the ids of all, with commas between. CPU is the user and
//! system time of those processes. Handshakes are full ones with X25519MLKEM768, requests for 100 bytes are 32 at a time
//! on one connection, and of bodies each byte is compared with what it should be: of those that go up by `backend`, on the
//! load's core, or by `serve`, on its own.
mod body;
mod load;
mod serve;

use std::{
    env,
    error::Error,
    io::{Write, stdout},
};
use tokio::runtime;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    // an endpoint is made within it
    let _entered = runtime.enter();
    match words[..] {
        ["serve", address, chain, key] => runtime.block_on(serve::http3(address.parse()?, chain, key)),
        ["backend", address] => serve::http1(address.parse()?),
        ["load", address, root, server, kind, count] => {
            let load = load::Load::new(address.parse()?, root, server)?;
            let cost = runtime.block_on(load.run(kind, count.parse()?))?;
            Ok(writeln!(stdout(), "{cost}")?)
        }
        _ => Err("serve ADDRESS CHAIN KEY | backend ADDRESS | load ADDRESS ROOT SERVER KIND COUNT".into()),
    }
}
