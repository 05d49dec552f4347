#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() { let _ = rustls::crypto::CryptoProvider::get_default(); portcullis_proxy::start(portcullis_proxy::Source::default(), portcullis_proxy::Shutdown::Signals).unwrap().wait() }
