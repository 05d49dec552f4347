//! The portcullis command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let file = std::env::args().nth(3).map(Into::into);
    let config = portcullis_proxy::config::Source { file, ..Default::default() };
    match portcullis_proxy::start(portcullis_proxy::Source { config, ..Default::default() }, portcullis_proxy::Shutdown::Signals) {
        Ok(running) => running.wait(),
        Err(error) => eprintln!("{error}"),
    }
}
