//! Connections are spread over the event loops.
use portcullis_e2e::{
    proxy::Proxy,
    upstream::{Manner, Upstream},
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

/// A Unix socket is accepted on by one core alone, so that without a hand-off all would stay there.
#[test]
fn accepted_connections_go_to_the_least_loaded_core() {
    const CONNECTIONS: usize = 90;
    let upstream = Upstream::start(Manner::Echo);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("front.sock");
    let proxy = Proxy::start(&format!(
        "workers = 3\nlog = {{ format = 'json' }}\n\
        [[listener]]\nname = 'front'\nlisten = ['unix:{}']\nplain = true\n\
        [[site]]\nname = 'all'\nupstream = 'backend'\n\
        [upstream.backend]\nservers = ['{}']\n",
        path.display(),
        upstream.address(),
    ));
    let mut clients: Vec<UnixStream> = (0..CONNECTIONS).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let text = format!("from {index}");
        client.write_all(text.as_bytes()).unwrap();
        let mut echoed = vec![0; text.len()];
        client.read_exact(&mut echoed).unwrap();
        assert_eq!(echoed, text.as_bytes());
    }
    proxy.connections_become(CONNECTIONS);
    let cores = proxy.running().connections_per_core();
    let (most, least) = (cores.iter().max().unwrap(), cores.iter().min().unwrap());
    assert!(
        most - least <= 9,
        "more than max(8, 12 %) apart, and the one that tips it: {cores:?}"
    );
    drop(clients);
    proxy.connections_become(0);
    assert_eq!(proxy.running().connections_per_core(), [0, 0, 0]);
}
